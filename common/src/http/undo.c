/*
 * A response that is not going to be: as long as nothing of it has left the buffer it is
 * taken back, and another one takes its place; from then on it can only be cut, so that
 * nobody takes the part that was sent for the whole.
 */
#include "http/http.h"
#include <stdio.h>

bool gee_exchange_retract(gee_exchange *x, size_t fields) {
    if (x->on_wire)
        return false;
    if (x->head_sent)
        x->conn->out.len = x->conn->out.off + x->out_at;
    x->head_sent = x->ended = x->chunk_open = x->announced = false;
    x->frame = GEE_FRAME_LENGTH;
    if (x->out_fields.n > fields)
        x->out_fields.n = fields;
    x->status = 0;
    x->sent = 0;
    return true;
}

void gee_exchange_break(gee_exchange *x) {
    gee_conn *c = x->conn;
    if (x->ended)
        return;
    if (x->chunk_open) /* a chunk is sent whole or not at all */
        c->out.len = c->out.off + x->chunk_at - GEE_CHUNK_HEAD;
    x->chunk_open = false;
    x->broken = true;
    c->close_after = true;
}

int gee_exchange_error(gee_exchange *x, int status) {
    char body[64];
    if (x->head_sent)
        return UV_EALREADY;
    int n = snprintf(body, sizeof(body), "%d %s\n", status, gee_status_text(status));
    x->status = status;
    int rc = gee_exchange_set(x, "Content-Type", "text/plain; charset=utf-8", false);
    return rc < 0 ? rc : gee_exchange_respond(NULL, x, body, (size_t)n, GEE_HERE);
}
