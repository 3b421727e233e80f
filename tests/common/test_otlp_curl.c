/*
 * The exporter on real sockets, by libcurl, against a strict receiver: a server of its own, which
 * wants POST, application/json and what t_otlp.h asks for, and answers as it is told.
 */
#include "gee/gee.h"
#include "gee/otlp_curl.h"
#include "t_client.h"
#include "t_otlp.h"
#include "t_program.h"
#include <curl/curl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the receiver --- */

static _Atomic int requests, wrong, hanging;
static _Atomic int refusals, refuse_with; /* so many requests, with that status */
static _Atomic size_t records[GEE_OTLP_SIGNALS];
static char error[512]; /* what was wrong first; written once */

static void reset(void) {
    requests = wrong = hanging = refusals = refuse_with = 0;
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
        records[i] = 0;
    *error = '\0';
}

static void say_wrong(gee_req *req, const char *what) {
    if (atomic_fetch_add(&wrong, 1) == 0)
        snprintf(error, sizeof(error), "%s: %s", gee_target(req), what);
    gee_string(req, 400, "%s", what);
}

static void receive(gee_req *req) {
    enum gee_otlp_signal signal = *(enum gee_otlp_signal *)gee_arg(req);
    const char *type = gee_header(req, "content-type"), *data, *key = gee_header(req, "api-key");
    char what[400];
    json_t *all;
    size_t n;
    atomic_fetch_add(&requests, 1);
    if (gee_body(req, &data, &n) < 0) {
        say_wrong(req, "no body");
        return;
    }
    if (atomic_load(&hanging))
        gee_ctx_wait(gee_req_ctx(req));
    if (atomic_load(&refusals) > 0 && atomic_fetch_sub(&refusals, 1) > 0) {
        gee_set_header(req, "Retry-After", "1");
        gee_string(req, refuse_with, "not now");
        return;
    }
    t_otlp_check_text(signal, data, n, what, sizeof(what), &all);
    if (!t_streq(type, "application/json"))
        snprintf(what, sizeof(what), "its Content-Type is %s", type ? type : "not there");
    else if (!t_streq(key, "a b"))
        snprintf(what, sizeof(what), "api-key is %s", key ? key : "not there");
    if (*what) {
        say_wrong(req, what);
    } else {
        atomic_fetch_add(&records[signal], t_otlp_count(signal, all));
        gee_json(req, 200, "{}");
    }
    json_decref(all);
}

static gee_engine *receiver_engine(void) {
    static enum gee_otlp_signal signals[] = {GEE_OTLP_TRACES, GEE_OTLP_LOGS, GEE_OTLP_METRICS};
    static const char *const paths[] = {"/v1/traces", "/v1/logs", "/v1/metrics"};
    gee_engine *e = gee_engine_new();
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
        gee_handle(gee_root(e), "POST", paths[i], receive, &signals[i]);
    return e;
}

/* --- a server that is traced --- */

static gee_otlp *exporter;

static int part(gee_ctx *ctx, void *arg) {
    gee_span *s = gee_span_start(ctx, arg, GEE_SPAN_INTERNAL, NULL);
    gee_span_end(s);
    return 0;
}

static void item(gee_req *req) {
    gee_req_go(req, part, "part");
    gee_req_join(req);
    gee_otlp_log(NULL, gee_req_ctx(req), GEE_LOG_INFO, "item %s", gee_param(req, "id"));
    gee_string(req, 200, "12345");
}

/* 0, or an error. The exporter goes with the engine. */
static int traced_engine(const char *endpoint, gee_engine **out) {
    const gee_otlp_curl_options curl = {endpoint, "Api-Key=a%20b"};
    gee_otlp_options opt = {.service_name = "test"};
    gee_engine *e = *out = gee_engine_new();
    gee_group *root = gee_root(e);
    int rc = gee_otlp_curl_new(&curl, &opt.transport);
    if (rc == 0)
        rc = gee_otlp_new(&opt, &exporter);
    if (rc == 0)
        rc = gee_otlp_attach(exporter, e);
    gee_use_metrics(root);
    gee_use_logger(root,
                   &(gee_logger_options){.fd = -1, .line = gee_otlp_access_line, .arg = exporter});
    gee_use_tracing(root, exporter);
    gee_GET(root, "/items/:id", item);
    return rc;
}

/* --- both, and the exporter's task --- */

typedef struct both {
    gee_engine *receiver, *site;
    gee_server *receiver_server, *site_server;
    int receiver_port, port;
    gee_ctx *own;
    gee_waitgroup running;
} both;

static void run(gee_ctx *ctx, void *arg) {
    both *b = arg;
    gee_otlp_run(ctx, exporter);
    gee_waitgroup_done(&b->running);
}

