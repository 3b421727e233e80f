/* The audit: what is read of a request, who may read it, and the record of how it ended. */
#include "gee/audit.h"
#include "t_client.h"
#include "t_site.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDS "X-User-ID: u-123\r\nX-Trace-ID: t-789\r\n"

/* --- what is recorded, in the order in which it was --- */

typedef struct seen {
    char user[160], trace[160], target[64], route[64], method[16], remote[64];
    gee_audit_record r;
    bool agrees; /* with its line */
} seen;

static seen records[128];
static atomic_int nrecords;
static int taken;

static const char *text_of(const json_t *o, const char *name) {
    return json_string_value(json_object_get(o, name));
}

static json_int_t number_of(const json_t *o, const char *name) {
    return json_integer_value(json_object_get(o, name));
}

/* One line of JSON, within its bound, that says the same. */
static bool line_agrees(const gee_audit_record *r) {
    json_t *o = json_loadb(r->line, r->line_n, 0, NULL);
    bool ok = o && r->line_n <= GEE_AUDIT_LINE && r->line[r->line_n - 1] == '\n' &&
              memchr(r->line, '\n', r->line_n) == r->line + r->line_n - 1 &&
              t_streq(text_of(o, "user_id"), r->who.user_id) &&
              t_streq(text_of(o, "trace_id"), r->who.trace_id) &&
              t_streq(text_of(o, "method"), r->method) && t_streq(text_of(o, "route"), r->route) &&
              t_streq(text_of(o, "remote"), r->remote) && number_of(o, "status") == r->status &&
              number_of(o, "bytes") == (json_int_t)r->bytes &&
              number_of(o, "duration_us") == (json_int_t)(r->duration_ns / 1000) &&
              number_of(o, "access_ms") == r->who.access_ms &&
              number_of(o, "arrived_ms") == r->arrived_ms &&
              json_is_true(json_object_get(o, "access_given")) == r->who.access_given;
    json_decref(o);
    return ok;
}

static void keep(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from ? from : "(null)");
}

static void on_record(const gee_audit_record *r, void *arg) {
    int i = atomic_load(&nrecords); /* of one worker */
    (void)arg;
    if (i >= 128)
        return;
    seen *s = &records[i];
    keep(s->user, sizeof(s->user), r->who.user_id);
    keep(s->trace, sizeof(s->trace), r->who.trace_id);
    keep(s->target, sizeof(s->target), r->target);
    keep(s->route, sizeof(s->route), r->route);
    keep(s->method, sizeof(s->method), r->method);
    keep(s->remote, sizeof(s->remote), r->remote);
    s->r = *r;
    s->agrees = line_agrees(r);
    atomic_store(&nrecords, i + 1);
}

/* The one record that has come since the last time. */
static const seen *the_record(void) {
    static const seen none = {.r.status = -1};
    const seen *s = atomic_load(&nrecords) == taken + 1 ? &records[taken] : &none;
    taken = atomic_load(&nrecords);
    return s->agrees ? s : &none;
}

static void forget_records(void) {
    atomic_store(&nrecords, 0);
    taken = 0;
}

/* --- what is served --- */

static _Atomic(gee_req *) copied;

static void profile(gee_req *req) {
    const gee_audit *a = gee_audit_of(req);
    gee_json(req, 200, "{s:{s:s?, s:s?, s:I, s:b}}", "audit_context", "user_id", a->user_id,
             "trace_id", a->trace_id, "at", (json_int_t)a->access_ms, "given", a->access_given);
}

struct sub {
    gee_chan *done;
    gee_ctx *kept;
    bool knows;
};

static void sub_task(gee_ctx *ctx, void *arg) {
    struct sub *s = arg;
    const gee_audit *a = gee_audit_of_ctx(ctx);
    s->knows = a && strcmp(a->trace_id, "t-789") == 0;
    s->kept = gee_ctx_ref(ctx);
    gee_chan_send(NULL, s->done, &s->knows);
}

