/*
 * Tests that run inside the runtime.
 *
 * The body of a test is the main task of a gee_run(). Its checks note the first
 * failure and return from the body, and the failure is raised, for cmocka, after
 * the runtime has ended: cmocka's own asserts jump, and may not jump out of a
 * task. After every body t_run() proves that nothing is left over.
 */
#ifndef GEE_TESTS_T_H
#define GEE_TESTS_T_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it. */
#include "gee/gee.h"
#include <cmocka.h>

/* In the body, or a task that it started: note the failure and go on. The first one counts. */
void t_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int t_failed(void);
/* What has failed until now was to fail. */
void t_forgive(void);

#define T_FAIL(...)                              \
    do {                                         \
        t_fail(__FILE__, __LINE__, __VA_ARGS__); \
        return;                                  \
    } while (0)

#define T_CHECK(cond)            \
    do {                         \
        if (!(cond))             \
            T_FAIL("%s", #cond); \
    } while (0)

#define T_EQ(got, want)                                                    \
    do {                                                                   \
        long long got_ = (long long)(got), want_ = (long long)(want);      \
        if (got_ != want_)                                                 \
            T_FAIL("%s is %lld, not %s (%lld)", #got, got_, #want, want_); \
    } while (0)

/* An error code, by name. */
#define T_RC(got, want)                                                  \
    do {                                                                 \
        int got_ = (int)(got), want_ = (want);                           \
        if (got_ != want_)                                               \
            T_FAIL("%s is %s, not %s", #got, t_err(got_), t_err(want_)); \
    } while (0)

#define T_STR(got, want)                                                     \
    do {                                                                     \
        const char *got_ = (got), *want_ = (want);                           \
        if (!t_streq(got_, want_))                                           \
            T_FAIL("%s is \"%s\", not \"%s\"", #got, got_ ? got_ : "(null)", \
                   want_ ? want_ : "(null)");                                \
    } while (0)

const char *t_err(int rc); /* "0", "UV_EPIPE", … */
int t_streq(const char *a, const char *b);

/*
 * gee_run(cfg, body, arg); it must return want_rc and leave nothing behind. If GEE_FIGURES is set,
 * a simulation says what it cost, and that is the same in every run (tests/tools/mine.py): figures:
 * 1234567 us, 4321 turns of virtual time, and so often a task was let run.
 */
void t_run(const gee_config *cfg, int want_rc, gee_task_fn body, void *arg);
/* In simulation, first come, first served, and then with a few seeds. */
void t_sim(gee_task_fn body, void *arg);
/* On the real loop with so many workers. */
void t_real(int workers, gee_task_fn body, void *arg);

/* "tasks 2, timers 1" for what `now` has more than `base`; "" if nothing. */
const char *t_census_diff(const gee_census *base, const gee_census *now, char *buf, size_t size);

/* The main of a test program: all of a static table, or those that match argv[1]. */
#define T_MAIN(tests)                                     \
    int main(int argc, char **argv) {                     \
        if (argc > 1)                                     \
            cmocka_set_test_filter(argv[1]);              \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

#endif
