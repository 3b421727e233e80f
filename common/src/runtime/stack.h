/*
 * Task stacks: a mapping with a guard page at its low end, cached per worker.
 *
 * Only the pages that a task touches are resident. Huge pages are refused: one
 * would back a parked task's few hundred bytes with 2 MiB.
 */
#ifndef GEE_RUNTIME_STACK_H
#define GEE_RUNTIME_STACK_H

#include "base/tools.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gee_stack {
    char *base;    /* of the mapping, guard page included; NULL: none */
    uint32_t size; /* of the mapping */
    unsigned vg_id;
} gee_stack;

/* Up to FULL are kept, the hottest on top; when it is full the coldest are given back. */
enum { GEE_STACKS_KEPT = 64, GEE_STACKS_FULL = 64 + 256 };

/* The caller's worker owns it: no lock. */
typedef struct gee_stack_cache {
    gee_stack free[GEE_STACKS_FULL];
    int n;
} gee_stack_cache;

/* 0 or UV_ENOMEM. `size` is the usable part, a multiple of the page size. */
int gee_stack_get(gee_stack_cache *c, size_t size, gee_stack *out);
void gee_stack_put(gee_stack_cache *c, gee_stack *s);
void gee_stack_cache_free(gee_stack_cache *c);

/* Is it below the stack: where a task gets that needs more than it has? */
bool gee_stack_is_guard(const gee_stack *s, const void *addr);
/*
 * Above the first frame some bytes stay zero: a tool that walks up a stack reads on behind
 * that frame, and ends where a return address is 0. DRD has died of the page behind.
 */
enum { GEE_STACK_END = 64 };
/* Above these there is room for the task itself: task.c. */
enum { GEE_STACK_ROOM = 320 };
char *gee_stack_low(const gee_stack *s); /* lowest usable byte */
static inline void *gee_stack_room(const gee_stack *s) {
    return s->base + s->size - GEE_STACK_ROOM;
}
/* In a handler too, on the loop while a task is current: it runs between the loop and the task,
 * and TSan, for whom these are two threads, would see the one read what the other's maker wrote. */
GEE_TSAN_CARRIER static inline char *gee_stack_top(const gee_stack *s) {
    return s->base + s->size - GEE_STACK_ROOM - GEE_STACK_END;
}

#endif