/* A task two ctxs further down sees it, and so does who keeps that ctx, or a copy. */
static void with_sub_task(gee_req *req) {
    struct sub s = {.done = gee_chan_new(sizeof(bool), 1)};
    gee_ctx *limited = gee_ctx_with_timeout(gee_req_ctx(req), 1000);
    gee_go(limited, sub_task, &s);
    bool knows = false;
    gee_chan_recv(NULL, s.done, &knows);
    gee_chan_unref(s.done);
    gee_ctx_end(limited);
    knows = knows && gee_audit_of_ctx(s.kept) == gee_audit_of(req);
    gee_ctx_unref(s.kept);
    atomic_store(&copied, gee_req_copy(req));
    gee_string(req, knows ? 200 : 500, "told");
}

static void fails(gee_req *req) {
    gee_fail(req, 418);
}

static void panics(gee_req *req) {
    (void)req;
    gee_panic("on purpose");
}

static void panicking_task(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_panic("a sub-task, on purpose");
}

static void lets_panic(gee_req *req) {
    gee_go(gee_req_ctx(req), panicking_task, NULL);
    gee_ctx_wait(gee_req_ctx(req));
}

static void naps(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 1500) == 0)
        gee_string(req, 200, "late");
}

/* Does not listen. */
static void naps_deeply(gee_req *req) {
    gee_sleep(NULL, 1500);
    gee_string(req, 200, "late");
}

static int64_t tick(gee_req *req, void *arg) {
    (void)arg;
    gee_sse_event(req, "tick", "now");
    return 1000;
}

static void ticks(gee_req *req) {
    gee_sse(req, tick, NULL);
}

static void audited(gee_group *g) {
    gee_GET(g, "/profile", profile);
    gee_GET(g, "/sub", with_sub_task);
    gee_GET(g, "/fails", fails);
    gee_GET(g, "/panics", panics);
    gee_GET(g, "/lets-panic", lets_panic);
    gee_GET(g, "/naps", naps);
    gee_GET(g, "/ticks", ticks);
    gee_group *recovered = gee_group_new(g, "/recovered");
    gee_use_recovery(recovered, NULL);
    gee_GET(recovered, "/panics", panics);
    gee_group *limited = gee_group_new(g, "/limited");
    gee_use_timeout_with(limited, &(gee_timeout_options){.ms = 100, .log_fd = -1});
    gee_GET(limited, "/naps", naps);
    gee_GET(limited, "/naps-deeply", naps_deeply);
}

static void routes(gee_group *root) {
    forget_records();
    gee_use_audit(root, &(gee_audit_options){.record = on_record});
    audited(root);
}

static void options(gee_group *root) {
    forget_records();
    gee_group *g = gee_group_new(root, "/optional");
    gee_use_audit(g, &(gee_audit_options){
                         .user_optional = true, .trace_optional = true, .record = on_record});
    gee_GET(g, "/profile", profile);
    g = gee_group_new(root, "/named");
    gee_use_audit(g, &(gee_audit_options){.user_header = "Who",
                                          .trace_header = "Trace",
                                          .time_header = "When",
                                          .time_required = true,
                                          .skew_ms = 10,
                                          .record = on_record});
    gee_GET(g, "/profile", profile);
    g = gee_group_new(root, "/limited"); /* the deadline is around the audit */
    gee_use_timeout_with(g, &(gee_timeout_options){.ms = 100, .log_fd = -1});
    gee_use_audit(g, &(gee_audit_options){.record = on_record});
    gee_GET(g, "/naps", naps);
    gee_GET(g, "/naps-deeply", naps_deeply);
}

static bool body_has(t_conn *c, const char *text) {
    return strstr(t_body(c), text) != NULL;
}

/* --- reading the head --- */

