/*
 * /debug/pprof/: profiles of a running server, in the format and under the names of Go's
 * net/http/pprof, so that `go tool pprof` and all that reads profile.proto reads them.
 *
 *   go tool pprof -http=: http://localhost:8080/debug/pprof/goroutine
 *
 *   goroutine, task  the stacks of all tasks, with who started each
 *   taskleak         those that nothing will ever end (gee_leakcheck)
 *   profile          where the CPU time of the next ?seconds=30 goes, at ?hz=100 (1 to 1000):
 *                    of each thread, a timer on its own CPU clock sends it SIGPROF. The stacks
 *                    of workers, tasks and the threadpool's threads; of other threads the
 *                    innermost function. The samples of a task, and of what it has a thread do,
 *                    have its id, name and creation site as labels. One at a time: 409
 *   trace            what the tasks did in ?seconds=1 (gee/trace.h), of each worker the latest
 *                    ?kib=16384; 409 while another one is recorded
 *   heap             what the framework holds: tasks, stacks, ctxs, timers, channels, connections,
 *                    requests, copies, buffers; objects and bytes, by who made them, as far as that
 *                    is known without noting it down. A program's own memory is not in it
 *   block            for how long tasks have waited, by reason and place, other than to sleep or
 *                    for the end of a ctx; counted only while it is switched on: ?seconds=10, or
 *                    gee_pprof_count_waits
 *   mutex            of that, the waits for mutexes and rwmutexes
 *   cmdline, symbol  the program's command line; names of addresses
 *
 * ?debug=1 is the same as text; of tasks ?debug=2 is a traceback for each. ?seconds=30 is what
 * has changed in that time. A value that is no number, or too large, is answered with 400.
 *
 * Stacks are walked by frame pointers: compile with -g -fno-omit-frame-pointer, and with
 * -fno-optimize-sibling-calls, or a function whose last act is a call is not in its stack.
 *
 * While nobody looks, none of this costs a request anything.
 */
#ifndef GEE_PPROF_H
#define GEE_PPROF_H

#include "gee/engine.h"
#include <stdbool.h>

typedef struct gee_pprof_options {
    /* Profiles tell what a program does, and taking one takes time. So only clients of this very
     * machine get them, by the address of their connection, which is that of a proxy where there
     * is one; others get 403. True: everybody does whom the middlewares of the group let pass. */
    bool any_client;
} gee_pprof_options;

/*
 * Adds the pages to g. It is the switch: without this call there is nothing of it. opt may be NULL.
 * 0, or an error of gee_handle.
 */
int gee_pprof_routes(gee_group *g, const gee_pprof_options *opt);

/*
 * Switches the counting of waits on or off, for block and mutex: as often off as on. While it is
 * on, each wait that ends costs about a microsecond. What was counted is gone when it is off for
 * everybody. From a task; parks. 0 or UV_ENOMEM: it is not on.
 */
int gee_pprof_count_waits(bool on);

/*
 * Writes the profile of that name ("goroutine") into a file, for `go tool pprof FILE`; debug as
 * above. Call from a task; parks. 0, UV_ENOENT: there is no such profile, UV_EINVAL: debug is not
 * 0, 1 or 2, UV_ENOMEM, or the error of opening or writing the file.
 */
int gee_pprof_save(const char *name, int debug, const char *path);

#endif
