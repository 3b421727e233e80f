/* A growable byte buffer that is read from the front: data[off..len) is unread. */
#ifndef GEE_BASE_BUF_H
#define GEE_BASE_BUF_H

#include "base/tools.h"
#include <stdarg.h>
#include <stddef.h>

typedef struct gee_buf {
    char *data;
    size_t off, len, cap;
} gee_buf;

/* Room for n more bytes at data + len. 0, or UV_ENOMEM with the buffer unchanged. */
int gee_buf_grow(gee_buf *b, size_t n);
GEE_TSAN_CARRIER static inline int gee_buf_reserve(gee_buf *b, size_t n) {
    return b->cap - b->len >= n ? 0 : gee_buf_grow(b, n);
}
int gee_buf_append(gee_buf *b, const void *data, size_t n);
int gee_buf_printf(gee_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int gee_buf_vprintf(gee_buf *b, const char *fmt, va_list ap);
/* Drops n bytes from the front. */
void gee_buf_consume(gee_buf *b, size_t n);
void gee_buf_drop(gee_buf *b);
GEE_TSAN_CARRIER static inline void gee_buf_free(gee_buf *b) {
    if (b->cap > 0) /* many never hold anything */
        gee_buf_drop(b);
}

static inline size_t gee_buf_size(const gee_buf *b) {
    return b->len - b->off;
}

static inline char *gee_buf_head(const gee_buf *b) {
    return b->data + b->off;
}

#endif
