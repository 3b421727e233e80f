/*
 * The census: how many of each kind exist now. Every constructor adds one and
 * every destructor takes one away, so a test can prove that nothing is left.
 *
 * Each worker thread writes only its own row, without a locked instruction;
 * threads outside the runtime share row 0. An object may be made on one thread
 * and freed on another, so a single row means nothing: only the sum does.
 */
#ifndef GEE_BASE_COUNT_H
#define GEE_BASE_COUNT_H

#include "base/tools.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum gee_count_kind {
    GEE_COUNT_TASKS, /* the first: gee-gdb.py looks here */
    GEE_COUNT_STACKS,
    GEE_COUNT_TIMERS, /* armed */
    GEE_COUNT_CTXS,
    GEE_COUNT_CHANS,
    GEE_COUNT_CONNS,
    GEE_COUNT_REQS,
    GEE_COUNT_COPIES,   /* of requests */
    GEE_COUNT_BYTES,    /* held by buffers and arenas */
    GEE_COUNT_REJECTED, /* requests, ever: the one that only grows */
    GEE_COUNT_KINDS
};

enum { GEE_MAX_WORKERS = 64 };

/* Binds the calling thread to `row` (1..GEE_MAX_WORKERS); 0 unbinds it. */
void gee_count_bind(int row);
void gee_count_shared(enum gee_count_kind kind, int64_t delta);

typedef struct gee_count_row {
    _Alignas(64) _Atomic int64_t n[GEE_COUNT_KINDS];
} gee_count_row;

extern GEE_TLS_OF_HANDLERS gee_count_row *gee_count_own; /* NULL: the thread shares row 0 */

/* Inline: a request counts a dozen times. */
GEE_TSAN_CARRIER static inline void gee_count(enum gee_count_kind kind, int64_t delta) {
    gee_count_row *own = gee_count_own;
    if (own)
        gee_atomic_store(&own->n[kind],
                         atomic_load_explicit(&own->n[kind], memory_order_relaxed) + delta,
                         memory_order_relaxed);
    else
        gee_count_shared(kind, delta);
}

int64_t gee_count_sum(enum gee_count_kind kind);

#endif
