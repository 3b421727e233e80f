/*
 * Spans, and what is said of them: that costs its copy, and no more until the span is exported.
 */
#include "otlp/span.h"
#include "gee/ctx.h"
#include "otlp/otlp.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 1024 };

struct gee_span_text {
    struct gee_span_text *next;
    char at[];
};

/* --- memory --- */

/* n bytes that stay until the span is freed. NULL: no memory, and the span is not complete. */
static char *room_for(gee_span *s, size_t n) {
    if (n > s->free_n) {
        size_t size = n < TEXT ? TEXT : n;
        struct gee_span_text *t = malloc(sizeof(*t) + size);
        if (t == NULL) {
            s->no_memory = true;
            return NULL;
        }
        t->next = s->texts;
        s->texts = t;
        s->free_text = t->at;
        s->free_n = size;
        s->record.n += sizeof(*t) + size;
    }
    char *at = s->free_text;
    s->free_text += n;
    s->free_n -= n;
    return at;
}

static const char *keep(gee_span *s, const char *text, size_t n) {
    char *at = room_for(s, n);
    return at ? memcpy(at, text, n) : NULL;
}

/* In place of what stands there, where that may be: who says something again and again, in other
 * words each time, does not fill the memory with it. */
static void replace(gee_span *s, gee_span_string *t, const char *text, size_t n) {
    if (n > t->room || t->at == NULL) {
        size_t room = n < 2 * (size_t)t->room ? 2 * (size_t)t->room : n;
        char *at = room <= UINT32_MAX ? room_for(s, room) : NULL;
        s->no_memory |= at == NULL;
        if (at == NULL)
            return;
        *t = (gee_span_string){at, 0, (uint32_t)room};
    }
    if (n > 0)
        memcpy((char *)t->at, text, n); /* what has room is ours */
    t->n = (uint32_t)n;
}

static void free_span(gee_span *s) {
    for (struct gee_span_text *next; s->texts; s->texts = next) {
        next = s->texts->next;
        free(s->texts);
    }
    if (s->context->sampled && s->attrs != s->first)
        free(s->attrs);
    free(s->events);
    gee_span_context_unref(s->context);
    free(s);
}

static void drop(gee_otlp_record *r) {
    free_span((gee_span *)r);
}

/* --- start --- */

