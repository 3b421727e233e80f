/*
 * The design of Go's sync.Map, without what deleting needs: two maps of the same entries.
 *
 * `read` never changes once it is there; who finds a key in it takes no lock, neither to look nor
 * to set, for the value is swapped in its entry. A new key goes into `dirty`, under the lock, and a
 * look that `read` cannot answer goes there, too. When that has happened as often as dirty has
 * keys, dirty becomes the next read: it has all that read had, and what is new.
 */
#include "guard.h"
#include "map.h"
#include <stdlib.h>

typedef struct entry {
    _Atomic(store_box *) value;
} entry;

typedef struct table {
    map map;              /* of entries; constant */
    _Atomic bool amended; /* dirty has keys that are not in here; once set, it stays */
} table;

typedef struct syncmap {
    store base;
    _Atomic(table *) read;
    gee_mutex lock; /* over the rest, and whoever stores to read */
    map dirty;      /* empty, or all entries of read and more */
    size_t misses;
} syncmap;

static void table_delete(table *t) {
    if (t)
        free(t->map.at);
    free(t);
}

static store *create(void) {
    syncmap *s = calloc(1, sizeof(*s));
    table *empty = calloc(1, sizeof(*empty));
    if (s == NULL || empty == NULL) {
        free(s);
        free(empty);
        return NULL;
    }
    s->base.refs = 1;
    atomic_init(&s->read, empty);
    return &s->base;
}

static void entry_delete(void *p) {
    entry *e = p;
    if (e)
        free(atomic_load(&e->value));
    free(e);
}

static void drop(store *base) {
    syncmap *s = (syncmap *)base;
    if (!store_unref(base))
        return;
    table *t = atomic_load(&s->read);
    bool all_in_dirty = s->dirty.n > 0;
    map_free(&s->dirty, entry_delete);
    map_free(&t->map, all_in_dirty ? NULL : entry_delete);
    free(t);
    free(s);
}

/* --- looking --- */

/* Under the lock, once for each look that read could not answer. What is to be freed, or NULL. */
static table *count_miss(syncmap *s) {
    table *next = ++s->misses < s->dirty.n ? NULL : calloc(1, sizeof(*next));
    if (next == NULL)
        return NULL; /* the next one will try again */
    table *old = atomic_load(&s->read);
    next->map = s->dirty;
    atomic_store(&s->read, next);
    s->dirty = (map){0};
    s->misses = 0;
    return old;
}

static ssize_t copy_entry(entry *e, char *out, size_t size) {
    return store_box_copy(e ? atomic_load(&e->value) : NULL, out, size);
}

static ssize_t get_slowly(gee_ctx *ctx, syncmap *s, const store_key *key, char *out, size_t size) {
    table *old = NULL;
    int rc = gee_mutex_lock(ctx, &s->lock);
    if (rc < 0)
        return rc;
    table *t = atomic_load(&s->read); /* another one, perhaps: somebody was here before */
    entry *e = map_get(&t->map, key);
    if (e == NULL && atomic_load(&t->amended)) {
        e = map_get(&s->dirty, key);
        old = count_miss(s);
    }
    guard_enter(); /* not for the entry, which stays, but for its value */
    ssize_t n = copy_entry(e, out, size);
    guard_leave();
    gee_mutex_unlock(&s->lock);
    if (old)
        guard_wait();
    table_delete(old);
    return n;
}

static ssize_t get(gee_ctx *ctx, store *base, const store_key *key, char *out, size_t size) {
    syncmap *s = (syncmap *)base;
    guard_enter();
    table *t = atomic_load(&s->read);
    entry *e = map_get(&t->map, key);
    bool elsewhere = e == NULL && atomic_load(&t->amended);
    ssize_t n = elsewhere ? 0 : copy_entry(e, out, size);
    guard_leave();
    return elsewhere ? get_slowly(ctx, s, key, out, size) : n;
}

/* --- setting --- */

/* Under the lock. */
static int add(syncmap *s, const store_key *key, store_box *box) {
    table *t = atomic_load(&s->read);
    entry *e = malloc(sizeof(*e));
    int rc = e ? 0 : UV_ENOMEM;
    if (rc == 0)
        rc = s->dirty.n == 0 ? map_copy(&t->map, &s->dirty) : map_reserve(&s->dirty);
    if (rc < 0) {
        free(e);
        return rc;
    }
    atomic_init(&e->value, box);
    map_put(&s->dirty, key, e);
    atomic_store(&t->amended, true);
    return 0;
}

/* *box is then what is to be freed. */
static int set_slowly(gee_ctx *ctx, syncmap *s, const store_key *key, store_box **box) {
    int rc = gee_mutex_lock(ctx, &s->lock);
    if (rc < 0)
        return rc;
    entry *e = map_get(&atomic_load(&s->read)->map, key);
    if (e == NULL)
        e = map_get(&s->dirty, key);
    if (e) {
        *box = atomic_exchange(&e->value, *box);
    } else {
        rc = add(s, key, *box);
        if (rc == 0)
            *box = NULL;
    }
    gee_mutex_unlock(&s->lock);
    return rc;
}

static int set(gee_ctx *ctx, store *base, const store_key *key, const char *value) {
    syncmap *s = (syncmap *)base;
    store_box *box = store_box_new(value);
    int rc = 0;
    if (box == NULL)
        return UV_ENOMEM;
    guard_enter();
    entry *e = map_get(&atomic_load(&s->read)->map, key);
    if (e)
        box = atomic_exchange(&e->value, box);
    guard_leave();
    if (e == NULL)
        rc = set_slowly(ctx, s, key, &box);
    if (rc == 0 && box)
        guard_wait(); /* for who still copies it */
    free(box);
    return rc;
}

const store_kind store_syncmap = {"sync.Map", true, create, store_ref, drop, set, get};
