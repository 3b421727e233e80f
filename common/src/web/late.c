/*
 * The end of a request whose sub-tasks, or others who have it (refs.c), go on. They may look at its
 * memory, so it is kept until the last of them has ended; but its client has not asked for them.
 * After a while the connection is taken from the request (http/takeover.c), as it is from one whose
 * time is up: the answer goes out, the next request is served, and only the task of this one waits.
 */
#include "base/tools.h"
#include "gee/spawn.h"
#include "web/web.h"

static void answer(gee_exchange *x, void *arg) {
    (void)arg;
    if (!x->ended) /* what its handler has not answered has panicked */
        gee_exchange_error(x, 500);
}

void gee_req_leave(gee_req *req, bool failed) {
    gee_exchange *x = &req->x;
    if (failed)
        gee_exchange_retract(x, 0);
    else
        gee_exchange_end(x);
    gee_race_release(x->conn);
    gee_exchange_take_over(x, &(gee_takeover){.status = 500, .answer = answer});
}

bool gee_ends_soon(gee_waitgroup *wg) {
    gee_ctx *soon = gee_ctx_with_timeout(NULL, GEE_JOIN_MS);
    if (soon == NULL)
        return false; /* no memory to wait with */
    int rc = gee_waitgroup_wait(soon, wg);
    gee_ctx_end(soon);
    return rc == 0;
}

/* A sub-task, and nobody wants to know of it. */
static bool is_broken(gee_req *req) {
    gee_spin_lock(&req->subs.lock);
    int err = req->subs.err;
    gee_spin_unlock(&req->subs.lock);
    return err == GEE_EPANIC && !req->x.head_sent;
}

void gee_subs_end(gee_req *req, bool panicked) {
    gee_subs *subs = &req->subs;
    if (!subs->used)
        return;
    gee_subs_cancel(subs, 0);
    if (!gee_ends_soon(&subs->running)) {
        gee_req_leave(req, panicked || is_broken(req));
        gee_waitgroup_wait(NULL, &subs->running);
    }
    if (is_broken(req))
        gee_ctx_cancel(req->x.ctx, GEE_EPANIC); /* http/serve.c looks at it */
    subs->used = false;
}
