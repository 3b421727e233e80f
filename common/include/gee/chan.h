/*
 * Channels and select, with the semantics of Go's.
 *
 * A channel carries values of one size, copied in and out. Shared by tasks of
 * any worker. gee_chan_new gives one reference; who shares a channel takes one
 * of its own. A NULL channel is Go's nil channel: it is never ready.
 *
 * Happens-before, as in the Go memory model: a send before the receive that
 * gets its value; a close before a receive that sees it; the k-th receive
 * before the (k + capacity)-th send completes.
 */
#ifndef GEE_CHAN_H
#define GEE_CHAN_H

#include "gee/task.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct gee_chan gee_chan;

/* capacity 0: unbuffered, a send meets its receive. NULL: no memory. */
gee_chan *gee_chan_new(size_t elem_size, size_t capacity);
gee_chan *gee_chan_ref(gee_chan *ch);
void gee_chan_unref(gee_chan *ch);

/*
 * Send *elem, or receive into *elem (may be NULL: the value is dropped), and
 * park until that is possible. Call from a task.
 *   0         done
 *   UV_EPIPE  send: the channel is closed (Go panics)
 *   UV_EOF    receive: closed and drained; *elem was zeroed (Go: ok is false)
 *   ctx's error, if it ended first; nothing was sent or received. A ctx that has
 *   ended and a channel that is ready: either may win, as in Go's select.
 */
#define gee_chan_send(ctx, ch, elem) gee_chan_send_at(ctx, ch, elem, GEE_HERE)
#define gee_chan_recv(ctx, ch, elem) gee_chan_recv_at(ctx, ch, elem, GEE_HERE)
int gee_chan_send_at(gee_ctx *ctx, gee_chan *ch, const void *elem, gee_site site);
int gee_chan_recv_at(gee_ctx *ctx, gee_chan *ch, void *elem, gee_site site);

/* The same without parking: UV_EAGAIN if it is not possible now. Any worker's code. */
int gee_chan_try_send(gee_chan *ch, const void *elem);
int gee_chan_try_recv(gee_chan *ch, void *elem);

/*
 * No more sends. Parked senders get UV_EPIPE, receivers the rest and then UV_EOF.
 * 0, UV_EALREADY: it was closed (Go panics), UV_EINVAL: NULL (Go panics).
 */
int gee_chan_close(gee_chan *ch);

size_t gee_chan_len(const gee_chan *ch);
size_t gee_chan_cap(const gee_chan *ch);

enum gee_case_op { GEE_RECV, GEE_SEND };

typedef struct gee_case {
    enum gee_case_op op;
    gee_chan *ch;
    void *elem; /* as for gee_chan_send and gee_chan_recv */
    int rc;     /* of the chosen case: 0, UV_EPIPE or UV_EOF */
} gee_case;

/* More cases than this in one select: UV_E2BIG. */
enum { GEE_SELECT_MAX = 16 };

/*
 * Performs one of the n cases: one that is ready, chosen with equal chance, or
 * the first to become ready. Returns its index; or ctx's error, if it ended first.
 * With no case (n = 0) it waits for ctx alone.
 */
#define gee_select(ctx, cases, n) gee_select_at(ctx, cases, n, GEE_HERE)
int gee_select_at(gee_ctx *ctx, gee_case *cases, size_t n, gee_site site);
/* Go's select with a default: UV_EAGAIN when no case is ready. */
int gee_select_try(gee_case *cases, size_t n);

#endif
