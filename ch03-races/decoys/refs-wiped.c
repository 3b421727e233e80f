/*
 * DECOY, a repair that is wrong: a request that is still referenced is wiped before it goes back.
 * Who is late finds nothing instead of what is not his any more, until the next request is there:
 * what is wiped is the memory, and what is wrong is the pointer.
 *
 * References on a request, for tasks that are none of its sub-tasks.
 *
 * The client has its response as soon as the handlers have returned. Its connection has other
 * requests to carry, so it cannot wait for ever for those who still have this one: they are told
 * by the request's ctx, have GEE_JOIN_MS to come to their end, and then the request goes back.
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

/* What a task may ask for. */
static void wipe(gee_req *req) {
    req->route = NULL;
    req->params = NULL;
    req->query = req->form = req->cookies = (gee_pairs){0};
    req->x.fields = (gee_fields){0};
    req->remote = NULL;
}

void gee_refs_end(gee_req *req, bool panicked) {
    gee_exchange *x = &req->x;
    bool failed = panicked || (gee_ctx_cause(x->ctx) == GEE_EPANIC && !x->head_sent);
    if (!failed)
        send_response(x);
    gee_ctx_cancel(x->ctx, 0);
    gee_task_set_owner(NULL); /* this task has done what it had to, and can be told nothing more */
    if (!gee_ends_soon(&req->refs.held))
        wipe(req);
    req->refs.used = false;
}
