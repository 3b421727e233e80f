/*
 * The server of chapter 2: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=02`, `make serve-fixed CH=02`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>

/* --- no-deadline, late-write: everything below /limited has a second --- */

/* A dependency that does not answer: waited for as long as the ctx allows. */
static void hangs(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    printf("/limited/hangs: its ctx has %s\n", gee_ctx_deadline(ctx, NULL) ? "a deadline" : "none");
    fflush(stdout);
    gee_sleep(ctx, 3600 * 1000);
}

/* Ann's account, from a database that is slow today and knows no ctx. */
static void ann(gee_req *req) {
    gee_sleep(NULL, 3000);
    gee_string(req, 200, "ann's account\n");
}

static void bob(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 5000);
    gee_string(req, 200, "bob's account\n");
}

static void limited(gee_group *root) {
    gee_group *g = gee_group_new(root, "/limited");
    gee_use_timeout(g, 1000);
    gee_GET(g, "/hangs", hangs);
    gee_GET(g, "/ann", ann);
    gee_GET(root, "/bob", bob);
}

/* --- early-return --- */

/* /readyz asks a database. Once it is lost, nobody who waits for it hears of it again. */
static atomic_bool lost;

static int ask_database(gee_ctx *ctx, void *arg) {
    (void)arg;
    return atomic_load(&lost) ? gee_ctx_wait(ctx) : 0;
}

static void lose_database(gee_req *req) {
    atomic_store(&lost, true);
    gee_string(req, 200, "the database is lost\n");
}

static void find_database(gee_req *req) {
    atomic_store(&lost, false);
    gee_string(req, 200, "the database is there again\n");
}

static void readiness(gee_engine *e) {
    gee_health_routes(gee_root(e));
    gee_ready_check(e, "db", ask_database, NULL); /* it has a second */
    gee_POST(gee_root(e), "/database/lose", lose_database);
    gee_POST(gee_root(e), "/database/find", find_database);
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 2, timeouts. Try:\n"
               "  /limited/hangs  a handler that waits for ever; its limit is a second\n"
               "  /limited/ann    one that takes 3 seconds and knows no ctx\n"
               "  /bob            one that takes 5 seconds, which it may\n"
               "  /readyz         a check that has a second; POST /database/lose, /database/find\n"
               "  /debug/tasks  what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    limited(root);
    readiness(e);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
