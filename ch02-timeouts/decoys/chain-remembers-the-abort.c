/*
 * DECOY, a repair that is wrong: an abort is a flag of its own, so that no way back takes it
 * back. It holds from then on. But the count of links that have been started is still put back
 * with the index, and a second gee_next starts the same ones again.
 */
#include "web/web.h"
#include <stdlib.h>

int gee_chain_add(gee_chain *c, gee_handler fn, void *arg) {
    gee_link *links = realloc(c->links, (c->n + 1) * sizeof(*links));
    if (links == NULL)
        return UV_ENOMEM;
    c->links = links;
    links[c->n++] = (gee_link){fn, arg};
    return 0;
}

int gee_chain_join(gee_chain *c, const gee_chain *tail) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < tail->n; i++)
        rc = gee_chain_add(c, tail->links[i].fn, tail->links[i].arg);
    return rc;
}

void gee_chain_run(gee_req *req, const gee_chain *chain) {
    req->chain = chain;
    req->at = 0;
    req->reached = 1;
    chain->links[0].fn(req);
}

/* Where the chain stands again when the links further in have returned, or panicked. */
typedef struct way_back {
    gee_cleanup cleanup;
    gee_req *req;
    size_t at;
} way_back;

static void go_back(void *arg) {
    way_back *b = arg;
    b->req->at = b->at;
    b->req->reached = b->at + 1;
}

void gee_next(gee_req *req) {
    way_back back = {.req = req, .at = req->at};
    if (req->aborted || req->reached >= req->chain->n)
        return;
    gee_cleanup_push(&back.cleanup, go_back, &back);
    req->at = req->reached++;
    req->chain->links[req->at].fn(req);
    gee_cleanup_pop(&back.cleanup, true);
}

void gee_abort(gee_req *req) {
    req->aborted = true;
}

bool gee_aborted(const gee_req *req) {
    return req->aborted;
}

void *gee_arg(const gee_req *req) {
    return req->chain->links[req->at].arg;
}
