/*
 * The end of a runtime that has lost patience: tasks are dropped while workers still ask each other
 * for something, threads of the pool still work, and clients still come and go. Each in a process
 * of its own, for what such tasks hold is lost. That the process ends, and as it should, is the
 * test.
 */
#include "gee/debug.h"
#include "gee/trace.h"
#include "runtime/worker.h"
#include "t_client.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MS = 1000, GRACE_MS = 20 };

/* A slice that long. */
static void spin(uint64_t ms) {
    for (uint64_t end = uv_hrtime() + ms * 1000000; uv_hrtime() < end;)
        ;
}

static void spins(gee_ctx *ctx, void *ms) {
    (void)ctx;
    spin(*(uint64_t *)ms);
}

/* In a child: it gets 20 s, and says nothing. */
static void is_the_end(bool (*run)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        if (freopen("/dev/null", "w", stderr) != NULL && run())
            execl("/bin/true", "true", (char *)NULL); /* and no leak check on the way out */
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static bool ends_with(int workers, gee_task_fn body, int want_rc) {
    gee_config cfg = {.workers = workers, .grace_ms = GRACE_MS};
    return gee_run(&cfg, body, NULL) == want_rc;
}

/* --- what a task asks of a worker is on its stack --- */

static void takes_its_time(gee_work *work) {
    (void)work;
    usleep(100 * MS);
}

static void asks(gee_ctx *ctx, void *arg) {
    gee_trace *t;
    (void)ctx;
    (void)arg;
    if (gee_trace_start(64 * 1024, &t) == 0)
        gee_trace_free(t);
}

/* Worker 2 comes to it when worker 1 has long been through with everything. */
static void asks_who_spins(gee_ctx *ctx, void *arg) {
    static uint64_t long_ms = 400;
    static gee_work slow = {.fn = takes_its_time};
    (void)arg;
    gee_go_on(2, ctx, spins, &long_ms);
    usleep(50 * MS);
    gee_post(&gee_runtime_current()->workers[2], &slow);
    gee_go_on(1, ctx, asks, NULL);
    usleep(50 * MS);
}

static bool a_question(void) {
    return ends_with(3, asks_who_spins, UV_EBUSY);
}

static void test_a_question_outlives_nobody(void **state) {
    (void)state;
    is_the_end(a_question);
}

/* --- who stands still for a task that will not go on --- */

static void looks_for_leaks(gee_ctx *ctx, void *arg) {
    gee_leak *leaks;
    (void)ctx;
    (void)arg;
    usleep(50 * MS);
    gee_leakcheck(&leaks);
    free(leaks);
}

/* Worker 2 stands still, and worker 0 leaves before it has heard of it. */
static void leaves_one_standing(gee_ctx *ctx, void *arg) {
    static uint64_t long_ms = 200;
    (void)arg;
    gee_go_on(1, ctx, looks_for_leaks, NULL);
    gee_go(ctx, spins, &long_ms);
}

static void looks_again(gee_ctx *ctx, void *arg) {
    gee_leak *leaks;
    (void)ctx;
    (void)arg;
    int n = gee_leakcheck(&leaks);
    free(leaks);
    if (n != 0)
        _exit(1);
}

static bool a_standstill(void) {
    return ends_with(3, leaves_one_standing, UV_EBUSY) && ends_with(2, looks_again, 0);
}

static void test_nobody_stands_still_for_ever(void **state) {
    (void)state;
    is_the_end(a_standstill);
}

/* --- a client that leaves at the last moment --- */

static int client;

static void sleeps(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 3600 * 1000);
}

static void client_leaves(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    spin(GRACE_MS + 30);
    close(client);
    spin(20);
}

static void serves(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    (void)arg;
    gee_GET(gee_root(e), "/", sleeps);
    if (gee_listen(e, "127.0.0.1", 0, NULL, &srv) < 0)
        _exit(1);
    client = t_sock_dial(gee_server_port(srv), 0);
    t_sock_puts(client, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 100);
    gee_go(ctx, client_leaves, NULL);
}

static bool a_client(void) {
    return ends_with(1, serves, UV_EBUSY);
}

static void test_a_client_that_leaves_wakes_nobody(void **state) {
    (void)state;
    is_the_end(a_client);
}

/* --- a signal at the last moment: its handler looks at the worker of its thread --- */

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *))
    __attribute__((weak));

static const volatile void *workers;
static bool freed, freed_too_early;

static void on_malloc(const volatile void *p, size_t n) {
    (void)p;
    (void)n;
}

static void on_free(const volatile void *p) {
    if (workers == NULL || p != workers)
        return;
    freed = true;
    freed_too_early = gee_worker_self() != NULL;
}

static void notes_its_worker(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    workers = gee_runtime_current()->workers;
}

static bool no_thread_has_it(void) {
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    return ends_with(2, notes_its_worker, 0) && freed && !freed_too_early;
}

static void test_a_worker_is_freed_when_no_thread_has_it(void **state) {
    (void)state;
    if (__sanitizer_install_malloc_and_free_hooks == NULL)
        skip(); /* nobody tells what is freed */
    is_the_end(no_thread_has_it);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_question_outlives_nobody),
    cmocka_unit_test(test_nobody_stands_still_for_ever),
    cmocka_unit_test(test_a_client_that_leaves_wakes_nobody),
    cmocka_unit_test(test_a_worker_is_freed_when_no_thread_has_it),
};

T_MAIN(tests)