static void start(gee_ctx *ctx, both *b) {
    char endpoint[64];
    reset();
    b->receiver = receiver_engine();
    gee_listen(b->receiver, "127.0.0.1", 0, NULL, &b->receiver_server);
    b->receiver_port = gee_server_port(b->receiver_server);
    snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d/", b->receiver_port);
    T_RC(traced_engine(endpoint, &b->site), 0);
    T_RC(gee_listen(b->site, "127.0.0.1", 0, NULL, &b->site_server), 0);
    b->port = gee_server_port(b->site_server);
    b->own = gee_ctx_with_cancel(ctx);
    gee_waitgroup_add(&b->running, 1);
    T_RC(gee_go(b->own, run, b), 0);
}

static void stop(both *b) {
    gee_ctx_end(b->own);
    gee_waitgroup_wait(NULL, &b->running);
    T_RC(gee_server_shutdown(b->site_server), 0);
    gee_engine_free(b->site); /* closes the connections to the receiver */
    T_RC(gee_server_shutdown(b->receiver_server), 0);
    gee_engine_free(b->receiver);
    T_STR(error, "");
}

static gee_otlp_stats stats(enum gee_otlp_signal signal) {
    gee_otlp_stats s;
    gee_otlp_stats_of(exporter, signal, &s);
    return s;
}

static int visit(gee_ctx *ctx, int port, int n) {
    char out[4096];
    return t_shell(ctx, out, sizeof(out),
                   T_CURL "-Z --parallel-max 8 -o /dev/null 'http://127.0.0.1:%d/items/[1-%d]' "
                          "2>/dev/null",
                   port, n);
}

/* --- the tests --- */

static void arrives(gee_ctx *ctx, void *arg) {
    both b = {.port = 0};
    (void)arg;
    start(ctx, &b);
    T_EQ(visit(ctx, b.port, 100), 0);
    T_RC(gee_otlp_flush(ctx, exporter), 0);
    T_EQ(records[GEE_OTLP_TRACES], 200); /* with their sub-tasks */
    T_EQ(records[GEE_OTLP_LOGS], 200);   /* with the access log */
    T_CHECK(records[GEE_OTLP_METRICS] > 50);
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
        gee_otlp_stats s = stats((enum gee_otlp_signal)i);
        T_EQ(s.fates[GEE_OTLP_SENT], records[i]);
        T_EQ(s.offered, s.fates[GEE_OTLP_SENT]);
        T_EQ(s.requests_retry + s.requests_failed, 0);
    }
    stop(&b);
}

static void test_everything_arrives(void **state) {
    (void)state;
    t_real(3, arrives, NULL);
}

/* What was refused comes again, once, when Retry-After says. */
static void comes_again(gee_ctx *ctx, void *arg) {
    both b = {.port = 0};
    start(ctx, &b);
    refuse_with = *(int *)arg;
    refusals = 3; /* one of each signal */
    T_EQ(visit(ctx, b.port, 5), 0);
    uint64_t t0 = gee_now_ms();
    T_RC(gee_otlp_flush(ctx, exporter), 0);
    T_CHECK(gee_now_ms() - t0 >= 950);
    T_EQ(records[GEE_OTLP_TRACES], 10);
    T_EQ(stats(GEE_OTLP_TRACES).requests_retry + stats(GEE_OTLP_LOGS).requests_retry +
             stats(GEE_OTLP_METRICS).requests_retry,
         3);
    stop(&b);
}

static void test_what_is_refused_comes_again(void **state) {
    static int all[] = {429, 503};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        t_real(1, comes_again, &all[i]);
}

/* One that takes a request and says nothing: the end does not wait for it. */
static void hangs(gee_ctx *ctx, void *arg) {
    both b = {.port = 0};
    (void)arg;
    start(ctx, &b);
    hanging = 1;
    T_EQ(visit(ctx, b.port, 3), 0);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 300);
    T_RC(gee_otlp_flush(soon, exporter), UV_ETIMEDOUT);
    gee_ctx_end(soon);
    T_CHECK(requests >= 1);
    uint64_t t0 = gee_now_ms();
    gee_ctx_cancel(b.own, 0);
    gee_waitgroup_wait(NULL, &b.running);
    T_CHECK(gee_now_ms() - t0 < 5000);
    T_EQ(stats(GEE_OTLP_TRACES).fates[GEE_OTLP_SHUTDOWN], 6);
    T_EQ(stats(GEE_OTLP_TRACES).waiting, 0);
    stop(&b);
}

static void test_one_that_hangs_holds_up_nothing(void **state) {
    (void)state;
    t_real(1, hangs, NULL);
}

