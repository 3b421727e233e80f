/*
 * A request's body as JSON (RFC 8259).
 *
 * Parsed once: the request keeps the value, so that a middleware may look at it
 * and the handler again. What is accepted is strict: one value with nothing
 * behind it, valid UTF-8, no name twice in an object, no "\u0000" in a string,
 * and not more than GEE_JSON_DEPTH values inside one another.
 */
#ifndef GEE_JSON_H
#define GEE_JSON_H

#include "gee/req.h"

/*
 * jansson parses, dumps and frees a value by recursion, on the task's stack: it needs
 * about 320 bytes for each level. Its own limit, 2048, is more than a task has.
 */
enum { GEE_JSON_DEPTH = 128 };

/*
 * The whole body, parsed. *out is a reference of the caller's: json_decref() it. err
 * (may be NULL) says what is wrong, and where: err->text, err->line, err->column.
 * limit: bytes; 0: 1 MiB. Parks while the body comes. 0, or
 *   UV_ENOTSUP  its Content-Type is neither application/json nor anything+json
 *   UV_E2BIG    more than limit, or than body_bytes
 *   UV_EINVAL   empty, or not such JSON as above; or read before by other means
 *   UV_ENOMEM, and what gee_body_read returns
 * All of them have their status in gee_body_status.
 */
int gee_json_body(gee_req *req, size_t limit, json_t **out, json_error_t *err);

/*
 * Takes the body apart with jansson's json_unpack:
 *   const char *name; int n = 1;
 *   if (gee_json_bind(req, "{s:s, s?i}", "name", &name, "n", &n) < 0)
 *       return;
 * Strings and values live as long as the request. If the body is not such, it has
 * answered, {"error": "age: expected integer, got string"} with the status of
 * gee_body_status, and called gee_abort. 0 or that error. A format that is no
 * format is the program's mistake: said on stderr, 500, UV_EFAULT.
 */
int gee_json_bind(gee_req *req, const char *fmt, ...);

#endif
