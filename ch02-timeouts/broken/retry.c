/*
 * Trying again, with a pause that grows and is drawn ("full jitter": between nothing and the most
 * it may be). What a try was given, a ctx with a timer, is released with the try.
 */
#include "gee/retry.h"
#include "gee/panic.h"

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

static void end_try(void *own) {
    gee_ctx_unref(own);
}

static int try_once(gee_ctx *ctx, uint64_t ms, gee_retry_fn fn, void *arg) {
    gee_ctx *own = gee_ctx_with_timeout(ctx, ms);
    if (own == NULL)
        return UV_ENOMEM;
    gee_cleanup over;
    gee_cleanup_push(&over, end_try, own);
    int rc = fn(own, arg);
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