gee_span *gee_span_make(gee_span_context *c, const uint8_t *parent, const char *name,
                        enum gee_span_kind kind) {
    size_t size = c->sampled ? sizeof(gee_span) : offsetof(gee_span, first);
    gee_span *s = malloc(size);
    if (s == NULL) {
        if (c->sampled)
            gee_otlp_lost(c->x, GEE_OTLP_TRACES);
        gee_span_context_unref(c);
        return NULL;
    }
    memset(s, 0, offsetof(gee_span, first));
    s->record.n = size;
    s->context = c;
    s->kind = kind;
    s->has_parent = parent != NULL;
    if (parent)
        memcpy(s->parent, parent, sizeof(s->parent));
    if (!c->sampled)
        return s;
    s->attrs = s->first;
    s->free_text = s->first_text;
    s->free_n = sizeof(s->first_text);
    s->start_ns = gee_now_ns();
    gee_span_rename(s, name);
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

/* Visible ASCII that stands for itself in JSON. */
static bool is_name(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\')
            return false;
    return n > 0;
}

static bool more_attrs(gee_span *s) {
    size_t first = sizeof(s->first) / sizeof(*s->first), bytes = GEE_SPAN_ATTRS * sizeof(*s->attrs);
    if (s->nattrs != first || s->attrs != s->first)
        return true;
    gee_span_attr *attrs = malloc(bytes);
    if (attrs == NULL) {
        s->no_memory = true;
        return false;
    }
    s->attrs = memcpy(attrs, s->first, sizeof(s->first));
    s->record.n += bytes;
    return true;
}

/* One more, of no kind yet; NULL: there is no room, or no memory. */
static gee_span_attr *new_attr(gee_span *s, const char *name, size_t n, bool constant) {
    if (s->nattrs == GEE_SPAN_ATTRS || n > UINT32_MAX) {
        s->more_attrs++;
        return NULL;
    }
    const char *own = constant ? name : keep(s, name, n);
    if (own == NULL || !more_attrs(s))
        return NULL;
    gee_span_attr *a = &s->attrs[s->nattrs++];
    a->name = own;
    a->name_n = (uint32_t)n;
    a->kind = GEE_ATTR_NOTHING;
    return a;
}

/* That of this name, or a new one. */
static gee_span_attr *attr(gee_span *s, const char *name) {
    size_t n = strlen(name);
    if (!gee_span_recording(s))
        return NULL;
    if (!is_name(name, n)) {
        s->more_attrs++;
        return NULL;
    }
    for (gee_span_attr *a = s->attrs; a < s->attrs + s->nattrs; a++)
        if (a->name_n == n && memcmp(a->name, name, n) == 0)
            return a;
    return new_attr(s, name, n, false);
}

static gee_span_attr *added(gee_span *s, const char *name) {
    return gee_span_recording(s) ? new_attr(s, name, strlen(name), true) : NULL;
}

static void set_text(gee_span *s, gee_span_attr *a, const char *value, size_t n) {
    if (a == NULL)
        return;
    if (a->kind != GEE_ATTR_TEXT)
        a->u.text = (gee_span_string){NULL, 0, 0};
    a->kind = GEE_ATTR_TEXT;
    replace(s, &a->u.text, value, n);
}

static void set_int(gee_span_attr *a, int64_t value) {
    if (a == NULL)
        return;
    a->kind = GEE_ATTR_INT;
    a->u.i = value;
}

void gee_span_add(gee_span *s, const char *name, const char *value, size_t n) {
    set_text(s, added(s, name), value, n);
}

void gee_span_add_constant(gee_span *s, const char *name, const char *value) {
    gee_span_attr *a = added(s, name);
    if (a == NULL)
        return;
    a->kind = GEE_ATTR_TEXT;
    a->u.text = (gee_span_string){value, (uint32_t)strlen(value), 0};
}

void gee_span_add_int(gee_span *s, const char *name, int64_t value) {
    set_int(added(s, name), value);
}

void gee_span_set(gee_span *s, const char *name, const char *value) {
    if (value)
        set_text(s, attr(s, name), value, strlen(value));
}

void gee_span_set_int(gee_span *s, const char *name, int64_t value) {
    set_int(attr(s, name), value);
}

void gee_span_set_double(gee_span *s, const char *name, double value) {
    gee_span_attr *a = isfinite(value) ? attr(s, name) : NULL;
    if (a) {
        a->kind = GEE_ATTR_DOUBLE;
        a->u.d = value;
    }
}

void gee_span_set_bool(gee_span *s, const char *name, bool value) {
    gee_span_attr *a = attr(s, name);
    if (a) {
        a->kind = GEE_ATTR_BOOL;
        a->u.b = value;
    }
}

/* --- the rest --- */

void gee_span_rename_n(gee_span *s, const char *name, size_t n) {
    if (gee_span_recording(s))
        replace(s, &s->name, name, n);
}

void gee_span_rename(gee_span *s, const char *name) {
    gee_span_rename_n(s, name, strlen(name));
}

/* Twice as many as there were, where all have one. */
static bool room_for_event(gee_span *s) {
    size_t n = s->nevents;
    if (n & (n - 1) || n == 1)
        return true;
    size_t bytes = (n ? 2 * n : 2) * sizeof(*s->events);
    gee_span_moment *events = realloc(s->events, bytes);
    if (events == NULL) {
        s->no_memory = true;
        return false;
    }
    s->events = events;
    s->record.n += n ? bytes / 2 : bytes;
    return true;
}

void gee_span_event(gee_span *s, const char *name) {
    size_t n = strlen(name);
    if (!gee_span_recording(s))
        return;
    if (s->nevents == GEE_SPAN_EVENTS) {
        s->more_events++;
        return;
    }
    const char *own = room_for_event(s) ? keep(s, name, n) : NULL;
    if (own)
        s->events[s->nevents++] = (gee_span_moment){own, n, gee_now_ns()};
}

void gee_span_fail(gee_span *s, const char *type) {
    gee_span_set(s, "error.type", type);
    if (s)
        s->failed = true;
}

/* --- end --- */

/* Behind the offer it is the exporter's. */
static void offer(gee_span *s) {
    gee_otlp *x = s->context->x;
    s->end_ns = gee_now_ns();
    s->record.at_ns = s->end_ns;
    s->record.put = gee_span_encode;
    s->record.drop = drop;
    if (!s->no_memory) {
        gee_otlp_push(x, GEE_OTLP_TRACES, &s->record);
        return;
    }
    gee_otlp_lost(x, GEE_OTLP_TRACES);
    free_span(s);
}

void gee_span_end(void *span) {
    gee_span *s = span;
    if (s == NULL)
        return;
    if (s->in)
        gee_ctx_end(s->in);
    if (s->context->sampled)
        offer(s);
    else
        free_span(s);
}
