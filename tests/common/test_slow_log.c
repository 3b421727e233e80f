/* The slow log: what it says, when, and that its watcher is gone before the request is. */
#include "gee/middleware.h"
#include "t_client.h"
#include "t_left.h"
#include "t_log.h"
#include "t_site.h"
#include <stdatomic.h>
#include <string.h>

#define LINE(target, s, where) \
    "gee: slow" T_LOG_TIME "\"GET " target "\" " s " s: task [0-9]+, " where "\n"

/* --- handlers --- */

static void hello(gee_req *req) {
    gee_string(req, 200, "hello");
}

static void naps(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 3200);
    gee_string(req, 200, "late");
}

static void is_deaf(gee_req *req) {
    gee_sleep(NULL, 3500);
    gee_string(req, 200, "nobody");
}

static void two_waits(gee_req *req) {
    gee_ctx *never = gee_ctx_with_timeout(gee_req_ctx(req), 1800);
    gee_sleep(never, 700);
    gee_ctx_wait(never);
    gee_ctx_end(never);
    gee_string(req, 200, "late");
}

/* Its end and a line of the log are in the same millisecond. */
static void to_the_tick(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 1000);
    gee_string(req, 200, "just so");
}

static void panics(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 1500);
    gee_panic("while it is watched, on purpose");
}

/* --- how many tasks there are when the chain behind has returned, however it does --- */

static _Atomic int64_t more; /* the most that were left of a request */

static void count_what_is_left(void *before) {
    int64_t left = t_tasks() - *(int64_t *)before;
    if (left > more)
        more = left;
}

static void outer(gee_req *req) {
    int64_t before = t_tasks();
    gee_cleanup after;
    gee_cleanup_push(&after, count_what_is_left, &before);
    gee_next(req);
    gee_cleanup_pop(&after, true);
}

static void routes(gee_group *r) {
    gee_use(r, outer, NULL);
    gee_use_slow_log(r,
                     &(gee_slow_log_options){.after_ms = 1000, .every_ms = 1000, .fd = t_log_fd});
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/naps", naps);
    gee_GET(r, "/deaf", is_deaf);
    gee_GET(r, "/two", two_waits);
    gee_GET(r, "/tick", to_the_tick);
    gee_GET(r, "/panics", panics);
}

static void test_says_where_it_is_parked_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/hello"), 200);
    T_STR(t_logged(), "");
    T_EQ(t_get(ctx, c, "/naps?x=1"), 200);
    T_LOGGED("^" LINE("/naps\\?x=1", "1.0", "sleep 1.0 s at tests/common/test_slow_log.c:[0-9]+")
                 LINE("/naps\\?x=1", "2.0", "sleep 2.0 s at .*")
                     LINE("/naps\\?x=1", "3.0", "sleep 3.0 s at .*") "$");
    T_EQ(t_get(ctx, c, "/two"), 200);
    T_LOGGED("^" LINE("/two", "1.0", "ctx done 0.3 s at .*") "$");
}

T_SITE(test_says_where_it_is_parked, routes)

static void test_ends_with_its_request_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census base, now;
    char diff[128];
    (void)port;
    more = 0;
    T_EQ(t_get(ctx, c, "/hello"), 200);
    gee_sleep(ctx, 1);
    gee_census_take(&base);
    for (int i = 0; i < 20; i++)
        T_EQ(t_get(ctx, c, "/hello"), 200);
    T_EQ(t_get(ctx, c, "/tick"), 200);
    T_EQ(t_get(ctx, c, "/naps"), 200);
    T_EQ(t_get(ctx, c, "/panics"), 500);
    T_EQ(more, 0); /* at no instant was a watcher there that had no request */
    gee_sleep(ctx, 1);
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "");
    T_CHECK(strstr(t_logged(), "/panics\" 1.0 s"));
}

T_SITE(test_ends_with_its_request, routes)

/* Who goes on although nobody listens any more is still reported, with that. */
static void test_goes_on_when_the_client_has_left_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *d = t_dial(port, 0);
    (void)c;
    T_RC(t_puts(ctx, d, "GET /deaf HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    gee_sleep(ctx, 1500);
    t_reset(ctx, d);
    gee_sleep(ctx, 3000);
    T_LOGGED("^" LINE("/deaf", "1.0", "sleep 1.0 s at [^ ]+") LINE(
        "/deaf", "2.0",
        "sleep 2.0 s at [^ ]+, its ctx ended 0.5 s ago \\(connection reset by peer\\)")
                 LINE("/deaf", "3.0", "sleep 3.0 s at .*, its ctx ended 1.5 s ago .*") "$");
}

T_SITE(test_goes_on_when_the_client_has_left, routes)

/* --- options --- */

static void naps_long(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 12000);
    gee_string(req, 200, "late");
}

static void by_default(gee_group *r) {
    gee_use_request_id(r, NULL);
    gee_use_slow_log(r, &(gee_slow_log_options){.fd = t_log_fd});
    gee_GET(r, "/naps", naps_long);
}

static void test_defaults_and_id_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/naps", "X-Request-ID: abc-1\r\n"), 200);
    T_LOGGED("^" LINE("/naps", "1.0", "sleep 1.0 s at [^ ]+, id abc-1")
                 LINE("/naps", "11.0", "sleep 11.0 s at [^ ]+, id abc-1") "$");
}

T_SITE(test_defaults_and_id, by_default)

/* --- on sockets, with several workers --- */

static void naps_a_little(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 150);
    gee_string(req, 200, "late\n");
}

static void impatient(gee_group *r) {
    gee_use_slow_log(r, &(gee_slow_log_options){.after_ms = 50, .every_ms = 1000, .fd = t_log_fd});
    gee_GET(r, "/naps", naps_a_little);
    gee_GET(r, "/hello", hello);
}

static void real_body(gee_ctx *ctx, t_conn *none, int port) {
    gee_census base;
    char out[512], diff[128];
    (void)none;
    t_census_rest(ctx, &base);
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-Z --parallel-max 8 'http://127.0.0.1:%d/naps?[1-8]' 2>/dev/null", port),
         0);
    const char *text = t_logged();
    int lines = 0;
    for (const char *at = text; (at = strstr(at, "gee: slow")) != NULL; at++)
        lines++;
    T_CHECK(lines >= 8); /* on a slow machine one may be said twice */
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "'http://127.0.0.1:%d/hello?[1-30]'", port), 0);
    T_STR(t_census_settles(ctx, &base, 3000, diff, sizeof(diff)), "");
}

static void test_real(void **state) {
    (void)state;
    t_site_real(2, &(t_site){impatient, real_body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_says_where_it_is_parked),
    cmocka_unit_test(test_ends_with_its_request),
    cmocka_unit_test(test_goes_on_when_the_client_has_left),
    cmocka_unit_test(test_defaults_and_id),
    cmocka_unit_test(test_real),
};

T_LOG_MAIN(tests)
