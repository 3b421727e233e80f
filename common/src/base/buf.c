#include "base/buf.h"
#include "base/count.h"
#include "base/pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Most are never larger than this, and live for a request: such ones come from a pool. */
enum { FIRST = 4096 };

static char *with_room(const gee_buf *b, size_t cap) {
    return b->cap == 0 && cap == FIRST ? gee_pool_get(GEE_POOL_BUFS, FIRST) : realloc(b->data, cap);
}

int gee_buf_grow(gee_buf *b, size_t n) {
    if (b->off > 0) { /* the consumed front first: it may be enough */
        memmove(b->data, b->data + b->off, b->len - b->off);
        b->len -= b->off;
        b->off = 0;
        if (b->cap - b->len >= n)
            return 0;
    }
    size_t cap = b->cap ? b->cap : FIRST;
    while (cap - b->len < n) {
        if (cap > SIZE_MAX / 2)
            return UV_ENOMEM;
        cap *= 2;
    }
    char *data = with_room(b, cap);
    if (data == NULL)
        return UV_ENOMEM;
    gee_count(GEE_COUNT_BYTES, (int64_t)cap - (int64_t)b->cap);
    b->data = data;
    b->cap = cap;
    return 0;
}

int gee_buf_append(gee_buf *b, const void *data, size_t n) {
    if (n == 0)
        return 0;
    int rc = gee_buf_reserve(b, n);
    if (rc < 0)
        return rc;
    memcpy(b->data + b->len, data, n);
    b->len += n;
    return 0;
}

int gee_buf_vprintf(gee_buf *b, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    size_t room = b->cap - b->len;
    int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    int rc = n < 0 ? UV_EINVAL : 0;
    if (rc == 0 && (size_t)n >= room) {
        rc = gee_buf_reserve(b, (size_t)n + 1);
        if (rc == 0)
            vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (rc == 0)
        b->len += (size_t)n;
    return rc;
}

int gee_buf_printf(gee_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int rc = gee_buf_vprintf(b, fmt, ap);
    va_end(ap);
    return rc;
}

void gee_buf_consume(gee_buf *b, size_t n) {
    b->off += n;
    if (b->off == b->len)
        b->off = b->len = 0;
}

void gee_buf_drop(gee_buf *b) {
    gee_count(GEE_COUNT_BYTES, -(int64_t)b->cap);
    if (b->cap == FIRST)
        gee_pool_put(GEE_POOL_BUFS, b->data);
    else
        free(b->data);
    *b = (gee_buf){0};
}
