/*
 * The life of a task, state by state: before it runs, between two runs, and how it ends. Its
 * reasons to wait are in test_lifecycle.c, and the table is ch01-leaks/lifecycle.md.
 */
#include "base/count.h"
#include "base/tools.h"
#include "runtime/worker.h"
#include "t.h"
#include "t_left.h"
#include "t_life.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- before it has run, and between two runs --- */

static void does_nothing(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
}

struct yielding {
    atomic_int runs, stop, ended;
};

static void yields(gee_ctx *ctx, void *arg) {
    struct yielding *y = arg;
    (void)ctx;
    while (!atomic_load(&y->stop)) {
        atomic_fetch_add(&y->runs, 1);
        gee_yield();
    }
    atomic_store(&y->ended, 1);
}

static void runnable(gee_ctx *ctx, void *arg) {
    int64_t held = t_stacks_held();
    (void)arg;
    gee_ctx *owner = t_owner(ctx);
    T_RC(gee_go(owner, does_nothing, NULL), 0);
    gee_ctx_end(owner); /* it will run all the same: to look at its ctx is its own task */
    T_EQ(t_owners_freed(), 0);
    T_EQ(t_stacks_held(), held);
    gee_sleep(ctx, 1);
    T_EQ(t_owners_freed(), 1);
    struct yielding y = {.stop = 0};
    T_RC(gee_go(ctx, yields, &y), 0);
    gee_task *t = t_youngest();
    uint64_t id = t->id;
    while (atomic_load(&y.runs) < 3) /* whichever of the two a seed lets go first */
        gee_yield();
    T_EQ(t->state, GEE_TASK_RUNNABLE);
    T_CHECK(t->stack.base && gee_list_linked(&t->link));
    T_EQ(t_stacks_held(), held + 1);
    atomic_store(&y.stop, 1);
    gee_sleep(ctx, 1);
    T_EQ(atomic_load(&y.ended), 1);
    T_STR(t_look_at(id).state, "gone");
    T_EQ(t_stacks_held(), held);
}

static void test_a_runnable_task_holds_its_owner_and_a_stack_once_it_ran(void **state) {
    (void)state;
    t_sim(runnable, NULL);
}

/* Whose struct is it, a block's of its own or its stack's? */
static bool is_on_its_stack(const gee_task *t) {
    const char *at = (const char *)t, *low = t->stack.base;
    return low && at >= gee_stack_top(&t->stack) && at + sizeof(*t) <= low + t->stack.size;
}

static void loop_starts_two(gee_timer *timer) {
    int64_t held = t_stacks_held();
    (void)timer;
    T_RC(gee_go(NULL, does_nothing, NULL), 0); /* it is next */
    T_EQ(is_on_its_stack(t_youngest()), GEE_POOLS);
    T_EQ(t_stacks_held(), held + GEE_POOLS);
    T_RC(gee_go(NULL, does_nothing, NULL), 0); /* and has this one behind it */
    T_CHECK(t_youngest()->stack.base == NULL);
    T_EQ(t_stacks_held(), held + GEE_POOLS);
}

static void started(gee_ctx *ctx, void *arg) {
    int64_t held = t_stacks_held(), before = t_tasks();
    gee_timer timer = {0};
    (void)arg;
    T_RC(gee_timer_start(&timer, gee_clock_in_ms(1), loop_starts_two), 0);
    gee_sleep(ctx, 2);
    T_EQ(t_tasks(), before);
    T_EQ(t_stacks_held(), held);
}

static void test_a_task_that_the_loop_starts_is_on_its_stack(void **state) {
    (void)state;
    t_sim(started, NULL);
}

/* --- dead --- */

static _Atomic(char *) stack_of;

static void notes_its_stack(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    atomic_store(&stack_of, gee_task_self()->stack.base);
}

static void cleaned_up(void *arg) {
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void panics(gee_ctx *ctx, void *arg) {
    gee_cleanup c;
    (void)ctx;
    atomic_store(&stack_of, gee_task_self()->stack.base);
    gee_cleanup_push(&c, cleaned_up, arg);
    gee_panic("on purpose");
}

static void dies(gee_ctx *ctx, void *arg) {
    atomic_int cleanups = 0;
    int64_t held = t_stacks_held(), before = t_tasks();
    (void)arg;
    for (int i = 0; i < 3; i++) {
        bool panic = i == 1;
        char *last = atomic_load(&stack_of);
        gee_ctx *owner = t_owner(ctx);
        T_RC(panic ? gee_go(owner, panics, &cleanups) : gee_go(owner, notes_its_stack, NULL), 0);
        gee_sleep(ctx, 1);
        T_EQ(t_tasks(), before);
        T_EQ(t_stacks_held(), held);
        if (i > 0 && GEE_POOLS)
            T_CHECK(atomic_load(&stack_of) == last); /* the hottest one is taken again */
        T_EQ(atomic_load(&cleanups), i > 0);
        T_RC(gee_ctx_cause(owner), panic ? GEE_EPANIC : 0);
        gee_ctx_end(owner);
        T_EQ(t_owners_freed(), 1);
    }
}

static void test_the_stack_of_the_dead_is_the_next_ones(void **state) {
    (void)state;
    t_sim(dies, NULL);
}

/* --- left over: the end of the runtime does not wait for ever --- */

static void never_ends(gee_ctx *ctx, void *arg) {
    gee_chan *ch = arg;
    (void)ctx;
    gee_chan_recv(NULL, ch, NULL);
}

static void leaves_one(gee_ctx *ctx, void *arg) {
    gee_ctx *owner = t_owner(ctx);
    gee_go(owner, never_ends, arg);
    gee_ctx_end(owner);
}

/* In a process of its own: what such a task holds is lost. */
static void test_who_is_left_over_loses_its_stack_and_keeps_its_owner(void **state) {
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        gee_chan *ch = gee_chan_new(0, 0);
        bool ok = freopen("/dev/null", "w", stderr) != NULL;
        ok = ok && gee_run(&(gee_config){.sim = true}, leaves_one, ch) == UV_EBUSY;
        ok = ok && gee_count_sum(GEE_COUNT_STACKS) == 0 && t_owners_freed() == 0;
        if (ok)
            execl("/bin/true", "true", (char *)NULL); /* and no leak check on the way out */
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_who_is_left_over_loses_its_stack_and_keeps_its_owner), /* it forks */
    cmocka_unit_test(test_a_runnable_task_holds_its_owner_and_a_stack_once_it_ran),
    cmocka_unit_test(test_a_task_that_the_loop_starts_is_on_its_stack),
    cmocka_unit_test(test_the_stack_of_the_dead_is_the_next_ones),
};

T_MAIN(tests)
