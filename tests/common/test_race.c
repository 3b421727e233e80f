/*
 * What TSan sees: a race between two tasks of one worker, which never run at the
 * same time, is reported; the same two accesses ordered by any one of the means
 * of the library are not. TSan speaks on stderr and in the exit code, so the
 * scenarios run in a child. Without TSan they only have to run.
 */
#include "t.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef GEE_TSAN
enum { TSAN = 1 };
#else
enum { TSAN = 0 };
#endif

/* --- the two accesses, at lines that a report has to name --- */

static long shared;

enum { FIRST_LINE = __LINE__ + 3 };
__attribute__((noinline)) static void first_access(void *arg) {
    (void)arg;
    shared++;
}

enum { SECOND_LINE = __LINE__ + 3 };
__attribute__((noinline)) static void second_access(void *arg) {
    (void)arg;
    shared++;
}

/* --- pairs: a task makes the first access and then a step, main a step and then the second --- */

enum step { NOTHING, SEND, RECV, SELECT, CLOSE, LOCK, RLOCK, WLOCK, DONE, WAIT, CANCEL, SEE_DONE };

static struct {
    gee_chan *ch;
    gee_mutex mutex;
    gee_rwmutex rw;
    gee_waitgroup wg;
    gee_ctx *ctx;
} by;

static int take(gee_ctx *ctx, enum step s) {
    gee_case c = {.op = GEE_RECV, .ch = by.ch};
    switch (s) {
    case SEND:
        return gee_chan_send(ctx, by.ch, NULL);
    case RECV:
        return gee_chan_recv(ctx, by.ch, NULL);
    case SELECT:
        return gee_select(ctx, &c, 1);
    case CLOSE:
        return gee_chan_close(by.ch);
    case LOCK:
        return gee_mutex_lock(ctx, &by.mutex);
    case RLOCK:
        return gee_rwmutex_rlock(ctx, &by.rw);
    case WLOCK:
        return gee_rwmutex_lock(ctx, &by.rw);
    case DONE:
        return gee_waitgroup_done(&by.wg);
    case WAIT:
        return gee_waitgroup_wait(ctx, &by.wg);
    case CANCEL:
        gee_ctx_cancel(by.ctx, 0);
        return 0;
    case SEE_DONE:
        return gee_ctx_wait(by.ctx);
    default:
        return 0;
    }
}

enum verdict { ORDERED, RACE, RACE_EARLY };

static const struct pair {
    const char *name;
    enum step task, main;
    enum verdict verdict;
    size_t cap; /* of the channel */
} pairs[] = {
    {"nothing", NOTHING, NOTHING, RACE, 0},
    {"send, receive", SEND, RECV, ORDERED, 0},
    {"send, receive, buffered", SEND, RECV, ORDERED, 1},
    {"send, select", SEND, SELECT, ORDERED, 0},
    {"send, select, buffered", SEND, SELECT, ORDERED, 1},
    {"receive, send", RECV, SEND, ORDERED, 0},
    /* There is room, so this send waits for no receive; one that finds the task parked
     * touches its variable and is therefore ordered with it, which is more than Go says. */
    {"receive, send, buffered", RECV, SEND, RACE_EARLY, 1},
    {"close, receive", CLOSE, RECV, ORDERED, 0},
    {"close, select", CLOSE, SELECT, ORDERED, 1},
    {"mutex", LOCK, LOCK, ORDERED, 0},
    {"mutex, only the task", LOCK, NOTHING, RACE, 0},
    {"read lock, write lock", RLOCK, WLOCK, ORDERED, 0},
    {"write lock, read lock", WLOCK, RLOCK, ORDERED, 0},
    {"read locks", RLOCK, RLOCK, RACE, 0},
    {"waitgroup", DONE, WAIT, ORDERED, 0},
    {"cancel, done", CANCEL, SEE_DONE, ORDERED, 0},
    {"cancel, not seen", CANCEL, NOTHING, RACE, 0},
};

