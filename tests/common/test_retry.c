/* Trying again: how often, after which pauses, what ends it, and that nothing of a try stays. */
#include "gee/retry.h"
#include "t.h"
#include <stdio.h>
#include <string.h>

enum { MOST = 64 };

/* What a function that fails is told to do, and what it saw. */
struct calls {
    int fail;      /* so many times, with err */
    int err, then; /* then: what it returns at last */
    uint64_t takes_ms;
    bool deaf; /* it does not listen to its ctx */
    int n;
    uint64_t at_ms[MOST], left_ms[MOST]; /* when it was called; to the deadline that it has */
    int again_rc, ctx_err;
};

static int call(gee_ctx *ctx, void *arg) {
    struct calls *c = arg;
    uint64_t deadline_ns = 0;
    gee_ctx_deadline(ctx, &deadline_ns);
    c->at_ms[c->n] = gee_now_ms();
    c->left_ms[c->n++] = (deadline_ns - gee_now_ns()) / 1000000;
    int rc = gee_sleep(c->deaf ? NULL : ctx, c->takes_ms);
    c->ctx_err = gee_ctx_err(ctx);
    if (rc < 0)
        return rc;
    return c->n <= c->fail ? c->err : c->then;
}

static bool not_again(int rc, void *arg) {
    struct calls *c = arg;
    c->again_rc = rc;
    return rc != UV_EINVAL;
}

/* --- results --- */

static void results_body(gee_ctx *ctx, void *arg) {
    static const struct {
        int tries, fail, err, then, rc, n;
    } all[] = {
        {0, 0, UV_EIO, 0, 0, 1},
        {0, 2, UV_EIO, 0, 0, 3},
        {0, 3, UV_EIO, 0, UV_EIO, 3},
        {0, 1, UV_EIO, 42, 42, 2},
        {1, 1, UV_EAGAIN, 0, UV_EAGAIN, 1},
        {9, 8, UV_EIO, 0, 0, 9},
        {9, 9, UV_EIO, 0, UV_EIO, 9},
    };
    (void)arg;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct calls c = {.fail = all[i].fail, .err = all[i].err, .then = all[i].then};
        const gee_retry_options opt = {.tries = all[i].tries, .pause_ms = 1};
        T_EQ(gee_retry(ctx, &opt, call, &c), all[i].rc);
        T_EQ(c.n, all[i].n);
    }
    struct calls c = {.fail = 5, .err = UV_EIO};
    T_RC(gee_retry(ctx, NULL, call, &c), UV_EIO);
    T_EQ(c.n, 3);
    c.n = 0;
    T_RC(gee_retry(ctx, &(gee_retry_options){.tries = -1}, call, &c), UV_EINVAL);
    T_EQ(c.n, 0);
}

static void again_body(gee_ctx *ctx, void *arg) {
    const gee_retry_options opt = {.tries = 5, .again = not_again};
    struct calls c = {.fail = 4, .err = UV_EINVAL};
    (void)arg;
    T_RC(gee_retry(ctx, &opt, call, &c), UV_EINVAL);
    T_EQ(c.n, 1);
    T_RC(c.again_rc, UV_EINVAL);
    c = (struct calls){.fail = 4, .err = UV_EIO};
    T_RC(gee_retry(ctx, &opt, call, &c), 0);
    T_EQ(c.n, 5);
}

/* --- times --- */

/* A try ends when its time is up, not when the next one would; the next has a time of its own. */
static void each_try_body(gee_ctx *ctx, void *arg) {
    const gee_retry_options opt = {.tries = 4, .try_ms = 250};
    struct calls c = {.takes_ms = 60000};
    (void)arg;
    uint64_t start = gee_now_ms();
    T_RC(gee_retry(ctx, &opt, call, &c), UV_ETIMEDOUT);
    T_EQ(c.n, 4);
    T_EQ(c.at_ms[0], start);
    for (int i = 0; i < 4; i++)
        T_EQ(c.left_ms[i], 250);
    T_EQ(gee_now_ms(), c.at_ms[3] + 250);
    /* A try that does not listen takes its time, and its success is one. */
    c = (struct calls){.takes_ms = 1000, .deaf = true};
    T_RC(gee_retry(ctx, &opt, call, &c), 0);
    T_RC(c.ctx_err, UV_ETIMEDOUT);
    T_EQ(c.n, 1);
}

