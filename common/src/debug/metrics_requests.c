/*
 * The requests' families: the rows of all workers are gathered, sorted, and those of the
 * same labels added. Two routes of one pattern, GET and POST, are one in the histogram.
 */
#include "debug/metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD(p) atomic_load_explicit(p, memory_order_relaxed)
#define SEEN(p) atomic_load_explicit(p, memory_order_acquire)

/* --- gathering --- */

typedef struct count {
    const char *route, *method;
    int code;
    uint64_t n;
} count;

typedef struct duration {
    const char *route;
    uint64_t buckets[GEE_BUCKETS + 1], sum_ns, bytes;
} duration;

typedef struct gathered {
    gee_buf counts, durations; /* arrays of these */
    uint64_t in_flight;
} gathered;

static int gather_route(gathered *g, const gee_route_row *r) {
    duration d = {
        .route = gee_route_label(r->route), .sum_ns = LOAD(&r->sum_ns), .bytes = LOAD(&r->bytes)};
    for (int i = 0; i <= GEE_BUCKETS; i++)
        d.buckets[i] = LOAD(&r->buckets[i]);
    int rc = gee_buf_append(&g->durations, &d, sizeof(d));
    for (const gee_code_row *c = SEEN(&r->codes); rc == 0 && c; c = SEEN(&c->next)) {
        count one = {d.route, c->method, c->code, LOAD(&c->n)};
        rc = gee_buf_append(&g->counts, &one, sizeof(one));
    }
    return rc;
}

static int gather(gathered *g, const gee_metrics *m) {
    int rc = 0;
    for (int i = 0; m && i < GEE_MAX_WORKERS; i++) {
        const gee_metrics_row *w = SEEN(&m->workers[i]);
        if (w)
            g->in_flight += LOAD(&w->in_flight);
        for (int h = 0; w && h < GEE_METRICS_HASH; h++)
            for (const gee_route_row *r = SEEN(&w->routes[h]); rc == 0 && r; r = SEEN(&r->next))
                rc = gather_route(g, r);
    }
    return rc;
}

/* --- counts --- */

static int by_labels(const void *a, const void *b) {
    const count *x = a, *y = b;
    int order = strcmp(x->route, y->route);
    if (order == 0)
        order = strcmp(x->method, y->method);
    return order ? order : (x->code > y->code) - (x->code < y->code);
}

static int put_count(gee_metrics_out *out, const count *c, uint64_t n) {
    char code[16] = "none";
    if (c->code)
        snprintf(code, sizeof(code), "%d", c->code);
    const gee_label labels[] = {{"route", c->route}, {"method", c->method}, {"code", code}};
    return gee_metrics_value(out, labels, 3, (int64_t)n);
}

static int put_counts(gee_metrics_out *out, const gathered *g) {
    count *at = (count *)(void *)gee_buf_head(&g->counts);
    size_t len = gee_buf_size(&g->counts) / sizeof(*at);
    int rc = gee_metrics_family(out, GEE_COUNTER, "http_requests_total", "Requests that ended.");
    if (len > 0)
        qsort(at, len, sizeof(*at), by_labels);
    for (size_t i = 0, next; rc == 0 && i < len; i = next) {
        uint64_t n = 0;
        for (next = i; next < len && by_labels(&at[i], &at[next]) == 0; next++)
            n += at[next].n;
        rc = put_count(out, &at[i], n);
    }
    return rc;
}

/* --- durations and bytes --- */

static int by_route(const void *a, const void *b) {
    return strcmp(((const duration *)a)->route, ((const duration *)b)->route);
}

/* Adds up those of one route, in place; how many are left. */
static size_t merge(duration *at, size_t len) {
    size_t kept = 0;
    if (len > 0)
        qsort(at, len, sizeof(*at), by_route);
    for (size_t i = 0; i < len; i++) {
        if (kept == 0 || by_route(&at[kept - 1], &at[i]) != 0) {
            at[kept++] = at[i];
            continue;
        }
        for (int j = 0; j <= GEE_BUCKETS; j++)
            at[kept - 1].buckets[j] += at[i].buckets[j];
        at[kept - 1].sum_ns += at[i].sum_ns;
        at[kept - 1].bytes += at[i].bytes;
    }
    return kept;
}

static int put_durations(gee_metrics_out *out, const gathered *g) {
    duration *at = (duration *)(void *)gee_buf_head(&g->durations);
    size_t n = merge(at, gee_buf_size(&g->durations) / sizeof(*at));
    int rc = gee_metrics_family(out, GEE_HISTOGRAM, "http_request_duration_seconds",
                                "From the first middleware to the end of the handler.");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const gee_histogram h = {gee_bucket_ns, at[i].buckets, GEE_BUCKETS, at[i].sum_ns};
        rc = gee_metrics_histogram(out, &(gee_label){"route", at[i].route}, 1, &h);
    }
    if (rc == 0)
        rc = gee_metrics_family(out, GEE_COUNTER, "http_response_body_bytes_total",
                                "Bytes of response bodies, without their framing.");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = gee_metrics_value(out, &(gee_label){"route", at[i].route}, 1, (int64_t)at[i].bytes);
    return rc;
}

int gee_metrics_put_requests(gee_metrics_out *out, const gee_metrics *m) {
    gathered g = {0};
    int rc = gather(&g, m);
    if (rc == 0)
        rc = put_counts(out, &g);
    if (rc == 0)
        rc = put_durations(out, &g);
    if (rc == 0)
        rc =
            gee_metrics_family(out, GEE_GAUGE, "http_requests_in_flight", "Requests being served.");
    if (rc == 0)
        rc = gee_metrics_value(out, NULL, 0, (int64_t)g.in_flight);
    gee_buf_free(&g.counts);
    gee_buf_free(&g.durations);
    return rc;
}
