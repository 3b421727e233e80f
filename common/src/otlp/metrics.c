/*
 * The figures of an engine as OTLP metrics, and the exporter's own among them.
 *
 * A counter is a sum, cumulative since the exporter was made, a gauge is a gauge, a histogram of
 * times is one in seconds. Names are those of /metrics. What was read and cannot be sent is
 * not read again meanwhile: the next reading has all of it.
 */
#include "debug/metrics.h"
#include "otlp/otlp.h"
#include <stdio.h>
#include <string.h>

typedef struct reading {
    gee_metrics_out out; /* first */
    gee_out o;
    enum gee_metric_type type;
    uint64_t start_ns, now_ns;
    size_t families, points;
    bool open; /* a family is */
} reading;

/* --- families --- */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* UCUM's, of names as Prometheus has them. */
static const char *unit_of(const char *name) {
    if (ends_with(name, "_seconds") || ends_with(name, "_seconds_total"))
        return "s";
    return ends_with(name, "_bytes") || ends_with(name, "_bytes_total") ? "By" : "1";
}

static void end_family(reading *r) {
    if (r->open)
        gee_out_raw(&r->o, "]}}");
    r->open = false;
}

static int family(gee_metrics_out *out, enum gee_metric_type type, const char *name,
                  const char *help) {
    static const char *const kinds[] = {
        "\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[",
        "\"gauge\":{\"dataPoints\":[",
        "\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[",
    };
    reading *r = (reading *)out;
    end_family(r);
    gee_out_raw(&r->o, r->families++ ? ",{\"name\":" : "{\"name\":");
    gee_out_string(&r->o, name, strlen(name));
    gee_out_raw(&r->o, ",\"description\":");
    gee_out_string(&r->o, help, strlen(help));
    gee_out_fmt(&r->o, ",\"unit\":\"%s\",%s", unit_of(name), kinds[type]);
    r->type = type;
    r->open = true;
    return r->o.rc;
}

/* --- points --- */

static void point(reading *r, const gee_label *labels, size_t n) {
    gee_out_comma(&r->o);
    gee_out_raw(&r->o, "{\"attributes\":[");
    for (size_t i = 0; i < n; i++)
        gee_out_attr(&r->o, labels[i].name, labels[i].value);
    gee_out_raw(&r->o, "]");
    if (r->type != GEE_GAUGE) {
        gee_out_raw(&r->o, ",\"startTimeUnixNano\":");
        gee_out_u64(&r->o, r->start_ns);
    }
    gee_out_raw(&r->o, ",\"timeUnixNano\":");
    gee_out_u64(&r->o, r->now_ns);
    r->points++;
}

static int value(gee_metrics_out *out, const gee_label *labels, size_t n, int64_t v, bool ns) {
    reading *r = (reading *)out;
    if (!r->open || r->type == GEE_HISTOGRAM)
        return UV_EINVAL;
    point(r, labels, n);
    if (ns) {
        gee_out_raw(&r->o, ",\"asDouble\":");
        gee_out_double(&r->o, (double)v / 1e9);
    } else {
        gee_out_fmt(&r->o, ",\"asInt\":\"%lld\"", (long long)v);
    }
    gee_out_raw(&r->o, "}");
    return r->o.rc;
}

static int histogram(gee_metrics_out *out, const gee_label *labels, size_t n,
                     const gee_histogram *h) {
    reading *r = (reading *)out;
    uint64_t all = 0;
    if (!r->open || r->type != GEE_HISTOGRAM)
        return UV_EINVAL;
    for (size_t i = 0; i <= h->n; i++)
        all += h->counts[i];
    point(r, labels, n);
    gee_out_raw(&r->o, ",\"count\":");
    gee_out_u64(&r->o, all);
    gee_out_raw(&r->o, ",\"sum\":");
    gee_out_double(&r->o, (double)h->sum_ns / 1e9);
    gee_out_raw(&r->o, ",\"bucketCounts\":[");
    for (size_t i = 0; i <= h->n; i++) {
        gee_out_comma(&r->o);
        gee_out_u64(&r->o, h->counts[i]);
    }
    gee_out_raw(&r->o, "],\"explicitBounds\":[");
    for (size_t i = 0; i < h->n; i++) {
        gee_out_comma(&r->o);
        gee_out_double(&r->o, (double)h->bounds_ns[i] / 1e9);
    }
    gee_out_raw(&r->o, "]}");
    return r->o.rc;
}

