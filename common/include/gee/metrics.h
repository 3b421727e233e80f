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

#endif