static void test_ids_are_taken_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/profile", IDS), 200);
    T_CHECK(body_has(c, "\"user_id\":\"u-123\",\"trace_id\":\"t-789\""));
    T_CHECK(body_has(c, "\"given\":false"));
    const seen *s = the_record();
    T_EQ(s->r.status, 200);
    T_STR(s->user, "u-123");
    T_STR(s->trace, "t-789");
    T_STR(s->route, "/profile");
    T_EQ(s->r.who.access_ms, s->r.arrived_ms); /* filled in */
    T_EQ(s->r.bytes, t_body_size(c));
    T_EQ(s->r.why, 0);
    T_EQ(t_ask(ctx, c, "GET", "/profile", "x-user-id: A.b_c:d/e+f=@|~\r\nX-TRACE-ID: 1\r\n"), 200);
    T_STR(the_record()->user, "A.b_c:d/e+f=@|~");
}

T_SITE(test_ids_are_taken, routes)

/* 128 of them are an id, 129 are none. */
#define X32   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TRACE "X-Trace-ID: t-789\r\n"

static const struct {
    const char *lines, *field, *reason;
} refused[] = {
    {"", "X-User-ID", "missing"},
    {TRACE, "X-User-ID", "missing"},
    {"X-User-ID: u\r\n", "X-Trace-ID", "missing"},
    {TRACE "X-User-ID:\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: a b\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: a\"b\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: a\\b\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: a\tb\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: <b>\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: a,b\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: \xc3\xa4\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: " X32 X32 X32 X32 "x\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: u\r\nX-User-ID: u\r\n", "X-User-ID", "malformed"},
    {TRACE "X-User-ID: u\r\nA: b\r\nx-user-id: root\r\n", "X-User-ID", "malformed"},
    {"X-User-ID: u\r\nX-Trace-ID: %0a\r\n", "X-Trace-ID", "malformed"},
};

static void test_what_is_wrong_is_named_body(gee_ctx *ctx, t_conn *c, int port) {
    char want[160];
    (void)port;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        T_EQ(t_ask(ctx, c, "GET", "/panics", refused[i].lines), 400); /* it is not reached */
        T_STR(t_field(c, "content-type"), "application/json");
        snprintf(want, sizeof(want), "{\"error\":\"%s is %s\",\"field\":\"%s\",\"reason\":\"%s\"}",
                 refused[i].field, refused[i].reason, refused[i].field, refused[i].reason);
        T_STR(t_body(c), want);
        const seen *s = the_record();
        T_EQ(s->r.status, 400);
        T_STR(s->trace, i == 0 || refused[i].field[2] == 'T' ? "(null)" : "t-789");
    }
    T_EQ(t_ask(ctx, c, "GET", "/profile", TRACE "X-User-ID: " X32 X32 X32 X32 "\r\n"), 200);
    T_EQ(strlen(the_record()->user), 128);
}

T_SITE(test_what_is_wrong_is_named, routes)

static void test_what_is_required_is_an_option_body(gee_ctx *ctx, t_conn *c, int port) {
    char lines[128];
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/optional/profile", ""), 200);
    T_CHECK(body_has(c, "\"user_id\":null,\"trace_id\":null"));
    T_STR(the_record()->user, "(null)");
    T_EQ(t_ask(ctx, c, "GET", "/optional/profile", "X-User-ID: a b\r\nX-Trace-ID: t\r\n"), 200);
    T_CHECK(body_has(c, "\"user_id\":null,\"trace_id\":\"t\""));
    const seen *s = the_record();
    int64_t now = s->r.arrived_ms;
    T_STR(s->trace, "t");
    T_EQ(t_ask(ctx, c, "GET", "/named/profile", IDS), 400);
    T_CHECK(body_has(c, "\"field\":\"Who\""));
    T_EQ(t_ask(ctx, c, "GET", "/named/profile", "Who: u\r\nTrace: t\r\n"), 400);
    T_CHECK(body_has(c, "\"field\":\"When\",\"reason\":\"missing\""));
    snprintf(lines, sizeof(lines), "Who: u\r\nTrace: t\r\nWhen: %lld\r\n", (long long)now - 11);
    T_EQ(t_ask(ctx, c, "GET", "/named/profile", lines), 400);
    T_CHECK(body_has(c, "\"field\":\"When\",\"reason\":\"malformed\""));
    snprintf(lines, sizeof(lines), "Who: u\r\nTrace: t\r\nWhen: %lld\r\n", (long long)now - 10);
    T_EQ(t_ask(ctx, c, "GET", "/named/profile", lines), 200);
    T_CHECK(body_has(c, "\"given\":true"));
    T_EQ(atomic_load(&nrecords), taken + 4);
}

