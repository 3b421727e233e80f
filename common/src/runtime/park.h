/*
 * Parking: how a task waits for the first of several things.
 *
 * A gee_park stands for one wait. The task hands it to everyone who may end the
 * wait (a timer, a channel's queue, a ctx), each under an index of its own, and
 * then calls gee_park_wait(). Whoever claims the park first wakes the task; all
 * others find it taken. The task then takes back what it handed out.
 *
 * Exactly one claim wins, and a claim by another is followed by exactly one
 * wake-up. A task that finds it need not wait after all claims the park itself;
 * if that fails somebody was faster, and the wake-up must be taken by waiting.
 */
#ifndef GEE_RUNTIME_PARK_H
#define GEE_RUNTIME_PARK_H

#include "runtime/task.h"
#include <stdatomic.h>

typedef struct gee_park {
    gee_task *task;
    _Atomic int fired; /* 0, or 1 + the index of what ended the wait */
    const void *on;    /* what is waited for, as the reason has it; NULL: nothing that tasks do */
} gee_park;

static inline void gee_park_init(gee_park *p) {
    p->task = gee_task_self();
    p->on = NULL;
    atomic_init(&p->fired, 0);
}

/* True for the first to ask. From any thread. */
static inline bool gee_park_claim(gee_park *p, int index) {
    int none = 0;
    return atomic_compare_exchange_strong_explicit(&p->fired, &none, index + 1,
                                                   memory_order_acq_rel, memory_order_acquire);
}

/* Claims and wakes. After true the park may already be gone. From any thread. */
static inline bool gee_wake(gee_park *p, int index) {
    gee_task *t = p->task;
    if (!gee_park_claim(p, index))
        return false;
    gee_task_ready(t);
    return true;
}

/* Parks the calling task until someone woke p; the index that they gave. */
int gee_park_wait(gee_park *p, enum gee_wait_reason reason, gee_ctx *wait_ctx, gee_site site);

#endif
