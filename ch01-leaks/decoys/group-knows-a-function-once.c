/*
 * DECOY, a repair that is wrong: a function that is in the chain already is not added to it
 * again. So the parents' middlewares come once, and so does a middleware that is used twice on
 * purpose, with another arg: a second limit, a second directory, the key of a second tenant.
 */
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first error is said, and kept for gee_listen. */
int gee_engine_failed(gee_engine *e, int rc, const char *what, const char *name) {
    if (rc < 0 && e->error == 0) {
        e->error = rc;
        fprintf(stderr, "gee: %s %s: %s\n", what, name, uv_strerror(rc));
    }
    return rc;
}

static char *joined(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    char *s = malloc(n + m + 1);
    if (s == NULL)
        return NULL;
    memcpy(s, a, n);
    memcpy(s + n, b, m + 1);
    return s;
}

gee_engine *gee_engine_of(const gee_group *g) {
    return g->engine;
}

static bool has(const gee_chain *c, gee_handler fn) {
    for (size_t i = 0; i < c->n; i++)
        if (c->links[i].fn == fn)
            return true;
    return false;
}

static int join_new(gee_chain *out, const gee_chain *tail) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < tail->n; i++)
        if (!has(out, tail->links[i].fn))
            rc = gee_chain_add(out, tail->links[i].fn, tail->links[i].arg);
    return rc;
}

/* From the root down. */
static int middlewares_of(const gee_group *g, gee_chain *out) {
    int rc = g->parent ? middlewares_of(g->parent, out) : 0;
    return rc < 0 ? rc : join_new(out, &g->own);
}

gee_group *gee_group_new(gee_group *parent, const char *prefix) {
    gee_engine *e = parent->engine;
    gee_group *g = calloc(1, sizeof(*g));
    if (strcmp(prefix, "/") == 0)
        prefix = "";
    if (g)
        g->prefix = joined(parent->prefix, prefix);
    if (g == NULL || g->prefix == NULL) {
        free(g);
        gee_engine_failed(e, UV_ENOMEM, "group", prefix);
        return parent; /* so that a program may go on to gee_listen, which refuses */
    }
    size_t n = strlen(prefix);
    if (n > 0 && (prefix[0] != '/' || prefix[n - 1] == '/'))
        gee_engine_failed(e, UV_EINVAL, "group", prefix);
    g->engine = e;
    g->parent = parent;
    gee_engine_failed(e, middlewares_of(parent, &g->own), "middlewares of", g->prefix);
    g->next = e->groups;
    e->groups = g;
    return g;
}

int gee_use(gee_group *g, gee_handler fn, void *arg) {
    return gee_engine_failed(g->engine, gee_chain_add(&g->own, fn, arg), "middleware of",
                             g->prefix);
}

int gee_group_chain(const gee_group *g, gee_handler fn, void *arg, gee_chain *out) {
    int rc = middlewares_of(g, out);
    return rc < 0 ? rc : gee_chain_add(out, fn, arg);
}

static gee_route_entry *new_route(const gee_group *g, const char *method, const char *pattern,
                                  gee_handler fn, void *arg) {
    gee_route_entry *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->method = method;
    r->pattern = joined(g->prefix, pattern);
    if (r->pattern && gee_group_chain(g, fn, arg, &r->chain) == 0)
        return r;
    gee_route_free(r);
    return NULL;
}

/* What the parser lets through: a route of another method would never be found. NULL: it is none.
 */
static const char *parsers_name(const char *method) {
    static const llhttp_method_t methods[] = {
#define X(num, name, string) HTTP_##name,
        HTTP_METHOD_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
        if (strcmp(method, llhttp_method_name(methods[i])) == 0)
            return llhttp_method_name(methods[i]);
    return NULL;
}

static int taken_by(gee_engine *e, const char *method, const char *pattern,
                    const gee_route_entry *other) {
    if (e->error == 0)
        fprintf(stderr, "gee: %s %s: matches what %s %s matches\n", method, pattern, other->method,
                other->pattern);
    if (e->error == 0)
        e->error = UV_EEXIST;
    return UV_EEXIST;
}

int gee_handle(gee_group *g, const char *method, const char *pattern, gee_handler fn, void *arg) {
    const gee_route_entry *taken = NULL;
    if (*pattern && *pattern != '/') /* "x" in /api is not meant to be /apix */
        return gee_engine_failed(g->engine, UV_EINVAL, method, pattern);
    const char *name = parsers_name(method);
    if (name == NULL)
        return gee_engine_failed(g->engine, UV_EINVAL, method, pattern);
    gee_route_entry *r = new_route(g, name, pattern, fn, arg);
    int rc = r ? gee_contract_check(g->engine, method, r->pattern, &r->chain) : UV_ENOMEM;
    if (rc == 0)
        rc = gee_router_add(g->engine->tree, r, &taken);
    else if (r)
        gee_route_free(r);
    return taken ? taken_by(g->engine, method, pattern, taken)
                 : gee_engine_failed(g->engine, rc, method, pattern);
}

int gee_any(gee_group *g, const char *pattern, gee_handler fn, void *arg) {
    static const char *const methods[] = {"GET",    "POST", "PUT",    "PATCH",
                                          "DELETE", "HEAD", "OPTIONS"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(methods) / sizeof(*methods); i++)
        rc = gee_handle(g, methods[i], pattern, fn, arg);
    return rc;
}