T_SITE(test_what_is_required_is_an_option, options)

/* The client's, if it can be: the rest is filled in, and refuses nobody. */
static void test_access_times_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const bad[] = {
        "", "x", "1e9", "-1", "12 ", "0x10", "1000000000000000000000"};
    static const int far[] = {-300001, -300000, 0, 300000, 300001};
    char lines[160];
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/profile", IDS), 200);
    int64_t now = the_record()->r.arrived_ms;
    for (size_t i = 0; i < sizeof(far) / sizeof(*far); i++) {
        snprintf(lines, sizeof(lines), IDS "X-Access-Time: %lld\r\n", (long long)now + far[i]);
        T_EQ(t_ask(ctx, c, "GET", "/profile", lines), 200);
        const seen *s = the_record();
        bool near = far[i] >= -300000 && far[i] <= 300000;
        T_EQ(s->r.who.access_given, near);
        T_EQ(s->r.who.access_ms, near ? now + far[i] : now);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(lines, sizeof(lines), IDS "X-Access-Time: %s%s\r\n", bad[i],
                 strcmp(bad[i], "12 ") ? "" : "1");
        T_EQ(t_ask(ctx, c, "GET", "/profile", lines), 200);
        T_EQ(the_record()->r.who.access_given, false);
    }
}

T_SITE(test_access_times, routes)

/* --- who may read it --- */

static void test_sub_tasks_and_copies_have_it_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/sub", IDS), 200);
    T_EQ(t_ask(ctx, c, "GET", "/profile", "X-User-ID: other\r\nX-Trace-ID: other\r\n"), 200);
    gee_req *copy = atomic_load(&copied);
    T_CHECK(copy != NULL);
    const gee_audit *a = gee_audit_of(copy), *b = gee_audit_of_ctx(gee_req_ctx(copy));
    bool same = a && a == b && strcmp(a->user_id, "u-123") == 0;
    gee_req_release(copy);
    T_CHECK(same);
    T_CHECK(gee_audit_of_ctx(ctx) == NULL);
    T_CHECK(gee_audit_of_ctx(NULL) == NULL);
}

T_SITE(test_sub_tasks_and_copies_have_it, routes)

/* --- how requests end --- */

#define T_ENDED(want_status, want_why, want_ms)                   \
    do {                                                          \
        last = the_record();                                      \
        T_EQ(last->r.status, want_status);                        \
        T_RC(last->r.why, want_why);                              \
        T_EQ(last->r.duration_ns / 1000000, (uint64_t)(want_ms)); \
        T_STR(last->user, "u-123");                               \
    } while (0)

static const seen *last;

static void test_each_request_has_one_record_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/naps", IDS), 200);
    T_ENDED(200, 0, 1500);
    T_EQ(t_ask(ctx, c, "GET", "/fails", IDS), 418);
    T_ENDED(418, 0, 0);
    T_EQ(t_ask(ctx, c, "GET", "/nowhere?x=1", IDS), 404);
    T_ENDED(404, 0, 0);
    T_STR(last->route, "(null)");
    T_STR(last->target, "/nowhere?x=1");
    T_EQ(t_ask(ctx, c, "DELETE", "/profile", IDS), 405);
    T_ENDED(405, 0, 0);
    T_STR(last->method, "DELETE");
    T_EQ(t_ask(ctx, c, "GET", "/panics", IDS), 500);
    T_ENDED(500, GEE_EPANIC, 0);
    T_EQ(t_ask(ctx, c, "GET", "/recovered/panics", IDS), 500);
    T_ENDED(500, 0, 0); /* its answer is an answer */
    T_EQ(t_ask(ctx, c, "GET", "/lets-panic", IDS), 500);
    T_ENDED(500, GEE_EPANIC, 0);
    T_EQ(t_ask(ctx, c, "GET", "/limited/naps", IDS), 504);
    gee_sleep(ctx, 1); /* its client has the answer before the handler knows */
    T_ENDED(504, UV_ETIMEDOUT, 100);
    T_EQ(t_ask(ctx, c, "GET", "/limited/naps-deeply", IDS), 504);
    T_EQ(atomic_load(&nrecords), taken);
    gee_sleep(ctx, 1401);
    T_ENDED(504, UV_ETIMEDOUT, 1500);
}

