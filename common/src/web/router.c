/*
 * The route tree: a node a segment. Children with a fixed segment are found by
 * hash; a parameter and the rest are one child each. A node where patterns end
 * has a route for each method.
 */
#include "http/bytes.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct gee_node {
    char *segment;
    size_t len;
    struct gee_node **table; /* children by hash, open addressing; a power of two */
    size_t nchildren, slots;
    struct gee_node *param, *rest;
    gee_route_entry *routes;
} gee_node;

static uint32_t hash(const char *s, size_t n) {
    uint32_t h = 2166136261U; /* FNV-1a */
    while (n-- > 0)
        h = (h ^ (unsigned char)*s++) * 16777619U;
    return h;
}

gee_node *gee_node_new(const char *segment, size_t len) {
    gee_node *n = calloc(1, sizeof(*n));
    if (n && (n->segment = strndup(segment, len)) == NULL) {
        free(n);
        return NULL;
    }
    if (n)
        n->len = len;
    return n;
}

void gee_route_free(gee_route_entry *r) {
    for (size_t i = 0; i < r->nparams; i++)
        free((char *)r->params[i].name);
    free(r->params);
    free(r->method);
    free(r->pattern);
    free(r->chain.links);
    free(r);
}

void gee_node_free(gee_node *n) {
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->slots; i++)
        gee_node_free(n->table[i]);
    gee_node_free(n->param);
    gee_node_free(n->rest);
    for (gee_route_entry *r; (r = n->routes) != NULL;) {
        n->routes = r->next;
        gee_route_free(r);
    }
    free(n->table);
    free(n->segment);
    free(n);
}

static gee_node **slot_of(const gee_node *n, const char *segment, size_t len) {
    size_t i = hash(segment, len) & (n->slots - 1);
    while (n->table[i] &&
           (n->table[i]->len != len || memcmp(n->table[i]->segment, segment, len) != 0))
        i = (i + 1) & (n->slots - 1);
    return &n->table[i];
}

static int grow(gee_node *n) {
    size_t slots = n->slots ? 2 * n->slots : 4, old = n->slots;
    gee_node **table = calloc(slots, sizeof(gee_node *)), **before = n->table;
    if (table == NULL)
        return UV_ENOMEM;
    n->table = table;
    n->slots = slots;
    for (size_t i = 0; i < old; i++)
        if (before[i])
            *slot_of(n, before[i]->segment, before[i]->len) = before[i];
    free(before);
    return 0;
}

/* The child for one segment of a pattern, made if it is not there. */
static gee_node *child(gee_node *n, const char *segment, size_t len) {
    gee_node **at;
    if (*segment == ':' && len > 0) {
        at = &n->param;
    } else if (*segment == '*' && len > 0) {
        at = &n->rest;
    } else {
        if (2 * (n->nchildren + 1) > n->slots && grow(n) < 0)
            return NULL;
        at = slot_of(n, segment, len);
        n->nchildren += *at == NULL;
    }
    if (*at == NULL)
        *at = gee_node_new(segment, len);
    return *at;
}

static int add_param(gee_route_entry *r, const char *name, size_t len) {
    if (len == 0 || r->nparams == GEE_MAX_PARAMS)
        return UV_EINVAL;
    for (size_t i = 0; i < r->nparams; i++)
        if (strlen(r->params[i].name) == len && memcmp(r->params[i].name, name, len) == 0)
            return UV_EINVAL;
    gee_pair *more = realloc(r->params, (r->nparams + 1) * sizeof(gee_pair));
    if (more == NULL)
        return UV_ENOMEM;
    r->params = more;
    more[r->nparams] = (gee_pair){.name = strndup(name, len)};
    return more[r->nparams++].name ? 0 : UV_ENOMEM;
}

