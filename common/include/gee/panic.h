/*
 * Panic and recover: what a task does when it cannot go on, and who catches it.
 *
 * gee_panic() unwinds the calling task to the nearest gee_recover() on its stack.
 * C has no destructors, so whatever a frame must give back on the way (a lock, a
 * waitgroup's done, memory) it registers as a cleanup; they run latest first.
 *
 * A panic that no one recovers never ends the process:
 *   in a request    it is logged, and the client gets a 500; if part of the response
 *                   is on its way already, the connection is cut, so that the client
 *                   can tell
 *   in another task it is logged, the task ends, and its owner ctx is cancelled with
 *                   the cause GEE_EPANIC: who waits under that ctx waits no longer, and
 *                   a request that has such a ctx is answered with 500 as above,
 *                   unless its handler answers
 * Only a panic outside every task (a callback of the loop, a thread of the pool)
 * aborts: there is nothing to unwind to.
 */
#ifndef GEE_PANIC_H
#define GEE_PANIC_H

#include "gee/task.h"
#include <errno.h>
#include <stdbool.h>

/* "Owner died": libuv has no name for it. */
#define GEE_EPANIC (-EOWNERDEAD)

typedef struct gee_panic_info {
    char message[200];
    gee_site site; /* of the gee_panic */
    uint64_t task_id;
    char task_name[32];
    gee_site created_at;
    int worker;
    int nframes;
    void *frames[32]; /* return addresses, innermost first */
} gee_panic_info;

/* The message is printf's, and is cut where it does not fit. Call from a task. */
#define gee_panic(...) gee_panic_at(GEE_HERE, __VA_ARGS__)
_Noreturn void gee_panic_at(gee_site site, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Runs fn(arg). 0: it returned. GEE_EPANIC: it panicked, its cleanups have run, and
 * *info (may be NULL) says how. Call from a task; may be nested.
 */
int gee_recover(void (*fn)(void *arg), void *arg, gee_panic_info *info);

/*
 * A cleanup of the calling frame: between push and pop a panic of this task runs
 * fn(arg). c is memory of the frame. Pops are in the reverse order of pushes, and
 * every push has one on each path out of the frame; run: call fn(arg) now as well.
 * fn may park; a panic in fn takes the place of the first, and the cleanups that are
 * left run all the same.
 */
typedef struct gee_cleanup {
    struct gee_cleanup *next;
    void (*fn)(void *arg);
    void *arg;
} gee_cleanup;
void gee_cleanup_push(gee_cleanup *c, void (*fn)(void *arg), void *arg);
void gee_cleanup_pop(gee_cleanup *c, bool run);

/*
 * Writes the panic to stderr: message, task and creation site at once, then the traceback with
 * functions and lines. For that debug information is read from files, which takes milliseconds, and
 * more the larger the program is: a task parks meanwhile, and a thread of the pool does it.
 * Anywhere else, also in a function that gee_blocking() runs, it is done in place.
 */
void gee_panic_print(const gee_panic_info *info);

#endif
