/*
 * A map that never changes, and a pointer to it. Who looks takes the pointer, and that is all. Who
 * sets copies the map, changes the copy, and swaps the pointer: so a reader has all of one moment,
 * and a set costs as much as there are keys.
 */
#include "guard.h"
#include "map.h"
#include <stdlib.h>

typedef struct snapshot {
    store base;
    gee_mutex lock; /* among those who set */
    _Atomic(map *) now;
} snapshot;

static void map_delete(map *m) {
    if (m)
        free(m->at);
    free(m);
}

static store *create(void) {
    snapshot *s = calloc(1, sizeof(*s));
    map *empty = calloc(1, sizeof(*empty));
    if (s == NULL || empty == NULL) {
        free(s);
        free(empty);
        return NULL;
    }
    s->base.refs = 1;
    atomic_init(&s->now, empty);
    return &s->base;
}

static void drop(store *base) {
    snapshot *s = (snapshot *)base;
    if (!store_unref(base))
        return;
    map *m = atomic_load(&s->now);
    map_free(m, free);
    free(m);
    free(s);
}

/* Under the lock. What was replaced, or NULL: no memory; *box is the value that was. */
static map *swap(snapshot *s, const store_key *key, store_box **box) {
    map *old = atomic_load(&s->now), *new = calloc(1, sizeof(*new));
    if (new == NULL || map_copy(old, new) < 0) {
        free(new);
        return NULL;
    }
    *box = map_put(new, key, *box);
    atomic_store(&s->now, new);
    return old;
}

static int set(gee_ctx *ctx, store *base, const store_key *key, const char *value) {
    snapshot *s = (snapshot *)base;
    store_box *box = store_box_new(value);
    map *old = NULL;
    int rc = box ? gee_mutex_lock(ctx, &s->lock) : UV_ENOMEM;
    if (rc == 0) {
        old = swap(s, key, &box);
        gee_mutex_unlock(&s->lock);
        rc = old ? 0 : UV_ENOMEM;
    }
    if (old)
        guard_wait(); /* for who still has the old map, and in it the old value */
    map_delete(old);
    free(box);
    return rc;
}

static ssize_t get(gee_ctx *ctx, store *base, const store_key *key, char *out, size_t size) {
    snapshot *s = (snapshot *)base;
    (void)ctx;
    guard_enter();
    ssize_t n = store_box_copy(map_get(atomic_load(&s->now), key), out, size);
    guard_leave();
    return n;
}

const store_kind store_snapshot = {"snapshot", true, create, store_ref, drop, set, get};
