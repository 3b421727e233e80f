/*
 * Inside of a ctx, for the layers above: a flag, a cause and a list of watches.
 *
 * Whatever has to happen when a ctx ends is a watch: a child that ends with it,
 * a parked task to wake, an after_func to start. They are called in the order in
 * which they were put there, with the lock of the ctx held. A watch may lock
 * ctxs further down the tree, never this one or one above: so locks are always
 * taken from parent to child, and after gee_ctx_unwatch() has returned, the
 * watch is neither running nor going to.
 */
#ifndef GEE_CTX_CTX_H
#define GEE_CTX_CTX_H

#include "base/list.h"
#include "base/spin.h"
#include "gee/ctx.h"
#include "runtime/park.h"
#include "runtime/timer.h"
#include <stdatomic.h>

typedef struct gee_watch {
    gee_list link;
    void (*fn)(struct gee_watch *w, gee_ctx *ctx); /* NULL: a child's own */
} gee_watch;

/*
 * Adds w to ctx. 0, or the error of ctx, which has ended: w was not added and
 * will not be called.
 */
int gee_ctx_watch(gee_ctx *ctx, gee_watch *w);
/* True: it had not been called, and will not be. */
bool gee_ctx_unwatch(gee_ctx *ctx, gee_watch *w);

/* A watch that wakes a park. */
typedef struct gee_ctx_waiter {
    gee_watch watch;
    gee_park *park;
    int index;
} gee_ctx_waiter;

int gee_ctx_wake_on_end(gee_ctx *ctx, gee_ctx_waiter *w, gee_park *park, int index);

/* Does a wait that ends with wait_ctx (NULL: with none) end when owner does? */
bool gee_ctx_hears(const gee_ctx *wait_ctx, const gee_ctx *owner);

/*
 * A child whose deadline its maker keeps: it has no timer. The maker calls gee_ctx_expire when
 * the time is up, and may move the deadline until then, all on one worker. NULL: no memory.
 */
gee_ctx *gee_ctx_with_kept_deadline(gee_ctx *parent, uint64_t deadline_ns);
void gee_ctx_move_deadline(gee_ctx *ctx, uint64_t deadline_ns);
void gee_ctx_expire(gee_ctx *ctx); /* it ends with UV_ETIMEDOUT */

/* The calling task goes on for another owner; it gets a reference of its own. */
void gee_task_set_owner(gee_ctx *ctx);

/* When it ended, on the clock of the worker that ended it; 0 before. */
uint64_t gee_ctx_ended_ns(const gee_ctx *ctx);

#endif
