/*
 * A client for tests, in tasks, over a simulated connection. It speaks bytes, so that a
 * test can say what no HTTP library would. What reads ends with ctx.
 */
#ifndef GEE_TESTS_T_HTTP_H
#define GEE_TESTS_T_HTTP_H

#include "t.h"

typedef struct t_conn t_conn;

/* NULL: refused. capacity: bytes on the way in each direction before a write parks; 0: 64 KiB. */
t_conn *t_dial(int port, size_t capacity);
/* All of it. 0 or an error. */
int t_send(gee_ctx *ctx, t_conn *c, const char *data, size_t n);
int t_puts(gee_ctx *ctx, t_conn *c, const char *text);
/* Reads more into the connection's text. > 0 bytes, 0: end, or an error. */
int t_more(gee_ctx *ctx, t_conn *c);
/* Until the text contains `what`: it, or NULL: the connection or ctx ended before. */
const char *t_until(gee_ctx *ctx, t_conn *c, const char *what);
/* Everything up to the end of the connection. */
const char *t_all(gee_ctx *ctx, t_conn *c);
/* What was read and not dropped yet, zero-terminated. */
const char *t_text(t_conn *c);
size_t t_size(t_conn *c);
void t_drop(t_conn *c);
void t_half_close(t_conn *c); /* no more bytes from here */
void t_close(gee_ctx *ctx, t_conn *c);
void t_reset(gee_ctx *ctx, t_conn *c);

/* One response of a connection that stays open, by its Content-Length or chunks. The
 * status, or an error; its body, unchunked, in t_body(). */
int t_response(gee_ctx *ctx, t_conn *c);
const char *t_body(t_conn *c);
size_t t_body_size(const t_conn *c);
/* Of that response; NULL: not there. Valid until the next call on c. */
const char *t_field(t_conn *c, const char *name);
/* A request without a body, and its response. */
int t_get(gee_ctx *ctx, t_conn *c, const char *target);

#endif
