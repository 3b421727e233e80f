/*
 * Chapter 2, chain-index: which links of a chain run, how often, and what they find on the way
 * back. The same source is linked over the broken variant, the fixed one and each decoy; what a
 * test reports says which of them it met.
 */
#include "gee/panic.h"
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

/* Nothing orders a request's task and who looks. */
static _Atomic int paid;
static _Atomic bool own_arg, own_arg_behind_a_panic;

static void pay(gee_req *req) {
    gee_string(req, 200, "paid\n");
    paid++;
}

/* Its author has forgotten that it has gone on already. */
static void measures(gee_req *req) {
    gee_next(req);
    own_arg = strcmp(gee_arg(req), "measures") == 0;
    gee_next(req);
}

/* Who is not known is refused; in either case it need not be asked again. */
static void knows(gee_req *req) {
    if (gee_get(req, "user") == NULL && gee_header(req, "X-User") == NULL)
        gee_fail(req, 401);
    else
        gee_next(req);
    gee_set(req, "user", req, NULL);
}

/* Answers from what it has, and does not go on; there is no need for an abort. */
static void has_it(gee_req *req) {
    if (gee_get(req, "asked"))
        gee_next(req);
    else
        gee_string(req, 200, "paid before\n");
    gee_set(req, "asked", req, NULL);
}

static void go_on(void *req) {
    gee_next(req);
}

static void recovers(gee_req *req) {
    if (gee_recover(go_on, req, NULL) == GEE_EPANIC)
        own_arg_behind_a_panic = strcmp(gee_arg(req), "recovers") == 0;
    gee_fail(req, 500);
}

static void panics(gee_req *req) {
    (void)req;
    gee_panic("in a handler");
}

static gee_group *measured(gee_group *r, const char *prefix) {
    gee_group *g = gee_group_new(r, prefix);
    gee_use(g, measures, "measures");
    return g;
}

/* One below the other, as a program would, is what the chapter in front of this one breaks. */
static void routes(gee_group *r) {
    gee_handle(measured(r, ""), "POST", "/pay", pay, "pay");
    gee_group *known = measured(r, "/known");
    gee_use(known, knows, "knows");
    gee_handle(known, "POST", "/pay", pay, "pay");
    gee_group *cached = measured(r, "/cached");
    gee_use(cached, has_it, "has it");
    gee_handle(cached, "POST", "/pay", pay, "pay");
    gee_group *safe = gee_group_new(r, "/safe");
    gee_use(safe, recovers, "recovers");
    gee_handle(safe, "POST", "/pay", panics, "panics");
}

static int times_paid(gee_ctx *ctx, t_conn *c, const char *target, int status) {
    paid = 0;
    int got = t_ask(ctx, c, "POST", target, "Content-Length: 0\r\n");
    return got == status ? paid : -1;
}

static void chain_index(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    own_arg = own_arg_behind_a_panic = false;
    int plain = times_paid(ctx, c, "/pay", 200);
    bool own = own_arg;
    int refused = times_paid(ctx, c, "/known/pay", 401);
    int answered = times_paid(ctx, c, "/cached/pay", 200);
    times_paid(ctx, c, "/safe/pay", 500);
    if (plain != 1 || refused != 0 || answered != 0 || !own || !own_arg_behind_a_panic)
        T_FAIL("chain-index: behind a middleware that goes on twice, who pays once has paid %d "
               "times, who is refused %d, who is answered without %d; on the way back a middleware "
               "finds %s arg, behind a panic %s",
               plain, refused, answered, own ? "its own" : "another's",
               own_arg_behind_a_panic ? "its own" : "another's");
}

static void test_chain_index(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, chain_index, NULL, 0});
}

static void chain_index_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[256];
    (void)none;
    paid = 0;
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-X POST -o /dev/null -w '%%{http_code}' http://127.0.0.1:%d/known/pay",
                 port),
         0);
    int refused = paid;
    T_STR(out, "401");
    paid = 0;
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-X POST -H 'X-User: ann' http://127.0.0.1:%d/known/pay", port),
         0);
    T_STR(out, "paid\n");
    if (refused != 0 || paid != 1)
        T_FAIL("chain-index on a socket: curl is refused with 401 and has paid %d times, is let in "
               "and has paid %d times",
               refused, (int)paid);
}

static void test_chain_index_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, chain_index_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_chain_index),
    cmocka_unit_test(test_chain_index_real),
};

T_MAIN(tests)
