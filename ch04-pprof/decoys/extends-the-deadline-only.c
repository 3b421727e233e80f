/*
 * A page that waits while a profile is taken: the deadline of its request is moved, and nobody
 * else's.
 */
#include "gee/sync.h"
#include "gee/timeout.h"
#include "pprof/pprof.h"

enum { ANSWER_MS = 30 * 1000 };

int gee_prof_wait(gee_req *req, uint64_t seconds) {
    int rc = gee_timeout_extend(req, seconds * 1000 + ANSWER_MS);
    return rc < 0 ? rc : gee_sleep(gee_req_ctx(req), seconds * 1000);
}
