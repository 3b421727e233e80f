/*
 * What is counted, and where. A worker writes only its own rows, so a plain load and
 * store are enough to count; a scrape reads them from elsewhere, hence atomics, relaxed.
 * Rows are only ever added, each published by the pointer to it, and freed with the engine.
 */
#ifndef GEE_DEBUG_METRICS_H
#define GEE_DEBUG_METRICS_H

#include "base/buf.h"
#include "base/count.h"
#include "gee/metrics.h"
#include "web/web.h"
#include <stdatomic.h>
#include <stdint.h>

enum { GEE_BUCKETS = 14, GEE_METRICS_HASH = 64 };

/* Answers of a route by method and code. */
typedef struct gee_code_row {
    _Atomic(struct gee_code_row *) next;
    const char *method;
    int code; /* 0: none */
    _Atomic uint64_t n;
} gee_code_row;

typedef struct gee_route_row {
    _Atomic(struct gee_route_row *) next; /* of the same hash */
    const gee_route_entry *route;         /* NULL: none matched */
    _Atomic(gee_code_row *) codes;
    _Atomic uint64_t buckets[GEE_BUCKETS + 1]; /* not cumulative; the last is the rest */
    _Atomic uint64_t sum_ns, bytes;
} gee_route_row;

typedef struct gee_metrics_row {
    _Atomic(gee_route_row *) routes[GEE_METRICS_HASH];
    _Atomic uint64_t in_flight;
} gee_metrics_row;

typedef struct gee_metrics {
    _Atomic(gee_metrics_row *) workers[GEE_MAX_WORKERS]; /* each makes its own */
} gee_metrics;

extern const uint64_t gee_bucket_ns[GEE_BUCKETS];

static inline const char *gee_route_label(const gee_route_entry *r) {
    return r ? r->pattern : "none";
}

/* What a collector says its figures to: text for a scrape, or otlp/metrics.c. */
struct gee_metrics_out {
    int (*family)(gee_metrics_out *out, enum gee_metric_type type, const char *name,
                  const char *help);
    int (*value)(gee_metrics_out *out, const gee_label *labels, size_t n, int64_t value, bool ns);
    int (*histogram)(gee_metrics_out *out, const gee_label *labels, size_t n,
                     const gee_histogram *h);
};

/* metrics_source.c: all figures of e. In a task. 0, or an error: what was said is not all. */
int gee_metrics_collect(gee_engine *e, gee_metrics_out *out);

/* metrics_requests.c: the requests' families. m may be NULL. 0 or UV_ENOMEM. */
int gee_metrics_put_requests(gee_metrics_out *out, const gee_metrics *m);
/* metrics_process.c: the others. In a task. */
int gee_metrics_put_process(gee_metrics_out *out);

/* metrics_text.c: the text of a scrape. */
int gee_metrics_text(gee_engine *e, gee_buf *b);

#endif