/* The pauses are drawn, each between 0 and the most, which doubles up to a bound. */
static void pauses_body(gee_ctx *ctx, void *arg) {
    enum { TRIES = 12, ROUNDS = 200 };
    const gee_retry_options opt = {.tries = TRIES, .pause_ms = 10, .max_ms = 1000};
    uint64_t sum[TRIES] = {0}, longest[TRIES] = {0};
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        struct calls c = {.fail = TRIES, .err = UV_EIO};
        T_RC(gee_retry(ctx, &opt, call, &c), UV_EIO);
        for (int i = 1; i < TRIES; i++) {
            uint64_t pause = c.at_ms[i] - c.at_ms[i - 1];
            sum[i] += pause;
            longest[i] = pause > longest[i] ? pause : longest[i];
        }
    }
    for (int i = 1; i < TRIES; i++) {
        uint64_t most = i < 8 ? UINT64_C(10) << (i - 1) : 1000;
        T_CHECK(longest[i] <= most);
        T_CHECK(longest[i] > most * 8 / 10);
        T_CHECK(sum[i] * 10 > most * 4 * ROUNDS && sum[i] * 10 < most * 6 * ROUNDS);
    }
}

/* Of so many ms that twice that is no number. */
static void long_pauses_body(gee_ctx *ctx, void *arg) {
    const gee_retry_options opt = {.pause_ms = UINT64_MAX / 2, .max_ms = UINT64_MAX, .tries = 9};
    struct calls c = {.fail = 8, .err = UV_EIO};
    (void)arg;
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 1000);
    T_RC(gee_retry(soon, &opt, call, &c), UV_EIO);
    gee_ctx_end(soon);
    T_EQ(c.n, 1);
}

/* The same seed gives the same pauses, another one others. */
static void replay_body(gee_ctx *ctx, void *arg) {
    uint64_t *took = arg;
    struct calls c = {.fail = 8, .err = UV_EIO};
    uint64_t start = gee_now_ms();
    T_RC(gee_retry(ctx, &(gee_retry_options){.tries = 8}, call, &c), UV_EIO);
    *took = gee_now_ms() - start;
}

