/*
 * The bytes of a file, on their way to a client.
 *
 * What waits for a disk does so on a thread of the pool. What the kernel has in memory does not
 * wait, and is the worker's: a hop to a thread and back costs more than a small file. So the
 * kernel is asked first (RWF_NOWAIT). A small file is read into the response, behind its head. A
 * large one is handed from the page cache to the socket (sendfile), in pieces, of which each is in
 * memory as far as a few bytes of it can tell, or has been brought there by a thread. Where the
 * socket is full, a piece is copied and written as any handler's, for that is what parks, and has a
 * deadline; when the client has taken it, there is room again. The same is the way through a
 * filter, and over a transport that takes no files.
 */
#include "middleware/file.h"
#include "sync/pool.h"
#include "web/web.h"
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SMALL = 16 * 1024,   /* is copied; so is what waits for a client */
    COPY = 64 * 1024,    /* at a time, where all is */
    DIRECT = 256 * 1024, /* before others have their turn */
    APART = 128 * 1024,  /* bytes that are looked at; a disk is read in pieces of that size */
};

struct piece {
    gee_req *req;
    int fd;
    uint64_t at;
    size_t n;
    char *buf; /* NULL: it was not needed yet */
    size_t room;
    ssize_t got;
};

static ssize_t read_at(int fd, char *buf, size_t n, uint64_t at, int flags) {
    struct iovec io = {.iov_base = buf, .iov_len = n};
    ssize_t got;
    do
        got = preadv2(fd, &io, 1, (off_t)at, flags);
    while (got < 0 && errno == EINTR);
    return got < 0 ? uv_translate_sys_error(errno) : got;
}

static size_t least(uint64_t n, size_t most) {
    return n < most ? (size_t)n : most;
}

/* --- on a thread --- */

static void read_piece(void *arg) {
    struct piece *p = arg;
    p->got = read_at(p->fd, p->buf, p->n, p->at, 0);
}

/* An error shows when it is sent. */
static void bring_into_memory(void *arg) {
    struct piece *p = arg;
    ssize_t got = 1;
    for (size_t done = 0; got > 0 && done < p->n; done += (size_t)got)
        got = read_at(p->fd, p->buf, least(p->n - done, p->room), p->at + done, 0);
}

static int call(struct piece *p, void (*fn)(void *arg)) {
    return gee_blocking_in(&gee_framework_lane, gee_req_ctx(p->req), fn, p);
}

/* --- pieces: how much of it is gone, or an error --- */

static int need_buffer(struct piece *p) {
    if (p->buf == NULL)
        p->buf = gee_alloc(p->req, p->room);
    return p->buf ? 0 : UV_ENOMEM;
}

static ssize_t send_copy(struct piece *p) {
    int rc = need_buffer(p);
    if (rc < 0)
        return rc;
    p->got = read_at(p->fd, p->buf, p->n, p->at, RWF_NOWAIT);
    if (p->got < 0 && (rc = call(p, read_piece)) < 0)
        return rc;
    if (p->got <= 0)
        return p->got < 0 ? p->got : UV_EOF; /* it is shorter now */
    rc = gee_write(p->req, p->buf, (size_t)p->got);
    return rc < 0 ? rc : p->got;
}

/* Reading goes forward, and so does forgetting: where something is missing, one of these is. */
static bool is_in_memory(const struct piece *p) {
    char byte;
    for (size_t i = 0; i < p->n; i += APART)
        if (read_at(p->fd, &byte, 1, p->at + i, RWF_NOWAIT) < 0)
            return false;
    return read_at(p->fd, &byte, 1, p->at + p->n - 1, RWF_NOWAIT) >= 0;
}

static ssize_t send_direct(struct piece *p) {
    if (!is_in_memory(p)) {
        int rc = need_buffer(p);
        if (rc == 0)
            rc = call(p, bring_into_memory);
        if (rc < 0)
            return rc;
    }
    return gee_exchange_send_file(&p->req->x, p->fd, p->at, p->n);
}

int gee_send_bytes(gee_req *req, int fd, uint64_t at, uint64_t n) {
    struct piece p = {.req = req, .fd = fd, .at = at, .room = least(n, COPY)};
    enum { DIRECTLY, WAITING, COPIED } how = n > SMALL ? DIRECTLY : COPIED;
    while (n > 0) {
        int rc = gee_ctx_err(gee_req_ctx(req));
        if (rc < 0)
            return rc;
        p.n = least(n, how == DIRECTLY ? DIRECT : how == WAITING ? SMALL : COPY);
        ssize_t done = how == DIRECTLY ? send_direct(&p) : send_copy(&p);
        if (done < 0 && how != DIRECTLY)
            return (int)done;
        if (how == WAITING)
            how = DIRECTLY; /* the client has taken something */
        else if (how == DIRECTLY && done < (ssize_t)p.n)
            how = done >= 0 || done == UV_EAGAIN ? WAITING : COPIED;
        p.at += done > 0 ? (uint64_t)done : 0;
        n -= done > 0 ? (uint64_t)done : 0;
        if (n > 0)
            gee_yield();
    }
    return 0;
}
