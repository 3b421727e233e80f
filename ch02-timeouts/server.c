/*
 * The server of chapter 2: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=02`, `make serve-fixed CH=02`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* --- child-not-inherit --- */

/* It takes a minute. */
static int asks_a_supplier(gee_ctx *ctx, void *arg) {
    int rc = 0;
    (void)arg;
    for (int s = 0; s < 60 && rc == 0; s++)
        rc = gee_sleep(ctx, 1000);
    return rc;
}

static void offers(gee_req *req) {
    for (int i = 0; i < 3; i++)
        gee_req_go(req, asks_a_supplier, NULL);
    int rc = gee_req_join(req);
    if (rc == 0)
        gee_string(req, 200, "three offers\n");
    else
        gee_fail(req, rc == UV_ETIMEDOUT ? 504 : 503);
}

/* --- missing-cancel --- */

/* The service behind it refuses every other time. */
static int asks_for_the_price(gee_ctx *ctx, void *arg) {
    static _Atomic int asked;
    (void)arg;
    int rc = gee_sleep(ctx, 1);
    return rc < 0 ? rc : ++asked % 2 ? UV_ECONNREFUSED : 0;
}

/* All requests share what comes of it: that one client leaves is no reason to stop. */
static void price(gee_req *req) {
    const gee_retry_options opt = {.try_ms = 60 * 1000, .pause_ms = 10};
    int rc = gee_retry(gee_background(), &opt, asks_for_the_price, NULL);
    gee_string(req, rc < 0 ? 502 : 200, rc < 0 ? "none\n" : "42\n");
}

/* --- chain-index --- */

static _Atomic int payments;

static void pay(gee_req *req) {
    payments++;
    gee_string(req, 200, "paid\n");
}

static void count(gee_req *req) {
    gee_string(req, 200, "%d payments\n", payments);
}

/* Goes on in two places: its author was not sure. */
static void measures(gee_req *req) {
    uint64_t start_ms = gee_now_ms();
    gee_next(req);
    printf("%s: %d ms\n", gee_target(req), (int)(gee_now_ms() - start_ms));
    fflush(stdout);
    gee_next(req);
}

/* Once is enough: of who is refused nobody asks again. */
static void knows_who(gee_req *req) {
    bool asked = gee_get(req, "who") != NULL;
    gee_set(req, "who", req, NULL);
    if (!asked && gee_header(req, "X-User") == NULL)
        gee_fail(req, 401);
    else
        gee_next(req);
}

/* --- the routes --- */

static void paying(gee_group *root) {
    gee_group *g = gee_group_new(root, "");
    gee_use(g, measures, NULL);
    gee_use(g, knows_who, NULL);
    gee_POST(g, "/pay", pay);
    gee_GET(root, "/payments", count);
}

static void limited(gee_group *root) {
    gee_group *g = gee_group_new(root, "/limited");
    gee_use_timeout(g, 1000);
    gee_GET(g, "/hangs", hangs);
    gee_GET(g, "/ann", ann);
    gee_GET(g, "/offers", offers);
    gee_GET(root, "/bob", bob);
    gee_GET(root, "/offers", offers);
    gee_GET(root, "/price", price);
}

/* --- keepalive-timer --- */

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

/* --- header-then-body --- */

/* Answers a POST without a look at what was sent. */
static void ignore(gee_req *req) {
    gee_string(req, 200, "ignored\n");
}

/* --- pool-starvation --- */

/* A driver that blocks, and a database that does not answer for half a minute. */
static void ask_driver(void *arg) {
    (void)arg;
    sleep(30);
}

static void query(gee_req *req) {
    if (gee_blocking(gee_req_ctx(req), ask_driver, NULL) == 0)
        gee_string(req, 200, "no rows\n");
}

/* Of the directory in which make runs it. */
static void manual(gee_req *req) {
    gee_file(req, "docs/http.md");
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

/* --- the audit, end to end --- */

static void profile(gee_req *req) {
    const gee_audit *a = gee_audit_of(req);
    gee_json(req, 200, "{s:{s:s, s:s, s:I}}", "audit_context", "user_id", a->user_id, "trace_id",
             a->trace_id, "access_time", (json_int_t)a->access_ms);
}

/* It has a ctx, and knows for whom it works by that alone. */
static int asks_a_warehouse(gee_ctx *ctx, void *arg) {
    const gee_audit **a = arg;
    *a = gee_audit_of_ctx(ctx);
    return 0;
}

static void orders(gee_req *req) {
    const gee_audit *heard = NULL;
    gee_req_go(req, asks_a_warehouse, &heard);
    int rc = gee_req_join(req);
    if (rc < 0 || heard == NULL)
        gee_fail(req, 500);
    else
        gee_json(req, 200, "{s:{s:s}}", "the warehouse heard", "trace_id", heard->trace_id);
}

static void waits(gee_req *req) {
    gee_ctx_wait(gee_req_ctx(req));
}

static void audited(gee_group *root) {
    gee_group *g = gee_group_new(root, "/api");
    gee_use_audit(g, NULL); /* its records go to stderr */
    gee_use_timeout(g, 1000);
    gee_GET(g, "/profile", profile);
    gee_GET(g, "/orders", orders);
    gee_GET(g, "/hangs", waits);
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 2, timeouts. Try:\n"
               "  /limited/hangs  a handler that waits for ever; its limit is a second\n"
               "  /limited/ann    one that takes 3 seconds and knows no ctx\n"
               "  /bob            one that takes 5 seconds, which it may\n"
               "  /hello          and take your time with the next request\n"
               "  /ignore         POST what you like, or less\n"
               "  /query          a call that blocks a thread for half a minute\n"
               "  /manual         a file, for which a thread is needed\n"
               "  /offers         three sub-tasks that take a minute each: hang up on them\n"
               "  /limited/offers the same, with a limit of a second\n"
               "  /price          asks a service until it answers\n"
               "  /pay            POST, with an X-User; then look at /payments\n"
               "  /readyz         a check that has a second; POST /database/lose, /database/find\n"
               "  /api/profile    with X-User-ID and X-Trace-ID; /api/orders, /api/hangs\n"
               "  /debug/tasks    what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    limited(root);
    gee_GET(root, "/hello", hello);
    gee_POST(root, "/ignore", ignore);
    gee_GET(root, "/query", query);
    gee_GET(root, "/manual", manual);
    paying(root);
    readiness(e);
    audited(root);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
