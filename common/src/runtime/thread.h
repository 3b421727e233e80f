/*
 * What a signal handler may know of the thread that it interrupts: where its stack is, and for
 * whom it works. A thread writes this of itself, and only its own handlers read it; so a compiler
 * must be told of the order (atomic_signal_fence), and a processor need not be.
 */
#ifndef GEE_RUNTIME_THREAD_H
#define GEE_RUNTIME_THREAD_H

#include "runtime/task.h"
#include <stdatomic.h>
#include <stdint.h>

typedef struct gee_thread {
    uintptr_t stack_low, stack_high; /* both 0: not known */
    /* Of a thread of the pool: the task whose call it runs; id 0: none. */
    uint64_t task;
    gee_site created_at;
    char name[32];
} gee_thread;

extern GEE_TLS_OF_HANDLERS gee_thread gee_this_thread;

/* The calling thread has a stack, and will say where. Once is enough. */
void gee_thread_know_stack(void);

/* From here to gee_thread_work_done() the calling thread works for t, which is parked. */
void gee_thread_work_for(const gee_task *t);
void gee_thread_work_done(void);

#endif
