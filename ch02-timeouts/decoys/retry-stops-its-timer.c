/*
 * DECOY, a repair that is wrong: what stays armed is a timer, so the try gets one that can be
 * stopped, and it is stopped. But the ctx of the try is still linked to its parent, and now
 * nothing will ever end it: before, its own timer did, if late.
 */
#include "gee/panic.h"
#include "gee/retry.h"

/* So that twice that is a number too. */
#define MAX_MS ((uint64_t)INT64_MAX)

static gee_retry_options with_defaults(const gee_retry_options *given) {
    gee_retry_options o = given ? *given : (gee_retry_options){0};
    o.tries = o.tries ? o.tries : 3;
    o.try_ms = o.try_ms ? o.try_ms : 1000;
    o.pause_ms = o.pause_ms ? o.pause_ms : 100;
    o.max_ms = o.max_ms ? o.max_ms : 10 * 1000;
    if (o.max_ms > MAX_MS)
        o.max_ms = MAX_MS;
    return o;
}

typedef struct attempt {
    gee_ctx *own, *time; /* time: ends when the time of the try is up */
    gee_after *after;
} attempt;

static void time_is_up(void *own) {
    gee_ctx_cancel(own, UV_ETIMEDOUT);
}

static void end_try(void *arg) {
    attempt *t = arg;
    if (t->after)
        gee_after_stop(t->after);
    if (t->time)
        gee_ctx_end(t->time); /* its timer is stopped */
    gee_ctx_unref(t->own);
}

static int try_once(gee_ctx *ctx, uint64_t ms, gee_retry_fn fn, void *arg) {
    attempt t = {.own = gee_ctx_with_cancel(ctx)};
    if (t.own == NULL)
        return UV_ENOMEM;
    gee_cleanup over;
    gee_cleanup_push(&over, end_try, &t);
    t.time = gee_ctx_with_timeout(NULL, ms);
    t.after = t.time ? gee_ctx_after_func(t.time, time_is_up, t.own) : NULL;
    int rc = t.after ? fn(t.own, arg) : UV_ENOMEM;
    gee_cleanup_pop(&over, true);
    return rc;
}

static uint64_t draw_pause(const gee_retry_options *o, int failed) {
    uint64_t most = o->pause_ms;
    while (--failed > 0 && most < o->max_ms)
        most *= 2;
    if (most > o->max_ms)
        most = o->max_ms;
    return gee_random_number() % (most + 1);
}

/* A pause at whose end nobody wants the result. */
static bool is_in_vain(const gee_ctx *ctx, uint64_t pause_ms) {
    uint64_t deadline_ns, now_ns = gee_now_ns();
    if (!gee_ctx_deadline(ctx, &deadline_ns))
        return false;
    return deadline_ns <= now_ns || (deadline_ns - now_ns) / 1000000 <= pause_ms;
}

int gee_retry_at(gee_ctx *ctx, const gee_retry_options *opt, gee_retry_fn fn, void *arg,
                 gee_site site) {
    const gee_retry_options o = with_defaults(opt);
    int rc = o.tries < 0 ? UV_EINVAL : gee_ctx_err(ctx);
    if (rc < 0)
        return rc;
    for (int failed = 1;; failed++) {
        rc = try_once(ctx, o.try_ms, fn, arg);
        if (rc >= 0 || failed >= o.tries || gee_ctx_err(ctx) < 0 || (o.again && !o.again(rc, arg)))
            return rc;
        uint64_t pause_ms = draw_pause(&o, failed);
        if (is_in_vain(ctx, pause_ms) || gee_sleep_at(ctx, pause_ms, site) < 0)
            return rc;
    }
}
