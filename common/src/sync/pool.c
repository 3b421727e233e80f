/*
 * Blocking work on a thread, real or simulated.
 *
 * A simulated call runs on the stack of its task, since a thread of its own would bring in the
 * machine's time. It takes no time, or as much as fn says that it does; and for so long its thread
 * is taken, so that a pool can be as full in simulation as anywhere.
 */
#include "sync/pool.h"
#include "base/tools.h"
#include "gee/run.h"
#include "runtime/thread.h"
#include "runtime/worker.h"
#include "sync/waitq.h"
#include <stdlib.h>

/* As libuv does, and as it does once. */
int gee_pool_threads(void) {
    enum { USUAL = 4, MOST = 1024 };
    static _Atomic int threads;
    if (threads == 0) {
        const char *text = getenv("UV_THREADPOOL_SIZE");
        int n = text ? atoi(text) : USUAL;
        threads = n == 0 ? 1 : n < 0 || n > MOST ? MOST : n;
    }
    return threads;
}

/* --- libuv's threads --- */

struct blocking {
    uv_work_t req;
    gee_park park;
    void (*fn)(void *arg);
    void *arg;
    int status;
    bool done;
};

static void on_thread(uv_work_t *req) {
    struct blocking *b = req->data;
    gee_race_acquire(b);
    gee_thread_work_for(b->park.task);
    b->fn(b->arg);
    gee_thread_work_done();
    gee_race_release(b);
}

static void on_done(uv_work_t *req, int status) {
    struct blocking *b = req->data;
    gee_worker_awake(req->loop->data);
    b->status = status;
    b->done = true;
    gee_wake(&b->park, 0);
}

static int run_on_thread(gee_ctx *ctx, void (*fn)(void *arg), void *arg, gee_site site) {
    struct blocking b = {.fn = fn, .arg = arg};
    gee_park_init(&b.park);
    b.req.data = &b;
    gee_race_release(&b);
    int err = uv_queue_work(&gee_worker_self()->loop, &b.req, on_thread, on_done);
    if (err != 0)
        return err;
    int index = gee_park_wait_ctx(&b.park, ctx, GEE_WAIT_BLOCKING, site, &err);
    if (index == GEE_BY_CTX && !b.done) {
        uv_cancel((uv_req_t *)&b.req); /* fails once it runs; then it is waited for */
        gee_park_init(&b.park);
        gee_park_wait(&b.park, GEE_WAIT_BLOCKING, NULL, site);
    }
    gee_race_acquire(&b);
    return b.status == 0 ? 0 : err;
}

/* --- simulated ones --- */

/* Simulation has one worker: the lock is there for the queue's functions. */
static struct {
    gee_spin lock;
    uint64_t run; /* of the runtime that these are about */
    int busy;
    struct gee_waitq queue;
    uint64_t takes_ms; /* the call that runs now */
} sim;

static int take_thread(gee_ctx *ctx, gee_site site) {
    gee_waiter w = {0};
    uint64_t run = gee_runtime_current()->run;
    gee_spin_lock(&sim.lock);
    if (sim.run != run) {
        sim.run = run;
        sim.busy = 0;
        sim.queue = (struct gee_waitq){0};
    }
    if (sim.busy == gee_pool_threads())
        return gee_waitq_wait(ctx, &sim.lock, &sim.queue, &w, NULL, GEE_WAIT_BLOCKING, site);
    sim.busy++;
    gee_spin_unlock(&sim.lock);
    return 0;
}

/* It is handed on to who waits for it. */
static void leave_thread(void) {
    gee_spin_lock(&sim.lock);
    gee_waiter *next = gee_waitq_claim(&sim.queue);
    sim.busy -= next == NULL;
    gee_spin_unlock(&sim.lock);
    if (next)
        gee_task_ready(next->park->task);
}

struct passing {
    gee_timer timer;
    gee_park park;
};

static void time_is_up(gee_timer *t) {
    gee_wake(&gee_container(t, struct passing, timer)->park, 0);
}

/* A thread is not to be stopped: this ends when it is over, and not with a ctx. */
static void pass_time(uint64_t ms, gee_site site) {
    struct passing p = {0};
    gee_park_init(&p.park);
    if (gee_timer_start(&p.timer, gee_clock_in_ms(ms), time_is_up) == 0)
        gee_park_wait(&p.park, GEE_WAIT_BLOCKING, NULL, site);
}

static int run_simulated(gee_ctx *ctx, void (*fn)(void *arg), void *arg, gee_site site) {
    int err = take_thread(ctx, site);
    if (err != 0)
        return err;
    err = gee_ctx_err(ctx); /* it may have ended since the thread was handed on */
    if (err == 0) {
        sim.takes_ms = 0;
        fn(arg);
        if (sim.takes_ms > 0)
            pass_time(sim.takes_ms, site);
    }
    leave_thread();
    return err;
}

void gee_sim_blocking_ms(uint64_t ms) {
    if (gee_simulated())
        sim.takes_ms += ms;
}

int gee_pool_run(gee_ctx *ctx, void (*fn)(void *arg), void *arg, gee_site site) {
    int err = gee_ctx_err(ctx);
    if (err != 0)
        return err;
    return gee_simulated() ? run_simulated(ctx, fn, arg, site) : run_on_thread(ctx, fn, arg, site);
}
