/* The leak check, in parts: who stands still, and who could still wake whom. */
#ifndef GEE_DEBUG_LEAKCHECK_H
#define GEE_DEBUG_LEAKCHECK_H

#include "gee/debug.h"
#include "gee/sync.h"
#include "runtime/task.h"

/* census.c */
gee_task_info gee_task_describe(const gee_task *t, uint64_t now_ns);

/* standstill.c: runs fn(arg) while no other worker runs anything. fn may not park. 0, or an
 * error: it did not run. */
int gee_standstill(void (*fn)(void *arg), void *arg);

/* stuck.c: all tasks, with what is known of each. */
typedef struct gee_suspect {
    const gee_task *task;
    bool stuck;
    bool circled; /* a circle was found for it, through GEE_STUCK */
} gee_suspect;

gee_suspect *gee_suspect_find(const gee_suspect *by_id, size_t n, uint64_t id); /* NULL: none */
/* False: some task among m->holders may hold it no more. */
bool gee_holders_are_known(const gee_rwmutex *m);
/* Leaves those stuck whom nobody will wake; by_id is in the order of their ids. */
void gee_stuck_find(gee_suspect *by_id, size_t n);
/* Why this one is. */
void gee_stuck_why(const gee_suspect *by_id, size_t n, const gee_task *t, char *buf, size_t size);

/* circle.c: a search, and how much of it is left. */
enum gee_through {
    GEE_LOCKS,     /* mutexes and rwmutexes, under whichever ctx */
    GEE_STUCK,     /* also what the stuck wait for, as long as who could act waits for a lock */
    GEE_RELATIVES, /* also where he does not; not through a circle that was found */
};
typedef struct gee_circles {
    const gee_suspect *by_id;
    size_t n;
    enum gee_through through;
    long budget; /* relatives to look at */
} gee_circles;

/* The shortest circle of waits that leads back to t, in words; false, and "": none was found. */
bool gee_circle_find(gee_circles *c, gee_suspect *t, char *buf, size_t size);

#endif