/* Nobody listens there. */
static void refused(gee_ctx *ctx, void *arg) {
    gee_otlp_transport t;
    gee_otlp_answer a = {.body_n = 0};
    gee_ctx *over = gee_ctx_with_cancel(ctx);
    (void)arg;
    T_RC(gee_otlp_curl_new(&(gee_otlp_curl_options){.endpoint = "http://127.0.0.1:1"}, &t), 0);
    T_RC(t.post(ctx, t.arg, "/v1/logs", "{}", 2, &a), UV_ECONNREFUSED);
    gee_ctx_cancel(over, 0);
    T_RC(t.post(over, t.arg, "/v1/logs", "{}", 2, &a), UV_ECANCELED);
    gee_ctx_end(over);
    gee_otlp_curl_free(&t);
}

static void test_nobody_is_there(void **state) {
    (void)state;
    t_real(1, refused, NULL);
}

static void test_what_is_no_endpoint_is_refused(void **state) {
    static const struct {
        gee_otlp_curl_options opt;
        int rc;
    } cases[] = {
        {{NULL, NULL}, 0},
        {{"https://collector.example:4318/otlp/", "a=1, b=2,"}, 0},
        {{"collector:4318", NULL}, UV_EINVAL},
        {{"ftp://x", NULL}, UV_EINVAL},
        {{"http://", NULL}, UV_EINVAL},
        {{"http://x y", NULL}, UV_EINVAL},
        {{NULL, "a"}, UV_EINVAL},
        {{NULL, "a b=1"}, UV_EINVAL},
        {{NULL, "=1"}, UV_EINVAL},
        {{NULL, "a=1%0d%0aX: y"}, UV_EINVAL},
        {{NULL, "a=1%00"}, UV_EINVAL},
    };
    gee_otlp_transport t;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int rc = gee_otlp_curl_new(&cases[i].opt, &t);
        if (rc != cases[i].rc)
            fail_msg("%s %s: %s", cases[i].opt.endpoint ? cases[i].opt.endpoint : "-",
                     cases[i].opt.headers ? cases[i].opt.headers : "-", t_err(rc));
        if (rc == 0)
            gee_otlp_curl_free(&t);
    }
    setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "nonsense", 1);
    assert_int_equal(gee_otlp_curl_new(NULL, &t), UV_EINVAL);
    unsetenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT");
}

/* --- a whole program, and its end --- */

static int program(void) {
    gee_engine *e;
    int rc = traced_engine(NULL, &e);
    if (rc == 0)
        rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    curl_global_cleanup();
    return rc ? 1 : 0;
}

struct child {
    t_program p;
    char endpoint[64];
    bool started;
    int status;
};

static void start_child(void *arg) {
    struct child *c = arg;
    setenv("GEE_PORT", "0", 1);
    c->started = t_program_start(&c->p, "OTEL_EXPORTER_OTLP_ENDPOINT", c->endpoint);
}

static void end_child(void *arg) {
    struct child *c = arg;
    t_program_tell(&c->p, SIGTERM);
    c->status = t_program_finish(&c->p);
}

/* Its spans would wait for 5 s: it is its end that sends them, all of them, once. */
static void ends_well(gee_ctx *ctx, void *arg) {
    struct child c = {.status = -1};
    gee_engine *e = receiver_engine();
    gee_server *srv;
    reset();
    refuse_with = 503;
    refusals = *(int *)arg;
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), 0);
    snprintf(c.endpoint, sizeof(c.endpoint), "http://127.0.0.1:%d", gee_server_port(srv));
    T_RC(gee_blocking(ctx, start_child, &c), 0);
    T_CHECK(c.started);
    T_EQ(visit(ctx, c.p.port, 20), 0);
    T_EQ(records[GEE_OTLP_TRACES], 0);
    T_RC(gee_blocking(ctx, end_child, &c), 0);
    T_EQ(c.status, 0);
    T_EQ(records[GEE_OTLP_TRACES], 40);
    T_EQ(records[GEE_OTLP_LOGS], 40);
    T_CHECK(records[GEE_OTLP_METRICS] > 50);
    T_RC(gee_server_shutdown(srv), 0);
    gee_engine_free(e);
    T_STR(error, "");
}

static void test_a_program_ends_with_all_sent(void **state) {
    static int none = 0, three = 3;
    (void)state;
    t_real(1, ends_well, &none);
    t_real(1, ends_well, &three);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_everything_arrives),
    cmocka_unit_test(test_what_is_refused_comes_again),
    cmocka_unit_test(test_one_that_hangs_holds_up_nothing),
    cmocka_unit_test(test_nobody_is_there),
    cmocka_unit_test(test_what_is_no_endpoint_is_refused),
    cmocka_unit_test(test_a_program_ends_with_all_sent),
};

int main(int argc, char **argv) {
    t_curl_setup(NULL); /* without TLS */
    if (argc > 1 && t_streq(argv[1], "--program"))
        return program();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return rc;
}