int gee_router_add(gee_node *tree, gee_route_entry *r, const gee_route_entry **taken) {
    gee_node *n = tree;
    int rc = *r->pattern == '/' ? 0 : UV_EINVAL;
    for (const char *at = r->pattern; rc == 0 && *at;) {
        const char *segment = at + 1;
        size_t len = strcspn(segment, "/");
        at = segment + len;
        if (*segment == ':' || *segment == '*')
            rc = add_param(r, segment + 1, len - 1);
        if (*segment == '*' && *at)
            rc = UV_EINVAL; /* something behind the rest */
        if (rc == 0 && (n = child(n, segment, len)) == NULL)
            rc = UV_ENOMEM;
    }
    for (gee_route_entry *old = rc == 0 ? n->routes : NULL; old; old = old->next)
        if (strcmp(old->method, r->method) == 0) {
            rc = UV_EEXIST;
            *taken = old;
        }
    if (rc < 0) {
        gee_route_free(r);
        return rc;
    }
    r->next = n->routes;
    n->routes = r;
    return 0;
}

static const gee_route_entry *route_for(const gee_node *n, const char *method) {
    const gee_route_entry *get = NULL;
    for (const gee_route_entry *r = n->routes; r; r = r->next) {
        if (gee_same(r->method, method))
            return r;
        if (gee_same(r->method, "GET"))
            get = r;
    }
    return gee_same(method, "HEAD") ? get : NULL;
}

typedef struct search {
    const char *method;
    const char **values;
    char *allow; /* "GET, HEAD": the methods of the patterns that match, but not for this one */
    size_t allow_size;
} search;

static bool is_listed(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == '\0' || at[n] == ','))
            return true;
    return false;
}

static void allow_method(search *s, const char *method) {
    size_t at = strlen(s->allow);
    if (!is_listed(s->allow, method) && at + strlen(method) + 3 <= s->allow_size)
        snprintf(s->allow + at, s->allow_size - at, "%s%s", at ? ", " : "", method);
}

static const gee_route_entry *found(search *s, const gee_node *n) {
    const gee_route_entry *r = route_for(n, s->method);
    if (r)
        return r;
    for (r = n->routes; r; r = r->next) {
        allow_method(s, r->method);
        if (strcmp(r->method, "GET") == 0)
            allow_method(s, "HEAD");
    }
    if (n->routes)
        allow_method(s, "OPTIONS");
    return NULL;
}

static const gee_route_entry *walk(search *s, const gee_node *n, const char *segment, size_t left,
                                   size_t nvalues) {
    if (left == 0)
        return found(s, n);
    size_t len = strlen(segment);
    const gee_route_entry *r = NULL;
    if (n->slots > 0) {
        const gee_node *fixed = *slot_of(n, segment, len);
        if (fixed && (r = walk(s, fixed, segment + len + 1, left - 1, nvalues)) != NULL)
            return r;
    }
    if (n->param && len > 0) {
        s->values[nvalues] = segment;
        if ((r = walk(s, n->param, segment + len + 1, left - 1, nvalues + 1)) != NULL)
            return r;
    }
    if (n->rest) {
        s->values[nvalues] = segment;
        r = found(s, n->rest);
    }
    return r;
}

const gee_route_entry *gee_router_find(const gee_node *tree, const char *method,
                                       const gee_path *path, const char **values, int *status,
                                       char *allow, size_t allow_size) {
    search s = {method, values, allow, allow_size};
    allow[0] = '\0';
    const gee_route_entry *r = walk(&s, tree, path->segments, path->n, 0);
    *status = r ? 200 : *allow ? 405 : 404;
    return r;
}

void gee_router_each(const gee_node *n, void (*fn)(const gee_route_entry *r, void *arg),
                     void *arg) {
    if (n == NULL)
        return;
    for (const gee_route_entry *r = n->routes; r; r = r->next)
        fn(r, arg);
    for (size_t i = 0; i < n->slots; i++)
        gee_router_each(n->table[i], fn, arg);
    gee_router_each(n->param, fn, arg);
    gee_router_each(n->rest, fn, arg);
}
