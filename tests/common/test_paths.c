/*
 * Tasks by the path of their creation: all are counted, on whichever worker, and what could grow
 * without end, a path or the number of paths, does not.
 */
#include "runtime/origin.h"
#include "t_json.h"
#include "t_site.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void nothing(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
}

static int start(gee_ctx *ctx, gee_task_fn fn, void *arg, gee_site site) {
    return gee_go_at(ctx, fn, arg, "a task", site);
}

static int length(const gee_path_info *p) {
    int n = 0;
    while (n < GEE_PATH && p->path[n])
        n++;
    return n;
}

/* The path that begins with these two places; "": any. */
static gee_path_info of(gee_site first, gee_site second) {
    gee_path_info *paths, found = {.reason = ""};
    int n = gee_paths_list(&paths);
    for (int i = 0; i < n; i++)
        if (strcmp(paths[i].path[0], first) == 0 &&
            (*second == '\0' || (paths[i].path[1] && strcmp(paths[i].path[1], second) == 0)))
            found = paths[i];
    free(paths);
    return found;
}

/* --- a path --- */

static void child_of(gee_ctx *ctx, void *arg) {
    start(ctx, nothing, arg, "child.c:1");
}

static void path_body(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++)
        start(ctx, child_of, NULL, "one.c:1");
    for (int i = 0; i < 4; i++)
        start(ctx, child_of, NULL, "two.c:1");
    gee_sleep(ctx, 1);
    T_EQ(of("child.c:1", "one.c:1").started, 3);
    T_EQ(of("child.c:1", "two.c:1").started, 4);
    T_EQ(of("child.c:1", "two.c:1").ended, 4);
    T_EQ(of("two.c:1", "").live, 0);
    gee_path_info p = of("child.c:1", "one.c:1");
    T_STR(p.path[1], "one.c:1");
    T_EQ(length(&p), 3); /* and where the test's own task was created */
}

static void test_path(void **state) {
    (void)state;
    t_sim(path_body, NULL);
}

/* --- what lives --- */

static void sleeps(gee_ctx *ctx, void *ms) {
    gee_sleep(ctx, *(int *)ms);
}

static void sleeps_again(gee_ctx *ctx, void *ms) {
    gee_sleep(ctx, 5000);
    sleeps(ctx, ms);
}

static void live_body(gee_ctx *ctx, void *arg) {
    static int ms = 60 * 1000;
    (void)arg;
    start(ctx, sleeps_again, &ms, "again.c:1");
    start(ctx, sleeps, &ms, "sleeper.c:1");
    gee_sleep(ctx, 5000);
    start(ctx, sleeps, &ms, "sleeper.c:1");
    gee_sleep(ctx, 2000);
    gee_path_info p = of("sleeper.c:1", "");
    T_EQ(p.live, 2);
    T_EQ(p.oldest_ms, 7000);
    T_EQ(p.waits_ms, 7000);
    T_EQ(of("again.c:1", "").oldest_ms, 7000);
    T_EQ(of("again.c:1", "").waits_ms, 2000); /* in this wait */
    T_STR(p.reason, "sleep");
    T_CHECK(strstr(p.parked_at, "test_paths.c:"));
    gee_sleep(ctx, ms);
    T_EQ(of("sleeper.c:1", "").live, 0);
    T_EQ(of("sleeper.c:1", "").ended, 2);
}

static void test_live(void **state) {
    (void)state;
    t_sim(live_body, NULL);
}

/* --- tasks that start their successors --- */

static void starts_its_own(gee_ctx *ctx, void *left) {
    if (--*(int *)left > 0)
        start(ctx, starts_its_own, left, "own.c:1");
}

static void pong(gee_ctx *ctx, void *left);

static void ping(gee_ctx *ctx, void *left) {
    if (--*(int *)left > 0)
        start(ctx, pong, left, "pong.c:1");
}

static void pong(gee_ctx *ctx, void *left) {
    if (--*(int *)left > 0)
        start(ctx, ping, left, "ping.c:1");
}

static void successors_body(gee_ctx *ctx, void *arg) {
    static int own, both;
    uint64_t started = 0;
    gee_path_info *paths;
    (void)arg;
    own = both = 1000;
    start(ctx, starts_its_own, &own, "own.c:1");
    start(ctx, ping, &both, "ping.c:1");
    gee_sleep(ctx, 1);
    T_EQ(of("own.c:1", "").started, 1000);
    int n = gee_paths_list(&paths);
    for (int i = 0; i < n; i++)
        if (strstr("own.c:1 ping.c:1 pong.c:1", paths[i].path[0]) && length(&paths[i]) <= GEE_PATH)
            started += paths[i].started;
    free(paths);
    T_EQ(started, 2000); /* each is counted once */
    T_CHECK(n <= 3 + GEE_PATH);
}

static void test_successors(void **state) {
    (void)state;
    t_sim(successors_body, NULL);
}

/* --- more places than a worker keeps --- */

enum { PLACES = GEE_ORIGIN_MOST + 100 };
static char places[PLACES][24];

