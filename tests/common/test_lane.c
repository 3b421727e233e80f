/*
 * Lanes: who gets a thread for blocking work, and who waits. In simulation, where a call takes as
 * much virtual time as it says; and on real threads.
 */
#include "gee/hedge.h"
#include "gee/panic.h"
#include "gee/workpool.h"
#include "sync/pool.h"
#include "t.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POOL = 4, MANY = 32, S = 1000 };

/* The pool is the usual one, whatever is set where this runs. */
__attribute__((constructor)) static void four_threads(void) {
    unsetenv("UV_THREADPOOL_SIZE");
}

static gee_lane a = {.name = "a"}, b = {.name = "b"}, two = {.name = "two", .most = 2};

/* --- calls, each in a task --- */

typedef struct call {
    gee_lane *lane; /* NULL: gee_blocking */
    gee_ctx *ctx;
    uint64_t takes_ms;
    _Atomic uint64_t began_ms; /* fn; UINT64_MAX: it did not run */
    uint64_t ended_ms;         /* the call */
    int rc;
    gee_waitgroup *over;
} call;

/* Runs on the call's thread, which in simulation is the worker's own. */
static void work(void *arg) {
    call *c = arg;
    c->began_ms = gee_now_ms();
    gee_sim_blocking_ms(c->takes_ms);
}

static void make_call(gee_ctx *ctx, void *arg) {
    call *c = arg;
    (void)ctx;
    c->rc = c->lane ? gee_blocking_in(c->lane, c->ctx, work, c) : gee_blocking(c->ctx, work, c);
    c->ended_ms = gee_now_ms();
    gee_waitgroup_done(c->over);
}

/* Begins n of them, one after the other, so that their order is known. */
static void begin(gee_ctx *ctx, call *calls, int n, call like, gee_waitgroup *over) {
    gee_waitgroup_add(over, n);
    for (int i = 0; i < n; i++) {
        calls[i] = like;
        calls[i].over = over;
        calls[i].began_ms = UINT64_MAX;
        T_RC(gee_go(NULL, make_call, &calls[i]), 0);
        gee_sleep(ctx, 0); /* also under a seed it is on its thread or in the queue now */
    }
}

/* How many of them have begun by now. */
static int begun(const call *calls, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += calls[i].began_ms != UINT64_MAX;
    return sum;
}

/* --- in simulation --- */

static void takes_no_time(gee_ctx *ctx, void *arg) {
    call c = {.ctx = ctx};
    gee_waitgroup over = {0};
    (void)arg;
    uint64_t start = gee_now_ms();
    for (int i = 0; i < 100; i++) {
        begin(ctx, &c, 1, c, &over);
        T_RC(gee_waitgroup_wait(ctx, &over), 0);
        T_RC(c.rc, 0);
    }
    T_EQ(gee_now_ms(), start);
}

static void takes_what_it_says(gee_ctx *ctx, void *arg) {
    call c = {.ctx = ctx, .takes_ms = 1500};
    gee_waitgroup over = {0};
    (void)arg;
    uint64_t start = gee_now_ms();
    begin(ctx, &c, 1, c, &over);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    T_EQ(c.began_ms, start);
    T_EQ(c.ended_ms, start + 1500);
}

/* One thread is kept for the framework: ten calls of a second take four. */
static void gets_all_but_one(gee_ctx *ctx, void *arg) {
    static call calls[10];
    gee_waitgroup over = {0};
    (void)arg;
    uint64_t start = gee_now_ms();
    begin(ctx, calls, 10, (call){.ctx = ctx, .takes_ms = S}, &over);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    for (int i = 0; i < 10; i++) /* first come, first served */
        T_EQ(calls[i].began_ms, start + (uint64_t)(i / (POOL - 1)) * S);
    T_EQ(gee_now_ms(), start + 4 * S);
}

