/* Feature flags: the contract of gee/flags.h. */
#include "t.h"
#include <stdatomic.h>
#include <string.h>

static gee_flags *flags;

static int put(gee_ctx *ctx, const char *name, const char *needs, gee_flag_rule rule, void *arg) {
    return gee_flags_put(ctx, flags, &(gee_flag){name, true, needs, rule, arg});
}

static int ask(gee_ctx *ctx, const char *name, const void *who) {
    return gee_flags_ask(ctx, flags, name, who);
}

static int is_ann(gee_ctx *ctx, const void *who, void *arg) {
    (void)ctx;
    (void)arg;
    return strcmp(who, "ann") == 0;
}

static int is_error(gee_ctx *ctx, const void *who, void *arg) {
    (void)ctx;
    (void)who;
    return *(int *)arg;
}

static int takes_100_ms(gee_ctx *ctx, const void *who, void *arg) {
    int rc = gee_sleep(ctx, 100);
    (void)who;
    (void)arg;
    return rc < 0 ? rc : 1;
}

static int panics(gee_ctx *ctx, const void *who, void *arg) {
    (void)ctx;
    (void)who;
    (void)arg;
    gee_panic("a rule");
}

/* --- answers --- */

static void answers(gee_ctx *ctx, void *arg) {
    static int epipe = UV_EPIPE, two = 2;
    (void)arg;
    flags = gee_flags_new();
    T_RC(ask(ctx, "cart", "ann"), UV_ENOENT);
    T_RC(gee_flags_switch(ctx, flags, "cart", true), UV_ENOENT);
    T_RC(put(ctx, "cart", NULL, NULL, NULL), 0);
    T_RC(put(ctx, "checkout", "cart", is_ann, NULL), 0);
    T_RC(put(ctx, "express", "checkout", NULL, NULL), 0);
    T_EQ(ask(ctx, "cart", "bob"), 1);
    T_EQ(ask(ctx, "checkout", "ann"), 1);
    T_EQ(ask(ctx, "express", "ann"), 1);
    T_EQ(ask(ctx, "express", "bob"), 0);
    T_RC(gee_flags_switch(ctx, flags, "cart", false), 0);
    T_EQ(ask(ctx, "express", "ann"), 0);
    T_RC(gee_flags_switch(ctx, flags, "cart", true), 0);
    T_RC(gee_flags_switch(ctx, flags, "checkout", false), 0);
    T_EQ(ask(ctx, "checkout", "ann"), 0);
    T_EQ(ask(ctx, "cart", "ann"), 1);
    T_RC(put(ctx, "checkout", NULL, is_error, &epipe), 0); /* in its place */
    T_RC(ask(ctx, "express", "ann"), UV_EPIPE);
    T_RC(put(ctx, "cart", NULL, is_error, &two), 0);
    T_EQ(ask(ctx, "cart", "ann"), 2); /* as the rule says */
    gee_flags_free(flags);
}

static void test_answers(void **state) {
    (void)state;
    t_sim(answers, NULL);
}

static void refusals(gee_ctx *ctx, void *arg) {
    char name[] = "cart";
    (void)arg;
    flags = gee_flags_new();
    T_RC(put(ctx, NULL, NULL, NULL, NULL), UV_EINVAL);
    T_RC(put(ctx, "", NULL, NULL, NULL), UV_EINVAL);
    T_RC(put(ctx, "checkout", "cart", NULL, NULL), UV_ENOENT);
    T_RC(ask(ctx, "checkout", ""), UV_ENOENT);
    T_RC(put(ctx, name, NULL, NULL, NULL), 0);
    memset(name, 'x', 4); /* it was copied */
    T_RC(put(ctx, "checkout", "cart", NULL, NULL), 0);
    T_RC(put(ctx, "express", "checkout", NULL, NULL), 0);
    T_RC(put(ctx, "cart", "cart", NULL, NULL), UV_ELOOP);
    T_RC(put(ctx, "cart", "express", NULL, NULL), UV_ELOOP);
    T_EQ(ask(ctx, "express", ""), 1); /* nothing has changed */
    gee_flags_free(flags);
    gee_flags_free(NULL);
}

static void test_refusals(void **state) {
    (void)state;
    t_sim(refusals, NULL);
}

/* --- while a rule takes its time --- */

struct asker {
    const char *name;
    int rc;
    uint64_t at_ms;
};

static gee_waitgroup done; /* nothing else says that nobody uses the flags any more */

static void asks(gee_ctx *ctx, void *arg) {
    struct asker *a = arg;
    a->rc = ask(ctx, a->name, "ann");
    a->at_ms = gee_now_ms();
    gee_waitgroup_done(&done);
}

static void switches(gee_ctx *ctx, void *arg) {
    struct asker *a = arg;
    a->rc = gee_flags_switch(ctx, flags, a->name, false);
    a->at_ms = gee_now_ms();
    gee_waitgroup_done(&done);
}

/* Two ask at the same time; a switch comes and waits for both; who asks then waits for the switch.
 * Those who had asked before it have the answer of before, though what they need is off by now. */
