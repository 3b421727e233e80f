/*
 * A map and a reader-writer lock: those who look do so beside each other.
 *
 * Beside each other is not the same as apart from each other. Whoever comes and whoever leaves is
 * counted, in one place, and two workers that only read write to that place in turn.
 */
#include "map.h"
#include <stdlib.h>

typedef struct shared_map {
    store base;
    gee_rwmutex lock; /* over the map */
    map map;
} shared_map;

static store *create(void) {
    shared_map *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    m->base.refs = 1;
    return &m->base;
}

static void drop(store *s) {
    shared_map *m = (shared_map *)s;
    if (!store_unref(s))
        return;
    map_free(&m->map, free);
    free(m);
}

static int set(gee_ctx *ctx, store *s, const store_key *key, const char *value) {
    shared_map *m = (shared_map *)s;
    store_box *box = store_box_new(value);
    int rc = box ? gee_rwmutex_lock(ctx, &m->lock) : UV_ENOMEM;
    if (rc == 0) {
        rc = map_reserve(&m->map);
        if (rc == 0)
            box = map_put(&m->map, key, box);
        gee_rwmutex_unlock(&m->lock);
    }
    free(box);
    return rc;
}

static ssize_t get(gee_ctx *ctx, store *s, const store_key *key, char *out, size_t size) {
    shared_map *m = (shared_map *)s;
    int rc = gee_rwmutex_rlock(ctx, &m->lock);
    if (rc < 0)
        return rc;
    ssize_t n = store_box_copy(map_get(&m->map, key), out, size);
    gee_rwmutex_runlock(&m->lock);
    return n;
}

const store_kind store_rwmutex = {"rwmutex", true, create, store_ref, drop, set, get};
