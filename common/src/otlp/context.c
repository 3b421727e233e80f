/*
 * Trace context. Parsing is strict: a traceparent that is not quite one starts a new trace, as the
 * recommendation wants it, and what is passed on is never what a client made up.
 */
#include "otlp/context.h"
#include "base/tools.h"
#include "gee/ctx.h"
#include "otlp/otlp.h"
#include <stdlib.h>
#include <string.h>

static const char ctx_key;

/* --- contexts --- */

/* Not of zeros, which stand for no id. By the worker's own generator: they are not secrets. */
static void draw(uint8_t *id, size_t n) {
    for (uint64_t any = 0; any == 0;) {
        for (size_t i = 0; i < n; i += 8) {
            uint64_t r = gee_random_number();
            memcpy(id + i, &r, 8);
            any |= r;
        }
    }
}

static gee_span_context *new_context(gee_otlp *x, bool sampled, const char *state, size_t n) {
    gee_span_context *c = malloc(sizeof(*c) + n + 1);
    if (c == NULL)
        return NULL;
    atomic_init(&c->refs, 1);
    c->x = x;
    c->own = NULL;
    c->sampled = sampled;
    memcpy(c->state, state, n);
    c->state[n] = '\0';
    draw(c->span, sizeof(c->span));
    return c;
}

gee_span_context *gee_span_context_new(gee_otlp *x, const gee_span_context *parent) {
    const char *state = parent ? parent->state : "";
    gee_span_context *c = new_context(x, parent ? parent->sampled : true, state, strlen(state));
    if (c == NULL)
        return NULL;
    c->epoch_ns = parent ? parent->epoch_ns : gee_otlp_unix_ns() - gee_now_ns();
    if (parent)
        memcpy(c->trace, parent->trace, sizeof(c->trace));
    else
        draw(c->trace, sizeof(c->trace));
    return c;
}

gee_span_context *gee_span_context_below(gee_otlp *x, const gee_remote_parent *parent,
                                         const char *state) {
    gee_span_context *c = new_context(x, parent->sampled, state, strlen(state));
    if (c == NULL)
        return NULL;
    memcpy(c->trace, parent->trace, sizeof(c->trace));
    c->epoch_ns = c->sampled ? gee_otlp_unix_ns() - gee_now_ns() : 0; /* no span asks for it */
    return c;
}

gee_span_context *gee_span_context_ref(gee_span_context *c) {
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void gee_span_context_unref(void *arg) {
    gee_span_context *c = arg;
    gee_vg_before(c);
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    gee_vg_after(c);
    free(c);
}

gee_span_context *gee_span_context_of(const gee_ctx *ctx) {
    return gee_ctx_value(ctx, &ctx_key);
}

gee_ctx *gee_span_context_put(gee_ctx *ctx, gee_span_context *c) {
    gee_ctx *in =
        gee_ctx_with_value(ctx, &ctx_key, gee_span_context_ref(c), gee_span_context_unref);
    if (in == NULL)
        gee_span_context_unref(c);
    return in;
}

/* --- traceparent: 00-<32 hex digits>-<16>-<2> (3.2) --- */

/* HEXDIGLC: lower case only. */
static int digit(char c) {
    static const int8_t more_by_one[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};
    return more_by_one[(unsigned char)c] - 1;
}

/* 2 n characters; what is none of them shows in the end. */
static bool bytes(const char *text, uint8_t *out, size_t n) {
    int all = 0;
    for (size_t i = 0; i < n; i++) {
        int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);
        all |= hi | lo;
        out[i] = (uint8_t)(hi * 16 + lo);
    }
    return all >= 0;
}

static bool is_zero(const uint8_t *id, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (id[i])
            return false;
    return true;
}

bool gee_traceparent_parse(const char *text, gee_remote_parent *out) {
    uint8_t version, flags;
    size_t n = strlen(text);
    if (n < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
        !bytes(text, &version, 1) || !bytes(text + 3, out->trace, 16) ||
        !bytes(text + 36, out->span, 8) || !bytes(text + 53, &flags, 1))
        return false;
    if (version == 0xff || (version == 0 && n != 55) || (n > 55 && text[55] != '-'))
        return false;
    out->sampled = flags & 1;
    return !is_zero(out->trace, 16) && !is_zero(out->span, 8);
}

/* --- tracestate: key=value, up to 32 of them (3.3) --- */

static bool is_key(const char *s, size_t n) {
    bool begins = n > 0 && ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9'));
    for (size_t i = 0; begins && i < n; i++)
        begins = digit(s[i]) >= 0 || (s[i] >= 'a' && s[i] <= 'z') || strchr("_-*/@", s[i]);
    return begins && n <= 256;
}

static bool is_value(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < ' ' || s[i] > '~' || s[i] == '=')
            return false;
    return n > 0 && n <= 256 && s[n - 1] != ' ';
}

bool gee_tracestate_ok(const char *text) {
    size_t members = 0;
    if (strlen(text) >= GEE_TRACESTATE)
        return false;
    for (const char *at = text; *at;) {
        at += strspn(at, " \t");
        size_t n = strcspn(at, ","), key = strcspn(at, "=,"), end = n;
        while (end > 0 && (at[end - 1] == ' ' || at[end - 1] == '\t'))
            end--;
        if (end > 0 && (key >= end || !is_key(at, key) || !is_value(at + key + 1, end - key - 1)))
            return false;
        members += end > 0; /* an empty one is allowed, and nothing */
        at += n + (at[n] == ',');
    }
    return members > 0 && members <= 32;
}

/* --- for others --- */

static void put_hex(char *to, const uint8_t *id, size_t n) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *to++ = digits[id[i] >> 4];
        *to++ = digits[id[i] & 15];
    }
    *to = '\0';
}

bool gee_trace_id(const gee_ctx *ctx, char buf[GEE_TRACE_ID]) {
    const gee_span_context *c = gee_span_context_of(ctx);
    if (c)
        put_hex(buf, c->trace, 16);
    return c != NULL;
}

bool gee_traceparent(const gee_ctx *ctx, char buf[GEE_TRACEPARENT]) {
    const gee_span_context *c = gee_span_context_of(ctx);
    if (c == NULL)
        return false;
    memcpy(buf, "00-", 3);
    put_hex(buf + 3, c->trace, 16);
    buf[35] = '-';
    put_hex(buf + 36, c->span, 8);
    memcpy(buf + 52, c->sampled ? "-01" : "-00", 4);
    return true;
}

const char *gee_tracestate(const gee_ctx *ctx) {
    const gee_span_context *c = gee_span_context_of(ctx);
    return c ? c->state : NULL;
}
