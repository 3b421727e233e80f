/* The transport over libuv: TCP, and stream sockets of the Unix domain. */
#include "base/decimal.h"
#include "base/tools.h"
#include "runtime/transport.h"
#include <errno.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct tcp_io {
    gee_io io;
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
} tcp_io;

static tcp_io *of(gee_io *io) {
    return gee_container(io, tcp_io, io);
}

static uv_stream_t *stream(gee_io *io) {
    return &of(io)->u.stream;
}

/*
 * libuv reads by read(2) and writes by write(2): these are any file's, and go through more of the
 * kernel than recv and send, which are a socket's own. So the callback that is asked for a buffer
 * reads itself. It gives none, and on_read is called at once with UV_ENOBUFS, as is documented.
 * One buffer serves all: what was read is used before the next read.
 */
static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    gee_worker *w = h->loop->data;
    uv_os_fd_t fd = -1;
    (void)hint;
    uv_fileno(h, &fd);
    do
        w->nread = recv(fd, w->read_buf, GEE_READ_BUF, 0);
    while (w->nread < 0 && errno == EINTR);
    if (w->nread < 0)
        w->nread = uv_translate_sys_error(errno);
    else if (w->nread == 0)
        w->nread = UV_EOF;
    *buf = uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    gee_io *io = s->data;
    gee_worker *w = s->loop->data;
    bool first = w->runq_len == 0;
    (void)buf;
    n = n == UV_ENOBUFS ? w->nread : n;
    gee_worker_awake(w);
    if (n < 0 && n != UV_EAGAIN)
        uv_read_stop(s);
    if (n != UV_EAGAIN)
        io->handler->on_read(io, n, w->read_buf);
    if (first)
        gee_worker_run_at_once(w);
}

static int tcp_read_start(gee_io *io) {
    return uv_read_start(stream(io), on_alloc, on_read);
}

static void tcp_read_stop(gee_io *io) {
    uv_read_stop(stream(io));
}

/* As uv_try_write; uv_buf_t is laid out as an iovec. */
static ssize_t tcp_try_write(gee_io *io, const uv_buf_t *bufs, unsigned n) {
    struct msghdr msg = {.msg_iov = (struct iovec *)bufs, .msg_iovlen = n};
    uv_os_fd_t fd;
    ssize_t sent;
    int rc = uv_fileno((uv_handle_t *)stream(io), &fd);
    if (rc < 0)
        return rc;
    if (uv_stream_get_write_queue_size(stream(io)) > 0)
        return UV_EAGAIN;
    /* The loop closes descriptors where TSan does not look: their numbers would race. */
    gee_tsan_ignore_begin();
    do
        sent = n == 1 ? send(fd, bufs[0].base, bufs[0].len, MSG_NOSIGNAL)
                      : sendmsg(fd, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    gee_tsan_ignore_end();
    if (sent < 0 && errno == ENOBUFS) /* of the kernel's own: it may have some when it says so */
        return UV_EAGAIN;
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

/* MSG_MORE: the head travels with the first bytes of the file. */
static ssize_t tcp_try_send_file(gee_io *io, uv_buf_t head, int file, uint64_t at, size_t n) {
    off_t from = (off_t)at;
    ssize_t sent = 0, more;
    uv_os_fd_t fd;
    int rc = uv_fileno((uv_handle_t *)stream(io), &fd);
    if (rc < 0)
        return rc;
    if (uv_stream_get_write_queue_size(stream(io)) > 0)
        return UV_EAGAIN;
    gee_tsan_ignore_begin();
    if (head.len > 0)
        do
            sent = send(fd, head.base, head.len, MSG_NOSIGNAL | MSG_MORE);
        while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)head.len) {
        do
            more = sendfile(fd, file, &from, n);
        while (more < 0 && errno == EINTR);
        sent = more >= 0 ? sent + more : sent > 0 ? sent : -1;
    }
    gee_tsan_ignore_end();
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

static void on_write(uv_write_t *req, int status) {
    gee_io *io = req->handle->data;
    gee_worker_awake(req->handle->loop->data);
    free(req);
    io->handler->on_write(io, status);
}

/* Most never need a request: a client that takes its answers at once is served by try_write. */
static int tcp_write(gee_io *io, const uv_buf_t *bufs, unsigned n) {
    uv_write_t *req = malloc(sizeof(*req));
    int rc = req ? uv_write(req, stream(io), bufs, n, on_write) : UV_ENOMEM;
    if (rc < 0)
        free(req);
    return rc;
}

/* What libuv has, and what the kernel has: there it is often more than a megabyte. */
static size_t tcp_unsent(gee_io *io) {
    uv_os_fd_t fd = -1;
    int queued = 0;
    if (uv_fileno((uv_handle_t *)stream(io), &fd) < 0 || ioctl(fd, SIOCOUTQ, &queued) < 0)
        queued = 0;
    return uv_stream_get_write_queue_size(stream(io)) + (size_t)queued;
}

/* Nothing is being written any more, so libuv, which would wait for that, is not needed. */
static void tcp_shutdown(gee_io *io) {
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)stream(io), &fd) == 0)
        shutdown(fd, SHUT_WR); /* an error shows in what follows */
}

