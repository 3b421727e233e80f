/*
 * A pool of long-lived tasks that take jobs from a bounded queue. Its size is how many jobs
 * run at the same time; its queue is how many more may wait before who submits has
 * to wait too.
 *
 * Shared by tasks of any worker. gee_workpool_new gives one reference, and gee_workpool_shutdown,
 * which is called once, takes it; who shares the pool takes one of its own, and may then
 * submit at any time.
 */
#ifndef GEE_WORKPOOL_H
#define GEE_WORKPOOL_H

#include "gee/ctx.h"

typedef struct gee_workpool gee_workpool;

typedef struct gee_workpool_options {
    int tasks;    /* 0: 4 */
    size_t queue; /* jobs that wait; 0: 64 */
    bool spread;  /* its tasks are those of all workers in turn, and not of the calling one */

    /*
     * Runs tick(ctx, tick_arg) every tick_ms in a task of the pool that is free: for what jobs
     * have gathered, a batch to write, say. Never twice at the same time. A shutdown ends the
     * ticks, and calls tick once more when no job runs any more. NULL: none; tick_ms 0: at
     * the shutdown only.
     */
    void (*tick)(gee_ctx *ctx, void *arg);
    void *tick_arg;
    uint64_t tick_ms;
} gee_workpool_options;

/*
 * A job; copied when it is submitted. ctx is the pool's: it ends when the shutdown has no
 * time left, and fn is expected to end soon after. A job that panics is logged and is over;
 * its task goes on with the next.
 */
typedef struct gee_job {
    void (*fn)(gee_ctx *ctx, void *arg);
    void (*drop)(void *arg); /* fn will never run; may be NULL */
    void *arg;
} gee_job;

/*
 * opt may be NULL. A pool whose ctx ends takes no more jobs and drops those that wait; it is
 * to be shut down all the same. Call from a task. NULL: no memory, or options that make no
 * sense (a negative number of tasks, tick_ms without tick).
 */
#define gee_workpool_new(ctx, opt) gee_workpool_new_at(ctx, opt, GEE_HERE)
gee_workpool *gee_workpool_new_at(gee_ctx *ctx, const gee_workpool_options *opt, gee_site site);

gee_workpool *gee_workpool_ref(gee_workpool *pool);
void gee_workpool_unref(gee_workpool *pool);

/*
 * Hands a job to the pool; parks while the queue is full. 0: its fn will be called, or its drop.
 * Otherwise the job is still the caller's:
 *   UV_EPIPE  the pool is being shut down, or its ctx has ended
 *   ctx's error, if it ended first
 * A job that submits to its own pool should only try: when all tasks wait for room in
 * the queue, nobody makes any.
 */
#define gee_workpool_submit(ctx, pool, job) gee_workpool_submit_at(ctx, pool, job, GEE_HERE)
int gee_workpool_submit_at(gee_ctx *ctx, gee_workpool *pool, const gee_job *job, gee_site site);
/* The same without parking: UV_EAGAIN if the queue is full. Also from a callback of a loop. */
int gee_workpool_try_submit(gee_workpool *pool, const gee_job *job);

/* How many jobs wait. */
size_t gee_workpool_queued(const gee_workpool *pool);

/*
 * Takes no more jobs, finishes or drops those that wait, and lets those that run finish. When it
 * returns no task of the pool is left, and the caller's reference is gone. Call from a
 * task, not from a job.
 *
 * ctx bounds the time. When it ends first, what still waits is dropped, the ctx of the jobs ends
 * with the cause UV_ESHUTDOWN, and those that run are waited for: they may be using what
 * the caller is going to free. 0, or then ctx's error.
 */
enum gee_workpool_end { GEE_WORKPOOL_DRAIN, GEE_WORKPOOL_DROP };
#define gee_workpool_shutdown(ctx, pool, how) gee_workpool_shutdown_at(ctx, pool, how, GEE_HERE)
int gee_workpool_shutdown_at(gee_ctx *ctx, gee_workpool *pool, enum gee_workpool_end how,
                             gee_site site);

#endif
