/*
 * Pools: a thread keeps some objects of each kind when they are freed, for its next ones.
 * What a request needs for a moment (a task, a ctx, a buffer, a block of an arena) then costs a few
 * instructions, however many requests are served at once.
 *
 * An object may go back to the pool of another thread than the one it came from. Under the
 * tools that watch memory nothing is kept: see GEE_POOLS in base/tools.h.
 */
#ifndef GEE_BASE_POOL_H
#define GEE_BASE_POOL_H

#include "base/tools.h"
#include <stdbool.h>
#include <stddef.h>

enum gee_pool {
    GEE_POOL_BLOCKS,
    GEE_POOL_BUFS,
    GEE_POOL_PARSERS,
    GEE_POOL_CTXS,
    GEE_POOL_TIMED_CTXS,
    GEE_POOL_TASKS,
    GEE_POOL_BOXES,
    GEE_POOL_KINDS
};

typedef struct gee_pool_kept {
    struct gee_pool_kept *next;
} gee_pool_kept;

/* What the calling thread keeps of a kind. */
typedef struct gee_pool_list {
    gee_pool_kept *first;
    int room; /* for so many more */
} gee_pool_list;
extern _Thread_local gee_pool_list gee_pools[GEE_POOL_KINDS];

void *gee_pool_malloc(size_t size);
void gee_pool_free(void *p);

/* As malloc and free. Of one kind the size, of at least a pointer, is always the same. */
GEE_TSAN_CARRIER static inline void *gee_pool_get(enum gee_pool kind, size_t size) {
    gee_pool_list *list = &gee_pools[kind];
    gee_pool_kept *p = list->first;
    if (!GEE_POOLS || p == NULL)
        return gee_pool_malloc(size);
    list->first = p->next;
    list->room++;
    return p;
}

GEE_TSAN_CARRIER static inline void gee_pool_put(enum gee_pool kind, void *p) {
    gee_pool_list *list = &gee_pools[kind];
    gee_pool_kept *kept = p;
    if (!GEE_POOLS || list->room == 0) {
        gee_pool_free(p);
        return;
    }
    kept->next = list->first;
    list->first = kept;
    list->room--;
}

/* The calling thread begins to keep; off: it frees what it has kept. */
void gee_pools_keep(bool on);

#endif
