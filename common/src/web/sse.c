/*
 * A stream is a loop: write what there is, send it, sleep until there may be
 * more. It lives in the request's task and holds that task's stack, the request
 * and its connection, so it must end when the request's ctx does, and the only
 * places where it can learn of that are those where it waits: both the send and
 * the sleep listen to the ctx, and what either of them says ends the loop.
 */
#include "gee/sse.h"
#include "web/web.h"
#include <string.h>

int gee_stream(gee_req *req, gee_stream_step step, void *arg) {
    gee_ctx *ctx = gee_req_ctx(req);
    gee_endless(req); /* or a shutdown would wait for it */
    int rc = gee_flush(req);
    if (strcmp(gee_method(req), "HEAD") == 0)
        return rc; /* that was all */
    while (rc == 0) {
        int64_t wait_ms = step(req, arg);
        rc = gee_flush(req);
        if (rc < 0 || wait_ms < 0)
            break;
        rc = gee_sleep(ctx, (uint64_t)wait_ms);
    }
    if (rc < 0)
        gee_hang_up(req); /* the client is to know that this was not the end */
    return rc;
}

int gee_sse(gee_req *req, gee_stream_step step, void *arg) {
    gee_exchange_set_own(&req->x, GEE_OWN_FIELD("Content-Type", "text/event-stream"));
    gee_exchange_set_own(&req->x, GEE_OWN_FIELD("Cache-Control", "no-cache"));
    /* nginx would hold events back */
    gee_exchange_set_own(&req->x, GEE_OWN_FIELD("X-Accel-Buffering", "no"));
    return gee_stream(req, step, arg);
}
