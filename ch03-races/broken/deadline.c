/*
 * Deadlines. A ctx with one of its own has a timer, on the worker that made it, unless its maker
 * keeps the time. What counts is the earliest on the way to the root.
 */
#include "base/tools.h"
#include "ctx/tree.h"

bool gee_ctx_deadline(const gee_ctx *ctx, uint64_t *deadline_ns) {
    uint64_t first = GEE_FAR_NS;
    for (const gee_ctx *at = (ctx ? ctx : gee_background())->timed; at; at = at->parent->timed) {
        uint64_t own = atomic_load_explicit(&at->deadline_ns, memory_order_relaxed);
        first = own < first ? own : first;
    }
    if (first < GEE_FAR_NS && deadline_ns)
        *deadline_ns = first;
    return first < GEE_FAR_NS;
}

/* Who ends a ctx stops its timer. */
void gee_ctx_stop_timer(gee_ctx *ctx) {
    if (ctx->worker)
        gee_timer_stop(&ctx->timer);
}

static void time_is_up(gee_timer *t) {
    gee_ctx_expire(gee_container(t, gee_ctx, timer));
}

static void set_deadline(gee_ctx *ctx, uint64_t deadline_ns) {
    ctx->timed = ctx;
    gee_atomic_store(&ctx->deadline_ns, deadline_ns, memory_order_relaxed);
}

/* Some deadline further up is earlier, and stays so. */
static bool is_idle(const gee_ctx *parent, uint64_t deadline_ns) {
    uint64_t first;
    for (const gee_ctx *at = parent->timed; at; at = at->parent->timed)
        if (at->kept)
            return false;
    return gee_ctx_deadline(parent, &first) && first <= deadline_ns;
}

gee_ctx *gee_ctx_with_deadline(gee_ctx *parent, uint64_t deadline_ns) {
    gee_ctx *ctx = gee_ctx_new_child(parent);
    if (ctx == NULL)
        return NULL;
    if (is_idle(ctx->parent, deadline_ns))
        return gee_ctx_follow_parent(ctx);
    set_deadline(ctx, deadline_ns);
    ctx->worker = gee_worker_self();
    if (deadline_ns > gee_clock_ns() && gee_timer_start(&ctx->timer, deadline_ns, time_is_up) < 0) {
        gee_ctx_unref(ctx);
        return NULL;
    }
    gee_ctx_follow_parent(ctx);
    if (!gee_timer_armed(&ctx->timer)) /* it was the past; or a parent's end came first */
        gee_ctx_end_and_leave(ctx, UV_ETIMEDOUT, UV_ETIMEDOUT);
    return ctx;
}

gee_ctx *gee_ctx_with_timeout(gee_ctx *parent, uint64_t ms) {
    return gee_ctx_with_deadline(parent, gee_clock_in_ms(ms));
}

gee_ctx *gee_ctx_with_kept_deadline(gee_ctx *parent, uint64_t deadline_ns) {
    gee_ctx *ctx = gee_ctx_new_child(parent);
    if (ctx == NULL)
        return NULL;
    ctx->kept = true;
    set_deadline(ctx, deadline_ns);
    return gee_ctx_follow_parent(ctx);
}

void gee_ctx_move_deadline(gee_ctx *ctx, uint64_t deadline_ns) {
    gee_atomic_store(&ctx->deadline_ns, deadline_ns, memory_order_relaxed);
}

void gee_ctx_expire(gee_ctx *ctx) {
    gee_ctx_ref(ctx);
    gee_ctx_end_and_leave(ctx, UV_ETIMEDOUT, UV_ETIMEDOUT);
    gee_ctx_unref(ctx);
}
