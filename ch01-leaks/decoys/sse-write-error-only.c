/*
 * DECOY, a repair that is wrong: the stream ends when a write fails. A client
 * that has gone makes the next write fail, so a stream that ticks ends, one tick
 * late. A stream on which nothing happens never writes, and never ends.
 */
#include "gee/sse.h"
#include <string.h>

int gee_stream(gee_req *req, gee_stream_step step, void *arg) {
    int rc = gee_flush(req);
    if (strcmp(gee_method(req), "HEAD") == 0)
        return rc; /* that was all */
    while (rc == 0) {
        int64_t wait_ms = step(req, arg);
        rc = gee_flush(req);
        if (rc < 0 || wait_ms < 0)
            break;
        gee_sleep(gee_background(), (uint64_t)wait_ms);
    }
    if (rc < 0)
        gee_hang_up(req); /* the client is to know that this was not the end */
    return rc;
}

int gee_sse(gee_req *req, gee_stream_step step, void *arg) {
    gee_set_header(req, "Content-Type", "text/event-stream");
    gee_set_header(req, "Cache-Control", "no-cache");
    gee_set_header(req, "X-Accel-Buffering", "no"); /* nginx would hold events back */
    return gee_stream(req, step, arg);
}
