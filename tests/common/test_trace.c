/*
 * Traces: what they say of tasks, waits, wake-ups and requests, in simulation to the nanosecond;
 * that they are bounded and say what they dropped; and that what real workers record is a trace
 * too.
 */
#include "t_site.h"
#include "t_trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The trace, stopped, parsed and checked; NULL: it is none, and the test has failed. */
static json_t *taken(gee_ctx *ctx, gee_trace *t) {
    char wrong[512];
    size_t n;
    gee_trace_stop(t);
    char *text = t_trace_text(t, &n);
    json_t *trace = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    if (*t_trace_wrong(ctx, text, n, wrong, sizeof(wrong)) || trace == NULL)
        t_fail(__FILE__, __LINE__, "no trace: %s", wrong);
    free(text);
    gee_trace_free(t);
    return trace;
}

/* --- what it says of tasks --- */

static void receives(gee_ctx *ctx, void *ch) {
    gee_chan_recv(ctx, ch, NULL);
}

static void sends(gee_ctx *ctx, void *ch) {
    gee_go(ctx, receives, ch);
    gee_sleep(ctx, 10);
    gee_chan_send(ctx, ch, NULL);
}

static void stays(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 1000);
}

static void yields(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_yield();
}

static void tasks_said(json_t *trace) {
    json_t *life = t_trace_event(trace, "b", "task", "receives", 0);
    T_CHECK(strstr(t_trace_arg(life, "created_at"), "test_trace.c:"));
    T_CHECK(strstr(t_trace_arg(life, "created_at"), " < tests/common/test_trace.c:"));
    json_t *wait = t_trace_event(trace, "b", "wait", "chan receive", 0);
    T_CHECK(strstr(t_trace_arg(wait, "at"), "test_trace.c:"));
    /* From the spawn to the sleep's end 10 ms pass, and none between the send and the receive. */
    double begin = t_trace_number(t_trace_event(trace, "b", "task", "sends", 0), "ts");
    double end = t_trace_number(t_trace_event(trace, "e", "task", "receives", 0), "ts");
    T_EQ(end - begin, 10000);
    /* Of sends by its creator, of receives by sends: once when it is started, and once by the send;
     * and so on. */
    T_CHECK(t_trace_count(trace, "s", "wake", "wakes") >= 4);
    T_EQ(t_trace_count(trace, "s", "wake", NULL), t_trace_count(trace, "f", "wake", NULL));
    T_EQ(t_trace_count(trace, "X", "run", "receives"), 2);
    T_STR(t_trace_arg(t_trace_event(trace, "X", "run", "receives", 0), "then"), "chan receive");
    T_STR(t_trace_arg(t_trace_event(trace, "X", "run", "receives", 1), "then"), "exits");
    T_STR(t_trace_arg(t_trace_event(trace, "X", "run", "yields", 0), "then"), "yields");
    T_EQ(t_trace_open(trace, "task", "receives"), 0);
    /* Those that live: these two, the test itself. */
    T_EQ(t_trace_open(trace, "task", "stays"), 2);
    T_EQ(t_trace_open(trace, "wait", "sleep"), 2);
    T_EQ(t_trace_open(trace, "task", NULL), 3);
    T_EQ(t_trace_number(t_trace_event(trace, "b", "task", "stays", 0), "before_us"), 5000);
}

static void tasks_body(gee_ctx *ctx, void *arg) {
    gee_chan *ch = gee_chan_new(0, 0);
    gee_trace *t, *other;
    (void)arg;
    gee_go(ctx, stays, NULL);
    gee_sleep(ctx, 5);
    T_RC(gee_trace_start(64 * 1024, &t), 0);
    T_RC(gee_trace_start(0, &other), UV_EALREADY);
    T_CHECK(other == NULL);
    gee_go(ctx, sends, ch);
    gee_go(ctx, stays, NULL);
    gee_go(ctx, yields, NULL);
    gee_sleep(ctx, 20);
    json_t *trace = taken(ctx, t);
    tasks_said(trace);
    json_decref(trace);
    gee_chan_unref(ch);
    gee_sleep(ctx, 2000);
}

static void test_tasks(void **state) {
    (void)state;
    t_sim(tasks_body, NULL);
}

/* --- the same seed, the same trace --- */

struct run {
    char *text;
    size_t n;
};

static void same_body(gee_ctx *ctx, void *arg) {
    struct run *run = arg;
    gee_chan *ch = gee_chan_new(0, 0);
    gee_trace *t;
    T_RC(gee_trace_start(64 * 1024, &t), 0);
    for (int i = 0; i < 5; i++) {
        gee_go(ctx, sends, ch);
        gee_go(ctx, yields, NULL);
    }
    gee_sleep(ctx, 100);
    gee_trace_stop(t);
    run->text = t_trace_text(t, &run->n);
    gee_trace_free(t);
    gee_chan_unref(ch);
}

