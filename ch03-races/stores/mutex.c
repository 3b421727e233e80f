/*
 * A map and a lock around each use of it: of a mutex, whose waiters look on for a moment and are
 * then parked; and of a spin lock, whose waiters go on asking.
 *
 * What happens under either is a few instructions, for a value is made before and freed behind it.
 * For so short a time a task that is parked, and woken by another worker, is by far the longer
 * wait; but who holds the spin lock must not park, and a user's code must not run under it.
 */
#include "base/spin.h"
#include "map.h"
#include <stdlib.h>

typedef struct locked {
    store base;
    gee_mutex mutex; /* one of the two, over the map */
    gee_spin spin;
    map map;
} locked;

static store *create(void) {
    locked *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->base.refs = 1;
    return &l->base;
}

static void drop(store *s) {
    locked *l = (locked *)s;
    if (!store_unref(s))
        return;
    map_free(&l->map, free);
    free(l);
}

/* Under the lock. *box is then what is to be freed. */
static int put(locked *l, const store_key *key, store_box **box) {
    int rc = map_reserve(&l->map);
    if (rc == 0)
        *box = map_put(&l->map, key, *box);
    return rc;
}

/* --- the mutex --- */

static int mutex_set(gee_ctx *ctx, store *s, const store_key *key, const char *value) {
    locked *l = (locked *)s;
    store_box *box = store_box_new(value);
    int rc = box ? gee_mutex_lock(ctx, &l->mutex) : UV_ENOMEM;
    if (rc == 0) {
        rc = put(l, key, &box);
        gee_mutex_unlock(&l->mutex);
    }
    free(box);
    return rc;
}

static ssize_t mutex_get(gee_ctx *ctx, store *s, const store_key *key, char *out, size_t size) {
    locked *l = (locked *)s;
    int rc = gee_mutex_lock(ctx, &l->mutex);
    if (rc < 0)
        return rc;
    ssize_t n = store_box_copy(map_get(&l->map, key), out, size);
    gee_mutex_unlock(&l->mutex);
    return n;
}

const store_kind store_mutex = {"mutex", true, create, store_ref, drop, mutex_set, mutex_get};

/* --- the spin lock; nobody waits long enough for a ctx to end it --- */

static int spin_set(gee_ctx *ctx, store *s, const store_key *key, const char *value) {
    locked *l = (locked *)s;
    store_box *box = store_box_new(value);
    (void)ctx;
    if (box == NULL)
        return UV_ENOMEM;
    gee_spin_lock(&l->spin);
    int rc = put(l, key, &box);
    gee_spin_unlock(&l->spin);
    free(box);
    return rc;
}

static ssize_t spin_get(gee_ctx *ctx, store *s, const store_key *key, char *out, size_t size) {
    locked *l = (locked *)s;
    (void)ctx;
    gee_spin_lock(&l->spin);
    ssize_t n = store_box_copy(map_get(&l->map, key), out, size);
    gee_spin_unlock(&l->spin);
    return n;
}

const store_kind store_spin = {"spin lock", true, create, store_ref, drop, spin_set, spin_get};