T_SITE(test_each_request_has_one_record, routes)

static void test_a_deadline_around_the_audit_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/limited/naps", IDS), 504);
    gee_sleep(ctx, 1);
    gee_sleep(ctx, 1); /* its client has the answer before the handler knows */
    T_ENDED(504, UV_ETIMEDOUT, 100);
    T_EQ(t_ask(ctx, c, "GET", "/limited/naps-deeply", IDS), 504);
    gee_sleep(ctx, 1401);
    T_ENDED(504, UV_ETIMEDOUT, 1500);
}

T_SITE(test_a_deadline_around_the_audit, options)

static int leave(gee_ctx *ctx, int port, const char *target, uint64_t after_ms, bool reset) {
    char head[160];
    t_conn *c = t_dial(port, 0);
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n" IDS "\r\n", target);
    int rc = t_puts(ctx, c, head);
    gee_sleep(ctx, after_ms);
    if (!reset)
        t_half_close(c);
    else
        t_reset(ctx, c);
    gee_sleep(ctx, 1);
    if (!reset)
        t_close(ctx, c);
    return rc;
}

static void test_clients_that_leave_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    T_RC(leave(ctx, port, "/naps", 300, true), 0);
    T_ENDED(499, UV_ECONNRESET, 300);
    T_RC(leave(ctx, port, "/ticks", 2500, true), 0);
    T_ENDED(200, UV_ECONNRESET, 2500); /* that had begun */
    T_RC(leave(ctx, port, "/naps", 300, false), 0);
    T_ENDED(200, UV_EOF, 300); /* it might have listened still */
}

T_SITE(test_clients_that_leave, routes)

static void ask_and_stay(gee_ctx *ctx, void *arg) {
    t_conn *c = t_dial(*(int *)arg, 0);
    t_ask(ctx, c, "GET", "/ticks", IDS);
    t_close(ctx, c);
}

static void test_a_shutdown_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    (void)c;
    (void)port;
    routes(gee_root(e));
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), 0);
    int own = gee_server_port(srv);
    gee_go(ctx, ask_and_stay, &own);
    gee_sleep(ctx, 2500);
    int rc = gee_server_shutdown(srv);
    gee_engine_free(e);
    T_RC(rc, 0);
    T_ENDED(200, UV_ESHUTDOWN, 2500);
}

T_SITE(test_a_shutdown, options)

/* --- lines --- */

static int log_fd; /* of a file without a name */

static void to_a_file(gee_group *root) {
    gee_use_audit(root, &(gee_audit_options){.fd = log_fd});
    gee_GET(root, "/*rest", fails);
}

static const gee_limits large = {.uri_bytes = 64 * 1024, .head_bytes = 128 * 1024};

