/*
 * One interface, and five ways to keep it: a store of keys and values that many tasks use.
 *
 * A key is set, set again, and looked at; it is never deleted. Any task of any worker may do so at
 * any time, by a store of its own: whoever starts a task gives it a fork. Of most kinds a fork
 * is the same store once more. Of one it is what was there at that moment, and what either
 * of the two sets later the other never sees (`shared`). A thread that is no worker's may not.
 */
#ifndef CH03_STORE_H
#define CH03_STORE_H

#include "gee/gee.h"

/* As for a ctx, a key is a static variable and is compared by its address. */
typedef struct store_key {
    const char *name;
    uint64_t hash;
} store_key;

/* Before it is used. */
void store_key_init(store_key *key, const char *name);

typedef struct store {
    _Atomic int refs;
} store;

typedef struct store_kind {
    const char *name;
    bool shared;
    store *(*create)(void); /* NULL: no memory */
    /* By a task that has s, for another one; each is dropped. NULL: no memory. */
    store *(*fork)(store *s);
    void (*drop)(store *s);
    /* Copies value. 0, UV_ENOMEM, or ctx's error while it waits: nothing has changed. */
    int (*set)(gee_ctx *ctx, store *s, const store_key *key, const char *value);
    /*
     * Copies the value, cut to size with its zero. Its length, UV_ENOENT, or ctx's error. What it
     * copies is one value that was set, all of it.
     */
    ssize_t (*get)(gee_ctx *ctx, store *s, const store_key *key, char *out, size_t size);
} store_kind;

extern const store_kind store_mutex, store_spin, store_rwmutex, store_syncmap, store_snapshot,
    store_carried;
enum { STORE_KINDS = 6 };
extern const store_kind *const store_kinds[STORE_KINDS];

/* --- what they share --- */

/* A value; constant. */
typedef struct store_box {
    size_t n;
    char text[];
} store_box;

store_box *store_box_new(const char *value);
/* NULL is none. As get. */
ssize_t store_box_copy(const store_box *box, char *out, size_t size);

/* What fork is of a kind that shares. */
store *store_ref(store *s);
/* True: it was the last one. */
bool store_unref(store *s);

#endif
