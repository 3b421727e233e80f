/*
 * Chapter 2, child-not-inherit: sub-tasks of a request that has ended. The same source is linked
 * over the broken variant, the fixed one and each decoy; what a test reports says which of them
 * it met.
 */
#include "gee/spawn.h"
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

enum { SUPPLIERS = 3, DEADLINE_MS = 1000, DRAIN_MS = 2000, AN_HOUR_MS = 3600 * 1000 };

/* Nothing orders what goes on behind a request, and who looks at it. */
static _Atomic int here;
static _Atomic uint64_t ended_ms;
static _Atomic bool give_up; /* the test's own way to end what a variant leaves behind */

static int asks_a_supplier(gee_ctx *ctx, void *arg) {
    int rc = 0;
    (void)arg;
    here++;
    while (rc == 0 && !give_up)
        rc = gee_sleep(ctx, 100);
    here--;
    ended_ms = gee_now_ms();
    return rc;
}

static void offers(gee_req *req) {
    for (int i = 0; i < SUPPLIERS; i++)
        gee_req_go(req, asks_a_supplier, NULL);
    int rc = gee_req_join(req);
    gee_fail(req, rc == UV_ETIMEDOUT ? 504 : 503);
}

static void within(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req), *ctx = gee_ctx_with_timeout(before, DEADLINE_MS);
    gee_req_set_ctx(req, ctx);
    gee_next(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(ctx);
}

static void routes(gee_group *r) {
    gee_GET(r, "/offers", offers);
    gee_group *limited = gee_group_new(r, "/limited");
    gee_use(limited, within, NULL);
    gee_GET(limited, "/offers", offers);
}

/* For how long since `start` the sub-tasks were there. Then they are not. */
static const char *stayed(gee_ctx *ctx, uint64_t start, char *buf, size_t size) {
    gee_sleep(ctx, 0);
    if (here > 0)
        gee_sleep(ctx, AN_HOUR_MS);
    if (here > 0)
        snprintf(buf, size, "for ever");
    else
        snprintf(buf, size, "%.1f s", (double)(ended_ms - start) / 1e3);
    give_up = true;
    gee_sleep(ctx, 1000);
    give_up = false;
    return buf;
}

struct client {
    int port, status;
    const char *target;
    uint64_t leave_ms, answer_ms; /* leave_ms 0: it waits */
    gee_waitgroup gone;
};

static void visit(gee_ctx *ctx, void *arg) {
    struct client *v = arg;
    t_conn *c = t_dial(v->port, 0);
    char head[128];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", v->target);
    t_puts(ctx, c, head);
    if (v->leave_ms > 0)
        gee_sleep(ctx, v->leave_ms);
    else
        v->status = t_response(ctx, c);
    v->answer_ms = gee_now_ms();
    t_close(ctx, c);
    gee_waitgroup_done(&v->gone);
}

/* Until the sub-tasks are at work; they go on for half a second. */
static void send_one(gee_ctx *ctx, struct client *v) {
    gee_waitgroup_add(&v->gone, 1);
    gee_go(ctx, visit, v);
    gee_sleep(ctx, 500);
}

static void inherit(gee_ctx *ctx, void *arg) {
    const gee_limits limits = {.drain_ms = DRAIN_MS};
    char left[32], late[32], shut[32];
    gee_engine *e = gee_engine_new();
    gee_server *srv;
    (void)arg;
    routes(gee_root(e));
    T_RC(gee_listen(e, "127.0.0.1", 0, &limits, &srv), 0);
    int port = gee_server_port(srv);
    struct client leaves = {.port = port, .target = "/offers", .leave_ms = 500};
    struct client waits = {.port = port, .target = "/limited/offers"};
    struct client last = {.port = port, .target = "/offers"};
    uint64_t start = gee_now_ms();
    send_one(ctx, &leaves);
    stayed(ctx, start + 500, left, sizeof(left));
    start = gee_now_ms();
    send_one(ctx, &waits);
    gee_sleep(ctx, DEADLINE_MS - 500);
    stayed(ctx, start + DEADLINE_MS, late, sizeof(late));
    gee_waitgroup_wait(ctx, &waits.gone);
    bool answered = waits.status == 504 && waits.answer_ms == start + DEADLINE_MS;
    send_one(ctx, &last);
    start = gee_now_ms();
    gee_server_shutdown(srv);
    stayed(ctx, start, shut, sizeof(shut));
    gee_waitgroup_wait(ctx, &last.gone);
    gee_engine_free(e);
    if (strcmp(left, "0.0 s") != 0 || strcmp(late, "0.0 s") != 0 || strcmp(shut, "2.0 s") != 0 ||
        !answered)
        T_FAIL("child-not-inherit: %d sub-tasks of a request stay %s after its client has left, "
               "%s after its deadline (answer: %s), %s after the server began to shut down",
               SUPPLIERS, left, late, answered ? "in time" : "none", shut);
}

static void test_inherit(void **state) {
    (void)state;
    t_sim(inherit, NULL);
}

/* On a real socket curl waits 0.3 s and leaves; and half a second later? */
static void inherit_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    int rc = t_shell(ctx, out, sizeof(out), T_CURL "-m 0.3 http://127.0.0.1:%d/offers 2>&1", port);
    uint64_t start = gee_now_ms();
    while (here > 0 && gee_now_ms() - start < 500)
        gee_sleep(ctx, 10);
    int left = here;
    give_up = true;
    gee_sleep(ctx, left > 0 ? 300 : 0);
    give_up = false;
    T_EQ(rc, 28); /* CURLE_OPERATION_TIMEDOUT */
    if (left > 0)
        T_FAIL("child-not-inherit on a socket: half a second after curl has left, %d sub-tasks of "
               "its request are at work",
               left);
}

static void test_inherit_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, inherit_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_inherit),
    cmocka_unit_test(test_inherit_real),
};

T_MAIN(tests)
