/*
 * The pool of tasks. Its jobs are in a channel, and the end of that channel is the end of
 * the pool: closed, it takes no more, gives out what it has, and then says so to each
 * task that asks. So a task of the pool waits for one thing that always comes: a job, a tick, or
 * the end.
 *
 * Whoever uses the pool has a reference on it: its owner, its tasks, and others that submit.
 */
#include "gee/workpool.h"
#include "gee/chan.h"
#include "gee/panic.h"
#include "gee/sync.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { JOB, TICK };

struct gee_workpool {
    gee_ctx *ctx; /* of the jobs */
    gee_chan *jobs, *ticks;
    gee_waitgroup tasks;
    gee_ctx *ticker_end;
    gee_waitgroup ticker;
    gee_workpool_options opt;
    atomic_bool ticking;
    _Atomic int refs;
};

gee_workpool *gee_workpool_ref(gee_workpool *p) {
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void gee_workpool_unref(gee_workpool *p) {
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    gee_ctx_unref(p->ctx);
    gee_ctx_unref(p->ticker_end);
    gee_chan_unref(p->jobs);
    gee_chan_unref(p->ticks);
    free(p);
}

/* --- what a task of the pool does --- */

struct call {
    void (*fn)(gee_ctx *ctx, void *arg);
    gee_ctx *ctx;
    void *arg;
};

static void call(void *arg) {
    const struct call *c = arg;
    c->fn(c->ctx, c->arg);
}

static void run(gee_workpool *p, void (*fn)(gee_ctx *ctx, void *arg), void *arg) {
    struct call c = {fn, p->ctx, arg};
    gee_panic_info panic;
    if (gee_recover(call, &c, &panic) < 0)
        gee_panic_print(&panic);
}

static void drop(const gee_job *job) {
    gee_panic_info panic;
    if (job->drop && gee_recover(job->drop, job->arg, &panic) < 0)
        gee_panic_print(&panic);
}

static void run_job(gee_workpool *p, const gee_job *job) {
    if (gee_ctx_err(p->ctx))
        drop(job);
    else
        run(p, job->fn, job->arg);
}

/* One that takes longer than tick_ms leaves out those that come meanwhile. */
static void run_tick(gee_workpool *p) {
    if (atomic_exchange(&p->ticking, true))
        return;
    run(p, p->opt.tick, p->opt.tick_arg);
    atomic_store(&p->ticking, false);
}

static void drop_queued(gee_workpool *p) {
    gee_job job;
    while (gee_chan_try_recv(p->jobs, &job) == 0)
        drop(&job);
}

static void pool_task(gee_ctx *ctx, void *arg) {
    gee_workpool *p = arg;
    for (;;) {
        gee_job job = {0};
        gee_case cases[] = {
            [JOB] = {GEE_RECV, p->jobs, &job, 0}, [TICK] = {GEE_RECV, p->ticks, NULL, 0}};
        int k = gee_select(ctx, cases, 2);
        if (k < 0 || cases[k].rc == UV_EOF)
            break;
        if (k == JOB)
            run_job(p, &job);
        else
            run_tick(p);
    }
    if (gee_ctx_err(ctx)) { /* nobody is going to take what waits */
        gee_chan_close(p->jobs);
        drop_queued(p);
    }
    gee_waitgroup_done(&p->tasks);
    gee_workpool_unref(p);
}

/* A tick that no task has taken yet is enough: the channel has room for one. */
static void pool_ticker(gee_ctx *ctx, void *arg) {
    gee_workpool *p = arg;
    while (gee_sleep(ctx, p->opt.tick_ms) == 0)
        gee_chan_try_send(p->ticks, NULL);
    gee_waitgroup_done(&p->ticker);
    gee_workpool_unref(p);
}

/* --- start --- */

static int start_task(gee_workpool *p, int i, gee_site site) {
    int on = p->opt.spread ? i % gee_workers() : gee_worker_index();
    gee_waitgroup_add(&p->tasks, 1);
    int rc = gee_go_on_at(on, p->ctx, pool_task, gee_workpool_ref(p), "pool_task", site);
    if (rc < 0) {
        gee_waitgroup_done(&p->tasks);
        gee_workpool_unref(p);
    }
    return rc;
}

static int start_ticker(gee_workpool *p, gee_site site) {
    gee_waitgroup_add(&p->ticker, 1);
    int rc = gee_go_at(p->ticker_end, pool_ticker, gee_workpool_ref(p), "pool_ticker", site);
    if (rc < 0) {
        gee_waitgroup_done(&p->ticker);
        gee_workpool_unref(p);
    }
    return rc;
}

static int start_all(gee_workpool *p, gee_site site) {
    int rc = p->ctx && p->ticker_end && p->jobs && p->ticks ? 0 : UV_ENOMEM;
    for (int i = 0; rc == 0 && i < p->opt.tasks; i++)
        rc = start_task(p, i, site);
    if (rc == 0 && p->opt.tick_ms > 0)
        rc = start_ticker(p, site);
    return rc;
}

gee_workpool *gee_workpool_new_at(gee_ctx *ctx, const gee_workpool_options *opt, gee_site site) {
    static const gee_workpool_options defaults;
    opt = opt ? opt : &defaults;
    if (opt->tasks < 0 || (opt->tick_ms > 0 && opt->tick == NULL))
        return NULL;
    gee_workpool *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->opt = *opt;
    p->opt.tasks = opt->tasks ? opt->tasks : 4;
    p->ctx = gee_ctx_with_cancel(ctx);
    p->ticker_end = gee_ctx_with_cancel(p->ctx);
    p->jobs = gee_chan_new(sizeof(gee_job), opt->queue ? opt->queue : 64);
    p->ticks = gee_chan_new(0, 1);
    atomic_init(&p->refs, 1);
    if (start_all(p, site) == 0)
        return p;
    p->opt.tick = NULL;
    gee_workpool_shutdown_at(NULL, p, GEE_WORKPOOL_DROP, site);
    return NULL;
}

/* --- use --- */

int gee_workpool_submit_at(gee_ctx *ctx, gee_workpool *p, const gee_job *job, gee_site site) {
    return gee_chan_send_at(ctx, p->jobs, job, site);
}

int gee_workpool_try_submit(gee_workpool *p, const gee_job *job) {
    return gee_chan_try_send(p->jobs, job);
}

size_t gee_workpool_queued(const gee_workpool *p) {
    return gee_chan_len(p->jobs);
}

/* --- end --- */

/* No more ticks, but for the last one: they would keep tasks from seeing the end. */
static void end_ticks(gee_workpool *p, gee_site site) {
    gee_ctx_cancel(p->ticker_end, 0);
    gee_waitgroup_wait_at(NULL, &p->ticker, site);
    gee_chan_try_recv(p->ticks, NULL);
}

int gee_workpool_shutdown_at(gee_ctx *ctx, gee_workpool *p, enum gee_workpool_end how,
                             gee_site site) {
    gee_chan_close(p->jobs);
    end_ticks(p, site);
    if (how == GEE_WORKPOOL_DROP)
        drop_queued(p);
    int rc = gee_waitgroup_wait_at(ctx, &p->tasks, site);
    if (rc < 0) {
        gee_ctx_cancel(p->ctx, UV_ESHUTDOWN);
        drop_queued(p);
        gee_waitgroup_wait_at(NULL, &p->tasks, site);
    }
    if (p->opt.tick)
        run_tick(p);
    gee_ctx_cancel(p->ctx, UV_ESHUTDOWN);
    gee_workpool_unref(p);
    return rc;
}
