/* Fan out: the wait returns when all have ended, with the first error, whatever they do. */
#include "t.h"
#include <stdatomic.h>
#include <string.h>

/* What a part is to do, and what became of it. */
struct part {
    uint64_t ms;
    int rc;
    bool panics;
    int got;   /* of its sleep */
    int cause; /* of its ctx, then */
    bool done;
};

static atomic_int running, most;

static int work(gee_ctx *ctx, void *arg) {
    struct part *p = arg;
    int n = ++running, seen = most;
    while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
        ;
    p->got = gee_sleep(ctx, p->ms);
    p->cause = gee_ctx_cause(ctx);
    running--;
    p->done = true;
    if (p->got == 0 && p->panics)
        gee_panic("as planned");
    return p->got < 0 ? p->got : p->rc;
}

static int64_t tasks(void) {
    gee_census now;
    gee_census_take(&now);
    return now.tasks;
}

/* All of parts[n]; the group is ended as well. */
static int fan(gee_ctx *ctx, size_t limit, struct part *parts, int n) {
    gee_fanout *f = gee_fanout_new(ctx, limit);
    running = most = 0;
    for (int i = 0; i < n; i++)
        gee_fanout_go(f, work, &parts[i]);
    int rc = gee_fanout_wait(f);
    gee_fanout_end(f);
    return rc;
}

static void test_all_well_body(gee_ctx *ctx, void *arg) {
    struct part parts[] = {{.ms = 30}, {.ms = 100}, {.ms = 0}, {.ms = 50, .rc = 1}};
    uint64_t start = gee_now_ms();
    (void)arg;
    T_RC(fan(ctx, 0, parts, 4), 0); /* what is not negative is no error */
    T_EQ(gee_now_ms() - start, 100);
    for (int i = 0; i < 4; i++)
        T_CHECK(parts[i].done && parts[i].got == 0 && parts[i].cause == 0);
    T_RC(fan(ctx, 0, NULL, 0), 0);
    T_RC(fan(ctx, 3, NULL, 0), 0);
    gee_fanout_end(NULL);
}

static void test_all_well(void **state) {
    (void)state;
    t_sim(test_all_well_body, NULL);
}

static void test_first_error_body(gee_ctx *ctx, void *arg) {
    struct part parts[] = {
        {.ms = 90, .rc = UV_EPROTO}, {.ms = 20, .rc = UV_EIO}, {.ms = 10}, {.ms = 500}};
    uint64_t start = gee_now_ms();
    (void)arg;
    T_RC(fan(ctx, 0, parts, 4), UV_EIO);
    T_EQ(gee_now_ms() - start, 20);
    T_RC(parts[0].got, UV_ECANCELED);
    T_RC(parts[0].cause, UV_EIO); /* they can tell why */
    T_RC(parts[2].got, 0);
    T_RC(parts[3].got, UV_ECANCELED);
    T_CHECK(parts[3].done);
    gee_sleep(ctx, 0);
    T_EQ(tasks(), 1);
    T_RC(gee_ctx_err(ctx), 0); /* the caller's ctx is not the group's */
}

static void test_first_error(void **state) {
    (void)state;
    t_sim(test_first_error_body, NULL);
}

static void test_panic_body(gee_ctx *ctx, void *arg) {
    struct part parts[] = {{.ms = 500}, {.ms = 20, .panics = true}, {.ms = 500}, {.ms = 500}};
    uint64_t start = gee_now_ms();
    (void)arg;
    T_RC(fan(ctx, 0, parts, 3), GEE_EPANIC);
    T_EQ(gee_now_ms() - start, 20);
    T_RC(parts[0].cause, GEE_EPANIC);
    memset(parts, 0, sizeof(parts));
    parts[0].panics = parts[1].panics = true; /* its place is given back, too */
    T_RC(fan(ctx, 1, parts, 4), GEE_EPANIC);
    gee_sleep(ctx, 0);
    T_EQ(tasks(), 1);
}

static void test_panic(void **state) {
    (void)state;
    t_sim(test_panic_body, NULL);
}

