/*
 * The slow log: while a request is still running, a watcher beside it says for how long
 * already, and where its task is parked.
 *
 * The watcher looks at the request and at its task, and has memory of its own. In it the
 * middleware leaves word when the request is over: from then on there is nothing to look
 * at, and nothing to say.
 */
#include "base/buf.h"
#include "gee/middleware.h"
#include "middleware/line.h"
#include "middleware/own.h"
#include "runtime/worker.h"
#include "web/web.h"
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct watched {
    gee_req *req;
    gee_ctx *ctx; /* the request's, as it was when the chain came by */
    const gee_task *task;
    const gee_slow_log_options *opt;
    uint64_t start_ns;
    _Atomic bool over; /* there is nothing to say any more */
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
        if (!atomic_load(&w->over))
            report(w);
        ms = every_ms;
    }
    free(w);
}

/* NULL: no memory; the request is served all the same, and not watched. */
static watched *start(gee_req *req) {
    watched *w = malloc(sizeof(*w));
    if (w) {
        *w = (watched){.req = req,
                       .ctx = gee_req_ctx(req),
                       .task = gee_task_self(),
                       .opt = gee_arg(req),
                       .start_ns = gee_now_ns()};
        if (gee_go(gee_background(), watch, w) == 0)
            return w;
    }
    free(w);
    return NULL;
}

static void request_over(void *arg) {
    watched *w = arg;
    if (w == NULL)
        return;
    atomic_store(&w->over, true);
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
