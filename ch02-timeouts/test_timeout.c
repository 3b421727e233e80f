/*
 * Chapter 2, no-deadline: a deadline that nobody downstream can see. The same source is linked
 * over the broken variant, the fixed one and each decoy; what a test reports says which of
 * them it met.
 */
#include "gee/timeout.h"
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

enum { LIMIT_MS = 100, AN_HOUR_MS = 3600 * 1000 };

/* What the handler saw of its ctx. Nothing orders it and the client. */
static _Atomic int ctx_err, has_deadline;

/* A dependency that does not answer: waited for as long as the ctx allows. */
static void hangs(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    has_deadline = gee_ctx_deadline(ctx, NULL);
    gee_sleep(ctx, AN_HOUR_MS);
    ctx_err = gee_ctx_err(ctx);
}

/* One that answers after 10 ms. */
static void quick(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 10) == 0)
        gee_string(req, 200, "quick\n");
}

static void routes(gee_group *r) {
    gee_group *g = gee_group_new(r, "/limited");
    gee_use_timeout_with(g, &(gee_timeout_options){.ms = LIMIT_MS, .log_fd = -1});
    gee_GET(g, "/hangs", hangs);
    gee_GET(g, "/quick", quick);
}

/* "504 after 0.1 s". */
static const char *ask(gee_ctx *ctx, t_conn *c, const char *target, char *buf, size_t size) {
    uint64_t start = gee_now_ms();
    int status = t_get(ctx, c, target);
    snprintf(buf, size, "%d after %.1f s", status, (double)(gee_now_ms() - start) / 1e3);
    return buf;
}

static const char *seen(void) {
    return !has_deadline ? "no deadline" : ctx_err == UV_ETIMEDOUT ? "ETIMEDOUT" : "something else";
}

static void no_deadline(gee_ctx *ctx, t_conn *c, int port) {
    char first[40], later[40];
    const char *at;
    (void)port;
    ask(ctx, c, "/limited/hangs", first, sizeof(first));
    gee_sleep(ctx, 1000);
    at = seen();
    ask(ctx, c, "/limited/quick", later, sizeof(later));
    if (strcmp(first, "504 after 0.1 s") != 0 || strcmp(at, "ETIMEDOUT") != 0 ||
        strcmp(later, "200 after 0.0 s") != 0)
        T_FAIL("no-deadline: with a limit of 0.1 s, a handler that hangs is answered %s (its ctx: "
               "%s), a quick one a second later %s",
               first, at, later);
}

static void test_no_deadline(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, no_deadline, NULL, 0});
}

/* curl gives up after 2 s; the limit is 0.1 s. */
static void no_deadline_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    int rc = t_shell(
        ctx, out, sizeof(out),
        "curl -s -o /dev/null -m 2 -w '%%{http_code}' http://127.0.0.1:%d/limited/hangs", port);
    if (rc != 0 || strcmp(out, "504") != 0)
        T_FAIL("no-deadline on a socket: curl ends with %d after 2 s and has status %s", rc, out);
}

static void test_no_deadline_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, no_deadline_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_no_deadline),
    cmocka_unit_test(test_no_deadline_real),
};

T_MAIN(tests)
