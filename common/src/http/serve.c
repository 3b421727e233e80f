/*
 * The task of a connection: it serves what has been parsed, then what was pipelined behind it, and
 * ends when nothing more waits. Responses to pipelined requests are sent together.
 */
#include "base/count.h"
#include "base/tools.h"
#include "gee/panic.h"
#include "http/http.h"
#include "runtime/probe.h"
#include <string.h>

void gee_exchange_free(gee_conn *c) {
    gee_exchange *x = c->x;
    c->x = NULL;
    gee_filter_free(x);
    if (x->ctx)
        gee_ctx_end(x->ctx);
    gee_buf_free(&x->body);
    gee_arena_reset(&c->arena);
}

/* "GET /events": what a dump shows. In place, for it is done for each request, and seldom
 * looked at. */
static void name_task(const gee_exchange *x) {
    char *name = x->conn->task->name;
    const char *method = x->method ? x->method : "-", *target = x->target ? x->target : "-";
    size_t at = 0, room = sizeof(x->conn->task->name) - 1;
    for (; at < 8 && method[at]; at++)
        name[at] = method[at];
    name[at++] = ' ';
    size_t n = x->target ? x->target_len : 1;
    n = n < room - at ? n : room - at;
    memcpy(name + at, target, n);
    name[at + n] = '\0';
}

static void call_handler(void *arg) {
    gee_exchange *x = arg;
    const gee_http_handler *h = &x->conn->part->srv->handler;
    if (x->instead)
        x->instead(x, x->instead_arg);
    else
        h->serve(x, h->arg);
}

/* A panic that no handler recovered, in the request's task or in one of its own. */
static int handle(gee_exchange *x) {
    gee_panic_info panic;
    int rc = gee_recover(call_handler, x, &panic);
    if (rc < 0)
        gee_panic_print(&panic);
    else if (x->head_sent || gee_ctx_cause(x->ctx) != GEE_EPANIC)
        return 0;
    if (gee_exchange_retract(x, 0))
        return gee_exchange_error(x, 500);
    gee_exchange_break(x);
    return 0;
}

/* False: the connection ends with this exchange. Behind the handler it may be another one. */
static bool serve_one(gee_exchange *x) {
    gee_conn *c = x->conn;
    gee_race_release(c); /* what is in its buffer, for who may take it over */
    gee_conn_deadline(c, GEE_NO_DEADLINE, 0);
    c->close_after = !x->keep_alive || x->reject;
    gee_count(GEE_COUNT_REQS, 1);
    x->start_ns = c->worker->now_ns;
    gee_task_set_owner(x->ctx);
    name_task(x);
    if (x->reject)
        gee_count(GEE_COUNT_REJECTED, 1);
    int rc = x->reject ? gee_exchange_error(x, x->reject) : handle(x);
    if (rc == 0)
        rc = gee_exchange_end(x);
    c = x->conn;
    if (rc < 0 || atomic_load_explicit(&c->part->srv->draining, memory_order_relaxed))
        c->close_after = true;
    /* The client may be waiting for the answer before it sends the rest of the body. */
    if (!c->closing && !x->complete && !c->close_after)
        c->close_after = gee_conn_flush(NULL, c, NULL, 0, GEE_HERE) < 0 || !gee_exchange_discard(x);
    if (c->worker->probe)
        gee_probe_request(c->worker, x->start_ns, x->status);
    gee_count(GEE_COUNT_REQS, -1);
    return !c->close_after && !c->closing;
}

/* Is there another exchange? Parses what waits; sends what was written if that is all. */
static bool next(gee_conn *c) {
    for (bool flushed = false;; flushed = true) {
        if (c->x == NULL && gee_buf_size(&c->in) > 0 && !c->broken)
            gee_parse_waiting(c);
        if (c->closing)
            return false;
        gee_conn_tell_gone(c); /* it may have been so before this exchange was there */
        if (c->x && c->x->head_done)
            return true;
        if (flushed || gee_conn_flush(NULL, c, NULL, 0, GEE_HERE) < 0)
            return false; /* while the flush was parked, more may have come: hence the loop */
    }
}

/* Nothing more is served. What has been written is for the client to read, whatever it sends
 * meanwhile. */
static void end(gee_conn *c) {
    /* Who asked for the close sends no more; others may, and the kernel would answer what
     * we have not read with a reset. */
    bool asked = c->x && !c->x->keep_alive;
    bool ends = asked || atomic_load_explicit(&c->part->srv->draining, memory_order_relaxed);
    bool unread = c->broken || gee_buf_size(&c->in) > 0 || (c->x && !c->x->complete);
    /* Where the end of the connection is the end of the body, only a reset is not one. */
    bool reset = c->x && c->x->broken && c->x->frame == GEE_FRAME_CLOSE;
    gee_conn_flush(NULL, c, NULL, 0, GEE_HERE);
    /* The last one that was served, or one that is not there as a whole. */
    if (c->x)
        gee_exchange_free(c);
    c->serving = false;
    if (c->closing)
        return;
    if (reset)
        gee_conn_reset(c);
    else if (unread || !ends)
        gee_conn_linger(c);
    else
        gee_conn_close(c);
}

static void serve(gee_ctx *ctx, void *arg) {
    gee_conn *c = arg;
    gee_server *srv = c->part->srv;
    (void)ctx;
    c->task = gee_task_self();
    gee_race_acquire(srv); /* the engine was built before it listened */
    gee_race_acquire(c);   /* requests of a connection come one after the other */
    bool keep = true;
    unsigned n = 0;
    do {
        /* Pipelined requests are many, perhaps; behind some of them others have their turn. */
        if (++n > 1 && n % GEE_IN_A_ROW == 1)
            gee_yield();
        gee_exchange *x = c->x;
        keep = serve_one(x);
        c = x->conn;
        if (keep) {
            gee_exchange_free(c);
            if (gee_buf_size(&c->out) >= GEE_OUT_BUFFER)
                keep = gee_conn_flush(NULL, c, NULL, 0, GEE_HERE) == 0;
        }
    } while (keep && next(c));
    /* An idle connection has no task, and a task that has nothing to serve has no owner. */
    bool goes_on = keep && c->gone == 0 && !c->broken && !c->closing;
    if (goes_on)
        gee_conn_idle(c);
    else
        end(c);
    gee_task_set_owner(NULL);
    gee_race_release(c);
    gee_race_release(srv);
    gee_conn_unref(c);
}

bool gee_conn_serve(gee_conn *c) {
    c->serving = true;
    c->refs++;
    if (gee_go_at(c->x->ctx, serve, c, "request", GEE_HERE) == 0)
        return true;
    c->serving = false; /* no memory for a task: the client finds the connection closed */
    c->refs--;
    gee_conn_close(c);
    return false;
}

gee_exchange *gee_exchange_of(const gee_task *t) {
    return t->fn == serve ? ((gee_conn *)t->arg)->x : NULL;
}
