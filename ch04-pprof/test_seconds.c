/*
 * Chapter 4, profile-against-deadline: a profile of 30 seconds on a server whose requests have 10,
 * and whose connections may be silent for 20; and a request beside it that hangs. In virtual time.
 * Then one of ten minutes, and what comes behind a profile: its own end, and the next
 * request of its connection, which may be silent for as long as any other.
 * The same source is linked over the broken variant, the fixed one and each decoy.
 */
#include "t_site.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT_MS = 10 * 1000, SILENT_MS = 20 * 1000 };

static bool ends; /* the latest profile had a deadline when it was answered */

static void hangs(gee_req *req) {
    gee_ctx_wait(gee_req_ctx(req));
}

static void around(gee_req *req) {
    uint64_t ns;
    gee_next(req);
    ends = gee_ctx_deadline(gee_req_ctx(req), &ns) && ns < UINT64_MAX / 2;
}

static void routes(gee_group *root) {
    gee_group *g = gee_group_new(root, "");
    gee_use_idle_timeout(g, SILENT_MS);
    gee_GET(g, "/silent", hangs);
    gee_use_timeout_with(g, &(gee_timeout_options){.ms = LIMIT_MS, .log_fd = -1});
    gee_GET(g, "/hangs", hangs);
    g = gee_group_new(g, "");
    gee_use(g, around, NULL);
    gee_pprof_routes(g, NULL);
}

/* A request that hangs, a second after the profile was begun. */
struct other {
    int port;
    double seconds;
    gee_waitgroup done;
};

static double since(uint64_t start_ms) {
    return (double)(gee_now_ms() - start_ms) / 1e3;
}

static void ask_other(gee_ctx *ctx, void *arg) {
    struct other *o = arg;
    gee_ctx *end = gee_ctx_with_timeout(ctx, 60 * 1000);
    t_conn *c = t_dial(o->port, 0);
    gee_sleep(ctx, 1000);
    uint64_t start_ms = gee_now_ms();
    t_get(end, c, "/hangs");
    o->seconds = since(start_ms);
    t_close(ctx, c);
    gee_ctx_end(end);
    gee_waitgroup_done(&o->done);
}

static const char *behind(gee_ctx *ctx, t_conn *c, double *silent) {
    int status = t_get(ctx, c, "/debug/pprof/goroutine?seconds=600");
    gee_ctx *end = gee_ctx_with_timeout(ctx, 60 * 1000);
    uint64_t start_ms = gee_now_ms();
    if (status == 200)
        t_get(end, c, "/silent");
    *silent = since(start_ms);
    gee_ctx_end(end);
    return status == 200 ? "whole" : "not whole";
}

static void profile_against_deadline(gee_ctx *ctx, t_conn *c, int port) {
    struct other o = {.port = port};
    gee_waitgroup_add(&o.done, 1);
    gee_go(ctx, ask_other, &o);
    uint64_t start_ms = gee_now_ms();
    int status = t_get(ctx, c, "/debug/pprof/goroutine?seconds=30");
    double seconds = since(start_ms);
    bool whole = status == 200 && t_body_size(c) > 2 && memcmp(t_body(c), "\x1f\x8b", 2) == 0;
    gee_waitgroup_wait(NULL, &o.done);
    if (!whole || seconds != 30 || o.seconds != 10)
        T_FAIL("profile-against-deadline: a profile of 30 s is answered with %s after %.1f s, and "
               "a request that hangs beside it after %.1f s",
               whole           ? "itself"
               : status == 504 ? "504"
                               : "nothing",
               seconds, o.seconds);
    double silent;
    const char *longer = behind(ctx, c, &silent);
    if (*longer != 'w' || silent != 20 || !ends)
        T_FAIL("profile-against-deadline: a profile of 10 min is %s; the request of it has %s end, "
               "and the next one of its connection, which is silent, ends after %.1f s",
               longer, ends ? "an" : "no", silent);
}

static void test_profile_against_deadline(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, profile_against_deadline, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_profile_against_deadline),
};

T_MAIN(tests)
