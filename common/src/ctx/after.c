/*
 * A function that runs later, in a task of its own: when a ctx ends, or when a time is up.
 *
 * The handle is shared by the caller and by what is going to run: the watch or the timer,
 * then the task. Both may be stopped from any worker, and a ctx may be ended from any thread,
 * but a task is spawned, and a timer disarmed, on the worker where the handle was made: so
 * whoever is elsewhere posts there.
 */
#include "base/tools.h"
#include "ctx/ctx.h"
#include "runtime/worker.h"
#include <stdlib.h>

struct gee_after {
    gee_worker *worker;
    void (*fn)(void *arg);
    void *arg;
    _Atomic int refs;

    /* One of the two. */
    gee_ctx *ctx; /* NULL: it is the timer */
    gee_watch watch;
    gee_timer timer;
    _Atomic bool taken; /* by the timer that rang, or by who stopped it: the first counts */

    gee_work work; /* to start it, or to disarm it */
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
    gee_race_acquire(a); /* what came before it was made, and before the end of the ctx */
    if (a->ctx)
        gee_ctx_err(a->ctx);
    gee_cleanup_push(&done, after_done, a);
    a->fn(a->arg);
    gee_cleanup_pop(&done, true);
}

static void after_start(gee_work *work) {
    gee_after *a = gee_container(work, gee_after, work);
    if (gee_go_at(gee_background(), after_task, a, "after_func", GEE_HERE) < 0) {
        gee_work_again(work); /* nobody is left to tell that there is no memory for the task */
        return;
    }
    gee_worker_arrived(a->worker);
}

/* On its way to its worker it counts as a task: the runtime does not end without it. */
static void start(gee_after *a) {
    a->work.fn = after_start;
    gee_worker_expects(a->worker);
    gee_post(a->worker, &a->work);
}

/* The caller's reference, and that of what is going to run. */
static gee_after *after_new(void (*fn)(void *arg), void *arg) {
    gee_after *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->worker = gee_worker_self();
    a->fn = fn;
    a->arg = arg;
    atomic_init(&a->refs, 2);
    gee_race_release(a);
    return a;
}

/* --- when a ctx ends --- */

static void ctx_ended(gee_watch *watch, gee_ctx *ctx) {
    (void)ctx;
    start(gee_container(watch, gee_after, watch));
}

gee_after *gee_ctx_after_func(gee_ctx *ctx, void (*fn)(void *arg), void *arg) {
    gee_after *a = after_new(fn, arg);
    if (a == NULL)
        return NULL;
    a->watch.fn = ctx_ended;
    a->ctx = gee_ctx_ref(ctx);
    if (gee_ctx_watch(a->ctx, &a->watch) != 0)
        start(a);
    return a;
}

/* --- when a time is up --- */

static void time_is_up(gee_timer *t) {
    gee_after *a = gee_container(t, gee_after, timer);
    if (!atomic_exchange(&a->taken, true))
        start(a);
}

gee_after *gee_after_ms(uint64_t ms, void (*fn)(void *arg), void *arg) {
    gee_after *a = after_new(fn, arg);
    if (a && gee_timer_start(&a->timer, gee_clock_in_ms(ms), time_is_up) < 0) {
        free(a);
        return NULL;
    }
    return a;
}

static void disarm(gee_work *work) {
    gee_after *a = gee_container(work, gee_after, work);
    gee_timer_stop(&a->timer);
    after_unref(a);
}

/* True: it will not ring, or nobody will hear it. The timer's reference is dropped with it. */
static bool stop_timer(gee_after *a) {
    if (atomic_exchange(&a->taken, true))
        return false;
    a->work.fn = disarm;
    if (a->worker == gee_worker_self())
        disarm(&a->work);
    else
        gee_post(a->worker, &a->work);
    return true;
}

bool gee_after_stop(gee_after *a) {
    bool stopped;
    if (a->ctx == NULL) {
        stopped = stop_timer(a);
    } else if ((stopped = gee_ctx_unwatch(a->ctx, &a->watch))) {
        after_unref(a); /* the watch's */
    }
    after_unref(a);
    return stopped;
}
