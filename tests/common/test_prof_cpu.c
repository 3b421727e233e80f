/*
 * The CPU profile: what it finds, for whom, and what it does not disturb.
 *
 * CPU time is asked of the thread's own clock, so a busy machine makes these tests slower and
 * nothing else. What has to happen at one place is a signal that the test sends itself, in the
 * form that a timer sends it in.
 */
#include "base/symbol.h"
#include "base/tools.h"
#include "pprof/cpu.h"
#include "runtime/probe.h"
#include "t.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* Comes before libuv's: what another thread would do behind one of them is done there. */
static _Atomic int unlocks; /* so many more, and then: */
static void (*behind_unlock)(void);

void uv_mutex_unlock(uv_mutex_t *m) {
    static _Atomic(void (*)(uv_mutex_t *)) real;
    void (*unlock)(uv_mutex_t *) = real;
    if (unlock == NULL)
        *(void **)(&unlock) = dlsym(RTLD_NEXT, "uv_mutex_unlock");
    real = unlock;
    unlock(m);
    if (unlocks > 0 && --unlocks == 0)
        behind_unlock();
}

static int64_t cpu_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

enum { SPIN_FROM = __LINE__ };
__attribute__((noinline)) static void spin_here(int64_t ms) {
    uint64_t sum = 0;
    for (int64_t end = cpu_ms() + ms; cpu_ms() < end;)
        for (uint64_t i = 0; i < 50000; i++)
            __asm__ volatile("" : "+r"(sum)); /* it is not optimised away, and is no access */
}
enum { SPIN_TO = __LINE__ };

/* --- what is in a profile --- */

/* "name  file:line" of a frame, as the traceback has it. */
static void frame_text(const gee_cpu_stack *s, int i, char *out, size_t size) {
    void *at = (void *)(s->frames[i] + 1); /* it is given addresses to return to */
    gee_buf b = {0};
    gee_frames_describe(&b, &at, 1);
    snprintf(out, size, "%.*s", (int)gee_buf_size(&b), gee_buf_head(&b));
    gee_buf_free(&b);
}

static const gee_cpu_row *top_of(const gee_cpu_profile *p) {
    const gee_cpu_row *top = p->rows;
    for (const gee_cpu_row *r = p->rows; r; r = r->next)
        if (r->count > top->count)
            top = r;
    return top;
}

/* Is there such a function on the stack, and where? -1: no. */
static int frame_in(gee_symbols *symbols, const gee_cpu_stack *s, const char *function) {
    size_t n = strlen(function);
    for (int i = 0; i < s->nframes; i++) {
        const char *at = gee_symbol_name(symbols, (const void *)s->frames[i]);
        if (at && strncmp(at, function, n) == 0 && (at[n] == '\0' || at[n] == '.'))
            return i; /* or an optimiser's clone of it */
    }
    return -1;
}

static int frame_of(const gee_cpu_stack *s, const char *function) {
    gee_symbols *symbols = gee_symbols_open();
    int i = frame_in(symbols, s, function);
    gee_symbols_close(symbols);
    return i;
}

static uint64_t count_of(const gee_cpu_profile *p, uint64_t task) {
    uint64_t n = 0;
    for (const gee_cpu_row *r = p->rows; r; r = r->next)
        n += r->stack.task == task ? r->count : 0;
    return n;
}

static void spins_body(gee_ctx *ctx, void *arg) {
    char text[512];
    (void)ctx;
    (void)arg;
    T_RC(gee_cpu_start(GEE_CPU_HZ), 0);
    spin_here(300);
    gee_cpu_profile *p = gee_cpu_stop();
    const gee_cpu_row *top = top_of(p);
    frame_text(&top->stack, 0, text, sizeof(text));
    const char *at = strstr(text, "test_prof_cpu.c:");
    int line = at ? atoi(strchr(at, ':') + 1) : 0;
    uint64_t task = top->stack.task, samples = p->samples, dropped = p->dropped;
    int above = frame_of(&top->stack, "spins_body");
    gee_cpu_free(p);
    if (strstr(text, " spin_here ") == NULL || line <= SPIN_FROM || line >= SPIN_TO)
        T_FAIL("the top entry is %s", text);
    T_EQ(task, gee_task_id(gee_task_self()));
    T_EQ(dropped, 0);
    T_CHECK(samples > 10);
#ifndef GEE_TSAN /* which calls the handler later, when these frames are others */
    T_EQ(above, 1);
#endif
    (void)above;
}

