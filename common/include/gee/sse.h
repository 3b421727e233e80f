/*
 * Streams, and server-sent events (WHATWG HTML, 9.2).
 *
 * The contract that a stream keeps: it ends as soon as its request's ctx does, and
 * its ctx ends as soon as the server begins to shut down.
 * A client that has gone, a deadline, a shutdown: whatever the stream is doing
 * at that moment, sleeping, writing or parked for a slow client, it stops, and
 * nothing of it is left.
 */
#ifndef GEE_SSE_H
#define GEE_SSE_H

#include "gee/req.h"

#define GEE_STREAM_END (-1)

/*
 * One step: writes what there is to write, if anything, and returns in how many
 * milliseconds it wants to be called again, or GEE_STREAM_END.
 */
typedef int64_t (*gee_stream_step)(gee_req *req, void *arg);

/*
 * Calls step until it ends the stream, and sends what it wrote after each call.
 * The head, with what gee_status and gee_set_header said, goes out at once, so
 * that a client knows that the stream is open although nothing happens on it.
 * 0: step ended it; else why it ended: an error of the ctx or of the connection, which is
 * then cut (gee_hang_up).
 */
int gee_stream(gee_req *req, gee_stream_step step, void *arg);

/* gee_stream with the headers of an event stream. */
int gee_sse(gee_req *req, gee_stream_step step, void *arg);

/*
 * Writes one event, for use in a step. event may be NULL (a "message"); data may
 * have several lines. 0, UV_EINVAL: event has a line end in it, or as gee_write.
 */
int gee_sse_event(gee_req *req, const char *event, const char *data);

#endif
