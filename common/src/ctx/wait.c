/* Waiting for the end of a ctx: as a task, and as one of several things. */
#include "ctx/ctx.h"

static void wake(gee_watch *watch, gee_ctx *ctx) {
    gee_ctx_waiter *w = gee_container(watch, gee_ctx_waiter, watch);
    (void)ctx;
    gee_wake(w->park, w->index);
}

int gee_ctx_wake_on_end(gee_ctx *ctx, gee_ctx_waiter *w, gee_park *park, int index) {
    w->watch.fn = wake;
    w->park = park;
    w->index = index;
    return gee_ctx_watch(ctx, &w->watch);
}

int gee_ctx_wait_at(gee_ctx *ctx, gee_site site) {
    gee_park park;
    gee_ctx_waiter waiter;
    gee_park_init(&park);
    int err = gee_ctx_wake_on_end(ctx, &waiter, &park, 0);
    if (err != 0)
        return err;
    gee_ctx_ref(ctx);
    gee_park_wait(&park, GEE_WAIT_CTX, ctx, site);
    err = gee_ctx_err(ctx);
    gee_ctx_unref(ctx);
    return err;
}
