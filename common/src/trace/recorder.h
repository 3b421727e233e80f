/*
 * What a worker records for a trace (gee/trace.h): the last so many records, in a ring.
 *
 * A record is written when what it tells of is over: a slice when the task leaves the worker, a
 * life when the task has ended, a request when it has been served. So nothing in the ring waits
 * for a second half. What has begun and not ended when the recording stops is still there, and is
 * asked for then: `open`. When the ring is full the oldest record makes room, and is counted. It
 * takes with it all that the trace knew of a task's life, beginning and end, so that a task which
 * has ended never looks as if it had not.
 *
 * The contract of a recorder:
 *   - it holds no more than gee_recorder_most bytes, however long it records; besides, once it has
 *     stopped, two records for each task that lives then
 *   - a life without an end is that of a task which lived when the recording stopped
 *   - what was recorded is there, or is counted as dropped
 */
#ifndef GEE_TRACE_RECORDER_H
#define GEE_TRACE_RECORDER_H

#include "runtime/probe.h"

enum gee_record_kind { GEE_RECORD_SLICE, GEE_RECORD_WAIT, GEE_RECORD_LIFE, GEE_RECORD_REQUEST };

/* Why a slice ended. */
enum gee_slice_end { GEE_SLICE_PARKED, GEE_SLICE_YIELDED, GEE_SLICE_EXITED, GEE_SLICE_CUT };

/* From its fields to its bytes it is a cache line. */
typedef struct gee_record {
    uint64_t from_ns, to_ns; /* to_ns 0: it has not ended. Both may lie before the recording. */
    uint64_t task;
    union {
        struct {                /* a slice */
            uint64_t by;        /* the task that made this one runnable; 0: a loop */
            uint64_t ready_ns;  /* when; 0: before the recording */
            uint64_t parked_ns; /* since when it had been parked before it; 0: likewise */
            gee_site parked_at; /* NULL: it had not been */
        };
        struct { /* a wait that has not ended: from_ns 0: since before */
            gee_site at;
        };
        const gee_origin *origin; /* a life */
        int status;               /* a request */
    };
    uint16_t name; /* gee_recorder_name */
    uint8_t kind;
    uint8_t reason; /* of the wait: of a slice, of that before it */
    uint8_t end;    /* of a slice */
    uint8_t after;  /* PARKED: for what */
    uint8_t by_worker;
} gee_record;

typedef struct gee_recorder gee_recorder;

/* At least one record and its names; NULL: no memory. What it may hold is taken at once. */
gee_recorder *gee_recorder_new(size_t bytes);
void gee_recorder_free(gee_recorder *r);

/* On w's thread, one recording at a time. From one to the other it records what w does. */
void gee_recorder_start(gee_recorder *r, gee_worker *w);
void gee_recorder_stop(gee_recorder *r);

/* --- behind stop; from any thread, as long as it is one at a time --- */

uint64_t gee_recorder_start_ns(const gee_recorder *r);
uint64_t gee_recorder_stop_ns(const gee_recorder *r);
/* Those kept, by the time of their end; then those that have not ended. */
size_t gee_recorder_count(const gee_recorder *r);
const gee_record *gee_recorder_at(const gee_recorder *r, size_t i);
/* Records that made room for others; and false: what has not ended is not known, for want of
 * memory. */
uint64_t gee_recorder_dropped(const gee_recorder *r);
bool gee_recorder_is_whole(const gee_recorder *r);
/* What it holds now, and the most that it may hold while it records. */
size_t gee_recorder_bytes(const gee_recorder *r);
size_t gee_recorder_most(const gee_recorder *r);
/* Of a task or a request: "GET /". Numbers are 1 … gee_recorder_names(r). */
size_t gee_recorder_names(const gee_recorder *r);
const char *gee_recorder_name(const gee_recorder *r, size_t i);

#endif
