/* Traces: read whole, checked strictly, and asked what they say. */
#ifndef GEE_TESTS_T_TRACE_H
#define GEE_TESTS_T_TRACE_H

#include "t.h"
#include <jansson.h>

/* All of a trace that was stopped; zero-terminated, to be freed; *n without the zero. */
char *t_trace_text(gee_trace *t, size_t *n);
/* tests/tools/trace_check.py over it: "", or what is wrong with it first. Returns buf. */
const char *t_trace_wrong(gee_ctx *ctx, const char *text, size_t n, char *buf, size_t size);

/* Of a trace that was parsed: the i-th event of this phase, category and name, NULL for any. */
json_t *t_trace_event(json_t *trace, const char *ph, const char *cat, const char *name, int i);
int t_trace_count(json_t *trace, const char *ph, const char *cat, const char *name);
/* Spans of the category, and of the name, that have begun and not ended. */
int t_trace_open(json_t *trace, const char *cat, const char *name);
/* Of an event: a number, 0: it is not there; a string of its args, "": likewise. */
double t_trace_number(json_t *event, const char *key);
const char *t_trace_arg(json_t *event, const char *key);

#endif
