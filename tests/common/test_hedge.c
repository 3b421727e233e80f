/* Hedged calls: who wins and when, what becomes of the others, and whose memory it is. */
#include "t.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What a call is to do. */
struct plan {
    uint64_t ms;
    int rc, value;
    bool deaf;   /* to its ctx */
    bool panics; /* instead of returning rc */
};

static atomic_int asked, ended, cancelled;

static int ask(gee_ctx *ctx, void *arg, void *result) {
    struct plan *p = arg;
    asked++;
    int rc = gee_sleep(p->deaf ? NULL : ctx, p->ms);
    cancelled += rc < 0;
    if (rc == 0 && p->panics)
        gee_panic("as planned");
    if (rc == 0)
        rc = p->rc;
    *(int *)result = p->value; /* the losers too: each has a place of its own */
    ended++;
    return rc;
}

enum { MAX = 8 };

/* Of plans[n]; the answer goes to *value. */
static int hedge(gee_ctx *ctx, const struct plan *plans, size_t n, uint64_t delay_ms, int *value) {
    gee_hedge_call calls[MAX];
    const gee_hedge_options options = {.result_size = sizeof(*value), .delay_ms = delay_ms};
    asked = ended = cancelled = 0;
    for (size_t i = 0; i < n; i++)
        calls[i] = (gee_hedge_call){ask, &plans[i], sizeof(plans[i])};
    return gee_hedge(ctx, calls, n, &options, value);
}

static int64_t tasks(void) {
    gee_census now;
    gee_census_take(&now);
    return now.tasks;
}

/* --- who wins --- */

static void test_first_wins_body(gee_ctx *ctx, void *arg) {
    static const struct plan plans[] = {
        {300, 0, 3, false, false}, {100, 0, 1, false, false}, {200, 0, 2, false, false}};
    int value = 0;
    uint64_t start = gee_now_ms();
    (void)arg;
    T_EQ(hedge(ctx, plans, 3, 0, &value), 1);
    T_EQ(value, 1);
    T_EQ(gee_now_ms() - start, 100);
    gee_sleep(ctx, 0);
    T_EQ(tasks(), 1); /* the losers have gone, at once */
    T_EQ(cancelled, 2);
}

static void test_first_wins(void **state) {
    (void)state;
    t_sim(test_first_wins_body, NULL);
}

static void test_failures_body(gee_ctx *ctx, void *arg) {
    static const struct plan one_good[] = {
        {10, UV_EIO, 0, false, false}, {20, UV_EPROTO, 0, false, false}, {50, 0, 7, false, false}};
    static const struct plan none[] = {{30, UV_EIO, 0, false, false},
                                       {20, UV_EPROTO, 0, false, false},
                                       {25, UV_EBUSY, 0, false, false}};
    int value = 0;
    uint64_t start = gee_now_ms();
    (void)arg;
    T_EQ(hedge(ctx, one_good, 3, 0, &value), 2);
    T_EQ(value, 7);
    T_EQ(gee_now_ms() - start, 50);
    start = gee_now_ms();
    T_RC(hedge(ctx, none, 3, 0, &value), UV_EPROTO); /* the first to fail */
    T_EQ(value, 7);
    T_EQ(gee_now_ms() - start, 30);
    T_RC(hedge(ctx, none, 0, 0, &value), UV_EINVAL);
    T_EQ(asked, 0);
}

static void test_failures(void **state) {
    (void)state;
    t_sim(test_failures_body, NULL);
}

static void test_panic_body(gee_ctx *ctx, void *arg) {
    static const struct plan plans[] = {{10, 0, 0, false, true}, {50, 0, 7, false, false}};
    int value = 0;
    (void)arg;
    T_EQ(hedge(ctx, plans, 2, 0, &value), 1); /* the other one goes on */
    T_EQ(value, 7);
    T_RC(hedge(ctx, plans, 1, 0, &value), GEE_EPANIC);
}

static void test_panic(void **state) {
    (void)state;
    t_sim(test_panic_body, NULL);
}

/* --- one after the other --- */

