/*
 * The response: its head, and the framing of its body (RFC 9112, 6).
 *
 * Framing is the server's alone: a length where it is known, chunks where it is
 * not, and the end of the connection for HTTP/1.0. Small responses gather in the
 * connection's buffer; large bodies are sent from where they are. A length that was
 * announced is kept, to the byte, or the connection is cut.
 */
#include "base/tools.h"
#include "http/bytes.h"
#include "http/http.h"
#include <string.h>

enum { COPY_UP_TO = 4096 }; /* a copy is cheaper than another segment to send */

/* --- head --- */

/* Room was reserved: these only copy, and say where they have got to. */
static char *put(char *at, const char *s, size_t n) {
    memcpy(at, s, n);
    return at + n;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_number(char *at, uint64_t n) {
    char digits[20];
    size_t i = sizeof(digits);
    do
        digits[--i] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    return put(at, digits + i, sizeof(digits) - i);
}

static char *put_status_line(char *at, int status) {
    if (status == 200)
        return PUT(at, "HTTP/1.1 200 OK\r\n");
    at = put_number(PUT(at, "HTTP/1.1 "), (uint64_t)status);
    at = PUT(at, " ");
    at = put(at, gee_status_text(status), strlen(gee_status_text(status)));
    return PUT(at, "\r\n");
}

static char *put_date(char *at) {
    size_t n;
    const char *date = gee_date_line(&n);
    gee_tsan_ignore_begin(); /* the worker's, as it is where it was written */
    at = put(at, date, n);
    gee_tsan_ignore_end();
    return at;
}

static char *put_fields(char *at, const gee_fields *fields) {
    const gee_field *f = fields->at;
    for (size_t n = fields->n; n > 0; n--, f++) {
        at = put(at, f->name, f->name_len);
        at = PUT(at, ": ");
        at = put(at, f->value, f->value_len);
        at = PUT(at, "\r\n");
    }
    return at;
}

static bool has_no_body(int status) {
    return status < 200 || status == 204 || status == 304;
}

static bool is_head(const gee_exchange *x) {
    return x->method && gee_same(x->method, "HEAD");
}

static char *put_framing(char *at, gee_exchange *x, uint64_t length) {
    if (has_no_body(x->status)) {
        x->frame = GEE_FRAME_LENGTH;
    } else if (x->frame == GEE_FRAME_LENGTH) {
        at = PUT(put_number(PUT(at, "Content-Length: "), length), "\r\n");
    } else if (x->frame == GEE_FRAME_CHUNKED) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    }
    if (x->conn->close_after)
        at = PUT(at, "Connection: close\r\n");
    else if (x->minor == 0)
        at = PUT(at, "Connection: keep-alive\r\n");
    return at;
}

/* With room for so many bytes of the body behind it. */
static int put_head(gee_exchange *x, uint64_t length, size_t behind) {
    gee_conn *c = x->conn;
    gee_buf *out = &c->out;
    x->out_at = gee_buf_size(out);
    size_t room = 256 + behind;
    for (size_t i = 0; i < x->out_fields.n; i++)
        room += x->out_fields.at[i].name_len + x->out_fields.at[i].value_len + 4;
    int rc = gee_buf_reserve(out, room);
    if (rc < 0)
        return rc;
    if (x->status == 0)
        x->status = 200;
    /* After a broken body, or one that was never asked for, no request can be found. */
    if (x->frame == GEE_FRAME_CLOSE || x->body_err || (x->expect_continue && !x->complete) ||
        atomic_load_explicit(&c->part->srv->draining, memory_order_relaxed))
        c->close_after = true;
    char *at = put_date(put_status_line(out->data + out->len, x->status));
    at = put_framing(put_fields(at, &x->out_fields), x, length);
    out->len = (size_t)(PUT(at, "\r\n") - out->data);
    x->head_sent = true;
    return 0;
}

/* --- body --- */

/* By another task, takeover.c: what is in the connection's buffer was written before that. */
static void may_be_taken_over(const gee_exchange *x) {
    gee_race_release(x->conn);
}

