/*
 * DECOY, a repair that is wrong: the timer is stopped, and what it held is let go for it, also
 * when the stop says that it came too late. Then the timer has rung, its task is on its way,
 * and lets go of the same once more.
 */
#include "gee/middleware.h"
#include "middleware/own.h"
#include "web/web.h"
#include <stdlib.h>

typedef struct watch {
    gee_ctx *ctx; /* of the request; a reference */
    uint64_t ms;
    _Atomic(gee_req *) req;     /* NULL: it is over */
    _Atomic(gee_after *) timer; /* NULL: none is armed */
    _Atomic bool silent;        /* it was, and the request has been ended */
    _Atomic int refs;
} watch;

static void watch_unref(watch *w) {
    if (atomic_fetch_sub(&w->refs, 1) == 1) {
        gee_ctx_unref(w->ctx);
        free(w);
    }
}

static void look(void *arg);

/* A reference for the timer. False: no memory. */
static bool arm(watch *w, uint64_t ms) {
    atomic_fetch_add(&w->refs, 1);
    gee_after *timer = gee_after_ms(ms, look, w);
    atomic_store(&w->timer, timer);
    if (timer == NULL)
        watch_unref(w);
    return timer != NULL;
}

/* How long until the silence is too long. */
static uint64_t left_ms(const watch *w, gee_conn *c) {
    uint64_t now_ns = gee_now_ns(), silent_ms = (now_ns - gee_conn_moved_ns(c)) / 1000000;
    return silent_ms < w->ms ? w->ms - silent_ms : 0;
}

/* A whole response (gee_data) is sent under no ctx: what ends that is the end of its connection. */
static void end_request(watch *w, gee_conn *c, int cause) {
    atomic_store(&w->silent, true);
    gee_ctx_cancel(w->ctx, cause);
    if (c->writing)
        gee_conn_lost(c, cause);
}

static void look(void *arg) {
    watch *w = arg;
    gee_req *req = atomic_load(&w->req);
    gee_conn *c = req ? req->x.conn : NULL; /* now: a late request is taken off its own */
    gee_after *own = atomic_exchange(&w->timer, NULL);
    uint64_t ms = c ? left_ms(w, c) : 0;
    if (own)
        gee_after_stop(own); /* it rang: this frees the handle */
    if (c && ms == 0)
        end_request(w, c, UV_ETIMEDOUT);
    else if (c && !arm(w, ms))
        end_request(w, c, UV_ENOMEM); /* rather than not to watch it any more */
    watch_unref(w);
}

static watch *watch_new(gee_req *req, uint64_t ms) {
    watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->ctx = gee_ctx_ref(gee_req_ctx(req));
    w->ms = ms;
    atomic_init(&w->req, req);
    atomic_init(&w->refs, 1);
    if (arm(w, ms))
        return w;
    watch_unref(w);
    return NULL;
}

static void request_over(void *arg) {
    watch *w = arg;
    gee_after *timer = atomic_exchange(&w->timer, NULL);
    atomic_store(&w->req, NULL);
    if (timer) {
        gee_after_stop(timer);
        watch_unref(w); /* the timer's */
    }
    watch_unref(w);
}

/* The rest of a body that stalled will not come; otherwise what was answered counts. */
static void answer(gee_req *req, size_t fields) {
    gee_exchange *x = &req->x;
    x->conn->close_after = true;
    if (!x->complete && gee_exchange_retract(x, fields))
        gee_fail(req, 408);
    else if (!x->head_sent)
        gee_hang_up(req);
}

static void idle_timeout(gee_req *req) {
    const uint64_t *ms = gee_arg(req);
    size_t fields = req->x.out_fields.n;
    gee_cleanup over;
    watch *w = watch_new(req, *ms);
    if (w == NULL) {
        gee_fail(req, 503);
        return;
    }
    gee_cleanup_push(&over, request_over, w);
    gee_next(req);
    if (atomic_load(&w->silent))
        answer(req, fields);
    gee_cleanup_pop(&over, true);
}

int gee_use_idle_timeout(gee_group *g, uint64_t ms) {
    uint64_t *own = ms > 0 ? gee_own_alloc(g, sizeof(*own)) : NULL;
    if (own == NULL)
        return gee_own_failed(g, ms > 0 ? UV_ENOMEM : UV_EINVAL, "idle timeout");
    *own = ms;
    static const gee_contract contract = {.name = "idle timeout", .provides = "idle timeout"};
    return gee_own_use(g, idle_timeout, own, &contract);
}
