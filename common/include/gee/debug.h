/* Looking at a running server: what exists now, and what each task does. */
#ifndef GEE_DEBUG_H
#define GEE_DEBUG_H

#include "gee/engine.h"
#include <stdbool.h>

/*
 * The census: how many of each exist now in the process. At rest, with no server
 * running, everything but fds is zero.
 */
#define GEE_CENSUS(X)                                                                           \
    X(tasks)   /* not dead; the caller too, if it is one */                                     \
    X(timers)  /* armed */                                                                      \
    X(handles) /* open libuv handles of the calling worker's loop, but for the runtime's own */ \
    X(fds)     /* open file descriptors */                                                      \
    X(ctxs)                                                                                     \
    X(chans)                                                                                    \
    X(conns) /* HTTP connections */                                                             \
    X(reqs)  /* HTTP requests: from their head until the response is out */                     \
    X(bytes) /* of buffers and arenas */

typedef struct gee_census {
#define X(name) int64_t name;
    GEE_CENSUS(X)
#undef X
} gee_census;

/* From any thread. Other workers go on meanwhile: the figures are of about one moment. */
void gee_census_take(gee_census *out);

/* One task, as it was when it was asked. Strings live in the struct or for ever. */
typedef struct gee_task_info {
    uint64_t id;
    int worker;
    char name[32];
    const char *state;  /* runnable, running, waiting */
    const char *reason; /* of waiting: sleep, chan receive, … ; "" otherwise */
    gee_site created_at;
    gee_site parked_at; /* NULL unless waiting */
    uint64_t age_ms;
    uint64_t since_ms;     /* in this state */
    int ctx_err;           /* of its owner: 0, UV_ECANCELED or UV_ETIMEDOUT */
    int ctx_cause;         /* why it ended */
    uint64_t ctx_ended_ms; /* how long ago; 0 if it has not */
    bool hears_ctx;        /* its wait ends when its owner does */
} gee_task_info;

/*
 * All tasks of all workers, oldest first; each worker fills in its own. *out is
 * to be freed with free(). Parks while it asks other workers; call from a task.
 * The number of tasks, or UV_ENOMEM.
 */
int gee_tasks_list(gee_task_info **out);

/*
 * Adds GET /debug/tasks to g: the census and the tasks as text, or with
 * ?format=json. It shows what a server does: mount it where only its owners can
 * look. 0, or an error of gee_handle.
 */
int gee_debug_routes(gee_group *g);

#endif
