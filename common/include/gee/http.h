/*
 * The HTTP/1.1 server: limits, start and end. What it serves comes from an
 * engine (gee/engine.h).
 */
#ifndef GEE_HTTP_H
#define GEE_HTTP_H

#include "gee/task.h"

/* 0 anywhere stands for the default. What a client gets when it goes beyond: */
typedef struct gee_limits {
    size_t head_bytes;   /* request line and headers; 16 KiB; 431 */
    size_t uri_bytes;    /* request target; 8 KiB; 414 */
    size_t headers;      /* how many; 100; 431 */
    uint64_t body_bytes; /* 8 MiB; 413 */
    uint64_t head_ms;    /* for the whole head; 10 s; 408 */
    uint64_t body_ms;    /* for the next piece of the body; 30 s; 408 */
    uint64_t write_ms;   /* for the client to take what was written; 30 s; the connection ends */
    uint64_t idle_ms;    /* between two requests; 60 s; the connection ends */
    uint64_t drain_ms;   /* for running requests at a shutdown; 10 s; they are cancelled */
    uint64_t lame_ms;    /* between a signal and the shutdown in gee_engine_run; none */
} gee_limits;

/*
 * When there is no memory. A request whose head cannot be kept is answered with 503, and so
 * is one whose body or parameters cannot, by the calls that say UV_ENOMEM; without memory
 * for the answer, or for a connection or a task, the connection is closed. Nothing else is
 * lost: the next request is served as soon as there is memory. A task that has no stack
 * yet waits for one, and a shutdown needs none, but without memory for its timer drain_ms
 * is over at once. libuv itself ends the process where it has none for its own tables.
 */

typedef struct gee_server gee_server;

/* The port that it listens on. */
int gee_server_port(const gee_server *srv);

/*
 * Graceful shutdown: no new connection is accepted, idle ones are closed, the ctxs of
 * streams are cancelled at once (gee_endless in gee/req.h), and the other requests have
 * drain_ms to finish. Then their ctxs are cancelled too, all with the cause
 * UV_ESHUTDOWN, and they have one more second. Frees srv. Call once, from a task.
 * 0, or UV_ETIMEDOUT: requests are still running; the connections are cut.
 */
int gee_server_shutdown(gee_server *srv);

/* "Not Found" for 404; "" for a status without a name. */
const char *gee_status_text(int status);

#endif
