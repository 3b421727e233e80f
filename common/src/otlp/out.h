/*
 * JSON, as the protocol's mapping of proto3 wants it: written straight into a buffer. An error
 * sticks: what comes behind it writes nothing, and who looks at the end sees it.
 */
#ifndef GEE_OTLP_OUT_H
#define GEE_OTLP_OUT_H

#include "base/buf.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct gee_out {
    gee_buf b;
    int rc;
} gee_out;

/* Room for n bytes at the end, that count when b.len says so; NULL: there is an error. */
char *gee_out_grow(gee_out *o, size_t n);
static inline char *gee_out_room(gee_out *o, size_t n) {
    if (o->rc == 0 && o->b.cap - o->b.len >= n)
        return o->b.data + o->b.len;
    return gee_out_grow(o, n);
}

static inline void gee_out_bytes(gee_out *o, const char *data, size_t n) {
    char *to = n > 0 ? gee_out_room(o, n) : NULL;
    if (to) {
        memcpy(to, data, n);
        o->b.len += n;
    }
}

/* Of a literal the compiler knows the length, and copies it in place. */
static inline void gee_out_raw(gee_out *o, const char *text) {
    gee_out_bytes(o, text, strlen(text));
}
void gee_out_fmt(gee_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A string with its quotes; what is not UTF-8 becomes U+FFFD. */
void gee_out_string(gee_out *o, const char *s, size_t n);
/* In lower case, with quotes: ids, of 16 bytes at most. */
void gee_out_hex(gee_out *o, const uint8_t *bytes, size_t n);
void gee_out_int(gee_out *o, int64_t n);
/* 64 bits are strings, in JSON. */
void gee_out_u64(gee_out *o, uint64_t n);
/* A finite number, whatever the locale's point is. */
void gee_out_double(gee_out *o, double d);

/* {"key":…,"value":{…}} */
void gee_out_attr(gee_out *o, const char *key, const char *value);
void gee_out_attr_n(gee_out *o, const char *key, const char *value, size_t n);
void gee_out_attr_int(gee_out *o, const char *key, int64_t value);
void gee_out_attr_double(gee_out *o, const char *key, double value);
void gee_out_attr_bool(gee_out *o, const char *key, bool value);
/* A comma, unless what was written last opens a list or an object. */
void gee_out_comma(gee_out *o);

/* 0, or the error; the buffer is freed. */
int gee_out_end(gee_out *o);

#endif
