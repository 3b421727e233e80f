/* Waiting for the end of a ctx: as a task, as one of several things, by a function. */
#include "base/tools.h"
#include "ctx/ctx.h"
#include "runtime/worker.h"
#include <stdlib.h>

static void wake(gee_watch *watch, gee_ctx *ctx) {
    gee_ctx_waiter *w = gee_container(watch, gee_ctx_waiter, watch);
    (void)ctx;
    gee_wake(w->park, w->index);
}

int gee_ctx_wake_on_end(gee_ctx *ctx, gee_ctx_waiter *w, gee_park *park, int index) {
    w->watch.fn = wake;
    w->park = park;
    w->index = index;
    return gee_ctx_watch(ctx, &w->watch);
}

int gee_ctx_wait_at(gee_ctx *ctx, gee_site site) {
    gee_park park;
    gee_ctx_waiter waiter;
    gee_park_init(&park);
    int err = gee_ctx_wake_on_end(ctx, &waiter, &park, 0);
    if (err != 0)
        return err;
    gee_ctx_ref(ctx);
    gee_park_wait(&park, GEE_WAIT_CTX, ctx, site);
    err = gee_ctx_err(ctx);
    gee_ctx_unref(ctx);
    return err;
}

/*
 * The handle is shared by the caller and by what is going to run: the watch,
 * then the task. A ctx may be ended from any thread, but a task can only be
 * spawned on a worker: the watch posts to the worker where it was made.
 */
struct gee_after {
    gee_watch watch;
    gee_work start;
    gee_worker *worker;
    gee_ctx *ctx;
    void (*fn)(void *arg);
    void *arg;
    _Atomic int refs;
};

static void after_unref(gee_after *a) {
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) {
        gee_ctx_unref(a->ctx);
        free(a);
    }
}

static void after_done(void *arg) {
    after_unref(arg);
}

static void after_task(gee_ctx *ctx, void *arg) {
    gee_after *a = arg;
    gee_cleanup done;
    (void)ctx;
    gee_race_acquire(a); /* what came before after_func, and before the end of the ctx */
    gee_ctx_err(a->ctx);
    gee_cleanup_push(&done, after_done, a);
    a->fn(a->arg);
    gee_cleanup_pop(&done, true);
}

static void after_start(gee_work *work) {
    gee_after *a = gee_container(work, gee_after, start);
    if (gee_go_at(gee_background(), after_task, a, "after_func", GEE_HERE) < 0) {
        gee_work_again(work); /* nobody is left to tell that there is no memory for the task */
        return;
    }
    gee_worker_task_gone(a->worker);
}

/* On its way to its worker it counts as a task: the runtime does not end without it. */
static void start(gee_after *a) {
    atomic_fetch_add(&a->worker->rt->live, 1);
    gee_post(a->worker, &a->start);
}

static void after_end(gee_watch *watch, gee_ctx *ctx) {
    (void)ctx;
    start(gee_container(watch, gee_after, watch));
}

gee_after *gee_ctx_after_func(gee_ctx *ctx, void (*fn)(void *arg), void *arg) {
    gee_after *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->watch.fn = after_end;
    a->start.fn = after_start;
    a->worker = gee_worker_self();
    a->ctx = gee_ctx_ref(ctx);
    a->fn = fn;
    a->arg = arg;
    atomic_init(&a->refs, 2);
    gee_race_release(a);
    if (gee_ctx_watch(a->ctx, &a->watch) != 0)
        start(a);
    return a;
}

bool gee_after_stop(gee_after *a) {
    bool stopped = gee_ctx_unwatch(a->ctx, &a->watch);
    if (stopped)
        after_unref(a); /* the watch's */
    after_unref(a);
    return stopped;
}
