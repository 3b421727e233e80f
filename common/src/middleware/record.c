/*
 * A record as a line of JSON.
 *
 * It needs no memory: a record is written of the requests, too, that had none. It is never
 * longer than what a pipe takes in one piece. So everything that has no bound of its own is cut,
 * and what the client made longest, the target, comes last and has the room that is left.
 * All that is no visible ASCII is escaped: a line stays a line, whatever is in it.
 */
#include "middleware/record.h"
#include "gee/panic.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ROUTE = 512, SHORT = 128 };
static const char tail[] = "\",\"cut\":true}\n"; /* the longest end of a line */

typedef struct out {
    char *buf;
    size_t n, cap;
} out;

/* Of what is known to fit. */
static void put(out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(out *o, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(o->buf + o->n, o->cap - o->n, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < o->cap - o->n)
        o->n += (size_t)n;
}

static size_t escape(unsigned char c, char *to, size_t size) {
    if (c == '"' || c == '\\')
        return (size_t)snprintf(to, size, "\\%c", c);
    if (c < ' ' || c >= 0x7f)
        return (size_t)snprintf(to, size, "\\u%04x", c);
    return (size_t)snprintf(to, size, "%c", c);
}

/* As much of s as has room in max bytes. False: it was cut. */
static bool put_escaped(out *o, const char *s, size_t max) {
    char one[8];
    for (size_t end = o->n + max; *s; s++) {
        size_t n = escape((unsigned char)*s, one, sizeof(one));
        if (o->n + n > end)
            return false;
        memcpy(o->buf + o->n, one, n);
        o->n += n;
    }
    return true;
}

static void put_string(out *o, const char *name, const char *s, size_t max) {
    put(o, ",\"%s\":", name);
    if (s == NULL) {
        put(o, "null");
        return;
    }
    put(o, "\"");
    put_escaped(o, s, max);
    put(o, "\"");
}

/* NULL: nothing has ended it. libuv has no name for a panic. */
static const char *why(int err, char *buf, size_t size) {
    if (err == GEE_EPANIC)
        return "EPANIC";
    return err ? uv_err_name_r(err, buf, size) : NULL;
}

size_t gee_audit_line(const gee_audit_record *r, char *buf) {
    char err[64];
    out o = {.buf = buf, .cap = GEE_AUDIT_LINE};
    put(&o, "{\"arrived_ms\":%" PRId64 ",\"access_ms\":%" PRId64 ",\"access_given\":%s",
        r->arrived_ms, r->who.access_ms, r->who.access_given ? "true" : "false");
    put_string(&o, "user_id", r->who.user_id, SHORT);
    put_string(&o, "trace_id", r->who.trace_id, SHORT);
    put_string(&o, "remote", r->remote, SHORT);
    put(&o, ",\"status\":%d,\"bytes\":%" PRIu64 ",\"duration_us\":%" PRIu64, r->status, r->bytes,
        r->duration_ns / 1000);
    put_string(&o, "why", why(r->why, err, sizeof(err)), SHORT);
    put_string(&o, "method", r->method, SHORT);
    put_string(&o, "route", r->route, ROUTE);
    put(&o, ",\"target\":\"");
    bool whole = put_escaped(&o, r->target, o.cap - o.n - sizeof(tail));
    put(&o, "%s", whole ? "\"}\n" : tail);
    return o.n;
}
