/*
 * The engine: routes, groups and middlewares; what gin.Engine and
 * gin.RouterGroup are in Go.
 *
 * An engine is built before it serves and is constant from then on. Patterns are
 * matched segment by segment:
 *   /users/new    as it stands
 *   /users/:id    one segment that is not empty
 *   "/files/" and a star and a name: the rest, which may be empty; last in a pattern
 * A static segment beats a parameter, a parameter beats the rest, and a choice
 * that leads nowhere is taken back. Patterns are plain text: what a request has
 * percent-encoded is decoded before it is compared, segment by segment.
 *
 * /a and /a/ are two different routes, and neither redirects to the other: a client
 * that is sent elsewhere repeats its request, or does not. HEAD is answered by GET's
 * handler unless it has its own, OPTIONS with 204 and Allow unless it has one.
 */
#ifndef GEE_ENGINE_H
#define GEE_ENGINE_H

#include "gee/ctx.h"
#include "gee/http.h"

typedef struct gee_engine gee_engine;
typedef struct gee_group gee_group;
typedef struct gee_req gee_req;

/* Runs in the request's task. What it allocates with gee_alloc goes with the request. */
typedef void (*gee_handler)(gee_req *req);

gee_engine *gee_engine_new(void); /* NULL: no memory */
/* After the last server of this engine was shut down; if that said UV_ETIMEDOUT, after gee_run. */
void gee_engine_free(gee_engine *e);

/*
 * Hands p to the engine, which calls free_fn(p) in gee_engine_free; the latest comes
 * first. For the settings and the state of middlewares. 0, or UV_ENOMEM: p is still
 * the caller's. Before gee_listen only.
 */
int gee_engine_own(gee_engine *e, void *p, void (*free_fn)(void *p));

/* The group without a prefix. Groups belong to their engine. */
gee_group *gee_root(gee_engine *e);
gee_engine *gee_engine_of(const gee_group *g);
/* A group inside parent; its routes go through the middlewares of both. prefix is
 * "/api", or "" or "/" for a group that has only middlewares of its own. */
gee_group *gee_group_new(gee_group *parent, const char *prefix);

/*
 * Adds a middleware to the routes that are registered after it in this group and
 * in groups inside it. fn calls gee_next() to go on, or answers and does not.
 * arg is found by gee_arg().
 *
 * The first error of gee_use, gee_handle and gee_group_new is said on stderr,
 * stays with the engine, and is returned by gee_listen: a program may check it
 * there, once. UV_EINVAL: a bad pattern, or not a method of HTTP; UV_EEXIST: the
 * method and the pattern match just what another route matches, which is named;
 * UV_ENOMEM.
 */
int gee_use(gee_group *g, gee_handler fn, void *arg);
int gee_handle(gee_group *g, const char *method, const char *pattern, gee_handler fn, void *arg);

#define gee_GET(g, pattern, fn)     gee_handle(g, "GET", pattern, fn, NULL)
#define gee_POST(g, pattern, fn)    gee_handle(g, "POST", pattern, fn, NULL)
#define gee_PUT(g, pattern, fn)     gee_handle(g, "PUT", pattern, fn, NULL)
#define gee_PATCH(g, pattern, fn)   gee_handle(g, "PATCH", pattern, fn, NULL)
#define gee_DELETE(g, pattern, fn)  gee_handle(g, "DELETE", pattern, fn, NULL)
#define gee_HEAD(g, pattern, fn)    gee_handle(g, "HEAD", pattern, fn, NULL)
#define gee_OPTIONS(g, pattern, fn) gee_handle(g, "OPTIONS", pattern, fn, NULL)
/* All of the above. */
int gee_any(gee_group *g, const char *pattern, gee_handler fn, void *arg);

/*
 * What answers a request whose path has no route (otherwise a 404), and one whose path
 * has, but not for its method (a 405; Allow is set before fn runs). The middlewares of
 * the root group are around it. Before gee_listen.
 */
void gee_no_route(gee_engine *e, gee_handler fn, void *arg);
void gee_no_method(gee_engine *e, gee_handler fn, void *arg);

/*
 * Serves e on host (an IPv4 or IPv6 address) and port (0: any), on all workers.
 * Call from a task. The server is ended with gee_server_shutdown.
 * 0, the engine's error, UV_EADDRINUSE, UV_EACCES, UV_EINVAL (not an address), …
 */
int gee_listen(gee_engine *e, const char *host, int port, const gee_limits *limits,
               gee_server **out);

/*
 * Serves e on a socket that listens already, which somebody else has opened: TCP or a
 * Unix domain stream, for instance one of gee_listen_fds (gee/config.h). All workers
 * accept from it. Call from a task.
 *
 * On success the server takes fd over: it is closed, and the server goes on with
 * descriptors of its own. On an error fd is still the caller's. In both cases the
 * socket is non-blocking from then on, for all who share it. The name of a Unix domain
 * socket in the file system stays there; gee_server_port is 0 for it.
 * 0, the engine's error, UV_EBADF, UV_ENOTSOCK; UV_EINVAL: it does not listen, or is of
 * another kind; UV_EMFILE; UV_ENOTSUP: in simulation.
 */
int gee_listen_fd(gee_engine *e, int fd, const gee_limits *limits, gee_server **out);

/*
 * A service: what goes on beside the servers of e as long as they do. gee_engine_run starts run in
 * a task before it listens. At the end, when the last request is over, it calls drain (NULL: there
 * is nothing to do) in a task whose ctx has what is left of drain_ms, and at least a second; then
 * it ends run's ctx, and waits until that time for run to return. 0, UV_EINVAL: no run; UV_ENOMEM.
 * Before gee_engine_run; arg stays the caller's.
 */
int gee_engine_service(gee_engine *e, gee_task_fn run, gee_task_fn drain, void *arg);

/*
 * For a whole program: runs the runtime, listens, says so on stdout, serves, and ends
 * after SIGINT or SIGTERM:
 *   readiness turns false (gee/health.h); it goes on serving for lame_ms, in which load
 *   balancers notice; then gee_server_shutdown. A second signal of these ends the
 *   process at once, as it does in a program that does not handle it.
 * 0 after a graceful end, or the error, said on stderr.
 *
 * host, port and limits (NULL: the defaults) are the program's; the environment
 * overrides them, and sockets that a service manager has passed override the address
 * (all in gee/config.h). If that is malformed nothing starts: UV_EINVAL.
 */
int gee_engine_run_with(gee_engine *e, const char *host, int port, const gee_limits *limits);
/* The same with limits NULL. */
int gee_engine_run(gee_engine *e, const char *host, int port);

#endif
