/*
 * Memory runs out at every place (as curl's torture tests do it): the allocations of a
 * request's life are counted, and then it is lived again as many times, and each time
 * another one of them fails; and again with that one and all behind it. Whatever happens to the
 * request itself, nothing crashes, the next one is served, and nothing is left over.
 *
 * malloc and its kin, and the mmap of a stack, are wrapped by the linker in this program
 * alone (Makefile), and jansson is told to use the same. libuv is not: without memory for
 * its table of descriptors it aborts. What the pools hold would
 * hide a failure: each life has a runtime of its own, which starts with empty ones.
 */
#include "../fuzz/fuzz.h"
#include "gee/audit.h"
#include "gee/live.h"
#include "gee/middleware.h"
#include "gee/span.h"
#include "gee/timeout.h"
#include "runtime/park.h"
#include "runtime/transport.h"
#include "sync/waitq.h"
#include "t.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- the allocator --- */

/* Counts while on; fails at the fail_at-th, and, if `on`, behind it. */
static _Atomic bool counting, go_on_failing;
static _Atomic long count, fail_at;

static bool fails(void) {
    if (!atomic_load(&counting))
        return false;
    long n = atomic_fetch_add(&count, 1) + 1, at = atomic_load(&fail_at);
    bool now = at > 0 && (n == at || (n > at && atomic_load(&go_on_failing)));
    if (now)
        errno = ENOMEM;
    return now;
}

static void arm(long at, bool go_on) {
    atomic_store(&count, 0);
    atomic_store(&fail_at, at);
    atomic_store(&go_on_failing, go_on);
    atomic_store(&counting, true);
}

static long disarm(void) {
    atomic_store(&counting, false);
    return atomic_load(&count);
}

#define WRAP(type, name, params, args) \
    type __real_##name params;         \
    type __wrap_##name params;         \
    type __wrap_##name params {        \
        if (fails())                   \
            return NULL;               \
        return __real_##name args;     \
    }
WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t n), (p, n))
WRAP(char *, strdup, (const char *s), (s))
WRAP(char *, strndup, (const char *s, size_t n), (s, n))

void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off) {
    return fails() ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, off);
}

static int nowhere = -1; /* /dev/null */

static int share_the_allocator(void **state) {
    (void)state;
    json_set_alloc_funcs(__wrap_malloc, free);
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return 0;
}

/* --- a client that allocates nothing --- */

struct client {
    gee_io *io;
    char text[16 * 1024];
    size_t n;
    bool ended, closed;
    gee_park *waits;
};

static void wake_client(struct client *c) {
    gee_park *park = c->waits;
    c->waits = NULL;
    if (park)
        gee_wake(park, 0);
}

static void on_read(gee_io *io, ssize_t n, const char *data) {
    struct client *c = io->data;
    for (ssize_t i = 0; i < n && c->n < sizeof(c->text) - 1; i++)
        c->text[c->n++] = data[i];
    c->text[c->n] = '\0';
    c->ended |= n < 0;
    wake_client(c);
}

static void on_write(gee_io *io, int status) {
    struct client *c = io->data;
    c->ended |= status < 0;
    wake_client(c);
}

static void on_close(gee_io *io) {
    struct client *c = io->data;
    c->closed = true;
    wake_client(c);
}

static int client_wait(gee_ctx *ctx, struct client *c) {
    gee_park park;
    int err;
    gee_park_init(&park);
    c->waits = &park;
    int index = gee_park_wait_ctx(&park, ctx, GEE_WAIT_IO_READ, GEE_HERE, &err);
    c->waits = NULL;
    return index == GEE_BY_CTX ? err : 0;
}

