/* The signals that end a program: what `signal.NotifyContext` is in Go. */
#ifndef GEE_WEB_SIGNALS_H
#define GEE_WEB_SIGNALS_H

#include "gee/ctx.h"

/*
 * A set catches SIGINT and SIGTERM: the first of them cancels stop, and gives both their default
 * action back, so the second ends the process by the kernel's hand, whatever its loop is doing.
 * Where several sets are open, each hears the signal, and the last one that ends gives it back.
 */
typedef struct gee_signals gee_signals;

/*
 * Opens a set on the calling worker's loop, which alone may close it. It keeps a reference on
 * stop. Call from a task or from a callback of the loop.
 * 0, or UV_ENOMEM, or what uv_signal_init and uv_signal_start return: then *out is NULL, and
 * this call has left nothing open.
 */
int gee_signals_open(gee_ctx *stop, gee_signals **out);

/*
 * Ends a set, which then cancels nothing any more. It is not the caller's from now on, but libuv's,
 * until the loop has turned once; it is freed then. Each set is closed once, also after a signal;
 * NULL is none.
 */
void gee_signals_close(gee_signals *s);

#endif
