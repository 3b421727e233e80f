/*
 * The server of chapter 4: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=04`, `make serve-fixed CH=04`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>

/* --- no-creation-site: a receipt for everything, from a service that has stopped to answer --- */

static gee_chan *receipts;

static void awaits_receipt(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_chan_recv(ctx, receipts, NULL);
}

static void order(gee_req *req) {
    gee_go(gee_background(), awaits_receipt, NULL);
    gee_string(req, 200, "ordered\n");
}

static void invoice(gee_req *req) {
    for (int i = 0; i < 3; i++) /* a copy for the customer, the shop and the tax office */
        gee_go(gee_background(), awaits_receipt, NULL);
    gee_string(req, 200, "invoiced\n");
}

/* --- snapshot-only, trace-unbounded: much that is over soon --- */

static void looks_up(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 10);
}

static void search(gee_req *req) {
    for (int i = 0; i < 50; i++) /* a shard each */
        gee_go(gee_background(), looks_up, NULL);
    gee_string(req, 200, "searched 50 shards\n");
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 4, pprof. Try:\n"
               "  /order, /invoice  each waits for receipts that do not come\n"
               "  /search           starts 50 tasks, for 10 ms each\n"
               "  /debug/pprof/     what this server can say of itself\n"
               "  /debug/tasks      what every task of it does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL || (receipts = gee_chan_new(0, 0)) == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/order", order);
    gee_GET(root, "/invoice", invoice);
    gee_GET(root, "/search", search);
    gee_debug_routes(root);
    gee_pprof_routes(root, NULL);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    gee_chan_unref(receipts);
    return rc ? 1 : 0;
}
