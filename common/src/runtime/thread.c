#include "runtime/thread.h"
#include <pthread.h>
#include <string.h>

GEE_TLS_OF_HANDLERS gee_thread gee_this_thread;

void gee_thread_know_stack(void) {
    gee_thread *self = &gee_this_thread;
    pthread_attr_t attr;
    void *low;
    size_t size;
    if (self->stack_high != 0 || pthread_getattr_np(pthread_self(), &attr) != 0)
        return;
    if (pthread_attr_getstack(&attr, &low, &size) == 0) {
        self->stack_low = (uintptr_t)low;
        atomic_signal_fence(memory_order_release);
        self->stack_high = (uintptr_t)low + size;
    }
    pthread_attr_destroy(&attr);
}

void gee_thread_work_for(const gee_task *t) {
    gee_thread *self = &gee_this_thread;
    gee_thread_know_stack();
    self->created_at = t->created_at;
    memcpy(self->name, t->name, sizeof(self->name));
    atomic_signal_fence(memory_order_release);
    self->task = t->id;
}

void gee_thread_work_done(void) {
    gee_this_thread.task = 0;
    atomic_signal_fence(memory_order_release);
}