static void what_spins_is_on_top_with_its_line(void **state) {
    (void)state;
    t_real(1, spins_body, NULL);
}

struct spinner {
    const char *name;
    gee_waitgroup *done;
    uint64_t id;
};

static void spinner(gee_ctx *ctx, void *arg) {
    struct spinner *s = arg;
    (void)ctx;
    gee_task_set_name(gee_task_self(), s->name);
    s->id = gee_task_id(gee_task_self());
    for (int i = 0; i < 20; i++) {
        spin_here(10);
        gee_yield();
    }
    gee_waitgroup_done(s->done);
}

static void check_labels(const gee_cpu_profile *p, const struct spinner *s, int line) {
    char site[64];
    snprintf(site, sizeof(site), "tests/common/test_prof_cpu.c:%d", line);
    T_CHECK(count_of(p, s->id) > 5);
    for (const gee_cpu_row *r = p->rows; r; r = r->next) {
        if (r->stack.task != s->id)
            continue;
        T_STR(r->stack.name, s->name);
        T_STR(r->stack.created_at, site);
    }
}

static void labels_body(gee_ctx *ctx, void *arg) {
    gee_waitgroup done = {0};
    struct spinner a = {"GET /a", &done, 0}, b = {"GET /b", &done, 0};
    int rc = 0;
    (void)arg;
    gee_waitgroup_add(&done, 2);
    T_RC(gee_cpu_start(GEE_CPU_HZ), 0);
    int line = __LINE__ + 1;
    rc = gee_go(ctx, spinner, &a);
    T_RC(rc, 0);
    T_RC(gee_go(ctx, spinner, &b), 0);
    T_RC(gee_waitgroup_wait(ctx, &done), 0);
    gee_cpu_profile *p = gee_cpu_stop();
    check_labels(p, &a, line);
    check_labels(p, &b, line + 2);
    gee_cpu_free(p);
}

static void two_tasks_of_one_function_are_told_apart(void **state) {
    (void)state;
    t_real(1, labels_body, NULL);
}

static void spin_on_thread(void *arg) {
    (void)arg;
    spin_here(200);
}

static void pool_body(gee_ctx *ctx, void *arg) {
    (void)arg;
    T_RC(gee_cpu_start(GEE_CPU_HZ), 0);
    T_RC(gee_blocking(ctx, spin_on_thread, NULL), 0);
    gee_cpu_profile *p = gee_cpu_stop();
    const gee_cpu_row *top = top_of(p);
    int caller = frame_of(&top->stack, "spin_on_thread");
    uint64_t task = top->stack.task;
    gee_cpu_free(p);
    T_EQ(task, gee_task_id(gee_task_self()));
#ifndef GEE_TSAN
    T_EQ(caller, 1);
#endif
    (void)caller;
}

static void a_thread_of_the_pool_works_for_the_task_that_waits(void **state) {
    (void)state;
    t_real(1, pool_body, NULL);
}

/* --- through libc, which has no frame pointers --- */

static int slowly(const void *a, const void *b) {
    uint64_t sum = 0;
    for (int i = 0; i < 20000; i++)
        __asm__ volatile("" : "+r"(sum));
    return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) static void sorts(int64_t ms) {
    int numbers[16];
    for (int64_t end = cpu_ms() + ms; cpu_ms() < end;) {
        for (int i = 0; i < 16; i++)
            numbers[i] = (i * 7) % 16;
        qsort(numbers, 16, sizeof(numbers[0]), slowly);
    }
}

__attribute__((noinline)) static void clears(int64_t ms) {
    enum { SIZE = 1 << 20 };
    char *room = malloc(SIZE);
    for (int64_t end = cpu_ms() + ms; cpu_ms() < end;)
        memset(room, 1, SIZE);
    free(room);
}

