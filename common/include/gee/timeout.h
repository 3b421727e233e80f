/*
 * Deadlines of requests.
 *
 * When the time of a request is up, its client is answered at that moment, whatever the handler
 * is doing: 504, or what the program says. The ctx of the request ends with UV_ETIMEDOUT, and
 * with it everything that was started under it. The handler is not waited for; until it
 * returns, its request stays valid, and what it still writes is dropped (UV_EALREADY,
 * UV_ETIMEDOUT): it reaches neither this response nor one that follows on the connection.
 *
 * If part of the response has left already, no other can take its place: the connection is
 * cut, and the client can tell. A response that is complete but not sent yet is sent.
 *
 * Middlewares around this one (a logger, say) run to their end when the handler returns; the
 * headers that they had set are sent with the 504. The connection is kept, unless part of the
 * request's body was still to come. A handler that never returns keeps its task and its
 * request: /debug/tasks?leaked=1 names it, and gee_server_shutdown waits for it.
 */
#ifndef GEE_TIMEOUT_H
#define GEE_TIMEOUT_H

#include "gee/engine.h"
#include <stdbool.h>

typedef struct gee_timeout_options {
    uint64_t ms;        /* from when the request reaches this middleware; more than 0 */
    gee_handler answer; /* NULL: 504 as text. Runs in a task and with a request object of its
                         * own: same method, target and header fields, no body, no parameters */
    void *arg;          /* gee_arg of answer; outlives the engine */
    bool override;      /* deadlines of the groups around are moved to this one, if earlier */
    int log_fd;         /* a line for each: which of its tasks stood where, since when, and
                         * whether they listen to the ctx. 0: stderr, -1: none */
} gee_timeout_options;

/*
 * Gives the requests of g a deadline. Of several around a handler the earliest counts, unless one
 * overrides. 0, UV_EINVAL: ms is 0, or UV_ENOMEM. Before gee_listen.
 */
int gee_use_timeout(gee_group *g, uint64_t ms);
int gee_use_timeout_with(gee_group *g, const gee_timeout_options *opt);

/* No deadline. */
#define GEE_NO_TIMEOUT UINT64_MAX

/*
 * For streams, profiles and the like: every deadline around the running handler that is earlier
 * is moved to ms milliseconds from now; none is made earlier. gee_ctx_deadline of the
 * request's ctx says so too. Call from the request's task.
 * 0, also where there is none; UV_ETIMEDOUT: it was over already.
 */
int gee_timeout_extend(gee_req *req, uint64_t ms);

#endif
