/*
 * The transport of the simulation: two ends in memory.
 *
 * Each end has a buffer of bytes that were written to it and not yet read. What
 * an operation causes at an end (something to read, room to write, a close) is
 * deferred to the loop as that end's one `turn`, which then does all there is to
 * do, in order: write completions, reads, close.
 *
 * A task that calls in here stands for the kernel, which TSan does not watch:
 * its accesses to the other end's memory are ignored.
 */
#include "base/buf.h"
#include "base/tools.h"
#include "gee/run.h"
#include "runtime/transport.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pipe_end {
    gee_io io;
    struct pipe_end *peer; /* NULL: gone */
    gee_work turn;
    bool turning; /* it is deferred */

    gee_buf in; /* to be read here */
    size_t capacity;
    int in_end; /* after `in`: 0 nothing yet, UV_EOF, UV_ECONNRESET */
    bool reading, told_end;

    uv_buf_t *out; /* a write under way: what is left of it */
    unsigned nout;
    uv_buf_t bufs[8];
    int out_status; /* of a write that was ended from outside */
    bool shut, closing;
    int accept_port; /* > 0: not yet handed to the listener there */
} pipe_end;

/* Simulation has one worker, and one runtime lives at a time. */
static gee_list listeners = {&listeners, &listeners};

static pipe_end *of(gee_io *io) {
    return gee_container(io, pipe_end, io);
}

static void wake_up(pipe_end *e) {
    if (e == NULL || e->turning)
        return;
    e->turning = true;
    gee_defer(&e->turn);
}

/* Into the peer's buffer, as much as it has room for. */
static ssize_t push(pipe_end *e, const uv_buf_t *bufs, unsigned n) {
    pipe_end *to = e->peer;
    ssize_t sent = 0;
    if (e->shut || to == NULL || to->closing) {
        if (!e->in_end)
            e->in_end = UV_ECONNRESET; /* the answer to a write that nobody wants is a reset */
        wake_up(e);
        return UV_EPIPE;
    }
    for (unsigned i = 0; i < n; i++) {
        size_t room = to->capacity - gee_buf_size(&to->in);
        size_t len = bufs[i].len < room ? bufs[i].len : room;
        if (gee_buf_append(&to->in, bufs[i].base, len) < 0)
            return sent ? sent : UV_ENOMEM;
        sent += (ssize_t)len;
        if (len < bufs[i].len)
            break;
    }
    if (sent > 0)
        wake_up(to);
    return sent ? sent : UV_EAGAIN;
}

static ssize_t pipe_try_write(gee_io *io, const uv_buf_t *bufs, unsigned n) {
    gee_tsan_ignore_begin();
    ssize_t rc = of(io)->nout > 0 ? UV_EAGAIN : push(of(io), bufs, n);
    gee_tsan_ignore_end();
    return rc;
}

static int pipe_write(gee_io *io, const uv_buf_t *bufs, unsigned n) {
    pipe_end *e = of(io);
    if (n > sizeof(e->bufs) / sizeof(*e->bufs))
        return UV_E2BIG;
    for (unsigned i = 0; i < n; i++)
        e->bufs[i] = bufs[i];
    e->out = e->bufs;
    e->nout = n;
    e->out_status = 0;
    wake_up(e);
    return 0;
}

static size_t pipe_unsent(gee_io *io) {
    const pipe_end *e = of(io);
    size_t left = 0;
    for (unsigned i = 0; i < e->nout; i++)
        left += e->out[i].len;
    return left;
}

/* True: the write is over, and *status says how. */
static bool go_on_writing(pipe_end *e, int *status) {
    *status = e->out_status;
    while (*status == 0 && e->nout > 0) {
        ssize_t n = e->out->len > 0 ? push(e, e->out, 1) : 0;
        if (n == UV_EAGAIN)
            return false;
        if (n < 0) {
            *status = (int)n;
            break;
        }
        e->out->base += n;
        e->out->len -= (size_t)n;
        if (e->out->len == 0) {
            e->out++;
            e->nout--;
        }
    }
    e->nout = 0;
    return true;
}

