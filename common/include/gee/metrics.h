/*
 * Figures for Prometheus: text exposition format 0.0.4.
 *
 *   http_requests_total{method,route,code}          requests that a measured handler ended
 *   http_request_duration_seconds{route}            histogram, from the first middleware to
 *                                                   the end of the handler: of a stream, its life
 *   http_response_body_bytes_total{route}
 *   http_requests_in_flight
 *   http_requests_rejected_total                    malformed or too large: no handler saw them
 *   gee_tasks{state,reason}, gee_timers, gee_handles, gee_ctxs, gee_chans, gee_connections,
 *   gee_requests, gee_request_copies, gee_buffer_bytes, gee_workers, gee_listeners_paused
 *   process_open_fds, process_max_fds, process_resident_memory_bytes,
 *   process_cpu_seconds_total, process_start_time_seconds
 *
 * Nobody outside can make series: route is the pattern, not the path, "none" where none
 * matched; a method that no route has counts as "other"; code is "none" when the client
 * left before there was an answer. Each worker counts in rows of its own, without locks,
 * and a scrape adds them up: its figures are of about one moment.
 */
#ifndef GEE_METRICS_H
#define GEE_METRICS_H

#include "gee/engine.h"

/*
 * Measures what is registered after it in g and below. On the root group, before
 * everything else, it also sees requests without a route and what other middlewares
 * answer. Where it stands twice in a chain the outer one counts. 0, or UV_ENOMEM.
 */
int gee_use_metrics(gee_group *g);

/*
 * Adds GET /metrics to g. It asks all workers, and so waits for one that is busy. It
 * shows what a server does: mount it where only its owners can look. 0, or an error of
 * gee_handle.
 */
int gee_metrics_routes(gee_group *g);

/* --- a program's own figures --- */

/*
 * What fn says is a part of each scrape of e, and of what is exported (gee/otlp.h): fn runs
 * in the task that collects, may park, and says families one after the other, each followed by
 * its values:
 *
 *   static int jobs(gee_metrics_out *out, void *arg) {
 *       int rc = gee_metrics_family(out, GEE_GAUGE, "jobs_waiting", "Jobs in the queue.");
 *       return rc < 0 ? rc : gee_metrics_value(out, NULL, 0, gee_workpool_queued(arg));
 *   }
 *
 * It returns 0, or an error, which ends the scrape with a 503. arg stays the caller's, as long as
 * the engine. Two tasks may collect at the same time, on different workers.
 * 0, UV_EINVAL: no fn; UV_ENOMEM. Before gee_listen.
 */
typedef struct gee_metrics_out gee_metrics_out;
typedef int (*gee_metrics_fn)(gee_metrics_out *out, void *arg);
int gee_metrics_source(gee_engine *e, gee_metrics_fn fn, void *arg);

/* A counter only grows. */
enum gee_metric_type { GEE_COUNTER, GEE_GAUGE, GEE_HISTOGRAM };

typedef struct gee_label {
    const char *name, *value;
} gee_label;

/*
 * Begins a family. name is [a-zA-Z_:][a-zA-Z0-9_:]*, stays until the next family, and is that of
 * no other. 0, UV_EINVAL: not such a name; UV_ENOMEM.
 */
int gee_metrics_family(gee_metrics_out *out, enum gee_metric_type type, const char *name,
                       const char *help);
/* A value of the family, under n labels (0: NULL), each set of them once; gee_metrics_ns: a time,
 * which is shown in seconds. 0, UV_EINVAL: a label's name is none; UV_ENOMEM. */
int gee_metrics_value(gee_metrics_out *out, const gee_label *labels, size_t n, int64_t value);
int gee_metrics_ns(gee_metrics_out *out, const gee_label *labels, size_t n, int64_t ns);

/* Times in buckets: counts[i] of at most bounds_ns[i], and in counts[n] the rest. */
typedef struct gee_histogram {
    const uint64_t *bounds_ns, *counts; /* not cumulative */
    size_t n;
    uint64_t sum_ns;
} gee_histogram;
/* The same of a family of type GEE_HISTOGRAM. */
int gee_metrics_histogram(gee_metrics_out *out, const gee_label *labels, size_t n,
                          const gee_histogram *h);

#endif