static void one_moment(gee_ctx *ctx, void *arg) {
    struct asker first = {"checkout", -1, 0}, second = first, third = first, off = {"cart", -1, 0};
    uint64_t start = gee_now_ms();
    (void)arg;
    flags = gee_flags_new();
    gee_waitgroup_add(&done, 4);
    put(ctx, "cart", NULL, NULL, NULL);
    put(ctx, "checkout", "cart", takes_100_ms, NULL);
    gee_go(ctx, asks, &first);
    gee_sleep(ctx, 10);
    gee_go(ctx, asks, &second);
    gee_sleep(ctx, 10);
    gee_go(ctx, switches, &off);
    gee_sleep(ctx, 10);
    gee_go(ctx, asks, &third);
    T_RC(gee_waitgroup_wait(ctx, &done), 0);
    T_EQ(first.rc, 1);
    T_EQ(second.rc, 1);
    T_EQ(off.rc, 0);
    T_EQ(third.rc, 0);
    T_EQ(first.at_ms - start, 100);
    T_EQ(second.at_ms - start, 110);
    T_EQ(off.at_ms - start, 110);
    T_EQ(third.at_ms - start, 210);
    gee_flags_free(flags);
}

static void test_one_moment(void **state) {
    (void)state;
    t_sim(one_moment, NULL);
}

/* Whoever waits, for a rule or for the lock, hears the end of its ctx, and the others go on. */
static void ends(gee_ctx *ctx, void *arg) {
    struct asker slow = {"checkout", 0, 0}, off = slow, behind = slow;
    gee_ctx *own = gee_ctx_with_cancel(ctx), *switcher = gee_ctx_with_cancel(ctx);
    (void)arg;
    flags = gee_flags_new();
    gee_waitgroup_add(&done, 3);
    put(ctx, "checkout", NULL, takes_100_ms, NULL);
    gee_go(own, asks, &slow);
    gee_sleep(ctx, 10);
    gee_go(switcher, switches, &off);
    gee_sleep(ctx, 10);
    gee_go(ctx, asks, &behind);
    gee_sleep(ctx, 10);
    gee_ctx_cancel(switcher, 0);
    gee_sleep(ctx, 10);
    gee_ctx_cancel(own, 0);
    T_RC(gee_waitgroup_wait(ctx, &done), 0);
    T_RC(off.rc, UV_ECANCELED);
    T_RC(slow.rc, UV_ECANCELED);
    T_EQ(behind.rc, 1); /* it was not switched */
    T_EQ(behind.at_ms - off.at_ms, 100);
    T_RC(put(own, "new", NULL, NULL, NULL), 0); /* with nobody to wait for */
    gee_ctx_end(switcher);
    gee_ctx_end(own);
    gee_flags_free(flags);
}

static void test_the_end_of_a_ctx(void **state) {
    (void)state;
    t_sim(ends, NULL);
}

static void asks_it(void *arg) {
    ask(arg, "checkout", "ann");
}

static void a_panic(gee_ctx *ctx, void *arg) {
    gee_panic_info info;
    (void)arg;
    flags = gee_flags_new();
    put(ctx, "cart", NULL, panics, NULL);
    put(ctx, "checkout", "cart", NULL, NULL);
    T_RC(gee_recover(asks_it, ctx, &info), GEE_EPANIC);
    T_STR(info.message, "a rule");
    T_RC(gee_flags_switch(ctx, flags, "cart", false), 0); /* the lock is free */
    gee_flags_free(flags);
}

static void test_a_rule_that_panics(void **state) {
    (void)state;
    t_sim(a_panic, NULL);
}

/* --- many, of several workers --- */

enum { ASKERS = 6, ROUNDS = 200 };
static atomic_int wrong;
static int yes = 1;

static int yields(gee_ctx *ctx, const void *who, void *arg) {
    (void)ctx;
    (void)who;
    gee_yield();
    return *(int *)arg;
}

static void asks_often(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        wrong += ask(ctx, "both", "ann") != 1;
        if (i % 16 == 0)
            gee_yield();
    }
    gee_waitgroup_done(&done);
}

static void changes(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS / 4; i++) {
        wrong += put(ctx, i % 2 ? "a" : "b", NULL, NULL, NULL) != 0;
        wrong += put(ctx, "both", i % 2 ? "a" : "b", yields, &yes) != 0;
        wrong += gee_flags_switch(ctx, flags, i % 2 ? "a" : "b", true) != 0;
        gee_yield();
    }
    gee_waitgroup_done(&done);
}

static void many(gee_ctx *ctx, void *arg) {
    (void)arg;
    wrong = 0;
    flags = gee_flags_new();
    put(ctx, "both", NULL, yields, &yes);
    gee_waitgroup_add(&done, ASKERS + 1);
    for (int i = 0; i < ASKERS; i++)
        gee_go_on(i % gee_workers(), ctx, asks_often, NULL);
    gee_go_on(gee_workers() - 1, ctx, changes, NULL);
    T_RC(gee_waitgroup_wait(ctx, &done), 0);
    T_EQ(wrong, 0);
    gee_flags_free(flags);
}

static void test_many(void **state) {
    (void)state;
    t_sim(many, NULL);
    for (int workers = 1; workers <= 3; workers++)
        t_real(workers, many, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_answers),
    cmocka_unit_test(test_refusals),
    cmocka_unit_test(test_one_moment),
    cmocka_unit_test(test_the_end_of_a_ctx),
    cmocka_unit_test(test_a_rule_that_panics),
    cmocka_unit_test(test_many),
};

T_MAIN(tests)
