/*
 * The signals that end a program, as a ctx (web/signals.h): what a set does, what it leaves, and
 * that it leaves nothing when it cannot be opened. calloc and uv_signal_start are wrapped by the
 * linker in this program (Makefile), to fail. What a whole program does is in test_shutdown.c.
 */
#include "t.h"
#include "web/signals.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what fails --- */

static int fail_start; /* the n-th start from now; 0: none */
static bool fail_calloc;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) {
    return fail_calloc ? NULL : __real_calloc(n, size);
}

int __real_uv_signal_start(uv_signal_t *h, uv_signal_cb cb, int signum);
int __wrap_uv_signal_start(uv_signal_t *h, uv_signal_cb cb, int signum);
int __wrap_uv_signal_start(uv_signal_t *h, uv_signal_cb cb, int signum) {
    return fail_start && --fail_start == 0 ? UV_EINVAL : __real_uv_signal_start(h, cb, signum);
}

/* --- what can be seen --- */

static const int numbers[] = {SIGINT, SIGTERM};

static bool is_caught(int signum) {
    struct sigaction now;
    return sigaction(signum, NULL, &now) == 0 && now.sa_handler != SIG_DFL;
}

static bool both_caught(void) {
    return is_caught(SIGINT) && is_caught(SIGTERM);
}

static bool none_caught(void) {
    return !is_caught(SIGINT) && !is_caught(SIGTERM);
}

static int64_t handles(void) {
    gee_census now;
    gee_census_take(&now);
    return now.handles;
}

static void nothing(void *arg) {
    (void)arg;
}

static void let_the_loop_turn(void) {
    gee_blocking(NULL, nothing, NULL);
}

/* From a thread of the pool, while the loop waits (why: t_program.h). */
static void raise_it(void *arg) {
    usleep(30000);
    kill(getpid(), *(int *)arg);
}

/* --- the tests --- */

static void the_first_signal(gee_ctx *ctx, void *arg) {
    gee_signals *s;
    gee_ctx *stop = gee_ctx_with_cancel(ctx);
    T_RC(gee_signals_open(stop, &s), 0);
    T_CHECK(both_caught());
    T_RC(gee_ctx_err(stop), 0);
    gee_blocking(NULL, raise_it, arg);
    T_RC(gee_ctx_wait(stop), UV_ECANCELED);
    T_RC(gee_ctx_cause(stop), UV_ECANCELED);
    T_RC(gee_ctx_err(ctx), 0);
    T_CHECK(none_caught());
    gee_signals_close(s);
    let_the_loop_turn(); /* as long as libuv may have the set */
    T_EQ(handles(), 0);
    gee_ctx_end(stop);
}

static void test_the_first_signal_ends_the_ctx_and_gives_both_back(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        t_real(1, the_first_signal, (void *)&numbers[i]);
}

/* Whoever closes first, the signal or the caller: without a turn of the loop between them too. */
static void closed_at_once(gee_ctx *ctx, void *arg) {
    gee_signals *s;
    gee_ctx *stop = gee_ctx_with_cancel(ctx);
    T_RC(gee_signals_open(stop, &s), 0);
    gee_blocking(NULL, raise_it, arg);
    gee_ctx_wait(stop);
    gee_signals_close(s);
    gee_ctx_end(stop);
}

static void test_a_set_is_closed_behind_its_signal(void **state) {
    (void)state;
    t_real(1, closed_at_once, (void *)&numbers[1]);
}

static void without_a_signal(gee_ctx *ctx, void *arg) {
    gee_signals *s;
    gee_ctx *stop = gee_ctx_with_cancel(ctx);
    (void)arg;
    T_RC(gee_signals_open(stop, &s), 0);
    T_EQ(handles(), 2);
    gee_signals_close(s);
    T_CHECK(none_caught());
    T_EQ(handles(), 2); /* libuv has them, and their memory, until the loop turns */
    let_the_loop_turn();
    T_EQ(handles(), 0);
    T_RC(gee_ctx_err(stop), 0);
    gee_ctx_end(stop);
    gee_signals_close(NULL);
}

static void test_a_set_that_is_closed_cancels_nothing(void **state) {
    (void)state;
    t_real(1, without_a_signal, NULL);
}

