/*
 * Contracts: in which order the middlewares of a chain stand, and the list of routes that shows it.
 *
 * Authorization asks who the user is, so authentication has to run before it; an audit wants to
 * see who was turned away, so it stands around both. In a program that is nothing but the order
 * of two lines, perhaps in two files. A contract says it in words, and each route is held
 * against the contracts of its chain when it is registered: a chain in the wrong order is refused
 * before there is a server, with the route, the middleware and the word that is missing.
 *
 *     gee_declare(e, authorize, &(gee_contract){.name = "authorization",
 *                                               .needs = "authentication",
 *                                               .provides = "authorization"});
 *     gee_declare(e, delete_user, &(gee_contract){.name = "delete user",
 *                                                 .needs = "authorization"});
 *
 *     gee: GET /users: authorization needs authentication, which basic auth provides further in
 *     gee: GET /users: audit has to be around authentication, which basic auth provides further out
 *
 * Words are the program's own; they are compared as they are. The middlewares of this library
 * provide "access log", "authentication" (gee_use_basic_auth), "body limit", "compression",
 * "CORS", "deadline" (gee_use_timeout), "metrics", "rate limit", "recovery", "request id" and
 * "tracing". CORS has to be around authentication, for browsers send no credentials with a
 * preflight.
 */
#ifndef GEE_CONTRACT_H
#define GEE_CONTRACT_H

#include "gee/engine.h"

/* Lists are words with commas between them: "authentication, request id"; NULL: none. */
typedef struct gee_contract {
    const char *name;     /* of the middleware or handler, in messages and lists */
    const char *needs;    /* somebody further out provides it: that has run when this one runs */
    const char *provides; /* to those further in */
    const char *around;   /* nobody further out provides it: whoever does is seen from here, also
                           * when it turns a request away */
} gee_contract;

/*
 * Says what fn, a middleware or a handler, asks of the chains of e in which it stands, wherever it
 * is used and with whichever arg. All is copied. Before the first route of which it is a part.
 *
 * 0, UV_EINVAL: no fn, no name or an empty word in a list; UV_EEXIST: another contract of fn was
 * declared (the same again is fine); UV_EALREADY: a route with fn is registered; UV_ENOMEM. Errors
 * stay with the engine, as those of gee_use do. gee_handle and, for the root's middlewares,
 * which every request without a route passes, gee_listen say UV_EINVAL where a contract is broken.
 */
int gee_declare(gee_engine *e, gee_handler fn, const gee_contract *contract);

/* A route as it was registered. What is pointed to lives as long as the engine, or the list. */
typedef struct gee_route_link {
    char name[40]; /* of its contract; else of its function, where that is known, else "?"; cut */
    gee_handler fn;
    void *arg;
    const gee_contract *contract; /* NULL: none was declared */
} gee_route_link;

typedef struct gee_route_info {
    const char *method, *pattern;
    const gee_route_link *chain; /* from the outside in; the last one is the handler */
    size_t n;
} gee_route_info;

/*
 * All routes of e by pattern and method; then, once gee_listen was called, what answers a request
 * that has no route, or not for its method: "*" of "(no route)" and "(no method)". *out is freed
 * with free(). The names of functions are read from the debug information, which takes
 * milliseconds: inside a task, call it through gee_blocking(). How many, or UV_ENOMEM.
 */
int gee_routes(const gee_engine *e, gee_route_info **out);

#endif