static void test_replay(void **state) {
    static const uint64_t seeds[] = {1, 1, 2};
    uint64_t took[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        t_run(&(gee_config){.sim = true, .seed = seeds[i]}, 0, replay_body, &took[i]);
    assert_int_equal(took[0], took[1]);
    assert_int_not_equal(took[0], took[2]);
}

/* --- the end of the caller's ctx --- */

struct later {
    gee_ctx *ctx;
    uint64_t ms;
};

static void cancels(gee_ctx *ctx, void *arg) {
    struct later *l = arg;
    gee_sleep(ctx, l->ms);
    gee_ctx_cancel(l->ctx, UV_ECONNRESET);
}

/* In the middle of a try, and in the middle of a pause: at that moment. */
static void cancelled_body(gee_ctx *ctx, void *arg) {
    const gee_retry_options opt = {.tries = 20, .try_ms = 5000, .pause_ms = 10000};
    (void)arg;
    for (int in_pause = 0; in_pause < 2; in_pause++) {
        gee_ctx *own = gee_ctx_with_cancel(ctx);
        struct later l = {own, 50};
        struct calls c = {.fail = 20, .err = UV_EIO, .takes_ms = in_pause ? 0 : 2000};
        uint64_t start = gee_now_ms();
        T_RC(gee_go(ctx, cancels, &l), 0);
        int rc = gee_retry(own, &opt, call, &c);
        T_RC(rc, in_pause ? UV_EIO : UV_ECANCELED);
        T_EQ(gee_now_ms() - start, 50);
        T_RC(gee_ctx_err(own), UV_ECANCELED);
        T_RC(gee_retry(own, &opt, call, &(struct calls){0}), UV_ECANCELED); /* none any more */
        gee_ctx_end(own);
    }
}

/* The caller's deadline is every try's; a pause that goes beyond it is not begun. */
static void deadline_body(gee_ctx *ctx, void *arg) {
    const gee_retry_options opt = {.tries = 50, .try_ms = 80, .pause_ms = 50, .max_ms = 50};
    (void)arg;
    for (int round = 0; round < 20; round++) {
        struct calls c = {.takes_ms = 60000};
        gee_ctx *soon = gee_ctx_with_timeout(ctx, 300);
        uint64_t start = gee_now_ms();
        T_RC(gee_retry(soon, &opt, call, &c), UV_ETIMEDOUT);
        T_CHECK(gee_now_ms() - start <= 300);
        T_CHECK(c.n >= 3 && c.n <= 4);
        for (int i = 0; i < c.n; i++) {
            uint64_t left = start + 300 - c.at_ms[i];
            T_EQ(c.left_ms[i], left < 80 ? left : 80);
        }
        gee_ctx_end(soon);
    }
}

/* --- what stays --- */

static int panics(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_panic("in a try");
}

static void retry_that_panics(void *ctx) {
    gee_retry(ctx, NULL, panics, NULL);
}

static void nothing_stays_body(gee_ctx *ctx, void *arg) {
    const gee_retry_options opt = {.try_ms = 3600 * 1000};
    gee_census before, after;
    char diff[128];
    (void)arg;
    gee_census_take(&before);
    for (int i = 0; i < 20; i++) {
        struct calls c = {.fail = i % 4, .err = UV_EIO};
        gee_retry(ctx, &opt, call, &c);
        T_RC(gee_recover(retry_that_panics, ctx, NULL), GEE_EPANIC);
    }
    gee_census_take(&after);
    T_STR(t_census_diff(&before, &after, diff, sizeof(diff)), "");
}

/* Of every try, the last one too: what it has started under its ctx is told when the try is over,
 * and not when the call is. */
static int keeps_its_ctx(gee_ctx *ctx, void *arg) {
    gee_ctx **kept = arg;
    *kept = gee_ctx_ref(ctx);
    return UV_EIO;
}

static void check_its_end(gee_ctx *of_a_try) {
    int err = gee_ctx_err(of_a_try);
    gee_ctx_unref(of_a_try);
    T_CHECK(err < 0);
}

static bool again_if_it_has_ended(int rc, void *arg) {
    gee_ctx **kept = arg;
    (void)rc;
    check_its_end(*kept);
    return true;
}

static void ends_with_its_try_body(gee_ctx *ctx, void *arg) {
    const gee_retry_options opt = {.tries = 3, .again = again_if_it_has_ended};
    gee_ctx *kept = NULL;
    (void)arg;
    T_RC(gee_retry(ctx, &opt, keeps_its_ctx, &kept), UV_EIO);
    check_its_end(kept);
}

#define SIM(name)                    \
    static void name(void **state) { \
        (void)state;                 \
        t_sim(name##_body, NULL);    \
    }

SIM(results)
SIM(again)
SIM(each_try)
SIM(pauses)
SIM(long_pauses)
SIM(cancelled)
SIM(deadline)
SIM(nothing_stays)
SIM(ends_with_its_try)

static void on_the_real_clock(void **state) {
    (void)state;
    t_real(2, results_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(results),           cmocka_unit_test(again),
    cmocka_unit_test(each_try),          cmocka_unit_test(pauses),
    cmocka_unit_test(long_pauses),       cmocka_unit_test(test_replay),
    cmocka_unit_test(cancelled),         cmocka_unit_test(deadline),
    cmocka_unit_test(nothing_stays),     cmocka_unit_test(ends_with_its_try),
    cmocka_unit_test(on_the_real_clock),
};

T_MAIN(tests)
