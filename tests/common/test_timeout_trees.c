/*
 * Deadlines hold whatever a request does: 10,000 requests, each a random tree of contexts,
 * timeouts, sub-tasks, channels and locks, each in a simulation of its own.
 *
 * After each: the client was answered at the very deadline, or before; every ctx that ran out
 * of time did so at its own exact moment; no task outlived its request by more than the
 * longest wait that does not listen; and nothing is left over.
 *
 * A seed that fails is printed: GEE_SEED=n runs that one alone, and the same way.
 */
#include "base/tools.h"
#include "gee/timeout.h"
#include "t_left.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 10000, SEEDS_UNDER_A_TOOL = 300, DEPTH = 4, DEAF_MS = 50, MAX_NODES = 60 };

/* Of all tasks; relaxed, so that they order nothing for TSan. */
static _Atomic uint64_t rng;
static _Atomic int nodes, timed_out;

static uint64_t seed, limit_ms;
static char wrong[200]; /* the first thing that was */

static uint64_t random_below(uint64_t n) {
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = atomic_fetch_add_explicit(&rng, step, memory_order_relaxed) + step;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

static void note_wrong(const char *what, uint64_t got, uint64_t want) {
    gee_tsan_ignore_begin();
    if (*wrong == '\0')
        snprintf(wrong, sizeof(wrong), "%s: at %llu ms, not at %llu", what, (unsigned long long)got,
                 (unsigned long long)want);
    gee_tsan_ignore_end();
}

static void grow(gee_ctx *ctx, int depth);

/* Time that was up is up at the moment that the ctx has named from the start. */
static void check_end(const gee_ctx *ctx, uint64_t due_ns) {
    uint64_t now = gee_now_ns();
    int err = gee_ctx_err(ctx);
    if (err == UV_ETIMEDOUT && now < due_ns)
        note_wrong("a ctx ended too early", now / 1000000, due_ns / 1000000);
    if (err == 0 && now > due_ns)
        note_wrong("a deadline has not fired", now / 1000000, due_ns / 1000000);
}

/* Waits for nothing but the end: it is woken at the deadline itself, or by who ends it before. */
static void watcher(gee_ctx *ctx, void *arg) {
    uint64_t due_ns = UINT64_MAX;
    (void)arg;
    gee_ctx_deadline(ctx, &due_ns);
    if (gee_ctx_wait(ctx) == UV_ETIMEDOUT && gee_now_ns() != due_ns)
        note_wrong("a deadline fired", gee_now_ns() / 1000000, due_ns / 1000000);
}

/* --- what a node may do --- */

static void sleeps(gee_ctx *ctx, int depth) {
    (void)depth;
    gee_sleep(ctx, random_below(200));
}

static void is_deaf(gee_ctx *ctx, int depth) {
    (void)ctx;
    (void)depth;
    gee_sleep(NULL, random_below(DEAF_MS));
}

static void has_less_time(gee_ctx *ctx, int depth) {
    uint64_t ms = random_below(150), want_ns = UINT64_MAX, due_ns = UINT64_MAX;
    gee_ctx_deadline(ctx, &want_ns);
    if (gee_now_ns() + ms * 1000000 < want_ns)
        want_ns = gee_now_ns() + ms * 1000000;
    gee_ctx *child = gee_ctx_with_timeout(ctx, ms);
    gee_ctx_deadline(child, &due_ns);
    if (due_ns != want_ns)
        note_wrong("a ctx has its deadline", due_ns / 1000000, want_ns / 1000000);
    if (random_below(2))
        gee_go(child, watcher, NULL);
    grow(child, depth + 1);
    check_end(child, due_ns);
    gee_ctx_end(child);
}

struct branch {
    gee_waitgroup *wg;
    int depth;
};

static void branch(gee_ctx *ctx, void *arg) {
    struct branch *b = arg;
    grow(ctx, b->depth);
    gee_waitgroup_done(b->wg);
}

/* All of them are joined: they listen, or are deaf for a while. */
static void branches(gee_ctx *ctx, int depth) {
    gee_waitgroup wg = {0};
    struct branch b = {&wg, depth + 1};
    for (uint64_t n = 1 + random_below(4); n > 0; n--) {
        gee_waitgroup_add(&wg, 1);
        if (gee_go(ctx, branch, &b) < 0)
            gee_waitgroup_done(&wg);
    }
    gee_waitgroup_wait(NULL, &wg);
}

static void canceller(gee_ctx *ctx, void *arg) {
    gee_sleep(ctx, random_below(100));
    gee_ctx_end(arg);
}

static void is_cancelled(gee_ctx *ctx, int depth) {
    gee_ctx *child = gee_ctx_with_cancel(ctx);
    if (gee_go(ctx, canceller, gee_ctx_ref(child)) < 0)
        gee_ctx_unref(child);
    grow(child, depth + 1);
    gee_ctx_end(child);
}

static void sends(gee_ctx *ctx, void *arg) {
    gee_chan *ch = arg;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 5; i++)
        if ((rc = gee_sleep(ctx, random_below(40))) == 0)
            rc = gee_chan_send(ctx, ch, &i);
    if (random_below(2))
        gee_chan_close(ch);
    gee_chan_unref(ch);
}

