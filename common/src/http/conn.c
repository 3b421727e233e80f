/*
 * A connection's life: accepted, read by the loop, closed once.
 *
 * It is closed for good (io is NULL) before it is freed, and freed when neither
 * the io nor a task refers to it any more. A task may find its connection gone
 * at any time; all it gets then are errors.
 */
#include "base/count.h"
#include "http/http.h"
#include <stdlib.h>

static void on_read(gee_io *io, ssize_t n, const char *data);
static void on_write(gee_io *io, int status);
static void on_close(gee_io *io);
static const gee_io_handler handler = {on_read, on_write, on_close};

/* --- reading --- */

void gee_conn_wake_reader(gee_exchange *x) {
    gee_park *reader = x->reader;
    x->reader = NULL;
    if (reader)
        gee_wake(reader, 0);
}

static void start_reading(gee_conn *c) {
    if (!c->reading && !c->closing && c->gone == 0)
        c->reading = c->io->ops->read_start(c->io) == 0;
}

static void stop_reading(gee_conn *c) {
    if (c->reading && !c->closing)
        c->io->ops->read_stop(c->io);
    c->reading = false;
}

void gee_conn_resume_reading(gee_conn *c) {
    bool room = gee_buf_size(&c->in) < GEE_IN_BUFFER &&
                (c->x == NULL || gee_buf_size(&c->x->body) < GEE_BODY_BUFFER);
    if (room)
        start_reading(c);
}

/* A message is served at a time: the bytes behind a complete one wait, and so do all
 * that come behind these. */
static bool may_parse(const gee_conn *c) {
    return gee_buf_size(&c->in) == 0 && (c->x == NULL || !c->x->complete);
}

static void feed(gee_conn *c, const char *data, size_t n) {
    size_t taken = may_parse(c) ? gee_parse(c, data, n) : 0;
    if (c->closing)
        return;
    if (taken < n && gee_buf_append(&c->in, data + taken, n - taken) < 0) {
        gee_conn_lost(c, UV_ENOMEM);
        return;
    }
    gee_exchange *x = c->x;
    if (x == NULL)
        return;
    if (x->head_done && !c->serving)
        gee_conn_serve(c);
    else if (!x->head_done)
        gee_conn_await_head(c);
    if (c->closing) /* no memory for the task, or for the timer: x is gone */
        return;
    if (gee_buf_size(&x->body) > 0 || x->complete || x->body_err)
        gee_conn_wake_reader(x);
    if (gee_buf_size(&x->body) >= GEE_BODY_BUFFER || gee_buf_size(&c->in) >= GEE_IN_BUFFER)
        stop_reading(c);
}

/*
 * A client that sends no more (UV_EOF) still gets its answers: the ctx tells the
 * handler, and it is the handler's to go on or not.
 */
void gee_conn_tell_gone(gee_conn *c) {
    gee_exchange *x = c->x;
    if (x == NULL || c->gone == 0)
        return;
    if (!x->head_done) { /* nor is half a head: RFC 9112, 8 */
        c->broken = true;
        x->reject = 400;
        x->head_done = true;
        return;
    }
    if (!x->complete && x->body_err == 0)
        x->body_err = UV_ECONNRESET; /* half a body is none */
    gee_conn_wake_reader(x); /* first: what it gets to know is that, and not the end of its ctx */
    gee_ctx_cancel(x->ctx, c->gone);
}

/* With another error than UV_EOF it is not there any more. */
static void client_gone(gee_conn *c, int err) {
    stop_reading(c);
    c->gone = err;
    if (c->lingering || (!c->serving && (c->x == NULL || err != UV_EOF))) {
        gee_conn_close(c);
        return;
    }
    if (err != UV_EOF) {
        gee_conn_lost(c, err);
        return;
    }
    gee_conn_tell_gone(c);
    if (!c->serving)
        gee_conn_serve(c); /* the head that it did not end */
}

static void on_read(gee_io *io, ssize_t n, const char *data) {
    gee_conn *c = io->data;
    if (n > 0)
        c->moved_ns = c->worker->now_ns;
    if (n < 0)
        client_gone(c, (int)n);
    else if (!c->lingering && !c->broken)
        feed(c, data, (size_t)n);
}

/* --- the end --- */

static void on_write(gee_io *io, int status) {
    gee_conn *c = io->data;
    gee_park *writer = c->writer;
    c->written = true;
    c->write_status = status;
    c->writer = NULL;
    if (writer)
        gee_wake(writer, 0);
}

