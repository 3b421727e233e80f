/*
 * DECOY, a repair that is wrong: the index only grows, as Gin's does. No link runs twice, and no
 * abort is forgotten. But on the way out the chain stands where it was furthest in: a middleware
 * finds the arg of another one, and its second gee_next starts what a link further in meant to stop
 * by not going on.
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

/* The index only grows: what has been started is not started again. */
void gee_next(gee_req *req) {
    if (req->aborted || req->reached >= req->chain->n)
        return;
    req->at = req->reached++;
    req->chain->links[req->at].fn(req);
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