static void deliver(pipe_end *e) {
    gee_worker *w = gee_worker_self();
    while (e->reading && !e->closing && gee_buf_size(&e->in) > 0) {
        size_t n = gee_buf_size(&e->in) < GEE_READ_BUF ? gee_buf_size(&e->in) : GEE_READ_BUF;
        memcpy(w->read_buf, gee_buf_head(&e->in), n);
        gee_buf_consume(&e->in, n);
        wake_up(e->peer); /* there is room again */
        e->io.handler->on_read(&e->io, (ssize_t)n, w->read_buf);
    }
    if (e->reading && !e->closing && e->in_end && !e->told_end) {
        e->told_end = true;
        e->io.handler->on_read(&e->io, e->in_end, NULL);
    }
}

static void end_input(pipe_end *e, int code) {
    if (e && !e->in_end)
        e->in_end = code;
    wake_up(e);
}

static void pipe_close(gee_io *io) {
    pipe_end *e = of(io);
    /* As TCP does: unread bytes make it a reset. */
    if (e->peer) {
        bool unread = gee_buf_size(&e->in) > 0;
        if (!e->shut)
            end_input(e->peer, unread ? UV_ECONNRESET : UV_EOF);
        e->peer->peer = NULL;
        e->peer = NULL;
    }
    e->closing = true;
    wake_up(e);
}

static void pipe_reset(gee_io *io) {
    pipe_end *e = of(io);
    if (e->peer) {
        e->peer->in.off = e->peer->in.len = 0;
        e->peer->in_end = 0;
        end_input(e->peer, UV_ECONNRESET);
        if (e->peer->nout > 0)
            e->peer->out_status = UV_ECONNRESET;
    }
    e->shut = true;
    pipe_close(io);
}

static gee_listener *listener_of(int port) {
    gee_list_each (it, &listeners) {
        gee_listener *l = gee_container(it, gee_listener, u.sim);
        if (l->port == port)
            return l;
    }
    return NULL;
}

static void accept_here(pipe_end *e) {
    gee_listener *l = listener_of(e->accept_port);
    e->accept_port = 0;
    if (l)
        l->on_accept(l, &e->io);
    else
        pipe_reset(&e->io); /* closed since */
}

static void turn(gee_work *work) {
    pipe_end *e = gee_container(work, pipe_end, turn);
    int status;
    e->turning = false;
    if (e->accept_port)
        accept_here(e);
    if (e->nout > 0 && e->closing)
        e->out_status = UV_ECANCELED;
    if (e->nout > 0 && go_on_writing(e, &status))
        e->io.handler->on_write(&e->io, status);
    deliver(e);
    if (!e->closing || e->turning)
        return;
    if (e->io.handler)
        e->io.handler->on_close(&e->io);
    gee_buf_free(&e->in);
    free(e);
}

static int pipe_read_start(gee_io *io) {
    of(io)->reading = true;
    wake_up(of(io));
    return 0;
}

static void pipe_read_stop(gee_io *io) {
    of(io)->reading = false;
}

static void pipe_shutdown(gee_io *io) {
    pipe_end *e = of(io);
    if (!e->shut)
        end_input(e->peer, UV_EOF);
    e->shut = true;
}

static void pipe_peer(gee_io *io, char *buf, size_t size) {
    (void)io;
    snprintf(buf, size, "simulated:0");
}

static const gee_io_ops pipe_ops = {
    pipe_read_start, pipe_read_stop, pipe_try_write, pipe_write, pipe_unsent, pipe_shutdown,
    pipe_close,      pipe_close,     pipe_reset,     pipe_peer,  NULL};

static pipe_end *new_end(size_t capacity) {
    pipe_end *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->io.ops = &pipe_ops;
    e->turn.fn = turn;
    e->capacity = capacity;
    return e;
}

int gee_listen_sim(gee_listener *l, int port) {
    static int next = 40000;
    bool taken = port && listener_of(port);
    l->port = port ? port : next++;
    l->simulated = true;
    gee_list_init(&l->u.sim);
    if (!taken)
        gee_list_push(&listeners, &l->u.sim);
    else
        gee_listener_close(l);
    return taken ? UV_EADDRINUSE : 0;
}

int gee_sim_connect(int port, size_t capacity, gee_io **out) {
    if (listener_of(port) == NULL)
        return UV_ECONNREFUSED;
    pipe_end *here = new_end(capacity), *there = new_end(capacity);
    if (here == NULL || there == NULL) {
        free(here);
        free(there);
        return UV_ENOMEM;
    }
    here->peer = there;
    there->peer = here;
    there->accept_port = port;
    wake_up(there);
    *out = &here->io;
    return 0;
}
