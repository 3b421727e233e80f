/*
 * A spin lock for sections of a few instructions that never park and never
 * call user code. Not a pthread mutex: that would order, in TSan's eyes, every
 * two tasks that ever touched the same channel, and hide their races on other
 * data. Zeroed is unlocked.
 */
#ifndef GEE_BASE_SPIN_H
#define GEE_BASE_SPIN_H

#include "base/tools.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef atomic_bool gee_spin;

/* For loops that wait for another core: the other thread of this one runs meanwhile. */
static inline void gee_spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void gee_spin_lock(gee_spin *s) {
    for (unsigned n = 1; atomic_exchange_explicit(s, true, memory_order_acquire); n++) {
        gee_spin_pause();
        if (n % 64 == 0)
            sched_yield(); /* the holder may have lost its core */
    }
    gee_vg_lock_acquired(s);
}

static inline void gee_spin_unlock(gee_spin *s) {
    gee_vg_lock_released(s);
    gee_atomic_store(s, false, memory_order_release);
}

#endif
