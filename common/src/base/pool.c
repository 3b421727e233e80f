#include "base/pool.h"

#if GEE_POOLS

enum { KEPT = 64 }; /* of a kind, by a thread */

_Thread_local struct gee_pool_of gee_pools[GEE_POOL_KINDS];

void gee_pools_keep(bool on) {
    for (int kind = 0; kind < GEE_POOL_KINDS; kind++) {
        struct gee_pool_of *pool = &gee_pools[kind];
        pool->room = on ? KEPT : 0;
        while (!on && pool->items) {
            gee_pool_item *item = pool->items;
            pool->items = item->next;
            free(item);
        }
    }
}

#else

void *gee_pool_get(enum gee_pool kind, size_t size) {
    (void)kind;
    return malloc(size);
}

void gee_pool_put(enum gee_pool kind, void *p) {
    (void)kind;
    free(p);
}

void gee_pools_keep(bool on) {
    (void)on;
}

#endif
