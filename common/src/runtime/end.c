/*
 * The end of a worker, in two steps, for tasks may be left and wait for anything. Whom they have
 * asked finds the question on the task's stack: another worker in its inbox, a client in what its
 * socket still brings. So first all of that comes, on every worker (it settles), while no task runs
 * any more; and then the tasks are dropped. From there on nobody calls anything that is of a task,
 * and nobody sends anything to another worker.
 */
#include "runtime/overflow.h"
#include "runtime/transport.h"
#include <stdio.h>

void gee_worker_let_go(gee_worker *w) {
    for (; w->nheld > 0; w->nheld--)
        uv_sem_post(w->held);
}

typedef void (*handle_fn)(uv_handle_t *h);

static void each_own(gee_worker *w, handle_fn fn) {
    fn((uv_handle_t *)&w->alarm);
    if (w->bell.loop) /* else it was never there: it failed at its start */
        fn((uv_handle_t *)&w->bell);
    if (w->prepare.loop)
        fn((uv_handle_t *)&w->prepare);
}

static void close_own(uv_handle_t *h) {
    uv_close(h, NULL);
}

static void print_other(uv_handle_t *h, void *n) {
    const gee_worker *w = h->loop->data;
    if (h == (uv_handle_t *)&w->bell || h == (uv_handle_t *)&w->alarm ||
        h == (uv_handle_t *)&w->prepare)
        return;
    ++*(int *)n;
    fprintf(stderr, "gee: left over: %s handle %p (%s)\n", uv_handle_type_name(h->type), (void *)h,
            uv_is_closing(h) ? "closing" : "never closed");
}

void gee_worker_settle(gee_worker *w) {
    gee_worker_read_inbox(w);
    gee_worker_run_deferred(w);
    if (!gee_list_empty(&w->tasks) && !w->rt->deadlock)
        gee_worker_print_tasks(w, "tasks left over after main returned:");
    gee_io_close_dead(w, w->ndead);
    each_own(w, uv_unref);
    for (int i = 0; i < 16 && uv_loop_alive(&w->loop); i++) {
        uv_run(&w->loop, UV_RUN_NOWAIT); /* close callbacks may close more */
        gee_io_close_dead(w, w->ndead);
        gee_worker_run_deferred(w);
    }
}

/* Unless somebody's handle is still in it, or a request under way: both may yet call somebody. */
static void close_loop(gee_worker *w) {
    int others = 0;
    each_own(w, uv_unref);
    uv_walk(&w->loop, print_other, &others);
    w->loop_busy = others > 0 || uv_loop_alive(&w->loop);
    if (w->loop_busy)
        return;
    each_own(w, close_own);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    w->loop_busy = uv_loop_close(&w->loop) != 0;
}

void gee_worker_close(gee_worker *w) {
    gee_worker_read_inbox(w); /* wake-ups by those that settled later */
    gee_worker_run_deferred(w);
    w->left_over = !gee_list_empty(&w->tasks);
    gee_list_each_safe (it, &w->tasks)
        gee_task_abandon(gee_container(it, gee_task, all));
    gee_timer_stop(&w->again);
    close_loop(w);
    gee_stack_cache_free(&w->stacks);
    gee_overflow_leave(w);
    gee_worker_free_buffers(w);
}
