/*
 * DECOY, a repair that is wrong: the watcher is told to end, and waited for under the ctx of the
 * request. When the client has left that has ended, and so has the wait, before it began.
 */
#include "base/buf.h"
#include "gee/middleware.h"
#include "gee/sync.h"
#include "middleware/line.h"
#include "middleware/own.h"
#include "runtime/worker.h"
#include "web/web.h"
#include <inttypes.h>
#include <unistd.h>

typedef struct watched {
    gee_req *req;
    gee_ctx *ctx; /* the request's, as it was when the chain came by */
    const gee_task *task;
    const gee_slow_log_options *opt;
    uint64_t start_ns;
    gee_ctx *end; /* of the watcher */
    gee_waitgroup watcher;
} watched;

static double seconds_since(uint64_t ns) {
    return (double)(gee_now_ns() - ns) / 1e9;
}

static void put_line(gee_buf *out, const watched *w) {
    const gee_task *t = w->task;
    const char *id = gee_request_id(w->req);
    gee_buf_printf(out, "gee: slow");
    gee_log_time(out);
    gee_buf_printf(out, " \"%s ", gee_method(w->req));
    gee_log_escaped(out, gee_target(w->req));
    gee_buf_printf(out, "\" %.1f s: task %" PRIu64 ", ", seconds_since(w->start_ns), t->id);
    if (t->state == GEE_TASK_WAITING)
        gee_buf_printf(out, "%s %.1f s at %s", gee_wait_reason_text(t->reason),
                       seconds_since(t->since_ns), t->parked_at);
    else
        gee_buf_printf(out, "%s", gee_task_state_text(t->state));
    if (gee_ctx_err(w->ctx))
        gee_buf_printf(out, ", its ctx ended %.1f s ago (%s)",
                       seconds_since(gee_ctx_ended_ns(w->ctx)), uv_strerror(gee_ctx_cause(w->ctx)));
    if (id)
        gee_buf_printf(out, ", id %s", id);
    gee_buf_append(out, "\n", 1);
}

static void report(const watched *w) {
    gee_buf line = {0};
    put_line(&line, w);
    gee_log_write(w->opt->fd, &line);
}

static void watch(gee_ctx *ctx, void *arg) {
    watched *w = arg;
    uint64_t ms = w->opt->after_ms, every_ms = w->opt->every_ms;
    while (gee_sleep(ctx, ms) == 0) {
        report(w);
        ms = every_ms;
    }
    gee_waitgroup_done(&w->watcher);
}

/* NULL: no memory; the request is served all the same, and not watched. */
static watched *start(gee_req *req) {
    watched *w = gee_alloc(req, sizeof(*w));
    gee_ctx *end = gee_ctx_without_cancel(gee_req_ctx(req));
    if (w && end) {
        *w = (watched){.req = req,
                       .ctx = gee_req_ctx(req),
                       .task = gee_task_self(),
                       .opt = gee_arg(req),
                       .start_ns = gee_now_ns(),
                       .end = end};
        gee_waitgroup_add(&w->watcher, 1);
        if (gee_go(end, watch, w) == 0)
            return w;
    }
    gee_ctx_end(end);
    return NULL;
}

static void request_over(void *arg) {
    watched *w = arg;
    if (w == NULL)
        return;
    gee_ctx_end(w->end);
    gee_waitgroup_wait(w->ctx, &w->watcher);
}

static void slow_log(gee_req *req) {
    gee_cleanup over;
    watched *w = start(req);
    gee_cleanup_push(&over, request_over, w);
    gee_next(req);
    gee_cleanup_pop(&over, true);
}

int gee_use_slow_log(gee_group *g, const gee_slow_log_options *opt) {
    gee_slow_log_options *own = gee_own_alloc(g, sizeof(*own));
    if (own == NULL)
        return gee_own_failed(g, UV_ENOMEM, "slow log");
    if (opt)
        *own = *opt;
    own->after_ms = own->after_ms ? own->after_ms : 1000;
    own->every_ms = own->every_ms ? own->every_ms : 10000;
    own->fd = own->fd ? own->fd : STDERR_FILENO;
    static const gee_contract contract = {.name = "slow log", .provides = "slow log"};
    return gee_own_use(g, slow_log, own, &contract);
}
