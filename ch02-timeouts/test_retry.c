/*
 * Chapter 2, missing-cancel: what a try leaves with the ctx under which it was made. The same
 * source is linked over the broken variant, the fixed one and each decoy; what a test reports says
 * which of them it met.
 */
#include "gee/retry.h"
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

enum { CALLS = 50, REQUESTS = 20, TRY_MS = 30 * 1000 };

static const gee_retry_options options = {.try_ms = TRY_MS, .pause_ms = 1};

static int asks(gee_ctx *ctx, void *arg) {
    int *fail = arg;
    int rc = gee_sleep(ctx, 1);
    return rc < 0 ? rc : --*fail >= 0 ? UV_ECONNREFUSED : 0;
}

static int panics(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_panic("in a try");
}

static void retry_that_panics(void *ctx) {
    gee_retry(ctx, &options, panics, NULL);
}

struct left {
    int ctxs, timers;
};

static struct left more_than(const gee_census *before) {
    gee_census now;
    gee_census_take(&now);
    return (struct left){(int)(now.ctxs - before->ctxs), (int)(now.timers - before->timers)};
}

/* What CALLS calls leave under a ctx that goes on, of which each fails so often; -1: panics. */
static struct left after_calls(gee_ctx *ctx, int failures) {
    gee_census before;
    gee_census_take(&before);
    for (int i = 0; i < CALLS; i++) {
        int fail = failures;
        if (failures < 0)
            gee_recover(retry_that_panics, ctx, NULL);
        else
            gee_retry(ctx, &options, asks, &fail);
    }
    return more_than(&before);
}

static void missing_cancel(gee_ctx *ctx, void *arg) {
    gee_census before;
    (void)arg;
    gee_census_take(&before);
    gee_ctx *service = gee_ctx_with_cancel(ctx); /* a server's, a cache's: it lives long */
    before.ctxs++;
    struct left first = after_calls(service, 0), third = after_calls(service, 2);
    struct left panic = after_calls(service, -1);
    gee_sleep(ctx, 60 * 1000);
    struct left later = more_than(&before);
    gee_ctx_end(service);
    before.ctxs--;
    struct left at_last = more_than(&before);
    if (first.ctxs || first.timers || third.ctxs || third.timers || panic.ctxs || panic.timers)
        T_FAIL("missing-cancel: %d calls leave contexts and timers with their parent: %d and %d "
               "where the first try succeeds, %d and %d where the third does, %d and %d where one "
               "panics; a minute later there are %d contexts, behind their parent's end %d",
               CALLS, first.ctxs, first.timers, third.ctxs, third.timers, panic.ctxs, panic.timers,
               later.ctxs, at_last.ctxs);
}

static void test_missing_cancel(void **state) {
    (void)state;
    t_sim(missing_cancel, NULL);
}

/* --- on sockets: a price that all requests share, so that no single one of them ends the call ---
 */

static gee_ctx *_Atomic service;

static void price(gee_req *req) {
    int fail = 1;
    int rc = gee_retry(service, &options, asks, &fail);
    gee_string(req, rc < 0 ? 502 : 200, "42\n");
}

static void routes(gee_group *r) {
    gee_GET(r, "/price", price);
}

static void missing_cancel_real(gee_ctx *ctx, t_conn *none, int port) {
    gee_census before;
    char out[256];
    (void)none;
    service = gee_ctx_with_cancel(ctx);
    t_census_rest(ctx, &before);
    int rc =
        t_shell(ctx, out, sizeof(out),
                "for i in $(seq %d); do " T_CURL "-f http://127.0.0.1:%d/price || exit 1; done",
                REQUESTS, port);
    gee_sleep(ctx, 100); /* so that the connections are closed */
    struct left left = more_than(&before);
    gee_ctx_end(service);
    T_EQ(rc, 0);
    if (left.ctxs > 0 || left.timers > 0)
        T_FAIL("missing-cancel on a socket: %d requests by curl, with two tries each, leave %d "
               "contexts and %d timers",
               REQUESTS, left.ctxs, left.timers);
}

static void test_missing_cancel_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, missing_cancel_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_missing_cancel),
    cmocka_unit_test(test_missing_cancel_real),
};

T_MAIN(tests)
