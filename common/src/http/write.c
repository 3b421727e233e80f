/*
 * Writing, with back-pressure: what the socket takes at once is gone; for the
 * rest the writing task is parked, and what it wrote stays where it is. So a
 * client that does not read costs one parked task and no memory that grows.
 */
#include "base/tools.h"
#include "http/http.h"
#include "sync/waitq.h"

/* The rest of a buffer that the socket did not take. */
struct rest {
    uv_buf_t bufs[2];
    unsigned n;
};

static void advance(struct rest *r, size_t done) {
    while (r->n > 0 && done >= r->bufs[0].len) {
        done -= r->bufs[0].len;
        r->bufs[0] = r->bufs[1];
        r->n--;
    }
    if (r->n > 0) {
        r->bufs[0].base += done;
        r->bufs[0].len -= done;
    }
}

/*
 * One piece, parked. When ctx ends first, part of a response is on its way and
 * the rest will not follow: the connection has to go, and with it the write.
 */
static int write_piece(gee_ctx *ctx, gee_conn *c, uv_buf_t piece, gee_site site) {
    gee_park park;
    int err;
    c->written = false;
    int rc = c->io->ops->write(c->io, &piece, 1);
    if (rc < 0)
        return rc;
    gee_park_init(&park);
    c->writer = &park;
    c->unsent = GEE_UNKNOWN;
    gee_conn_write_deadline(c, c->part->srv->limits.write_ms);
    int index = gee_park_wait_ctx(&park, ctx, GEE_WAIT_IO_WRITE, site, &err);
    c->writer = NULL;
    if (index == GEE_BY_CTX && !c->written) {
        gee_conn_lost(c, err);
        gee_park_init(&park);
        c->writer = &park;
        gee_park_wait(&park, GEE_WAIT_IO_WRITE, NULL, site);
    }
    gee_conn_write_deadline(c, 0);
    if (c->write_status == UV_ECANCELED && c->gone)
        return c->gone; /* why the connection was closed under it */
    return c->write_status;
}

static int write_rest(gee_ctx *ctx, gee_conn *c, struct rest *r, gee_site site) {
    while (r->n > 0) {
        if (c->closing)
            return c->gone ? c->gone : UV_EPIPE;
        ssize_t n = c->io->ops->try_write(c->io, r->bufs, r->n);
        if (n == UV_EAGAIN) {
            uv_buf_t piece = r->bufs[0];
            if (piece.len > GEE_WRITE_PIECE)
                piece.len = GEE_WRITE_PIECE;
            n = write_piece(ctx, c, piece, site);
            if (n == 0)
                n = (ssize_t)piece.len;
        }
        if (n < 0)
            return (int)n;
        c->moved_ns = c->worker->now_ns;
        c->unsent = GEE_UNKNOWN;
        advance(r, (size_t)n);
    }
    return 0;
}

ssize_t gee_conn_send_file(gee_conn *c, int fd, uint64_t at, size_t n) {
    uv_buf_t head = {.base = gee_buf_head(&c->out), .len = gee_buf_size(&c->out)};
    if (c->writing)
        return UV_EBUSY;
    if (c->io->ops->try_send_file == NULL)
        return UV_ENOTSUP;
    ssize_t sent = c->io->ops->try_send_file(c->io, head, fd, at, n);
    if (sent <= 0)
        return sent;
    c->moved_ns = c->worker->now_ns;
    c->unsent = GEE_UNKNOWN;
    c->x->on_wire = true;
    if ((size_t)sent < head.len) {
        gee_buf_consume(&c->out, (size_t)sent);
        return 0;
    }
    gee_buf_free(&c->out);
    return sent - (ssize_t)head.len;
}

int gee_conn_flush(gee_ctx *ctx, gee_conn *c, const void *body, size_t n, gee_site site) {
    struct rest r = {.n = 0};
    gee_worker_check(c->worker, "a connection");
    if (c->writing)
        return UV_EBUSY; /* two tasks may not write one response */
    if (gee_buf_size(&c->out) > 0)
        r.bufs[r.n++] = uv_buf_init(gee_buf_head(&c->out), (unsigned)gee_buf_size(&c->out));
    if (n > 0)
        r.bufs[r.n++] = (uv_buf_t){.base = (char *)body, .len = n};
    if (r.n == 0)
        return c->closing ? UV_EPIPE : 0;
    if (c->x && c->x->head_sent)
        c->x->on_wire = true;
    gee_race_release(c); /* what is in the buffer, for who may take the connection over */
    c->writing = true;
    int rc = write_rest(ctx, c, &r, site);
    c->writing = false;
    gee_buf_free(&c->out); /* a stream that waits for its next event holds none */
    if (rc < 0 && !c->closing)
        gee_conn_lost(c, rc);
    return rc;
}
