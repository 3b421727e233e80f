/*
 * Chapter 4, trace-unbounded: a recording of many more tasks than its ring has room for. What is in
 * the trace, what does it say of what is not, and what would a reader take for a leak? The same
 * source is linked over the broken variant, the fixed one and each decoy.
 */
#include "t_site.h"
#include "t_trace.h"

enum { TASKS = 5000, RING_KIB = 64, MOST_KIB = 1024 };

static void lives(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 1);
}

/* The latest: who records until the ring is full has lost it. */
static void is_last(gee_ctx *ctx, void *arg) {
    lives(ctx, arg);
}

static void routes(gee_group *r) {
    gee_pprof_routes(r, NULL);
}

static void trace_unbounded(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_puts(ctx, c, "GET /debug/pprof/trace?seconds=10&kib=64 HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 10);
    for (int i = 0; i < TASKS; i++) {
        gee_go(ctx, lives, NULL);
        gee_sleep(ctx, 1);
    }
    gee_go(ctx, is_last, NULL);
    T_EQ(t_response(ctx, c), 200);
    size_t kib = t_body_size(c) / 1024;
    json_t *trace = json_loadb(t_body(c), t_body_size(c), 0, NULL);
    int kept = t_trace_count(trace, "b", "task", "lives");
    int unended = t_trace_open(trace, "task", "lives");
    long long dropped = (long long)t_trace_number(json_object_get(trace, "otherData"), "dropped");
    int latest = t_trace_count(trace, "b", "task", "is_last");
    json_decref(trace);
    /* Each task that is not there was at least one record. */
    if (kib > MOST_KIB || kept == 0 || dropped < TASKS - kept || unended > 0 || latest == 0)
        T_FAIL(
            "trace-unbounded: of %d tasks that began and ended, a ring of %d KiB keeps %d in %zu "
            "KiB of trace, says that it dropped %lld records, and shows %d of the tasks as if they "
            "had not ended%s",
            TASKS, RING_KIB, kept, kib, dropped, unended,
            latest ? "" : "; the latest is not in it");
}

static void test_trace_unbounded(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, trace_unbounded, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_trace_unbounded),
};

T_MAIN(tests)
