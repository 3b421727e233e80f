/*
 * A filter: what the body of a response goes through before it is framed, for instance
 * a compressor. There is one at most. It is asked when the head is made, when status, fields
 * and perhaps the length are known, and from then on every byte of the body goes through it.
 *
 * Lengths that a handler knows are those in front of the filter: the promise of an
 * announced one is held against what is written, and what is sent has chunks. Only a body
 * that is there at once, and small, is filtered as a whole and sent with its length.
 */
#include "http/http.h"

enum { ROOM = 4096 };       /* of what comes out, at a time; on the stack */
enum { PIECE = 16 * 1024 }; /* of what goes in, before others may run: a compressor is slow */

int gee_exchange_filter(gee_exchange *x, gee_filter *f) {
    if (x->head_sent || x->filter)
        return UV_EALREADY;
    x->filter = f;
    return 0;
}

bool gee_filter_begin(gee_exchange *x, uint64_t n) {
    x->filtering = x->filter && x->filter->begin(x->filter, n);
    x->unflushed = false;
    return x->filtering;
}

static int piece(gee_ctx *ctx, gee_exchange *x, const char *data, size_t n, enum gee_filter_how how,
                 gee_site site) {
    char out[ROOM];
    ssize_t got;
    int rc = 0;
    do {
        got = x->filter->step(x->filter, &data, &n, how, out, sizeof(out));
        if (got > 0)
            rc = gee_exchange_put(ctx, x, out, (size_t)got, site);
    } while (rc == 0 && got == ROOM);
    return got < 0 ? (int)got : rc;
}

int gee_filter_write(gee_ctx *ctx, gee_exchange *x, const void *data, size_t n, gee_site site) {
    const char *at = data;
    int rc = 0;
    x->unflushed = true;
    while (rc == 0 && n > PIECE) {
        rc = piece(ctx, x, at, PIECE, GEE_FILTER_MORE, site);
        at += PIECE;
        n -= PIECE;
        gee_yield();
        if (rc == 0 && x->conn->closing)
            rc = x->conn->gone ? x->conn->gone : UV_EPIPE;
    }
    return rc < 0 ? rc : piece(ctx, x, at, n, GEE_FILTER_MORE, site);
}

int gee_filter_flush(gee_ctx *ctx, gee_exchange *x, gee_site site) {
    if (!x->unflushed) /* a flush costs bytes */
        return 0;
    x->unflushed = false;
    return piece(ctx, x, NULL, 0, GEE_FILTER_FLUSH, site);
}

int gee_filter_end(gee_exchange *x) {
    return piece(NULL, x, NULL, 0, GEE_FILTER_END, GEE_HERE);
}

static int piece_into(gee_exchange *x, const char *data, size_t n, enum gee_filter_how how,
                      gee_buf *out) {
    ssize_t got;
    do {
        int rc = gee_buf_reserve(out, ROOM);
        if (rc < 0)
            return rc;
        got = x->filter->step(x->filter, &data, &n, how, out->data + out->len, ROOM);
        if (got < 0)
            return (int)got;
        out->len += (size_t)got;
    } while (got == ROOM);
    return 0;
}

int gee_filter_whole(gee_exchange *x, const void *data, size_t n, gee_buf *out) {
    const char *at = data;
    int rc = 0;
    for (; rc == 0 && n > PIECE; at += PIECE, n -= PIECE) {
        rc = piece_into(x, at, PIECE, GEE_FILTER_MORE, out);
        gee_yield();
    }
    return rc < 0 ? rc : piece_into(x, at, n, GEE_FILTER_END, out);
}

void gee_filter_free(gee_exchange *x) {
    gee_filter *f = x->filter;
    x->filter = NULL;
    if (f)
        f->free(f);
}