static bool is_lock(enum step s) {
    return s == LOCK || s == RLOCK || s == WLOCK;
}

static void unlock(enum step s) {
    if (s == LOCK)
        gee_mutex_unlock(&by.mutex);
    if (s == RLOCK)
        gee_rwmutex_runlock(&by.rw);
    if (s == WLOCK)
        gee_rwmutex_unlock(&by.rw);
}

static void run_task(gee_ctx *ctx, void *arg) {
    const struct pair *p = arg;
    if (is_lock(p->task))
        take(ctx, p->task);
    first_access(NULL);
    if (!is_lock(p->task))
        take(ctx, p->task);
    unlock(p->task);
}

/* Early, in simulation: main goes on before the task runs; late: once it has ended or parked. */
static void run_pair(gee_ctx *ctx, void *arg) {
    const struct pair *p = arg;
    by.ch = gee_chan_new(0, p->cap);
    by.ctx = gee_ctx_with_cancel(ctx);
    gee_waitgroup_add(&by.wg, p->task == DONE);
    gee_go(ctx, run_task, arg);
    if (!gee_simulated() || is_lock(p->main)) /* main's access is the second one */
        gee_sleep(ctx, 1);
    take(ctx, p->main);
    second_access(NULL);
    unlock(p->main);
    gee_chan_close(by.ch);
    gee_sleep(ctx, 1);
    gee_ctx_end(by.ctx);
    gee_chan_unref(by.ch);
}

/* --- not of that form --- */

static void task_second(gee_ctx *ctx, void *arg) {
    (void)ctx;
    second_access(arg);
}

static void before_go(gee_ctx *ctx, void *arg) {
    first_access(arg);
    gee_go(ctx, task_second, NULL);
}

static void after_go(gee_ctx *ctx, void *arg) {
    gee_go(ctx, task_second, NULL);
    first_access(arg);
}

static void around_blocking(gee_ctx *ctx, void *arg) {
    first_access(arg);
    gee_blocking(ctx, second_access, NULL);
    first_access(arg);
}

static atomic_int ran;

static void second_on_pool(void *arg) {
    second_access(arg);
    atomic_store_explicit(&ran, 1, memory_order_relaxed); /* orders nothing */
}

static void task_blocking(gee_ctx *ctx, void *arg) {
    gee_blocking(ctx, second_on_pool, arg);
}

static void beside_blocking(gee_ctx *ctx, void *arg) {
    atomic_store_explicit(&ran, 0, memory_order_relaxed);
    gee_go(ctx, task_blocking, NULL);
    do
        gee_sleep(ctx, 1);
    while (!atomic_load_explicit(&ran, memory_order_relaxed));
    first_access(arg);
}

static void before_cancel(gee_ctx *ctx, void *arg) {
    gee_ctx *c = gee_ctx_with_cancel(ctx);
    gee_after *a = gee_ctx_after_func(c, second_access, NULL);
    first_access(arg);
    gee_ctx_end(c);
    gee_sleep(ctx, 1);
    gee_after_stop(a);
}

static void panics(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_panic("task %d of two", *(const int *)arg);
}

static void two_that_panic(gee_ctx *ctx, void *arg) {
    static const int numbers[] = {1, 2};
    gee_ctx *c[2]; /* of which that is the end, when what there is to say of it has been said */
    (void)arg;
    for (int i = 0; i < 2; i++) {
        c[i] = gee_ctx_with_cancel(ctx);
        gee_go(c[i], panics, (void *)&numbers[i]);
    }
    for (int i = 0; i < 2; i++) {
        gee_ctx_wait(c[i]);
        gee_ctx_end(c[i]);
    }
}

static const struct {
    const char *name;
    gee_task_fn main;
    bool race;
} others[] = {
    {"go", before_go, false},
    {"after go", after_go, true},
    {"blocking", around_blocking, false},
    {"beside blocking", beside_blocking, true},
    {"cancel, after_func", before_cancel, false},
    {"two that panic", two_that_panic, false},
};