/* Perhaps more than are sent, perhaps fewer. */
static void talks(gee_ctx *ctx, int depth) {
    gee_chan *ch = gee_chan_new(sizeof(int), random_below(3)), *other = gee_chan_new(0, 0);
    int v, rc = 0;
    (void)depth;
    if (gee_go(ctx, sends, gee_chan_ref(ch)) < 0)
        gee_chan_unref(ch);
    for (uint64_t n = random_below(8); rc >= 0 && n > 0; n--) {
        gee_case cases[] = {{GEE_RECV, ch, &v, 0}, {GEE_RECV, other, NULL, 0}};
        rc = random_below(2) ? gee_select(ctx, cases, 2) : gee_chan_recv(ctx, ch, &v);
    }
    gee_chan_unref(ch);
    gee_chan_unref(other);
}

static void after_work(void *arg) {
    gee_sleep(NULL, random_below(DEAF_MS));
    gee_waitgroup_done(arg);
}

/* A function behind the end of a ctx, stopped or waited for. */
static void has_an_afterwards(gee_ctx *ctx, int depth) {
    gee_waitgroup wg = {0};
    gee_ctx *child = gee_ctx_with_timeout(ctx, random_below(100));
    gee_waitgroup_add(&wg, 1);
    gee_after *after = gee_ctx_after_func(child, after_work, &wg);
    grow(child, depth + 1);
    if (after == NULL || gee_after_stop(after))
        gee_waitgroup_done(&wg);
    gee_waitgroup_wait(NULL, &wg);
    gee_ctx_end(child);
}

static void grow(gee_ctx *ctx, int depth) {
    static void (*const kinds[])(gee_ctx * ctx, int depth) = {
        sleeps, is_deaf, has_less_time, branches, is_cancelled, talks, has_an_afterwards};
    for (uint64_t n = 1 + random_below(3); n > 0; n--) {
        if (atomic_fetch_add_explicit(&nodes, 1, memory_order_relaxed) >= MAX_NODES)
            return;
        uint64_t kind = depth < DEPTH ? random_below(7) : random_below(2);
        kinds[kind](ctx, depth);
        if (gee_ctx_err(ctx) != 0)
            return; /* as everyone does who listens */
    }
}

/* --- a request, and who waits for it --- */

static void handler(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    if (random_below(4) == 0) { /* work of its own, which the request's end does not end */
        gee_ctx *own = gee_ctx_with_timeout(NULL, DEAF_MS);
        grow(own, 1);
        gee_ctx_end(own);
    }
    if (gee_ctx_err(ctx) == 0)
        grow(ctx, 0);
    if (gee_ctx_err(ctx) == 0)
        gee_string(req, 200, "done");
}

static void routes(gee_group *r) {
    gee_use_timeout_with(r, &(gee_timeout_options){.ms = limit_ms, .log_fd = -1});
    gee_GET(r, "/tree", handler);
}

/* A deaf wait may begin when the ctx has just ended, and each of them joins others. */
enum { BOUND_MS = DEAF_MS * (2 * DEPTH + 2) };

static void one_request(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    (void)port;
    gee_sleep(ctx, 0);
    int64_t tasks = t_tasks();
    int status = t_get(ctx, c, "/tree");
    uint64_t took = gee_now_ms() - start;
    if (status != 200 && status != 504)
        note_wrong("another status", (uint64_t)status, 504);
    if (status == 504 && took != limit_ms)
        note_wrong("the client was answered", took, limit_ms);
    timed_out += status == 504;
    if (took > limit_ms)
        note_wrong("the client was answered late", took, limit_ms);
    gee_sleep(ctx, BOUND_MS);
    gee_sleep(ctx, 0);
    if (t_tasks() > tasks)
        note_wrong("tasks are left behind the bound", (uint64_t)t_tasks(), (uint64_t)tasks);
    if (*wrong)
        T_FAIL("seed %llu: %s (GEE_SEED=%llu runs it alone)", (unsigned long long)seed, wrong,
               (unsigned long long)seed);
}

static void visit(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    (void)arg;
    routes(gee_root(e));
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), 0);
    t_conn *c = t_dial(gee_server_port(srv), 0);
    one_request(ctx, c, 0);
    t_close(ctx, c);
    int rc = gee_server_shutdown(srv);
    gee_engine_free(e);
    T_RC(rc, 0);
}

static void run_seed(uint64_t n) {
    seed = n;
    rng = n;
    nodes = 0;
    wrong[0] = '\0';
    limit_ms = 1 + random_below(300);
    gee_config cfg = {.sim = true, .seed = n};
    t_run(&cfg, 0, visit, NULL);
}

static void test_trees(void **state) {
    const char *one = getenv("GEE_SEED");
    (void)state;
    uint64_t n = GEE_POOLS ? SEEDS : SEEDS_UNDER_A_TOOL;
    if (one)
        run_seed(strtoull(one, NULL, 10));
    timed_out = 0;
    for (uint64_t i = 1; !one && i <= n; i++)
        run_seed(i);
    if (!one && ((uint64_t)timed_out < n / 5 || (uint64_t)timed_out > n - n / 5))
        fail_msg("%d of %d requests timed out: the trees are no mixture", timed_out, (int)n);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_trees),
};

T_MAIN(tests)
