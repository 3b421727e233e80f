/*
 * Holds a thread in a malloc until another one has done its part. The kernel may take the CPU from
 * a thread anywhere, for as long as it likes; this is a place where the test can.
 *
 * Included once by a test program that is linked with --wrap=malloc (chapter.mk). All mallocs of
 * the library, the unit and the test come by here, on all threads.
 */
#ifndef CH03_HOLD_H
#define CH03_HOLD_H

#include "base/tools.h"
#include "t_turn.h"
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Who is held with a lock in his hand keeps the other one from its part. After a while he goes on:
 * that malloc was under a lock, and nobody else can come in between there.
 */
enum { HOLD_S = 6 };

/*
 * At its nth malloc from now, 1 is the next one, the calling task passes the turn and waits for
 * another. One task at a time. (Not a _Thread_local: TSan takes that a thread begins with
 * for a write to it, and knows of no order between that and a task.)
 */
static struct hold {
    _Atomic(gee_task *) task;
    t_turn *turn;
    int n, pass, await;
} hold;

static void hold_me(int n, t_turn *turn, int pass, int await) {
    hold.n = n;
    hold.turn = turn;
    hold.pass = pass;
    hold.await = await;
    gee_vg_overlook(&hold.task, sizeof(hold.task));
    atomic_store_explicit(&hold.task, gee_task_self(), memory_order_relaxed);
}

/* True if it has been held. */
static bool hold_no_more(void) {
    return atomic_exchange_explicit(&hold.task, NULL, memory_order_relaxed) == NULL;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) {
    gee_task *task = atomic_load_explicit(&hold.task, memory_order_relaxed);
    if (task && task == gee_task_self() && --hold.n == 0) {
        hold_no_more();
        t_turn_pass(hold.turn, hold.pass);
        t_turn_await_for(hold.turn, hold.await, HOLD_S);
    }
    return __real_malloc(n);
}

#endif
