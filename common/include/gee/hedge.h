/*
 * Hedged calls: several are asked the same, and the first good answer counts. Three
 * replicas, of which one is always slow; a cache, and behind it the source.
 *
 * gee_hedge waits for no loser. When it returns, the ctx of all calls has ended: one that
 * listens to it ends at once, one that does not goes on for as long as it likes, and does
 * no harm. It works on a copy of its arg and writes into a result of its own, which are
 * the hedge's and are freed when the last call has ended. So a call may touch its arg, its
 * result, and what it knows to outlive it; not what is only borrowed from the caller: its
 * stack, its request.
 */
#ifndef GEE_HEDGE_H
#define GEE_HEDGE_H

#include "gee/ctx.h"

/* One of those that are asked. */
typedef struct gee_hedge_call {
    /* In a task of its own, on the caller's worker. 0: *result is a good answer; < 0: it failed. */
    int (*ask)(gee_ctx *ctx, void *arg, void *result);
    const void *arg; /* arg_size bytes, copied before gee_hedge parks; ask gets the copy */
    size_t arg_size; /* 0: ask gets arg as it is, and it outlives the call */
} gee_hedge_call;

typedef struct gee_hedge_options {
    size_t result_size;
    /*
     * Each call is asked so long after the one before, if no good answer has come by then,
     * and as soon as one has failed. 0: all are asked at once.
     */
    uint64_t delay_ms;
    /* Called once with each good answer that was not taken, if it has to be given back: when all
     * calls have ended, in the task of one of them or in the caller's. NULL: it has not. */
    void (*drop)(void *result);
} gee_hedge_options;

/*
 * Asks n calls under a ctx of their own, a child of ctx, and copies the first good answer
 * to *result. Call from a task; parks. A call that panics has failed with GEE_EPANIC, which
 * is logged; the others go on.
 * Returns the index of the call whose answer it was, or
 *   the error of the one that failed first, when all have
 *   ctx's error, if it ended before an answer came
 *   UV_EINVAL  n is 0 or more than INT_MAX;  UV_ENOMEM
 */
#define gee_hedge(ctx, calls, n, options, result) \
    gee_hedge_at(ctx, calls, n, options, result, GEE_HERE)
int gee_hedge_at(gee_ctx *ctx, const gee_hedge_call *calls, size_t n,
                 const gee_hedge_options *options, void *result, gee_site site);

#endif
