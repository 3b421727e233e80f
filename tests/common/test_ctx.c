/* Ctx: how one ends and why, its tree, values, deadlines, after_func, what is left over. */
#include "t.h"
#include <stdatomic.h>
#include <string.h>

/* Virtual time moves once nobody can run: after this everyone has parked or ended. */
static void settle(gee_ctx *ctx) {
    gee_sleep(ctx, 1);
}

/* --- how it ends: a parent and a child, with timeouts or none, one or both cancelled --- */

static const struct ending {
    const char *name;
    uint64_t parent_ms, own_ms;  /* timeouts; 0: none */
    int parent_cause, own_cause; /* of a cancel after 5 ms; 1: none, 0: the default */
    int err, cause;
    uint64_t at_ms;
} endings[] = {
    {"cancel", 0, 0, 1, 0, UV_ECANCELED, UV_ECANCELED, 5},
    {"cancel, cause", 0, 0, 1, UV_EPIPE, UV_ECANCELED, UV_EPIPE, 5},
    {"inherited", 0, 0, 0, 1, UV_ECANCELED, UV_ECANCELED, 5},
    {"inherited cause", 0, 0, UV_EPIPE, 1, UV_ECANCELED, UV_EPIPE, 5},
    {"parent's cause first", 0, 0, UV_EPIPE, UV_EBUSY, UV_ECANCELED, UV_EPIPE, 5},
    {"timeout", 0, 20, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 20},
    {"parent's timeout", 30, 0, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 30},
    {"parent's is sooner", 30, 40, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 30},
    {"own is sooner", 40, 30, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 30},
    {"timeout before cancel", 0, 2, 1, UV_EPIPE, UV_ETIMEDOUT, UV_ETIMEDOUT, 2},
    {"cancel before timeout", 0, 20, 1, UV_EPIPE, UV_ECANCELED, UV_EPIPE, 5},
    {"parent's cancel before timeout", 9, 20, UV_EBUSY, 1, UV_ECANCELED, UV_EBUSY, 5},
    {"cause that says timeout", 0, 0, 1, UV_ETIMEDOUT, UV_ECANCELED, UV_ETIMEDOUT, 5},
};

struct pair {
    const struct ending *e;
    gee_ctx *parent, *child;
    gee_waitgroup done;
};

static void cancels_pair(gee_ctx *ctx, void *arg) {
    struct pair *p = arg;
    gee_sleep(ctx, 5);
    if (p->e->parent_cause <= 0)
        gee_ctx_cancel(p->parent, p->e->parent_cause);
    if (p->e->own_cause <= 0)
        gee_ctx_cancel(p->child, p->e->own_cause);
    gee_ctx_cancel(p->child, UV_EIO); /* too late */
    gee_waitgroup_done(&p->done);
}

static gee_ctx *child_of(gee_ctx *parent, uint64_t ms) {
    return ms ? gee_ctx_with_timeout(parent, ms) : gee_ctx_with_cancel(parent);
}

static void ends_so(gee_ctx *ctx, void *arg) {
    static struct pair p;
    const struct ending *e = arg;
    uint64_t at = gee_now_ms();
    p.e = e;
    p.parent = child_of(ctx, e->parent_ms);
    p.child = child_of(p.parent, e->own_ms);
    gee_waitgroup_add(&p.done, 1);
    if (e->parent_cause <= 0 || e->own_cause <= 0)
        T_RC(gee_go(ctx, cancels_pair, &p), 0);
    else
        gee_waitgroup_done(&p.done);
    T_RC(gee_ctx_err(p.child), 0);
    T_RC(gee_ctx_cause(p.child), 0);
    T_RC(gee_ctx_wait(p.child), e->err);
    T_EQ(gee_now_ms() - at, e->at_ms);
    T_RC(gee_ctx_cause(p.child), e->cause);
    T_RC(gee_waitgroup_wait(ctx, &p.done), 0);
    T_RC(gee_ctx_err(p.child), e->err);
    T_RC(gee_ctx_cause(p.child), e->cause);
    gee_ctx_end(p.child);
    gee_ctx_end(p.parent);
}

static void test_endings(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        print_message("  %s\n", endings[i].name);
        t_sim(ends_so, (void *)&endings[i]);
    }
}

/* A ctx of an ended parent is born ended, and one of a deadline in the past too. */
static void born_ended(gee_ctx *ctx, void *arg) {
    (void)arg;
    int key;
    gee_ctx *over = gee_ctx_with_cancel(ctx);
    gee_ctx_cancel(over, UV_EPIPE);
    gee_ctx *kids[] = {gee_ctx_with_cancel(over), gee_ctx_with_timeout(over, 5),
                       gee_ctx_with_value(over, &key, NULL, NULL), gee_ctx_with_deadline(over, 1)};
    for (int i = 0; i < 4; i++) {
        T_RC(gee_ctx_wait(kids[i]), UV_ECANCELED);
        T_RC(gee_ctx_cause(kids[i]), UV_EPIPE);
        gee_ctx_unref(kids[i]); /* nobody else holds it */
    }
    uint64_t past[] = {0, 1, gee_now_ns() - 1, gee_now_ns()};
    for (int i = 0; i < 4; i++) {
        gee_ctx *late = gee_ctx_with_deadline(ctx, past[i]);
        T_RC(gee_ctx_err(late), UV_ETIMEDOUT);
        T_RC(gee_ctx_cause(late), UV_ETIMEDOUT);
        gee_ctx_cancel(late, UV_EPIPE);
        T_RC(gee_ctx_cause(late), UV_ETIMEDOUT);
        gee_ctx_unref(late);
    }
    gee_ctx_unref(over);
    gee_ctx_cancel(gee_background(), UV_EPIPE);
    gee_ctx_end(NULL);
    T_RC(gee_ctx_err(NULL), 0);
    T_RC(gee_ctx_cause(gee_background()), 0);
}

