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
    X(conns)  /* HTTP connections */                                                            \
    X(reqs)   /* HTTP requests: from their head until the response is out */                    \
    X(copies) /* of requests, that were not released */                                         \
    X(bytes)  /* of buffers and arenas */

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
    uint64_t family;       /* id of the task of a loop, a request's say, from which it descends */
    char request[128];     /* that it serves: "GET /path?query", cut; "": none */
    uint64_t request_ms;   /* for how long it has */
    int64_t deadline_ms;   /* in how long the request's time is up, negative: since when it is;
                            * INT64_MAX: it has no deadline */
    bool late;             /* another task has answered in its place (gee/timeout.h) */
} gee_task_info;

/*
 * All tasks of all workers, oldest first; each worker fills in its own. *out is
 * to be freed with free(). Parks while it asks other workers; call from a task.
 * The number of tasks, or UV_ENOMEM.
 */
int gee_tasks_list(gee_task_info **out);

/*
 * The tasks by the path of their creation: the place where a task was created, then that of the
 * task which created it, and so on. Every task is counted, also one that has come and gone between
 * two looks; what `live` counts now is told by how long it has been there.
 *
 * A path has at most GEE_PATH places: what is more of it, or repeats itself, is left out. If a
 * program has more paths than a worker keeps (4,096), the rest is "(other places)".
 */
enum { GEE_PATH = 8 };
typedef struct gee_path_info {
    gee_site path[GEE_PATH]; /* where a task was created, first; then NULL */
    uint64_t started, ended; /* since the runtime began */
    uint64_t live;           /* started - ended */
    uint64_t oldest_ms;      /* of those that live: since it was created */
    uint64_t waits_ms;       /* of those that are parked: for the longest time, in this wait, */
    const char *reason;      /* for this; "": none is parked */
    gee_site parked_at;      /* here */
} gee_path_info;

/*
 * Most live ones first, then most started. *out is to be freed with free(). Each worker counts
 * its own, so the figures are of about one moment. Call from a task; parks. How many, or UV_ENOMEM.
 */
int gee_paths_list(gee_path_info **out);

/*
 * The leak check: tasks that nothing will ever end, while the server runs.
 *
 * GEE_LEAK_DEAF: the task is parked, the ctx of its owner has ended, and the wait does not
 *   listen to it. This is exact at that moment. A wait that will end by itself, a short
 *   sleep, a call on the threadpool, is found too while it lasts.
 * GEE_LEAK_STUCK: the task is parked under a ctx that never ends, for what only other tasks
 *   can do, and all who could are gone, or are stuck themselves:
 *     channel    every reference on it belongs to tasks that are stuck on it
 *     waitgroup  dones are owed
 *     mutex, rwmutex  who holds it has ended, or waits in a circle
 *   and no task that has used that object, nor one started by such a task, or by one of
 *   its children …, is still at work. It is found as Go's goroutineleak profile finds it, with
 *   who holds what in place of a garbage collector. What it cannot know: a task that got a
 *   borrowed pointer by other ways than these, and has not used it yet. Such a task takes a
 *   reference on the channel, or calls gee_waitgroup_add(wg, 0).
 *
 * GEE_LEAK_CIRCLE: the task waits for a mutex or rwmutex, in a circle of tasks that wait for each
 *   other's, and some of them under a ctx that has not ended. Its end, when a client leaves or a
 *   deadline comes, will break the circle; nothing else will. A lock is taken to be unlocked by
 *   the task that locked it.
 *
 * Where tasks wait for each other, stuck or under a ctx, their circle is found, and is said from
 * each of them on: exactly, where they wait for locks; by who used a channel last, or could still
 * use it, or may owe a waitgroup its done, otherwise.
 *
 * *out is to be freed with free(). All workers stand still while it looks, each from the end
 * of what its task does now. Call from a task; parks. How many, or UV_ENOMEM, UV_EAGAIN.
 */
enum gee_leak_kind { GEE_LEAK_DEAF, GEE_LEAK_STUCK, GEE_LEAK_CIRCLE };
typedef struct gee_leak {
    gee_task_info task;
    enum gee_leak_kind kind;
    char why[160];    /* "task 4 holds the mutex and waits for task 7" */
    char circle[512]; /* "task 7 (mutex lock at a.c:9) -> task 4, which locked it at b.c:3 (chan
                       * receive at b.c:5) -> task 7, which sent last"; cut; "": there is none */
} gee_leak;
int gee_leakcheck(gee_leak **out);

/*
 * Adds three pages to g, as text, or with ?format=json:
 *   GET /debug/tasks     the census and the tasks; with ?leaked=1 those of gee_leakcheck, with
 *                        ?paths=1 how many came from where (gee_paths_list)
 *   GET /debug/requests  the requests that are being served, with their deadlines, and where
 *                        the tasks of each are parked, since when, and whether they listen
 *   GET /debug/routes    the routes (gee/contract.h), with the chain of each from the outside in,
 *                        and what its middlewares need and provide
 * They show what a server does: mount them where only its owners can look. 0, or an error of
 * gee_handle.
 */
int gee_debug_routes(gee_group *g);

#endif