static const char *logged(void) {
    static char text[64 * 1024];
    ssize_t got = pread(log_fd, text, sizeof(text) - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    if (ftruncate(log_fd, 0) != 0)
        text[0] = '\0';
    return text;
}

/* The line of a request for this target. */
static void check_line(const char *line, const char *target) {
    T_CHECK(strlen(line) <= GEE_AUDIT_LINE);
    T_CHECK(strchr(line, '\n') == line + strlen(line) - 1);
    json_t *o = json_loads(line, 0, NULL);
    T_CHECK(o != NULL);
    const char *said = text_of(o, "target");
    bool cut = json_is_true(json_object_get(o, "cut"));
    bool good = cut ? strncmp(said, target, strlen(said)) == 0 && strlen(said) > 400
                    : strcmp(said, target) == 0;
    json_decref(o);
    T_CHECK(good);
    T_EQ(cut, strlen(line) > GEE_AUDIT_LINE - 20);
}

static int ask_for(gee_ctx *ctx, t_conn *c, const char *target) {
    char *head = malloc(strlen(target) + 100);
    sprintf(head, "GET %s HTTP/1.1\r\nHost: t\r\n" IDS "\r\n", target);
    int rc = t_puts(ctx, c, head);
    free(head);
    return rc < 0 ? rc : t_response(ctx, c);
}

/* Whatever a client sends, a record is one line of JSON, of at most GEE_AUDIT_LINE bytes. */
static void test_a_line_is_bounded_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const pieces[] = {"a", "%0a", "\"", "\\", "{\"}\\"};
    static char target[20000];
    (void)port;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
        for (size_t n = 1; n < 17000; n = n * 2 + 1) {
            size_t at = (size_t)snprintf(target, sizeof(target), "/x?");
            for (size_t k = 0; k < n && at < 17000; k++)
                at += (size_t)snprintf(target + at, sizeof(target) - at, "%s", pieces[i]);
            T_EQ(ask_for(ctx, c, target), 418);
            check_line(logged(), target);
        }
    T_EQ(ask_for(ctx, c, "/\xc3\xa4"), 400); /* such bytes reach no middleware */
    T_STR(logged(), "");
}

T_SITE_WITH(test_a_line_is_bounded, to_a_file, &large, 0)

/* --- several workers --- */

static void crowd(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "for i in 1 2 3 4; do " T_CURL
                 "-H 'X-User-ID: u' -H 'X-Trace-ID: t' -o /dev/null 'http://127.0.0.1:%d/[1-50]' & "
                 "done; wait",
                 port),
         0);
    gee_sleep(ctx, 10);
    int n = 0;
    for (const char *line = logged(), *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *o = json_loadb(line, (size_t)(end - line), 0, NULL);
        n += o && number_of(o, "status") == 418 && t_streq(text_of(o, "user_id"), "u");
        json_decref(o);
    }
    T_EQ(n, 200);
}

static void test_workers_do_not_mix_their_lines(void **state) {
    (void)state;
    t_site_real(3, &(t_site){to_a_file, crowd, NULL, 0});
}

static void test_what_cannot_be(void **state) {
    const gee_audit_options bad[] = {{.user_header = ""},
                                     {.trace_header = "a b"},
                                     {.time_header = "x:"},
                                     {.skew_ms = UINT64_MAX}};
    (void)state;
    gee_engine *e = gee_engine_new();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(gee_use_audit(gee_root(e), &bad[i]), UV_EINVAL);
    assert_int_equal(gee_use_audit(gee_root(e), NULL), 0);
    gee_engine_free(e);
}

static int open_log(void **state) {
    (void)state;
    log_fd = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND, 0600);
    return log_fd < 0;
}

static int close_log(void **state) {
    (void)state;
    return close(log_fd);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ids_are_taken),
    cmocka_unit_test(test_what_is_wrong_is_named),
    cmocka_unit_test(test_what_is_required_is_an_option),
    cmocka_unit_test(test_access_times),
    cmocka_unit_test(test_sub_tasks_and_copies_have_it),
    cmocka_unit_test(test_each_request_has_one_record),
    cmocka_unit_test(test_a_deadline_around_the_audit),
    cmocka_unit_test(test_clients_that_leave),
    cmocka_unit_test(test_a_shutdown),
    cmocka_unit_test(test_a_line_is_bounded),
    cmocka_unit_test(test_workers_do_not_mix_their_lines),
    cmocka_unit_test(test_what_cannot_be),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_log, close_log);
}