/* Whatever hangs in the others, and however much waits there. */
static void finds_a_thread(gee_ctx *ctx, void *arg) {
    static call hang[4][MANY];
    gee_lane *lanes[] = {NULL, &a, &b, &gee_framework_lane};
    gee_waitgroup over = {0}, done = {0};
    (void)arg;
    for (int i = 0; i < 4; i++) { /* from now on there are four lanes */
        begin(ctx, hang[i], 1, (call){.lane = lanes[i], .ctx = ctx}, &over);
        T_RC(gee_waitgroup_wait(ctx, &over), 0);
    }
    for (int last = 0; last < 4; last++) {
        call c;
        for (int i = 0; i < 4; i++)
            if (i != last)
                begin(ctx, hang[i], MANY, (call){.lane = lanes[i], .ctx = ctx, .takes_ms = S},
                      &over);
        begin(ctx, &c, 1, (call){.lane = lanes[last], .ctx = ctx}, &done);
        T_RC(gee_waitgroup_wait(ctx, &done), 0);
        T_RC(c.rc, 0);
        T_EQ(c.ended_ms, c.began_ms);
        for (int i = 0; i < 4; i++) /* and each of the others has its one */
            if (i != last)
                T_EQ(begun(hang[i], MANY), 1);
        T_RC(gee_waitgroup_wait(ctx, &over), 0);
    }
}

static void has_no_more_than_it_wants(gee_ctx *ctx, void *arg) {
    static call calls[6];
    gee_waitgroup over = {0};
    (void)arg;
    uint64_t start = gee_now_ms();
    begin(ctx, calls, 6, (call){.lane = &two, .ctx = ctx, .takes_ms = S}, &over);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    for (int i = 0; i < 6; i++)
        T_EQ(calls[i].began_ms, start + (uint64_t)(i / 2) * S);
}

/* With more lanes than threads nothing is promised, but everything is done. */
static void comes_round(gee_ctx *ctx, void *arg) {
    enum { LANES = 7 };
    static gee_lane lanes[LANES];
    static call calls[LANES][4];
    gee_waitgroup over = {0};
    (void)arg;
    uint64_t start = gee_now_ms();
    for (int i = 0; i < LANES; i++) {
        lanes[i] = (gee_lane){.name = "one of many"};
        begin(ctx, calls[i], 4, (call){.lane = &lanes[i], .ctx = ctx, .takes_ms = S}, &over);
    }
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    T_EQ(gee_now_ms() - start, LANES * 4 / POOL * S); /* and no thread was idle */
    for (int i = 0; i < LANES; i++)
        T_CHECK(calls[i][0].began_ms <= start + 1 * S); /* whoever has nothing goes first */
}

/* Three threads against one at first, since there was nobody else; then two each. */
static void goes_to_who_has_less(gee_ctx *ctx, void *arg) {
    static call first[6], later[6];
    gee_waitgroup over = {0};
    (void)arg;
    begin(ctx, first, 6, (call){.ctx = ctx, .takes_ms = S}, &over);
    begin(ctx, later, 6, (call){.lane = &gee_framework_lane, .ctx = ctx, .takes_ms = S}, &over);
    T_EQ(begun(first, 6), 3);
    T_EQ(begun(later, 6), 1);
    gee_sleep(ctx, S + 1);
    T_EQ(begun(first, 6), 3 + 2);
    T_EQ(begun(later, 6), 1 + 2);
    gee_sleep(ctx, S);
    T_EQ(begun(first, 6), 6); /* and what one of them does not need the other has */
    T_EQ(begun(later, 6), 6);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
}

/* --- that do not come to it --- */

static void gives_up(gee_ctx *ctx, void *arg) {
    static call hang[POOL - 1], late, next;
    gee_waitgroup over = {0};
    (void)arg;
    begin(ctx, hang, POOL - 1, (call){.ctx = ctx, .takes_ms = 10 * S}, &over);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 2 * S);
    T_CHECK(soon != NULL);
    uint64_t start = gee_now_ms();
    begin(ctx, &late, 1, (call){.ctx = soon}, &over);
    begin(ctx, &next, 1, (call){.ctx = ctx}, &over);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    gee_ctx_end(soon);
    T_RC(late.rc, UV_ETIMEDOUT);
    T_EQ(late.ended_ms, start + 2 * S);
    T_EQ(begun(&late, 1), 0);
    T_RC(next.rc, 0); /* who stood behind it is not forgotten */
    T_EQ(next.began_ms, start + 10 * S);
}