/* --- everything twice: early in simulation, late on the real loop --- */

enum { PAIRS = sizeof(pairs) / sizeof(*pairs), OTHERS = sizeof(others) / sizeof(*others) };
enum { RUNS = 2 * (PAIRS + OTHERS) };

struct run {
    char title[64];
    gee_config cfg;
    gee_task_fn main;
    void *arg;
    bool race;
};

static struct run get_run(int n) {
    bool late = n % 2;
    const struct pair *p = n / 2 < PAIRS ? &pairs[n / 2] : NULL;
    int other = p ? 0 : n / 2 - PAIRS;
    struct run r = {.cfg = {.sim = !late, .workers = 1}, .arg = (void *)p};
    r.main = p ? run_pair : others[other].main;
    r.race = !p ? others[other].race : p->verdict == RACE || (p->verdict == RACE_EARLY && !late);
    snprintf(r.title, sizeof(r.title), "== run %d: %s\n", n, p ? p->name : others[other].name);
    return r;
}

static const char *program;

static int child_main(bool race) {
    for (int n = 0; n < RUNS; n++) {
        struct run r = get_run(n);
        if (r.race != race)
            continue;
        fputs(r.title, stderr);
        if (gee_run(&r.cfg, r.main, r.arg) != 0)
            return 1;
    }
    return 0;
}

/* Its exit code, -1: it has none; what it said is in text. */
static int run_child(bool race, char *text, size_t size) {
    int pipefd[2], status;
    size_t at = 0;
    assert_int_equal(pipe(pipefd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipefd[1], 2);
        close(pipefd[0]);
        setenv("TSAN_OPTIONS",
               "exitcode=66:suppress_equal_stacks=0:suppress_equal_addresses=0:atexit_sleep_ms=0",
               1);
        execlp(program, program, "--child", race ? "planted" : "ordered", (char *)NULL);
        _exit(127);
    }
    close(pipefd[1]);
    for (ssize_t n; at < size - 1 && (n = read(pipefd[0], text + at, size - 1 - at)) > 0;)
        at += (size_t)n;
    text[at] = '\0';
    close(pipefd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What stands under the title names both accesses and where they are. */
static void check_report(const char *title, const char *said) {
    static char part[1 << 15];
    char first[32], second[32];
    snprintf(first, sizeof(first), "test_race.c:%d:", FIRST_LINE);
    snprintf(second, sizeof(second), "test_race.c:%d:", SECOND_LINE);
    const char *const want[] = {"WARNING: ThreadSanitizer: data race", "#0 first_access ", first,
                                "#0 second_access ", second};
    const char *from = strstr(said, title);
    assert_non_null(from);
    snprintf(part, sizeof(part), "%s", from + strlen(title));
    char *to = strstr(part, "== run ");
    if (to)
        *to = '\0';
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++)
        if (strstr(part, want[i]) == NULL)
            fail_msg("\"%s\" is not in what follows %s%s", want[i], title, part);
}

static void check_child(bool race) {
    static char said[1 << 18];
    int code = run_child(race, said, sizeof(said));
    if (code != (race ? 66 : 0))
        fail_msg("exit code %d:\n%s", code, said);
    for (int n = 0; n < RUNS && race; n++)
        if (get_run(n).race)
            check_report(get_run(n).title, said);
}

static void only_run(bool race) {
    print_message("  not the tsan flavour: the scenarios only run\n");
    for (int n = 0; n < RUNS; n++) {
        struct run r = get_run(n);
        if (r.race == race)
            t_run(&r.cfg, 0, r.main, r.arg);
    }
}

static void test_planted(void **state) {
    (void)state;
    (TSAN ? check_child : only_run)(true);
}

static void test_ordered(void **state) {
    (void)state;
    (TSAN ? check_child : only_run)(false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_planted),
    cmocka_unit_test(test_ordered),
};

int main(int argc, char **argv) {
    program = argv[0];
    if (argc == 3)
        return child_main(strcmp(argv[2], "planted") == 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
