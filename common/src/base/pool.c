#include "base/pool.h"
#include "base/tools.h"
#include <stdlib.h>

enum { KEPT = 64 }; /* of a kind, by a thread */

struct item {
    struct item *next;
};

static _Thread_local struct pool {
    struct item *items;
    int room; /* for so many more */
} pools[GEE_POOL_KINDS];

void *gee_pool_get(enum gee_pool kind, size_t size) {
    struct pool *pool = &pools[kind];
    struct item *item = pool->items;
    if (item == NULL)
        return malloc(size);
    pool->items = item->next;
    pool->room++;
    return item;
}

void gee_pool_put(enum gee_pool kind, void *p) {
    struct pool *pool = &pools[kind];
    struct item *item = p;
    if (pool->room == 0) {
        free(p);
        return;
    }
    item->next = pool->items;
    pool->items = item;
    pool->room--;
}

void gee_pools_keep(bool on) {
    for (int kind = 0; kind < GEE_POOL_KINDS; kind++) {
        struct pool *pool = &pools[kind];
        pool->room = on && GEE_POOLS ? KEPT : 0;
        while (!on && pool->items) {
            struct item *item = pool->items;
            pool->items = item->next;
            free(item);
        }
    }
}
