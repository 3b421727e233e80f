/*
 * The transport seam: a byte stream with callbacks, over a socket or in memory.
 *
 * An io belongs to the worker that made it. Callbacks come from that worker's
 * loop, never from inside a call on the io. At most one write is under way.
 * gee_io_close() ends everything: a write under way is completed with
 * UV_ECANCELED first, then on_close comes, after which the io is freed by the
 * transport.
 */
#ifndef GEE_RUNTIME_TRANSPORT_H
#define GEE_RUNTIME_TRANSPORT_H

#include "runtime/worker.h"
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

typedef struct gee_io gee_io;

typedef struct gee_io_handler {
    /* n bytes at data, valid during the call; or n < 0: UV_EOF or an error, the last. */
    void (*on_read)(gee_io *io, ssize_t n, const char *data);
    void (*on_write)(gee_io *io, int status);
    void (*on_close)(gee_io *io);
} gee_io_handler;

typedef struct gee_io_ops {
    int (*read_start)(gee_io *io);
    void (*read_stop)(gee_io *io);
    /* How many bytes were taken now: maybe fewer, UV_EAGAIN for none, or an error. */
    ssize_t (*try_write)(gee_io *io, const uv_buf_t *bufs, unsigned n);
    /* All of it, ended by on_write; the bytes stay valid until then. 0 or an error. */
    int (*write)(gee_io *io, const uv_buf_t *bufs, unsigned n);
    /* How much of what was written the other side has not taken yet, as far as one can tell. */
    size_t (*unsent)(gee_io *io);
    /* No more writes: the peer reads an EOF. */
    void (*shutdown)(gee_io *io);
    void (*close)(gee_io *io);
    /* The same for a peer that has gone, or sends no more, and while no write is under way: it may
     * take a few turns of the loop, and until then the descriptor and on_close are still due. */
    void (*close_later)(gee_io *io);
    /* Closes so that the peer reads UV_ECONNRESET; what is under way may be lost. */
    void (*reset)(gee_io *io);
    /* The peer's address as text. */
    void (*peer)(gee_io *io, char *buf, size_t size);
    /* As try_write: of head, and behind it of n bytes of the file fd from `at`, without a copy. It
     * waits for the disk where they are not in memory. More is written behind what was taken, or
     * the io is closed. NULL: there is no such thing. */
    ssize_t (*try_send_file)(gee_io *io, uv_buf_t head, int fd, uint64_t at, size_t n);
} gee_io_ops;

struct gee_io {
    const gee_io_ops *ops;
    const gee_io_handler *handler; /* set by who accepted it, before read_start */
    void *data;                    /* the handler's */
    gee_io *next;                  /* of those that are closed later */
};

/*
 * Closes up to n of the worker's ios that are to be closed later, the oldest first. To close a
 * socket is most of what the end of a connection costs, and when many clients leave at once, what
 * lives does not wait for that: a turn of the loop closes a few, more when there are many.
 */
void gee_io_close_dead(gee_worker *w, size_t n);

/*
 * A listening socket: calls on_accept for each new connection, on the loop. When the
 * process has no descriptor or no memory for one more, accepting pauses: the clients
 * wait in the kernel's backlog, and are taken when a connection of any worker has closed, or after
 * GEE_ACCEPT_PAUSE_MS: what else holds descriptors says nothing when one comes free.
 */
typedef struct gee_listener {
    void (*on_accept)(struct gee_listener *l, gee_io *io);
    void (*on_close)(struct gee_listener *l); /* it may be freed; also after a failed start */
    void *data;
    union {
        uv_poll_t poll;
        gee_list sim; /* in the table of simulated listeners */
    } u;
    gee_list paused; /* in the worker's list, while it is */
    gee_timer retry;
    gee_work closing;
    int fd, domain, port;
    bool simulated;
} gee_listener;

enum {
    GEE_BACKLOG = 1024,
    GEE_ACCEPT_AT_ONCE = 64, /* before the loop looks at its other sockets again */
    GEE_ACCEPT_PAUSE_MS = 100,
};

/*
 * Listens on host (an IPv4 or IPv6 address) and port, of this worker; port 0:
 * any, then found in l->port. Several workers listen on one port with SO_REUSEPORT:
 * the first of them sees to it that no other program does.
 * 0, UV_EADDRINUSE, … On an error on_close comes all the same.
 */
enum gee_share { GEE_ALONE, GEE_SHARE_FIRST, GEE_SHARE_NEXT };
int gee_listen_tcp(gee_listener *l, const char *host, int port, enum gee_share share);
/*
 * Accepts from a socket that listens already: of TCP or of the Unix domain. It takes a
 * descriptor of its own; fd stays the caller's, but is non-blocking from then on.
 * UV_EBADF, UV_ENOTSOCK, UV_EINVAL: it does not listen, or is no stream socket of
 * these domains; UV_EMFILE, … On an error on_close comes all the same.
 */
int gee_listen_passed(gee_listener *l, int fd);
/* The same inside the simulation; host does not matter. */
int gee_listen_sim(gee_listener *l, int port);
void gee_listener_close(gee_listener *l);

void gee_listeners_init(gee_worker *w);
/* w, the caller, has closed a socket: what is paused may try again, on other workers too. */
void gee_listeners_resume(gee_worker *w);

/* An accepted socket as an io of the calling worker. Takes over fd. NULL: fd was closed. */
gee_io *gee_io_open(int fd, int domain);

/*
 * Simulation: connects to the listener of `port`; the other end is handed to its
 * on_accept. capacity: bytes that each direction holds before a write waits.
 * UV_ECONNREFUSED: nobody listens there; UV_ENOMEM.
 */
int gee_sim_connect(int port, size_t capacity, gee_io **out);

#endif