/* Once fn runs, it is waited for; a ctx that has ended before does not even queue. */
static void cannot_be_stopped(gee_ctx *ctx, void *arg) {
    call runs, never;
    gee_waitgroup over = {0};
    (void)arg;
    gee_ctx *sub = gee_ctx_with_cancel(ctx);
    uint64_t start = gee_now_ms();
    begin(ctx, &runs, 1, (call){.ctx = sub, .takes_ms = 3 * S}, &over);
    gee_sleep(ctx, S);
    gee_ctx_cancel(sub, 0);
    begin(ctx, &never, 1, (call){.ctx = sub}, &over);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    gee_ctx_end(sub);
    T_RC(runs.rc, 0);
    T_EQ(runs.ended_ms, start + 3 * S);
    T_RC(never.rc, UV_ECANCELED);
    T_EQ(begun(&never, 1), 0);
    T_EQ(never.ended_ms, start + S);
}

/* A thread is handed on at the very moment at which its taker's ctx ends: one of the two holds,
 * and the thread is there for the next one all the same. */
static void ends_as_its_turn_comes(gee_ctx *ctx, void *arg) {
    static call hang[POOL - 1], late, next[POOL - 1];
    gee_waitgroup over = {0};
    (void)arg;
    begin(ctx, hang, POOL - 1, (call){.ctx = ctx, .takes_ms = 2 * S}, &over);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 2 * S);
    begin(ctx, &late, 1, (call){.ctx = soon}, &over);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    gee_ctx_end(soon);
    T_RC(late.rc, begun(&late, 1) ? 0 : UV_ETIMEDOUT);
    uint64_t start = gee_now_ms();
    begin(ctx, next, POOL - 1, (call){.ctx = ctx, .takes_ms = S}, &over);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    T_EQ(gee_now_ms(), start + S); /* all three at once */
}

static void job_panics(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_panic("in a job, while calls hang");
}

static void job_says_when(gee_ctx *ctx, void *when_ms) {
    (void)ctx;
    *(uint64_t *)when_ms = gee_now_ms();
}

static int call_panics(gee_ctx *ctx, void *arg, void *result) {
    (void)ctx;
    (void)arg;
    (void)result;
    gee_panic("in a hedged call, while calls hang");
}

/* What is said of a panic is the framework's work: who panics waits for no call that hangs. */
static void panics_beside_hanging_calls(gee_ctx *ctx, void *arg) {
    static call hang[MANY];
    gee_waitgroup over = {0};
    uint64_t start = gee_now_ms(), next_ms = 0;
    (void)arg;
    begin(ctx, hang, MANY, (call){.ctx = ctx, .takes_ms = S}, &over);

    gee_workpool *p = gee_workpool_new(ctx, &(gee_workpool_options){.tasks = 1});
    gee_job bad = {job_panics, NULL, NULL}, next = {job_says_when, NULL, &next_ms};
    T_RC(gee_workpool_submit(ctx, p, &bad), 0);
    T_RC(gee_workpool_submit(ctx, p, &next), 0);
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_EQ(next_ms, start);

    T_RC(gee_hedge(ctx, &(gee_hedge_call){.ask = call_panics}, 1, &(gee_hedge_options){0}, NULL),
         GEE_EPANIC);
    T_EQ(gee_now_ms(), start);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
}

/* Tasks that were dropped with a thread, or in a queue, are not of the next run. */
static void is_dropped(gee_ctx *ctx, void *arg) {
    static call hang[POOL];
    static gee_waitgroup over;
    (void)arg;
    over = (gee_waitgroup){0};
    begin(ctx, hang, POOL, (call){.lane = &a, .takes_ms = 3600 * S}, &over);
}

/* --- anything, at random --- */

/* What is running at this moment, by lane; and the most that ever was. */
static _Atomic int running, most_running, of_two, most_of_two;

static void at_least(_Atomic int *most, int n) {
    for (int old = *most; old < n;)
        if (atomic_compare_exchange_weak(most, &old, n))
            break;
}

struct chance {
    gee_lane *lane;
    gee_ctx *ctx;
    uint64_t ms;
    bool ran;
};

static void any_work(void *arg) {
    struct chance *c = arg;
    c->ran = true;
    at_least(&most_running, ++running);
    if (c->lane == &two)
        at_least(&most_of_two, ++of_two);
    if (gee_simulated()) {
        gee_sim_blocking_ms(c->ms);
        return;
    }
    of_two -= c->lane == &two;
    running--;
}

static uint64_t chance(uint64_t n) {
    return (uint64_t)rand() % n;
}

