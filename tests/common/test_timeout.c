/* Deadlines of requests: who is answered when, what a late handler can still do, and what stays. */
#include "gee/timeout.h"
#include "t_left.h"
#include "t_site.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the handlers of a test saw. Nothing orders a late handler and its client. */
static struct {
    _Atomic int rc, write_rc, flush_rc, ends;
    _Atomic uint64_t deadline_ms, started_ms, ended_ms;
} saw;

static void forget(void) {
    saw.rc = saw.write_rc = saw.flush_rc = saw.ends = 0;
    saw.deadline_ms = saw.started_ms = saw.ended_ms = 0;
}

static void quick(gee_req *req) {
    gee_string(req, 200, "quick");
}

/* Notices nothing, and then answers all the same. */
static void deaf(gee_req *req) {
    saw.started_ms = gee_now_ms();
    gee_sleep(NULL, 2000);
    saw.rc = gee_ctx_err(gee_req_ctx(req));
    gee_set_header(req, "X-Late", "1");
    saw.write_rc = gee_string(req, 200, "late");
    saw.flush_rc = gee_flush(req);
    saw.ended_ms = gee_now_ms();
    saw.ends++;
}

static void listens(gee_req *req) {
    uint64_t ns = 0, now = gee_now_ms();
    gee_ctx_deadline(gee_req_ctx(req), &ns);
    saw.deadline_ms = ns / 1000000 - now;
    saw.rc = gee_sleep(gee_req_ctx(req), 60000);
    saw.ended_ms = gee_now_ms() - now;
}

static void request_id(gee_req *req) {
    gee_set_header(req, "X-Outer", "outer");
    gee_next(req);
}

static gee_group *limited(gee_group *r, const char *prefix, uint64_t ms) {
    gee_group *g = gee_group_new(r, prefix);
    gee_use_timeout_with(g, &(gee_timeout_options){.ms = ms, .log_fd = -1});
    return g;
}

static void routes(gee_group *r) {
    forget();
    gee_use(r, request_id, NULL);
    gee_group *g = limited(r, "/t", 100);
    gee_GET(g, "/quick", quick);
    gee_GET(g, "/deaf", deaf);
    gee_GET(g, "/listens", listens);
}

#define T_AT(ctx, start, ms) T_EQ(gee_now_ms() - (start), ms)

static void test_answered_in_time_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
    T_AT(ctx, start, 0);
    gee_sleep(ctx, 200);
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
}

/* The client waits neither for the handler nor after it; the connection goes on. */
static void test_deaf_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    T_EQ(t_get(ctx, c, "/t/deaf"), 504);
    T_AT(ctx, start, 100);
    T_STR(t_body(c), "504 Gateway Timeout\n");
    T_STR(t_field(c, "X-Outer"), "outer");
    T_CHECK(t_field(c, "Connection") == NULL);
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
    T_STR(t_body(c), "quick");
    T_AT(ctx, start, 100);
    gee_sleep(ctx, 1900);
    gee_sleep(ctx, 1);
    T_EQ(saw.ends, 1);
    T_RC(saw.rc, UV_ETIMEDOUT);
    T_RC(saw.write_rc, UV_EALREADY);
    T_RC(saw.flush_rc, UV_ETIMEDOUT);
    T_EQ(t_get(ctx, c, "/t/quick"), 200); /* nothing of it came in between */
    T_CHECK(t_field(c, "X-Late") == NULL);
}

static void test_listens_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    int64_t tasks = t_tasks();
    T_EQ(t_get(ctx, c, "/t/listens"), 504);
    gee_sleep(ctx, 0);
    T_RC(saw.rc, UV_ETIMEDOUT);
    T_EQ(saw.deadline_ms, 100);
    T_EQ(saw.ended_ms, 100);
    T_EQ(t_tasks(), tasks);
}

