/*
 * Sub-tasks of a request: what a handler has done for it at the same time.
 *
 * A sub-task never outlives its request. It runs under a ctx that ends with the one which the
 * request has when it is started: at its deadline, when its client leaves, when the server shuts
 * down. It also ends as soon as another sub-task of the request fails, and when the request is
 * over. A task that is to go on after its request is started by gee_go, with a copy of the
 * request (gee_req_copy) or, for a moment, a reference (gee_req_ref).
 *
 * "Ends" means that it is told. A task cannot be stopped, so a request waits for its sub-tasks
 * before its memory goes, however long that takes; a pointer into the request is good in a
 * sub-task until its last instruction. Those who wait no longer than GEE_JOIN_MS are the client and
 * its connection: then the response, if the handler has made one, is sent (a 500, if it
 * panicked), the connection serves its next request, and the request stays behind with those
 * sub-tasks which do not listen. /debug/tasks?leaked=1 names them.
 */
#ifndef GEE_SPAWN_H
#define GEE_SPAWN_H

#include "gee/req.h"

/* From the end of a request's handlers; its sub-tasks were told at that moment, or before. */
enum { GEE_JOIN_MS = 100 };

/* Returns 0, or an error: the sub-task has failed. A panic is the failure GEE_EPANIC. */
typedef int (*gee_sub_fn)(gee_ctx *ctx, void *arg);

/*
 * Starts fn(ctx, arg) as a sub-task of req, on its worker. Call from the request's task.
 * arg is the caller's and stays until the sub-task has ended: memory of the request
 * (gee_alloc), or of a frame that does not return, nor is left by a panic, before gee_req_join.
 * 0, or fn will not run:
 *   the error of gee_req_ctx(req), which has ended
 *   the error of a sub-task that has failed, and was not joined since
 *   UV_EINVAL: req is a copy;  UV_ENOMEM
 */
#define gee_req_go(req, fn, arg) gee_req_go_at(req, fn, arg, #fn, GEE_HERE)
int gee_req_go_at(gee_req *req, gee_sub_fn fn, void *arg, const char *name, gee_site site);

/*
 * Parks until all sub-tasks of req have ended, also those that a middleware has started. Whatever
 * becomes of the request meanwhile, not before: they may use the caller's memory.
 * 0, or the error of the first that failed since the last join. Where nobody joins, a panic
 * is answered as one of the handler (gee/panic.h), unless the handler has answered, and other
 * errors are dropped. Call from the request's task.
 */
#define gee_req_join(req) gee_req_join_at(req, GEE_HERE)
int gee_req_join_at(gee_req *req, gee_site site);

#endif