static void library_body(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    T_RC(gee_cpu_start(GEE_CPU_HZ), 0);
    sorts(200);
    clears(200);
    gee_cpu_profile *p = gee_cpu_stop();
    gee_symbols *symbols = gee_symbols_open();
    uint64_t slow = 0, sorting = 0, clearing = 0, whole = 0, in_libc = 0;
    for (const gee_cpu_row *r = p->rows; r; r = r->next) {
        bool is_slow = frame_in(symbols, &r->stack, "slowly") == 0;
        int at = frame_in(symbols, &r->stack, "clears");
        slow += is_slow ? r->count : 0;
        sorting += is_slow && frame_in(symbols, &r->stack, "sorts") > 0 ? r->count : 0;
        clearing += at >= 0 ? r->count : 0;
        whole += at >= 0 && frame_in(symbols, &r->stack, "library_body") > at ? r->count : 0;
        in_libc += at > 0 ? r->count : 0;
    }
    gee_symbols_close(symbols);
    gee_cpu_free(p);
    T_CHECK(slow > 5);
    T_CHECK(sorting * 10 >= slow * 8);
    T_CHECK(clearing > 5);
    T_CHECK(whole * 10 >= clearing * 8);
    /* Nearly all; under Valgrind, which calls the handler between two of its turns, some. */
    T_CHECK(in_libc > 0);
}

static void who_called_is_found_through_a_library(void **state) {
    (void)state;
#ifdef GEE_TSAN
    skip(); /* it calls the handler later, when these frames are others */
#endif
    t_real(1, library_body, NULL);
}

/* --- all threads --- */

static void elsewhere(gee_ctx *ctx, void *arg) {
    struct spinner *s = arg;
    (void)ctx;
    s->id = gee_task_id(gee_task_self());
    spin_here(200);
    gee_waitgroup_done(s->done);
}

static void workers_body(gee_ctx *ctx, void *arg) {
    gee_waitgroup done = {0};
    struct spinner s[3] = {{NULL, &done, 0}, {NULL, &done, 0}, {NULL, &done, 0}};
    (void)arg;
    gee_waitgroup_add(&done, 3);
    T_RC(gee_cpu_start(GEE_CPU_HZ), 0);
    for (int i = 0; i < 3; i++)
        T_RC(gee_go_on(i, ctx, elsewhere, &s[i]), 0);
    T_RC(gee_waitgroup_wait(ctx, &done), 0);
    gee_cpu_profile *p = gee_cpu_stop();
    for (int i = 0; i < 3; i++)
        if (count_of(p, s[i].id) < 5)
            t_fail(__FILE__, __LINE__, "of worker %d there are %d samples", i,
                   (int)count_of(p, s[i].id));
    gee_cpu_free(p);
}

static void all_workers_are_looked_at(void **state) {
    (void)state;
    t_real(3, workers_body, NULL);
}

/* --- around a profile --- */

static void *brief(void *arg) {
    (void)arg;
    spin_here(2);
    return NULL;
}

static void *lasting(void *arg) {
    spin_here(150);
    return arg;
}

static void threads_body(gee_ctx *ctx, void *arg) {
    pthread_t t;
    (void)ctx;
    (void)arg;
    T_RC(gee_cpu_start(GEE_CPU_MAX_HZ), 0);
    for (int i = 0; i < 60; i++) {
        T_EQ(pthread_create(&t, NULL, brief, NULL), 0);
        pthread_join(t, NULL);
    }
    /* It is found while it lives: within 100 ms, or as much later as the machine is busy. */
    T_EQ(pthread_create(&t, NULL, lasting, NULL), 0);
    pthread_join(t, NULL);
    gee_cpu_profile *p = gee_cpu_stop();
    int threads = p->threads, unseen = p->unseen;
    gee_cpu_free(p);
    T_CHECK(threads >= 3);
    T_EQ(unseen, 0);
}

static void threads_may_come_and_go(void **state) {
    (void)state;
    t_real(2, threads_body, NULL);
}

static void one_body(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    T_RC(gee_cpu_start(0), UV_EINVAL);
    T_RC(gee_cpu_start(GEE_CPU_MAX_HZ + 1), UV_EINVAL);
    for (int i = 0; i < 20; i++) {
        T_RC(gee_cpu_start(GEE_CPU_HZ), 0);
        T_RC(gee_cpu_start(GEE_CPU_HZ), UV_EALREADY);
        gee_cpu_free(gee_cpu_stop());
    }
    raise(SIGPROF); /* one that comes late, or somebody's kill */
}

static void of_a_process_there_is_one_at_a_time(void **state) {
    (void)state;
    t_real(1, one_body, NULL);
}

