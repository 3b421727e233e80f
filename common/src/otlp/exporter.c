/*
 * The exporter: its life, and its one task.
 *
 * The task goes round: whatever is due, of any signal, is done, and then it waits for the bell, a
 * flush, or the earliest time at which something will be due. Nothing in a round sleeps but
 * the post itself.
 */
#include "debug/metrics.h"
#include "gee/panic.h"
#include "gee/run.h"
#include "otlp/otlp.h"
#include "runtime/worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NEVER UINT64_MAX

/* --- life --- */

static const gee_otlp_pipe kinds[] = {
    [GEE_OTLP_TRACES] = {.name = "traces",
                         .path = "/v1/traces",
                         .before = "{\"resourceSpans\":[{\"resource\":",
                         .middle = ",\"scopeSpans\":[{\"scope\":{\"name\":\"gee\"},\"spans\":[",
                         .after = "]}]}]}",
                         .rejected = "rejectedSpans"},
    [GEE_OTLP_LOGS] = {.name = "logs",
                       .path = "/v1/logs",
                       .before = "{\"resourceLogs\":[{\"resource\":",
                       .middle = ",\"scopeLogs\":[{\"scope\":{\"name\":\"gee\"},\"logRecords\":[",
                       .after = "]}]}]}",
                       .rejected = "rejectedLogRecords"},
    [GEE_OTLP_METRICS] = {.name = "metrics",
                          .path = "/v1/metrics",
                          .before = "{\"resourceMetrics\":[{\"resource\":",
                          .middle =
                              ",\"scopeMetrics\":[{\"scope\":{\"name\":\"gee\"},\"metrics\":[",
                          .after = "]}]}]}",
                          .rejected = "rejectedDataPoints"},
};

/* The exporter may be made before there is a runtime. */
static uint64_t real_unix_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t gee_otlp_unix_ns(void) {
    if (!gee_simulated())
        return real_unix_ns();
    return gee_wall_ms() * 1000000 + gee_now_ns() % 1000000;
}

int gee_otlp_new(const gee_otlp_options *opt, gee_otlp **out) {
    gee_otlp *x = opt && opt->transport.post ? calloc(1, sizeof(*x)) : NULL;
    if (x == NULL)
        return opt && opt->transport.post ? UV_ENOMEM : UV_EINVAL;
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
        x->pipes[i] = kinds[i];
        x->pipes[i].end = &x->pipes[i].first;
    }
    int rc = gee_otlp_configure(x, opt);
    x->bell = gee_chan_new(0, 1);
    x->flushes = gee_chan_new(sizeof(gee_chan *), 0);
    x->start_unix_ns = gee_otlp_unix_ns();
    if (rc == 0 && (x->bell == NULL || x->flushes == NULL))
        rc = UV_ENOMEM;
    if (rc < 0) {
        gee_otlp_free(x); /* the transport stays the caller's */
        return rc;
    }
    x->transport = opt->transport;
    *out = x;
    return 0;
}

void gee_otlp_free(gee_otlp *x) {
    if (x == NULL)
        return;
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
        gee_otlp_close(&x->pipes[i]);
    if (x->transport.free_arg)
        x->transport.free_arg(x->transport.arg);
    gee_chan_unref(x->bell);
    gee_chan_unref(x->flushes);
    free(x->resource);
    free(x);
}

static void free_exporter(void *x) {
    gee_otlp_free(x);
}

static void flush(gee_ctx *ctx, void *x) {
    gee_otlp_flush(ctx, x);
}

int gee_otlp_attach(gee_otlp *x, gee_engine *e) {
    int rc = x->disabled ? 0 : gee_metrics_source(e, gee_otlp_figures, x);
    if (rc == 0 && !x->disabled)
        rc = gee_engine_service(e, gee_otlp_run, flush, x);
    if (rc == 0)
        rc = gee_engine_own(e, x, free_exporter);
    if (rc == 0)
        x->engine = e;
    return rc;
}

/* --- flushing --- */

int gee_otlp_flush_at(gee_ctx *ctx, gee_otlp *x, gee_site site) {
    gee_chan *over = x->disabled ? NULL : gee_chan_new(0, 0);
    if (over == NULL)
        return x->disabled ? 0 : UV_ENOMEM;
    gee_chan_ref(over); /* the task's */
    int rc = gee_chan_send_at(ctx, x->flushes, &over, site);
    if (rc < 0)
        gee_chan_unref(over);
    else if ((rc = gee_chan_recv_at(ctx, over, NULL, site)) == UV_EOF)
        rc = x->pipes[0].closed ? UV_EPIPE : 0;
    gee_chan_unref(over);
    return rc;
}

