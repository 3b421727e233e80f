/*
 * OTLP: traces, logs and metrics for a collector (OpenTelemetry Protocol 1.x, OTLP/HTTP with JSON).
 *
 * An exporter has a bounded queue for the spans (gee/span.h) and one for the log records, and
 * reads the figures of an engine (gee/metrics.h) now and then. One task of it makes batches, by
 * size and by time, and has them posted. What puts a record into a queue never waits.
 *
 *   gee_otlp *x;
 *   gee_otlp_transport t;
 *   gee_otlp_curl_new(NULL, &t);                          // gee/otlp_curl.h, or one's own
 *   gee_otlp_new(&(gee_otlp_options){.transport = t}, &x);
 *   gee_otlp_attach(x, e);                                // runs with the engine, goes with it
 *   gee_use_tracing(gee_root(e), x);
 *
 * Nothing is lost silently. Of each signal, at any moment,
 *   offered = waiting + sent + dropped, for one reason or another
 * and these figures are on /metrics, and exported themselves:
 *   otlp_records_total{signal,fate}   fate: "sent", or why it was dropped
 *   otlp_records_waiting{signal}
 *   otlp_requests_total{signal,result}   result: "ok", "retry", "failed"
 * What goes on being dropped is also said on stderr, once a minute.
 *
 * A batch is posted again only if there was no answer, or one of 429, 502, 503 and 504, as the
 * protocol has it: after what Retry-After says, else after a pause that doubles from 1 s to 30 s
 * and of which the second half is drawn. Any other status but 2xx drops it.
 */
#ifndef GEE_OTLP_H
#define GEE_OTLP_H

#include "gee/engine.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct gee_otlp gee_otlp;

enum gee_otlp_signal { GEE_OTLP_TRACES, GEE_OTLP_LOGS, GEE_OTLP_METRICS, GEE_OTLP_SIGNALS };

/* --- how a batch gets to the collector --- */

typedef struct gee_otlp_answer {
    char retry_after[64]; /* that header; "": there was none */
    char body[8192];      /* its beginning; nothing of it is needed but of a 200 */
    size_t body_n;
} gee_otlp_answer;

typedef struct gee_otlp_transport {
    /*
     * Posts the n bytes of body, JSON, to a path of the collector: "/v1/traces", "/v1/logs" or
     * "/v1/metrics". Called in the exporter's task, one at a time; parks, and returns soon after
     * ctx has ended. The status of the answer; or an error: there was none.
     */
    int (*post)(gee_ctx *ctx, void *arg, const char *path, const char *body, size_t n,
                gee_otlp_answer *answer);
    void (*free_arg)(void *arg); /* by gee_otlp_free; may be NULL */
    void *arg;
} gee_otlp_transport;

/* --- an exporter --- */

/* Zeroed fields stand for the defaults, which are those of the OpenTelemetry specification. */
typedef struct gee_otlp_bounds {
    size_t queue;       /* records; 2,048. What comes when it is full is dropped */
    size_t queue_bytes; /* that they take in memory; 8 MiB */
    size_t batch;       /* records in one request; 512 */
    uint64_t delay_ms;  /* a record waits no longer for others; 5,000 for spans, 1,000 for logs */
    uint64_t expire_ms; /* from the first try of a batch to the last; 30,000 */
} gee_otlp_bounds;

typedef struct gee_otlp_options {
    gee_otlp_transport transport;
    const char *service_name; /* NULL: "unknown_service:PROGRAM" */
    const char *resource;     /* more attributes of it: "key=value,key=value", percent-encoded */
    gee_otlp_bounds traces, logs;
    uint64_t metrics_ms; /* between two readings of the figures; 60,000; they expire as others do */
    uint64_t post_ms;    /* for one request; 10,000 */
} gee_otlp_options;

/*
 * An exporter. opt is copied. The environment goes before it:
 *   OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_TIMEOUT,
 *   OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BSP_SCHEDULE_DELAY,
 *   OTEL_BSP_EXPORT_TIMEOUT, the same with OTEL_BLRP_ for logs,
 *   OTEL_METRIC_EXPORT_INTERVAL, OTEL_METRIC_EXPORT_TIMEOUT
 *   OTEL_SDK_DISABLED=true: it records nothing and posts nothing
 * On success the transport is the exporter's. 0; UV_EINVAL: no post, a batch that is larger than
 * its queue, or what is malformed (said on stderr); UV_ENOMEM. Not while another thread may
 * change the environment.
 */
