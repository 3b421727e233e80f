/* A trace: the recorders of all workers, and how far it has been read. */
#ifndef GEE_TRACE_TRACE_H
#define GEE_TRACE_TRACE_H

#include "gee/trace.h"
#include "trace/recorder.h"

struct gee_trace {
    int n;
    gee_recorder **recorders;
    bool recording;

    /* json.c's */
    uint64_t start_ns; /* of the first recorder */
    bool headed, ended;
    int worker;    /* whose records come next */
    size_t at;     /* which of them */
    uint64_t flow; /* the number of the latest one */
};

#endif