/* A task that makes calls, some of which have little time. */
static void any_calls(gee_ctx *ctx, void *arg) {
    gee_lane *lanes[] = {&a, &b, &two, &gee_framework_lane};
    for (int i = 0; i < 20; i++) {
        struct chance c = {.lane = lanes[chance(4)], .ms = chance(4) * 10};
        c.ctx = gee_ctx_with_timeout(ctx, chance(2) ? chance(20) : 60 * 1000);
        T_CHECK(c.ctx != NULL);
        int rc = gee_blocking_in(c.lane, c.ctx, any_work, &c);
        if (gee_simulated() && c.ran) {
            of_two -= c.lane == &two;
            running--;
        }
        T_RC(rc, c.ran ? 0 : UV_ETIMEDOUT);
        gee_ctx_end(c.ctx);
        if (chance(3) == 0)
            gee_sleep(ctx, chance(15));
    }
    gee_waitgroup_done(arg);
}

static void anything(gee_ctx *ctx, void *arg) {
    enum { TASKS = 24 };
    static gee_waitgroup over;
    (void)arg;
    over = (gee_waitgroup){0};
    running = most_running = of_two = most_of_two = 0;
    gee_waitgroup_add(&over, TASKS);
    for (int i = 0; i < TASKS; i++)
        T_RC(gee_go_on(i % gee_workers(), ctx, any_calls, &over), 0);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    T_EQ(running, 0);
    T_CHECK(most_running <= POOL);
    T_CHECK(most_of_two <= 2);
    if (gee_simulated()) /* no thread is idle while somebody waits */
        T_EQ(most_running, POOL);
}

/* --- on real threads --- */

static void hang_on_thread(void *arg) {
    uv_sem_wait(arg);
}

struct hanging {
    uv_sem_t *go;
    gee_waitgroup *over;
};

static void hangs(gee_ctx *ctx, void *arg) {
    struct hanging *h = arg;
    gee_blocking(ctx, hang_on_thread, h->go);
    gee_waitgroup_done(h->over);
}

static void nothing(void *arg) {
    *(bool *)arg = true;
}

/* However many calls hang, the framework's own finds a thread: else this would not end. */
static void finds_a_real_thread(gee_ctx *ctx, void *arg) {
    enum { HANG = 16 };
    gee_waitgroup over = {0};
    uv_sem_t go;
    bool ran = false;
    (void)arg;
    T_EQ(uv_sem_init(&go, 0), 0);
    struct hanging h = {&go, &over};
    gee_waitgroup_add(&over, HANG);
    for (int i = 0; i < HANG; i++)
        T_RC(gee_go(ctx, hangs, &h), 0);
    gee_yield();
    T_RC(gee_blocking_in(&gee_framework_lane, ctx, nothing, &ran), 0);
    for (int i = 0; i < HANG; i++)
        uv_sem_post(&go);
    T_RC(gee_waitgroup_wait(ctx, &over), 0);
    uv_sem_destroy(&go);
    T_CHECK(ran);
}

/* fn runs on when its task was dropped, and uses what is on that task's stack. */
struct outlives {
    int begun[2]; /* a pipe */
    int ended;
};

static void runs_on(void *arg) {
    struct outlives *o = arg;
    bool good = write(o->begun[1], "", 1) == 1;
    usleep(200 * 1000);
    o->ended = good;
}

static void is_dropped_on_thread(gee_ctx *ctx, void *arg) {
    struct outlives o = {.ended = 0};
    (void)ctx;
    memcpy(o.begun, arg, sizeof(o.begun));
    gee_blocking(NULL, runs_on, &o);
}

static void leaves_it_running(gee_ctx *ctx, void *arg) {
    char byte;
    T_RC(gee_go(ctx, is_dropped_on_thread, arg), 0);
    gee_yield();
    T_EQ(read(*(int *)arg, &byte, 1), 1); /* blocks, until the thread is there */
}

/* --- a call that is dropped before a thread has come to it --- */

enum { HELD = POOL + 1 };
static uv_sem_t may_end;
static _Atomic int held, ended;

static void is_held(void *arg) {
    (void)arg;
    held++;
    uv_sem_wait(&may_end);
    ended++;
}

