/*
 * What the parts cost: `micro [MS]`, a line each, "name ns". The same as micro_test.go, so that
 * each has its counterpart in Go: ns of CPU of the whole process an operation, in a run that
 * takes at least MS of it.
 */
#include "gee/gee.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 100 };

static uint64_t cpu_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- tasks --- */

static void is_done(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_waitgroup_done(arg);
}

static void spawn(gee_ctx *ctx, long n) {
    gee_waitgroup wg = {0};
    for (long i = 0; i < n; i += BATCH) {
        gee_waitgroup_add(&wg, BATCH);
        for (int j = 0; j < BATCH; j++)
            gee_go(ctx, is_done, &wg);
        gee_waitgroup_wait(NULL, &wg);
    }
}

struct other {
    long n;
    gee_waitgroup wg;
    gee_chan *ch[4], *back;
};

static void yields(gee_ctx *ctx, void *arg) {
    struct other *o = arg;
    (void)ctx;
    for (long i = 0; i < o->n; i++)
        gee_yield();
    gee_waitgroup_done(&o->wg);
}

static void with_other(gee_ctx *ctx, gee_task_fn fn, struct other *o) {
    gee_waitgroup_add(&o->wg, 1);
    gee_go(ctx, fn, o);
}

/* Two of them: each yield is a switch. */
static void switches(gee_ctx *ctx, long n) {
    struct other o = {.n = n / 2};
    with_other(ctx, yields, &o);
    with_other(ctx, yields, &o);
    gee_waitgroup_wait(NULL, &o.wg);
}

/* --- channels --- */

static void answers(gee_ctx *ctx, void *arg) {
    struct other *o = arg;
    int v;
    while (gee_chan_recv(ctx, o->ch[0], &v) == 0)
        gee_chan_send(ctx, o->back, &v);
    gee_waitgroup_done(&o->wg);
}

static void round_trip(gee_ctx *ctx, long n) {
    struct other o = {.ch[0] = gee_chan_new(sizeof(int), 0), .back = gee_chan_new(sizeof(int), 0)};
    with_other(ctx, answers, &o);
    for (int i = 0; i < n; i++) {
        int v = i;
        gee_chan_send(ctx, o.ch[0], &v);
        gee_chan_recv(ctx, o.back, &v);
    }
    gee_chan_close(o.ch[0]);
    gee_waitgroup_wait(NULL, &o.wg);
    gee_chan_unref(o.ch[0]);
    gee_chan_unref(o.back);
}

static void sends(gee_ctx *ctx, void *arg) {
    struct other *o = arg;
    for (int i = 0; i < o->n; i++)
        gee_chan_send(ctx, o->ch[i % 4], &i);
    gee_waitgroup_done(&o->wg);
}

static void select_of_4(gee_ctx *ctx, long n) {
    struct other o = {.n = n};
    gee_case cases[4];
    int v;
    for (int i = 0; i < 4; i++) {
        o.ch[i] = gee_chan_new(sizeof(int), 0);
        cases[i] = (gee_case){.op = GEE_RECV, .ch = o.ch[i], .elem = &v};
    }
    with_other(ctx, sends, &o);
    for (long i = 0; i < n; i++)
        gee_select(ctx, cases, 4);
    gee_waitgroup_wait(NULL, &o.wg);
    for (int i = 0; i < 4; i++)
        gee_chan_unref(o.ch[i]);
}

/* --- ctx, timer, keys, routes --- */

static void derive(gee_ctx *ctx, long n) {
    for (long i = 0; i < n; i++)
        gee_ctx_end(gee_ctx_with_cancel(ctx));
}

static void derive_timed(gee_ctx *ctx, long n) {
    for (long i = 0; i < n; i++)
        gee_ctx_end(gee_ctx_with_timeout(ctx, 3600 * 1000));
}

static void never(void *arg) {
    (void)arg;
}

static void timer(gee_ctx *ctx, long n) {
    (void)ctx;
    for (long i = 0; i < n; i++)
        gee_after_stop(gee_after_ms(3600 * 1000, never, NULL));
}

static void keys(gee_ctx *ctx, long n) {
    gee_req req = {.ctx = ctx};
    static long found;
    for (long i = 0; i < n; i++) {
        gee_set(&req, "user", &found, NULL);
        found += gee_get(&req, "user") != NULL;
    }
    gee_keys_free(&req.keys);
}

static void handler(gee_req *req) {
    (void)req;
}

/* As a request is routed: its target taken apart, the route found, its parameter kept. */
static void find_routes(long n, int nroutes) {
    gee_engine *e = gee_engine_new();
    gee_arena arena = {0};
    char pattern[64], target[64], allow[128];
    const char *values[GEE_MAX_PARAMS];
    gee_req req = {.x.arena = &arena}; /* there already when its path is looked at */
    int status;
    for (int i = 0; i < nroutes; i++) {
        snprintf(pattern, sizeof(pattern), "/api/v1/r%d/:id", i);
        gee_GET(gee_root(e), pattern, handler);
    }
    snprintf(target, sizeof(target), "/api/v1/r%d/12345", nroutes / 2);
    for (long i = 0; i < n; i++) {
        gee_path path;
        gee_path_parse(&arena, target, &path);
        const gee_route_entry *r =
            gee_router_find(e->tree, "GET", &path, values, &status, allow, sizeof(allow));
        gee_params_keep(&req, r, values, path.end);
        gee_arena_reset(&arena);
    }
    gee_arena_free(&arena);
    gee_engine_free(e);
}

static void route_of_10(gee_ctx *ctx, long n) {
    (void)ctx;
    find_routes(n, 10);
}

static void route_of_1000(gee_ctx *ctx, long n) {
    (void)ctx;
    find_routes(n, 1000);
}

static const struct {
    const char *name;
    void (*fn)(gee_ctx *ctx, long n);
} all[] = {
    {"spawn", spawn},         {"switch", switches},
    {"chan", round_trip},     {"select", select_of_4},
    {"ctx", derive},          {"ctx_timeout", derive_timed},
    {"timer", timer},         {"keys", keys},
    {"route10", route_of_10}, {"route1000", route_of_1000},
};

/* As many operations as take so long; testing.B finds the number in the same way. */
static double ns_each(gee_ctx *ctx, void (*fn)(gee_ctx *ctx, long n), uint64_t at_least) {
    for (long n = BATCH;; n *= 2) {
        uint64_t start = cpu_ns();
        fn(ctx, n);
        uint64_t took = cpu_ns() - start;
        if (took >= at_least)
            return (double)took / (double)n;
    }
}

static void measure(gee_ctx *ctx, void *arg) {
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        printf("%s %.2f\n", all[i].name, ns_each(ctx, all[i].fn, *(uint64_t *)arg));
}

int main(int argc, char **argv) {
    uint64_t at_least = (argc > 1 ? strtoull(argv[1], NULL, 10) : 200) * 1000000;
    return gee_run(&(gee_config){.workers = 1}, measure, &at_least) == 0 ? 0 : 1;
}