static void test_pipelined_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    t_puts(ctx, c,
           "GET /t/quick HTTP/1.1\r\nHost: t\r\n\r\nGET /t/deaf HTTP/1.1\r\nHost: t\r\n\r\n"
           "GET /t/deaf HTTP/1.1\r\nHost: t\r\n\r\nGET /t/quick HTTP/1.1\r\nHost: t\r\n\r\n");
    static const int statuses[] = {200, 504, 504, 200};
    for (int i = 0; i < 4; i++)
        T_EQ(t_response(ctx, c), statuses[i]);
    T_AT(ctx, start, 200);
}

static void test_head_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_puts(ctx, c, "HEAD /t/deaf HTTP/1.1\r\nHost: t\r\n\r\n");
    T_CHECK(t_until(ctx, c, "\r\n\r\n") != NULL);
    T_CHECK(strstr(t_text(c), "504 Gateway") && !strstr(t_text(c), "\r\n\r\n504"));
    t_drop(c);
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
}

static void test_http10_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_puts(ctx, c, "GET /t/deaf HTTP/1.0\r\n\r\n");
    T_CHECK(strstr(t_all(ctx, c), "HTTP/1.1 504 Gateway Timeout") != NULL);
}

/* A client that goes while the handler is late, and one that goes before. */
static void test_client_leaves_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    for (uint64_t ms = 50; ms <= 150; ms += 50) {
        t_conn *d = t_dial(port, 0);
        t_puts(ctx, d, "GET /t/deaf HTTP/1.1\r\nHost: t\r\n\r\n");
        gee_sleep(ctx, ms);
        t_reset(ctx, d);
    }
    gee_sleep(ctx, 3000);
    T_EQ(saw.ends, 3);
}

T_SITE(test_answered_in_time, routes)
T_SITE(test_deaf, routes)
T_SITE(test_listens, routes)
T_SITE(test_pipelined, routes)
T_SITE(test_head, routes)
T_SITE(test_http10, routes)
T_SITE(test_client_leaves, routes)

/* --- parts of a response --- */

static void two_pieces(gee_req *req) {
    gee_write(req, "one", 3);
    saw.flush_rc = gee_flush(req);
    gee_sleep(NULL, 500);
    saw.write_rc = gee_write(req, "two", 3);
}

static void gathered(gee_req *req) {
    gee_set_header(req, "X-Inner", "1");
    gee_write(req, "one", 3); /* stays in the buffer */
    gee_sleep(NULL, 500);
    saw.write_rc = gee_write(req, "two", 3);
}

static void answers_and_goes_on(gee_req *req) {
    gee_string(req, 201, "done");
    gee_sleep(NULL, 500);
    saw.ends++;
}

/* More than the client takes. */
static void endless_write(gee_req *req) {
    static char block[64 * 1024];
    int rc;
    while ((rc = gee_write(req, block, sizeof(block))) == 0)
        ;
    saw.write_rc = rc;
    saw.ended_ms = gee_now_ms();
}

static void reads(gee_req *req) {
    char buf[64];
    ssize_t n;
    while ((n = gee_body_read(req, buf, sizeof(buf))) > 0)
        ;
    saw.rc = (int)n;
    saw.write_rc = (int)gee_body_read(req, buf, sizeof(buf));
    gee_string(req, 200, "read");
}

static void part_routes(gee_group *r) {
    forget();
    gee_group *g = limited(r, "/t", 100);
    gee_GET(g, "/two-pieces", two_pieces);
    gee_GET(g, "/gathered", gathered);
    gee_GET(g, "/goes-on", answers_and_goes_on);
    gee_GET(g, "/endless", endless_write);
    gee_POST(g, "/reads", reads);
    gee_GET(g, "/quick", quick);
}

static void test_cut_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    t_puts(ctx, c, "GET /t/two-pieces HTTP/1.1\r\nHost: t\r\n\r\n");
    const char *all = t_all(ctx, c);
    T_AT(ctx, start, 100);
    T_CHECK(strstr(all, "HTTP/1.1 200 OK") && strstr(all, "\r\none\r\n"));
    T_CHECK(!strstr(all, "504") && !strstr(all, "\r\n0\r\n")); /* and no end that looks like one */
    gee_sleep(ctx, 1000);
    T_RC(saw.write_rc, UV_ETIMEDOUT);
}

