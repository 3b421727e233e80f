/* All tasks, each with its stack, as it was when its worker looked. */
#ifndef GEE_PPROF_PROF_TASK_H
#define GEE_PPROF_PROF_TASK_H

#include "base/buf.h"
#include "gee/debug.h"
#include "runtime/task.h"

/* One of them. Strings live in it or for ever. */
typedef struct gee_prof_task {
    size_t size; /* of the whole of it; the next one stands behind */
    uint64_t id, family, age_ns, since_ns;
    enum gee_task_state state;
    const char *reason; /* why it waits; "" otherwise */
    gee_site created_at, parked_at;
    gee_task_fn fn;
    size_t stack_bytes;     /* in use */
    const void *owner, *on; /* its ctx, and what it waits for, if that is a channel: to compare */
    int worker, npcs;
    char name[32];
    uintptr_t pcs[]; /* as of gee_prof_stack_of */
} gee_prof_task;

typedef struct gee_prof_tasks {
    gee_buf of[64]; /* workers: GEE_MAX_WORKERS */
} gee_prof_tasks;

/*
 * Asks each worker for its tasks, but for those that do the asking. Parks; call from a task. It
 * looks at so many at a time: others come and go meanwhile, and who stays is there once. 0 or
 * UV_ENOMEM. Free it in both cases.
 */
int gee_prof_tasks_take(gee_prof_tasks *out);
/* The one behind t; the first for NULL; NULL: there is no more. */
const gee_prof_task *gee_prof_tasks_next(const gee_prof_tasks *all, const gee_prof_task *t);
void gee_prof_tasks_free(gee_prof_tasks *all);

#endif
