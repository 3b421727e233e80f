#include "runtime/task.h"
#include "base/count.h"
#include "base/pool.h"
#include "base/tools.h"
#include "runtime/park.h"
#include "runtime/probe.h"
#include "runtime/worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Boost.Context's C linkage: a switch saves six registers and two control words. */
typedef struct transfer {
    void *fctx; /* who jumped here, to jump back to */
    void *data;
} transfer;
transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *stack_top, size_t size, void (*fn)(transfer));

static const char *const reason_text[] = {
#define X(id, text) text,
    GEE_WAIT_REASONS(X)
#undef X
};

const char *gee_wait_reason_text(enum gee_wait_reason r) {
    return reason_text[r];
}

const char *gee_task_state_text(enum gee_task_state s) {
    static const char *const text[] = {"runnable", "running", "waiting", "dead"};
    return text[s];
}

static void run_queue_push(gee_worker *w, gee_task *t) {
    t->state = GEE_TASK_RUNNABLE;
    t->since_ns = w->now_ns;
    gee_list_push(&w->runq, &t->link);
    w->runq_len++;
}

static void wake_from_inbox(gee_work *work) {
    gee_task *t = gee_container(work, gee_task, wake);
    run_queue_push(t->worker, t);
}

static void join_worker(gee_task *t) {
    gee_worker *w = t->worker;
    t->id = gee_task_next_id(w);
    if (t->family == 0)
        t->family = t->id;
    t->created_ns = w->now_ns;
    t->origin = gee_origin_started(&w->origins, t->created_at, t->origin);
    gee_list_push(&w->tasks, &t->all);
    gee_worker_add_task(w);
    gee_list_init(&t->kin);
    if (w->current) /* who spawns it */
        gee_list_push(&w->current->kin, &t->kin);
    run_queue_push(w, t);
}

static void join_from_inbox(gee_work *work) {
    gee_task *t = gee_container(work, gee_task, wake);
    t->wake.fn = wake_from_inbox;
    join_worker(t);
    gee_worker_arrived(t->worker);
}

static void entry(transfer from);

static void set_stack(gee_worker *w, gee_task *t, const gee_stack *stack) {
    t->stack = *stack;
    t->fctx = make_fcontext(gee_stack_top(stack), w->rt->stack_size, entry);
#ifdef GEE_TSAN
    t->fiber = __tsan_create_fiber(0);
    __tsan_set_fiber_name(t->fiber, t->name);
#endif
}

static int take_stack(gee_worker *w, gee_task *t) {
    gee_stack stack;
    if (gee_stack_get(&w->stacks, w->rt->stack_size, &stack) < 0)
        return UV_ENOMEM;
    set_stack(w, t, &stack);
    return 0;
}

bool gee_task_feed(gee_worker *w) {
    while (!gee_list_empty(&w->starved)) {
        gee_task *t = gee_container(w->starved.next, gee_task, link);
        if (take_stack(w, t) < 0)
            return false;
        gee_list_del(&t->link);
        run_queue_push(w, t);
    }
    return true;
}

_Static_assert(!GEE_POOLS || sizeof(gee_task) <= GEE_STACK_ROOM, "a task fits on top of its stack");

/* Nobody is in front of it: it runs next. Under the tools each task is a block of its own. */
static bool runs_next(const gee_worker *w) {
    return GEE_POOLS && w->current == NULL && w->runq_len == 0;
}

/* Zeroed. Its stack, if it is on it; else no base. NULL: no memory. */
static gee_task *new_task(gee_worker *w, bool on_stack, gee_stack *stack) {
    gee_task *t;
    stack->base = NULL;
    if (on_stack && gee_stack_get(&w->stacks, w->rt->stack_size, stack) == 0)
        t = gee_stack_room(stack);
    else
        t = gee_pool_get(GEE_POOL_TASKS, sizeof(*t));
    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof(*t));
    t->on_stack = stack->base != NULL;
    return t;
}

/* The spawner makes the task, so that what it releases for TSan lives as long as the task. */
int gee_task_spawn(gee_worker *w, const gee_spawn *s) {
    gee_worker *self = gee_worker_self();
    gee_task *by = self ? self->current : NULL;
    bool here = w == self;
    if (here && !gee_list_empty(&w->starved) && !gee_task_feed(w))
        return UV_ENOMEM; /* the tasks that are there come first */
    gee_stack stack;
    gee_task *t = new_task(w, here && runs_next(w), &stack);
    if (t == NULL)
        return UV_ENOMEM;
    t->worker = w;
    t->created_at = s->site;
    if (by) {
        t->family = by->family;
        t->origin = by->origin;
    }
    t->fn = s->fn;
    t->arg = s->arg;
    t->owner = s->owner;
    t->on_panic = s->on_panic;
    t->on_exit = s->on_exit;
    t->wake.fn = here ? wake_from_inbox : join_from_inbox;
    gee_task_set_name(t, s->name);
    gee_list_init(&t->link);
    gee_count(GEE_COUNT_TASKS, 1);
    gee_race_release(t);
    if (self && self->probe)
        gee_probe_ready(self, t);
    if (t->on_stack)
        set_stack(w, t, &stack); /* for a probe, who has a stack is not new */
    if (here) {
        join_worker(t);
    } else {
        gee_worker_expects(w);
        gee_post(w, &t->wake);
    }
    return 0;
}

void gee_task_set_name(gee_task *t, const char *name) {
    size_t n = strlen(name);
    if (n >= sizeof(t->name))
        n = sizeof(t->name) - 1;
    memcpy(t->name, name, n);
    t->name[n] = '\0';
    t->traced.name = 0;
}