void gee_conn_lost(gee_conn *c, int err) {
    if (c->gone == 0 || c->gone == UV_EOF)
        c->gone = err;
    if (c->x) {
        if (c->x->body_err == 0)
            c->x->body_err = err;
        gee_ctx_cancel(c->x->ctx, err);
        gee_conn_wake_reader(c->x);
    }
    gee_conn_close(c);
}

static void end_with(gee_conn *c, void (*close)(gee_io *io)) {
    if (c->closing)
        return;
    c->closing = true;
    gee_timer_stop(&c->timer);
    if (!c->serving && c->x)
        gee_exchange_free(c);
    close(c->io);
}

void gee_conn_close(gee_conn *c) {
    bool gone = c->gone && !c->writing;
    end_with(c, c->io == NULL ? NULL : gone ? c->io->ops->close_later : c->io->ops->close);
}

void gee_conn_reset(gee_conn *c) {
    end_with(c, c->io ? c->io->ops->reset : NULL);
}

void gee_conn_linger(gee_conn *c) {
    if (c->closing || c->gone) {
        gee_conn_close(c);
        return;
    }
    c->lingering = true;
    gee_buf_free(&c->in); /* nobody will look at it, or write any more */
    gee_buf_free(&c->out);
    gee_arena_free(&c->arena);
    gee_parser_free(c);
    c->io->ops->shutdown(c->io);
    start_reading(c);
    gee_conn_deadline(c, GEE_LINGER, GEE_LINGER_MS);
}

static void on_close(gee_io *io) {
    gee_conn *c = io->data;
    c->io = NULL;
    gee_conn_unref(c);
}

void gee_conn_unref(gee_conn *c) {
    if (--c->refs > 0)
        return;
    gee_server *srv = c->part->srv;
    gee_list_del(&c->link);
    gee_timer_stop(&c->timer);
    gee_buf_free(&c->in);
    gee_buf_free(&c->out);
    gee_arena_free(&c->arena);
    gee_parser_free(c);
    free(c);
    gee_count(GEE_COUNT_CONNS, -1);
    gee_waitgroup_done(&srv->conns);
    gee_server_unref(srv);
}

/* Without memory for it the connection is closed; the client may try again. */
static void refuse(gee_io *io);

gee_conn *gee_conn_new(gee_server_part *part) {
    gee_conn *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->part = part;
    c->worker = part->worker;
    c->refs = 1;
    c->deadline_ns = c->write_ns = GEE_FAR_NS;
    c->moved_ns = c->worker->now_ns;
    gee_list_push(&part->conns, &c->link);
    gee_count(GEE_COUNT_CONNS, 1);
    atomic_fetch_add_explicit(&part->srv->refs, 1, memory_order_relaxed);
    gee_waitgroup_add(&part->srv->conns, 1);
    return c;
}

void gee_conn_accept(gee_listener *l, gee_io *io) {
    gee_server_part *part = l->data;
    gee_conn *c = gee_conn_new(part);
    if (c == NULL) {
        refuse(io);
        return;
    }
    c->io = io;
    io->handler = &handler;
    io->data = c;
    start_reading(c);
    if (c->reading)
        gee_conn_await_head(c);
    else
        gee_conn_close(c);
}

static void on_refused(gee_io *io) {
    (void)io;
}

static void refuse(gee_io *io) {
    static const gee_io_handler nobody = {.on_close = on_refused};
    io->handler = &nobody;
    io->ops->close(io);
}

uint64_t gee_conn_moved_ns(gee_conn *c) {
    size_t left = c->io ? c->io->ops->unsent(c->io) : 0;
    bool taken = c->unsent == GEE_UNKNOWN ? left > 0 : left < c->unsent;
    c->unsent = left;
    if (taken || c->worker->now_ns < c->quiet_ns)
        c->moved_ns = c->worker->now_ns;
    return c->moved_ns;
}

void gee_conn_peer(const gee_conn *c, char *buf, size_t size) {
    buf[0] = '\0';
    if (c->io)
        c->io->ops->peer(c->io, buf, size);
}

void gee_conn_idle(gee_conn *c) {
    c->serving = false;
    gee_conn_resume_reading(c);
    gee_conn_await_head(c);
    if (c->x == NULL)
        gee_arena_free(&c->arena); /* an idle connection holds no memory; nor buffers */
}
