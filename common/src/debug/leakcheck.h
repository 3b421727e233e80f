/* The leak check, in parts: who stands still, and who could still wake whom. */
#ifndef GEE_DEBUG_LEAKCHECK_H
#define GEE_DEBUG_LEAKCHECK_H

#include "gee/debug.h"
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
} gee_suspect;

/* Leaves those stuck whom nobody will wake; by_id is in the order of their ids. */
void gee_stuck_find(gee_suspect *by_id, size_t n);
/* Why this one is. */
void gee_stuck_why(const gee_suspect *by_id, size_t n, const gee_task *t, char *buf, size_t size);

#endif
