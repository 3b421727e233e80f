/* gee_after_ms: when it runs, who stops it, and that either it is stopped or it runs. */
#include "t.h"
#include <stdatomic.h>

static struct {
    atomic_int ran;
    _Atomic uint64_t at_ms; /* of the last run */
} seen;

static void notes(void *arg) {
    seen.at_ms = gee_now_ms();
    atomic_fetch_add(&seen.ran, *(int *)arg);
}

static int one = 1;

static void forget(void) {
    atomic_store(&seen.ran, 0);
    seen.at_ms = 0;
}

/* --- time --- */

static void runs_when_time_is_up(gee_ctx *ctx, void *arg) {
    (void)arg;
    static const uint64_t times[] = {0, 1, 250, 3600 * 1000};
    for (int i = 0; i < 4; i++) {
        forget();
        uint64_t start = gee_now_ms();
        gee_after *a = gee_after_ms(times[i], notes, &one);
        T_CHECK(a);
        T_EQ(seen.ran, 0); /* in a task of its own, also when there is nothing to wait for */
        T_RC(gee_sleep(ctx, times[i] + 1), 0);
        T_EQ(seen.ran, 1);
        T_EQ(seen.at_ms - start, times[i]);
        T_CHECK(!gee_after_stop(a)); /* it ran; the handle is freed */
    }
}

static void keeps_a_timer_and_nothing_else(gee_ctx *ctx, void *arg) {
    gee_census base, now;
    char diff[128];
    (void)ctx;
    (void)arg;
    forget();
    gee_census_take(&base);
    gee_after *a = gee_after_ms(1000, notes, &one), *b = gee_after_ms(2000, notes, &one);
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "timers +2");
    T_CHECK(gee_after_stop(a));
    T_CHECK(gee_after_stop(b));
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "");
    T_RC(gee_sleep(ctx, 5000), 0);
    T_EQ(seen.ran, 0);
}

/* It rings in the same millisecond: whether the task of it has run yet is for the seed to say. */
static void stopped_as_it_rings(gee_ctx *ctx, void *arg) {
    (void)arg;
    forget();
    gee_after *a = gee_after_ms(100, notes, &one);
    T_RC(gee_sleep(ctx, 100), 0);
    bool stopped = gee_after_stop(a);
    gee_sleep(ctx, 1);
    T_CHECK(!stopped);
    T_EQ(seen.ran, 1);
}

static void test_time(void **state) {
    (void)state;
    t_sim(runs_when_time_is_up, NULL);
    t_sim(keeps_a_timer_and_nothing_else, NULL);
    t_sim(stopped_as_it_rings, NULL);
}

/* --- in its own task --- */

static struct again {
    _Atomic(gee_after *) handle;
    int left;
} again;

/* The pattern of a watch: it arms the next one, and frees its own handle. */
static void arms_the_next(void *arg) {
    struct again *s = arg;
    bool stopped = gee_after_stop(s->handle);
    s->handle = NULL;
    atomic_fetch_add(&seen.ran, stopped ? 100 : 1);
    if (--s->left > 0)
        s->handle = gee_after_ms(10, arms_the_next, s);
}

static void rearms(gee_ctx *ctx, void *arg) {
    (void)arg;
    forget();
    again.left = 5;
    again.handle = gee_after_ms(10, arms_the_next, &again);
    T_RC(gee_sleep(ctx, 49), 0);
    T_EQ(seen.ran, 4);
    T_RC(gee_sleep(ctx, 2), 0);
    T_EQ(seen.ran, 5);
    T_CHECK(again.handle == NULL);
}

static void panics(void *arg) {
    notes(arg);
    gee_panic("in a function that runs later, on purpose");
}

/* It is logged; who waits for nothing is told nothing. The handle is freed as ever. */
static void survives_a_panic(gee_ctx *ctx, void *arg) {
    (void)arg;
    forget();
    gee_after *a = gee_after_ms(10, panics, &one);
    T_RC(gee_sleep(ctx, 20), 0);
    T_EQ(seen.ran, 1);
    T_CHECK(!gee_after_stop(a));
}

static void test_own_task(void **state) {
    (void)state;
    t_sim(rearms, NULL);
    t_sim(survives_a_panic, NULL);
}

/* --- another worker --- */

struct stops {
    gee_after *handle;
    bool stopped;
    gee_waitgroup done;
};

static void stops_it(gee_ctx *ctx, void *arg) {
    struct stops *s = arg;
    (void)ctx;
    s->stopped = gee_after_stop(s->handle);
    gee_waitgroup_done(&s->done);
}

static void stopped_elsewhere(gee_ctx *ctx, void *arg) {
    gee_census base, now;
    char diff[128];
    struct stops s = {0};
    (void)arg;
    forget();
    gee_census_take(&base);
    s.handle = gee_after_ms(3600 * 1000, notes, &one);
    gee_waitgroup_add(&s.done, 1);
    T_RC(gee_go_on(1, ctx, stops_it, &s), 0);
    T_RC(gee_waitgroup_wait(NULL, &s.done), 0);
    T_CHECK(s.stopped);
    for (int i = 0; i < 500; i++) { /* it is disarmed by its own worker */
        gee_sleep(ctx, 1);
        gee_census_take(&now);
        if (!*t_census_diff(&base, &now, diff, sizeof(diff)))
            break;
    }
    T_STR(diff, "");
    T_EQ(seen.ran, 0);
}

/* A timer of no time, and who stops it meanwhile: either it is stopped or it runs. */
static void either_or(gee_ctx *ctx, void *arg) {
    int stopped = 0;
    (void)arg;
    forget();
    enum { TIMES = 300 };
    for (int i = 0; i < TIMES; i++) {
        struct stops s = {.handle = gee_after_ms((uint64_t)i % 2, notes, &one)};
        gee_waitgroup_add(&s.done, 1);
        T_RC(gee_go_on(1, ctx, stops_it, &s), 0);
        T_RC(gee_waitgroup_wait(NULL, &s.done), 0);
        stopped += s.stopped;
    }
    for (int i = 0; i < 1000 && seen.ran + stopped < TIMES; i++)
        gee_sleep(ctx, 1);
    T_EQ(seen.ran + stopped, TIMES);
}

static void test_workers(void **state) {
    (void)state;
    t_real(2, stopped_elsewhere, NULL);
    t_real(2, either_or, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_time),
    cmocka_unit_test(test_own_task),
    cmocka_unit_test(test_workers),
};

T_MAIN(tests)
