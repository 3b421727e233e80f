/*
 * Where tasks come from, and how many came.
 *
 * A path is the place where a task was created, then that of the task which created it, and so on
 * to one that the loop or main started. Tasks of the same path share a gee_origin, which counts
 * them: so a task that is gone before anyone has looked leaves a trace of itself, for the price of
 * a dozen instructions.
 *
 * A worker has a table of its own and is the only one to count in it. A path may go through
 * origins of other workers; of these only what never changes is read. They all stay until the
 * runtime ends. A program has few paths, so the table is small, and bounded: what a path has too
 * much is left out, and tasks of paths too many are counted together.
 */
#ifndef GEE_RUNTIME_ORIGIN_H
#define GEE_RUNTIME_ORIGIN_H

#include "gee/task.h"

enum {
    GEE_ORIGIN_DEPTH = 8, /* places of a path */
    GEE_ORIGIN_SLOTS = 256,
    GEE_ORIGIN_MOST = 4096, /* of a worker */
};

typedef struct gee_origin gee_origin;
struct gee_origin {
    /* Constant. */
    gee_site site;
    const gee_origin *parent; /* NULL: the loop, or main */
    int depth;                /* 1: no parent */
    gee_origin *next;         /* of the same slot */

    /* The worker's alone. */
    uint64_t started, finished;
};

typedef struct gee_origins {
    gee_origin *slots[GEE_ORIGIN_SLOTS];
    size_t n;
    gee_origin other; /* of all for which there is no room */
} gee_origins;

/* Makes it, if there is none; os->other if that cannot be. */
gee_origin *gee_origin_make(gee_origins *os, gee_site site, const gee_origin *parent);
void gee_origins_free(gee_origins *os);

static inline gee_origin **gee_origin_slot(gee_origins *os, gee_site site,
                                           const gee_origin *parent) {
    uintptr_t key = (uintptr_t)site ^ (uintptr_t)parent >> 3;
    return &os->slots[(key ^ key >> 8) % GEE_ORIGIN_SLOTS];
}

/* Of a task that begins: counted. parent: of the task that creates it, of whichever worker. */
static inline gee_origin *gee_origin_started(gee_origins *os, gee_site site,
                                             const gee_origin *parent) {
    gee_origin *o = *gee_origin_slot(os, site, parent);
    if (o == NULL || o->site != site || o->parent != parent)
        o = gee_origin_make(os, site, parent);
    o->started++;
    return o;
}

#endif
