/*
 * DECOY, a repair that is wrong: a page that waits while a profile is taken has no deadline any
 * more, and its connection may be silent. Nobody else's deadline is touched. But the answer that
 * follows the wait has no end either, and what the connection asks for next is never ended for its
 * silence: who asks for a profile and then reads nothing keeps both for as long as he likes.
 */
#include "gee/sync.h"
#include "gee/timeout.h"
#include "pprof/pprof.h"
#include "runtime/worker.h"
#include "web/web.h"

int gee_prof_wait(gee_req *req, uint64_t seconds) {
    int rc = gee_timeout_extend(req, GEE_NO_TIMEOUT);
    if (rc < 0)
        return rc;
    gee_endless(req);
    req->x.conn->quiet_ns = GEE_FAR_NS;
    return gee_sleep(gee_req_ctx(req), seconds * 1000);
}
