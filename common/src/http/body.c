/* The request's body, read by the task from what the loop puts there. */
#include "http/http.h"
#include <stdlib.h>
#include <string.h>

/* RFC 9110, 10.1.1: the client waits for our word before it sends the body. */
static int ask_for_body(gee_ctx *ctx, gee_exchange *x, gee_site site) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    x->expect_continue = false;
    if (x->head_sent || x->body_len > 0)
        return 0;
    int rc = gee_buf_append(&x->conn->out, go_on, sizeof(go_on) - 1);
    return rc < 0 ? rc : gee_conn_flush(ctx, x->conn, NULL, 0, site);
}

ssize_t gee_exchange_read(gee_ctx *ctx, gee_exchange *x, void *buf, size_t n, gee_site site) {
    gee_worker_check(x->conn->worker, "a request");
    while (gee_buf_size(&x->body) == 0) {
        if (x->body_err)
            return x->body_err;
        if (x->complete || n == 0)
            return 0;
        int rc =
            x->expect_continue ? ask_for_body(ctx, x, site) : gee_exchange_await_body(ctx, x, site);
        if (rc < 0)
            return rc;
    }
    size_t have = gee_buf_size(&x->body);
    if (n > have)
        n = have;
    memcpy(buf, gee_buf_head(&x->body), n);
    gee_buf_consume(&x->body, n);
    if (!x->complete)
        gee_conn_resume_reading(x->conn);
    return (ssize_t)n;
}

int gee_exchange_limit_body(gee_exchange *x, uint64_t n) {
    const gee_field *length = gee_fields_find(&x->fields, "content-length");
    if (n < x->body_max)
        x->body_max = n;
    /* Beyond 19 digits it would have been refused. */
    if ((length && strtoull(length->value, NULL, 10) > n) || x->body_len > n) {
        gee_buf_consume(&x->body, gee_buf_size(&x->body));
        x->body_max = 0; /* nor what still comes */
        x->body_err = x->body_err ? x->body_err : UV_E2BIG;
        return UV_E2BIG;
    }
    return 0;
}
