/*
 * The deadline of a request: see gee/timeout.h.
 *
 * It is put around the rest of the chain: a ctx with that deadline, which says behind the
 * chain whether the time was up.
 */
#include "middleware/timeout.h"
#include "middleware/own.h"
#include <unistd.h>

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
        gee_timer_start(&t->timer, due, gee_timeout_ring); /* it had a place */
    }
    return 0;
}

static void timeout(gee_req *req) {
    const gee_timeout_settings *s = gee_arg(req);
    struct gee_timeout t = {
        .outer = req->timeouts,
        .settings = s,
        .req = req,
        .before = req->ctx,
        .fields = req->x.out_fields.n,
        .task = gee_task_self(),
    };
    if (s->opt.override)
        gee_timeout_extend(req, s->opt.ms);
    t.ctx = gee_ctx_with_timeout(req->ctx, s->opt.ms);
    if (t.ctx == NULL) {
        gee_fail(req, 503);
        return;
    }
    req->timeouts = &t;
    gee_cleanup_push(&t.cleanup, leave, &t);
    gee_next(req);
    if (gee_ctx_err(t.ctx) == UV_ETIMEDOUT)
        gee_fail(req, 504);
    gee_cleanup_pop(&t.cleanup, true);
}

int gee_use_timeout_with(gee_group *g, const gee_timeout_options *opt) {
    static const gee_contract contract = {.name = "timeout", .provides = "deadline"};
    if (opt == NULL || opt->ms == 0)
        return gee_own_failed(g, UV_EINVAL, "timeout");
    gee_timeout_settings *s = gee_own_alloc(g, sizeof(*s));
    if (s == NULL)
        return gee_own_failed(g, UV_ENOMEM, "timeout");
    s->opt = *opt;
    s->opt.log_fd = opt->log_fd ? opt->log_fd : STDERR_FILENO;
    s->engine = gee_engine_of(g);
    s->answer = (gee_link){opt->answer ? opt->answer : gee_timeout_answer, opt->arg};
    s->chain = (gee_chain){&s->answer, 1};
    return gee_own_use(g, timeout, s, &contract);
}

int gee_use_timeout(gee_group *g, uint64_t ms) {
    return gee_use_timeout_with(g, &(gee_timeout_options){.ms = ms});
}