static void test_born_ended(void **state) {
    (void)state;
    t_sim(born_ended, NULL);
    t_real(1, born_ended, NULL);
}

/* --- deadlines --- */

static void deadlines(gee_ctx *ctx, void *arg) {
    (void)arg;
    uint64_t now = gee_now_ns(), at = 0;
    T_CHECK(!gee_ctx_deadline(ctx, &at) && !gee_ctx_deadline(NULL, NULL) && at == 0);
    gee_ctx *outer = gee_ctx_with_deadline(ctx, now + 50);
    gee_ctx *later = gee_ctx_with_deadline(outer, now + 60);
    gee_ctx *sooner = gee_ctx_with_deadline(later, now + 40);
    gee_ctx *plain = gee_ctx_with_cancel(sooner);
    T_CHECK(gee_ctx_deadline(outer, &at) && at == now + 50);
    T_CHECK(gee_ctx_deadline(later, &at) && at == now + 50);
    T_CHECK(gee_ctx_deadline(sooner, &at) && at == now + 40);
    T_CHECK(gee_ctx_deadline(plain, &at) && at == now + 40);
    T_RC(gee_ctx_wait(plain), UV_ETIMEDOUT);
    T_EQ(gee_now_ns(), now + 40);
    T_RC(gee_ctx_err(later), 0);
    T_RC(gee_ctx_wait(later), UV_ETIMEDOUT);
    T_EQ(gee_now_ns(), now + 50);
    gee_ctx_end(plain);
    gee_ctx_end(sooner);
    gee_ctx_end(later);
    gee_ctx_end(outer);
}

/* As far away as it can be said: never, not at once. */
static void for_ever(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_ctx *c[] = {gee_ctx_with_timeout(ctx, UINT64_MAX), gee_ctx_with_deadline(ctx, UINT64_MAX),
                    gee_ctx_with_timeout(ctx, UINT64_MAX / 1000000 + 1)};
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 3);
    T_RC(gee_sleep(soon, UINT64_MAX), UV_ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        T_RC(gee_ctx_err(c[i]), 0);
        gee_ctx_end(c[i]);
    }
    gee_ctx_end(soon);
}

enum { TIMED = 24 };
static gee_waitgroup timed;
static _Atomic uint64_t late_by[TIMED];

static void waits_exactly(gee_ctx *ctx, void *arg) {
    _Atomic uint64_t *late = arg;
    uint64_t ms = 1 + (uint64_t)(late - late_by) * 7 % TIMED; /* not in order */
    uint64_t at = gee_now_ns(); /* before: the deadline counts from no earlier than this */
    gee_ctx *c = gee_ctx_with_timeout(ctx, ms);
    gee_ctx_wait(c);
    *late = gee_now_ns() - at - ms * 1000000;
    gee_ctx_end(c);
    gee_waitgroup_done(&timed);
}

static void timeouts_are_exact(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_waitgroup_add(&timed, TIMED);
    for (int i = 0; i < TIMED; i++)
        T_RC(gee_go(ctx, waits_exactly, (void *)&late_by[i]), 0);
    T_RC(gee_waitgroup_wait(ctx, &timed), 0);
    for (int i = 0; i < TIMED; i++)
        T_CHECK(gee_simulated() ? late_by[i] == 0 : late_by[i] < UINT64_C(5000000000));
}

static void test_deadlines(void **state) {
    (void)state;
    t_sim(deadlines, NULL);
    t_sim(timeouts_are_exact, NULL);
    t_real(1, timeouts_are_exact, NULL);
    t_sim(for_ever, NULL);
    t_real(1, for_ever, NULL);
}

/* --- values --- */

static int freed;

static void count_free(void *value) {
    freed += *(int *)value;
}

static void values(gee_ctx *ctx, void *arg) {
    static const char user, trace, absent;
    static int one = 1, ten = 10, hundred = 100;
    (void)arg;
    freed = 0;
    gee_ctx *a = gee_ctx_with_value(ctx, &user, &one, count_free);
    gee_ctx *b = gee_ctx_with_value(a, &trace, &ten, NULL);
    gee_ctx *c = gee_ctx_with_timeout(b, 1000);
    gee_ctx *d = gee_ctx_with_value(c, &user, &hundred, count_free);
    T_CHECK(gee_ctx_value(a, &user) == &one && gee_ctx_value(c, &user) == &one);
    T_CHECK(gee_ctx_value(d, &user) == &hundred && gee_ctx_value(d, &trace) == &ten);
    T_CHECK(!gee_ctx_value(a, &trace) && !gee_ctx_value(ctx, &user));
    T_CHECK(!gee_ctx_value(d, &absent) && !gee_ctx_value(d, NULL) && !gee_ctx_value(NULL, &user));
    gee_ctx_end(a);
    gee_ctx_end(b);
    T_EQ(freed, 0); /* c and d still see it */
    T_RC(gee_ctx_err(d), UV_ECANCELED);
    T_CHECK(gee_ctx_value(c, &user) == &one);
    gee_ctx_end(d);
    T_EQ(freed, 100);
    gee_ctx_end(c);
    T_EQ(freed, 101);
}

static void test_values(void **state) {
    (void)state;
    t_sim(values, NULL);
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
    cmocka_unit_test(test_workers),     cmocka_unit_test(test_endings),
    cmocka_unit_test(test_born_ended),  cmocka_unit_test(test_deadlines),
    cmocka_unit_test(test_values),      cmocka_unit_test(test_large_tree),
    cmocka_unit_test(test_lost_cancel), cmocka_unit_test(test_after_func),
};

T_MAIN(tests)
