#include "runtime/task.h"
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
    gee_list_init(&t->kin);
    if (w->current) /* who spawns it */
        gee_list_push(&w->current->kin, &t->kin);
    run_queue_push(w, t);
}

static void join_from_inbox(gee_work *work) {
    gee_task *t = gee_container(work, gee_task, wake);
    t->wake.fn = wake_from_inbox;
    join_worker(t);
}

static void entry(transfer from);

static int take_stack(gee_worker *w, gee_task *t) {
    if (gee_stack_get(&w->stacks, w->rt->stack_size, &t->stack) < 0)
        return UV_ENOMEM;
    t->fctx = make_fcontext(gee_stack_top(&t->stack), w->rt->stack_size, entry);
#ifdef GEE_TSAN
    t->fiber = __tsan_create_fiber(0);
    __tsan_set_fiber_name(t->fiber, t->name);
#endif
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

/* The spawner makes the task, so that what it releases for TSan lives as long as the task. */
int gee_task_spawn(gee_worker *w, const gee_spawn *s) {
    gee_worker *self = gee_worker_self();
    gee_task *by = self ? self->current : NULL;
    bool here = w == self;
    if (here && !gee_task_feed(w))
        return UV_ENOMEM; /* the tasks that are there come first */
    gee_task *t = gee_pool_get(GEE_POOL_TASKS, sizeof(*t));
    if (t == NULL)
        return UV_ENOMEM;
    memset(t, 0, sizeof(*t));
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
    atomic_fetch_add_explicit(&w->rt->live, 1, memory_order_relaxed);
    gee_race_release(t);
    if (self && self->probe)
        gee_probe_ready(self, t);
    if (here)
        join_worker(t);
    else
        gee_post(w, &t->wake);
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

static void call(void *arg) {
    gee_task *t = arg;
    t->fn(t->owner, t->arg);
}

static void entry(transfer from) {
    gee_task *t = from.data;
    gee_worker *w = t->worker;
    w->sched = from.fctx;
#ifdef GEE_ASAN
    __sanitizer_finish_switch_fiber(NULL, &w->stack_low, &w->stack_size);
#endif
    gee_race_acquire(t);
    if (gee_recover(call, t, &w->panic) < 0)
        t->on_panic(t, &w->panic);
    if (t->on_exit)
        t->on_exit(t);
    gee_race_release(w->rt);
    t->state = GEE_TASK_DEAD;
    gee_task_switch_out(t);
    abort(); /* the dead are not resumed */
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

static void forget(gee_task *t) {
    gee_worker *w = t->worker;
#ifdef GEE_TSAN
    if (t->fiber)
        __tsan_destroy_fiber(t->fiber);
#endif
    if (t->stack.base)
        gee_stack_put(&w->stacks, &t->stack);
    gee_list_del(&t->all);
    gee_list_del(&t->kin);
    t->origin->finished++;
    gee_pool_put(GEE_POOL_TASKS, t);
    gee_worker_task_gone(w);
}

/* Nothing stops a thread of the pool that works for the task, with what is on its stack. */
static bool is_on_thread(const gee_task *t) {
    return t->state == GEE_TASK_WAITING && t->reason == GEE_WAIT_BLOCKING && !t->worker->rt->sim;
}

void gee_task_abandon(gee_task *t) {
    gee_list_del(&t->link);
    if (is_on_thread(t)) {
        gee_park_claim(t->park, 0); /* when it is done there is nobody to wake */
        t->stack.base = NULL;       /* it stays mapped */
    }
    forget(t);
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
