/*
 * DECOY, a repair that is wrong: what is behind the call of a link puts the index back, and a
 * panic does not come by there. The middleware that recovers it goes on with the index of the link
 * that has panicked, and finds that one's arg in place of its own.
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

/*
 * Each link runs once: a second gee_next of a middleware, or one after gee_abort, does nothing.
 * When the link has returned, the chain stands where it stood.
 */
void gee_next(gee_req *req) {
    size_t at = req->at;
    if (req->aborted || at + 1 != req->reached || req->reached == req->chain->n)
        return;
    req->at = req->reached++;
    req->chain->links[req->at].fn(req);
    req->at = at;
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