int gee_otlp_new(const gee_otlp_options *opt, gee_otlp **out);
/* When nobody uses it any more: behind gee_run, or gee_engine_free if that may have it. What still
 * waits is gone. x may be NULL. */
void gee_otlp_free(gee_otlp *x);

/*
 * x goes with e: gee_engine_run runs it, and before it returns gives it what is left of drain_ms,
 * and at least a second, to send what waits; it exports the figures of e; /metrics of e shows
 * its own; and gee_engine_free frees it. 0, or UV_ENOMEM: it stays the caller's. Before gee_listen.
 */
int gee_otlp_attach(gee_otlp *x, gee_engine *e);

/*
 * The exporter's task, for programs that call gee_listen themselves: gee_go(ctx, gee_otlp_run, x),
 * once. It ends when ctx does, and what then waits is dropped: flush before.
 */
void gee_otlp_run(gee_ctx *ctx, void *x);
/*
 * Parks until all that was offered before is sent or dropped, and the figures, too. Batches
 * need not be full, but pauses between tries are kept. 0; the error of ctx; UV_EPIPE: the task of
 * the exporter has ended. A task that was not started yet is waited for.
 */
#define gee_otlp_flush(ctx, x) gee_otlp_flush_at(ctx, x, GEE_HERE)
int gee_otlp_flush_at(gee_ctx *ctx, gee_otlp *x, gee_site site);

/* --- what became of the records --- */

enum gee_otlp_fate {
    GEE_OTLP_SENT,
    GEE_OTLP_QUEUE_FULL, /* it was, or had no room for this one */
    GEE_OTLP_NO_MEMORY,
    GEE_OTLP_FAILED,   /* a status that is no success and not tried again */
    GEE_OTLP_EXPIRED,  /* its tries have come to nothing */
    GEE_OTLP_REJECTED, /* by a collector that has taken the others of the batch */
    GEE_OTLP_SHUTDOWN, /* the exporter's task has ended before */
    GEE_OTLP_FATES
};

/* Spans, log records, data points. */
typedef struct gee_otlp_stats {
    uint64_t offered, waiting, fates[GEE_OTLP_FATES];
    uint64_t requests_ok, requests_retry, requests_failed;
} gee_otlp_stats;

/* All of one moment. From any thread. */
void gee_otlp_stats_of(gee_otlp *x, enum gee_otlp_signal signal, gee_otlp_stats *out);
/* "sent", "queue full", … */
const char *gee_otlp_fate_text(enum gee_otlp_fate fate);

/* --- logs --- */

enum gee_severity { /* SeverityNumber of the protocol; the numbers between are also some */
                    GEE_LOG_TRACE = 1,
                    GEE_LOG_DEBUG = 5,
                    GEE_LOG_INFO = 9,
                    GEE_LOG_WARN = 13,
                    GEE_LOG_ERROR = 17,
                    GEE_LOG_FATAL = 21
};

/*
 * Offers a log record, with the trace and the span that ctx is in (gee/span.h). x may be NULL: the
 * exporter of that span. Text that is not UTF-8 has U+FFFD in the places where it is not. In a
 * task. 0; UV_EINVAL: no severity; UV_ENOENT: x is NULL, and ctx in no span; UV_ENOBUFS: it was
 * dropped, and counted.
 */
#define gee_otlp_log(x, ctx, severity, ...) gee_otlp_log_at(x, ctx, severity, GEE_HERE, __VA_ARGS__)
int gee_otlp_log_at(gee_otlp *x, gee_ctx *ctx, enum gee_severity severity, gee_site site,
                    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * For the access log: {.line = gee_otlp_access_line, .arg = x} of gee_logger_options. Each line is
 * a record too, in the trace of its request, of severity ERROR where the status is 500 and above.
 */
void gee_otlp_access_line(gee_req *req, int status, const char *line, size_t n, void *x);

#endif
