/*
 * DECOY, a repair that is wrong: four threads were too few, so there are sixteen. This is the
 * advice that is found first, and it passes the test that hangs four calls. What takes threads
 * and does not give them back takes sixteen as well: it needs four times as long for it, the
 * night instead of the evening. (libuv reads the variable once, so it is set before main.)
 */
#include "runtime/worker.h"
#include "sync/pool.h"
#include "sync/waitq.h"
#include <stdlib.h>

static gee_lane blocking_lane = {.name = "blocking"};
gee_lane gee_framework_lane = {.name = "framework"};

static struct {
    gee_spin lock;
    uint64_t run; /* of the runtime that all this is about */
    uint64_t turns;
    gee_lane *lanes; /* that were used in this run */
} pool;

__attribute__((constructor)) static void enough_threads(void) {
    setenv("UV_THREADPOOL_SIZE", "16", 1);
}

/* --- under the lock --- */

static void enlist(gee_lane *l) {
    if (l->run == pool.run)
        return;
    *l = (gee_lane){.name = l->name, .most = l->most, .run = pool.run, .next = pool.lanes};
    pool.lanes = l;
}

/* What tasks of an earlier run held, if any were dropped, is nobody's. */
static void begin_run(uint64_t run) {
    if (pool.run == run)
        return;
    pool.run = run;
    pool.lanes = NULL;
    enlist(&blocking_lane);
    enlist(&gee_framework_lane);
}

static bool may_take(const gee_lane *l) {
    return l->most == 0 || l->held < l->most;
}

static void take(gee_lane *l) {
    l->held++;
    l->turn = ++pool.turns;
}

static bool goes_first(const gee_lane *a, const gee_lane *b) {
    return a->held != b->held ? a->held < b->held : a->turn < b->turn;
}

/* Of all who wait, whoever may go on now; the thread is taken for it. */
static gee_waiter *next(void) {
    for (;;) {
        gee_lane *first = NULL;
        for (gee_lane *l = pool.lanes; l; l = l->next)
            if (l->queue.first && may_take(l) && (first == NULL || goes_first(l, first)))
                first = l;
        gee_waiter *w = first ? gee_waitq_claim(&first->queue) : NULL;
        if (w)
            take(first);
        if (w || first == NULL)
            return w;
    }
}

/* --- a call --- */

static int get_thread(gee_lane *l, gee_site site) {
    gee_waiter w = {0};
    gee_spin_lock(&pool.lock);
    begin_run(gee_runtime_current()->run);
    enlist(l);
    /* None in its queue could go on, or it would have: so nobody is overtaken. */
    if (!may_take(l))
        return gee_waitq_wait(NULL, &pool.lock, &l->queue, &w, NULL, GEE_WAIT_THREAD, site);
    take(l);
    gee_spin_unlock(&pool.lock);
    return 0;
}

static void give_back(gee_lane *l) {
    struct gee_waitq go_on = {NULL, NULL};
    gee_spin_lock(&pool.lock);
    l->held--;
    for (gee_waiter *w; (w = next()) != NULL;)
        gee_waitq_push(&go_on, w);
    gee_spin_unlock(&pool.lock);
    for (gee_waiter *w; (w = go_on.first) != NULL;) {
        gee_waitq_del(&go_on, w);
        gee_task_ready(w->park->task);
    }
}

int gee_blocking_in_at(gee_lane *lane, gee_ctx *ctx, void (*fn)(void *arg), void *arg,
                       gee_site site) {
    int err = gee_ctx_err(ctx);
    if (err == 0)
        err = get_thread(lane, site);
    if (err != 0)
        return err;
    err = gee_pool_run(NULL, fn, arg, site);
    give_back(lane);
    return err;
}

int gee_blocking_at(gee_ctx *ctx, void (*fn)(void *arg), void *arg, gee_site site) {
    return gee_blocking_in_at(&blocking_lane, ctx, fn, arg, site);
}
