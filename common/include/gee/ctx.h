/*
 * Cancellation: Go's context.Context. A ctx ends once, by a cancel, by its
 * deadline or with its parent, and then stays ended. Everything that may park
 * takes one and returns its error as soon as it ends.
 *
 * Ownership. The gee_ctx_with_* functions give the caller one reference. A ctx
 * that has not ended is also held by its parent, so dropping the reference is
 * not enough: whoever derives a ctx ends it, with gee_ctx_end() or with
 * gee_ctx_cancel() and gee_ctx_unref(), on every path. (In Go the same mistake
 * is what `go vet` calls lostcancel.)
 *
 * All functions here may be called from any task and from callbacks of a
 * worker's loop; gee_ctx_cancel and gee_ctx_end from any thread as well.
 * A NULL ctx stands for gee_background().
 */
#ifndef GEE_CTX_H
#define GEE_CTX_H

#include "gee/task.h"
#include <stdbool.h>

/* Never ends; needs no reference. */
gee_ctx *gee_background(void);

/*
 * A child of parent; it ends with gee_ctx_cancel, with its parent, or when its
 * time is up (UV_ETIMEDOUT), whichever comes first. A deadline (on the clock of
 * gee_now_ns) later than the parent's changes nothing.
 * NULL: no memory.
 */
gee_ctx *gee_ctx_with_cancel(gee_ctx *parent);
gee_ctx *gee_ctx_with_timeout(gee_ctx *parent, uint64_t ms);
gee_ctx *gee_ctx_with_deadline(gee_ctx *parent, uint64_t deadline_ns);

/*
 * A child that carries a value. key is compared by address: use that of a static
 * variable. free_value (may be NULL) runs when the last reference goes, which may
 * be inside a cancel: it may call nothing that takes a ctx. When NULL is returned
 * (no memory), value is still the caller's.
 */
gee_ctx *gee_ctx_with_value(gee_ctx *parent, const void *key, void *value,
                            void (*free_value)(void *));
/* The value of the nearest ctx from here to the root with that key, or NULL. */
void *gee_ctx_value(const gee_ctx *ctx, const void *key);

/*
 * A ctx with parent's values and nothing else of it: it has no deadline and does
 * not end when parent does, only by gee_ctx_cancel. For work that goes on after
 * its request. Go: context.WithoutCancel. NULL: no memory.
 */
gee_ctx *gee_ctx_without_cancel(gee_ctx *parent);

/*
 * Ends ctx and, after it, its children. cause, a negative UV_E* code, says why;
 * 0 stands for UV_ECANCELED. The first cause stays, later ones are ignored.
 */
void gee_ctx_cancel(gee_ctx *ctx, int cause);
/* gee_ctx_cancel(ctx, 0) and gee_ctx_unref(ctx): what `defer cancel()` is in Go. */
void gee_ctx_end(gee_ctx *ctx);

gee_ctx *gee_ctx_ref(gee_ctx *ctx);
void gee_ctx_unref(gee_ctx *ctx);

/* 0 while it has not ended; then UV_ETIMEDOUT (its or an ancestor's deadline) or UV_ECANCELED. */
int gee_ctx_err(const gee_ctx *ctx);
/* Why it ended: the cause of the cancel, or what gee_ctx_err says. 0 before. */
int gee_ctx_cause(const gee_ctx *ctx);
/* True, and the time, if it or an ancestor has a deadline. */
bool gee_ctx_deadline(const gee_ctx *ctx, uint64_t *deadline_ns);

/* Parks the task until ctx ends; returns gee_ctx_err(ctx). */
#define gee_ctx_wait(ctx) gee_ctx_wait_at(ctx, GEE_HERE)
int gee_ctx_wait_at(gee_ctx *ctx, gee_site site);

/*
 * Runs fn(arg) in a task of its own, owned by gee_background(): gee_ctx_after_func once ctx has
 * ended, at once if it has; gee_after_ms when so many ms are over (Go's time.AfterFunc). The
 * task is one of the worker that calls. Returns a handle, or NULL: no memory, fn will not run.
 *
 * gee_after_stop frees the handle, so call it once, on any worker; true: fn was stopped and
 * will never run; false: it was started, and may still be running. A timer that nobody stops
 * holds what arg points to until its time is over; it does not keep the runtime from
 * ending, and what is armed then never runs.
 */
typedef struct gee_after gee_after;
gee_after *gee_ctx_after_func(gee_ctx *ctx, void (*fn)(void *arg), void *arg);
gee_after *gee_after_ms(uint64_t ms, void (*fn)(void *arg), void *arg);
bool gee_after_stop(gee_after *after);

#endif