static void test_delay_body(gee_ctx *ctx, void *arg) {
    static const struct plan fast[] = {{40, 0, 1, false, false}, {0, 0, 2, false, false}};
    static const struct plan slow[] = {{400, 0, 1, false, false},
                                       {400, 0, 2, false, false},
                                       {30, 0, 3, false, false},
                                       {0, 0, 4, false, false}};
    static const struct plan fails[] = {
        {10, UV_EIO, 1, false, false}, {5, UV_EIO, 2, false, false}, {5, 0, 3, false, false}};
    int value = 0;
    uint64_t start = gee_now_ms();
    (void)arg;
    T_EQ(hedge(ctx, fast, 2, 50, &value), 0); /* in time: nobody else is asked */
    T_EQ(asked, 1);
    T_EQ(gee_now_ms() - start, 40);
    start = gee_now_ms();
    T_EQ(hedge(ctx, slow, 4, 50, &value), 2);
    T_EQ(value, 3);
    T_EQ(asked, 3);
    T_EQ(gee_now_ms() - start, 130);
    start = gee_now_ms();
    T_EQ(hedge(ctx, fails, 3, 50, &value), 2); /* a failure is not waited out */
    T_EQ(value, 3);
    T_EQ(gee_now_ms() - start, 20);
    gee_sleep(ctx, 0);
    T_EQ(tasks(), 1);
}

static void test_delay(void **state) {
    (void)state;
    t_sim(test_delay_body, NULL);
}

/* --- the caller's ctx --- */

static void test_ctx_body(gee_ctx *ctx, void *arg) {
    static const struct plan plans[] = {{500, 0, 1, false, false}, {500, 0, 2, false, false}};
    int value = 7;
    uint64_t start = gee_now_ms();
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 100);
    (void)arg;
    T_RC(hedge(soon, plans, 2, 0, &value), UV_ETIMEDOUT);
    T_EQ(gee_now_ms() - start, 100);
    gee_sleep(ctx, 0);
    T_EQ(cancelled, 2);
    T_RC(hedge(soon, plans, 2, 0, &value), UV_ETIMEDOUT);
    T_EQ(asked, 0); /* nobody is asked in vain */
    gee_ctx_end(soon);
    soon = gee_ctx_with_timeout(ctx, 100);
    T_RC(hedge(soon, plans, 2, 60, &value), UV_ETIMEDOUT); /* the ctx's, not the delay's */
    T_EQ(asked, 2);
    T_EQ(value, 7);
    gee_ctx_end(soon);
    gee_sleep(ctx, 0);
    T_EQ(tasks(), 1);
}

static void test_ctx(void **state) {
    (void)state;
    t_sim(test_ctx_body, NULL);
}

/* --- whose memory --- */

static int wins_while_others_are_deaf(gee_ctx *ctx) {
    struct plan plans[] = {
        {10, 0, 1, false, false}, {10000, 0, 2, true, false}, {20000, 0, 3, true, false}};
    int value;
    int rc = hedge(ctx, plans, 3, 0, &value);
    memset(plans, 0xff, sizeof(plans)); /* as whoever gets this stack next will do */
    return rc;
}

static void test_deaf_losers_body(gee_ctx *ctx, void *arg) {
    uint64_t start = gee_now_ms();
    (void)arg;
    T_EQ(wins_while_others_are_deaf(ctx), 0);
    T_EQ(gee_now_ms() - start, 10);
    T_EQ(tasks(), 3); /* for as long as they like */
    gee_sleep(ctx, 30000);
    T_EQ(ended, 3);
    T_EQ(tasks(), 1);
}

static void test_deaf_losers(void **state) {
    (void)state;
    t_sim(test_deaf_losers_body, NULL);
}

/* A result that has to be given back, once. */
static atomic_int open_handles, dropped;

static int opens(gee_ctx *ctx, void *arg, void *result) {
    const struct plan *p = arg; /* arg_size 0: the very one */
    int rc = gee_sleep(p->deaf ? NULL : ctx, p->ms);
    if (rc < 0 || (rc = p->rc) < 0)
        return rc;
    open_handles++;
    *(int **)result = calloc(1, sizeof(int));
    **(int **)result = p->value;
    return 0;
}

static void gives_back(void *result) {
    free(*(int **)result);
    open_handles--;
    dropped++;
}

