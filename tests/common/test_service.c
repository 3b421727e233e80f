/* Services of an engine: when they run, when they drain, and how long anybody waits for them. */
#include "t.h"
#include "web/web.h"

static struct {
    int ran, drained, ended, cause;
    uint64_t drained_ms, ended_ms;
} saw;
static gee_mutex edge; /* orders the tasks, for TSan */

static void note(int *n, uint64_t *ms) {
    gee_mutex_lock(NULL, &edge);
    ++*n;
    if (ms)
        *ms = gee_now_ms();
    gee_mutex_unlock(&edge);
}

static void runs(gee_ctx *ctx, void *arg) {
    (void)arg;
    note(&saw.ran, NULL);
    gee_ctx_wait(ctx);
    gee_mutex_lock(NULL, &edge);
    saw.cause = gee_ctx_cause(ctx);
    gee_mutex_unlock(&edge);
    note(&saw.ended, &saw.ended_ms);
}

static void drains(gee_ctx *ctx, void *ms) {
    gee_sleep(ctx, *(uint64_t *)ms);
    note(&saw.drained, &saw.drained_ms);
}

static void is_deaf(gee_ctx *ctx, void *ms) {
    (void)ctx;
    gee_sleep(NULL, *(uint64_t *)ms);
}

static void panics(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 10);
    gee_panic("a service");
}

static gee_engine *engine(gee_task_fn run, gee_task_fn drain, uint64_t *ms) {
    gee_engine *e = gee_engine_new();
    saw.ran = saw.drained = saw.ended = saw.cause = 0;
    gee_engine_service(e, run, drain, ms);
    return e;
}

/* ms from its begin to its end. */
static uint64_t end(gee_engine *e, uint64_t within_ms) {
    uint64_t t0 = gee_now_ms();
    gee_services_end(e, gee_clock_in_ms(within_ms));
    gee_mutex_lock(NULL, &edge);
    gee_mutex_unlock(&edge);
    return gee_now_ms() - t0;
}

/* It runs on while it drains, and ends then, for that reason. */
static void drained_first(gee_ctx *ctx, void *arg) {
    uint64_t ms = 70;
    gee_engine *e = engine(runs, drains, &ms);
    (void)arg;
    gee_engine_service(e, runs, NULL, NULL);
    T_RC(gee_services_start(e, ctx), 0);
    gee_sleep(ctx, 1000);
    T_EQ(end(e, 500), 70);
    T_EQ(saw.ran, 2);
    T_EQ(saw.drained, 1);
    T_EQ(saw.ended, 2);
    T_RC(saw.cause, UV_ESHUTDOWN);
    T_CHECK(saw.ended_ms >= saw.drained_ms);
    gee_engine_free(e);
}

/* What does not drain in time is told so, by its ctx. */
static void too_slow(gee_ctx *ctx, void *arg) {
    uint64_t ms = 10000;
    gee_engine *e = engine(runs, drains, &ms);
    (void)arg;
    T_RC(gee_services_start(e, ctx), 0);
    T_EQ(end(e, 500), 500);
    T_EQ(saw.drained, 1);
    gee_engine_free(e);
}

/* Nobody waits for long for one that does not listen. */
static void deaf(gee_ctx *ctx, void *arg) {
    uint64_t ms = 2000;
    gee_engine *e = engine(is_deaf, is_deaf, &ms);
    (void)arg;
    T_RC(gee_services_start(e, ctx), 0);
    T_EQ(end(e, 500), 1500);
    gee_sleep(ctx, 3000);
    T_EQ(end(e, 500), 0); /* now they have returned */
    gee_engine_free(e);
}

/* One that is over, or has panicked, is waited for no more; its drain is its own affair. */
static void gone(gee_ctx *ctx, void *arg) {
    uint64_t ms = 10;
    gee_engine *e = engine(panics, drains, &ms);
    (void)arg;
    T_RC(gee_services_start(e, ctx), 0);
    gee_sleep(ctx, 1000);
    T_EQ(end(e, 500), 10);
    gee_engine_free(e);
}

static void none(gee_ctx *ctx, void *arg) {
    gee_engine *e = gee_engine_new();
    (void)arg;
    T_RC(gee_services_start(e, ctx), 0);
    T_EQ(end(e, 500), 0);
    T_RC(gee_engine_service(e, NULL, runs, NULL), UV_EINVAL);
    gee_engine_free(e);
}

#define SIM(body)                       \
    static void test_##body(void **s) { \
        (void)s;                        \
        t_sim(body, NULL);              \
    }
SIM(drained_first)
SIM(too_slow)
SIM(deaf)
SIM(gone)
SIM(none)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_drained_first), cmocka_unit_test(test_too_slow),
    cmocka_unit_test(test_deaf),          cmocka_unit_test(test_gone),
    cmocka_unit_test(test_none),
};

T_MAIN(tests)
