/*
 * A stream is a loop: write what there is, send it, sleep until there may be
 * more.
 */
#include "gee/sse.h"
#include <string.h>

int gee_stream(gee_req *req, gee_stream_step step, void *arg) {
    gee_flush(req);
    if (strcmp(gee_method(req), "HEAD") == 0)
        return 0; /* that was all */
    for (;;) {
        int64_t wait_ms = step(req, arg);
        gee_flush(req);
        if (wait_ms < 0)
            return 0;
        gee_sleep(gee_background(), (uint64_t)wait_ms);
    }
}

int gee_sse(gee_req *req, gee_stream_step step, void *arg) {
    gee_set_header(req, "Content-Type", "text/event-stream");
    gee_set_header(req, "Cache-Control", "no-cache");
    gee_set_header(req, "X-Accel-Buffering", "no"); /* nginx would hold events back */
    return gee_stream(req, step, arg);
}