/* Sends it in one piece, and reads until the connection ends or ctx does. */
static void exchange(gee_ctx *ctx, struct client *c, int port, const char *request) {
    static const gee_io_handler handler = {on_read, on_write, on_close};
    uv_buf_t buf = {.base = (char *)request, .len = strlen(request)};
    c->n = 0;
    c->text[0] = '\0';
    c->ended = c->closed = false;
    if (gee_sim_connect(port, 64 * 1024, &c->io) < 0)
        return;
    c->io->handler = &handler;
    c->io->data = c;
    c->io->ops->read_start(c->io);
    c->io->ops->write(c->io, &buf, 1);
    while (!c->ended && client_wait(ctx, c) == 0)
        ;
    disarm();
    c->io->ops->close(c->io);
    while (!c->closed)
        client_wait(NULL, c);
}

/* --- one life --- */

/* memcheck is slow and finds nothing here that ASan would not: there, not every one. */
#ifdef GEE_VALGRIND
enum { STEP = 5 };
#else
enum { STEP = 1 };
#endif

struct life {
    const char *request;
    long at; /* 0: none fails */
    bool go_on, from_the_start;
    long counted;
    int rc; /* of gee_listen */
    char first[64], second[64];
};

static void status_line(char *to, size_t size, const char *text) {
    snprintf(to, size, "%.*s", (int)strcspn(text, "\r"), text);
}

static gee_ctx *fns(gee_req *req) {
    return gee_req_ctx(req);
}