uint64_t gee_task_id(const gee_task *t) {
    return t->id;
}

uint64_t gee_task_family(void) {
    gee_task *t = gee_task_self();
    return t ? t->family : 0;
}

gee_task *gee_task_self(void) {
    gee_worker *w = gee_worker_self();
    return w ? w->current : NULL;
}

/* The end of t, on its stack. */
static _Noreturn void end(gee_task *t) {
    if (t->on_exit)
        t->on_exit(t);
    gee_race_release(t->worker->rt);
    t->state = GEE_TASK_DEAD;
    gee_task_switch_out(t);
    abort(); /* the dead are not resumed */
}

static void entry(transfer from) {
    gee_task *t = from.data;
    gee_worker *w = t->worker;
    w->sched = from.fctx;
#ifdef GEE_ASAN
    __sanitizer_finish_switch_fiber(NULL, &w->stack_low, &w->stack_size);
#endif
    gee_race_acquire(t);
    t->fn(t->owner, t->arg);
    end(t);
}

static void last_words(transfer from) {
    gee_task *t = from.data;
    t->on_panic(t, &t->worker->panic);
    end(t);
}

/*
 * To the outermost recover, which costs a task nothing until it is needed: what is on the stack is
 * nobody's any more, so there is no way back to keep, and the stack begins anew.
 */
_Noreturn void gee_task_end_by_panic(gee_task *t) {
#ifdef GEE_ASAN
    __asan_handle_no_return();
#endif
    jump_fcontext(make_fcontext(gee_stack_top(&t->stack), t->worker->rt->stack_size, last_words),
                  t);
    abort();
}

void gee_task_switch_out(gee_task *t) {
    gee_worker *w = t->worker;
#ifdef GEE_ASAN
    __sanitizer_start_switch_fiber(t->state == GEE_TASK_DEAD ? NULL : &t->fake_stack, w->stack_low,
                                   w->stack_size);
#endif
#ifdef GEE_TSAN
    __tsan_switch_to_fiber(w->fiber, GEE_TSAN_NO_SYNC);
#endif
    transfer back = jump_fcontext(w->sched, NULL);
    w->sched = back.fctx;
#ifdef GEE_ASAN
    __sanitizer_finish_switch_fiber(t->fake_stack, &w->stack_low, &w->stack_size);
#endif
}

static void switch_in(gee_worker *w, gee_task *t) {
#ifdef GEE_ASAN
    __sanitizer_start_switch_fiber(&w->fake_stack, gee_stack_low(&t->stack),
                                   (size_t)(gee_stack_top(&t->stack) - gee_stack_low(&t->stack)));
#endif
#ifdef GEE_TSAN
    __tsan_switch_to_fiber(t->fiber, GEE_TSAN_NO_SYNC);
#endif
    transfer back = jump_fcontext(t->fctx, t);
#ifdef GEE_ASAN
    __sanitizer_finish_switch_fiber(w->fake_stack, NULL, NULL);
#endif
    t->fctx = back.fctx;
    (void)w;
}

/* Its worker knows it no more. */
static void leave(gee_task *t) {
#ifdef GEE_TSAN
    if (t->fiber)
        __tsan_destroy_fiber(t->fiber);
#endif
    gee_list_del(&t->all);
    gee_list_del(&t->kin);
    t->origin->finished++;
    gee_count(GEE_COUNT_TASKS, -1);
    t->worker->ntasks--;
}

static void forget(gee_task *t) {
    gee_worker *w = t->worker;
    gee_stack stack = t->stack;
    leave(t);
    if (!t->on_stack)
        gee_pool_put(GEE_POOL_TASKS, t);
    if (stack.base)
        gee_stack_put(&w->stacks, &stack);
}

/* A thread of the pool works for it, or will, and nothing stops that. */
static bool is_on_thread(const gee_task *t) {
    return t->state == GEE_TASK_WAITING && t->reason == GEE_WAIT_BLOCKING && !t->worker->rt->sim;
}

void gee_task_abandon(gee_task *t) {
    gee_list_del(&t->link);
    if (!is_on_thread(t)) {
        forget(t);
        return;
    }
    gee_park_claim(t->park, 0); /* when it is done there is nobody to wake */
    leave(t); /* its stack stays mapped, and it stays: that thread looks at both */
}

void gee_task_run(gee_worker *w, gee_task *t) {
    gee_list_del(&t->link);
    w->runq_len--;
    if (t->stack.base == NULL && take_stack(w, t) < 0) {
        gee_list_push(&w->starved, &t->link);
        gee_worker_hungry(w);
        return;
    }
    t->state = GEE_TASK_RUNNING;
    t->since_ns = w->now_ns;
    w->current = t;
    atomic_signal_fence(memory_order_seq_cst); /* a signal's handler finds whom it interrupts */
    if (w->probe)
        gee_probe_begin(w, t);
    switch_in(w, t);
    if (w->probe)
        gee_probe_end(w, t);
    w->current = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    if (t->state != GEE_TASK_DEAD)
        return;
    forget(t);
    gee_list *starved = gee_list_pop(&w->starved);
    if (starved)
        run_queue_push(w, gee_container(starved, gee_task, link));
}

void gee_task_ready(gee_task *t) {
    gee_worker *self = gee_worker_self();
    if (self && self->probe)
        gee_probe_ready(self, t);
    if (t->worker == self)
        run_queue_push(t->worker, t);
    else
        gee_post(t->worker, &t->wake);
}

void gee_yield(void) {
    gee_task *t = gee_task_self();
    run_queue_push(t->worker, t);
    gee_task_switch_out(t);
}
