/*
 * Chapter 2, late-write: the handler of a request that was answered for it goes on to write. The
 * same source is linked over the broken variant, the fixed one and each decoy; what a test
 * reports says which of them it met.
 */
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include "web/web.h"
#include <stdio.h>
#include <string.h>

enum { LIMIT_MS = 100, LATE_MS = 2000, NEXT_MS = 5000 };

/* Ann's account, from a database that is slow today and knows no ctx. */
static void ann(gee_req *req) {
    gee_sleep(NULL, LATE_MS);
    gee_string(req, 200, "ann's account\n");
}

static void bob(gee_req *req) {
    gee_sleep(gee_req_ctx(req), NEXT_MS);
    gee_string(req, 200, "bob's account\n");
}

/* A limit of the test's own, so that it is there whatever the chapter does to its middleware. */
struct limit {
    gee_timer timer;
    gee_exchange *x;
};

static void too_late(gee_exchange *x, void *arg) {
    (void)arg;
    if (!x->ended)
        gee_exchange_error(x, 504);
}

static void time_is_up(gee_timer *t) {
    gee_exchange *x = gee_container(t, struct limit, timer)->x;
    gee_exchange_take_over(x, &(gee_takeover){.status = 504, .answer = too_late});
}

static void limit(gee_req *req) {
    struct limit l = {.x = &req->x};
    gee_timer_start(&l.timer, gee_clock_in_ms(LIMIT_MS), time_is_up);
    gee_next(req);
    gee_timer_stop(&l.timer);
}

static void routes(gee_group *r) {
    gee_group *g = gee_group_new(r, "/limited");
    gee_use(g, limit, NULL);
    gee_GET(g, "/ann", ann);
    gee_GET(r, "/bob", bob);
}

/* One connection, as a proxy keeps it for all of its clients. "504 after 0.1 s", "bob's account
 * after 5.0 s". */
static void ask(gee_ctx *ctx, t_conn *c, const char *target, char *buf, size_t size) {
    uint64_t start = gee_now_ms();
    int status = t_get(ctx, c, target);
    double s = (double)(gee_now_ms() - start) / 1e3;
    if (status == 200)
        snprintf(buf, size, "%.*s after %.1f s", (int)strcspn(t_body(c), "\n"), t_body(c), s);
    else
        snprintf(buf, size, "%d after %.1f s", status, s);
}

static void late_write(gee_ctx *ctx, t_conn *c, int port) {
    char first[64], second[64], stays[32];
    (void)port;
    ask(ctx, c, "/limited/ann", first, sizeof(first));
    ask(ctx, c, "/bob", second, sizeof(second));
    gee_sleep(ctx, NEXT_MS);
    t_drop(c);
    if (strcmp(first, "504 after 0.1 s") != 0 || strcmp(second, "bob's account after 5.0 s") != 0)
        T_FAIL("late-write: with a limit of 0.1 s, who asks for ann gets %s, and who then asks for "
               "bob "
               "gets %s",
               first, second);
    T_STR(t_stays(ctx, 2, stays, sizeof(stays)), "0.0 s");
}

static void test_late_write(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, late_write, NULL, 0});
}

/* curl asks for both on one connection. */
static void late_write_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[256];
    (void)none;
    t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/limited/ann http://127.0.0.1:%d/bob",
            port, port);
    gee_sleep(ctx, 200);
    if (strcmp(out, "504 Gateway Timeout\nbob's account\n") != 0) {
        for (char *at = out; (at = strchr(at, '\n')) != NULL;)
            *at = '|';
        T_FAIL("late-write on a socket: curl asks for ann and bob, and reads: %s", out);
    }
}

static void test_late_write_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, late_write_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_late_write),
    cmocka_unit_test(test_late_write_real),
};

T_MAIN(tests)
