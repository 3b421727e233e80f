/* Spans while they run. */
#ifndef GEE_OTLP_SPAN_H
#define GEE_OTLP_SPAN_H

#include "otlp/context.h"
#include "otlp/out.h"

enum { GEE_SPAN_ATTRS = 128, GEE_SPAN_EVENTS = 128 };

struct gee_span {
    gee_span_context *context; /* a reference */
    gee_ctx *in;               /* NULL: nobody asked for it */
    char *name;
    enum gee_span_kind kind;
    uint8_t parent[8];
    bool has_parent, failed;
    uint64_t start_ns;

    /* Encoded, as they are said. */
    gee_out attrs, events;
    size_t attr_at[GEE_SPAN_ATTRS + 1]; /* where each begins in attrs; and their end */
    size_t nattrs, nevents, more_attrs, more_events;
};

/* What a span is made in: c's reference becomes the span's, or is dropped. parent: of its span,
 * 8 bytes; NULL: there is none. */
gee_span *gee_span_make(gee_span_context *c, const uint8_t *parent, const char *name,
                        enum gee_span_kind kind);

#endif
