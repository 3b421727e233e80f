/*
 * Recording what tasks do, in time: when each ran and on which worker, what it waited for and
 * where, who woke it, when it began and ended; and the requests. Go: runtime/trace.
 *
 * What is recorded is kept by each worker in a ring of a size that is given, so a recording may
 * last as long as it likes: what it drops is the oldest, and the trace says how much. A task that
 * has ended never looks as if it had not: the trace knows its beginning and its end, or neither.
 * At rest recording costs a load and a branch, four times a request.
 *
 * The trace is JSON in the Trace Event Format, which Perfetto (ui.perfetto.dev) and speedscope
 * read. Its events, by their "ph":
 *   X    a slice of a task, on the track of its worker (tid 1 is worker 0), under its name; why
 *        it left the worker, who made it runnable, and how long it waited for its turn
 *   s f  from the slice in which it was made runnable to that in which it ran
 *   b e  by the task's number. Of category "task" its life, with the path of its creation;
 *        "wait" a wait, with its reason and place; "request" a request, with its status.
 *        What has no e had not ended
 *   C    for each worker, records that were dropped; an X of category "trace" covers the
 *        time for which they are missing
 */
#ifndef GEE_TRACE_H
#define GEE_TRACE_H

#include "gee/engine.h"
#include <sys/types.h>

typedef struct gee_trace gee_trace;

enum {
    GEE_TRACE_BYTES = 16 * 1024 * 1024, /* 262,144 records; a request makes three or more */
    GEE_TRACE_PIECE = 16 * 1024,
};

/*
 * Begins to record on all workers, in rings of so many bytes each; 0: GEE_TRACE_BYTES. Beside them
 * it needs 155 KiB a worker for names, and at its end 128 bytes for each task that lives then.
 * Call from a task; parks while it asks the other workers.
 * 0; UV_EALREADY: one is being recorded, there is one at a time;  UV_ENOMEM
 */
int gee_trace_start(size_t bytes, gee_trace **out);

/* Ends the recording; another may begin. From a task; parks likewise. Once more does nothing. */
void gee_trace_stop(gee_trace *t);

/*
 * The trace as JSON, piece by piece, once it was stopped: into buf, which has n >= GEE_TRACE_PIECE
 * bytes. From any thread, one at a time: it only computes, so it is work for gee_blocking.
 * How many bytes; 0: that was all.
 */
size_t gee_trace_read(gee_trace *t, char *buf, size_t n);

/* How many records were dropped, of all workers, and how many were kept. Once it was stopped. */
uint64_t gee_trace_dropped(const gee_trace *t);
uint64_t gee_trace_kept(const gee_trace *t);
/* What it holds now, in bytes. */
size_t gee_trace_bytes(const gee_trace *t);

/* Stops it, if need be: then from a task. NULL is nothing. */
void gee_trace_free(gee_trace *t);

#endif
