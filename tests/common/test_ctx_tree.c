/* The tree of ctxs: its end, what a lost cancel leaves, after_func, and several workers. */
#include "t.h"
#include <stdatomic.h>

/* Virtual time moves once nobody can run: after this everyone has parked or ended. */
static void settle(gee_ctx *ctx) {
    gee_sleep(ctx, 1);
}

/* --- the tree --- */

enum { DEEP = 100, WIDE = 1000 };

static atomic_int heard;

static void hears(gee_ctx *ctx, void *arg) {
    (void)arg;
    heard += gee_ctx_wait(ctx) == UV_ECANCELED && gee_ctx_cause(ctx) == UV_ESHUTDOWN;
}

/* A chain with a task at each node, and many leaves at its end; some have one too. */
static void large_tree(gee_ctx *ctx, void *arg) {
    (void)arg;
    heard = 0;
    gee_ctx *top = gee_ctx_with_cancel(ctx), *at = gee_ctx_ref(top);
    for (int i = 0; i < DEEP; i++) {
        gee_ctx *next = i % 2 ? gee_ctx_with_timeout(at, 60000) : gee_ctx_with_cancel(at);
        T_RC(gee_go(next, hears, NULL), 0);
        gee_ctx_unref(at); /* its parent has it, and the child will */
        at = next;
    }
    for (int i = 0; i < WIDE; i++) {
        gee_ctx *leaf = gee_ctx_with_timeout(at, 1000 + (uint64_t)i);
        if (i % 50 == 0)
            T_RC(gee_go(leaf, hears, NULL), 0);
        gee_ctx_unref(leaf);
    }
    gee_ctx_unref(at);
    settle(ctx);
    gee_ctx_cancel(top, UV_ESHUTDOWN);
    settle(ctx);
    T_EQ(heard, DEEP + WIDE / 50);
    gee_ctx_unref(top);
}

static void test_large_tree(void **state) {
    (void)state;
    t_sim(large_tree, NULL);
}

/* Deeper than a stack: by a task, and by a time that is up, on the loop. */
static void deep_tree(gee_ctx *ctx, void *arg) {
    enum { DEEPER = 20000 };
    (void)arg;
    for (int timed = 0; timed < 2; timed++) {
        gee_ctx *top = timed ? gee_ctx_with_timeout(ctx, 1000) : gee_ctx_with_cancel(ctx);
        gee_ctx *at = gee_ctx_ref(top);
        for (int i = 0; i < DEEPER; i++) {
            gee_ctx *next = gee_ctx_with_cancel(at);
            gee_ctx_unref(at);
            at = next;
        }
        if (timed)
            gee_sleep(ctx, 1001);
        else
            gee_ctx_cancel(top, UV_ESHUTDOWN);
        T_RC(gee_ctx_err(at), timed ? UV_ETIMEDOUT : UV_ECANCELED);
        T_RC(gee_ctx_cause(at), timed ? UV_ETIMEDOUT : UV_ESHUTDOWN);
        gee_ctx_unref(at);
        gee_ctx_unref(top);
    }
}

static void test_deep_tree(void **state) {
    (void)state;
    t_sim(deep_tree, NULL);
}

/* The lost cancel: nobody has the ctx any more, but it is there until its parent ends. */
static void lost_cancel(gee_ctx *ctx, void *arg) {
    gee_census base, now;
    char diff[128];
    (void)arg;
    gee_ctx *parent = gee_ctx_with_cancel(ctx);
    gee_census_take(&base);
    gee_ctx_unref(gee_ctx_with_timeout(parent, 3600000));
    gee_ctx_unref(gee_ctx_with_cancel(parent));
    gee_ctx_unref(gee_ctx_with_timeout(NULL, 50)); /* until its time is up */
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "timers +2, ctxs +3");
    T_RC(gee_sleep(ctx, 50), 0);
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "timers +1, ctxs +2");
    gee_ctx_cancel(parent, 0);
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "");
    gee_ctx_unref(parent);
}

static void test_lost_cancel(void **state) {
    (void)state;
    t_sim(lost_cancel, NULL);
}

/* --- after_func: in which order stop, end and the run come --- */

enum { NEVER_STOPPED, STOP_THEN_END, END_THEN_STOP, RUN_THEN_STOP, ENDED_BEFORE, ORDERS };
static const struct {
    bool stopped;
    int ran;
} after_want[ORDERS] = {{false, 1}, {true, 0}, {false, 1}, {false, 1}, {false, 1}};

static atomic_int after_ran;

static void after(void *arg) {
    after_ran += *(int *)arg;
}

static void after_in_order(gee_ctx *ctx, void *arg) {
    static int one = 1;
    int order = *(int *)arg;
    bool stopped = false;
    after_ran = 0;
    gee_ctx *c = gee_ctx_with_timeout(ctx, 100);
    if (order == ENDED_BEFORE)
        gee_ctx_cancel(c, 0);
    gee_after *a = gee_ctx_after_func(c, after, &one);
    T_EQ(after_ran, 0); /* in a task of its own, also when the ctx has ended */
    if (order == STOP_THEN_END)
        stopped = gee_after_stop(a);
    if (order == NEVER_STOPPED || order == RUN_THEN_STOP)
        gee_sleep(ctx, 101);
    gee_ctx_cancel(c, 0);
    if (order == END_THEN_STOP || order == ENDED_BEFORE || order == RUN_THEN_STOP)
        stopped = gee_after_stop(a);
    settle(ctx);
    if (order == NEVER_STOPPED)
        stopped = gee_after_stop(a); /* the handle is not free otherwise */
    T_EQ(stopped, after_want[order].stopped);
    T_EQ(after_ran, after_want[order].ran);
    gee_ctx_unref(c);
}

