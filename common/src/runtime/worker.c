/* The loop of a worker, its inbox and its identity. */
#include "runtime/worker.h"
#include "base/count.h"
#include "base/pool.h"
#include "base/tools.h"
#include "runtime/overflow.h"
#include "runtime/thread.h"
#include "runtime/transport.h"
#include <stdio.h>
#include <stdlib.h>

GEE_TLS_OF_HANDLERS gee_worker *gee_this_worker;

#ifdef GEE_TSAN
gee_worker *gee_worker_self(void) {
    return gee_this_worker;
}
#endif

void gee_worker_check(const gee_worker *w, const char *what) {
    if (w == gee_this_worker)
        return;
    fprintf(stderr, "gee: %s of worker %d is used from ", what, w->index);
    if (gee_this_worker)
        fprintf(stderr, "worker %d\n", gee_this_worker->index);
    else
        fprintf(stderr, "a thread that is no worker\n");
#if !defined(GEE_TSAN) && !defined(GEE_VALGRIND)
    abort();
#endif
}

int gee_worker_index(void) {
    return gee_this_worker ? gee_this_worker->index : -1;
}

/*
 * The inbox is a stack that senders push onto and the worker takes whole. The
 * one who finds it empty rings the bell; the others know that it was rung.
 */
void gee_post(gee_worker *w, gee_work *work) {
    if (w == gee_this_worker) { /* in simulation nobody reads the inbox */
        gee_defer(work);
        return;
    }
    gee_work *head = atomic_load_explicit(&w->inbox, memory_order_relaxed);
    do {
        work->next = head;
        gee_vg_before(w);
    } while (!atomic_compare_exchange_weak_explicit(&w->inbox, &head, work, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL)
        uv_async_send(&w->bell);
}

void gee_worker_read_inbox(gee_worker *w) {
    gee_work *stack = atomic_exchange_explicit(&w->inbox, NULL, memory_order_acquire);
    gee_work *queue = NULL;
    gee_vg_after(w);
    while (stack) { /* first sent, first done */
        gee_work *next = stack->next;
        stack->next = queue;
        queue = stack;
        stack = next;
    }
    while (queue) {
        gee_work *work = queue;
        queue = work->next; /* fn may free it or send it again */
        work->fn(work);
    }
}

static void on_bell(uv_async_t *bell) {
    gee_worker *w = gee_container(bell, gee_worker, bell);
    gee_worker_awake(w);
    gee_worker_read_inbox(w);
}

void gee_defer(gee_work *work) {
    gee_worker *w = gee_this_worker;
    work->next = NULL;
    *w->deferred_end = work;
    w->deferred_end = &work->next;
}

void gee_worker_run_deferred(gee_worker *w) {
    while (w->deferred) {
        gee_work *work = w->deferred;
        w->deferred = work->next;
        if (w->deferred == NULL)
            w->deferred_end = &w->deferred;
        work->fn(work);
    }
}

/*
 * Out of memory. What needs it and cannot be refused waits here and is tried again, for
 * nothing says when there is some. The timer's place in the heap is kept free for it.
 */
enum { AGAIN_MS = 10 };

static void try_again(gee_timer *t) {
    gee_worker *w = gee_container(t, gee_worker, again);
    gee_work *work = w->hungry;
    w->hungry = NULL;
    if (!gee_task_feed(w))
        gee_worker_hungry(w);
    while (work) {
        gee_work *next = work->next;
        work->fn(work);
        work = next;
    }
}

void gee_worker_hungry(gee_worker *w) {
    if (!gee_timer_armed(&w->again))
        gee_timer_start(&w->again, gee_clock_in_ms(AGAIN_MS), try_again);
}

void gee_work_again(gee_work *work) {
    gee_worker *w = gee_this_worker;
    work->next = w->hungry;
    w->hungry = work;
    gee_worker_hungry(w);
}

/* So many slices between two looks at the outside; and behind one of its callbacks. */
enum { SLICES = 256, AT_ONCE = 16 };

static void run_slices(gee_worker *w, int n) {
    const gee_driver *driver = w->rt->driver;
    for (; n > 0 && w->slices > 0 && w->runq_len > 0; n--, w->slices--) {
        gee_worker_run_deferred(w);
        gee_task_run(w, driver->next(w));
    }
    gee_worker_run_deferred(w);
}

void gee_worker_run_at_once(gee_worker *w) {
    run_slices(w, AT_ONCE);
}

void gee_worker_expects(gee_worker *w) {
    atomic_fetch_add(&w->rt->busy, 1);
}

/* The last one tells worker 0, which may be waiting for that. */
void gee_worker_arrived(gee_worker *w) {
    gee_runtime *rt = w->rt;
    if (atomic_fetch_sub(&rt->busy, 1) == 1 && w->index != 0 && atomic_load(&rt->main_done))
        uv_async_send(&rt->workers[0].bell);
}

static bool finished(gee_worker *w) {
    gee_runtime *rt = w->rt;
    if (w->busy && w->ntasks == 0) {
        w->busy = false;
        gee_worker_arrived(w);
    }
    if (w->index != 0)
        return atomic_load(&rt->stop);
    if (!atomic_load_explicit(&rt->main_done, memory_order_relaxed))
        return false;
    if (atomic_load(&rt->busy) == 0)
        return true;
    return gee_driver_now(w) >= rt->deadline_ns;
}

int gee_worker_loop(gee_worker *w) {
    int rc = 0;
    while (rc == 0) {
        w->slices = SLICES;
        run_slices(w, SLICES);
        if (finished(w))
            break;
        w->slices = SLICES; /* for what the poll's callbacks make runnable */
        rc = w->rt->driver->poll(w);
    }
    w->slices = 0; /* nothing runs any more */
    gee_worker_let_go(w);
    return rc;
}

void gee_worker_enter(gee_worker *w) {
    gee_this_worker = w;
    gee_count_bind(w->index + 1);
#ifdef GEE_TSAN
    w->fiber = __tsan_get_current_fiber();
#endif
    gee_tsan_ignore_begin();
    gee_overflow_enter(w);
    gee_thread_know_stack();
    gee_pools_keep(true);
}

void gee_worker_leave(void) {
    gee_pools_keep(false);
    gee_tsan_ignore_end();
    gee_count_bind(0);
    gee_this_worker = NULL;
    gee_vg_stack_of_thread();
}

static bool get_buffers(gee_worker *w) {
    w->read_buf = malloc(GEE_READ_BUF);
    w->signal_stack = malloc(GEE_SIGNAL_STACK);
    return w->read_buf && w->signal_stack && gee_timers_init(&w->timers) == 0;
}

void gee_worker_free_buffers(gee_worker *w) {
    gee_timers_free(&w->timers);
    free(w->signal_stack);
    free(w->read_buf);
}

int gee_worker_init(gee_worker *w, gee_runtime *rt, int index) {
    *w = (gee_worker){.rt = rt, .index = index};
    gee_list_init(&w->runq);
    gee_list_init(&w->tasks);
    gee_list_init(&w->starved);
    gee_listeners_init(w);
    gee_list_init(&w->servers);
    w->deferred_end = &w->deferred;
    w->dead_end = &w->dead;
    w->alarm_ms = UINT64_MAX;
    w->rng = rt->seed + (uint64_t)index;
    int rc = get_buffers(w) ? uv_loop_init(&w->loop) : UV_ENOMEM;
    if (rc < 0) {
        gee_worker_free_buffers(w);
        return rc;
    }
    w->loop.data = w;
    uv_timer_init(&w->loop, &w->alarm);
    rc = uv_async_init(&w->loop, &w->bell, on_bell);
    if (rc == 0)
        rc = rt->driver->start(w);
    w->now_ns = gee_driver_now(w);
    if (rc < 0)
        gee_worker_close(w);
    return rc;
}