/* Its descriptor is free again: someone may be waiting for one. */
static void on_close(uv_handle_t *h) {
    gee_io *io = h->data;
    gee_worker *w = h->loop->data;
    gee_worker_awake(w);
    io->handler->on_close(io);
    free(of(io));
    gee_listeners_resume(w);
}

static void tcp_close(gee_io *io) {
    uv_close((uv_handle_t *)stream(io), on_close);
}

static void tcp_close_later(gee_io *io) {
    gee_worker *w = stream(io)->loop->data;
    if (w->dead == NULL && w->closes > 0) { /* there are not many */
        w->closes--;
        tcp_close(io);
        return;
    }
    tcp_read_stop(io);
    io->next = NULL;
    *w->dead_end = io;
    w->dead_end = &io->next;
    w->ndead++;
}

void gee_io_close_dead(gee_worker *w, size_t n) {
    for (gee_io *io; n > 0 && (io = w->dead) != NULL; n--) {
        w->dead = io->next;
        w->ndead--;
        tcp_close(io);
    }
    if (w->dead == NULL)
        w->dead_end = &w->dead;
}

/* The Unix domain has no such thing. */
static void tcp_reset(gee_io *io) {
    if (stream(io)->type != UV_TCP || uv_tcp_close_reset(&of(io)->u.tcp, on_close) != 0)
        tcp_close(io);
}

static void address_text(const struct sockaddr_storage *addr, char *buf, size_t size) {
    char ip[64] = "?";
    if (addr->ss_family == AF_INET && size >= GEE_IP4_TEXT + sizeof(":65535")) {
        const struct sockaddr_in *in = (const void *)addr;
        char *end = gee_ip4_put(buf, &in->sin_addr);
        *end++ = ':';
        gee_decimal_put(end, ntohs(in->sin_port));
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)addr;
        uv_ip6_name(in6, ip, sizeof(ip));
        snprintf(buf, size, "[%s]:%d", ip, ntohs(in6->sin6_port));
    } else {
        snprintf(buf, size, "?:0");
    }
}

static void tcp_peer(gee_io *io, char *buf, size_t size) {
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    uv_os_fd_t fd = -1;
    uv_fileno((uv_handle_t *)stream(io), &fd);
    getpeername(fd, (struct sockaddr *)&addr, &len);
    if (addr.ss_family == AF_UNIX)
        snprintf(buf, size, "unix");
    else
        address_text(&addr, buf, size);
}

static const gee_io_ops tcp_ops = {tcp_read_start, tcp_read_stop, tcp_try_write,    tcp_write,
                                   tcp_unsent,     tcp_shutdown,  tcp_close,        tcp_close_later,
                                   tcp_reset,      tcp_peer,      tcp_try_send_file};

/* Closed before anyone had it. */
static void on_refused(uv_handle_t *h) {
    free(of(h->data));
}

static int open_pipe(uv_loop_t *loop, tcp_io *t, int fd) {
    uv_pipe_init(loop, &t->u.pipe, 0);
    return uv_pipe_open(&t->u.pipe, fd);
}

static int open_tcp(uv_loop_t *loop, tcp_io *t, int fd) {
    uv_tcp_init(loop, &t->u.tcp);
    int rc = uv_tcp_open(&t->u.tcp, fd);
    if (rc == 0)
        uv_tcp_nodelay(&t->u.tcp, 1);
    return rc;
}

gee_io *gee_io_open(int fd, int domain) {
    uv_loop_t *loop = &gee_worker_self()->loop;
    size_t size = domain == AF_UNIX ? sizeof(uv_pipe_t) : sizeof(uv_tcp_t);
    tcp_io *t = calloc(1, offsetof(tcp_io, u) + size); /* of the union, what is needed */
    if (t == NULL) {
        close(fd);
        return NULL;
    }
    t->io.ops = &tcp_ops;
    int rc = domain == AF_UNIX ? open_pipe(loop, t, fd) : open_tcp(loop, t, fd);
    t->u.stream.data = &t->io;
    if (rc == 0)
        return &t->io;
    close(fd);
    uv_close((uv_handle_t *)&t->u.stream, on_refused);
    return NULL;
}
