/*
 * Spans. What is said of one is encoded at once, so it needs no tree of its own; attributes begin
 * at places that are known, so that one which is said again can be cut out.
 */
#include "otlp/span.h"
#include "gee/ctx.h"
#include "otlp/otlp.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- start --- */

gee_span *gee_span_make(gee_span_context *c, const uint8_t *parent, const char *name,
                        enum gee_span_kind kind) {
    gee_span *s = calloc(1, sizeof(*s));
    char *own = s ? strdup(name) : NULL;
    if (own == NULL) {
        if (c->sampled)
            gee_otlp_lost(c->x, GEE_OTLP_TRACES);
        gee_span_context_unref(c);
        free(s);
        return NULL;
    }
    s->context = c;
    s->name = own;
    s->kind = kind;
    s->has_parent = parent != NULL;
    if (parent)
        memcpy(s->parent, parent, sizeof(s->parent));
    s->start_ns = gee_now_ns();
    return s;
}

static gee_span *start(gee_otlp *x, const gee_span_context *parent, gee_ctx *ctx, const char *name,
                       enum gee_span_kind kind, gee_ctx **in) {
    if (in)
        *in = ctx;
    gee_span_context *c = gee_span_context_new(x, parent);
    if (c == NULL) {
        if (parent == NULL || parent->sampled)
            gee_otlp_lost(x, GEE_OTLP_TRACES);
        return NULL;
    }
    gee_span *s = gee_span_make(c, parent ? parent->span : NULL, name, kind);
    if (s && in && (s->in = gee_span_context_put(ctx, c)) != NULL)
        *in = s->in;
    return s;
}

gee_span *gee_span_start(gee_ctx *ctx, const char *name, enum gee_span_kind kind, gee_ctx **in) {
    const gee_span_context *parent = gee_span_context_of(ctx);
    if (in)
        *in = ctx;
    return parent ? start(parent->x, parent, ctx, name, kind, in) : NULL;
}

gee_span *gee_span_root(gee_otlp *x, gee_ctx *ctx, const char *name, enum gee_span_kind kind,
                        gee_ctx **in) {
    if (in)
        *in = ctx;
    return x && !x->disabled ? start(x, NULL, ctx, name, kind, in) : NULL;
}

bool gee_span_recording(const gee_span *s) {
    return s && s->context->sampled;
}

/* --- attributes --- */

