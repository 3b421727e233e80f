/*
 * A trace to be drawn: a request in simulation, which asks three others and waits for their
 * answers, and starts a task that waits for what never comes. tests/tools/timeline.py makes
 * ch04-pprof/trace.svg of it.
 */
#include "t_site.h"
#include <stdio.h>

static gee_chan *answers, *receipts;

static void asks(gee_ctx *ctx, void *ms) {
    gee_sleep(ctx, (uint64_t) * (const int *)ms);
    gee_chan_send(ctx, answers, NULL);
}

static void audits(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_chan_recv(ctx, receipts, NULL);
}

static void report(gee_req *req) {
    static const int ms[] = {30, 55, 20};
    gee_ctx *ctx = gee_req_ctx(req);
    for (int i = 0; i < 3; i++)
        gee_go(ctx, asks, (void *)&ms[i]);
    gee_go(gee_background(), audits, NULL);
    for (int i = 0; i < 3; i++)
        gee_chan_recv(ctx, answers, NULL);
    gee_string(req, 200, "reported\n");
}

static void routes(gee_group *r) {
    gee_GET(r, "/report", report);
}

static void visits(gee_ctx *ctx, t_conn *c, int port) {
    static char buf[GEE_TRACE_PIECE];
    gee_trace *t;
    size_t n;
    (void)port;
    gee_sleep(ctx, 1); /* so that this task was there before: it is not drawn */
    T_RC(gee_trace_start(0, &t), 0);
    gee_sleep(ctx, 5);
    T_EQ(t_get(ctx, c, "/report"), 200);
    gee_sleep(ctx, 20);
    gee_trace_stop(t);
    while ((n = gee_trace_read(t, buf, sizeof(buf))) > 0)
        fwrite(buf, 1, n, stdout);
    gee_trace_free(t);
    gee_chan_close(receipts);
    gee_sleep(ctx, 1);
}

int main(void) {
    answers = gee_chan_new(0, 0);
    receipts = gee_chan_new(0, 0);
    t_site_once(&(t_site){routes, visits, NULL, 0});
    gee_chan_unref(answers);
    gee_chan_unref(receipts);
    return 0;
}