static void of_the_program(int signum) {
    (void)signum;
}

/*
 * What fn returns in a child; of one that executes a program, that program's exit code. It comes by
 * a pipe: what a thread that the child has not was allocating when it was forked, memcheck reports
 * as lost, and ends the child with a code of its own.
 */
static int in_child(int (*fn)(void)) {
    int said[2], rc, status = 0;
    if (pipe2(said, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        rc = fn();
        _exit(write(said[1], &rc, sizeof(rc)) == sizeof(rc) ? 0 : 1);
    }
    close(said[1]);
    bool returned = read(said[0], &rc, sizeof(rc)) == sizeof(rc);
    close(said[0]);
    waitpid(pid, &status, 0);
    if (returned)
        return rc;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int with_a_handler_of_its_own(void) {
    signal(SIGPROF, of_the_program);
    return gee_cpu_start(GEE_CPU_HZ) == UV_EBUSY ? 7 : 1;
}

static void the_programs_own_handler_is_left_to_it(void **state) {
    (void)state;
    assert_int_equal(in_child(with_a_handler_of_its_own), 7);
}

static int spins_and_executes(void) {
    spin_here(60);
    execl("/bin/true", "true", (char *)NULL);
    return 1;
}

#ifndef GEE_TSAN /* where a child of several threads may start none */
static int profiles_on_its_own(void) {
    if (gee_cpu_start(GEE_CPU_MAX_HZ) != 0)
        return 1;
    spin_here(200);
    gee_cpu_profile *p = gee_cpu_stop();
    int rc = p->samples > 0 ? 7 : 2;
    gee_cpu_free(p);
    return rc;
}
#endif

static void fork_body(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    T_RC(gee_cpu_start(GEE_CPU_MAX_HZ), 0);
    spin_here(20);
    T_EQ(in_child(spins_and_executes), 0);
#ifndef GEE_TSAN
    T_EQ(in_child(profiles_on_its_own), 7);
#endif
    spin_here(20);
    gee_cpu_profile *p = gee_cpu_stop();
    T_CHECK(p->samples > 0);
    gee_cpu_free(p);
}

static void a_child_has_no_part_in_it(void **state) {
    (void)state;
    t_real(1, fork_body, NULL);
}

/* --- the handler --- */

/* As the kernel sends it, when a timer has rung and then so many times more. */
static void ring(union sigval value, int overrun) {
    siginfo_t info = {.si_signo = SIGPROF, .si_code = SI_TIMER};
    info.si_value = value;
    info.si_overrun = overrun;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGPROF, &info);
    getppid(); /* TSan delivers it with the next call that it knows */
    usleep(0);
}

static void add(const gee_cpu_stack *s, uint64_t periods, void *arg) {
    uint64_t *n = arg;
    *n += s->nframes > 0 ? periods : 0;
}

/* --- a profile that cannot begin, and one that begins as soon as that is known --- */

static struct rlimit files;
static int next_rc;

static void begin_next(void) {
    setrlimit(RLIMIT_NOFILE, &files);
    next_rc = gee_cpu_start(GEE_CPU_MAX_HZ);
}

static void the_next_profile_is_the_nexts_own(void **state) {
    enum { IT_IS_ASKED_FOR = 1, IT_IS_OVER };
    (void)state;
    assert_int_equal(gee_cpu_start(GEE_CPU_HZ), 0);
    gee_cpu_free(gee_cpu_stop());
    getrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, files.rlim_max});
    behind_unlock = begin_next;
    unlocks = IT_IS_OVER;
    assert_int_equal(gee_cpu_start(GEE_CPU_HZ), UV_EMFILE);
    assert_int_equal(next_rc, 0);
    spin_here(50);
    gee_cpu_profile *p = gee_cpu_stop();
    assert_true(p != NULL && p->samples > 0);
    gee_cpu_free(p);
}

static void the_handler_leaves_errno_alone(void **state) {
    union sigval value;
    uint64_t n = 0;
    (void)state;
    assert_int_equal(gee_sampler_watch(), 0);
    assert_int_equal(gee_sampler_open(0, gettid(), &value), 0);
    for (int e = 0; e < 1200; e++) { /* with room for a sample, and without */
        errno = e;
        syscall(SYS_getpid);
        ring(value, 0);
        if (errno != e)
            fail_msg("errno was %d, and is %d", e, errno);
    }
    gee_sampler_read(0, add, &n);
    gee_sampler_close(0);
    assert_true(n > 0);
}

