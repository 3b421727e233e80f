/* A page that waits while a profile is taken: for so long, or until its client has gone. */
#include "gee/sync.h"
#include "pprof/pprof.h"

int gee_prof_wait(gee_req *req, uint64_t seconds) {
    return gee_sleep(gee_req_ctx(req), seconds * 1000);
}
