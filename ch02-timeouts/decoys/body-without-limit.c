/*
 * DECOY, a repair that is wrong: each piece has its deadline, and an error ends the wait, so
 * whoever is silent is closed. But it reads over whatever comes, for as long as it comes. A sender
 * that does not stop keeps a task and a connection for ever, and the line as busy as it likes,
 * for bytes that nobody wants: 8 MiB of them, or whatever body_bytes allows.
 */
#include "http/http.h"
#include "sync/waitq.h"

/* The loop wakes the reader for a piece, for the end and for an error. */
static int wait_for_news(gee_ctx *ctx, gee_exchange *x, gee_site site) {
    gee_park park;
    int err;
    if (x->reader)
        return UV_EBUSY; /* another task reads */
    if (x->body_err)
        return 0; /* found while the deadline was set */
    gee_park_init(&park);
    x->reader = &park;
    gee_conn_resume_reading(x->conn);
    int index = gee_park_wait_ctx(&park, ctx, GEE_WAIT_IO_READ, site, &err);
    x->reader = NULL;
    return index == GEE_BY_CTX ? err : 0;
}

int gee_exchange_await_body(gee_ctx *ctx, gee_exchange *x, gee_site site) {
    if (x->reader)
        return UV_EBUSY;
    gee_conn_deadline(x->conn, GEE_BODY, x->conn->part->srv->limits.body_ms);
    int rc = wait_for_news(ctx, x, site);
    gee_conn_deadline(x->conn, GEE_NO_DEADLINE, 0); /* of the one that it has now: takeover.c */
    return rc;
}

bool gee_exchange_discard(gee_exchange *x) {
    if (x->expect_continue)
        return false; /* the client waits, or sends; nobody knows which */
    int rc = 0;
    while (rc == 0 && !x->complete && x->body_err == 0) {
        gee_buf_consume(&x->body, gee_buf_size(&x->body));
        rc = gee_exchange_await_body(NULL, x, GEE_HERE);
    }
    return rc == 0 && x->complete && x->body_err == 0;
}
