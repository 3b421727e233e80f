/*
 * The pool of threads: the seam under blocking work. libuv's, or, in simulation, as many
 * threads of which only the time is simulated.
 */
#ifndef GEE_SYNC_POOL_H
#define GEE_SYNC_POOL_H

#include "gee/lane.h"

/* How many threads it has. */
int gee_pool_threads(void);

/*
 * Runs fn(arg) on one of them and parks the task until that is done; where they are all taken, it
 * comes behind all others who wait. 0, or ctx's error: it ended before fn was started.
 */
int gee_pool_run(gee_ctx *ctx, void (*fn)(void *arg), void *arg, gee_site site);

/* blocking.c: for what the framework itself does on threads. */
extern gee_lane gee_framework_lane;

#endif
