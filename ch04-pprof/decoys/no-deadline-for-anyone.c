/*
 * A page that waits while a profile is taken. A limit that is shorter than the profile is
 * too short a limit: where it stands in the way, it is no more.
 */
#include "gee/sync.h"
#include "middleware/timeout.h"
#include "pprof/pprof.h"

enum { AN_HOUR_MS = 60 * 60 * 1000 };

int gee_prof_wait(gee_req *req, uint64_t seconds) {
    for (struct gee_timeout *t = req->timeouts; t; t = t->outer)
        ((gee_timeout_settings *)(void *)t->settings)->opt.ms = AN_HOUR_MS;
    gee_timeout_extend(req, AN_HOUR_MS);
    req->x.conn->quiet_ns = GEE_FAR_NS;
    return gee_sleep(gee_req_ctx(req), seconds * 1000);
}
