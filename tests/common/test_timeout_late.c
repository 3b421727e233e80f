/* A handler that is late: what the logs, the leak check and the pages under /debug say of it. */
#include "gee/timeout.h"
#include "t_site.h"
#include "web/web.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the handlers of a test saw. Nothing orders a late handler and its client. */
static struct {
    _Atomic int rc, reaches_its_client;
    _Atomic uint64_t ended_ms;
} saw;

static void quick(gee_req *req) {
    gee_string(req, 200, "quick");
}

/* Notices nothing, and then answers all the same. */
static void deaf(gee_req *req) {
    char peer[64];
    gee_sleep(NULL, 2000);
    gee_conn_peer(req->x.conn, peer, sizeof(peer));
    saw.reaches_its_client = peer[0] != '\0';
    gee_string(req, 200, "late");
}

static void late_panic(gee_req *req) {
    (void)req;
    gee_sleep(NULL, 500);
    gee_panic("nobody is there any more");
}

static void child(gee_ctx *ctx, void *arg) {
    gee_waitgroup *wg = arg;
    saw.rc = gee_sleep(ctx, 60000);
    saw.ended_ms = gee_now_ms();
    gee_waitgroup_done(wg);
}

static void has_a_child(gee_req *req) {
    gee_waitgroup wg = {0};
    gee_waitgroup_add(&wg, 1);
    gee_go(gee_req_ctx(req), child, &wg);
    gee_waitgroup_wait(NULL, &wg);
}

static int log_fd;

static void late_routes(gee_group *r) {
    if (ftruncate(log_fd, 0) < 0)
        perror("ftruncate");
    gee_use_logger(r, &(gee_logger_options){.format = GEE_LOG_COMMON, .fd = log_fd});
    gee_group *g = gee_group_new(r, "/t");
    gee_use_timeout_with(g, &(gee_timeout_options){.ms = 100, .log_fd = log_fd});
    gee_GET(g, "/panic", late_panic);
    gee_GET(g, "/child", has_a_child);
    gee_GET(g, "/deaf", deaf);
    gee_GET(g, "/quick", quick);
}

static const char *read_log(void) {
    static char text[4096];
    ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void test_panic_when_late_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/t/panic"), 504);
    gee_sleep(ctx, 1000);
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
}

static void test_children_end_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    T_EQ(t_get(ctx, c, "/t/child"), 504);
    gee_sleep(ctx, 0);
    T_RC(saw.rc, UV_ETIMEDOUT);
    T_EQ(saw.ended_ms - start, 100);
}

/* The line says where the time went, and the access log says 504. The client is still there, on a
 * connection that is the handler's no more: nothing may lead to it, since it may go at any time. */
static void test_log_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/t/deaf?a=b"), 504);
    gee_sleep(ctx, 0);
    const char *log = read_log();
    T_CHECK(strstr(log, "gee: timed out after 100 ms: GET /t/deaf?a=b\n") != NULL);
    T_CHECK(strstr(log, "\"GET /t/deaf?a=b\": waiting (sleep) 0.100 s at "
                        "tests/common/test_timeout_late.c:") != NULL);
    T_CHECK(strstr(log, ", DOES NOT LISTEN to its ctx, created at common/src/http/serve.c:"));
    gee_sleep(ctx, 3000);
    T_CHECK(strstr(read_log(), "\"GET /t/deaf?a=b HTTP/1.1\" 504 ") != NULL);
    T_EQ(saw.reaches_its_client, 0);
    T_EQ(t_get(ctx, c, "/t/child"), 504);
    T_CHECK(strstr(read_log(), "\"child\": waiting (sleep) 0.100 s at tests") != NULL);
}

/* The census is back where it was as soon as the handler is. */
static void test_at_rest_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, after;
    char diff[256];
    (void)port;
    T_EQ(t_get(ctx, c, "/t/quick"), 200);
    gee_sleep(ctx, 1);
    gee_census_take(&before);
    T_EQ(t_get(ctx, c, "/t/deaf"), 504);
    gee_census_take(&after);
    T_EQ(after.conns - before.conns, 1);
    gee_sleep(ctx, 2000);
    gee_census_take(&after);
    T_STR(t_census_diff(&before, &after, diff, sizeof(diff)), "");
}

T_SITE(test_panic_when_late, late_routes)
T_SITE(test_children_end, late_routes)
T_SITE(test_log, late_routes)
T_SITE(test_at_rest, late_routes)

/* --- /debug/requests --- */

static void debug_routes(gee_group *r) {
    late_routes(r);
    gee_debug_routes(r);
}

/* One that is late, one that is not, and the one that asks. */
static void test_requests_page_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *late = t_dial(port, 0), *other = t_dial(port, 0);
    (void)port;
    T_EQ(t_get(ctx, late, "/t/deaf?x=1"), 504);
    gee_sleep(ctx, 900);
    t_puts(ctx, other, "GET /t/child HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 50);
    T_EQ(t_get(ctx, c, "/debug/requests"), 200);
    T_CHECK(
        strstr(t_body(c), "GET /t/deaf?x=1\n    1.1 s, its time was up 1.0 s ago, AND ITS CLIENT "
                          "HAS BEEN ANSWERED\ntask ") ||
        strstr(t_body(c), "GET /t/deaf?x=1\n    1.1 s, its time was up 0.9 s ago, AND ITS CLIENT "
                          "HAS BEEN ANSWERED\ntask "));
    T_CHECK(strstr(t_body(c), "GET /t/child\n    0.1 s, 0.1 s left\n") ||
            strstr(t_body(c), "GET /t/child\n    0.0 s, 0.1 s left\n"));
    T_CHECK(strstr(t_body(c), "\"child\", worker 0") != NULL);
    T_CHECK(strstr(t_body(c), "GET /debug/requests\n    0.0 s, no deadline\n") != NULL);
    T_EQ(t_get(ctx, c, "/debug/requests?format=json"), 200);
    T_CHECK(strstr(t_body(c), "\"request\":\"GET /t/deaf?x=1\",\"ms\":1050,\"deadline_ms\":-950,"
                              "\"late\":true,\"tasks\":[{") != NULL);
    t_close(ctx, late);
    t_close(ctx, other);
}

T_SITE(test_requests_page, debug_routes)

static int open_log(void **state) {
    (void)state;
    log_fd = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    return log_fd < 0;
}

static int close_log(void **state) {
    (void)state;
    return close(log_fd);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_panic_when_late, open_log, close_log),
    cmocka_unit_test_setup_teardown(test_children_end, open_log, close_log),
    cmocka_unit_test_setup_teardown(test_log, open_log, close_log),
    cmocka_unit_test_setup_teardown(test_at_rest, open_log, close_log),
    cmocka_unit_test_setup_teardown(test_requests_page, open_log, close_log),
};

T_MAIN(tests)
