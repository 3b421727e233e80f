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
 * The answer to HEAD is that head: step is never called, since nobody would see what it writes. (A
 * loop of one's own with gee_flush and gee_sleep runs for HEAD too, as it would in Go's net/http,
 * and what it writes goes nowhere: ask gee_method.) 0: step ended it, or it was HEAD; else why it
 * ended: an error of the ctx or of the connection, which is then cut (gee_hang_up).
 */
int gee_stream(gee_req *req, gee_stream_step step, void *arg);

/* gee_stream with the headers of an event stream. */
int gee_sse(gee_req *req, gee_stream_step step, void *arg);

/*
 * gee_sse for a stream on which little happens: when nothing has been sent for beat_ms, a
 * comment is, which clients skip. It keeps those between the two from giving the
 * connection up (most do after a minute; 15,000 ms is what the standard suggests), and
 * lets a client whose network is gone be seen at all: its side acknowledges nothing, and
 * the connection breaks. beat_ms is more than 0.
 */
int gee_sse_heartbeat(gee_req *req, uint64_t beat_ms, gee_stream_step step, void *arg);

/*
 * One event; what is NULL or 0 is left out. Strings are UTF-8.
 *
 * id is what the client names in the header Last-Event-ID (gee_header) when it connects
 * again after its connection broke; "" makes it forget the last one. retry_ms is how long
 * it waits before it does. data may have several lines; without it nothing is dispatched,
 * while id and retry_ms still count.
 */
typedef struct gee_sse_message {
    const char *event; /* NULL: "message" */
    const char *data;
    const char *id;
    uint64_t retry_ms;
} gee_sse_message;

/*
 * For use in a step. 0, UV_EINVAL: event, id or a comment has a line end in it, and nothing
 * was written, or as gee_write.
 */
int gee_sse_send(gee_req *req, const gee_sse_message *m);
int gee_sse_event(gee_req *req, const char *event, const char *data);
int gee_sse_comment(gee_req *req, const char *text); /* clients skip it */

#endif