static void test_gathered_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/t/gathered"), 504);
    T_CHECK(t_field(c, "X-Inner") == NULL);
    T_STR(t_body(c), "504 Gateway Timeout\n");
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
    gee_sleep(ctx, 1000);
    T_RC(saw.write_rc, UV_ETIMEDOUT);
}

static void test_answer_is_ready_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    T_EQ(t_get(ctx, c, "/t/goes-on"), 201);
    T_STR(t_body(c), "done");
    T_AT(ctx, start, 100);
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
    gee_sleep(ctx, 1000);
    T_EQ(saw.ends, 1);
}

/* The task is parked in a write when the time is up. */
static void test_writing_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    t_conn *d = t_dial(port, 4096);
    uint64_t start = gee_now_ms();
    t_puts(ctx, d, "GET /t/endless HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 200);
    T_RC(saw.write_rc, UV_ETIMEDOUT);
    T_EQ(saw.ended_ms - start, 100);
    t_close(ctx, d);
}

static void test_half_a_body_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    t_puts(ctx, c, "POST /t/reads HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf");
    T_EQ(t_response(ctx, c), 504);
    T_AT(ctx, start, 100);
    T_STR(t_field(c, "Connection"), "close");
    t_puts(ctx, c, "a bodyGET /t/quick HTTP/1.1\r\nHost: t\r\n\r\n"); /* nobody reads that */
    T_STR(t_all(ctx, c), "");
    T_RC(saw.rc, UV_ETIMEDOUT);
    T_RC(saw.write_rc, UV_ETIMEDOUT);
}

static void test_expects_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_puts(
        ctx, c,
        "POST /t/reads HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
    T_EQ(t_response(ctx, c), 100);
    T_EQ(t_response(ctx, c), 504);
    T_STR(t_all(ctx, c), "");
}

T_SITE(test_cut, part_routes)
T_SITE(test_gathered, part_routes)
T_SITE(test_answer_is_ready, part_routes)
T_SITE(test_writing, part_routes)
T_SITE(test_half_a_body, part_routes)
T_SITE(test_expects, part_routes)

/* --- several deadlines, and other answers --- */

static int64_t tick(gee_req *req, void *arg) {
    (void)arg;
    gee_sse_event(req, NULL, "tick");
    return 80;
}

static void stream(gee_req *req) {
    saw.rc = gee_timeout_extend(req, GEE_NO_TIMEOUT);
    saw.write_rc = gee_ctx_deadline(gee_req_ctx(req), NULL);
    gee_sse(req, tick, NULL);
}

static void extends(gee_req *req) {
    uint64_t ns = 0, now = gee_now_ms();
    gee_sleep(NULL, 90);
    saw.rc = gee_timeout_extend(req, 500);
    gee_timeout_extend(req, 10); /* not earlier */
    gee_ctx_deadline(gee_req_ctx(req), &ns);
    saw.deadline_ms = ns / 1000000 - now;
    gee_sleep(NULL, 10000);
    saw.write_rc = gee_timeout_extend(req, 500);
}

static void try_later(gee_req *req) {
    const char *who = gee_header(req, "X-Who");
    gee_json(req, 503, "{s:s, s:s, s:s}", "try", (const char *)gee_arg(req), "target",
             gee_target(req), "who", who ? who : "");
}

static void panics(gee_req *req) {
    (void)req;
    gee_panic("no answer for those who are late");
}