static int respond_plain(gee_ctx *ctx, gee_exchange *x, const void *body, size_t n, gee_site site) {
    bool copied = n <= COPY_UP_TO;
    x->frame = GEE_FRAME_LENGTH;
    int rc = put_head(x, n, copied ? n : 0);
    x->ended = true;
    if (rc < 0 || n == 0 || is_head(x) || has_no_body(x->status))
        return rc;
    if (!copied)
        return gee_conn_flush(ctx, x->conn, body, n, site);
    gee_buf *out = &x->conn->out;
    put(out->data + out->len, body, n);
    out->len += n;
    return 0;
}

int gee_exchange_announce(gee_exchange *x, uint64_t n) {
    if (x->head_sent || x->broken)
        return UV_EALREADY;
    x->announced = true;
    x->length = n;
    return 0;
}

static int begin_frames(gee_exchange *x) {
    bool length = x->announced && !x->filtering;
    x->frame = length ? GEE_FRAME_LENGTH : x->minor > 0 ? GEE_FRAME_CHUNKED : GEE_FRAME_CLOSE;
    return put_head(x, x->length, 0);
}

static int begin_stream(gee_exchange *x) {
    gee_filter_begin(x, x->announced ? x->length : GEE_ANY_LENGTH);
    return begin_frames(x);
}

/*
 * Small writes share a chunk: its size is filled in when it is closed (RFC 9112,
 * 7.1 allows leading zeros).
 */
static int open_chunk(gee_exchange *x) {
    gee_buf *out = &x->conn->out;
    if (x->chunk_open || x->frame != GEE_FRAME_CHUNKED)
        return 0;
    int rc = gee_buf_append(out, "0000\r\n", GEE_CHUNK_HEAD);
    x->chunk_open = rc == 0;
    x->chunk_at = gee_buf_size(out);
    return rc;
}

static int close_chunk(gee_exchange *x) {
    static const char digits[] = "0123456789abcdef";
    gee_buf *out = &x->conn->out;
    if (!x->chunk_open)
        return 0;
    size_t n = gee_buf_size(out) - x->chunk_at;
    char *size = gee_buf_head(out) + x->chunk_at - GEE_CHUNK_HEAD;
    for (int i = 3; i >= 0; i--, n >>= 4)
        size[i] = digits[n & 15];
    x->chunk_open = false;
    return gee_buf_append(out, "\r\n", 2);
}

static int write_small(gee_exchange *x, const void *data, size_t n) {
    int rc = open_chunk(x);
    return rc < 0 ? rc : gee_buf_append(&x->conn->out, data, n);
}

/* Sent from where it is, as a chunk of its own. */
static int write_large(gee_ctx *ctx, gee_exchange *x, const void *data, size_t n, gee_site site) {
    gee_conn *c = x->conn;
    bool chunk = x->frame == GEE_FRAME_CHUNKED;
    int rc = close_chunk(x);
    if (rc == 0 && chunk)
        rc = gee_buf_printf(&c->out, "%zx\r\n", n);
    if (rc == 0)
        rc = gee_conn_flush(ctx, c, data, n, site);
    return rc == 0 && chunk ? gee_buf_append(&c->out, "\r\n", 2) : rc;
}

static int check_open(gee_exchange *x) {
    gee_conn *c = x->conn;
    gee_worker_check(c->worker, "a request");
    if (c->closing)
        return c->gone ? c->gone : UV_EPIPE;
    if (x->ended || x->broken)
        return UV_EALREADY;
    if (c->writing)
        return UV_EBUSY; /* two tasks may not write one response: the other's bytes are in use */
    return x->head_sent ? 0 : begin_stream(x);
}

static int send_gathered(gee_ctx *ctx, gee_exchange *x, gee_site site) {
    int rc = close_chunk(x);
    return rc < 0 ? rc : gee_conn_flush(ctx, x->conn, NULL, 0, site);
}

int gee_exchange_put(gee_ctx *ctx, gee_exchange *x, const void *data, size_t n, gee_site site) {
    int rc = n <= COPY_UP_TO ? write_small(x, data, n) : write_large(ctx, x, data, n, site);
    if (rc == 0 && gee_buf_size(&x->conn->out) >= GEE_OUT_BUFFER)
        rc = send_gathered(ctx, x, site);
    may_be_taken_over(x);
    return rc;
}

