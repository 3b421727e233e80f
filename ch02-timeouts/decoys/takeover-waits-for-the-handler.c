/*
 * DECOY, a repair that is wrong: the answer takes the place of the handler's in the buffer, and
 * a late handler can write no more. Nothing of its bytes is ever sent. But the buffer is
 * sent when the request is over, and that is when its handler returns: the client waits
 * for the handler all the same.
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

bool gee_exchange_take_over(gee_exchange *x, const gee_takeover *t) {
    if (x->conn->closing)
        return false;
    if (is_too_late(x))
        cut(x);
    else if (!x->ended && gee_exchange_retract(x, t->fields))
        gee_exchange_error(x, t->status); /* what the handler still writes is UV_EALREADY */
    return false;
}
