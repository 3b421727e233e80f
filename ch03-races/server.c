/*
 * The server of chapter 3: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=03`, `make serve-fixed CH=03`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- params-shared: a greeting that takes two seconds --- */

static void hello(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 2000) == 0)
        gee_string(req, 200, "hello, %s\n", gee_param(req, "name"));
}

/* --- order-contract: /admin has its two lines in the wrong order, and so has /staff --- */

/* Everyone here is somebody: authentication has turned away all others. */
static void authorize(gee_req *req) {
    const char *user = gee_auth_user(req);
    if (user && strcmp(user, "bob") == 0)
        gee_fail(req, 403);
    else
        gee_next(req);
}

static void audit(gee_req *req) {
    gee_next(req);
    printf("audit: %s %s: %d\n", gee_method(req), gee_target(req), gee_status_of(req));
    fflush(stdout);
}

static void users(gee_req *req) {
    gee_string(req, 200, "the users\n");
}

static void rota(gee_req *req) {
    gee_string(req, 200, "the rota\n");
}

static void authenticate(gee_group *g) {
    static const gee_account accounts[] = {{"ada", "countess"}, {"bob", "builder"}, {NULL, NULL}};
    gee_use_basic_auth(g, &(gee_basic_auth_options){.accounts = accounts});
}

static int admin(gee_engine *e) {
    gee_group *g = gee_group_new(gee_root(e), "/admin");
    gee_declare(e, authorize,
                &(gee_contract){.name = "authorization",
                                .needs = "authentication",
                                .provides = "authorization"});
    gee_use(g, authorize, NULL);
    authenticate(g);
    return gee_GET(g, "/users", users);
}

static int staff(gee_engine *e) {
    gee_group *g = gee_group_new(gee_root(e), "/staff");
    gee_declare(e, audit, &(gee_contract){.name = "audit", .around = "authentication"});
    authenticate(g);
    gee_use(g, audit, NULL);
    return gee_GET(g, "/rota", rota);
}

/* A program ends where this fails. This one has other cases to show, and tries it beside. */
static void if_it_may(gee_engine *e, int (*routes)(gee_engine *e)) {
    gee_engine *trial = gee_engine_new();
    if (trial && routes(trial) == 0)
        routes(e);
    if (trial)
        gee_engine_free(trial);
}

/* --- wrong-thread: two exchanges are asked for a price, by a worker each; the first one counts ---
 */

struct quote {
    gee_ctx *asking;
    gee_waitgroup answered;
    int price;
};

static void near_exchange(gee_ctx *ctx, void *arg) {
    struct quote *q = arg;
    if (gee_sleep(ctx, 20) == 0)
        q->price = 42;
    gee_ctx_cancel(q->asking, 0); /* nobody needs to wait for the other one */
    gee_waitgroup_done(&q->answered);
}

/* It has two seconds, and takes longer today. */
static void far_exchange(gee_ctx *ctx, void *arg) {
    struct quote *q = arg;
    q->asking = gee_ctx_with_timeout(ctx, 2000);
    gee_waitgroup_add(&q->answered, 1);
    gee_go_on(gee_workers() - 1, q->asking, near_exchange, q);
    gee_sleep(q->asking, 5000);
    gee_waitgroup_done(&q->answered);
}

static void quote(gee_req *req) {
    struct quote q = {.price = 0};
    gee_waitgroup_add(&q.answered, 1);
    gee_go_on(0, gee_req_ctx(req), far_exchange, &q);
    gee_waitgroup_wait(NULL, &q.answered);
    gee_ctx_end(q.asking);
    gee_string(req, 200, "%d\n", q.price);
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 3, races. Try:\n"
               "  /hello/:name    greets by name, after two seconds: two visitors at a time\n"
               "  /admin/users    for ada (countess), but not for bob (builder)\n"
               "  /staff/rota     for both of them, audited\n"
               "  /quote          a price, of whichever exchange answers first (GEE_WORKERS=2)\n"
               "  /debug/routes   what each request passes on its way\n"
               "  /debug/tasks    what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/hello/:name", hello);
    gee_GET(root, "/quote", quote);
    if_it_may(e, admin);
    if_it_may(e, staff);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
