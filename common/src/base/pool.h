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
#include <stdlib.h>

enum gee_pool {
    GEE_POOL_BLOCKS,
    GEE_POOL_BUFS,
    GEE_POOL_PARSERS,
    GEE_POOL_CTXS,
    GEE_POOL_TIMED_CTXS,
    GEE_POOL_TASKS,
    GEE_POOL_KINDS
};

/* As malloc and free. Of one kind the size, of at least a pointer, is always the same. */
#if GEE_POOLS
typedef struct gee_pool_item {
    struct gee_pool_item *next;
} gee_pool_item;

extern _Thread_local struct gee_pool_of {
    gee_pool_item *items;
    int room; /* for so many more */
} gee_pools[GEE_POOL_KINDS];

static inline void *gee_pool_get(enum gee_pool kind, size_t size) {
    struct gee_pool_of *pool = &gee_pools[kind];
    gee_pool_item *item = pool->items;
    if (item == NULL)
        return malloc(size);
    pool->items = item->next;
    pool->room++;
    return item;
}

static inline void gee_pool_put(enum gee_pool kind, void *p) {
    struct gee_pool_of *pool = &gee_pools[kind];
    gee_pool_item *item = p;
    if (pool->room == 0) {
        free(p);
        return;
    }
    item->next = pool->items;
    pool->items = item;
    pool->room--;
}
#else
void *gee_pool_get(enum gee_pool kind, size_t size);
void gee_pool_put(enum gee_pool kind, void *p);
#endif

/* The calling thread begins to keep; off: it frees what it has kept. */
void gee_pools_keep(bool on);

#endif
