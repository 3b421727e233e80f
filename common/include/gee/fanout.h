/*
 * Fan out, and wait for all: Go's errgroup. Parts of one piece of work run as tasks
 * under a ctx of their group. The first error ends that ctx, and with it the others, and
 * is what the wait returns.
 *
 *   gee_fanout *f = gee_fanout_new(ctx, 0);
 *   gee_cleanup end;
 *   if (f == NULL)
 *       return UV_ENOMEM;
 *   gee_cleanup_push(&end, gee_fanout_end, f);
 *   for (int i = 0; i < n; i++)
 *       gee_fanout_go(f, fetch, &pages[i]);
 *   int rc = gee_fanout_wait(f);
 *   gee_cleanup_pop(&end, true);
 *
 * No part outlives the wait, so what the parts work on may be the caller's own, on its stack too.
 * That is why a wait listens to no ctx: the parts do, and it returns when they have
 * ended. With the cleanup it holds as well if the caller panics on the way.
 *
 * A part that panics has failed with GEE_EPANIC, which is logged.
 */
#ifndef GEE_FANOUT_H
#define GEE_FANOUT_H

#include "gee/ctx.h"

typedef struct gee_fanout gee_fanout;

/*
 * A group whose ctx is a child of ctx. limit: how many parts run at the same time; 0: all.
 * Its owner gives it back with gee_fanout_end. NULL: no memory.
 */
gee_fanout *gee_fanout_new(gee_ctx *ctx, size_t limit);

/* The ctx of the parts. Once it has ended, gee_ctx_cause says which error ended it. */
gee_ctx *gee_fanout_ctx(const gee_fanout *f);

/*
 * Starts fn(ctx of the group, arg) as a task of the calling worker; < 0 is its error. At the
 * limit it parks until a part has ended. Call from the task that waits, before it does,
 * or from a part, of any worker. (Parts that wait here for each other wait for ever: with a
 * limit, a part starts others only if it is sure of a place.)
 * 0: it was started. Else it was not, which is an error of the group like that of a part:
 * the ctx's, if it has ended, or UV_ENOMEM. So one may look at the wait's result alone.
 */
#define gee_fanout_go(f, fn, arg) gee_fanout_go_at(f, fn, arg, #fn, GEE_HERE)
int gee_fanout_go_at(gee_fanout *f, int (*fn)(gee_ctx *ctx, void *arg), void *arg, const char *name,
                     gee_site site);

/* Parks until all parts have ended. 0, or the first error. */
#define gee_fanout_wait(f) gee_fanout_wait_at(f, GEE_HERE)
int gee_fanout_wait_at(gee_fanout *f, gee_site site);

/* Cancels what still runs, waits for it, and frees the group. For gee_cleanup_push as well. */
void gee_fanout_end(void *fanout);

#endif
