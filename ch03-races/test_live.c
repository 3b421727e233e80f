/*
 * Chapter 3, keys-stale-read: a value is changed, and others read it meanwhile. The same source is
 * linked over the broken variant, the fixed one and each decoy; what a test reports says which
 * of them it met.
 */
#include "t_client.h"
#include "t_turn.h"
#include <stdio.h>
#include <string.h>

struct price {
    int amount;
    char currency[4];
};
static gee_live *price;

static void begin(void) {
    const struct price first = {100, "EUR"};
    T_RC(gee_live_new(&(gee_live_type){.size = sizeof(first)}, &first, &price), 0);
}

static const char *text(const struct price *p, char *buf, size_t size) {
    snprintf(buf, size, "%d %s", p->amount, p->currency);
    return buf;
}

static const char *look(char *buf, size_t size) {
    const struct price *p = gee_live_get(price);
    text(p, buf, size);
    gee_live_drop(p);
    return buf;
}

/* --- one worker: a change that waits in the middle --- */

enum { CHANGE_MS = 100, LOOK_MS = 50 };

static int to_yen(gee_ctx *ctx, void *next, void *arg) {
    struct price *p = next;
    (void)arg;
    strcpy(p->currency, "JPY");
    int rc = gee_sleep(ctx, CHANGE_MS);
    p->amount = 15000;
    return rc;
}

static int to_pounds(gee_ctx *ctx, void *next, void *arg) {
    (void)ctx;
    (void)arg;
    *(struct price *)next = (struct price){90, "GBP"};
    return 0;
}

static void changes(gee_ctx *ctx, void *done) {
    T_RC(gee_live_change(ctx, price, to_yen, NULL), 0);
    gee_waitgroup_done(done);
}

static void keys_stale_read_one(gee_ctx *ctx, void *arg) {
    gee_waitgroup done = {0};
    char half[32], kept[32];
    (void)arg;
    begin();
    const struct price *mine = gee_live_get(price);
    gee_waitgroup_add(&done, 1);
    T_RC(gee_go(ctx, changes, &done), 0);
    gee_sleep(ctx, LOOK_MS);
    look(half, sizeof(half));
    gee_waitgroup_wait(NULL, &done);
    T_RC(gee_live_change(ctx, price, to_pounds, NULL), 0);
    text(mine, kept, sizeof(kept));
    gee_live_drop(mine);
    gee_live_free(price);
    if (strcmp(half, "100 EUR") != 0 || strcmp(kept, "100 EUR") != 0)
        T_FAIL("keys-stale-read on one worker: in the middle of a change from 100 EUR to 15000 JPY "
               "a task reads %s; one that has 100 EUR has two changes later %s",
               half, kept);
}

static void test_keys_stale_read_one(void **state) {
    (void)state;
    t_sim(keys_stale_read_one, NULL);
}

/* --- two workers, and curl: the change is held in the middle until the other one has read --- */

enum { IS_HALF_DONE = 1, IS_READ, IS_PUBLISHED };
static t_turn turn;
static gee_waitgroup served; /* orders the request and the end of the value */

struct beside {
    gee_waitgroup done;
    char half[32], whole[32];
};

static int to_yen_in_turn(gee_ctx *ctx, void *next, void *arg) {
    struct price *p = next;
    (void)ctx;
    (void)arg;
    strcpy(p->currency, "JPY");
    t_turn_pass(&turn, IS_HALF_DONE);
    t_turn_await(&turn, IS_READ);
    p->amount = 15000;
    return 0;
}

/* And the next version, too: what orders that and the change is the unit's alone, for the tools. */
static void reads_beside(gee_ctx *ctx, void *arg) {
    struct beside *b = arg;
    (void)ctx;
    t_turn_await(&turn, IS_HALF_DONE);
    look(b->half, sizeof(b->half));
    t_turn_pass(&turn, IS_READ);
    t_turn_await(&turn, IS_PUBLISHED);
    look(b->whole, sizeof(b->whole));
    gee_waitgroup_done(&b->done);
}

static void two_workers(gee_req *req) {
    struct beside b = {.half = ""};
    t_turn_init(&turn);
    gee_waitgroup_add(&b.done, 1);
    T_RC(gee_go_on(1 - gee_worker_index(), gee_req_ctx(req), reads_beside, &b), 0);
    T_RC(gee_live_change(gee_req_ctx(req), price, to_yen_in_turn, NULL), 0);
    t_turn_pass(&turn, IS_PUBLISHED);
    gee_waitgroup_wait(NULL, &b.done);
    gee_string(req, 200, "%s", b.half);
    gee_waitgroup_done(&served);
}

static void two_routes(gee_group *r) {
    begin();
    served = (gee_waitgroup){0};
    gee_waitgroup_add(&served, 1);
    gee_GET(r, "/price", two_workers);
}

static void keys_stale_read(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/price", port), 0);
    gee_waitgroup_wait(NULL, &served);
    gee_live_free(price);
    if (strcmp(out, "100 EUR") != 0)
        T_FAIL("keys-stale-read on two workers: in the middle of a change from 100 EUR to 15000 "
               "JPY curl reads %s",
               out);
}

static void test_keys_stale_read(void **state) {
    (void)state;
    t_site_real(2, &(t_site){two_routes, keys_stale_read, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keys_stale_read_one),
    cmocka_unit_test(test_keys_stale_read),
};

T_MAIN(tests)