static void end_flush(gee_otlp *x) {
    if (x->flush == NULL)
        return;
    gee_chan_close(x->flush);
    gee_chan_unref(x->flush);
    x->flush = NULL;
}

/* All that was offered until now, and the figures of now, unless some are on their way. */
static void begin_flush(gee_otlp *x, gee_chan *asks) {
    gee_otlp_pipe *metrics = &x->pipes[GEE_OTLP_METRICS];
    x->flush = asks;
    if (metrics->batch == 0)
        gee_otlp_collect(x, metrics);
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
        gee_spin_lock(&x->pipes[i].lock);
        x->flush_to[i] = x->pipes[i].taken;
        gee_spin_unlock(&x->pipes[i].lock);
    }
}

static bool is_flushed(gee_otlp *x) {
    bool all = true;
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
        gee_spin_lock(&x->pipes[i].lock);
        all = all && x->pipes[i].left >= x->flush_to[i];
        gee_spin_unlock(&x->pipes[i].lock);
    }
    return all;
}

/* --- the task --- */

/* When the next batch of p is to be made. */
static uint64_t ready_ns(gee_otlp *x, gee_otlp_pipe *p) {
    uint64_t oldest_ns;
    if (p == &x->pipes[GEE_OTLP_METRICS])
        return x->engine ? x->collect_ns : NEVER;
    size_t n = gee_otlp_queued(p, &oldest_ns);
    if (n == 0)
        return NEVER;
    return n >= p->bounds.batch || x->flush ? 0 : oldest_ns + p->bounds.delay_ms * 1000000;
}

/* When there is something to do for p. */
static uint64_t due_ns(gee_otlp *x, gee_otlp_pipe *p) {
    uint64_t ns = p->batch ? 0 : ready_ns(x, p);
    return ns > p->next_ns ? ns : p->next_ns;
}

static void step(gee_ctx *ctx, gee_otlp *x, gee_otlp_pipe *p) {
    if (gee_now_ns() < due_ns(x, p))
        return;
    if (p->batch == 0 && p == &x->pipes[GEE_OTLP_METRICS])
        gee_otlp_collect(x, p);
    else if (p->batch == 0)
        p->batch = gee_otlp_take(x, p);
    if (p->batch)
        gee_otlp_try(ctx, x, p);
}

/* Until the bell, a flush, that time, or the end of ctx. */
static void wait_until(gee_ctx *ctx, gee_otlp *x, uint64_t ns) {
    gee_ctx *own = ns == NEVER ? NULL : gee_ctx_with_deadline(ctx, ns);
    gee_chan *asks = NULL;
    if (own == NULL && ns != NEVER) { /* no memory: look again, soon */
        if (gee_sleep(ctx, 100) == UV_ENOMEM)
            gee_yield();
        return;
    }
    gee_case cases[] = {{GEE_RECV, x->bell, NULL, 0}, {GEE_RECV, x->flushes, &asks, 0}};
    if (gee_select(own ? own : ctx, cases, x->flush ? 1 : 2) == 1)
        begin_flush(x, asks);
    gee_ctx_end(own);
}

/* One who asks for a flush is heard also where there is always something to do. */
static void hear(gee_otlp *x) {
    gee_chan *asks;
    if (x->flush == NULL && gee_chan_try_recv(x->flushes, &asks) == 0)
        begin_flush(x, asks);
}

static void over(void *arg) {
    gee_otlp *x = arg;
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
        if (x->pipes[i].batch)
            gee_otlp_settle_batch(&x->pipes[i], GEE_OTLP_SHUTDOWN, 0);
        gee_otlp_close(&x->pipes[i]);
        gee_otlp_say_last(&x->pipes[i]);
    }
    gee_chan_close(x->flushes);
    end_flush(x);
}

void gee_otlp_run(gee_ctx *ctx, void *arg) {
    gee_otlp *x = arg;
    gee_cleanup cleanup;
    if (x->disabled)
        return;
    gee_cleanup_push(&cleanup, over, x);
    x->collect_ns = gee_now_ns() + x->metrics_ms * 1000000;
    while (gee_ctx_err(ctx) == 0) {
        uint64_t next = NEVER;
        hear(x);
        for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
            step(ctx, x, &x->pipes[i]);
        if (x->flush && is_flushed(x))
            end_flush(x);
        for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
            uint64_t ns = due_ns(x, &x->pipes[i]);
            next = ns < next ? ns : next;
        }
        if (next > gee_now_ns())
            wait_until(ctx, x, next);
    }
    gee_cleanup_pop(&cleanup, true);
}
