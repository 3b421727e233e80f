/* What a route captured, kept in the request: two requests of one route share nothing. */
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
    req->params = gee_arena_alloc(req->x.arena, r->nparams * sizeof(gee_pair));
    if (req->params == NULL)
        return UV_ENOMEM;
    for (size_t i = 0; i < r->nparams; i++)
        req->params[i] = (gee_pair){r->params[i].name, values[i]};
    gee_pair *last = &req->params[r->nparams - 1];
    if (ends_in_rest(r))
        last->value = join_rest(req, last->value, end);
    return last->value ? 0 : UV_ENOMEM;
}

const char *gee_param(const gee_req *req, const char *name) {
    for (size_t i = 0; req->route && i < req->route->nparams; i++)
        if (strcmp(req->params[i].name, name) == 0)
            return req->params[i].value;
    return NULL;
}