static void many_body(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int i = 0; i < PLACES; i++) {
        snprintf(places[i], sizeof(places[i]), "many.c:%d", i);
        T_RC(start(ctx, nothing, NULL, places[i]), 0);
        if (i % 100 == 0)
            gee_sleep(ctx, 1);
    }
    gee_sleep(ctx, 1);
    T_EQ(of("many.c:17", "").ended, 1);
    gee_path_info rest = of("(other places)", "");
    T_CHECK(rest.started >= 100 && rest.started <= 110);
    T_EQ(rest.live, 0);
}

static void test_many(void **state) {
    (void)state;
    t_run(&(gee_config){.sim = true}, 0, many_body, NULL);
}

/* --- workers: a task of one starts tasks of the others --- */

static void fans_out(gee_ctx *ctx, void *arg) {
    for (int i = 0; i < 100; i++)
        gee_go_on_at(i % gee_workers(), ctx, nothing, arg, "a task", "fan.c:1");
}

static void workers_body(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_go_on_at(1, ctx, fans_out, NULL, "a task", "hub.c:1");
    for (int i = 0; i < 500 && of("fan.c:1", "").ended < 100; i++)
        gee_sleep(ctx, 10);
    gee_path_info p = of("fan.c:1", "hub.c:1");
    T_EQ(p.started, 100); /* of three workers, and one row */
    T_EQ(p.ended, 100);
    T_EQ(p.live, 0);
}

static void test_workers(void **state) {
    (void)state;
    t_real(3, workers_body, NULL);
}

/* Of a path that waits on two workers the longest wait counts, on whichever it is. */
static void longest_body(gee_ctx *ctx, void *arg) {
    static int ms = 60 * 1000;
    gee_ctx *end = gee_ctx_with_cancel(ctx);
    (void)arg;
    gee_go_on_at(0, end, sleeps, &ms, "a task", "here.c:1");
    gee_go_on_at(1, end, sleeps, &ms, "a task", "there.c:1");
    for (int i = 0;
         i < 300 && (of("here.c:1", "").oldest_ms < 200 || of("there.c:1", "").oldest_ms < 200);
         i++)
        gee_sleep(ctx, 10); /* on a busy machine a task may begin late */
    gee_go_on_at(1, end, sleeps, &ms, "a task", "here.c:1");
    gee_go_on_at(0, end, sleeps, &ms, "a task", "there.c:1");
    while (of("here.c:1", "").live < 2 || of("there.c:1", "").live < 2)
        gee_sleep(ctx, 1);
    gee_path_info here = of("here.c:1", ""), there = of("there.c:1", "");
    gee_ctx_end(end);
    T_CHECK(here.oldest_ms >= 200 && there.oldest_ms >= 200);
    T_CHECK(here.waits_ms >= 200 && there.waits_ms >= 200);
    while (of("here.c:1", "").live || of("there.c:1", "").live)
        gee_sleep(ctx, 1);
}

static void test_longest(void **state) {
    (void)state;
    t_real(2, longest_body, NULL);
}

/* A worker is asked between two of its tasks, and not looked at in the middle of one. */
static _Atomic bool busy, let_go;

static void is_busy(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    busy = true;
    while (!let_go)
        sched_yield();
}

static void lets_go(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    let_go = true;
}

static void busy_body(gee_ctx *ctx, void *arg) {
    busy = let_go = false;
    gee_go_on_at(1, ctx, is_busy, arg, "a task", "busy.c:1");
    while (!busy)
        gee_sleep(ctx, 1);
    gee_go(ctx, lets_go, NULL); /* its turn comes while this one waits for the answer */
    of("busy.c:1", "");
    bool was_asked = let_go;
    let_go = true;
    T_CHECK(was_asked);
}

static void test_busy(void **state) {
    (void)state;
    t_real(2, busy_body, NULL);
}

/* --- the page --- */

static void routes(gee_group *r) {
    gee_debug_routes(r);
}

static void page_body(gee_ctx *ctx, t_conn *c, int port) {
    bool bad;
    (void)port;
    start(ctx, nothing, NULL, "page.c:1");
    gee_sleep(ctx, 1);
    T_EQ(t_get(ctx, c, "/debug/tasks?paths=1"), 200);
    T_CHECK(strstr(t_body(c), "       1 started        1 ended      0 live\n"
                              "         created at page.c:1 < "));
    T_EQ(t_get(ctx, c, "/debug/tasks?paths=1&format=json"), 200);
    json_t *doc = json_loadb(t_body(c), t_body_size(c), 0, NULL);
    json_t *live = t_json_at(doc, "paths[0].live", &bad);
    T_CHECK(json_integer_value(live) >= 1);
    T_CHECK(json_is_string(t_json_at(doc, "paths[0].path[0]", &bad)));
    json_decref(doc);
}
T_SITE(page, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_path), cmocka_unit_test(test_live),    cmocka_unit_test(test_successors),
    cmocka_unit_test(test_many), cmocka_unit_test(test_workers), cmocka_unit_test(test_longest),
    cmocka_unit_test(test_busy), cmocka_unit_test(page),
};

T_MAIN(tests)