static void a_full_ring_counts_what_it_drops(void **state) {
    union sigval value;
    uint64_t n = 0, sent = 0;
    (void)state;
    assert_int_equal(gee_sampler_watch(), 0);
    assert_int_equal(gee_sampler_open(0, gettid(), &value), 0);
    for (int i = 0; i < 1000; i++, sent += 3)
        ring(value, 2);
    uint64_t dropped = gee_sampler_read(0, add, &n);
    assert_int_equal(n + dropped, sent);
    assert_true(n > 0 && dropped > 0);
    for (int i = 0; i < 10; i++)
        ring(value, 0);
    n = 0;
    assert_int_equal(gee_sampler_read(0, add, &n), 0);
    assert_int_equal(n, 10);
    gee_sampler_close(0);
    ring(value, 0); /* late */
    assert_int_equal(gee_sampler_open(0, gettid() + 1, &value), 0);
    value.sival_ptr = (char *)value.sival_ptr - GEE_SAMPLER_SLOTS; /* of the thread before */
    ring(value, 0);
    n = 0;
    assert_int_equal(gee_sampler_read(0, add, &n), 0);
    assert_int_equal(n, 0);
    gee_sampler_close(0);
}

/* --- while a task is switched to and from: on the loop's stack, and it is the task's time --- */

struct between {
    gee_probe probe;
    union sigval value;
    uint64_t tasks[8]; /* whose turn it was when a signal came */
    int n;
};

static void interrupted(gee_probe *p, gee_task *t) {
    struct between *b = (struct between *)p;
    if (strcmp(t->name, "at_once") == 0 && b->n < 8) {
        b->tasks[b->n++] = t->id;
        ring(b->value, 0);
    }
}

static void at_once(gee_ctx *ctx, void *done) {
    (void)ctx;
    gee_waitgroup_done(done);
}

static void check_whose(const gee_cpu_stack *s, uint64_t periods, void *arg) {
    struct between *b = arg;
    T_EQ(periods, 1);
    T_CHECK(b->n < 8 && s->task == b->tasks[b->n++]);
    T_STR(s->name, "at_once");
    T_CHECK(strstr(s->created_at, "test_prof_cpu.c:") != NULL);
}

static void between_body(gee_ctx *ctx, void *arg) {
    struct between b = {.probe = {.begin = interrupted, .end = interrupted}};
    gee_waitgroup done = {0};
    (void)arg;
    T_RC(gee_sampler_watch(), 0);
    T_RC(gee_sampler_open(0, gettid(), &b.value), 0);
    gee_waitgroup_add(&done, 4);
    gee_probe_add(gee_worker_self(), &b.probe);
    for (int i = 0; i < 4; i++)
        T_RC(gee_go(ctx, at_once, &done), 0);
    T_RC(gee_waitgroup_wait(ctx, &done), 0);
    gee_sleep(ctx, 1); /* the last has ended as well */
    gee_probe_remove(gee_worker_self(), &b.probe);
    T_EQ(b.n, 8);
    b.n = 0;
    T_EQ(gee_sampler_read(0, check_whose, &b), 0);
    T_EQ(b.n, 8);
    gee_sampler_close(0);
}

static void a_switch_may_be_interrupted(void **state) {
    (void)state;
    t_real(1, between_body, NULL);
}

/* --- the walk --- */

static ucontext_t at_registers(uintptr_t pc, const void *sp, uintptr_t fp) {
    ucontext_t uc;
    memset(&uc, 0, sizeof(uc));
#if defined(__x86_64__)
    uc.uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
    uc.uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)sp;
    uc.uc_mcontext.gregs[REG_RBP] = (greg_t)fp;
#elif defined(__aarch64__)
    uc.uc_mcontext.pc = pc;
    uc.uc_mcontext.sp = (uintptr_t)sp;
    uc.uc_mcontext.regs[29] = fp;
#endif
    return uc;
}

/* How many frames there are, where the frame pointer is so. */
static int frames(const void *sp, uintptr_t fp) {
    gee_cpu_stack s;
    ucontext_t uc = at_registers(0x1234567, sp, fp);
    gee_cpu_walk(&uc, &s);
    return s.frames[0] == 0x1234567 ? s.nframes : -1;
}

