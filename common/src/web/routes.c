/* The list of routes. It is one block of memory: the routes, then the links of all chains. */
#include "base/symbol.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct gathered {
    const gee_engine *e;
    gee_route_info *routes; /* NULL while they are counted */
    gee_route_link *links;
    size_t nroutes, nlinks;
} gathered;

static void gather(gathered *g, const char *method, const char *pattern, const gee_chain *chain) {
    gee_route_link *links = g->links + g->nlinks;
    for (size_t i = 0; g->routes && i < chain->n; i++)
        links[i] = (gee_route_link){.fn = chain->links[i].fn,
                                    .arg = chain->links[i].arg,
                                    .contract = gee_contract_of(g->e, chain->links[i].fn)};
    if (g->routes)
        g->routes[g->nroutes] = (gee_route_info){method, pattern, links, chain->n};
    g->nroutes++;
    g->nlinks += chain->n;
}

static void gather_route(const gee_route_entry *r, void *arg) {
    gather(arg, r->method, r->pattern, &r->chain);
}

static int by_pattern(const void *a, const void *b) {
    const gee_route_info *x = a, *y = b;
    int order = strcmp(x->pattern, y->pattern);
    return order ? order : strcmp(x->method, y->method);
}

static void gather_all(gathered *g) {
    gee_router_each(g->e->tree, gather_route, g);
    if (g->routes)
        qsort(g->routes, g->nroutes, sizeof(*g->routes), by_pattern);
    if (g->e->no_route.n > 0)
        gather(g, "*", GEE_NO_ROUTE, &g->e->no_route);
    if (g->e->no_method.n > 0)
        gather(g, "*", GEE_NO_METHOD, &g->e->no_method);
}

/* A contract has a name; who has none is called as its function is. */
static void name_all(gathered *g) {
    gee_symbols *symbols = gee_symbols_open();
    for (size_t i = 0; i < g->nlinks; i++) {
        gee_route_link *l = &g->links[i];
        void *at;
        memcpy(&at, &l->fn, sizeof(at)); /* POSIX: both are addresses */
        const char *name = l->contract ? l->contract->name : gee_symbol_name(symbols, at);
        snprintf(l->name, sizeof(l->name), "%s", name ? name : "?");
    }
    gee_symbols_close(symbols);
}

int gee_routes(const gee_engine *e, gee_route_info **out) {
    gathered g = {.e = e};
    gather_all(&g); /* counts */
    *out = malloc(g.nroutes * sizeof(*g.routes) + g.nlinks * sizeof(*g.links) + 1);
    if (*out == NULL)
        return UV_ENOMEM;
    g = (gathered){e, *out, (gee_route_link *)(*out + g.nroutes), 0, 0};
    gather_all(&g);
    name_all(&g);
    return (int)g.nroutes;
}
