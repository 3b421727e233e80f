/* The transport over libuv TCP. */
#include "runtime/transport.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct tcp_io {
    gee_io io;
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
} tcp_io;

static tcp_io *of(gee_io *io) {
    return gee_container(io, tcp_io, io);
}

static uv_stream_t *stream(gee_io *io) {
    return (uv_stream_t *)&of(io)->tcp;
}

/* One buffer for all: a read is over before the next one starts. */
static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    gee_worker *w = h->loop->data;
    (void)hint;
    *buf = uv_buf_init(w->read_buf, GEE_READ_BUF);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    gee_io *io = s->data;
    if (n != 0) /* 0 is libuv's EAGAIN */
        io->handler->on_read(io, n, buf->base);
}

static int tcp_read_start(gee_io *io) {
    return uv_read_start(stream(io), on_alloc, on_read);
}

static void tcp_read_stop(gee_io *io) {
    uv_read_stop(stream(io));
}

static ssize_t tcp_try_write(gee_io *io, const uv_buf_t *bufs, unsigned n) {
    return uv_try_write(stream(io), bufs, n);
}

static void on_write(uv_write_t *req, int status) {
    gee_io *io = req->handle->data;
    io->handler->on_write(io, status);
}

static int tcp_write(gee_io *io, const uv_buf_t *bufs, unsigned n) {
    return uv_write(&of(io)->write, stream(io), bufs, n, on_write);
}

static void tcp_shutdown(gee_io *io) {
    uv_shutdown(&of(io)->shutdown, stream(io), NULL); /* an error shows in what follows */
}

static void on_close(uv_handle_t *h) {
    gee_io *io = h->data;
    io->handler->on_close(io);
    free(of(io));
}

static void tcp_close(gee_io *io) {
    uv_close((uv_handle_t *)&of(io)->tcp, on_close);
}

static void tcp_reset(gee_io *io) {
    if (uv_tcp_close_reset(&of(io)->tcp, on_close) != 0)
        tcp_close(io);
}

static void address_text(const struct sockaddr_storage *addr, char *buf, size_t size) {
    char ip[64] = "?";
    int port = 0;
    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)addr;
        uv_ip4_name(in, ip, sizeof(ip));
        port = ntohs(in->sin_port);
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)addr;
        uv_ip6_name(in6, ip, sizeof(ip));
        port = ntohs(in6->sin6_port);
    }
    snprintf(buf, size, addr->ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", ip, port);
}

static void tcp_peer(gee_io *io, char *buf, size_t size) {
    struct sockaddr_storage addr = {0};
    int len = sizeof(addr);
    uv_tcp_getpeername(&of(io)->tcp, (struct sockaddr *)&addr, &len);
    address_text(&addr, buf, size);
}

static const gee_io_ops tcp_ops = {tcp_read_start, tcp_read_stop, tcp_try_write, tcp_write,
                                   tcp_shutdown,   tcp_close,     tcp_reset,     tcp_peer};

/* Closed before anyone had it. */
static void on_refused(uv_handle_t *h) {
    free(of(h->data));
}

static void on_connection(uv_stream_t *server, int status) {
    gee_listener *l = server->data;
    tcp_io *t = status < 0 ? NULL : calloc(1, sizeof(*t));
    if (t == NULL)
        return; /* libuv keeps the connection and asks again */
    t->io.ops = &tcp_ops;
    uv_tcp_init(server->loop, &t->tcp);
    t->tcp.data = &t->io;
    if (uv_accept(server, (uv_stream_t *)&t->tcp) < 0) {
        uv_close((uv_handle_t *)&t->tcp, on_refused);
        return;
    }
    uv_tcp_nodelay(&t->tcp, 1);
    l->on_accept(l, &t->io);
}

/* By hand: libuv learned SO_REUSEPORT only in 1.49. */
static int bound_socket(const struct sockaddr *addr, socklen_t len, bool share) {
    int on = 1;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!share || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        bind(fd, addr, len) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

/*
 * Two programs that both share a port would each get some of its connections. So
 * the port is first bound unshared, which fails if anyone has it.
 */
static int shared_socket(const struct sockaddr *addr, socklen_t len, bool first) {
    int probe = first ? bound_socket(addr, len, false) : 0;
    if (probe < 0)
        return probe;
    if (first)
        close(probe);
    return bound_socket(addr, len, true);
}

static void on_listener_closed(uv_handle_t *h) {
    gee_listener *l = h->data;
    if (l->on_close)
        l->on_close(l);
}

static void deferred_close(gee_work *work) {
    gee_listener *l = gee_container(work, gee_listener, closing);
    if (l->on_close)
        l->on_close(l);
}

/* There is no handle to close: on_close comes from the loop all the same. */
static int close_later(gee_listener *l, int err) {
    l->closing.fn = deferred_close;
    gee_defer(&l->closing);
    return err;
}

static int parse_address(const char *host, int port, struct sockaddr_storage *addr,
                         socklen_t *len) {
    *len = sizeof(struct sockaddr_in);
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)addr) == 0)
        return 0;
    *len = sizeof(struct sockaddr_in6);
    return uv_ip6_addr(host, port, (struct sockaddr_in6 *)addr);
}

int gee_listen_tcp(gee_listener *l, const char *host, int port, enum gee_share share) {
    struct sockaddr_storage addr = {0};
    socklen_t len;
    int rc = parse_address(host, port, &addr, &len);
    if (rc < 0)
        return close_later(l, rc);
    const struct sockaddr *sa = (const struct sockaddr *)&addr;
    int fd = share == GEE_ALONE ? bound_socket(sa, len, false)
                                : shared_socket(sa, len, share == GEE_SHARE_FIRST);
    if (fd < 0)
        return close_later(l, fd);
    uv_tcp_init(&gee_worker_self()->loop, &l->u.tcp);
    l->u.tcp.data = l;
    rc = uv_tcp_open(&l->u.tcp, fd);
    if (rc < 0) {
        close(fd);
    } else if ((rc = uv_listen((uv_stream_t *)&l->u.tcp, GEE_BACKLOG, on_connection)) == 0) {
        getsockname(fd, (struct sockaddr *)&addr, &len);
        l->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                                   : ((struct sockaddr_in *)&addr)->sin_port);
        return 0;
    }
    uv_close((uv_handle_t *)&l->u.tcp, on_listener_closed);
    return rc;
}

void gee_listener_close(gee_listener *l) {
    if (!l->simulated) {
        uv_close((uv_handle_t *)&l->u.tcp, on_listener_closed);
        return;
    }
    gee_list_del(&l->u.sim);
    close_later(l, 0);
}
