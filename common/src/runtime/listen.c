/*
 * Listening sockets: how one comes to be, and accepting.
 *
 * The socket is polled and accept4 is called here, not by libuv, for the sake of the
 * day on which descriptors run out. libuv then accepts with a spare one and closes the
 * client at once; here accepting pauses. Nobody is turned away who can still wait: the
 * kernel's backlog holds him, and the loop does not hear of him until it may succeed.
 * Paused is: on the worker's list, not polled, with the timer armed.
 *
 * A descriptor that comes free on another worker will do as well. A worker that pauses says first
 * that it waits, and then tries once more; a worker that has closed a socket looks behind that
 * whether anybody waits. So one of the two sees the other, and a descriptor of ours that comes free
 * is never waited for. The timer is for those that others hold: files, the program's own.
 */
#include "base/tools.h"
#include "runtime/transport.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- accepting --- */

static void poll_for_clients(gee_listener *l);

static void resume(gee_listener *l) {
    gee_list_del(&l->paused);
    gee_timer_stop(&l->retry);
    poll_for_clients(l);
}

/* Other workers see it. */
static void set_waiting(gee_worker *w, bool waits) {
    if (atomic_load_explicit(&w->waits_for_fd, memory_order_relaxed) == waits)
        return;
    atomic_store(&w->waits_for_fd, waits);
    atomic_fetch_add(&w->rt->waiting_for_fd, waits ? 1 : -1);
}

static void on_retry(gee_timer *t) {
    gee_worker *w = gee_worker_self();
    resume(gee_container(t, gee_listener, retry));
    set_waiting(w, !gee_list_empty(&w->paused));
}

static void resume_all(gee_worker *w) {
    for (gee_list *it; (it = gee_list_pop(&w->paused)) != NULL;)
        resume(gee_container(it, gee_listener, paused));
    set_waiting(w, false);
}

/* Sent by a worker that has closed one. */
static void fd_is_free(gee_work *work) {
    gee_worker *w = gee_container(work, gee_worker, fd_free);
    gee_vg_before(work);
    atomic_store(&w->told_of_fd,
                 false); /* first: of one that comes free from now on it is told again */
    resume_all(w);
}

static void tell_others(gee_worker *self) {
    gee_runtime *rt = self->rt;
    for (int i = 0; i < rt->nworkers; i++) {
        gee_worker *w = &rt->workers[i];
        if (w == self || !atomic_load(&w->waits_for_fd) || atomic_exchange(&w->told_of_fd, true))
            continue;
        gee_vg_after(&w->fd_free);
        gee_post(w, &w->fd_free);
    }
}

void gee_listeners_init(gee_worker *w) {
    gee_list_init(&w->paused);
    w->fd_free.fn = fd_is_free;
}

void gee_listeners_resume(gee_worker *w) {
    resume_all(w);
    /* Behind its end nobody is told: the others' loops may be closed. */
    if (atomic_load(&w->rt->waiting_for_fd) > 0 && !atomic_load(&w->rt->stop))
        tell_others(w);
}

/* Without memory for the timer it goes on polling: that spins, but it does not stop for ever. */
static void pause_accepting(gee_listener *l) {
    gee_worker *w = gee_worker_self();
    if (gee_timer_start(&l->retry, gee_clock_in_ms(GEE_ACCEPT_PAUSE_MS), on_retry) < 0)
        return;
    uv_poll_stop(&l->u.poll);
    gee_list_push(&w->paused, &l->paused);
}