static void test_drop_body(gee_ctx *ctx, void *arg) {
    static const struct plan plans[] = {{10, UV_EIO, 0, false, false},
                                        {20, 0, 5, false, false},
                                        {20, 0, 5, true, false}, /* together with the winner */
                                        {900, 0, 6, true, false},
                                        {900, UV_EIO, 7, true, false}};
    static const gee_hedge_options options = {.result_size = sizeof(int *), .drop = gives_back};
    gee_hedge_call calls[5];
    int *handle;
    (void)arg;
    open_handles = dropped = 0;
    for (int i = 0; i < 5; i++)
        calls[i] = (gee_hedge_call){.ask = opens, .arg = &plans[i]};
    int rc = gee_hedge(ctx, calls, 5, &options, &handle);
    T_CHECK(rc == 1 || rc == 2);
    T_EQ(*handle, 5);
    free(handle);
    open_handles--;
    gee_sleep(ctx, 1000);
    T_EQ(dropped, 2);
    T_EQ(open_handles, 0);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 100);
    T_RC(gee_hedge(soon, &calls[3], 1, &options, &handle), UV_ETIMEDOUT);
    gee_ctx_end(soon);
    gee_sleep(ctx, 1000);
    T_EQ(dropped, 3); /* nobody took it */
    T_EQ(open_handles, 0);
}

static void test_drop(void **state) {
    (void)state;
    t_sim(test_drop_body, NULL);
}

static int says_only_whether(gee_ctx *ctx, void *arg, void *result) {
    (void)result;
    asked++;
    return gee_sleep(ctx, (uint64_t)(uintptr_t)arg);
}

static void test_no_result_body(gee_ctx *ctx, void *arg) {
    static const gee_hedge_options options = {.delay_ms = 5};
    gee_hedge_call calls[] = {{.ask = says_only_whether, .arg = (void *)(uintptr_t)8},
                              {.ask = says_only_whether, .arg = (void *)(uintptr_t)1}};
    (void)arg;
    asked = 0;
    T_EQ(gee_hedge(ctx, calls, 2, &options, NULL), 1);
    T_EQ(asked, 2);
}

static void test_no_result(void **state) {
    (void)state;
    t_sim(test_no_result_body, NULL);
}

/* --- on several workers --- */

static gee_waitgroup hedgers;
static atomic_int won, wrong;

static void hedges(gee_ctx *ctx, void *arg) {
    static const gee_hedge_options options = {.result_size = sizeof(int), .delay_ms = 1};
    struct plan plans[] = {{5, 0, 1, false, false},
                           {2, UV_EIO, 2, false, false},
                           {1, 0, 3, false, false},
                           {0, 0, 4, true, false}};
    gee_hedge_call calls[4];
    (void)arg;
    for (int i = 0; i < 4; i++)
        calls[i] = (gee_hedge_call){ask, &plans[i], sizeof(plans[i])};
    for (int i = 0; i < 20; i++) {
        int value = 0, rc = gee_hedge(ctx, calls, 4, &options, &value);
        won += rc >= 0;
        wrong += rc < 0 || value != rc + 1;
    }
    gee_waitgroup_done(&hedgers);
}

static void test_many_body(gee_ctx *ctx, void *arg) {
    enum { N = 16 };
    (void)arg;
    won = wrong = 0;
    gee_waitgroup_add(&hedgers, N);
    for (int i = 0; i < N; i++)
        gee_go_on(i % gee_workers(), ctx, hedges, NULL);
    T_RC(gee_waitgroup_wait(ctx, &hedgers), 0);
    T_EQ(wrong, 0);
    T_EQ(won, N * 20);
    while (tasks() > 1)
        gee_sleep(ctx, 1); /* the deaf ones */
}

static void test_many(void **state) {
    (void)state;
    t_sim(test_many_body, NULL);
    t_real(3, test_many_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_first_wins), cmocka_unit_test(test_failures),
    cmocka_unit_test(test_panic),      cmocka_unit_test(test_delay),
    cmocka_unit_test(test_ctx),        cmocka_unit_test(test_deaf_losers),
    cmocka_unit_test(test_drop),       cmocka_unit_test(test_no_result),
    cmocka_unit_test(test_many),
};

T_MAIN(tests)