/* --- the limit --- */

static void test_limit_body(gee_ctx *ctx, void *arg) {
    struct part parts[10];
    (void)arg;
    for (size_t limit = 1; limit <= 12; limit++) {
        memset(parts, 0, sizeof(parts));
        for (int i = 0; i < 10; i++)
            parts[i].ms = 100;
        uint64_t start = gee_now_ms();
        T_RC(fan(ctx, limit, parts, 10), 0);
        T_EQ(most, limit < 10 ? limit : 10);
        T_EQ(gee_now_ms() - start, (10 + limit - 1) / limit * 100);
        for (int i = 0; i < 10; i++)
            T_CHECK(parts[i].done);
    }
}

static void test_limit(void **state) {
    (void)state;
    t_sim(test_limit_body, NULL);
}

/* Who waits for a place is told that the group has failed, and starts nothing. */
static void test_limit_and_error_body(gee_ctx *ctx, void *arg) {
    struct part a = {.ms = 50}, b = {.ms = 20, .rc = UV_EIO}, c = {.ms = 10}, d = {.ms = 10};
    gee_fanout *f = gee_fanout_new(ctx, 2);
    uint64_t start = gee_now_ms();
    (void)arg;
    running = most = 0;
    T_RC(gee_fanout_go(f, work, &a), 0);
    T_RC(gee_fanout_go(f, work, &b), 0);
    int rc = gee_fanout_go(f, work, &c);
    T_EQ(gee_now_ms() - start, 20);
    T_CHECK(rc == UV_ECANCELED || rc == 0); /* the place came with the end of the ctx */
    T_RC(gee_fanout_go(f, work, &d), UV_ECANCELED);
    T_RC(gee_ctx_cause(gee_fanout_ctx(f)), UV_EIO);
    T_RC(gee_fanout_wait(f), UV_EIO);
    T_EQ(gee_now_ms() - start, 20);
    T_CHECK(c.done == (rc == 0) && !d.done);
    T_RC(gee_fanout_wait(f), UV_EIO); /* and again */
    gee_fanout_end(f);
}

static void test_limit_and_error(void **state) {
    (void)state;
    t_sim(test_limit_and_error_body, NULL);
}

/* --- ends from outside --- */

static void test_ctx_body(gee_ctx *ctx, void *arg) {
    struct part parts[] = {{.ms = 500}, {.ms = 20}}, late = {.ms = 1};
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 100);
    uint64_t start = gee_now_ms();
    (void)arg;
    T_RC(fan(soon, 0, parts, 2), UV_ETIMEDOUT);
    T_EQ(gee_now_ms() - start, 100);
    T_RC(fan(soon, 0, &late, 1), UV_ETIMEDOUT); /* nothing was done: that is no success */
    T_CHECK(!late.done);
    gee_ctx_end(soon);
}

static void test_ctx(void **state) {
    (void)state;
    t_sim(test_ctx_body, NULL);
}

/* The wait is over when they are, not when they were told to. */
static int takes_its_time(gee_ctx *ctx, void *arg) {
    gee_ctx_wait(ctx);
    gee_sleep(NULL, 200);
    *(bool *)arg = true;
    return 0;
}

static void test_wait_means_it_body(gee_ctx *ctx, void *arg) {
    bool done = false;
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 100);
    gee_fanout *f = gee_fanout_new(soon, 0);
    uint64_t start = gee_now_ms();
    (void)arg;
    T_RC(gee_fanout_go(f, takes_its_time, &done), 0);
    T_RC(gee_fanout_wait(f), 0); /* no part has failed */
    T_EQ(gee_now_ms() - start, 300);
    T_CHECK(done);
    gee_fanout_end(f);
    gee_ctx_end(soon);
}

static void test_wait_means_it(void **state) {
    (void)state;
    t_sim(test_wait_means_it_body, NULL);
}

static bool children_saw_it;

