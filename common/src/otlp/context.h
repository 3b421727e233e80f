/* Where in which trace something runs (OpenTelemetry's SpanContext), and how that goes from one
 * process to another (W3C Trace Context, Level 1). */
#ifndef GEE_OTLP_CONTEXT_H
#define GEE_OTLP_CONTEXT_H

#include "gee/span.h"
#include <stdatomic.h>
#include <stdint.h>

/* Constant but for `own`, and counted: ctxs, requests, copies of them and spans share it. */
typedef struct gee_span_context {
    _Atomic int refs;
    bool sampled;
    uint8_t trace[16], span[8];
    uint64_t epoch_ns; /* Unix time when the clock was 0: of one reading for all of a local tree */
    gee_otlp *x;
    gee_span *own; /* of a request, while it runs: its task's alone */
    char state[];  /* tracestate */
} gee_span_context;

/* With one reference, and an id of its own; a child of parent, or of a trace of its own. NULL: no
 * memory. */
gee_span_context *gee_span_context_new(gee_otlp *x, const gee_span_context *parent);
gee_span_context *gee_span_context_ref(gee_span_context *c);
void gee_span_context_unref(void *c);
/* That ctx is in; NULL: none. */
gee_span_context *gee_span_context_of(const gee_ctx *ctx);
/* A ctx in it, which takes a reference. NULL: no memory. */
gee_ctx *gee_span_context_put(gee_ctx *ctx, gee_span_context *c);

/* What a traceparent says. False: it is none. */
typedef struct gee_remote_parent {
    uint8_t trace[16], span[8];
    bool sampled;
} gee_remote_parent;
bool gee_traceparent_parse(const char *text, gee_remote_parent *out);
/* A child of it, with the tracestate that came along. NULL: no memory. */
gee_span_context *gee_span_context_below(gee_otlp *x, const gee_remote_parent *parent,
                                         const char *state);

/* A tracestate as it may be passed on, n bytes with its zero; false: it may not. */
enum { GEE_TRACESTATE = 513 };
bool gee_tracestate_ok(const char *text);

#endif