int gee_exchange_write(gee_ctx *ctx, gee_exchange *x, const void *data, size_t n, gee_site site) {
    int rc = check_open(x);
    if (rc < 0 || n == 0 || is_head(x) || has_no_body(x->status))
        return rc;
    if (x->announced && n > x->length - x->sent)
        return UV_EMSGSIZE; /* it would be read as the next response */
    x->sent += n;
    return x->filtering ? gee_filter_write(ctx, x, data, n, site)
                        : gee_exchange_put(ctx, x, data, n, site);
}

ssize_t gee_exchange_send_file(gee_exchange *x, int fd, uint64_t at, size_t n) {
    int rc = check_open(x);
    if (rc == 0 && (x->frame != GEE_FRAME_LENGTH || is_head(x) || has_no_body(x->status)))
        rc = UV_ENOTSUP; /* chunks, a filter; or it has no body */
    if (rc == 0 && n > x->length - x->sent)
        rc = UV_EMSGSIZE;
    ssize_t sent = rc < 0 ? rc : gee_conn_send_file(x->conn, fd, at, n);
    if (sent > 0)
        x->sent += (uint64_t)sent;
    may_be_taken_over(x);
    return sent;
}

int gee_exchange_flush(gee_ctx *ctx, gee_exchange *x, gee_site site) {
    int rc = check_open(x);
    if (rc == 0 && x->filtering)
        rc = gee_filter_flush(ctx, x, site);
    return rc < 0 ? rc : send_gathered(ctx, x, site);
}

/* --- its end --- */

static int end_frames(gee_exchange *x) {
    x->ended = true;
    int rc = x->filtering ? gee_filter_end(x) : 0;
    if (rc == 0)
        rc = close_chunk(x);
    bool last_chunk = x->frame == GEE_FRAME_CHUNKED && !is_head(x);
    return rc == 0 && last_chunk ? gee_buf_append(&x->conn->out, "0\r\n\r\n", 5) : rc;
}

/* A large one in chunks, so that there is no copy of all of it. */
static int respond_filtered(gee_ctx *ctx, gee_exchange *x, const void *body, size_t n,
                            gee_site site) {
    gee_buf out = {0};
    int rc;
    if (n > GEE_FILTER_WHOLE) {
        rc = begin_frames(x);
        if (rc == 0)
            rc = gee_filter_write(ctx, x, body, n, site);
        return rc == 0 ? end_frames(x) : rc;
    }
    rc = gee_filter_whole(x, body, n, &out);
    if (rc == 0)
        rc = respond_plain(ctx, x, gee_buf_head(&out), gee_buf_size(&out), site);
    gee_buf_free(&out);
    return rc;
}

int gee_exchange_respond(gee_ctx *ctx, gee_exchange *x, const void *body, size_t n, gee_site site) {
    gee_worker_check(x->conn->worker, "a request");
    if (x->head_sent)
        return UV_EALREADY;
    if (x->conn->writing)
        return UV_EBUSY;
    x->announced = false; /* it was about another body */
    int rc = gee_filter_begin(x, n) ? respond_filtered(ctx, x, body, n, site)
                                    : respond_plain(ctx, x, body, n, site);
    if (!is_head(x) && !has_no_body(x->status))
        x->sent = n;
    if (rc < 0)
        gee_exchange_break(x);
    may_be_taken_over(x);
    return rc;
}

int gee_exchange_end(gee_exchange *x) {
    if (x->ended || x->broken)
        return 0;
    if (!x->head_sent && !x->announced)
        return gee_exchange_respond(NULL, x, NULL, 0, GEE_HERE);
    int rc = x->head_sent ? 0 : begin_stream(x);
    if (rc < 0)
        return rc;
    bool has_body = !is_head(x) && !has_no_body(x->status);
    if (x->announced && has_body && x->sent < x->length) {
        gee_exchange_break(x);
        return 0;
    }
    return end_frames(x);
}
