/*
 * Waiting for the rest of a request's body.
 *
 * It may come late or never: its client has closed its side, or has died; it waits for a
 * "100 Continue" that it will not get any more; it does not care, having read the answer. From
 * here these look the same. So each wait has a deadline, which ends it with an error in
 * body_err, as the loop does when it knows more; and whoever waits looks there. It makes no
 * difference that the head of the response is out and no status can say any more who was late.
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
    uint64_t start = x->body_len - gee_buf_size(&x->body);
    int rc = 0;
    /* One deadline for all of it: nobody wants these bytes, only what is behind them. */
    gee_conn_deadline(x->conn, GEE_BODY, x->conn->part->srv->limits.body_ms);
    while (rc == 0 && !x->complete && x->body_err == 0 && x->body_len - start <= GEE_DISCARD) {
        gee_buf_consume(&x->body, gee_buf_size(&x->body));
        rc = wait_for_news(NULL, x, GEE_HERE);
    }
    gee_conn_deadline(x->conn, GEE_NO_DEADLINE, 0);
    return rc == 0 && x->complete && x->body_err == 0;
}