static void is_dropped_with_it(gee_ctx *ctx, void *lane) {
    (void)ctx;
    if (lane)
        gee_blocking_in(lane, NULL, is_held, NULL);
    else
        gee_blocking(NULL, is_held, NULL);
}

static void until(const _Atomic int *at, int n) {
    for (int i = 0; *at < n && i < 5000; i++)
        usleep(1000);
}

static void leaves_none_free(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int i = 0; i < POOL; i++)
        gee_go(ctx, is_dropped_with_it, i == 0 ? &gee_framework_lane : NULL);
    gee_yield();
    until(&held, POOL);
}

/* What earlier runs hold is not counted, so it goes to the pool, and waits there. */
static void leaves_one_behind_them(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_go(ctx, is_dropped_with_it, NULL);
    gee_yield();
}

#define SIM(body)                       \
    static void test_##body(void **s) { \
        (void)s;                        \
        t_sim(body, NULL);              \
    }
SIM(takes_no_time)
SIM(takes_what_it_says)
SIM(gets_all_but_one)
SIM(finds_a_thread)
SIM(has_no_more_than_it_wants)
SIM(comes_round)
SIM(goes_to_who_has_less)
SIM(gives_up)
SIM(cannot_be_stopped)
SIM(ends_as_its_turn_comes)
SIM(panics_beside_hanging_calls)

static void test_is_dropped(void **state) {
    gee_config cfg = {.sim = true, .grace_ms = 1};
    (void)state;
    t_run(&cfg, UV_EBUSY, is_dropped, NULL);
    t_run(&(gee_config){.sim = true}, 0, gets_all_but_one, NULL);
}

/* In a process of its own: the stack is lost. */
static void test_a_thread_outlives_its_task(void **state) {
    int status, said[2];
    (void)state;
    assert_int_equal(pipe(said), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        gee_config cfg = {.workers = 1, .grace_ms = 10};
        dup2(said[1], 2);
        int rc = gee_run(&cfg, leaves_it_running, said);
        usleep(500 * 1000);
        if (rc == UV_EBUSY)
            execl("/bin/true", "true", (char *)NULL); /* and no leak check on the way out */
        _exit(1);
    }
    close(said[0]);
    close(said[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* That thread says of itself for which task it works, and of the task this is all there is. */
static void test_a_thread_comes_too_late(void **state) {
    int status;
    (void)state;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        gee_config cfg = {.workers = 1, .grace_ms = 10};
        bool ok = freopen("/dev/null", "w", stderr) != NULL && uv_sem_init(&may_end, 0) == 0;
        ok = ok && gee_run(&cfg, leaves_none_free, NULL) == UV_EBUSY && held == POOL;
        ok = ok && gee_run(&cfg, leaves_one_behind_them, NULL) == UV_EBUSY && held == POOL;
        for (int i = 0; i < HELD; i++)
            uv_sem_post(&may_end);
        until(&ended, HELD);
        if (ok && ended == HELD)
            execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_anything(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 50; seed++) {
        gee_config cfg = {.sim = true, .seed = seed};
        srand(seed);
        t_run(&cfg, 0, anything, NULL);
    }
}

static void test_anything_real(void **state) {
    (void)state;
    t_real(4, anything, NULL);
}

static void test_finds_a_real_thread(void **state) {
    (void)state;
    t_real(1, finds_a_real_thread, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_takes_no_time),
    cmocka_unit_test(test_takes_what_it_says),
    cmocka_unit_test(test_gets_all_but_one),
    cmocka_unit_test(test_finds_a_thread),
    cmocka_unit_test(test_has_no_more_than_it_wants),
    cmocka_unit_test(test_comes_round),
    cmocka_unit_test(test_goes_to_who_has_less),
    cmocka_unit_test(test_gives_up),
    cmocka_unit_test(test_cannot_be_stopped),
    cmocka_unit_test(test_ends_as_its_turn_comes),
    cmocka_unit_test(test_panics_beside_hanging_calls),
    cmocka_unit_test(test_is_dropped),
    cmocka_unit_test(test_a_thread_outlives_its_task),
    cmocka_unit_test(test_a_thread_comes_too_late),
    cmocka_unit_test(test_anything),
    cmocka_unit_test(test_anything_real),
    cmocka_unit_test(test_finds_a_real_thread),
};

T_MAIN(tests)