static void add_one(void *arg) {
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void child(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_chan_send(gee_background(), arg, &(int){1});
    gee_chan_unref(arg);
}

/* Timers, ctxs, tasks, channels: each may fail, and each is ended on every path. */
static void contexts(gee_req *req) {
    static _Atomic int after;
    static const int key;
    gee_ctx *timeout = gee_ctx_with_timeout(fns(req), 50);
    gee_ctx *value = timeout ? gee_ctx_with_value(timeout, &key, req, NULL) : NULL;
    gee_after *a = value ? gee_ctx_after_func(value, add_one, &after) : NULL;
    gee_chan *ch = a ? gee_chan_new(sizeof(int), 1) : NULL;
    int got = 0, rc = UV_ENOMEM;
    if (ch && (rc = gee_go(value, child, gee_chan_ref(ch))) == 0)
        rc = gee_chan_recv(value, ch, &got);
    else if (ch)
        gee_chan_unref(ch); /* the child's */
    if (ch)
        gee_chan_unref(ch);
    if (rc >= 0)
        rc = gee_sleep(value, 1);
    if (timeout)
        gee_ctx_end(timeout);
    if (a)
        gee_after_stop(a);
    if (value)
        gee_ctx_end(value);
    gee_string(req, rc < 0 ? 503 : 200, "%d\n", got);
}

/* Its client is answered for it meanwhile. */
static void late(gee_req *req) {
    gee_sleep(gee_background(), 50);
    gee_string(req, 200, "late\n");
}

static int sub_task(gee_ctx *ctx, void *ms) {
    return gee_sleep(ctx, *(uint64_t *)ms);
}

static int deaf(gee_ctx *ctx, void *ms) {
    (void)ctx;
    gee_sleep(NULL, *(uint64_t *)ms);
    return 0;
}

/* One that is joined, one that is told, and one that does not listen. */
static void sub_tasks(gee_req *req) {
    static uint64_t short_ms = 1, long_ms = 200;
    int rc = gee_req_go(req, sub_task, &short_ms);
    if (rc == 0)
        rc = gee_req_join(req);
    if (rc == 0)
        rc = gee_req_go(req, sub_task, &long_ms);
    if (rc == 0)
        rc = gee_req_go(req, deaf, &long_ms);
    gee_string(req, rc < 0 ? 503 : 200, "%d\n", rc);
}

static void who(gee_req *req) {
    const gee_audit *a = gee_audit_of_ctx(gee_req_ctx(req));
    gee_string(req, 200, "%s\n", a && a == gee_audit_of(req) ? a->user_id : "");
}

static void count_job(gee_ctx *ctx, void *arg) {
    gee_sleep(ctx, 1);
    add_one(arg);
}

/* What was taken is run or dropped, and whatever could be started is joined. */
static void a_pool(gee_req *req) {
    _Atomic int n = 0, ticks = 0;
    gee_job job = {count_job, add_one, &n};
    gee_workpool_options opt = {.tasks = 2, .tick = count_job, .tick_arg = &ticks, .tick_ms = 1};
    gee_workpool *p = gee_workpool_new(fns(req), &opt);
    int taken = 0;
    for (int i = 0; p && i < 3; i++)
        taken += gee_workpool_submit(fns(req), p, &job) == 0;
    if (p)
        gee_workpool_shutdown(fns(req), p, GEE_WORKPOOL_DRAIN);
    if (p && atomic_load(&n) != taken)
        t_fail(__FILE__, __LINE__, "of %d jobs %d came to an end", taken, atomic_load(&n));
    gee_string(req, p ? 200 : 503, "%d\n", taken);
}

/* A reader that is a task of its own, and a message for it. */
static void hears(gee_ctx *ctx, void *arg) {
    gee_sub *s = arg;
    gee_message *m;
    (void)ctx;
    while (gee_chan_recv(NULL, gee_sub_chan(s), &m) == 0)
        gee_message_unref(m);
    gee_sub_unref(s);
}

static void published(gee_req *req) {
    gee_broker *b = gee_broker_new();
    gee_sub *s = b ? gee_subscribe(b, "x", 2) : NULL;
    int rc = s ? 0 : UV_ENOMEM;
    if (s && (rc = gee_go(fns(req), hears, gee_sub_ref(s))) < 0)
        gee_sub_unref(s); /* the task's */
    if (rc == 0)
        rc = gee_publish(b, "x", "hello", 5);
    gee_sub_unref(s);
    gee_broker_free(b);
    gee_string(req, rc < 0 ? 503 : 200, "%d\n", rc);
}

static int is_asked(gee_ctx *ctx, void *arg, void *result) {
    *(int *)result = *(const int *)arg;
    return gee_sleep(ctx, *(const int *)arg);
}

static void hedged(gee_req *req) {
    const int ms[] = {9, 5, 1};
    const gee_hedge_options options = {.result_size = sizeof(int), .delay_ms = 2};
    gee_hedge_call calls[3];
    int answer = 0;
    for (int i = 0; i < 3; i++)
        calls[i] = (gee_hedge_call){is_asked, &ms[i], sizeof(ms[i])};
    int rc = gee_hedge(fns(req), calls, 3, &options, &answer);
    gee_string(req, rc < 0 ? 503 : 200, "%d\n", answer);
}

static int is_done(gee_ctx *ctx, void *arg) {
    int rc = gee_sleep(ctx, 1);
    *(bool *)arg = rc == 0;
    return rc;
}

static void fanned_out(gee_req *req) {
    bool done[4] = {false};
    gee_fanout *f = gee_fanout_new(fns(req), 2);
    for (int i = 0; f && i < 4; i++)
        gee_fanout_go(f, is_done, &done[i]);
    int rc = f ? gee_fanout_wait(f) : UV_ENOMEM;
    gee_fanout_end(f);
    bool all = done[0] && done[1] && done[2] && done[3];
    if (all != (rc == 0))
        t_fail(__FILE__, __LINE__, "fanout: %s, and %s was done", t_err(rc),
               all ? "all" : "not all");
    gee_string(req, rc < 0 ? 503 : 200, "all\n");
}

/* A copy that has memory of its own, as text; the change makes it longer. */
static int copy_text(void *to, const void *from) {
    char *text = strdup(*(char *const *)from);
    *(char **)to = text;
    return text ? 0 : UV_ENOMEM;
}

static void clear_text(void *value) {
    free(*(char **)value);
}

static int more_text(gee_ctx *ctx, void *next, void *arg) {
    char **text = next, *more = realloc(*text, 64);
    (void)ctx;
    (void)arg;
    if (more == NULL)
        return UV_ENOMEM;
    *text = strcat(more, "er");
    return 0;
}

/* It is the one or the other, and who has the one keeps it. */
static void lives(gee_req *req) {
    static const gee_live_type type = {sizeof(char *), copy_text, clear_text};
    const char *first = "long";
    gee_live *l;
    int rc = gee_live_new(&type, &first, &l);
    if (rc == 0) {
        char *const *old = gee_live_get(l);
        rc = gee_live_change(fns(req), l, more_text, NULL);
        char *const *now = gee_live_get(l);
        if (strcmp(*old, "long") != 0 || strcmp(*now, rc < 0 ? "long" : "longer") != 0)
            t_fail(__FILE__, __LINE__, "live: %s, and it is \"%s\"", t_err(rc), *now);
        gee_live_drop(old);
        gee_live_drop(now);
    }
    gee_live_free(l);
    gee_string(req, rc < 0 ? 503 : 200, "%d\n", rc);
}

static void refers(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    (void)ctx;
    gee_sleep(NULL, 200);
    if (strcmp(gee_method(req), "GET") != 0 || gee_header(req, "host") == NULL)
        t_fail(__FILE__, __LINE__, "the request that a task has is another one");
    gee_req_unref(req);
}

static void referenced(gee_req *req) {
    int rc = gee_req_ref(req);
    if (rc == 0 && (rc = gee_go(gee_background(), refers, req)) < 0)
        gee_req_unref(req);
    gee_string(req, rc < 0 ? 503 : 200, "%d\n", rc);
}

/* --- spans, and an exporter that lives as long as a request --- */

static int takes(gee_ctx *ctx, void *arg, const char *path, const char *body, size_t n,
                 gee_otlp_answer *answer) {
    (void)arg;
    (void)path;
    (void)answer;
    if (body[0] != '{' || body[n - 1] != '}')
        t_fail(__FILE__, __LINE__, "half a batch was sent");
    int rc = gee_sleep(ctx, 1);
    return rc < 0 ? rc : 200;
}

/* Each record has come to something; offered: of each signal that many were. */
static void adds_up(gee_otlp *x, uint64_t offered) {
    for (int i = 0; i < GEE_OTLP_METRICS; i++) {
        gee_otlp_stats s;
        gee_otlp_stats_of(x, (enum gee_otlp_signal)i, &s);
        uint64_t all = s.waiting;
        for (int f = 0; f < GEE_OTLP_FATES; f++)
            all += s.fates[f];
        if (all != s.offered || s.offered != offered)
            t_fail(__FILE__, __LINE__, "signal %d: of %llu records %llu were offered, %llu left", i,
                   (unsigned long long)offered, (unsigned long long)s.offered,
                   (unsigned long long)all);
    }
}

struct exporting {
    gee_otlp *x;
    gee_waitgroup running;
};

static void exports(gee_ctx *ctx, void *arg) {
    struct exporting *e = arg;
    gee_otlp_run(ctx, e->x);
    gee_waitgroup_done(&e->running);
}

static void export_until(gee_ctx *own, struct exporting *e) {
    gee_ctx *soon = gee_ctx_with_timeout(own, 500);
    gee_waitgroup_add(&e->running, 1);
    if (gee_go(own, exports, e) < 0)
        gee_waitgroup_done(&e->running);
    else if (soon)
        gee_otlp_flush(soon, e->x);
    gee_ctx_end(soon);
    gee_ctx_cancel(own, 0);
    gee_waitgroup_wait(NULL, &e->running);
}

static void exported(gee_req *req) {
    const gee_otlp_options opt = {.transport = {takes, NULL, NULL}, .service_name = "x"};
    struct exporting e = {.x = NULL};
    gee_ctx *own = gee_ctx_with_cancel(fns(req)), *in;
    int rc = own ? gee_otlp_new(&opt, &e.x) : UV_ENOMEM;
    if (rc == 0) {
        gee_span *s = gee_span_root(e.x, own, "root", GEE_SPAN_INTERNAL, &in);
        gee_span_set(s, "a", "b");
        gee_span_set_int(s, "a", 1);
        gee_span_event(s, "now");
        gee_otlp_log(e.x, in, GEE_LOG_INFO, "hello");
        gee_span_end(s);
        adds_up(e.x, 1);
        export_until(own, &e);
        adds_up(e.x, 1);
    }
    gee_otlp_free(e.x);
    if (own)
        gee_ctx_end(own);
    gee_string(req, rc < 0 ? 503 : 200, "%d\n", rc);
}

static int has_a_span(gee_ctx *ctx, void *arg) {
    gee_span *s = gee_span_start(ctx, arg, GEE_SPAN_CLIENT, NULL);
    gee_span_set(s, "x", "y");
    gee_span_end(s);
    return 0;
}

static void traced(gee_req *req) {
    if (gee_req_go(req, has_a_span, "sub-task") == 0)
        gee_req_join(req);
    gee_otlp_log(gee_arg(req), fns(req), GEE_LOG_INFO, "hello");
    gee_string(req, 200, "%d\n", gee_span_recording(gee_req_span(req)));
}

static void free_exporter(void *x) {
    gee_otlp_free(x);
}

/* Whose queue is all that there is of it. */
static int traced_routes(gee_engine *e) {
    const gee_otlp_options opt = {.transport = {takes, NULL, NULL}};
    gee_group *g = gee_group_new(gee_root(e), "/traced");
    gee_otlp *x;
    int rc = g ? gee_otlp_new(&opt, &x) : UV_ENOMEM;
    if (rc < 0)
        return rc;
    rc = gee_engine_own(e, x, free_exporter);
    if (rc < 0) {
        gee_otlp_free(x);
        return rc;
    }
    gee_use_logger(g, &(gee_logger_options){.fd = -1, .line = gee_otlp_access_line, .arg = x});
    gee_use_tracing(g, x);
    return gee_handle(g, "GET", "/sub-task", traced, x);
}

static int routes(gee_engine *e) {
    gee_group *root = gee_root(e);
    gee_use_request_id(root, NULL);
    fuzz_routes(root);
    gee_group *limited = gee_group_new(root, "/limited");
    gee_use_timeout_with(limited, &(gee_timeout_options){.ms = 20, .log_fd = nowhere});
    gee_GET(limited, "/late", late);
    gee_GET(root, "/sub-tasks", sub_tasks);
    gee_GET(root, "/lives", lives);
    gee_GET(root, "/referenced", referenced);
    gee_group *audited = gee_group_new(root, "/audited");
    gee_use_audit(audited, &(gee_audit_options){.fd = nowhere});
    gee_GET(audited, "/who", who);
    gee_group *watched = gee_group_new(root, "/watched");
    if (watched == NULL)
        return UV_ENOMEM;
    gee_use_slow_log(watched, NULL);
    gee_use_idle_timeout(watched, 1000);
    gee_GET(watched, "/contexts", contexts);
    gee_GET(root, "/pool", a_pool);
    gee_GET(root, "/published", published);
    gee_GET(root, "/hedged", hedged);
    gee_GET(root, "/fanned-out", fanned_out);
    gee_GET(root, "/exported", exported);
    traced_routes(e);
    return gee_GET(root, "/contexts", contexts);
}

static int serve(gee_engine **e, gee_server **srv) {
    *e = gee_engine_new();
    if (*e == NULL)
        return UV_ENOMEM;
    routes(*e);
    int rc = gee_listen(*e, "127.0.0.1", 0, &fuzz_limits, srv);
    if (rc < 0)
        gee_engine_free(*e);
    return rc;
}

static void live(gee_ctx *ctx, void *arg) {
    struct life *l = arg;
    gee_engine *e;
    gee_server *srv;
    static struct client c;
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 3000), *later = gee_ctx_with_timeout(ctx, 6000);
    bool allowed = soon && later;
    l->rc = allowed ? serve(&e, &srv) : UV_ENOMEM;
    if (l->rc == 0) {
        if (!l->from_the_start)
            arm(l->at, l->go_on);
        exchange(soon, &c, gee_server_port(srv), l->request);
        l->counted = disarm();
        status_line(l->first, sizeof(l->first), c.text);
        exchange(later, &c, gee_server_port(srv),
                 "GET /hello/x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        status_line(l->second, sizeof(l->second), c.text);
        int rc = gee_server_shutdown(srv);
        gee_engine_free(e);
        if (rc < 0)
            t_fail(__FILE__, __LINE__, "gee_server_shutdown: %s", t_err(rc));
    }
    l->counted = disarm();
    gee_ctx_end(soon);
    gee_ctx_end(later);
}

static void run(struct life *l) {
    const gee_config cfg = {.sim = true};
    t_run(&cfg, 0, live, l);
}

/* Its own answer, one that says that there is no memory, or none at all: it was closed. */
static bool may_be(const char *line, const char *good) {
    return *line == '\0' || strcmp(line, good) == 0 || strncmp(line, "HTTP/1.1 500 ", 13) == 0 ||
           strncmp(line, "HTTP/1.1 503 ", 13) == 0;
}

/* jansson takes a string that it has no memory for as an invalid one. */
static bool is_json_for_jansson(const char *request, const char *line) {
    return strstr(request, "application/json") && strncmp(line, "HTTP/1.1 400 ", 13) == 0;
}

static void torture(const char *request, const char *status, bool go_on) {
    struct life good = {.request = request};
    run(&good);
    if (strncmp(good.first, "HTTP/1.1 ", 9) != 0 || strncmp(good.first + 9, status, 3) != 0)
        fail_msg("without a failure: \"%s\"", good.first);
    for (long at = 1; at <= good.counted; at += STEP) {
        struct life l = {.request = request, .at = at, .go_on = go_on};
        run(&l);
        if (l.rc < 0)
            fail_msg("allocation %ld of %ld: gee_listen: %s", at, good.counted, t_err(l.rc));
        if (!may_be(l.first, good.first) && !is_json_for_jansson(request, l.first))
            fail_msg("allocation %ld of %ld: \"%s\"", at, good.counted, l.first);
        if (strcmp(l.second, "HTTP/1.1 200 OK") != 0)
            fail_msg("allocation %ld of %ld: the next request: \"%s\"", at, good.counted, l.second);
    }
    print_message("%ld allocations\n", good.counted);
}

#define GET(target, fields) \
    "GET " target " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n" fields "\r\n"
#define POST(target, fields, body) \
    "POST " target " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n" fields "\r\n" body
#define JSON  "Content-Type: application/json\r\n"
#define FORM  "Content-Type: application/x-www-form-urlencoded\r\n"
#define PARTS "Content-Type: multipart/form-data; boundary=b\r\n"
#define A_PART \
    "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\nxyz\r\n--b--\r\n"

#define TRACE "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"

#define REQUESTS(X)                                                                            \
    X(a_route_with_a_parameter, "200", GET("/hello/a%20b?q=1&r=2", ""))                        \
    X(the_rest_of_a_path, "200", GET("/files/a/b?x=1&y=2&z=3", ""))                            \
    X(no_route, "404", GET("/nowhere", ""))                                                    \
    X(a_bad_request, "400", "GET /hello/x HTTP/1.1\r\n\r\n")                                   \
    X(a_body, "200", POST("/echo", "Content-Length: 10\r\n", "0123456789"))                    \
    X(chunks, "200", POST("/pass", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")) \
    X(a_form, "200", POST("/form", FORM "Content-Length: 11\r\n", "a=b&c=d%20e"))              \
    X(json, "200", POST("/json", JSON "Content-Length: 16\r\n", "{\"a\": [1, \"xy\"]}"))       \
    X(bound_json, "201", POST("/bind", JSON "Content-Length: 13\r\n", "{\"name\": \"x\"}"))    \
    X(parts, "200", POST("/parts", PARTS "Content-Length: 76\r\n", A_PART))                    \
    X(a_form_of_parts, "200", POST("/form", PARTS "Content-Length: 76\r\n", A_PART))           \
    X(a_cookie, "200", GET("/cookie", "Cookie: id=1\r\n"))                                     \
    X(events, "200", GET("/events", ""))                                                       \
    X(a_large_response, "200", GET("/large", ""))                                              \
    X(a_redirect, "302", GET("/away?to=/x", ""))                                               \
    X(a_copy, "202", GET("/later/x?q=1", ""))                                                  \
    X(an_audit, "200", GET("/audited/who", "X-User-ID: u\r\nX-Trace-ID: t\r\n"))               \
    X(a_refused_audit, "400", GET("/audited/who", "X-User-ID: u\r\n"))                         \
    X(a_deadline, "504", GET("/limited/late", ""))                                             \
    X(sub_tasks, "200", GET("/sub-tasks", ""))                                                 \
    X(contexts_and_tasks, "200", GET("/contexts", ""))                                         \
    X(a_watched_request, "200", GET("/watched/contexts", ""))                                  \
    X(a_pool_of_tasks, "200", GET("/pool", ""))                                                \
    X(a_broker, "200", GET("/published", ""))                                                  \
    X(a_hedge, "200", GET("/hedged", ""))                                                      \
    X(a_fanout, "200", GET("/fanned-out", ""))                                                 \
    X(a_live_value, "200", GET("/lives", ""))                                                  \
    X(a_reference, "200", GET("/referenced?q=1", "Cookie: id=1\r\n"))                          \
    X(spans_and_logs, "200", GET("/traced/sub-task?q=1", TRACE))                               \
    X(an_exporter, "200", GET("/exported", ""))

#define X(name, status, request)                                                      \
    static void test_each_allocation_of_##name##_may_fail(void **state) {             \
        (void)state;                                                                  \
        torture(request, status, false);                                              \
    }                                                                                 \
    static void test_all_allocations_of_##name##_may_fail_from_one_on(void **state) { \
        (void)state;                                                                  \
        torture(request, status, true);                                               \
    }
