/*
 * Spans while they run, and until they are encoded.
 *
 * What is said of one is kept as it was said: small structs, whose text is copied into the span.
 * The span itself is the record that is offered when it ends.
 */
#ifndef GEE_OTLP_SPAN_H
#define GEE_OTLP_SPAN_H

#include "otlp/context.h"
#include "otlp/otlp.h"

enum { GEE_SPAN_ATTRS = 128, GEE_SPAN_EVENTS = 128 };

/* Text in a span. room: how much may stand there, 0 if it is constant. */
typedef struct gee_span_string {
    const char *at;
    uint32_t n, room;
} gee_span_string;

typedef struct gee_span_attr {
    const char *name;
    uint32_t name_n;
    enum { GEE_ATTR_NOTHING, GEE_ATTR_TEXT, GEE_ATTR_INT, GEE_ATTR_DOUBLE, GEE_ATTR_BOOL } kind;
    union {
        gee_span_string text;
        int64_t i;
        double d;
        bool b;
    } u;
} gee_span_attr;

typedef struct gee_span_moment {
    const char *name;
    size_t n;
    uint64_t at_ns;
} gee_span_moment;

struct gee_span {
    gee_otlp_record record;    /* first */
    gee_span_context *context; /* a reference */
    gee_ctx *in;               /* NULL: nobody asked for it */
    gee_span_string name;
    enum gee_span_kind kind;
    uint8_t parent[8];
    bool has_parent, failed, no_memory; /* no_memory: something that was said is missing */
    uint64_t start_ns, end_ns;

    gee_span_attr *attrs; /* `first`, or as many more as are needed */
    gee_span_moment *events;
    size_t nattrs, nevents, more_attrs, more_events;
    struct gee_span_text *texts; /* behind the first one, the latest first */
    char *free_text;             /* of the latest of all */
    size_t free_n;

    /* Of a span that is recorded. With this the span of a request needs no more memory. */
    gee_span_attr first[16];
    char first_text[512];
};

/* What a span is made in: c's reference becomes the span's, or is dropped. parent: of its span,
 * 8 bytes; NULL: there is none. */
gee_span *gee_span_make(gee_span_context *c, const uint8_t *parent, const char *name,
                        enum gee_span_kind kind);

/* An attribute of a constant name, which is one, and which the span does not have yet: for what is
 * said first. The value is copied, or is constant, too. */
void gee_span_add(gee_span *s, const char *name, const char *value, size_t n);
void gee_span_add_constant(gee_span *s, const char *name, const char *value);
void gee_span_add_int(gee_span *s, const char *name, int64_t value);
void gee_span_rename_n(gee_span *s, const char *name, size_t n);

/* span_json.c */
void gee_span_encode(gee_out *o, gee_otlp_record *r);

#endif
