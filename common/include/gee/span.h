/*
 * Spans: what a request was doing, and for how long, as a part of a trace that goes through other
 * services (W3C Trace Context, OpenTelemetry).
 *
 * A middleware makes a span of each request, in the trace of its traceparent or a new one, and
 * hands it down by the ctx: whatever runs under that, a handler, a sub-task, a copy of the request,
 * is in that span, and a span that is started there is its child.
 *
 *   gee_ctx *in;
 *   gee_span *s = gee_span_start(ctx, "SELECT users", GEE_SPAN_CLIENT, &in);
 *   gee_span_set(s, "db.system.name", "sqlite");
 *   int rc = look_up(in);
 *   if (rc < 0)
 *       gee_span_fail(s, uv_err_name(rc));
 *   gee_span_end(s);
 *
 * When a span ends it is offered to the exporter (gee/otlp.h). Of a trace that whoever began it
 * does not sample no span is recorded, but it is passed on. A span belongs to the task that started
 * it. Where there is none (no middleware, no memory) it is NULL, and all calls take that.
 */
#ifndef GEE_SPAN_H
#define GEE_SPAN_H

#include "gee/otlp.h"

typedef struct gee_span gee_span;

enum gee_span_kind { /* SpanKind of the protocol */
                     GEE_SPAN_INTERNAL = 1,
                     GEE_SPAN_SERVER,
                     GEE_SPAN_CLIENT,
                     GEE_SPAN_PRODUCER,
                     GEE_SPAN_CONSUMER
};

/*
 * Adds the middleware to g: a server span for each request, by the names of OpenTelemetry's
 * semantic conventions for HTTP (1.23 and later): "GET /users/:id", http.request.method,
 * http.route, http.response.status_code, url.path, url.query, … It ends when the handlers behind it
 * have, however they end; an error of it is a status of 500 and above, a panic, and no answer at
 * all. First in a chain it sees all of a request; where it stands twice the outer one counts.
 *
 * A traceparent is taken as W3C Trace Context (Level 1, 3.2) has it, or not at all: one header, in
 * lower case, no id of zeros, version ff refused, and of a version above 00 what is known. A
 * tracestate goes with it, up to 512 bytes (3.3). x may be NULL, or disabled: then nothing is
 * added. 0, or UV_ENOMEM. Before gee_listen; x stays until the last request and its copies are
 * over.
 */
int gee_use_tracing(gee_group *g, gee_otlp *x);
/* The span of a request, for the request's task. NULL: there is none, its trace is not sampled, or it
 * is a copy. */
gee_span *gee_req_span(gee_req *req);

/* --- spans of a program --- */

/*
 * Starts a child of the span that ctx is in; gee_span_root the first span of a new trace, whatever
 * ctx is in. name is copied. *in (unless in is NULL) is a ctx below ctx that is in the new span,
 * and ends with it; without a span, it is ctx itself. In a task. NULL: ctx is in no span, x is NULL
 * or disabled; or no memory, which is counted as a record that is dropped.
 */
gee_span *gee_span_start(gee_ctx *ctx, const char *name, enum gee_span_kind kind, gee_ctx **in);
gee_span *gee_span_root(gee_otlp *x, gee_ctx *ctx, const char *name, enum gee_span_kind kind,
                        gee_ctx **in);
/* Ends and frees a span, a gee_span *; once. It is a cleanup for where a panic may go by
 * (gee/panic.h), hence its type. */
void gee_span_end(void *span);

/* --- what is said of it --- */

/*
 * Attributes: a name, of visible ASCII but " and \, and a value, both copied; said again, it is
 * replaced. At most 128; of the others (and of a name that is none) their number is told. Values
 * that are not UTF-8 have U+FFFD where they are not.
 */
void gee_span_set(gee_span *span, const char *name, const char *value); /* NULL: not set */
void gee_span_set_int(gee_span *span, const char *name, int64_t value);
void gee_span_set_double(gee_span *span, const char *name, double value); /* finite; else not set */
void gee_span_set_bool(gee_span *span, const char *name, bool value);
void gee_span_rename(gee_span *span, const char *name);
/* Something happened, now. At most 128. */
void gee_span_event(gee_span *span, const char *name);
/* It is an error, for this reason: error.type, and the status. */
void gee_span_fail(gee_span *span, const char *type);
/* False: nobody will see it, so that what costs much need not be found out. */
bool gee_span_recording(const gee_span *span);

/* --- for others --- */

/*
 * The header traceparent for a request to another service, of the span that ctx is in; and the
 * tracestate, "" for none, which lives as long as ctx. False and NULL: ctx is in no span.
 */
enum { GEE_TRACEPARENT = 56, GEE_TRACE_ID = 33 };
bool gee_traceparent(const gee_ctx *ctx, char buf[GEE_TRACEPARENT]);
const char *gee_tracestate(const gee_ctx *ctx);
/* 32 hex digits, for logs. */
bool gee_trace_id(const gee_ctx *ctx, char buf[GEE_TRACE_ID]);

#endif