static void many_routes(gee_group *r) {
    forget();
    gee_group *outer = limited(r, "/outer", 100);
    gee_GET(limited(outer, "/short", 50), "/deaf", deaf);
    gee_GET(limited(outer, "/long", 500), "/deaf", deaf);
    gee_GET(outer, "/stream", stream);
    gee_GET(outer, "/extends", extends);
    gee_group *g = gee_group_new(outer, "/override");
    gee_use_timeout_with(g, &(gee_timeout_options){.ms = 700, .override = true, .log_fd = -1});
    gee_GET(g, "/deaf", deaf);
    g = gee_group_new(r, "/own");
    gee_use_timeout_with(
        g, &(gee_timeout_options){.ms = 100, .answer = try_later, .arg = "later", .log_fd = -1});
    gee_GET(g, "/deaf", deaf);
    g = gee_group_new(r, "/panics");
    gee_use_timeout_with(g, &(gee_timeout_options){.ms = 100, .answer = panics, .log_fd = -1});
    gee_GET(g, "/deaf", deaf);
}

static void test_nested_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *target;
        uint64_t ms;
    } cases[] = {{"/outer/short/deaf", 50},
                 {"/outer/long/deaf", 100},
                 {"/outer/override/deaf", 700},
                 {"/outer/extends", 590}};
    (void)port;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t start = gee_now_ms();
        T_EQ(t_get(ctx, c, cases[i].target), 504);
        T_AT(ctx, start, cases[i].ms);
    }
    T_RC(saw.rc, 0);
    T_EQ(saw.deadline_ms, 590);
    gee_sleep(ctx, 10000);
    T_RC(saw.write_rc, UV_ETIMEDOUT);
}

static void test_stream_goes_on_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_puts(ctx, c, "GET /outer/stream HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 1000);
    t_until(ctx, c, "tick");
    T_RC(saw.rc, 0);
    T_EQ(saw.write_rc, false);
    const char *at = t_text(c);
    int ticks = 0;
    while ((at = strstr(at, "tick")) != NULL)
        at++, ticks++;
    T_EQ(ticks, 13);
}

static void test_own_answer_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/own/deaf?x=1", "X-Who: ann\r\n"), 503);
    T_STR(t_body(c), "{\"try\":\"later\",\"target\":\"/own/deaf?x=1\",\"who\":\"ann\"}");
    T_EQ(t_get(ctx, c, "/panics/deaf"), 500);
    T_EQ(t_get(ctx, c, "/own/deaf"), 503);
}

T_SITE(test_nested, many_routes)
T_SITE(test_stream_goes_on, many_routes)
T_SITE(test_own_answer, many_routes)

/* A shutdown waits for it, as for every handler. */
static void shutdown_waits(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    (void)arg;
    routes(gee_root(e));
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), 0);
    t_conn *c = t_dial(gee_server_port(srv), 0);
    T_EQ(t_get(ctx, c, "/t/deaf"), 504);
    t_close(ctx, c);
    uint64_t start = gee_now_ms();
    T_RC(gee_server_shutdown(srv), 0);
    T_AT(ctx, start, 1900);
    T_EQ(saw.ends, 1);
    gee_engine_free(e);
}

static void test_shutdown(void **state) {
    (void)state;
    t_sim(shutdown_waits, NULL);
}

static void refused(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    T_RC(gee_use_timeout(gee_root(e), 0), UV_EINVAL);
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), UV_EINVAL);
    gee_engine_free(e);
}

static void test_refused(void **state) {
    (void)state;
    t_sim(refused, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_answered_in_time),
    cmocka_unit_test(test_deaf),
    cmocka_unit_test(test_listens),
    cmocka_unit_test(test_pipelined),
    cmocka_unit_test(test_head),
    cmocka_unit_test(test_http10),
    cmocka_unit_test(test_client_leaves),
    cmocka_unit_test(test_cut),
    cmocka_unit_test(test_gathered),
    cmocka_unit_test(test_answer_is_ready),
    cmocka_unit_test(test_writing),
    cmocka_unit_test(test_half_a_body),
    cmocka_unit_test(test_expects),
    cmocka_unit_test(test_nested),
    cmocka_unit_test(test_stream_goes_on),
    cmocka_unit_test(test_own_answer),
    cmocka_unit_test(test_shutdown),
    cmocka_unit_test(test_refused),
};

T_MAIN(tests)
