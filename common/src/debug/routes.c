/* /debug/routes: which functions a request passes on its way, and what they ask of each other. */
#include "debug/page.h"
#include "web/web.h"
#include <stdlib.h>

struct listing {
    const gee_engine *e;
    gee_route_info *routes;
    int n;
};

static void list(void *arg) {
    struct listing *l = arg;
    l->n = gee_routes(l->e, &l->routes);
}

static void clause(gee_buf *b, const char **before, const char *verb, const char *words) {
    if (words)
        gee_buf_printf(b, "%s%s %s", *before, verb, words);
    if (words)
        *before = "; ";
}

static void text_of_link(gee_buf *b, const gee_route_link *l) {
    const gee_contract *c = l->contract;
    const char *before = "";
    if (c == NULL || (!c->needs && !c->around && !c->provides)) {
        gee_buf_printf(b, "    %s\n", l->name);
        return;
    }
    gee_buf_printf(b, "    %-20s ", l->name);
    clause(b, &before, "needs", c->needs);
    clause(b, &before, "around", c->around);
    clause(b, &before, "provides", c->provides);
    gee_buf_printf(b, "\n");
}

static int text(gee_req *req, const gee_route_info *routes, int n) {
    gee_buf b = {0};
    for (int i = 0; i < n; i++) {
        gee_buf_printf(&b, "%s %s\n", routes[i].method, routes[i].pattern);
        for (size_t j = 0; j < routes[i].n; j++)
            text_of_link(&b, &routes[i].chain[j]);
    }
    int rc = gee_data(req, 200, "text/plain; charset=utf-8", gee_buf_head(&b), gee_buf_size(&b));
    gee_buf_free(&b);
    return rc;
}

static json_t *json_of_chain(const gee_route_info *r) {
    json_t *chain = json_array();
    for (size_t j = 0; j < r->n; j++) {
        const gee_contract *c = r->chain[j].contract;
        json_array_append_new(chain, json_pack("{s:s, s:b, s:s*, s:s*, s:s*}", "name",
                                               r->chain[j].name, "contract", c != NULL, "needs",
                                               c ? c->needs : NULL, "around", c ? c->around : NULL,
                                               "provides", c ? c->provides : NULL));
    }
    return chain;
}

static int json(gee_req *req, const gee_route_info *routes, int n) {
    json_t *all = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:o}", "method", routes[i].method, "pattern",
                                        routes[i].pattern, "chain", json_of_chain(&routes[i])));
    return gee_json(req, 200, "{s:o}", "routes", all);
}

void gee_routes_page(gee_req *req) {
    struct listing l = {.e = req->engine};
    if (gee_blocking(gee_req_ctx(req), list, &l) < 0 || l.n < 0)
        gee_fail(req, 503);
    else if (gee_query_is(req, "format", "json"))
        json(req, l.routes, l.n);
    else
        text(req, l.routes, l.n);
    free(l.routes);
}
