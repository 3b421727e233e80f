#include "guard.h"
#include "gee/task.h"
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>

enum { MAX_WORKERS = 64, LINE = 64 };

/* Odd: somebody is inside. A cache line each, or the workers would share what is to keep them
 * apart. */
static struct slot { alignas(LINE) _Atomic unsigned long turns; } slots[MAX_WORKERS];

/*
 * The addition comes before the reader's load in the one order of all seq_cst operations, and a
 * replacement before the loads in guard_wait. So either the reader has the new one, or its turn is
 * seen here. It acquires as well: what this worker's reader before did is then behind this one's
 * leaving, too, and whoever sees that has seen both go.
 */
void guard_enter(void) {
    atomic_fetch_add_explicit(&slots[gee_worker_index()].turns, 1, memory_order_seq_cst);
}

void guard_leave(void) {
    struct slot *s = &slots[gee_worker_index()];
    unsigned long turns = atomic_load_explicit(&s->turns, memory_order_relaxed);
    atomic_store_explicit(&s->turns, turns + 1, memory_order_release);
}

void guard_wait(void) {
    for (int i = 0; i < gee_workers(); i++) {
        unsigned long seen = atomic_load_explicit(&slots[i].turns, memory_order_seq_cst);
        for (unsigned n = 1; seen % 2 == 1; n++) {
            if (atomic_load_explicit(&slots[i].turns, memory_order_acquire) != seen)
                break;
            if (n % 64 == 0)
                sched_yield(); /* the reader may have lost its core */
        }
    }
}
