/*
 * A value that all may read, of any worker and at any time, while it is replaced as a whole: the
 * settings of a server, a table of prices, a routing table. Those who read take no lock and
 * wait for nobody; a change is prepared in a copy, and published when it is complete. (Go: an
 * atomic.Pointer to what nobody changes any more.)
 *
 * Who reads gets the value as it is at that moment, and has it, unchanged, until he drops it: over
 * as many waits as he likes. So what he reads fits together, and may be old. For many changes and
 * few reads a gee_mutex costs less: each change copies all of it.
 */
#ifndef GEE_LIVE_H
#define GEE_LIVE_H

#include "gee/task.h"
#include <stddef.h>

typedef struct gee_live gee_live;

/* How many versions of a value there may be: the current one, and those that are still read. */
enum { GEE_LIVE_VERSIONS = 64 };

typedef struct gee_live_type {
    size_t size;
    /*
     * Makes *to, which is zeroed, a copy of *from. 0, or an error, and then *to holds nothing.
     * NULL: it is `size` bytes, and what they point to is the caller's.
     */
    int (*copy)(void *to, const void *from);
    /* Frees what *value holds; called once for each copy, by any task. NULL: nothing. */
    void (*clear)(void *value);
} gee_live_type;

/*
 * The first version is a copy of *value, or zeroed if that is NULL. The type is copied.
 * 0, UV_ENOMEM, or the error of `copy`; then *out is NULL.
 */
int gee_live_new(const gee_live_type *type, const void *value, gee_live **out);
/* When no task uses it, nor any version of it, any more. NULL: nothing. */
void gee_live_free(gee_live *l);

/*
 * The current version and a reference on it; never NULL. It is dropped once, by any task. From any
 * thread; costs one atomic addition each.
 */
const void *gee_live_get(gee_live *l);
void gee_live_drop(const void *version);

/*
 * Calls change(ctx, next, arg), where next is a copy of the current version, and publishes what
 * that has made of it, unless it returns an error. It may park; it may panic, and then nothing is
 * published. Changes come one after the other, so it must not change the same gee_live.
 * 0: it is published, and whoever asks from now on gets it; or
 *   the error of change, of ctx or of `copy`;  UV_ENOMEM
 *   UV_EBUSY  the last 63 versions are all still read: somebody does not drop them
 */
typedef int (*gee_live_fn)(gee_ctx *ctx, void *next, void *arg);
int gee_live_change(gee_ctx *ctx, gee_live *l, gee_live_fn change, void *arg);

#endif
