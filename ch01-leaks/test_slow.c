/*
 * Chapter 1, handler-spawns-forever: a watcher beside each request. The same source is linked over
 * the broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 */
#include "gee/middleware.h"
#include "t_census.h"
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { REQUESTS = 50 };

static void hello(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 1); /* a query, say: the watcher has begun to wait */
    gee_string(req, 200, "hello\n");
}

/* It ends what it has begun, whether its client is there or not. */
static void stubborn(gee_req *req) {
    gee_sleep(NULL, 100);
    gee_string(req, 200, "done\n");
}

/* The most tasks of a request that are there when all that stands behind this has returned. */
static atomic_int at_its_end;

static void outer(gee_req *req) {
    int64_t before = t_tasks();
    gee_next(req);
    int more = (int)(t_tasks() - before);
    if (more > atomic_load(&at_its_end))
        atomic_store(&at_its_end, more);
    if (more > 0)
        gee_sleep(NULL, 1); /* whoever is still there may look at the request until then */
}

static void routes(gee_group *r) {
    gee_use(r, outer, NULL);
    gee_use_slow_log(r, &(gee_slow_log_options){.after_ms = 2000, .every_ms = 5000});
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/stubborn", stubborn);
}

static void handler_spawns_forever(gee_ctx *ctx, t_conn *c, int port) {
    char stays[32], parked[128];
    atomic_store(&at_its_end, 0);
    int64_t baseline = t_tasks();
    for (int i = 0; i < REQUESTS; i++)
        T_EQ(t_get(ctx, c, "/hello"), 200);
    gee_sleep(ctx, 0);
    int left = (int)(t_tasks() - baseline);
    t_parked("watch", parked, sizeof(parked));
    t_stays(ctx, baseline, stays, sizeof(stays));
    if (left > 0 || atomic_load(&at_its_end) > 0)
        T_FAIL(
            "handler-spawns-forever: when the chain of a request has returned %d task of its own "
            "is there, and %d requests leave %d tasks, which stay %s (parked: %s)",
            atomic_load(&at_its_end), REQUESTS, left, stays, parked);
    t_conn *d = t_dial(port, 0);
    t_puts(ctx, d, "GET /stubborn HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 1);
    t_close(ctx, d);
    gee_sleep(ctx, 200);
    if (atomic_load(&at_its_end) > 0)
        T_FAIL("handler-spawns-forever: when the client has left, and then the chain of its "
               "request has returned, %d task of its own is there",
               atomic_load(&at_its_end));
}

static void test_handler_spawns_forever(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, handler_spawns_forever, NULL, 0});
}

static void handler_spawns_forever_real(gee_ctx *ctx, t_conn *none, int port) {
    enum { TIMES = 20 };
    char out[512];
    gee_census base;
    (void)none;
    t_census_rest(ctx, &base);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "'http://127.0.0.1:%d/hello?[1-%d]'", port, TIMES),
         0);
    for (int i = 0; i < 100 && t_tasks() > base.tasks; i++)
        gee_sleep(ctx, 5);
    int left = (int)(t_tasks() - base.tasks);
    if (left > 0)
        T_FAIL("handler-spawns-forever on a socket: %d requests by curl leave %d tasks", TIMES,
               left);
}

static void test_handler_spawns_forever_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, handler_spawns_forever_real, NULL, 0});
}

/* --- make census --- */

static void visitor(gee_ctx *ctx, int port, int i) {
    t_conn *c = t_dial(port, 0);
    (void)i;
    t_get(ctx, c, "/hello");
    t_close(ctx, c);
}

T_CENSUS(handler_spawns_forever, routes, visitor)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_handler_spawns_forever),
    cmocka_unit_test(test_handler_spawns_forever_real),
    cmocka_unit_test(census_handler_spawns_forever),
};

T_MAIN(tests)
