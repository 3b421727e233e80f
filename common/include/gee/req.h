/*
 * A request and its response: what gin.Context is in Go, and is not called a
 * context here.
 *
 * It belongs to the request's task, from the first middleware until the last one
 * has returned, and to its worker; another task uses it only while the handler
 * waits for that task (gee/spawn.h), or has a reference (gee_req_ref). Strings that it returns live
 * as long as it does.
 *
 * Calls that may park do so under gee_req_ctx(req).
 */
#ifndef GEE_REQ_H
#define GEE_REQ_H

#include "gee/engine.h"
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* Ends when the request is over, its client is gone (cause UV_EOF: it closed its side;
 * UV_ECONNRESET, …), or the server shuts down (UV_ESHUTDOWN). */
gee_ctx *gee_req_ctx(gee_req *req);
/* The ctx for those who come after in the chain; a middleware puts the old one back, and then
 * ends its own. */
void gee_req_set_ctx(gee_req *req, gee_ctx *ctx);

/*
 * Says that this request has no end of its own: from now on its ctx ends (cause
 * UV_ESHUTDOWN) as soon as the server begins to shut down, and not only when drain_ms
 * is over. gee_stream and gee_sse say so; a handler with such a loop of its own should.
 * Call from the request's task.
 */
void gee_endless(gee_req *req);

/* --- the request --- */

const char *gee_method(const gee_req *req);
const char *gee_target(const gee_req *req); /* as it came, with the query */
const char *gee_route(const gee_req *req);  /* the pattern that matched; NULL: none did */
const char *gee_param(const gee_req *req, const char *name); /* NULL: not in the pattern */
/* The first of that name, or NULL. Percent-decoded, + is a space. */
const char *gee_query(gee_req *req, const char *name);
const char *gee_default_query(gee_req *req, const char *name, const char *otherwise);
/* One after the other, as they came: false when there is no i-th, from 0. */
bool gee_query_at(gee_req *req, size_t i, const char **name, const char **value);
/*
 * From a body of application/x-www-form-urlencoded or multipart/form-data, which is read
 * at the first call. Of the latter, files are read over (gee/multipart.h is for them,
 * instead of this), and the fields may have 1 MiB together, in 1000 parts. A body that is
 * malformed, too large or incomplete is a form without fields.
 */
const char *gee_form(gee_req *req, const char *name);
bool gee_form_at(gee_req *req, size_t i, const char **name, const char **value);
const char *gee_header(const gee_req *req, const char *name); /* any case; NULL: not there */
/* Who is at the other end of the connection: "192.0.2.1:4711", "[2001:db8::1]:4711"; ""
 * once it is closed. A proxy, where there is one. */
const char *gee_remote(gee_req *req);

/*
 * The body, as it comes: > 0 bytes, 0 at its end, or
 *   UV_E2BIG       more than body_bytes
 *   UV_ETIMEDOUT   nothing for body_ms
 *   UV_EPROTO      malformed;  UV_ECONNRESET  the client went away before its end
 *   the error of gee_req_ctx(req)
 */
ssize_t gee_body_read(gee_req *req, void *buf, size_t n);
/* All that is left of it, zero-terminated. 0 or an error as above. */
int gee_body(gee_req *req, const char **data, size_t *n);
/*
 * This body may have no more than n bytes; only less than the server's body_bytes makes a
 * difference. 0, or UV_E2BIG: it has more, by its Content-Length or already; nothing of
 * it will be read.
 */
int gee_body_limit(gee_req *req, uint64_t n);
/*
 * The status that tells a client about such an error, or about one of gee_json_body
 * (gee/json.h) or of an upload (gee/multipart.h): 413 UV_E2BIG, 408 UV_ETIMEDOUT,
 * 415 UV_ENOTSUP, 400 UV_EINVAL, UV_EPROTO and UV_ECONNRESET, 507 UV_ENOSPC,
 * 503 UV_ENOMEM, 500 for all others.
 */
int gee_body_status(int err);

/* --- the chain --- */

/* Runs the rest of the chain and returns when it has ended. Once: a second call by the same link
 * does nothing, also where a link further in did not go on and what is behind it has not run. */
void gee_next(gee_req *req);
/* Nothing further down the chain will run. What runs now goes on to its end. */
void gee_abort(gee_req *req);
bool gee_aborted(const gee_req *req);
/* The arg with which the running handler was registered; behind its gee_next it is the same. */
void *gee_arg(const gee_req *req);

/* --- keys: values that one handler leaves for another --- */

/*
 * Any task may set and get. free_value, unless NULL, is called once nobody has the value
 * any more: it was replaced or the request is over, and so is every copy (gee_req_copy)
 * that was made meanwhile. The last of them calls it, on whichever thread that is.
 * With NULL the value is somebody else's, such as the request's memory's, so copies do
 * not have it; for one that is never freed, like a static, free_value is gee_forever.
 * 0 or UV_ENOMEM (value stays the caller's).
 */
int gee_set(gee_req *req, const char *key, void *value, void (*free_value)(void *));
void *gee_get(gee_req *req, const char *key); /* NULL: not set */
void gee_forever(void *value);                /* does nothing */