/* main ends, its ctx with it, and that starts one more task, maybe on another worker. */
static struct {
    gee_after *handle;
    gee_waitgroup made;
} last;

static void stops_itself(void *arg) {
    after_ran += *(int *)arg;
    after_ran += gee_after_stop(last.handle) ? 100 : 0; /* too late, while it runs */
}

static void makes_last(gee_ctx *ctx, void *arg) {
    last.handle = gee_ctx_after_func(ctx, stops_itself, arg);
    gee_waitgroup_done(&last.made);
}

static void after_main(gee_ctx *ctx, void *arg) {
    (void)arg;
    static int one = 1;
    after_ran = 0;
    gee_waitgroup_add(&last.made, 1);
    T_RC(gee_go_on(gee_workers() - 1, ctx, makes_last, &one), 0);
    T_RC(gee_waitgroup_wait(ctx, &last.made), 0);
}

static void end_of_main(int workers) {
    gee_config cfg = {.sim = workers == 0, .workers = workers};
    t_run(&cfg, 0, after_main, NULL);
    assert_int_equal(after_ran, 1);
}

static void test_after_func(void **state) {
    (void)state;
    for (int order = 0; order < ORDERS; order++) {
        t_sim(after_in_order, &order);
        if (order != NEVER_STOPPED && order != RUN_THEN_STOP)
            t_real(1, after_in_order, &order);
    }
    end_of_main(0);
    end_of_main(1);
    end_of_main(2);
}

/* --- several workers --- */

static void cancels(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_ctx_cancel(ctx, UV_ESHUTDOWN);
}

static void cancels_on_thread(void *arg) {
    gee_ctx_cancel(arg, UV_ESHUTDOWN);
}

/* A timer is its worker's: who cancels elsewhere has it disarmed there. */
static void cancelled_elsewhere(gee_ctx *ctx, void *arg) {
    gee_census base, now;
    char diff[128];
    (void)arg;
    gee_census_take(&base);
    gee_ctx *c = gee_ctx_with_timeout(ctx, 3600000);
    T_RC(gee_go_on(1, c, cancels, NULL), 0);
    T_RC(gee_ctx_wait(c), UV_ECANCELED);
    T_RC(gee_ctx_cause(c), UV_ESHUTDOWN);
    gee_ctx_unref(c);
    for (int i = 0; i < 500; i++) {
        gee_sleep(ctx, 1);
        gee_census_take(&now);
        if (!*t_census_diff(&base, &now, diff, sizeof(diff)))
            break;
    }
    T_STR(diff, "");

    uv_thread_t thread;
    c = gee_ctx_with_timeout(ctx, 3600000);
    T_EQ(uv_thread_create(&thread, cancels_on_thread, c), 0);
    T_RC(gee_ctx_wait(c), UV_ECANCELED);
    uv_thread_join(&thread);
    gee_ctx_unref(c);
}

/* Nobody sees a child that has ended and a parent that has not. */
static void watches_child(gee_ctx *child, void *arg) {
    gee_ctx *parent = arg;
    while (gee_ctx_err(child) == 0)
        gee_yield();
    if (gee_ctx_err(parent) != UV_ECANCELED || gee_ctx_cause(parent) != gee_ctx_cause(child))
        t_fail(__FILE__, __LINE__, "the child ended first");
    gee_ctx_unref(parent);
}

static void parent_first(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int i = 0; i < 100; i++) {
        gee_ctx *parent = gee_ctx_with_cancel(ctx);
        gee_ctx *child = gee_ctx_with_cancel(parent);
        T_RC(gee_go_on(1, child, watches_child, gee_ctx_ref(parent)), 0);
        gee_ctx_cancel(parent, i % 2 ? UV_EPIPE : 0);
        gee_ctx_unref(child);
        gee_ctx_unref(parent);
    }
}

static void drops(void *arg) {
    gee_ctx_unref(arg);
}

/* Derives, waits a moment, ends: all over the tree, until the top ends. */
static void derives(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int i = 0; i < 200 && gee_ctx_err(ctx) == 0; i++) {
        gee_ctx *a = gee_ctx_with_timeout(ctx, (uint64_t)i % 3);
        gee_ctx *b = gee_ctx_with_cancel(a);
        gee_after *f = gee_ctx_after_func(b, drops, gee_ctx_ref(ctx));
        if (i % 8 == 0)
            gee_ctx_wait(b);
        else
            gee_yield();
        if (gee_after_stop(f))
            gee_ctx_unref(ctx);
        gee_ctx_end(b);
        gee_ctx_end(a);
    }
}

static void derived_everywhere(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_ctx *top = gee_ctx_with_cancel(ctx);
    for (int i = 0; i < 8; i++)
        T_RC(gee_go_on(i % gee_workers(), top, derives, NULL), 0);
    gee_sleep(ctx, 5);
    gee_ctx_end(top);
}

static void test_workers(void **state) {
    (void)state;
    t_real(2, cancelled_elsewhere, NULL);
    t_real(2, parent_first, NULL);
    t_real(2, derived_everywhere, NULL);
    t_real(4, derived_everywhere, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_large_tree),  cmocka_unit_test(test_deep_tree),
    cmocka_unit_test(test_lost_cancel), cmocka_unit_test(test_after_func),
    cmocka_unit_test(test_workers),
};

T_MAIN(tests)