/* --- reading --- */

static void becomes_batch(gee_otlp_pipe *p, reading *r) {
    p->body = r->o.b;
    p->batch = r->points;
    gee_spin_lock(&p->lock);
    p->stats.offered += r->points;
    p->stats.waiting += r->points;
    p->taken += r->points;
    gee_spin_unlock(&p->lock);
}

void gee_otlp_collect(gee_otlp *x, gee_otlp_pipe *p) {
    reading r = {.out = {family, value, histogram},
                 .start_ns = x->start_unix_ns,
                 .now_ns = gee_otlp_unix_ns()};
    x->collect_ns = gee_now_ns() + x->metrics_ms * 1000000;
    if (x->engine == NULL)
        return;
    gee_out_fmt(&r.o, "%s%s%s", p->before, x->resource, p->middle);
    int rc = gee_metrics_collect(x->engine, &r.out);
    end_family(&r);
    gee_out_raw(&r.o, p->after);
    if (rc == 0 && r.o.rc == 0 && r.points > 0) {
        becomes_batch(p, &r);
        return;
    }
    if (rc < 0 || r.o.rc < 0)
        fprintf(stderr, "gee: otlp: the figures cannot be read: %s\n",
                uv_strerror(rc < 0 ? rc : r.o.rc));
    gee_out_end(&r.o);
}

/* --- the exporter's own --- */

static const char *const signals[] = {"traces", "logs", "metrics"};

const char *gee_otlp_fate_text(enum gee_otlp_fate fate) {
    static const char *const names[] = {"sent",    "queue full", "no memory", "failed",
                                        "expired", "rejected",   "shutdown"};
    return fate < GEE_OTLP_FATES ? names[fate] : "";
}

void gee_otlp_stats_of(gee_otlp *x, enum gee_otlp_signal signal, gee_otlp_stats *out) {
    gee_spin_lock(&x->pipes[signal].lock);
    *out = x->pipes[signal].stats;
    gee_spin_unlock(&x->pipes[signal].lock);
}

static int put(gee_metrics_out *out, const char *signal, const char *name, const char *is,
               uint64_t n) {
    const gee_label labels[] = {{"signal", signal}, {name, is}};
    return gee_metrics_value(out, labels, name ? 2 : 1, (int64_t)n);
}

int gee_otlp_figures(gee_metrics_out *out, void *x) {
    gee_otlp_stats s[GEE_OTLP_SIGNALS];
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
        gee_otlp_stats_of(x, (enum gee_otlp_signal)i, &s[i]);
    int rc = gee_metrics_family(out, GEE_COUNTER, "otlp_records_total",
                                "Spans, log records and data points, by what became of them.");
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
        for (int f = 0; rc == 0 && f < GEE_OTLP_FATES; f++)
            rc = put(out, signals[i], "fate", gee_otlp_fate_text((enum gee_otlp_fate)f),
                     s[i].fates[f]);
    if (rc == 0)
        rc = gee_metrics_family(out, GEE_GAUGE, "otlp_records_waiting",
                                "Queued, or in a batch that is on its way.");
    for (int i = 0; rc == 0 && i < GEE_OTLP_SIGNALS; i++)
        rc = put(out, signals[i], NULL, NULL, s[i].waiting);
    if (rc == 0)
        rc = gee_metrics_family(out, GEE_COUNTER, "otlp_requests_total",
                                "Requests to the collector; retry: that is tried again.");
    for (int i = 0; rc == 0 && i < GEE_OTLP_SIGNALS; i++) {
        rc = put(out, signals[i], "result", "ok", s[i].requests_ok);
        if (rc == 0)
            rc = put(out, signals[i], "result", "retry", s[i].requests_retry);
        if (rc == 0)
            rc = put(out, signals[i], "result", "failed", s[i].requests_failed);
    }
    return rc;
}
