/*
 * An arena: memory that lives as long as its owner, freed at once. A request
 * has one; everything that belongs to the request comes out of it.
 *
 * The first block is kept over a reset, so that a keep-alive connection asks
 * malloc for nothing. Not shared: only the task that owns the arena allocates.
 */
#ifndef GEE_BASE_ARENA_H
#define GEE_BASE_ARENA_H

#include "base/tools.h"
#include <stdalign.h>
#include <stddef.h>

typedef struct gee_arena {
    struct gee_arena_block *head; /* the block being filled; the first one is last in the chain */
    char *at;                     /* its part that is free, aligned for any type */
    size_t left;
} gee_arena;

static inline size_t gee_aligned(size_t n) {
    return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

void *gee_arena_alloc_more(gee_arena *a, size_t n);

/* Zeroed on request only; aligned for any type. NULL when memory is out. */
GEE_TSAN_CARRIER static inline void *gee_arena_alloc(gee_arena *a, size_t n) {
    char *p = a->at;
    if (n == 0 || n > a->left)
        return gee_arena_alloc_more(a, n);
    n = gee_aligned(n); /* not more than is left: that is aligned too */
    a->at += n;
    a->left -= n;
    return p;
}

void *gee_arena_calloc(gee_arena *a, size_t n);
/* The latest allocation p of n bytes grows to `more`, in place where it can. If it moves, nobody
 * may use p any more. NULL: p is as it was. */
void *gee_arena_grow(gee_arena *a, void *p, size_t n, size_t more);
char *gee_arena_strndup(gee_arena *a, const char *s, size_t n);
size_t gee_arena_bytes(const gee_arena *a); /* that it holds */
void gee_arena_reset(gee_arena *a);
void gee_arena_free(gee_arena *a);

#endif
