/* The engine: what stands between the HTTP server and the handlers. */
#include "gee/run.h"
#include "http/bytes.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void not_found(gee_req *req) {
    gee_fail(req, 404);
}

/* RFC 9110, 9.3.7: OPTIONS asks for what the Allow header says. */
static void not_allowed(gee_req *req) {
    if (strcmp(gee_method(req), "OPTIONS") == 0)
        gee_status(req, 204);
    else
        gee_fail(req, 405);
}

void gee_no_route(gee_engine *e, gee_handler fn, void *arg) {
    e->on_no_route = (gee_link){fn, arg};
}

void gee_no_method(gee_engine *e, gee_handler fn, void *arg) {
    e->on_no_method = (gee_link){fn, arg};
}

gee_engine *gee_engine_new(void) {
    gee_engine *e = calloc(1, sizeof(*e));
    gee_group *root = calloc(1, sizeof(*root));
    if (root)
        root->prefix = strdup("");
    if (e)
        e->tree = gee_node_new("", 0);
    if (e == NULL || root == NULL || root->prefix == NULL || e->tree == NULL) {
        if (root)
            free(root->prefix);
        free(root);
        if (e)
            gee_node_free(e->tree);
        free(e);
        return NULL;
    }
    e->on_no_route.fn = not_found;
    e->on_no_method.fn = not_allowed;
    root->engine = e;
    e->groups = e->root = root;
    return e;
}

void gee_engine_free(gee_engine *e) {
    for (gee_group *g; (g = e->groups) != NULL;) {
        e->groups = g->next;
        free(g->own.links);
        free(g->prefix);
        free(g);
    }
    gee_node_free(e->tree);
    free(e->no_route.links);
    free(e->no_method.links);
    for (gee_owned *o; (o = e->owned) != NULL;) {
        e->owned = o->next;
        o->free_fn(o->p);
        free(o);
    }
    free(e);
}

int gee_engine_own(gee_engine *e, void *p, void (*free_fn)(void *p)) {
    gee_owned *o = malloc(sizeof(*o));
    if (o == NULL)
        return UV_ENOMEM;
    *o = (gee_owned){e->owned, p, free_fn};
    e->owned = o;
    return 0;
}

gee_group *gee_root(gee_engine *e) {
    return e->root;
}

/* Of every method that there is, with ", " or the zero behind it. */
#define X(num, name, string) +sizeof(#string) + 1
enum { ALL_METHODS = 0 HTTP_METHOD_MAP(X) };
#undef X

static int route(gee_req *req) {
    const char *values[GEE_MAX_PARAMS];
    char allow[ALL_METHODS];
    gee_path path;
    int status = gee_path_parse(req->x.arena, req->x.target, &path);
    if (status != 0)
        return status;
    req->route = gee_router_find(req->engine->tree, req->x.method, &path, values, &status, allow,
                                 sizeof(allow));
    if (req->route)
        return gee_params_keep(req, req->route, values, path.end) < 0 ? 503 : 200;
    if (status == 405)
        gee_set_header(req, "Allow", allow);
    return status;
}

static void request_over(void *arg) {
    gee_req *req = arg;
    gee_subs_end(req, true); /* by a panic; otherwise there is none any more */
    if (req->refs.used)
        gee_refs_end(req, true);
    gee_keys_free(&req->keys);
    json_decref(req->json);
}

void gee_req_serve(gee_req *req, const gee_chain *chain) {
    gee_cleanup_push(&req->over, request_over, req);
    gee_chain_run(req, chain);
    gee_subs_end(req, false);
    if (req->refs.used)
        gee_refs_end(req, false);
    gee_cleanup_pop(&req->over, true);
}

static void serve(gee_exchange *x, void *arg) {
    gee_req *req = gee_container(x, gee_req, x);
    req->engine = arg;
    req->ctx = x->ctx;
    if (gee_same(x->target, "*")) { /* OPTIONS alone: a ping, RFC 9110, 9.3.7 */
        gee_exchange_respond(req->ctx, x, NULL, 0, GEE_HERE);
        return;
    }
    int status = route(req);
    if (status == 200)
        gee_req_serve(req, &req->route->chain);
    else if (status == 404)
        gee_req_serve(req, &req->engine->no_route);
    else if (status == 405)
        gee_req_serve(req, &req->engine->no_method);
    else
        gee_exchange_error(x, status);
}

static int close_table(gee_engine *e, const char *name, const gee_link *last, gee_chain *chain) {
    if (chain->n > 0)
        return 0;
    int rc = gee_group_chain(e->root, last->fn, last->arg, chain);
    if (rc == 0)
        rc = gee_contract_check(e, "*", name, chain);
    if (rc < 0) {
        free(chain->links);
        *chain = (gee_chain){0}; /* half a chain would serve, were gee_listen called again */
    }
    return rc;
}

/* A request that matches no route still goes through the root's middlewares. */
static int close_tables(gee_engine *e) {
    int rc = e->error;
    if (rc == 0)
        rc = close_table(e, GEE_NO_ROUTE, &e->on_no_route, &e->no_route);
    if (rc == 0)
        rc = close_table(e, GEE_NO_METHOD, &e->on_no_method, &e->no_method);
    return rc;
}

static int start(gee_engine *e, const gee_address *at, const gee_limits *limits, gee_server **out) {
    const gee_http_handler h = {sizeof(gee_req), serve, e};
    int rc = close_tables(e);
    return rc < 0 ? rc : gee_server_start(&h, limits, at, out);
}

int gee_listen(gee_engine *e, const char *host, int port, const gee_limits *limits,
               gee_server **out) {
    const gee_address at = {.host = host, .port = port};
    if (host == NULL || port < 0 || port > 65535)
        return UV_EINVAL; /* of a larger one, 16 bits would be taken */
    return start(e, &at, limits, out);
}

int gee_listen_fd(gee_engine *e, int fd, const gee_limits *limits, gee_server **out) {
    const gee_address at = {.fd = fd};
    int rc = gee_simulated() ? UV_ENOTSUP : start(e, &at, limits, out);
    if (rc == 0)
        close(fd); /* each worker has its own */
    return rc;
}