/* The set has a reference of its own on the ctx: its owner may let go first. */
static void last_of_all(gee_ctx *ctx, void *arg) {
    gee_signals *s;
    gee_ctx *stop = gee_ctx_with_cancel(ctx);
    (void)arg;
    T_RC(gee_signals_open(stop, &s), 0);
    gee_ctx_end(stop);
    gee_signals_close(s);
}

static void test_the_end_of_the_runtime_is_turn_enough(void **state) {
    (void)state;
    t_real(1, last_of_all, NULL);
}

static void several(gee_ctx *ctx, void *arg) {
    gee_signals *s[3];
    gee_ctx *stop[3];
    for (int i = 0; i < 3; i++) {
        stop[i] = gee_ctx_with_cancel(ctx);
        T_RC(gee_signals_open(stop[i], &s[i]), 0);
    }
    gee_signals_close(s[1]);
    T_CHECK(both_caught());
    gee_blocking(NULL, raise_it, arg);
    T_RC(gee_ctx_wait(stop[0]), UV_ECANCELED);
    T_RC(gee_ctx_wait(stop[2]), UV_ECANCELED);
    T_RC(gee_ctx_err(stop[1]), 0);
    T_CHECK(none_caught());
    gee_signals_close(s[0]);
    gee_signals_close(s[2]);
    for (int i = 0; i < 3; i++)
        gee_ctx_end(stop[i]);
}

static void test_each_open_set_hears_the_signal(void **state) {
    (void)state;
    t_real(1, several, (void *)&numbers[0]);
}

static void cannot_open(gee_ctx *ctx, void *arg) {
    gee_signals *s = (gee_signals *)arg; /* anything but NULL */
    fail_calloc = true;
    int rc = gee_signals_open(ctx, &s);
    fail_calloc = false;
    T_RC(rc, UV_ENOMEM);
    T_CHECK(s == NULL);
    for (int nth = 1; nth <= 2; nth++) {
        s = (gee_signals *)arg;
        fail_start = nth;
        T_RC(gee_signals_open(ctx, &s), UV_EINVAL);
        T_CHECK(s == NULL);
        T_CHECK(none_caught());
        let_the_loop_turn();
        T_EQ(handles(), 0);
    }
    T_RC(gee_signals_open(ctx, &s), 0);
    gee_signals_close(s);
}

static void test_what_fails_leaves_nothing_open(void **state) {
    (void)state;
    t_real(1, cannot_open, &fail_start);
}

/* Under TSan and memcheck the check only speaks, so that they may look at what follows. */
static void closes(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_signals_close(arg);
    _exit(0);
}

static void on_another_worker(gee_ctx *ctx, void *arg) {
    gee_signals *s;
    (void)arg;
    if (gee_signals_open(ctx, &s) == 0 && gee_go_on(1, ctx, closes, s) == 0)
        gee_ctx_wait(ctx);
}

static void test_another_worker_may_not_close_it(void **state) {
    char said[512] = "";
    int ends[2], status;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
        alarm(20);
        gee_run(&(gee_config){.workers = 2}, on_another_worker, NULL);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got, n = 0; (got = read(ends[0], said + n, sizeof(said) - 1 - (size_t)n)) > 0;)
        n += got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
#if defined(GEE_TSAN) || defined(GEE_VALGRIND)
    assert_true(WIFEXITED(status)); /* memcheck has a word in the exit code */
#else
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
    assert_non_null(strstr(said, "gee: a set of signals of worker 0 is used from worker 1\n"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_another_worker_may_not_close_it), /* it forks: before there are threads */
    cmocka_unit_test(test_the_first_signal_ends_the_ctx_and_gives_both_back),
    cmocka_unit_test(test_a_set_is_closed_behind_its_signal),
    cmocka_unit_test(test_a_set_that_is_closed_cancels_nothing),
    cmocka_unit_test(test_the_end_of_the_runtime_is_turn_enough),
    cmocka_unit_test(test_each_open_set_hears_the_signal),
    cmocka_unit_test(test_what_fails_leaves_nothing_open),
};

T_MAIN(tests)
