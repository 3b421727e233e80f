/*
 * A request's time is up. Everything is done at once, before any task runs again: what its
 * tasks wait for is noted, its ctx ends, and its connection is given to a new task that answers.
 */
#include "middleware/timeout.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- what is said of it --- */

typedef struct report {
    const gee_timeout_settings *settings;
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
        gee_where(&r->text, t->task);
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

void gee_timeout_answer(gee_req *req) {
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

void gee_timeout_ring(gee_timer *timer) {
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
