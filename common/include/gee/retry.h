/*
 * Trying again: a call that fails now and then, and is likely to succeed when it is repeated.
 *
 * Each try runs under a ctx of its own, which ends with the caller's, when the time of one try
 * is up, and in any case when the try is over: nothing of it stays behind, however long the
 * caller's ctx goes on. Between two tries the task sleeps for a random time, of which the most
 * possible doubles: who failed at the same moment does not come back at the same moment.
 *
 * Repeat only what may be done twice.
 */
#ifndef GEE_RETRY_H
#define GEE_RETRY_H

#include "gee/ctx.h"

/* Zeroed fields stand for the defaults. */
typedef struct gee_retry_options {
    int tries;         /* at most; 3 */
    uint64_t try_ms;   /* for one of them; 1,000 */
    uint64_t pause_ms; /* at most, behind the first; twice that behind the second …; 100 */
    uint64_t max_ms;   /* … but never longer than this; 10,000 */

    /* Whether that error is worth another try. NULL: each is. */
    bool (*again)(int rc, void *arg);
} gee_retry_options;

/* One try. 0 or more: it has succeeded. It may park, under ctx. */
typedef int (*gee_retry_fn)(gee_ctx *ctx, void *arg);

/*
 * Calls fn until it succeeds, and returns what the last call has returned. It also gives up, with
 * that error, as soon as ctx has ended, or would before the next try. opt may be NULL. Call from a
 * task. If fn was never called, ctx's error; UV_EINVAL: opt->tries is negative. A try
 * without memory for its ctx has failed with UV_ENOMEM.
 */
#define gee_retry(ctx, opt, fn, arg) gee_retry_at(ctx, opt, fn, arg, GEE_HERE)
int gee_retry_at(gee_ctx *ctx, const gee_retry_options *opt, gee_retry_fn fn, void *arg,
                 gee_site site);

#endif
