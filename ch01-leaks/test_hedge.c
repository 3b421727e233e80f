/*
 * Chapter 1, send-no-receiver: hedged calls, and what becomes of those that lose. The same source
 * is linked over the broken variant, the fixed one and each decoy; what a test reports says
 * which of them it met.
 */
#include "t_census.h"
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 50, MOST = 5, MANY = 200 };

/* A replica that needs so long; one of 0 ms is down. */
static int replica(gee_ctx *ctx, void *arg, void *result) {
    uint64_t ms = *(uint64_t *)arg;
    *(int *)result = (int)ms;
    int rc = gee_sleep(ctx, ms ? ms : 10);
    return rc == 0 && ms == 0 ? UV_ECONNREFUSED : rc;
}

static void ask(gee_req *req, const uint64_t *ms, size_t n) {
    const gee_hedge_options options = {.result_size = sizeof(int)};
    gee_hedge_call calls[MOST];
    int answer = 0;
    for (size_t i = 0; i < n; i++)
        calls[i] = (gee_hedge_call){replica, &ms[i], sizeof(ms[i])};
    int rc = gee_hedge(gee_req_ctx(req), calls, n, &options, &answer);
    gee_string(req, rc < 0 ? 502 : 200, "replica %d after %d ms\n", rc, answer);
}

/* One is fast, the others are not. */
static void hedge(gee_req *req) {
    static const uint64_t ms[MOST] = {10, 1000, 2000, 3000, 4000};
    ask(req, ms, (size_t)atoi(gee_param(req, "n")));
}

/* More than anybody would make room for by a guess. */
static void many(gee_req *req) {
    static uint64_t ms[MANY];
    const gee_hedge_options options = {.result_size = sizeof(int)};
    gee_hedge_call calls[MANY];
    int answer = 0;
    for (size_t i = 0; i < MANY; i++) {
        ms[i] = 10 + i;
        calls[i] = (gee_hedge_call){replica, &ms[i], sizeof(ms[i])};
    }
    int rc = gee_hedge(gee_req_ctx(req), calls, MANY, &options, &answer);
    gee_string(req, rc < 0 ? 502 : 200, "replica %d after %d ms\n", rc, answer);
}

/* One is down and one answers, at the same moment. */
static void one_down(gee_req *req) {
    static const uint64_t ms[] = {0, 10};
    ask(req, ms, 2);
}

static void routes(gee_group *r) {
    gee_GET(r, "/hedge/:n", hedge);
    gee_GET(r, "/one-down", one_down);
    gee_GET(r, "/many", many);
}

/* How many of CALLS calls are answered, within a minute each. */
static int answered(gee_ctx *ctx, int port, const char *target) {
    int n = 0;
    for (int i = 0; i < CALLS; i++) {
        gee_ctx *soon = gee_ctx_with_timeout(ctx, 60 * 1000);
        t_conn *c = t_dial(port, 0);
        n += t_get(soon, c, target) == 200;
        t_close(ctx, c);
        gee_ctx_end(soon);
    }
    gee_sleep(ctx, 1); /* what is about to end has ended */
    return n;
}

/* What the calls leave behind. */
static int left_by(gee_ctx *ctx, int port, const char *target) {
    char how_long[32];
    int64_t before = t_tasks();
    if (answered(ctx, port, target) != CALLS)
        t_fail(__FILE__, __LINE__, "%s is not answered", target);
    t_stays(ctx, before, how_long, sizeof(how_long));
    return (int)(t_tasks() - before);
}

static void send_no_receiver(gee_ctx *ctx, t_conn *c, int port) {
    char parked[128];
    int two = left_by(ctx, port, "/hedge/2"), three = left_by(ctx, port, "/hedge/3"),
        five = left_by(ctx, port, "/hedge/5"), leaked = t_leaked();
    int lost = CALLS - answered(ctx, port, "/one-down");
    if (two + three + five + lost > 0)
        T_FAIL(
            "send-no-receiver: %d hedged calls leave tasks behind: of two %d, of three %d, of five "
            "%d; of these %d are found leaked; %d good answers get lost (parked: %s)",
            CALLS, two, three, five, leaked, lost, t_parked("hedge", parked, sizeof(parked)));
    int64_t before = t_tasks();
    T_EQ(t_get(ctx, c, "/many"), 200);
    gee_sleep(ctx, 60 * 1000);
    if (t_tasks() > before)
        T_FAIL("send-no-receiver: a hedged call of %d leaves %d tasks behind (parked: %s)", MANY,
               (int)(t_tasks() - before), t_parked("hedge", parked, sizeof(parked)));
}

static void test_send_no_receiver(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, send_no_receiver, NULL, 0});
}

/* The slow ones are cancelled at once: nothing here waits for a second. */
static void send_no_receiver_real(gee_ctx *ctx, t_conn *none, int port) {
    enum { CURLS = 10 };
    char out[1024], parked[128];
    (void)none;
    int64_t before = t_tasks();
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "for i in $(seq %d); do " T_CURL "-f http://127.0.0.1:%d/hedge/3 || exit 1; done",
                 CURLS, port),
         0);
    for (int waited = 0; t_tasks() > before && waited < 100; waited++)
        gee_sleep(ctx, 5);
    if (t_tasks() > before)
        T_FAIL("send-no-receiver on a socket: %d curls are answered, and leave %d tasks behind "
               "(parked: %s)",
               CURLS, (int)(t_tasks() - before), t_parked("hedge", parked, sizeof(parked)));
}

static void test_send_no_receiver_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, send_no_receiver_real, NULL, 0});
}

/* --- make census --- */

static void asks(gee_ctx *ctx, int port, int i) {
    t_conn *c = t_dial(port, 0);
    (void)i;
    t_get(ctx, c, "/hedge/3");
    t_close(ctx, c);
}

T_CENSUS(send_no_receiver, routes, asks)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(census_send_no_receiver),
    cmocka_unit_test(test_send_no_receiver),
    cmocka_unit_test(test_send_no_receiver_real),
};

T_MAIN(tests)
