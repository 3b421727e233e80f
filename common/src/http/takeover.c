/*
 * A request whose time is up: its connection is taken from it, and its client answered.
 *
 * A handler cannot be stopped, it can only be told; it may look at its ctx much later, or
 * never. Until then the client is owed an answer, and the connection has other requests to
 * carry. So the late exchange moves, with its memory, to a connection of its own, which
 * was never open: what the handler still writes goes nowhere, what it still reads is an
 * error, and its task ends there. On the real connection another exchange with the same head
 * stands in its place, and a new task answers.
 *
 * This can be done as long as nothing of the late response has left. Afterwards only a
 * connection that is cut tells the client that the rest will not come.
 */
#include "http/http.h"

static bool is_too_late(const gee_exchange *x) {
    return (x->on_wire && !x->ended) || x->broken || x->conn->writing;
}

static void cut(gee_exchange *x) {
    gee_conn *c = x->conn;
    if (x->frame == GEE_FRAME_CLOSE && x->on_wire)
        gee_conn_reset(c); /* an end would be taken for the body's */
    gee_conn_lost(c, UV_ETIMEDOUT);
}

/* In c's arena, which is empty. NULL: no memory. */
static gee_exchange *successor(gee_conn *c, const gee_exchange *late, const gee_takeover *t) {
    gee_exchange *x = gee_arena_calloc(&c->arena, c->part->srv->handler.size);
    if (x == NULL)
        return NULL;
    x->conn = c;
    x->arena = &c->arena;
    x->method = late->method;
    x->minor = late->minor;
    x->target_len = late->target_len;
    x->target = gee_arena_strndup(&c->arena, late->target, late->target_len);
    x->keep_alive = late->keep_alive && late->complete && !(late->ended && c->close_after);
    x->head_done = x->complete = true;
    x->instead = t->answer;
    x->instead_arg = t->arg;
    x->head_sent = x->ended = late->ended; /* an answer that is ready is sent */
    x->status = late->ended ? late->status : 0;
    x->out_at = late->out_at;
    if (x->target == NULL ||
        gee_fields_copy(&x->fields, &late->fields, late->fields.n, &c->arena) < 0 ||
        gee_fields_copy(&x->out_fields, &late->out_fields, t->fields, &c->arena) < 0)
        return NULL;
    x->ctx = gee_ctx_with_cancel(c->part->ctx);
    return x->ctx ? x : NULL;
}

/* A connection that is closed already, for the late exchange to end on. */
static void move_to(gee_conn *grave, gee_exchange *x, int status) {
    grave->closing = grave->serving = true;
    grave->task = x->conn->task;
    grave->task->arg = grave;
    grave->gone = UV_ETIMEDOUT;
    grave->x = x;
    x->late = true;
    x->conn = grave;
    x->arena = &grave->arena;
    if (!x->ended)
        x->status = status;
    x->head_sent = x->ended = x->on_wire = true; /* there was an answer, if not its own */
    x->chunk_open = false;
    x->body_err = x->body_err ? x->body_err : UV_ETIMEDOUT;
}

bool gee_exchange_take_over(gee_exchange *x, const gee_takeover *t) {
    gee_conn *c = x->conn;
    if (c->closing)
        return false;
    gee_conn *grave = is_too_late(x) ? NULL : gee_conn_new(c->part);
    if (grave == NULL) {
        cut(x);
        return false;
    }
    grave->arena = c->arena;
    c->arena = (gee_arena){0};
    gee_exchange *next = successor(c, x, t);
    if (next == NULL) {
        gee_arena_free(&c->arena);
        c->arena = grave->arena;
        grave->arena = (gee_arena){0};
        gee_conn_unref(grave);
        cut(x);
        return false;
    }
    if (!x->ended)
        gee_exchange_retract(x, t->fields);
    c->broken |= !x->complete; /* the rest of the body is nobody's */
    move_to(grave, x, t->status);
    c->x = next;
    c->refs--; /* the late task has the grave's */
    return gee_conn_serve(c);
}