/* Of a connection that broke while it waited (accept(2)): the next one may be well. */
static bool is_of_one_client(int err) {
    static const int errs[] = {EINTR,     ECONNABORTED, EPROTO,       ENETDOWN,   ENOPROTOOPT,
                               EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
    for (size_t i = 0; i < sizeof(errs) / sizeof(*errs); i++)
        if (err == errs[i])
            return true;
    return false;
}

/* False: there is no descriptor for the next client. Whatever else accept4 says, or a socket that
 * is out of order, will not be over at once either. */
static bool accept_clients(gee_listener *l, gee_worker *w) {
    for (int i = 0; i < GEE_ACCEPT_AT_ONCE; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && is_of_one_client(errno))
            continue;
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (fd < 0 && w->dead) { /* they have descriptors that nobody needs: for all of this turn */
            gee_io_close_dead(w, GEE_ACCEPT_AT_ONCE);
            continue;
        }
        if (fd < 0 && !atomic_load_explicit(&w->waits_for_fd, memory_order_relaxed)) {
            set_waiting(w, true);
            continue;
        }
        if (fd < 0)
            return false;
        gee_io *io = gee_io_open(fd, l->domain);
        if (io)
            l->on_accept(l, io);
    }
    return true;
}

static void on_clients(uv_poll_t *poll, int status, int events) {
    gee_listener *l = poll->data;
    gee_worker *w = poll->loop->data;
    (void)events;
    gee_worker_awake(w);
    if (status < 0 || !accept_clients(l, w)) /* status: libuv has stopped polling */
        pause_accepting(l);
    set_waiting(w, !gee_list_empty(&w->paused));
}

static void poll_for_clients(gee_listener *l) {
    uv_poll_start(&l->u.poll, UV_READABLE, on_clients);
}

/* --- the end --- */

static void on_poll_closed(uv_handle_t *h) {
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

void gee_listener_close(gee_listener *l) {
    if (l->simulated) {
        gee_list_del(&l->u.sim);
        close_later(l, 0);
        return;
    }
    gee_list_del(&l->paused);
    gee_timer_stop(&l->retry);
    uv_close((uv_handle_t *)&l->u.poll, on_poll_closed);
    close(l->fd); /* not in the callback: who asks for the port next shall have it */
}

/* --- making one --- */

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

static int parse_address(const char *host, int port, struct sockaddr_storage *addr,
                         socklen_t *len) {
    *len = sizeof(struct sockaddr_in);
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)addr) == 0)
        return 0;
    *len = sizeof(struct sockaddr_in6);
    return uv_ip6_addr(host, port, (struct sockaddr_in6 *)addr);
}

static int port_of(int fd) {
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    if (addr.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&addr)->sin_port);
    return addr.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&addr)->sin6_port) : 0;
}

/* Takes over fd, which listens. */
static int begin(gee_listener *l, int fd, int domain) {
    int rc = uv_poll_init(&gee_worker_self()->loop, &l->u.poll, fd);
    if (rc < 0) {
        close(fd);
        return close_later(l, rc);
    }
    gee_list_init(&l->paused);
    l->u.poll.data = l;
    l->fd = fd;
    l->domain = domain;
    l->port = port_of(fd);
    poll_for_clients(l);
    return 0;
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
    if (listen(fd, GEE_BACKLOG) < 0) {
        rc = -errno;
        close(fd);
        return close_later(l, rc);
    }
    return begin(l, fd, sa->sa_family);
}

static int option(int fd, int name, int *out) {
    socklen_t len = sizeof(*out);
    return getsockopt(fd, SOL_SOCKET, name, out, &len) < 0 ? -errno : 0;
}

int gee_listen_passed(gee_listener *l, int fd) {
    int type = 0, domain = 0, listens = 0;
    int rc = option(fd, SO_TYPE, &type);
    if (rc == 0)
        rc = option(fd, SO_DOMAIN, &domain);
    if (rc == 0)
        rc = option(fd, SO_ACCEPTCONN, &listens);
    bool known = domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX;
    if (rc == 0 && (type != SOCK_STREAM || !known || !listens))
        rc = UV_EINVAL;
    int own = rc < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (rc == 0 && own < 0)
        rc = -errno;
    return rc < 0 ? close_later(l, rc) : begin(l, own, domain);
}
