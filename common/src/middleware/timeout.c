/*
 * The deadline of a request: see gee/timeout.h.
 *
 * A frame stands on the stack of the request's task, around the rest of the chain. One timer
 * keeps the deadline of its ctx and, when it rings, does everything at once, before any task
 * runs again: the connection is given to a new task that answers, and the ctx ends.
 */
#include "gee/timeout.h"
#include "middleware/own.h"
#include "web/web.h"
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* Constant while the engine serves. */
typedef struct settings {
    gee_timeout_options opt;
    gee_engine *engine;
    gee_link answer;
    gee_chain chain; /* that link */
} settings;

struct gee_timeout {
    struct gee_timeout *outer;
    const settings *settings;
    gee_req *req;
    gee_ctx *ctx, *before;
    gee_timer timer;
    size_t fields; /* of the response's header, when it came here */
    uint64_t family;
    gee_cleanup cleanup;
};

/* --- what is said of it --- */

typedef struct report {
    const settings *settings;
    gee_buf text;
} report;

static report *new_report(const struct gee_timeout *t) {
    report *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->settings = t->settings;
    if (t->settings->opt.log_fd >= 0) {
        gee_buf_printf(&r->text, "gee: timed out after %" PRIu64 " ms: %s %.200s\n",
                       t->settings->opt.ms, gee_method(t->req), gee_target(t->req));
        gee_where(&r->text, t->family);
    }
    return r;
}

static void say(void *arg) {
    report *r = arg;
    size_t n = gee_buf_size(&r->text);
    if (n > 0 && write(r->settings->opt.log_fd, gee_buf_head(&r->text), n) < 0)
        perror("gee: timeout");
    gee_buf_free(&r->text);
    free(r);
}

/* --- when the time is up --- */

static void gateway_timeout(gee_req *req) {
    gee_fail(req, 504);
}

/* The client comes first, then the log. */
static void answer(gee_exchange *x, void *arg) {
    gee_req *req = gee_container(x, gee_req, x);
    report *r = arg;
    gee_cleanup log;
    req->engine = r->settings->engine;
    req->ctx = x->ctx;
    gee_cleanup_push(&log, say, r);
    if (!x->ended)
        gee_req_serve(req, &r->settings->chain);
    if (gee_exchange_end(x) == 0)
        gee_conn_flush(NULL, x->conn, NULL, 0, GEE_HERE);
    gee_cleanup_pop(&log, true);
}

static void time_is_up(gee_timer *timer) {
    struct gee_timeout *t = gee_container(timer, struct gee_timeout, timer);
    gee_exchange *x = &t->req->x;
    bool open = !x->conn->closing;
    gee_remote(t->req); /* nobody can ask for it afterwards */
    report *r = open ? new_report(t) : NULL;
    const gee_takeover by = {t->fields, 504, answer, r};
    gee_ctx_expire(t->ctx);
    if (open && r == NULL) /* without memory the end of the connection has to say it */
        gee_conn_lost(x->conn, UV_ETIMEDOUT);
    if (r && !gee_exchange_take_over(x, &by))
        say(r);
    gee_ctx_cancel(x->ctx, UV_ETIMEDOUT);
}

/* --- around the handler --- */

static void leave(void *arg) {
    struct gee_timeout *t = arg;
    gee_timer_stop(&t->timer);
    t->req->timeouts = t->outer;
    gee_req_set_ctx(t->req, t->before);
    gee_ctx_end(t->ctx);
}

int gee_timeout_extend(gee_req *req, uint64_t ms) {
    uint64_t due = gee_clock_in_ms(ms);
    for (struct gee_timeout *t = req->timeouts; t; t = t->outer) {
        if (!gee_timer_armed(&t->timer))
            return UV_ETIMEDOUT;
        if (t->timer.when_ns >= due)
            continue;
        gee_ctx_move_deadline(t->ctx, due);
        gee_timer_start(&t->timer, due, time_is_up); /* it had a place */
    }
    return 0;
}

static void timeout(gee_req *req) {
    const settings *s = gee_arg(req);
    struct gee_timeout t = {
        .outer = req->timeouts,
        .settings = s,
        .req = req,
        .before = req->ctx,
        .fields = req->x.out_fields.n,
        .family = gee_task_family(),
    };
    if (s->opt.override)
        gee_timeout_extend(req, s->opt.ms);
    uint64_t due = gee_clock_in_ms(s->opt.ms);
    t.ctx = gee_ctx_with_kept_deadline(req->ctx, due);
    if (t.ctx == NULL || gee_timer_start(&t.timer, due, time_is_up) < 0) {
        if (t.ctx)
            gee_ctx_end(t.ctx);
        gee_fail(req, 503);
        return;
    }
    req->timeouts = &t;
    gee_req_set_ctx(req, t.ctx);
    gee_cleanup_push(&t.cleanup, leave, &t);
    gee_next(req);
    gee_cleanup_pop(&t.cleanup, true);
}

int gee_use_timeout_with(gee_group *g, const gee_timeout_options *opt) {
    if (opt == NULL || opt->ms == 0)
        return gee_own_failed(g, UV_EINVAL, "timeout");
    settings *s = gee_own_alloc(g, sizeof(*s));
    if (s == NULL)
        return gee_own_failed(g, UV_ENOMEM, "timeout");
    s->opt = *opt;
    s->opt.log_fd = opt->log_fd ? opt->log_fd : STDERR_FILENO;
    s->engine = gee_engine_of(g);
    s->answer = (gee_link){opt->answer ? opt->answer : gateway_timeout, opt->arg};
    s->chain = (gee_chain){&s->answer, 1};
    return gee_use(g, timeout, s);
}

int gee_use_timeout(gee_group *g, uint64_t ms) {
    return gee_use_timeout_with(g, &(gee_timeout_options){.ms = ms});
}
