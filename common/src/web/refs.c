/*
 * References on a request, for tasks that are none of its sub-tasks.
 *
 * A request has no memory of its own. What it is made of belongs to its connection, and goes back
 * to the pool of its worker when it is over; the next request is made of the same bytes. So a
 * pointer to a request never points to nothing, it points to somebody else's. Hence the one rule:
 * it does not go back while anybody has it, however long that takes. Who need not wait are the
 * client, who has its response, and the connection, which goes on without the request.
 */
#include "gee/cookie.h"
#include "gee/spawn.h"
#include "web/web.h"

/* Others are going to read it, at the same time: nothing may be parsed by then. */
static int first_ref(gee_req *req) {
    if (req->x.conn == NULL)
        return UV_EINVAL;
    gee_query(req, "");
    gee_cookie(req, "");
    gee_remote(req);
    if (req->remote == NULL)
        return UV_ENOMEM;
    req->refs.used = true;
    req->refs.held.users.more = true; /* for the leak check: nobody knows who will have it */
    return 0;
}

int gee_req_ref(gee_req *req) {
    int rc = req->refs.used ? 0 : first_ref(req);
    return rc == 0 ? gee_waitgroup_add(&req->refs.held, 1) : rc;
}

void gee_req_unref(gee_req *req) {
    gee_waitgroup_done(&req->refs.held); /* behind that its memory may be gone */
}

static void send_response(gee_exchange *x) {
    if (gee_exchange_end(x) == 0)
        gee_conn_flush(NULL, x->conn, NULL, 0, GEE_HERE);
}

void gee_refs_end(gee_req *req, bool panicked) {
    gee_exchange *x = &req->x;
    bool failed = panicked || (gee_ctx_cause(x->ctx) == GEE_EPANIC && !x->head_sent);
    if (!failed)
        send_response(x);
    gee_ctx_cancel(x->ctx, 0);
    gee_task_set_owner(NULL); /* this task has done what it had to, and can be told nothing more */
    if (!gee_ends_soon(&req->refs.held)) {
        gee_req_leave(req, failed);
        gee_waitgroup_wait(NULL, &req->refs.held);
    }
    req->refs.used = false;
}