/* Memory that goes with the request; NULL: there is none. Only for the request's task. */
void *gee_alloc(gee_req *req, size_t n);

/* --- a reference, for who needs the request a little longer --- */

/*
 * A request and all that is in it are gone when its last middleware has returned, and its memory
 * is the next one's. With a reference it stays, whoever has it and on whichever worker, until the
 * reference is dropped: for a task that is no sub-task (gee/spawn.h). All that only reads may be
 * called meanwhile (the form only if it was read before the first reference), and the keys; not
 * what is the request's task's own: its body, its memory and its response.
 *
 * The client does not wait for it, nor, longer than GEE_JOIN_MS, does its connection. The request's
 * task does: it is in /debug/tasks until then, and a server that shuts down waits for it. At
 * the end of its last middleware the request's ctx ends. For what goes on for long a copy is
 * better.
 *
 * Called by the request's task, or by who has a reference. Each is dropped once, by any task.
 * 0; UV_EINVAL: it is a copy, which has one owner;  UV_ENOMEM
 */
int gee_req_ref(gee_req *req);
void gee_req_unref(gee_req *req);

/* --- a copy, for who outlives the request --- */

/*
 * A task that goes on when the request is over takes a copy along, made by the request's task
 * before: method, target, route, parameters, query, header fields, the remote address, the form if
 * it has been read, and the keys that have a free_value, as they are now; what is set later, in
 * either of the two, is not seen in the other. The values themselves are shared. gee_req_ctx(copy)
 * has the values of the request's ctx, and does not end with it (Go: context.WithoutCancel); what
 * such a value points to in the request's memory is gone.
 *
 * All that only reads may be called by any task of any worker, also at the same time.
 * gee_alloc and gee_req_set_ctx of a copy are for one task at a time. It has no
 * body (UV_EINVAL) and no response (UV_EALREADY).
 *
 * NULL: no memory. Each copy is released once, by any thread, also outside of the runtime;
 * that cancels its ctx.
 */
gee_req *gee_req_copy(gee_req *req);
void gee_req_release(gee_req *copy);

/* --- the response --- */

/*
 * A response is sent once. Each of these is 0, UV_EALREADY: its head has been
 * sent, UV_EINVAL: a header's name or value is not one, or an error of the connection.
 * While a task of the request is parked in a write, another one gets UV_EBUSY, and nothing of
 * what it writes is sent: a response has one writer at a time.
 */
void gee_status(gee_req *req, int status); /* of what follows; 200 otherwise */
int gee_status_of(const gee_req *req);
int gee_set_header(gee_req *req, const char *name, const char *value); /* replaces */
int gee_add_header(gee_req *req, const char *name, const char *value);
/* What was set, of several the first; NULL: nothing. Until the next of these calls. */
const char *gee_response_header(const gee_req *req, const char *name);

int gee_string(gee_req *req, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int gee_data(gee_req *req, int status, const char *content_type, const void *data, size_t n);
/* gee_json(req, 200, "{s:s, s:i}", "name", "gee", "n", 3): jansson's json_pack. What
 * cannot be packed (a string that is not UTF-8) is UV_EINVAL, and a 500 for the client. */
int gee_json(gee_req *req, int status, const char *fmt, ...);
/* Takes over the reference on value. */
int gee_json_value(gee_req *req, int status, json_t *value);
/* "404 Not Found" as text, and gee_abort. */
int gee_fail(gee_req *req, int status);
/* Status and nothing else, and gee_abort: for what has no body, a 204, say. */
int gee_abort_status(gee_req *req, int status);
/*
 * Sends the client elsewhere: status is 301, 302, 303, 307 or 308, and location an
 * absolute or relative URL. What may not stand in one (spaces, bytes that are not ASCII) is
 * percent-encoded; a line end or a zero-length location is UV_EINVAL, and so is another
 * status. Where a location comes from the client, check it: it may lead anywhere.
 */
int gee_redirect(gee_req *req, int status, const char *location);
/*
 * The response ends here, without its end: the connection is closed, and a client
 * can tell that it has not all of it. If nothing was sent, it gets no answer at all.
 */
void gee_hang_up(gee_req *req);

/*
 * A body in pieces: the first write sends the head, with what
 * gee_status and gee_set_header said. Bytes are gathered; gee_flush sends them
 * and parks until the client's side has taken them. An error is final:
 *   UV_EPIPE, UV_ECONNRESET  the client is gone;  UV_ETIMEDOUT  it takes nothing
 *
 * Where the length is known, gee_content_length says so before the first write: 0, or
 * UV_EALREADY, the head is on its way. A write beyond it is UV_EMSGSIZE and writes nothing;
 * if the handler returns with fewer bytes written, the connection is cut (gee_hang_up).
 * It says nothing about gee_data and the like.
 */
int gee_content_length(gee_req *req, uint64_t n);
#define gee_write(req, data, n) gee_write_at(req, data, n, GEE_HERE)
#define gee_flush(req)          gee_flush_at(req, GEE_HERE)
int gee_write_at(gee_req *req, const void *data, size_t n, gee_site site);
int gee_flush_at(gee_req *req, gee_site site);

#endif