static void test_same_seed(void **state) {
    struct run runs[3];
    const uint64_t seeds[] = {7, 7, 8};
    (void)state;
    for (int i = 0; i < 3; i++)
        t_run(&(gee_config){.sim = true, .seed = seeds[i]}, 0, same_body, &runs[i]);
    bool same = runs[0].n == runs[1].n && memcmp(runs[0].text, runs[1].text, runs[0].n) == 0;
    bool other = runs[0].n == runs[2].n && memcmp(runs[0].text, runs[2].text, runs[0].n) == 0;
    for (int i = 0; i < 3; i++)
        free(runs[i].text);
    assert_true(same);
    assert_false(other);
}

/* --- the ring --- */

static void lives(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 1);
}

enum { RECORDS = 64, TASKS = 1000 };

static void ring_body(gee_ctx *ctx, void *arg) {
    gee_trace *t;
    (void)arg;
    T_RC(gee_trace_start(RECORDS * 64, &t), 0);
    size_t before = gee_trace_bytes(t);
    for (int i = 0; i < TASKS; i++) {
        gee_go(ctx, lives, NULL);
        gee_sleep(ctx, 2);
    }
    T_EQ(gee_trace_bytes(t), before);
    gee_trace_stop(t);
    T_EQ(gee_trace_kept(t), RECORDS + 1); /* and the life of the test */
    /* Three of each task, one of the test for each, and its last. */
    T_EQ(gee_trace_dropped(t), 4 * TASKS + 1 - RECORDS);
    json_t *trace = taken(ctx, t);
    T_EQ(t_trace_open(trace, "task", "lives"), 0);
    T_EQ(t_trace_open(trace, "task", NULL), 1);
    T_EQ(t_trace_number(t_trace_event(trace, "C", NULL, NULL, 0), "n"), 4 * TASKS + 1 - RECORDS);
    T_EQ(t_trace_count(trace, "X", "trace", NULL), 1);
    json_decref(trace);
}

static void test_ring(void **state) {
    (void)state;
    t_sim(ring_body, NULL);
}

/* --- names: as many as anyone likes, and as they like them --- */

static void named(gee_ctx *ctx, void *name) {
    (void)ctx;
    gee_task_set_name(gee_task_self(), name);
}

static void names_body(gee_ctx *ctx, void *arg) {
    static const char *const odd[] = {"\"quoted\\\"", "line\n\x01",   "\xc3\xa4",
                                      "cut \xc3",     "\xed\xa0\x80", ""};
    static const char *const shown[] = {"\"quoted\\\"", "line\n\x01", "\xc3\xa4",
                                        "cut ?",        "???",        ""};
    static char names[4700][32];
    gee_trace *t;
    (void)arg;
    T_RC(gee_trace_start(4 * 1024 * 1024, &t), 0);
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        gee_go(ctx, named, (void *)odd[i]);
    gee_sleep(ctx, 1);
    for (int i = 0; i < 4700; i++) {
        snprintf(names[i], sizeof(names[i]), "%s/%d", i < 3500 ? "GET /users" : "no path", i);
        gee_go(ctx, named, names[i]);
        gee_sleep(ctx, 1);
    }
    json_t *trace = taken(ctx, t);
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        T_EQ(t_trace_count(trace, "b", "task", shown[i]), 1);
    T_EQ(t_trace_count(trace, "b", "task", "GET /users/3000"), 1);
    T_EQ(t_trace_count(trace, "b", "task", "GET /users/3400"), 0);
    T_CHECK(t_trace_count(trace, "b", "task", "GET /users/...") > 400);
    T_CHECK(t_trace_count(trace, "b", "task", "(other names)") > 100);
    T_EQ(t_trace_count(trace, "b", "task", NULL), 4700 + 6 + 1);
    json_decref(trace);
}

static void test_names(void **state) {
    (void)state;
    t_run(&(gee_config){.sim = true}, 0, names_body, NULL);
}

/* --- real workers that wake each other --- */

struct echo {
    gee_chan *there, *back;
    gee_waitgroup done;
};

static void echoes(gee_ctx *ctx, void *arg) {
    struct echo *e = arg;
    while (gee_chan_recv(ctx, e->there, NULL) == 0)
        gee_chan_send(ctx, e->back, NULL);
    gee_waitgroup_done(&e->done);
}