REQUESTS(X)
#undef X

/* --- start and end: the runtime, the routes, the server --- */

static const char hello[] = GET("/hello/x", "");

static int silence(void) {
    int before = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    close(null);
    return before;
}

static void speak(int before) {
    dup2(before, STDERR_FILENO);
    close(before);
}

static void test_each_allocation_of_the_start_and_the_end_may_fail(void **state) {
    long counted = 1;
    (void)state;
    for (long at = 0; at <= counted; at += STEP) {
        struct life l = {.request = hello, .from_the_start = true};
        const gee_config cfg = {.sim = true};
        gee_census now;
        int out = silence(); /* each route that cannot be is named */
        arm(at, false);
        int rc = gee_run(&cfg, live, &l);
        long n = disarm();
        speak(out);
        counted = at == 0 ? n : counted;
        gee_census_take(&now);
        if (rc != 0 && rc != UV_ENOMEM)
            fail_msg("allocation %ld of %ld: gee_run: %s", at, counted, t_err(rc));
        if (rc == 0 && l.rc == 0 && strcmp(l.second, "HTTP/1.1 200 OK") != 0)
            fail_msg("allocation %ld of %ld: the next request: \"%s\"", at, counted, l.second);
        if (now.tasks || now.timers || now.ctxs || now.conns || now.reqs || now.bytes)
            fail_msg("allocation %ld of %ld: something is left over", at, counted);
    }
    print_message("%ld allocations\n", counted);
}

static const struct CMUnitTest tests[] = {
#define X(name, status, request)                                 \
    cmocka_unit_test(test_each_allocation_of_##name##_may_fail), \
        cmocka_unit_test(test_all_allocations_of_##name##_may_fail_from_one_on),
    REQUESTS(X)
#undef X
        cmocka_unit_test(test_each_allocation_of_the_start_and_the_end_may_fail),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, share_the_allocator, NULL);
}
