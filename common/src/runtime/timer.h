/*
 * Timers of a worker: a binary heap by deadline. Two timers of one deadline
 * fire in the order in which they were armed.
 *
 * A timer belongs to the worker that armed it; its callback runs on that
 * worker's loop, not in a task, and may not park. The owner provides the
 * memory and stops the timer before that goes away.
 */
#ifndef GEE_RUNTIME_TIMER_H
#define GEE_RUNTIME_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gee_worker;

typedef struct gee_timer {
    uint64_t when_ns;
    uint64_t seq;
    size_t slot; /* 1 + index in the heap; 0: not armed */
    void (*fn)(struct gee_timer *t);
    struct gee_worker *worker; /* that armed it */
} gee_timer;

/* With its time beside it: what is compared with others is not fetched from all over memory. */
typedef struct gee_timer_place {
    uint64_t when_ns;
    gee_timer *timer;
} gee_timer_place;

typedef struct gee_timers {
    gee_timer_place *heap;
    size_t n, cap;
    uint64_t seq;
} gee_timers;

/* Arms or re-arms t on the calling worker. 0 or UV_ENOMEM. */
int gee_timer_start(gee_timer *t, uint64_t when_ns, void (*fn)(gee_timer *t));
/* True if it was armed. */
bool gee_timer_stop(gee_timer *t);

static inline bool gee_timer_armed(const gee_timer *t) {
    return t->slot != 0;
}

/* For the worker's loop. */
int gee_timers_init(gee_timers *ts);            /* 0 or UV_ENOMEM; nothing to free then */
uint64_t gee_timers_next(const gee_timers *ts); /* UINT64_MAX: none */
void gee_timers_fire(struct gee_worker *w, gee_timers *ts, uint64_t now_ns);
void gee_timers_free(gee_timers *ts);

#endif