static void panics_on_the_way(void *arg) {
    gee_ctx *ctx = arg;
    struct part parts[] = {{.ms = 500}, {.ms = 500}}; /* on the stack that is unwound */
    gee_fanout *f = gee_fanout_new(ctx, 0);
    gee_cleanup end;
    gee_cleanup_push(&end, gee_fanout_end, f);
    gee_fanout_go(f, work, &parts[0]);
    gee_fanout_go(f, takes_its_time, &children_saw_it);
    gee_sleep(ctx, 10);
    gee_panic("the caller");
}

static void test_caller_panics_body(gee_ctx *ctx, void *arg) {
    uint64_t start = gee_now_ms();
    (void)arg;
    children_saw_it = false;
    T_RC(gee_recover(panics_on_the_way, ctx, NULL), GEE_EPANIC);
    T_EQ(gee_now_ms() - start, 210);
    T_CHECK(children_saw_it);
    gee_sleep(ctx, 0);
    T_EQ(tasks(), 1);
}

static void test_caller_panics(void **state) {
    (void)state;
    t_sim(test_caller_panics_body, NULL);
}

/* --- parts that start parts; several workers --- */

static struct tree {
    gee_fanout *f;
    atomic_int leaves;
} tree;

static int branch(gee_ctx *ctx, void *arg) {
    intptr_t depth = (intptr_t)arg;
    if (depth == 0) {
        tree.leaves++;
        return gee_sleep(ctx, 1);
    }
    gee_fanout_go(tree.f, branch, (void *)(depth - 1));
    gee_yield();
    return gee_fanout_go(tree.f, branch, (void *)(depth - 1));
}

static void test_tree_body(gee_ctx *ctx, void *arg) {
    (void)arg;
    tree.leaves = 0;
    tree.f = gee_fanout_new(ctx, 0);
    T_RC(gee_fanout_go(tree.f, branch, (void *)(intptr_t)6), 0);
    T_RC(gee_fanout_wait(tree.f), 0);
    T_EQ(tree.leaves, 64);
    gee_fanout_end(tree.f);
}

static void test_tree(void **state) {
    (void)state;
    t_sim(test_tree_body, NULL);
}

/* One group whose parts are on all workers: each starts some of its own there. */
static struct wide {
    gee_fanout *f;
    gee_waitgroup starters;
    atomic_int sum;
} wide;

static int adds(gee_ctx *ctx, void *arg) {
    int n = (int)(intptr_t)arg;
    if (n % 7 == 0)
        gee_yield();
    wide.sum += n;
    return gee_ctx_err(ctx);
}

static void starts_some(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    for (int i = 1; i <= 50; i++)
        gee_fanout_go(wide.f, adds, (void *)(intptr_t)i);
    gee_waitgroup_done(&wide.starters);
}

static void test_workers_body(gee_ctx *ctx, void *arg) {
    enum { STARTERS = 6 };
    (void)arg;
    for (size_t limit = 0; limit <= 5; limit += 5) {
        wide.sum = 0;
        wide.f = gee_fanout_new(ctx, limit);
        gee_waitgroup_add(&wide.starters, STARTERS);
        for (int i = 0; i < STARTERS; i++)
            gee_go_on(i % gee_workers(), ctx, starts_some, NULL);
        T_RC(gee_waitgroup_wait(ctx, &wide.starters), 0);
        T_RC(gee_fanout_wait(wide.f), 0);
        gee_fanout_end(wide.f);
        T_EQ(wide.sum, STARTERS * 50 * 51 / 2);
    }
}

static void test_workers(void **state) {
    (void)state;
    t_sim(test_workers_body, NULL);
    t_real(1, test_workers_body, NULL);
    t_real(3, test_workers_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_all_well),
    cmocka_unit_test(test_first_error),
    cmocka_unit_test(test_panic),
    cmocka_unit_test(test_limit),
    cmocka_unit_test(test_limit_and_error),
    cmocka_unit_test(test_ctx),
    cmocka_unit_test(test_wait_means_it),
    cmocka_unit_test(test_caller_panics),
    cmocka_unit_test(test_tree),
    cmocka_unit_test(test_workers),
};

T_MAIN(tests)
