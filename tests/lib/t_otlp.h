/*
 * A strict reader of OTLP export requests: JSON by the mapping of proto3 (opentelemetry-proto 1.x)
 * as OTLP/HTTP has it: lowerCamelCase, ids in hex, enums as integers, 64 bits as strings. What the
 * protocol lets a receiver ignore, a field that it does not know, is an error here; so is what
 * it asks of senders only in words: keys once, ids that are not zero, times in order, buckets that
 * add up.
 */
#ifndef GEE_TESTS_T_OTLP_H
#define GEE_TESTS_T_OTLP_H

#include "gee/otlp.h"
#include <jansson.h>

/* "", or what is wrong first, and where: "resourceSpans[0].scopeSpans[0].spans[1].kind: …". */
const char *t_otlp_check(enum gee_otlp_signal signal, const json_t *request, char *buf,
                         size_t size);
/* The same of its text. *request (may be NULL) is the caller's. */
const char *t_otlp_check_text(enum gee_otlp_signal signal, const char *text, size_t n, char *buf,
                              size_t size, json_t **request);

/* How many spans, log records or data points. */
size_t t_otlp_count(enum gee_otlp_signal signal, const json_t *request);
/* The i-th span or log record; the metric of that name. Borrowed, or NULL. */
json_t *t_otlp_record(enum gee_otlp_signal signal, const json_t *request, size_t i);
json_t *t_otlp_metric(const json_t *request, const char *name);
/* Of a span, a record, a data point or a resource: stringValue, intValue (both as text), … */
json_t *t_otlp_attr(const json_t *of, const char *key);
const char *t_otlp_attr_text(const json_t *of, const char *key);

#endif
