/* Writing JSON. */
#include "otlp/out.h"
#include "base/decimal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

char *gee_out_grow(gee_out *o, size_t n) {
    if (o->rc == 0)
        o->rc = gee_buf_reserve(&o->b, n);
    return o->rc == 0 ? o->b.data + o->b.len : NULL;
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

/*
 * How many of them are plain from the front on. Eight at a time: a byte's highest bit is set in
 * `bad`, or may be in one behind such a byte, if it is below a space, a quote, a backslash, DEL or
 * no ASCII.
 */
static size_t plain(const char *s, size_t n) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = 0x80 * ones;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t x;
        memcpy(&x, s + i, 8);
        uint64_t quote = x ^ '"' * ones, slash = x ^ '\\' * ones, del = x ^ 0x7f * ones;
        uint64_t bad = (x - ' ' * ones) | (quote - ones) | (slash - ones) | (del - ones) | x;
        if (bad & high)
            break;
    }
    while (i < n && is_plain((unsigned char)s[i]))
        i++;
    return i;
}

static void escaped(gee_out *o, const char *s, size_t n) {
    const unsigned char *at = (const unsigned char *)s, *end = at + n;
    gee_out_bytes(o, "\"", 1);
    while (at < end) {
        size_t run = plain((const char *)at, (size_t)(end - at));
        gee_out_bytes(o, (const char *)at, run);
        at += run;
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

void gee_out_string(gee_out *o, const char *s, size_t n) {
    if (plain(s, n) < n) {
        escaped(o, s, n);
        return;
    }
    char *to = gee_out_room(o, n + 2);
    if (to == NULL)
        return;
    to[0] = '"';
    memcpy(to + 1, s, n);
    to[n + 1] = '"';
    o->b.len += n + 2;
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
    char text[GEE_DECIMAL + 2], *end = text + sizeof(text);
    *--end = '"';
    char *at = gee_decimal(end, n);
    *--at = '"';
    gee_out_bytes(o, at, (size_t)(end + 1 - at));
}

void gee_out_int(gee_out *o, int64_t n) {
    char text[GEE_DECIMAL + 1], *end = text + sizeof(text);
    char *at = gee_decimal(end, n < 0 ? -(uint64_t)n : (uint64_t)n);
    if (n < 0)
        *--at = '-';
    gee_out_bytes(o, at, (size_t)(end - at));
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
    char last = o->rc == 0 && o->b.len > o->b.off ? o->b.data[o->b.len - 1] : ',';
    if (last != ',' && last != '[' && last != '{')
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
    gee_out_raw(o, "\"intValue\":\"");
    gee_out_int(o, value);
    gee_out_raw(o, "\"}}");
}

void gee_out_attr_double(gee_out *o, const char *name, double value) {
    key(o, name);
    gee_out_raw(o, "\"doubleValue\":");
    gee_out_double(o, value);
    gee_out_raw(o, "}}");
}

void gee_out_attr_bool(gee_out *o, const char *name, bool value) {
    key(o, name);
    gee_out_raw(o, value ? "\"boolValue\":true}}" : "\"boolValue\":false}}");
}

int gee_out_end(gee_out *o) {
    gee_buf_free(&o->b);
    return o->rc;
}
