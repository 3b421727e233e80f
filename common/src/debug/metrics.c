/* Counting requests, and /metrics. */
#include "debug/metrics.h"
#include "gee/req.h"
#include "middleware/own.h"
#include <stdlib.h>
#include <string.h>

const uint64_t gee_bucket_ns[GEE_BUCKETS] = {
    500000,    1000000,   2500000,   5000000,    10000000,   25000000,   50000000,
    100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000};

/* A row is found by those who come after whoever made it: tasks of this worker, and scrapes. */
#define SEEN(p)       atomic_load_explicit(p, memory_order_acquire)
#define LOAD(p)       atomic_load_explicit(p, memory_order_relaxed)
#define PUBLISH(p, v) gee_atomic_store(p, v, memory_order_release)

/* Only one thread adds to *n. */
static void add(_Atomic uint64_t *n, uint64_t k) {
    gee_atomic_store(n, LOAD(n) + k, memory_order_relaxed);
}

/* --- rows: found, or made; NULL: no memory, and this request is not counted --- */

static gee_metrics_row *own_row(gee_metrics *m) {
    _Atomic(gee_metrics_row *) *at = &m->workers[gee_worker_index()];
    gee_metrics_row *row = SEEN(at);
    if (row == NULL && (row = calloc(1, sizeof(*row))) != NULL)
        PUBLISH(at, row);
    return row;
}

static gee_route_row *route_row(gee_metrics_row *w, const gee_route_entry *route) {
    uintptr_t hash = (uintptr_t)route >> 4;
    _Atomic(gee_route_row *) *head = &w->routes[(hash ^ hash >> 6) % GEE_METRICS_HASH];
    for (gee_route_row *r = SEEN(head); r; r = SEEN(&r->next))
        if (r->route == route)
            return r;
    gee_route_row *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->route = route;
    atomic_init(&r->next, SEEN(head));
    PUBLISH(head, r);
    return r;
}

static gee_code_row *code_row(gee_route_row *r, const char *method, int code) {
    for (gee_code_row *c = SEEN(&r->codes); c; c = SEEN(&c->next))
        if (c->method == method && c->code == code)
            return c;
    gee_code_row *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->method = method;
    c->code = code;
    atomic_init(&c->next, SEEN(&r->codes));
    PUBLISH(&r->codes, c);
    return c;
}

/* --- a request --- */

/* A string that stays, of a set that clients cannot make larger. */
static const char *method_label(const gee_req *req) {
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    const char *method = gee_method(req);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(method, known[i]) == 0)
            return known[i];
    return req->route ? req->route->method : "other";
}

static int code_of(const gee_req *req) {
    int code = gee_status_of(req);
    bool unanswered = req->x.conn->closing && !req->x.head_sent;
    return unanswered || code < 100 || code > 999 ? 0 : code;
}

static void record(gee_metrics_row *w, const gee_req *req, uint64_t ns) {
    gee_route_row *r = route_row(w, req->route);
    gee_code_row *c = r ? code_row(r, method_label(req), code_of(req)) : NULL;
    size_t bucket = 0;
    if (c == NULL)
        return;
    while (bucket < GEE_BUCKETS && ns > gee_bucket_ns[bucket])
        bucket++;
    add(&c->n, 1);
    add(&r->buckets[bucket], 1);
    add(&r->sum_ns, ns);
    add(&r->bytes, req->x.sent);
}

static void measure(gee_req *req);

static bool measured_already(const gee_req *req) {
    for (size_t i = 0; i < req->at; i++)
        if (req->chain->links[i].fn == measure)
            return true;
    return false;
}

static void measure(gee_req *req) {
    gee_metrics_row *w = measured_already(req) ? NULL : own_row(gee_arg(req));
    uint64_t start = gee_now_ns();
    if (w)
        add(&w->in_flight, 1);
    gee_next(req);
    if (w == NULL)
        return;
    add(&w->in_flight, (uint64_t)-1);
    record(w, req, gee_now_ns() - start);
}

/* --- life --- */

static void free_routes(gee_route_row *r) {
    for (gee_route_row *next; r; r = next) {
        next = SEEN(&r->next);
        for (gee_code_row *c = SEEN(&r->codes), *after; c; c = after) {
            after = SEEN(&c->next);
            free(c);
        }
        free(r);
    }
}

static void free_metrics(void *p) {
    gee_metrics *m = p;
    for (int i = 0; i < GEE_MAX_WORKERS; i++) {
        gee_metrics_row *w = SEEN(&m->workers[i]);
        for (int h = 0; w && h < GEE_METRICS_HASH; h++)
            free_routes(SEEN(&w->routes[h]));
        free(w);
    }
    free(m);
}

int gee_use_metrics(gee_group *g) {
    static const gee_contract contract = {.name = "metrics", .provides = "metrics"};
    gee_engine *e = g->engine;
    if (e->metrics == NULL) {
        gee_metrics *m = calloc(1, sizeof(*m));
        if (m == NULL || gee_engine_own(e, m, free_metrics) < 0) {
            free(m);
            return UV_ENOMEM;
        }
        e->metrics = m;
    }
    return gee_own_use(g, measure, e->metrics, &contract);
}

static void metrics_page(gee_req *req) {
    gee_buf b = {0};
    if (gee_metrics_text(req->engine, &b) < 0)
        gee_fail(req, 503); /* half the figures would look like counters that were reset */
    else
        gee_data(req, 200, "text/plain; version=0.0.4; charset=utf-8", gee_buf_head(&b),
                 gee_buf_size(&b));
    gee_buf_free(&b);
}

int gee_metrics_routes(gee_group *g) {
    return gee_GET(g, "/metrics", metrics_page);
}
