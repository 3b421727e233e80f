/* The tree of ctxs: how one is made, ends and goes away. */
#include "base/count.h"
#include "base/pool.h"
#include "base/tools.h"
#include "ctx/tree.h"
#include <stddef.h>
#include <string.h>

static gee_ctx background = {
    .watches = {&background.watches, &background.watches},
    .refs = 1,
};

gee_ctx *gee_background(void) {
    return &background;
}

static gee_ctx *or_background(const gee_ctx *ctx) {
    return ctx ? (gee_ctx *)ctx : &background;
}

gee_ctx *gee_ctx_ref(gee_ctx *ctx) {
    ctx = or_background(ctx);
    if (ctx != &background)
        atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

/* Who has all references that there are need not count them down: nobody is there to take another.
 */
static bool is_over(gee_ctx *ctx, int refs) {
    return atomic_load_explicit(&ctx->refs, memory_order_acquire) == refs ||
           atomic_fetch_sub_explicit(&ctx->refs, refs, memory_order_acq_rel) == refs;
}

static void drop(gee_ctx *ctx, int refs) {
    for (; ctx && ctx != &background; refs = 1) {
        gee_race_release(&ctx->refs);
        if (!is_over(ctx, refs))
            return;
        gee_race_acquire(&ctx->refs);
        if (ctx->free_value)
            ctx->free_value(ctx->value);
        gee_ctx *parent = ctx->parent;
        gee_pool_put(ctx->timeless ? GEE_POOL_CTXS : GEE_POOL_TIMED_CTXS, ctx);
        gee_count(GEE_COUNT_CTXS, -1);
        ctx = parent;
    }
}

void gee_ctx_unref(gee_ctx *ctx) {
    drop(ctx, 1);
}

int gee_ctx_err(const gee_ctx *ctx) {
    ctx = or_background(ctx);
    int err = atomic_load_explicit(&ctx->err, memory_order_acquire);
    if (err != 0)
        gee_race_acquire(&ctx->err);
    return err;
}

int gee_ctx_cause(const gee_ctx *ctx) {
    return gee_ctx_err(ctx) ? or_background(ctx)->cause : 0;
}

uint64_t gee_ctx_ended_ns(const gee_ctx *ctx) {
    return gee_ctx_err(ctx) ? or_background(ctx)->ended_ns : 0;
}

bool gee_ctx_hears(const gee_ctx *wait_ctx, const gee_ctx *owner) {
    owner = or_background(owner);
    while (wait_ctx && wait_ctx != owner)
        wait_ctx = wait_ctx->detached ? &background : wait_ctx->parent;
    return wait_ctx != NULL;
}

void *gee_ctx_value(const gee_ctx *ctx, const void *key) {
    for (; ctx; ctx = ctx->parent)
        if (ctx->key == key && key)
            return ctx->value;
    return NULL;
}

int gee_ctx_watch(gee_ctx *ctx, gee_watch *w) {
    ctx = or_background(ctx);
    gee_list_init(&w->link);
    if (ctx == &background)
        return 0; /* it never ends: nobody has to be told */
    gee_spin_lock(&ctx->lock);
    int err = atomic_load_explicit(&ctx->err, memory_order_relaxed);
    if (err == 0)
        gee_list_push(&ctx->watches, &w->link);
    gee_spin_unlock(&ctx->lock);
    if (err != 0)
        gee_race_acquire(&ctx->err);
    return err;
}

bool gee_ctx_unwatch(gee_ctx *ctx, gee_watch *w) {
    ctx = or_background(ctx);
    if (ctx == &background)
        return true;
    gee_spin_lock(&ctx->lock);
    bool linked = gee_list_linked(&w->link);
    gee_list_del(&w->link);
    gee_spin_unlock(&ctx->lock);
    return linked;
}

/* True for the first: it has ended now, and is locked. */
static inline bool begin_end(gee_ctx *ctx, int err, int cause) {
    gee_spin_lock(&ctx->lock);
    if (atomic_load_explicit(&ctx->err, memory_order_relaxed) != 0) {
        gee_spin_unlock(&ctx->lock);
        return false;
    }
    gee_worker *w = gee_worker_self();
    ctx->cause = cause;
    ctx->ended_ns = w ? w->now_ns : uv_hrtime();
    gee_race_release(&ctx->err);
    gee_atomic_store(&ctx->err, err, memory_order_release);
    return true;
}

/* The next watch of ctx: of a child that ends now, the child; else ctx. */
static gee_ctx *end_next(gee_ctx *ctx, gee_watch *watch) {
    if (watch->fn) {
        watch->fn(watch, ctx);
        return ctx;
    }
    gee_ctx *child = gee_container(watch, gee_ctx, on_parent);
    if (begin_end(child, atomic_load_explicit(&ctx->err, memory_order_relaxed), ctx->cause))
        return child;
    gee_ctx_unref(child);
    return ctx;
}

/* Of a child that has ended with it; the parent. */
static gee_ctx *end_of_child(gee_ctx *ctx) {
    gee_ctx *parent = ctx->parent;
    gee_spin_unlock(&ctx->lock);
    gee_ctx_stop_timer(ctx);
    gee_ctx_unref(ctx);
    return parent;
}

/*
 * Calls the watches of top, which has ended. From child to child, and back by the parents, all of
 * which are locked: a tree may be deeper than a stack.
 */
static void end_below(gee_ctx *top) {
    for (gee_ctx *at = top;;) {
        gee_list *it = gee_list_pop(&at->watches);
        if (it)
            at = end_next(at, gee_container(it, gee_watch, link));
        else if (at != top)
            at = end_of_child(at);
        else
            return;
    }
}

/* True for the first: ctx has ended now and its watches were called. A call, or who begins a ctx
 * would save the registers that an end needs. */
__attribute__((noinline)) static bool end(gee_ctx *ctx, int err, int cause) {
    if (!begin_end(ctx, err, cause))
        return false;
    if (!gee_list_empty(&ctx->watches))
        end_below(ctx);
    gee_spin_unlock(&ctx->lock);
    gee_ctx_stop_timer(ctx);
    return true;
}

/* Its parent does not hold it any more: a reference is its caller's to drop, if true. */
static bool end_and_leave(gee_ctx *ctx, int err, int cause) {
    return end(ctx, err, cause) && !ctx->detached && gee_ctx_unwatch(ctx->parent, &ctx->on_parent);
}

void gee_ctx_end_and_leave(gee_ctx *ctx, int err, int cause) {
    if (end_and_leave(ctx, err, cause))
        gee_ctx_unref(ctx);
}

void gee_ctx_cancel(gee_ctx *ctx, int cause) {
    if (ctx && ctx != &background)
        gee_ctx_end_and_leave(ctx, UV_ECANCELED, cause ? cause : UV_ECANCELED);
}

void gee_ctx_end(gee_ctx *ctx) {
    bool more = ctx && ctx != &background && end_and_leave(ctx, UV_ECANCELED, UV_ECANCELED);
    drop(ctx, more ? 2 : 1);
}

static gee_ctx *new_child(gee_ctx *parent, bool timeless) {
    size_t size = timeless ? offsetof(gee_ctx, timer) : sizeof(gee_ctx);
    gee_ctx *ctx = gee_pool_get(timeless ? GEE_POOL_CTXS : GEE_POOL_TIMED_CTXS, size);
    if (ctx == NULL)
        return NULL;
    memset(ctx, 0, size);
    ctx->timeless = timeless;
    parent = gee_ctx_ref(parent);
    ctx->parent = parent;
    ctx->timed = parent->timed;
    gee_list_init(&ctx->watches);
    gee_list_init(&ctx->on_parent.link);
    atomic_init(&ctx->err, 0);
    atomic_init(&ctx->refs, 1);
    gee_count(GEE_COUNT_CTXS, 1);
    return ctx;
}

gee_ctx *gee_ctx_new_child(gee_ctx *parent) {
    return new_child(parent, false);
}

gee_ctx *gee_ctx_follow_parent(gee_ctx *ctx) {
    atomic_store_explicit(&ctx->refs, 2, memory_order_relaxed); /* nobody else knows of it yet */
    int err = gee_ctx_watch(ctx->parent, &ctx->on_parent);
    if (err != 0) {
        end(ctx, err, ctx->parent->cause);
        gee_ctx_unref(ctx);
    }
    return ctx;
}

gee_ctx *gee_ctx_with_cancel(gee_ctx *parent) {
    gee_ctx *ctx = new_child(parent, true);
    return ctx ? gee_ctx_follow_parent(ctx) : NULL;
}

gee_ctx *gee_ctx_with_value(gee_ctx *parent, const void *key, void *value,
                            void (*free_value)(void *)) {
    gee_ctx *ctx = new_child(parent, true);
    if (ctx == NULL)
        return NULL;
    ctx->key = key;
    ctx->value = value;
    ctx->free_value = free_value;
    return gee_ctx_follow_parent(ctx);
}

/* Nobody but the caller holds it: nothing would tell the parent that it may let go. */
gee_ctx *gee_ctx_without_cancel(gee_ctx *parent) {
    gee_ctx *ctx = new_child(parent, true);
    if (ctx == NULL)
        return NULL;
    ctx->detached = true;
    ctx->timed = NULL;
    return ctx;
}
