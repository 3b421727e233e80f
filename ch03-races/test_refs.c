/*
 * Chapter 3, request-retained: a task that has a request when its handler has returned, and the
 * request that comes next. The same source is linked over the broken variant, the fixed one and
 * each decoy; what a test reports says which of them it met.
 */
#include "t_client.h"
#include "t_turn.h"
#include <stdio.h>
#include <string.h>

static const char *buyer(const gee_req *req) {
    const char *user = gee_param(req, "user");
    return user ? user : "nobody";
}

/* --- one worker --- */

enum { FIRST_MS = 500, BOB_MS = 1000, THEN_MS = 1500, BOB_TAKES_MS = 1000 };

static struct {
    char alone[16], with_bob[16];
    gee_waitgroup done;
} receipt;

/* It has the request of ann, and takes its time. */
static void sends_receipt(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    gee_sleep(ctx, FIRST_MS);
    snprintf(receipt.alone, sizeof(receipt.alone), "%s", buyer(req));
    gee_sleep(ctx, THEN_MS - FIRST_MS);
    snprintf(receipt.with_bob, sizeof(receipt.with_bob), "%s", buyer(req));
    gee_req_unref(req);
    gee_waitgroup_done(&receipt.done);
}

static void buys(gee_req *req) {
    T_RC(gee_req_ref(req), 0);
    T_RC(gee_go(gee_background(), sends_receipt, req), 0);
    gee_string(req, 200, "thank you, %s", gee_param(req, "user"));
}

static void looks(gee_req *req) {
    gee_sleep(gee_req_ctx(req), BOB_TAKES_MS);
    gee_string(req, 200, "%s looks", gee_param(req, "user"));
}

static void one_routes(gee_group *r) {
    gee_GET(r, "/buys/:user", buys);
    gee_GET(r, "/looks/:user", looks);
}

/* Both come over one connection, as from a proxy. */
static void request_retained_one(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    receipt.done = (gee_waitgroup){0};
    gee_waitgroup_add(&receipt.done, 1);
    T_EQ(t_get(ctx, c, "/buys/ann"), 200);
    gee_sleep(ctx, BOB_MS);
    T_EQ(t_get(ctx, c, "/looks/bob"), 200);
    gee_waitgroup_wait(NULL, &receipt.done);
    if (strcmp(receipt.alone, "ann") != 0 || strcmp(receipt.with_bob, "ann") != 0)
        T_FAIL("request-retained on one worker: a task has a reference on ann's request; half a "
               "second later that is %s's, and while bob is served it is %s's",
               receipt.alone, receipt.with_bob);
}

static void test_request_retained_one(void **state) {
    (void)state;
    t_site_sim(&(t_site){one_routes, request_retained_one, NULL, 0});
}

/* --- two workers, and curl: the task is on the other one, and held until bob is served --- */

enum { BOB_IS_THERE = 1, IS_READ };
static t_turn turn;
static char to[16];
static gee_waitgroup sent;

static void sends_beside(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    (void)ctx;
    t_turn_await(&turn, BOB_IS_THERE);
    snprintf(to, sizeof(to), "%s", buyer(req));
    t_turn_pass(&turn, IS_READ);
    gee_req_unref(req);
    gee_waitgroup_done(&sent);
}

static void buys_beside(gee_req *req) {
    T_RC(gee_req_ref(req), 0);
    T_RC(gee_go_on(1 - gee_worker_index(), gee_background(), sends_beside, req), 0);
    gee_string(req, 200, "thank you\n");
}

static void is_there(gee_req *req) {
    t_turn_pass(&turn, BOB_IS_THERE);
    t_turn_await(&turn, IS_READ);
    gee_waitgroup_wait(NULL, &sent);
    gee_string(req, 200, "a receipt went to %s\n", to);
}

static void two_routes(gee_group *r) {
    gee_GET(r, "/buys/:user", buys_beside);
    gee_GET(r, "/is-there/:user", is_there);
}

static void request_retained(gee_ctx *ctx, t_conn *none, int port) {
    char out[128];
    (void)none;
    t_turn_init(&turn);
    sent = (gee_waitgroup){0};
    gee_waitgroup_add(&sent, 1);
    t_shell(
        ctx, out, sizeof(out),
        "curl -sS --max-time 5 http://127.0.0.1:%d/buys/ann http://127.0.0.1:%d/is-there/bob 2>&1",
        port, port);
    if (strcmp(out, "thank you\na receipt went to ann\n") != 0)
        T_FAIL("request-retained on two workers: curl buys as ann and then comes as bob, and %s",
               strchr(out, '\n') ? strtok(strchr(out, '\n') + 1, "\n") : "gets no answer");
}

static void test_request_retained(void **state) {
    (void)state;
    t_site_real(2, &(t_site){two_routes, request_retained, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_request_retained_one),
    cmocka_unit_test(test_request_retained),
};

T_MAIN(tests)
