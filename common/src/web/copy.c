/*
 * A copy of a request, for a task that outlives it.
 *
 * Nothing in a copy points into the request, its connection or its engine: all
 * three may be gone when the copy is read. Strings are copied into an arena of its
 * own, and what is parsed lazily is parsed before, so that reading a copy writes
 * nothing. The list of keys is the copy's own too, taken at one moment under the
 * request's lock: were it the request's, then a handler that sets a key would
 * write to what another thread is reading. Only the boxes are shared; they are
 * constant and counted.
 */
#include "base/count.h"
#include "gee/clientip.h"
#include "gee/cookie.h"
#include "web/web.h"
#include <stdlib.h>
#include <string.h>

typedef struct copy {
    gee_req req; /* first: it is what the caller has */
    gee_arena arena;
    gee_ctx *ctx; /* its own; gee_req_set_ctx may put another one before it */
    gee_route_entry route;
    gee_chain chain;
    gee_link link;
} copy;

static int keep(gee_arena *a, const char *from, const char **to) {
    *to = from ? gee_arena_strndup(a, from, strlen(from)) : NULL;
    return from && *to == NULL ? UV_ENOMEM : 0;
}

static int keep_pairs(gee_arena *a, const gee_pair *from, size_t n, gee_pair **to) {
    int rc = 0;
    *to = gee_arena_alloc(a, n * sizeof(gee_pair));
    if (*to == NULL)
        return UV_ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = keep(a, from[i].name, &(*to)[i].name);
        if (rc == 0)
            rc = keep(a, from[i].value, &(*to)[i].value);
    }
    return rc;
}

static int keep_list(gee_arena *a, const gee_pairs *from, gee_pairs *to) {
    to->parsed = true; /* a form that was not read until now never will be */
    to->n = from->n;
    return from->n ? keep_pairs(a, from->at, from->n, &to->at) : 0;
}

static int keep_head(copy *c, gee_req *from) {
    gee_exchange *x = &c->req.x;
    const char *target;
    int rc = keep(&c->arena, from->x.method, &x->method);
    if (rc == 0)
        rc = keep(&c->arena, from->x.target, &target);
    if (rc == 0)
        rc = keep(&c->arena, gee_remote(from), &c->req.remote);
    if (rc == 0)
        rc = keep(&c->arena, gee_client_ip(from), &c->req.client);
    if (rc < 0)
        return rc;
    x->target = (char *)target;
    x->target_len = from->x.target_len;
    x->minor = from->x.minor;
    return gee_fields_copy(&x->fields, &from->x.fields, from->x.fields.n, &c->arena);
}

/* The engine may be gone before the copy is, and the route with it. */
static int keep_route(copy *c, const gee_req *from) {
    const gee_route_entry *r = from->route;
    const char *pattern;
    if (r == NULL)
        return 0;
    int rc = keep(&c->arena, r->pattern, &pattern);
    if (rc == 0 && r->nparams > 0)
        rc = keep_pairs(&c->arena, from->params, r->nparams, &c->req.params);
    c->route = (gee_route_entry){.pattern = (char *)pattern, .nparams = r->nparams};
    c->req.route = &c->route;
    return rc;
}

/* Room is made outside of the lock; if the list has grown meanwhile, again. */
static int keep_keys(gee_keys *from, gee_keys *to) {
    for (size_t room = 8;; room *= 2) {
        to->at = malloc(room * sizeof(gee_box *));
        if (to->at == NULL)
            return UV_ENOMEM;
        gee_spin_lock(&from->lock);
        bool fits = from->n <= room;
        for (size_t i = 0; fits && i < from->n; i++)
            if (from->at[i]->free_value)
                to->at[to->n++] = gee_box_ref(from->at[i]);
        gee_spin_unlock(&from->lock);
        to->cap = room;
        if (fits)
            return 0;
        free(to->at);
    }
}

static int fill(copy *c, gee_req *from) {
    int rc = keep_head(c, from);
    gee_query(from, ""); /* so that it is parsed, as the cookies are */
    gee_cookie(from, "");
    if (rc == 0)
        rc = keep_route(c, from);
    if (rc == 0)
        rc = keep_list(&c->arena, &from->query, &c->req.query);
    if (rc == 0)
        rc = keep_list(&c->arena, &from->form, &c->req.form);
    if (rc == 0)
        rc = keep_list(&c->arena, &from->cookies, &c->req.cookies);
    if (rc == 0)
        rc = keep_keys(&from->keys, &c->req.keys);
    c->ctx = c->req.ctx = rc == 0 ? gee_ctx_without_cancel(from->ctx) : NULL;
    return rc == 0 && c->ctx == NULL ? UV_ENOMEM : rc;
}

gee_req *gee_req_copy(gee_req *req) {
    copy *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    gee_count(GEE_COUNT_COPIES, 1);
    c->req.x.arena = &c->arena;
    c->req.x.status = req->x.status;
    c->req.x.head_sent = c->req.x.ended = true; /* there is nobody to answer */
    c->req.aborted = req->aborted;
    /* A chain that is at its end, so that gee_next finds nothing and gee_arg what it found. */
    c->link.arg = gee_arg(req);
    c->chain = (gee_chain){&c->link, 1};
    c->req.chain = &c->chain;
    c->req.reached = 1;
    if (fill(c, req) == 0)
        return &c->req;
    gee_req_release(&c->req);
    return NULL;
}

void gee_req_release(gee_req *req) {
    copy *c = gee_container(req, copy, req);
    if (c->ctx)
        gee_ctx_end(c->ctx);
    gee_keys_free(&c->req.keys);
    gee_arena_free(&c->arena);
    free(c);
    gee_count(GEE_COUNT_COPIES, -1);
}
