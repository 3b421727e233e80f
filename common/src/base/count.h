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

#include <stdint.h>

enum gee_count_kind {
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
void gee_count(enum gee_count_kind kind, int64_t delta);
int64_t gee_count_sum(enum gee_count_kind kind);

#endif
