/*
 * A page that says nothing for a while, because it waits: a profile of 30 seconds. Whoever ends
 * requests that take too long (gee/timeout.h), and connections that are silent for too long
 * (gee_use_idle_timeout), must know that this one means to be; for this one request, and for so
 * long. What is left to it when the wait is over is what any request has to be answered in.
 * A server that shuts down does not wait for it.
 */
#include "gee/sync.h"
#include "gee/timeout.h"
#include "pprof/pprof.h"
#include "runtime/worker.h"
#include "web/web.h"

enum { ANSWER_MS = 30 * 1000 };

int gee_prof_wait(gee_req *req, uint64_t seconds) {
    int rc = gee_timeout_extend(req, seconds * 1000 + ANSWER_MS);
    if (rc < 0)
        return rc;
    gee_endless(req);
    req->x.conn->quiet_ns = gee_clock_in_ms(seconds * 1000);
    rc = gee_sleep(gee_req_ctx(req), seconds * 1000);
    req->x.conn->quiet_ns = 0;
    return rc;
}
