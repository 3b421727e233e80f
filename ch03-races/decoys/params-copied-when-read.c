/*
 * DECOY, a repair that is wrong: the route keeps the values, and a request takes a copy of its own
 * as soon as it asks for one of them. Most handlers ask in their first line, and then it holds. One
 * that waits before it asks, or has a middleware that waits, copies what is there by then.
 */
#include "web/web.h"
#include <string.h>

/* The rest of a path, its segments joined again. */
static const char *join_rest(gee_req *req, const char *segment, const char *end) {
    size_t n = (size_t)(end - segment);
    char *rest = gee_arena_strndup(req->x.arena, segment, n);
    for (size_t i = 0; rest && i < n; i++)
        if (rest[i] == '\0')
            rest[i] = '/';
    return rest;
}

static bool ends_in_rest(const gee_route_entry *r) {
    return r->rest;
}

int gee_params_keep(gee_req *req, const gee_route_entry *r, const char *const *values,
                    const char *end) {
    if (r->nparams == 0)
        return 0;
    req->params = r->params;
    for (size_t i = 0; i < r->nparams; i++)
        req->params[i].value = values[i];
    gee_pair *last = &req->params[r->nparams - 1];
    if (ends_in_rest(r))
        last->value = join_rest(req, last->value, end);
    return last->value ? 0 : UV_ENOMEM;
}

/* At the first question: from now on they are this request's alone. */
static int take(gee_req *req) {
    size_t n = req->route ? req->route->nparams : 0;
    if (n == 0 || req->params != req->route->params)
        return 0;
    gee_pair *own = gee_arena_alloc(req->x.arena, n * sizeof(gee_pair));
    if (own == NULL)
        return UV_ENOMEM;
    for (size_t i = 0; i < n; i++)
        own[i] = req->route->params[i];
    req->params = own;
    return 0;
}

const char *gee_param(const gee_req *req, const char *name) {
    if (take((gee_req *)req) < 0)
        return NULL;
    for (size_t i = 0; req->route && i < req->route->nparams; i++)
        if (strcmp(req->params[i].name, name) == 0)
            return req->params[i].value;
    return NULL;
}
