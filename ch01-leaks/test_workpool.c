/*
 * Chapter 1, wait-no-exit: a pool whose tasks do not leave. The same source is linked over the
 * broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 */
#include "t_census.h"
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { TASKS = 3, JOBS = 6, LIMIT_MS = 10000, TICK_MS = 2000 };

static atomic_int finished;

static void work(gee_ctx *ctx, void *arg) {
    (void)arg;
    if (gee_sleep(ctx, 100) == 0)
        atomic_fetch_add(&finished, 1);
}

static void tick(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
}

/* What a shutdown that may take LIMIT_MS took, and how many tasks are there a minute later. */
struct outcome {
    double seconds;
    int tasks, finished;
    char parked[128];
};

static int shut_down(gee_ctx *ctx, uint64_t tick_ms, int jobs, struct outcome *out) {
    int64_t before = t_tasks();
    const gee_workpool_options opt = {
        .tasks = TASKS, .tick = tick_ms ? tick : NULL, .tick_ms = tick_ms};
    gee_workpool *p = gee_workpool_new(ctx, &opt);
    if (p == NULL)
        return UV_ENOMEM;
    atomic_store(&finished, 0);
    for (int i = 0; i < jobs; i++)
        gee_workpool_submit(ctx, p, &(gee_job){.fn = work});
    gee_sleep(ctx, 0); /* all of its tasks have begun to wait, or to work */
    uint64_t start = gee_now_ms();
    gee_ctx *limit = gee_ctx_with_timeout(ctx, LIMIT_MS);
    gee_workpool_shutdown(limit, p, GEE_WORKPOOL_DRAIN);
    gee_ctx_end(limit);
    out->seconds = (double)(gee_now_ms() - start) / 1e3;
    gee_sleep(ctx, 60000);
    out->tasks = (int)(t_tasks() - before);
    out->finished = atomic_load(&finished);
    t_parked("pool_task", out->parked, sizeof(out->parked));
    return 0;
}

/* A tenth that is not whole has its thousandths: 10 ms too long are not 0.0 s. */
static const char *in_seconds(double s, char *buf, size_t size) {
    int64_t ms = (int64_t)(s * 1000 + 0.5);
    snprintf(buf, size, ms % 100 ? "%.3f s" : "%.1f s", s);
    return buf;
}

static void wait_no_exit(gee_ctx *ctx, void *arg) {
    struct outcome idle, ticking, busy;
    char a[32], b[32], d[32];
    (void)arg;
    T_RC(shut_down(ctx, 0, 0, &idle), 0);
    T_RC(shut_down(ctx, TICK_MS, 0, &ticking), 0);
    T_RC(shut_down(ctx, 0, JOBS, &busy), 0);
    bool right = idle.seconds == 0 && ticking.seconds == 0 && busy.finished == JOBS &&
                 idle.tasks + ticking.tasks + busy.tasks == 0;
    if (!right)
        T_FAIL("wait-no-exit: shutdowns within %d s: of an idle pool %s, %d tasks are left; "
               "with a tick every %d s %s, %d are left; with %d jobs %s, %d are left, and "
               "%d jobs were finished (parked: %s)",
               LIMIT_MS / 1000, in_seconds(idle.seconds, a, sizeof(a)), idle.tasks, TICK_MS / 1000,
               in_seconds(ticking.seconds, b, sizeof(b)), ticking.tasks, JOBS,
               in_seconds(busy.seconds, d, sizeof(d)), busy.tasks, busy.finished, idle.parked);
}

static void test_wait_no_exit(void **state) {
    (void)state;
    t_sim(wait_no_exit, NULL);
}

/* --- on a socket: a request that has its jobs done by a pool of its own --- */

static void jobs(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    gee_workpool *p = gee_workpool_new(ctx, &((gee_workpool_options){.tasks = TASKS}));
    for (int i = 0; i < JOBS; i++)
        gee_workpool_submit(ctx, p, &(gee_job){.fn = tick});
    gee_ctx *limit = gee_ctx_with_timeout(ctx, 400);
    int rc = gee_workpool_shutdown(limit, p, GEE_WORKPOOL_DRAIN);
    gee_ctx_end(limit);
    gee_string(req, 200, "%s\n", rc < 0 ? uv_err_name(rc) : "done");
}

static void routes(gee_group *r) {
    gee_POST(r, "/jobs", jobs);
}

static void wait_no_exit_real(gee_ctx *ctx, t_conn *none, int port) {
    enum { TIMES = 3 };
    char out[64];
    gee_census base;
    (void)none;
    t_census_rest(ctx, &base);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "-X POST 'http://127.0.0.1:%d/jobs?[1-%d]'", port,
                 TIMES),
         0);
    out[strcspn(out, "\n")] = '\0';
    for (int i = 0; i < 100 && t_tasks() > base.tasks; i++)
        gee_sleep(ctx, 5);
    int left = (int)(t_tasks() - base.tasks);
    if (left > 0)
        T_FAIL("wait-no-exit on a socket: of its pool's shutdown each request says %s, and %d "
               "requests by curl leave %d tasks",
               out, TIMES, left);
    T_STR(out, "done");
}

static void test_wait_no_exit_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, wait_no_exit_real, NULL, 0});
}

/* --- make census --- */

static void visitor(gee_ctx *ctx, int port, int i) {
    t_conn *c = t_dial(port, 0);
    (void)i;
    t_ask(ctx, c, "POST", "/jobs", "Content-Length: 0\r\n");
    t_close(ctx, c);
}

T_CENSUS(wait_no_exit, routes, visitor)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_wait_no_exit),
    cmocka_unit_test(test_wait_no_exit_real),
    cmocka_unit_test(census_wait_no_exit),
};

T_MAIN(tests)