static void walk_body(gee_ctx *ctx, void *arg) {
    /* On this task's stack: a chain of three frames, the last of which returns to nowhere. */
    volatile uintptr_t words[8] = {0};
    uintptr_t at = (uintptr_t)words, word = sizeof(uintptr_t);
    const gee_stack *stack = &gee_task_self()->stack;
    uintptr_t end = (uintptr_t)gee_stack_top(stack);
    (void)ctx;
    (void)arg;
    words[0] = at + 2 * word;
    words[1] = 0x111111;
    words[2] = at + 4 * word;
    words[3] = 0x222222;
    words[4] = at + 6 * word;
    words[5] = 0;
    T_EQ(frames((void *)at, at), 3);
    words[2] = at; /* a circle */
    T_EQ(frames((void *)at, at), 2);
    words[0] = at + 1; /* crooked */
    T_EQ(frames((void *)at, at), 2);
    words[0] = 0; /* called by nobody, and so no frame */
    T_EQ(frames((void *)at, at), 1);
    words[0] = UINTPTR_MAX - 7;
    T_EQ(frames((void *)at, at), 1);
    T_EQ(frames((void *)at, 0), 1);
    T_EQ(frames((void *)at, at - word), 1);  /* below the stack pointer */
    T_EQ(frames((void *)at, end), 1);        /* the first that is not on the stack */
    T_EQ(frames((void *)at, end - word), 1); /* half of it is not */
    T_EQ(frames((void *)at, (uintptr_t)stack->base), 1);
    T_EQ(frames(NULL, at), 1); /* a stack that nobody knows */
    char *heap = malloc(64);
    T_EQ(frames(heap, (uintptr_t)heap), 1);
    free(heap);
}

static void a_walk_stays_on_its_stack(void **state) {
    (void)state;
    t_sim(walk_body, NULL);
}

/* To where a signal's own frame would no longer fit. */
static char *volatile in_use; /* so that the recursion is one */
__attribute__((noinline)) static int deep(const char *low, union sigval value) {
    char room[256];
    in_use = room;
    room[0] = low[0];
    if (room - low < 8192) {
        ring(value, 0);
        return room[0];
    }
    return deep(low, value) + room[0];
}

static void most_frames(const gee_cpu_stack *s, uint64_t periods, void *arg) {
    int *most = arg;
    T_EQ(periods, 1);
    *most = s->nframes > *most ? s->nframes : *most;
}

static void deep_body(gee_ctx *ctx, void *arg) {
    union sigval value;
    int most = 0;
    (void)ctx;
    (void)arg;
    T_RC(gee_sampler_watch(), 0);
    T_RC(gee_sampler_open(0, gettid(), &value), 0);
    deep(gee_stack_low(&gee_task_self()->stack), value);
    T_EQ(gee_sampler_read(0, most_frames, &most), 0);
    gee_sampler_close(0);
    T_EQ(most, GEE_CPU_FRAMES);
}

static void a_task_at_the_end_of_its_stack_is_interrupted(void **state) {
    (void)state;
    t_real(1, deep_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_spins_is_on_top_with_its_line),
    cmocka_unit_test(two_tasks_of_one_function_are_told_apart),
    cmocka_unit_test(a_thread_of_the_pool_works_for_the_task_that_waits),
    cmocka_unit_test(who_called_is_found_through_a_library),
    cmocka_unit_test(all_workers_are_looked_at),
    cmocka_unit_test(threads_may_come_and_go),
    cmocka_unit_test(of_a_process_there_is_one_at_a_time),
    cmocka_unit_test(the_programs_own_handler_is_left_to_it),
    cmocka_unit_test(a_child_has_no_part_in_it),
    cmocka_unit_test(the_next_profile_is_the_nexts_own),
    cmocka_unit_test(the_handler_leaves_errno_alone),
    cmocka_unit_test(a_full_ring_counts_what_it_drops),
    cmocka_unit_test(a_switch_may_be_interrupted),
    cmocka_unit_test(a_walk_stays_on_its_stack),
    cmocka_unit_test(a_task_at_the_end_of_its_stack_is_interrupted),
};
T_MAIN(tests)
