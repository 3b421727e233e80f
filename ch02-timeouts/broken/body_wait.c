/*
 * Waiting for the rest of a request's body: for a handler that reads it, and, when the request
 * has been answered, for what is left of it, because the next request is behind that.
 *
 * The loop wakes whoever waits for each piece. A client that is late with one gets a 408.
 */
#include "http/http.h"
#include "sync/waitq.h"

/* The loop wakes the reader for a piece, for the end and for an error. */
static int wait_for_news(gee_ctx *ctx, gee_exchange *x, gee_site site) {
    gee_park park;
    int err;
    if (x->reader)
        return UV_EBUSY; /* another task reads */
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
    if (!x->head_sent) /* else there is no 408 to be given */
        gee_conn_deadline(x->conn, GEE_BODY, x->conn->part->srv->limits.body_ms);
    int rc = wait_for_news(ctx, x, site);
    gee_conn_deadline(x->conn, GEE_NO_DEADLINE, 0); /* of the one that it has now: takeover.c */
    return rc;
}

bool gee_exchange_discard(gee_exchange *x) {
    if (x->expect_continue)
        return false; /* the client waits, or sends; nobody knows which */
    uint64_t start = x->body_len - gee_buf_size(&x->body);
    int rc = 0;
    while (rc == 0 && !x->complete && x->body_len - start <= GEE_DISCARD) {
        gee_buf_consume(&x->body, gee_buf_size(&x->body));
        rc = gee_exchange_await_body(NULL, x, GEE_HERE);
    }
    return rc == 0 && x->complete;
}