/* Visible ASCII that stands for itself in JSON: so a name can be found again as it is. */
static bool is_name(const char *s) {
    for (const char *at = s; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\')
            return false;
    return *s != '\0';
}

static bool has_name(const char *attr, size_t len, const char *name, size_t n) {
    static const char before[] = "{\"key\":\"";
    size_t m = sizeof(before) - 1;
    return len > m + n && memcmp(attr + m, name, n) == 0 && attr[m + n] == '"';
}

/* That of this name is cut out. */
static void forget(gee_span *s, const char *name) {
    size_t n = strlen(name);
    char *text = s->attrs.b.data;
    for (size_t i = 0; i < s->nattrs; i++) {
        size_t at = s->attr_at[i], next = s->attr_at[i + 1], len = next - at;
        if (!has_name(text + at, len, name, n))
            continue;
        memmove(text + at, text + next, s->attrs.b.len - next);
        s->attrs.b.len -= len;
        for (size_t j = i; j < s->nattrs; j++)
            s->attr_at[j] = s->attr_at[j + 1] - len;
        s->nattrs--;
        return;
    }
}

/* Whether there is room for one of that name. Each ends with a comma, to be cut out with it. */
static bool begin(gee_span *s, const char *name) {
    if (!gee_span_recording(s))
        return false;
    bool ok = is_name(name);
    if (ok)
        forget(s, name);
    ok = ok && s->nattrs < GEE_SPAN_ATTRS;
    s->more_attrs += !ok;
    return ok;
}

static void end(gee_span *s) {
    gee_out_raw(&s->attrs, ",");
    s->attr_at[++s->nattrs] = s->attrs.b.len;
}

void gee_span_set(gee_span *s, const char *name, const char *value) {
    if (value && begin(s, name)) {
        gee_out_attr(&s->attrs, name, value);
        end(s);
    }
}

void gee_span_set_int(gee_span *s, const char *name, int64_t value) {
    if (begin(s, name)) {
        gee_out_attr_int(&s->attrs, name, value);
        end(s);
    }
}

void gee_span_set_double(gee_span *s, const char *name, double value) {
    if (isfinite(value) && begin(s, name)) {
        gee_out_attr_double(&s->attrs, name, value);
        end(s);
    }
}

void gee_span_set_bool(gee_span *s, const char *name, bool value) {
    if (begin(s, name)) {
        gee_out_attr_bool(&s->attrs, name, value);
        end(s);
    }
}

/* --- the rest --- */

void gee_span_rename(gee_span *s, const char *name) {
    char *own = gee_span_recording(s) ? strdup(name) : NULL;
    if (own) {
        free(s->name);
        s->name = own;
    }
}

static uint64_t unix_ns(const gee_span *s, uint64_t ns) {
    return s->context->epoch_ns + ns;
}

void gee_span_event(gee_span *s, const char *name) {
    if (!gee_span_recording(s))
        return;
    if (s->nevents == GEE_SPAN_EVENTS) {
        s->more_events++;
        return;
    }
    gee_out_raw(&s->events, s->nevents++ ? ",{\"timeUnixNano\":" : "{\"timeUnixNano\":");
    gee_out_u64(&s->events, unix_ns(s, gee_now_ns()));
    gee_out_raw(&s->events, ",\"name\":");
    gee_out_string(&s->events, name, strlen(name));
    gee_out_raw(&s->events, "}");
}

void gee_span_fail(gee_span *s, const char *type) {
    gee_span_set(s, "error.type", type);
    if (s)
        s->failed = true;
}

/* --- end --- */

static void put_list(gee_out *o, const char *name, gee_out *list, size_t more,
                     const char *dropped) {
    size_t n = gee_buf_size(&list->b);
    if (list->rc < 0)
        o->rc = list->rc;
    if (n > 0) {
        gee_out_fmt(o, ",\"%s\":[", name);
        gee_out_bytes(o, gee_buf_head(&list->b), n - (gee_buf_head(&list->b)[n - 1] == ','));
        gee_out_raw(o, "]");
    }
    if (more)
        gee_out_fmt(o, ",\"%s\":%zu", dropped, more);
}

/* OTLP's flags: those of W3C, and that is_remote is not known. */
static void encode(gee_out *o, gee_span *s) {
    const gee_span_context *c = s->context;
    gee_out_raw(o, "{\"traceId\":");
    gee_out_hex(o, c->trace, sizeof(c->trace));
    gee_out_raw(o, ",\"spanId\":");
    gee_out_hex(o, c->span, sizeof(c->span));
    if (s->has_parent) {
        gee_out_raw(o, ",\"parentSpanId\":");
        gee_out_hex(o, s->parent, sizeof(s->parent));
    }
    if (*c->state) {
        gee_out_raw(o, ",\"traceState\":");
        gee_out_string(o, c->state, strlen(c->state));
    }
    gee_out_raw(o, ",\"name\":");
    gee_out_string(o, s->name, strlen(s->name));
    gee_out_fmt(o, ",\"kind\":%d,\"flags\":1,\"startTimeUnixNano\":", (int)s->kind);
    gee_out_u64(o, unix_ns(s, s->start_ns));
    gee_out_raw(o, ",\"endTimeUnixNano\":");
    gee_out_u64(o, unix_ns(s, gee_now_ns()));
    put_list(o, "attributes", &s->attrs, s->more_attrs, "droppedAttributesCount");
    put_list(o, "events", &s->events, s->more_events, "droppedEventsCount");
    gee_out_raw(o, s->failed ? ",\"status\":{\"code\":2}}" : ",\"status\":{}}");
}

void gee_span_end(void *span) {
    gee_span *s = span;
    gee_out o = {.rc = 0};
    if (s == NULL)
        return;
    if (s->context->sampled) {
        encode(&o, s);
        gee_otlp_offer(s->context->x, GEE_OTLP_TRACES, &o);
    }
    if (s->in)
        gee_ctx_end(s->in);
    gee_out_end(&s->attrs);
    gee_out_end(&s->events);
    gee_span_context_unref(s->context);
    free(s->name);
    free(s);
}
