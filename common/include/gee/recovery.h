/* The middleware that catches panics: gin.Recovery. */
#ifndef GEE_RECOVERY_H
#define GEE_RECOVERY_H

#include "gee/panic.h"
#include "gee/req.h"

/* Answers in place of the handler that panicked; nothing of its response was sent. */
typedef void (*gee_panic_fn)(gee_req *req, const gee_panic_info *info);

/*
 * A panic of the handlers behind it is logged and answered: by `answer`, or with
 * "500 Internal Server Error" if that is NULL. If part of the response is on its way
 * already, the connection is cut instead. Middlewares in front of this one, a logger,
 * say, go on as after any handler. Headers that they had set stay.
 *
 * Without this middleware a panic ends the request in the same way, but it also passes
 * every middleware on its way. 0 or UV_ENOMEM.
 */
int gee_use_recovery(gee_group *g, gee_panic_fn answer);

#endif
