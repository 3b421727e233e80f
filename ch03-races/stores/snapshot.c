/*
 * A map that never changes, and a pointer to it. Who looks takes the pointer, and that is all. Who
 * sets copies the map, changes the copy, and swaps the pointer, unless somebody else has done so
 * meanwhile; then he begins anew. A reader has all of one moment, and a set costs as much as there
 * are keys.
 */
#include "guard.h"
#include "map.h"
#include <stdlib.h>

typedef struct snapshot {
    store base;
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

/* One try. 0; UV_EAGAIN: somebody else was faster; UV_ENOMEM. *old and *box are then to be freed.
 */
static int swap(snapshot *s, const store_key *key, store_box **box, map **old) {
    map *now = atomic_load(&s->now), *next = calloc(1, sizeof(*next));
    if (next == NULL || map_copy(now, next) < 0) {
        *old = next;
        return UV_ENOMEM;
    }
    store_box *before = map_put(next, key, *box);
    if (!atomic_compare_exchange_strong(&s->now, &now, next)) {
        *old = next;
        return UV_EAGAIN;
    }
    *old = now;
    *box = before;
    return 0;
}

static int set(gee_ctx *ctx, store *base, const store_key *key, const char *value) {
    store_box *box = store_box_new(value);
    int rc = box ? UV_EAGAIN : UV_ENOMEM;
    (void)ctx;
    while (rc == UV_EAGAIN) {
        map *old;
        guard_enter(); /* it is read while it is copied */
        rc = swap((snapshot *)base, key, &box, &old);
        guard_leave();
        if (rc == 0)
            guard_wait(); /* for who still has the old map, and in it the old value */
        map_delete(old);
    }
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
