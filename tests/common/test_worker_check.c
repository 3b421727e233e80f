/*
 * Things of a worker that are used from elsewhere: the process says which, and whose, and ends.
 * What may be used from elsewhere, a ctx with a deadline, asks its worker instead.
 */
#include "base/tools.h"
#include "runtime/worker.h"
#include "t.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a timer of worker 0, stopped by others, in a child --- */

static gee_timer theirs;

static void rings(gee_timer *t) {
    (void)t;
}

static void stop_it(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_timer_stop(&theirs);
    gee_waitgroup_done(arg);
}

static void stopped_on_worker_1(gee_ctx *ctx, void *arg) {
    gee_waitgroup done = {.count = 0};
    (void)arg;
    gee_waitgroup_add(&done, 1);
    gee_timer_start(&theirs, gee_clock_in_ms(60000), rings);
    gee_go_on(1, ctx, stop_it, &done);
    gee_waitgroup_wait(ctx, &done);
}

static void stop_it_on_thread(void *arg) {
    (void)arg;
    gee_timer_stop(&theirs);
}

static void stopped_on_a_thread(gee_ctx *ctx, void *arg) {
    uv_thread_t thread;
    (void)ctx;
    (void)arg;
    gee_timer_start(&theirs, gee_clock_in_ms(60000), rings);
    uv_thread_create(&thread, stop_it_on_thread, NULL);
    uv_thread_join(&thread);
}

static void stopped_at_home(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_timer_start(&theirs, gee_clock_in_ms(60000), rings);
    gee_timer_stop(&theirs);
}

/* The signal that ends it, or 0; said is what it said on stderr. */
static int outcome(gee_task_fn body, char *said, size_t size) {
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDERR_FILENO);
        gee_run(&(gee_config){.workers = 2, .grace_ms = 100}, body, NULL);
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n + 1 < size && (got = read(ends[0], said + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    said[n] = '\0';
    close(ends[0]);
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#if defined(GEE_TSAN) || defined(GEE_VALGRIND)
enum { ENDS_BY = 0 }; /* the tool is to see the rest */
#else
enum { ENDS_BY = SIGABRT };
#endif

static void both_workers_are_named(void **state) {
    char said[4096];
    (void)state;
    assert_int_equal(outcome(stopped_on_worker_1, said, sizeof(said)), ENDS_BY);
    assert_non_null(strstr(said, "gee: a timer of worker 0 is used from worker 1\n"));
    assert_int_equal(outcome(stopped_on_a_thread, said, sizeof(said)), ENDS_BY);
    assert_non_null(
        strstr(said, "gee: a timer of worker 0 is used from a thread that is no worker\n"));
    assert_int_equal(outcome(stopped_at_home, said, sizeof(said)), 0);
    assert_null(strstr(said, "is used from"));
}

/* --- a ctx may be ended from anywhere; its timer is stopped at home --- */

enum { CTXS = 50 };

static void end_all(void *arg) {
    gee_ctx **of = arg;
    for (int i = 0; i < CTXS; i++)
        gee_ctx_end(of[i]);
}

static void ended_on_a_thread(gee_ctx *ctx, void *arg) {
    gee_ctx *of[CTXS];
    gee_census before, after;
    (void)arg;
    gee_census_take(&before);
    for (int i = 0; i < CTXS; i++)
        of[i] = gee_ctx_with_timeout(ctx, i % 2 ? 3600 * 1000 : 1); /* some end meanwhile */
    T_RC(gee_blocking(ctx, end_all, of), 0);
    for (int ms = 0; ms < 10000; ms += 5) {
        gee_sleep(ctx, 5);
        gee_census_take(&after);
        if (after.timers == before.timers && after.ctxs == before.ctxs)
            return;
    }
    T_FAIL("%d timers and %d ctxs are left", (int)(after.timers - before.timers),
           (int)(after.ctxs - before.ctxs));
}

static void a_ctx_is_ended_on_a_thread_that_is_no_worker(void **state) {
    (void)state;
    t_real(2, ended_on_a_thread, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(both_workers_are_named),
    cmocka_unit_test(a_ctx_is_ended_on_a_thread_that_is_no_worker),
};

T_MAIN(tests)
