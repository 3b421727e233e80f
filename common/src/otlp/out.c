/* Writing JSON. */
#include "otlp/out.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void gee_out_bytes(gee_out *o, const char *data, size_t n) {
    if (o->rc == 0 && n > 0)
        o->rc = gee_buf_append(&o->b, data, n);
}

void gee_out_raw(gee_out *o, const char *text) {
    gee_out_bytes(o, text, strlen(text));
}

void gee_out_fmt(gee_out *o, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (o->rc == 0)
        o->rc = gee_buf_vprintf(&o->b, fmt, ap);
    va_end(ap);
}

/*
 * How many of the n bytes at s are one character of well-formed UTF-8 (Unicode, table 3-7); 0:
 * none is.
 */
static size_t character(const unsigned char *s, size_t n) {
    static const struct {
        unsigned char first, last, lo, hi; /* of the first byte, and of the second */
        size_t len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (*s < forms[i].first || *s > forms[i].last)
            continue;
        size_t len = forms[i].len;
        if (len > n || (len > 1 && (s[1] < forms[i].lo || s[1] > forms[i].hi)))
            return 0;
        for (size_t j = 2; j < len; j++)
            if (s[j] < 0x80 || s[j] > 0xbf)
                return 0;
        return len;
    }
    return 0;
}

static bool is_plain(unsigned char c) {
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void gee_out_string(gee_out *o, const char *s, size_t n) {
    const unsigned char *at = (const unsigned char *)s, *end = at + n;
    gee_out_bytes(o, "\"", 1);
    while (at < end) {
        const unsigned char *run = at;
        while (at < end && is_plain(*at))
            at++;
        gee_out_bytes(o, (const char *)run, (size_t)(at - run));
        if (at == end)
            break;
        size_t len = character(at, (size_t)(end - at));
        if (len > 1)
            gee_out_bytes(o, (const char *)at, len);
        else if (len == 0)
            gee_out_bytes(o, "\xef\xbf\xbd", 3);
        else if (*at == '"' || *at == '\\')
            gee_out_fmt(o, "\\%c", *at);
        else
            gee_out_fmt(o, "\\u%04x", *at);
        at += len ? len : 1;
    }
    gee_out_bytes(o, "\"", 1);
}

void gee_out_hex(gee_out *o, const uint8_t *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    char text[2 * 16 + 2];
    size_t len = 0;
    text[len++] = '"';
    for (size_t i = 0; i < n && i < 16; i++) {
        text[len++] = digits[bytes[i] >> 4];
        text[len++] = digits[bytes[i] & 15];
    }
    text[len++] = '"';
    gee_out_bytes(o, text, len);
}

void gee_out_u64(gee_out *o, uint64_t n) {
    gee_out_fmt(o, "\"%" PRIu64 "\"", n);
}

void gee_out_double(gee_out *o, double d) {
    char text[64];
    snprintf(text, sizeof(text), "%.17g", isfinite(d) ? d : 0.0);
    for (char *c = text; *c; c++)
        if (*c != '-' && *c != '+' && *c != 'e' && (*c < '0' || *c > '9'))
            *c = '.';
    gee_out_raw(o, text);
}

void gee_out_comma(gee_out *o) {
    size_t n = gee_buf_size(&o->b);
    if (o->rc == 0 && n > 0 && strchr("[{,", gee_buf_head(&o->b)[n - 1]) == NULL)
        gee_out_bytes(o, ",", 1);
}

/* --- attributes --- */

static void key(gee_out *o, const char *name) {
    gee_out_comma(o);
    gee_out_raw(o, "{\"key\":");
    gee_out_string(o, name, strlen(name));
    gee_out_raw(o, ",\"value\":{");
}

void gee_out_attr_n(gee_out *o, const char *name, const char *value, size_t n) {
    key(o, name);
    gee_out_raw(o, "\"stringValue\":");
    gee_out_string(o, value, n);
    gee_out_raw(o, "}}");
}

void gee_out_attr(gee_out *o, const char *name, const char *value) {
    gee_out_attr_n(o, name, value, strlen(value));
}

void gee_out_attr_int(gee_out *o, const char *name, int64_t value) {
    key(o, name);
    gee_out_fmt(o, "\"intValue\":\"%" PRId64 "\"}}", value);
}

void gee_out_attr_double(gee_out *o, const char *name, double value) {
    key(o, name);
    gee_out_raw(o, "\"doubleValue\":");
    gee_out_double(o, value);
    gee_out_raw(o, "}}");
}

void gee_out_attr_bool(gee_out *o, const char *name, bool value) {
    key(o, name);
    gee_out_fmt(o, "\"boolValue\":%s}}", value ? "true" : "false");
}

int gee_out_end(gee_out *o) {
    gee_buf_free(&o->b);
    return o->rc;
}
