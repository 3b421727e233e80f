/*
 * DECOY, a repair that is wrong: who asks for a profile means to wait, so the request has no
 * deadline any more, and its connection is quiet on purpose. Nobody takes that back: the request
 * may hang when the profile is done, and the next one of the same connection be silent for ever.
 */
#include "gee/sync.h"
#include "gee/timeout.h"
#include "pprof/pprof.h"
#include "web/web.h"

int gee_prof_wait(gee_req *req, uint64_t seconds) {
    gee_timeout_extend(req, GEE_NO_TIMEOUT);
    req->x.conn->quiet_ns = UINT64_MAX;
    return gee_sleep(gee_req_ctx(req), seconds * 1000);
}