static void workers_body(gee_ctx *ctx, void *arg) {
    struct echo e = {.there = gee_chan_new(0, 0), .back = gee_chan_new(0, 0)};
    gee_trace *t;
    (void)arg;
    T_RC(gee_trace_start(0, &t), 0);
    gee_waitgroup_add(&e.done, 2);
    gee_go_on(1, ctx, echoes, &e);
    gee_go_on(2, ctx, echoes, &e);
    for (int i = 0; i < 200; i++) {
        gee_chan_send(ctx, e.there, NULL);
        gee_chan_recv(ctx, e.back, NULL);
    }
    gee_chan_close(e.there);
    gee_waitgroup_wait(ctx, &e.done);
    json_t *trace = taken(ctx, t);
    T_CHECK(t_trace_count(trace, "s", "wake", NULL) >= 200);
    T_EQ(t_trace_count(trace, "e", "task", "echoes"), 2);
    json_decref(trace);
    gee_chan_unref(e.there);
    gee_chan_unref(e.back);
}

static void test_workers(void **state) {
    (void)state;
    t_real(3, workers_body, NULL);
}

/* --- the page --- */

static void hello(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 20);
    gee_string(req, 201, "hello\n");
}

static void routes(gee_group *r) {
    gee_pprof_routes(r, NULL);
    gee_GET(r, "/hello", hello);
}

static void visits(gee_ctx *ctx, void *port) {
    t_conn *c = t_dial(*(int *)port, 0);
    t_puts(ctx, c, "GET /hello HTTP/1.1\r\nHost: t\r\n\r\nGET /hello HTTP/1.1\r\nHost: t\r\n\r\n");
    t_response(ctx, c);
    t_response(ctx, c);
    t_close(ctx, c);
}

static void page_body(gee_ctx *ctx, t_conn *c, int port) {
    char wrong[512];
    gee_go(ctx, visits, &port);
    T_EQ(t_get(ctx, c, "/debug/pprof/trace?seconds=2&kib=256"), 200);
    T_STR(t_field(c, "Content-Type"), "application/json");
    T_STR(t_trace_wrong(ctx, t_body(c), t_body_size(c), wrong, sizeof(wrong)), "");
    json_t *trace = json_loadb(t_body(c), t_body_size(c), 0, NULL);
    /* Two in a row on one connection: one task serves both, one after the other. */
    T_EQ(t_trace_count(trace, "b", "request", "GET /hello"), 2);
    T_EQ(t_trace_count(trace, "e", "request", "GET /hello"), 2);
    T_EQ(t_trace_number(t_trace_event(trace, "b", "request", "GET /hello", 1), "status"), 201);
    T_EQ(t_trace_open(trace, "task", "GET /hello"), 0);
    T_EQ(t_trace_open(trace, "task", "GET /debug/pprof/trace?seconds="), 1);
    T_EQ(t_trace_number(json_object_get(trace, "otherData"), "recorded_us"), 2000000);
    json_decref(trace);
}
T_SITE(page, routes)

static void bad_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const bad[] = {"seconds=abc",      "seconds=-1", "seconds=",   "seconds=1e9",
                                      "seconds=99999999", "kib=x",      "kib=9999999"};
    char target[64];
    (void)port;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(target, sizeof(target), "/debug/pprof/trace?%s", bad[i]);
        T_EQ(t_get(ctx, c, target), 400);
    }
}
T_SITE(bad, routes)

/* One at a time; and a client that leaves ends it. */
static void one_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *first = t_dial(port, 0);
    t_puts(ctx, first, "GET /debug/pprof/trace?seconds=3600 HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 1);
    T_EQ(t_get(ctx, c, "/debug/pprof/trace?seconds=1"), 409);
    t_close(ctx, first);
    gee_sleep(ctx, 1);
    T_EQ(t_get(ctx, c, "/debug/pprof/trace?seconds=1"), 200);
}
T_SITE(one, routes)

/* A client that reads slowly: what is made for it meanwhile is bounded. */
static void slow_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    (void)port;
    for (int i = 0; i < 2000; i++)
        gee_go(ctx, stays, NULL);
    gee_census_take(&before);
    t_puts(ctx, c, "GET /debug/pprof/trace?seconds=1&kib=1024 HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 2500);
    gee_census_take(&now);
    T_CHECK(now.bytes - before.bytes < 512 * 1024);
    T_EQ(t_response(ctx, c), 200);
    T_CHECK(t_body_size(c) > 1024 * 1024);
}

static void test_slow(void **state) {
    (void)state;
    t_site_once(&(t_site){routes, slow_body, NULL, 4096});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_tasks),   cmocka_unit_test(test_same_seed),
    cmocka_unit_test(test_ring),    cmocka_unit_test(test_names),
    cmocka_unit_test(test_workers), cmocka_unit_test(page),
    cmocka_unit_test(bad),          cmocka_unit_test(one),
    cmocka_unit_test(test_slow),
};

T_MAIN(tests)
