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

typedef struct slot {
    uint64_t key;
    size_t len;
    struct gee_node *node; /* NULL: none */
} slot;

typedef struct gee_node {
    slot *table; /* children by key, open addressing; a power of two */
    size_t nchildren, slots;
    struct gee_node *param, *rest;
    gee_route_entry *routes;
    char segment[]; /* not terminated */
} gee_node;

static uint64_t mix(uint64_t h) {
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

enum { WORD = sizeof(uint64_t) };

/*
 * Of up to a word it is these bytes, in some order: two segments of one length that have the same
 * key are the same. Most are no longer. Of more it is a hash; those of the last word may be in the
 * one before it, too.
 */
static uint64_t key_of(const char *s, size_t n) {
    uint64_t h = 0, word = 0;
    uint32_t low, high;
    if (n < sizeof(low)) /* the first, the middle and the last */
        return n == 0 ? 0 : (uint8_t)s[0] | (uint8_t)s[n / 2] << 8 | (uint8_t)s[n - 1] << 16;
    if (n < WORD) {
        memcpy(&low, s, sizeof(low));
        memcpy(&high, s + n - sizeof(high), sizeof(high));
        return low | (uint64_t)high << 32;
    }
    for (size_t i = 0; i < n - WORD; i += WORD) {
        memcpy(&word, s + i, WORD);
        h = mix(h ^ word);
    }
    memcpy(&word, s + n - WORD, WORD);
    return h ^ word;
}

gee_node *gee_node_new(const char *segment, size_t len) {
    gee_node *n = calloc(1, sizeof(*n) + len);
    if (n)
        memcpy(n->segment, segment, len);
    return n;
}

void gee_route_free(gee_route_entry *r) {
    for (size_t i = 0; i < r->nparams; i++)
        free((char *)r->params[i].name);
    free(r->params);
    free(r->pattern);
    free(r->chain.links);
    free(r);
}

void gee_node_free(gee_node *n) {
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->slots; i++)
        gee_node_free(n->table[i].node);
    gee_node_free(n->param);
    gee_node_free(n->rest);
    for (gee_route_entry *r; (r = n->routes) != NULL;) {
        n->routes = r->next;
        gee_route_free(r);
    }
    free(n->table);
    free(n);
}

/* Where the child of that segment is, or would be. */
static slot *slot_of(const gee_node *n, uint64_t key, const char *segment, size_t len) {
    size_t i = mix(key ^ len) & (n->slots - 1);
    for (slot *at; (at = &n->table[i])->node; i = (i + 1) & (n->slots - 1))
        if (at->key == key && at->len == len &&
            (len <= WORD || memcmp(at->node->segment, segment, len) == 0))
            break;
    return &n->table[i];
}

static gee_node *child_of(const gee_node *n, const char *segment, size_t len) {
    return slot_of(n, key_of(segment, len), segment, len)->node;
}

static int grow(gee_node *n) {
    size_t slots = n->slots ? 2 * n->slots : 4, old = n->slots;
    slot *table = calloc(slots, sizeof(slot)), *before = n->table;
    if (table == NULL)
        return UV_ENOMEM;
    n->table = table;
    n->slots = slots;
    for (size_t i = 0; i < old; i++) {
        const slot *s = &before[i];
        if (s->node)
            *slot_of(n, s->key, s->node->segment, s->len) = *s;
    }
    free(before);
    return 0;
}

static gee_node *fixed_child(gee_node *n, const char *segment, size_t len) {
    if (2 * (n->nchildren + 1) > n->slots && grow(n) < 0)
        return NULL;
    uint64_t key = key_of(segment, len);
    slot *at = slot_of(n, key, segment, len);
    if (at->node == NULL) {
        *at = (slot){key, len, gee_node_new(segment, len)};
        n->nchildren += at->node != NULL;
    }
    return at->node;
}

/* The child for one segment of a pattern, made if it is not there. */
static gee_node *child(gee_node *n, const char *segment, size_t len) {
    bool special = len > 0 && (*segment == ':' || *segment == '*');
    if (!special)
        return fixed_child(n, segment, len);
    gee_node **at = *segment == ':' ? &n->param : &n->rest;
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
        r->rest = *segment == '*' && len > 0;
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
    const gee_path *path;
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

/* From the i-th segment on. Where there is one way to go, as at most nodes, it needs no way back.
 */
static const gee_route_entry *walk(search *s, const gee_node *n, const char *segment, size_t i,
                                   size_t nvalues) {
    const gee_route_entry *r;
    for (; i < s->path->n; i++) {
        size_t len = s->path->len[i];
        const char *next = segment + len + 1;
        const gee_node *param = len > 0 ? n->param : NULL;
        const gee_node *way = n->slots > 0 ? child_of(n, segment, len) : NULL;
        if (way && (param || n->rest) && (r = walk(s, way, next, i + 1, nvalues)) != NULL)
            return r;
        if (param || n->rest) {
            s->values[nvalues] = segment;
            way = param;
        }
        if (n->rest) {
            r = param ? walk(s, param, next, i + 1, nvalues + 1) : NULL;
            s->values[nvalues] = segment;
            return r ? r : found(s, n->rest);
        }
        if (way == NULL)
            return NULL;
        nvalues += way == param;
        n = way;
        segment = next;
    }
    return found(s, n);
}

const gee_route_entry *gee_router_find(const struct gee_node *tree, const char *method,
                                       const gee_path *path, const char **values, int *status,
                                       char *allow, size_t allow_size) {
    search s = {method, path, values, allow, allow_size};
    allow[0] = '\0';
    const gee_route_entry *r = walk(&s, tree, path->segments, 0, 0);
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
        gee_router_each(n->table[i].node, fn, arg);
    gee_router_each(n->param, fn, arg);
    gee_router_each(n->rest, fn, arg);
}
