/*
 * Each system call that a server makes fails in turn, with each error that Linux may give,
 * and reads and writes are short; and the client dies at every byte of its request, and of
 * the answer. Whatever happens to that connection: the next request is served, and nothing
 * is left over.
 *
 * The calls are defined here and so come before libc's, also for libuv. TSan has to see them
 * itself: there only the deaths of clients are tested, and the others are skipped.
 */
#include "base/tools.h"
#include "t_client.h"
#include "t_site.h"
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* --- calls that fail --- */

enum call { ACCEPT4, READ, WRITE, WRITEV, SENDMSG, EPOLL_WAIT, SETSOCKOPT, SOCKET, BIND, LISTEN };

static struct fault {
    _Atomic int call; /* -1: none */
    _Atomic int err;  /* 0: it is short instead */
    _Atomic long at;  /* the at-th call from now */
    _Atomic long seen, hit;
} fault = {.call = -1};

static _Thread_local bool client_thread;

#ifndef GEE_TSAN
static bool fails(enum call call) {
    if (atomic_load(&fault.call) != (int)call)
        return false;
    if (atomic_fetch_add(&fault.seen, 1) + 1 != atomic_load(&fault.at))
        return false;
    atomic_fetch_add(&fault.hit, 1);
    errno = atomic_load(&fault.err);
    return true;
}

/* libuv's wake-ups use the same calls. */
static bool is_socket(int fd) {
    int type;
    socklen_t len = sizeof(type);
    int before = errno;
    bool yes = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
    errno = before;
    return yes;
}

static void *real_of(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

#define REAL(ret, name, params) \
    static ret(*real) params;   \
    if (real == NULL)           \
    *(void **)(&real) = real_of(#name)

int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags) {
    REAL(int, accept4, (int, __SOCKADDR_ARG, socklen_t *, int));
    return fails(ACCEPT4) ? -1 : real(fd, addr, len, flags);
}

ssize_t read(int fd, void *buf, size_t n) {
    REAL(ssize_t, read, (int, void *, size_t));
    if (!client_thread && atomic_load(&fault.call) == READ && is_socket(fd) && fails(READ)) {
        if (errno)
            return -1;
        n = 1;
    }
    return real(fd, buf, n);
}

ssize_t write(int fd, const void *buf, size_t n) {
    REAL(ssize_t, write, (int, const void *, size_t));
    if (!client_thread && atomic_load(&fault.call) == WRITE && is_socket(fd) && fails(WRITE)) {
        if (errno)
            return -1;
        n = 1;
    }
    return real(fd, buf, n);
}

ssize_t writev(int fd, const struct iovec *iov, int n) {
    REAL(ssize_t, writev, (int, const struct iovec *, int));
    if (!client_thread && fails(WRITEV)) {
        if (errno)
            return -1;
        return write(fd, iov[0].iov_base, 1);
    }
    return real(fd, iov, n);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    REAL(ssize_t, sendmsg, (int, const struct msghdr *, int));
    return fails(SENDMSG) ? -1 : real(fd, msg, flags);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int ms) {
    REAL(int, epoll_wait, (int, struct epoll_event *, int, int));
    return fails(EPOLL_WAIT) ? -1 : real(fd, events, max, ms);
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int ms, const sigset_t *mask) {
    REAL(int, epoll_pwait, (int, struct epoll_event *, int, int, const sigset_t *));
    return fails(EPOLL_WAIT) ? -1 : real(fd, events, max, ms, mask);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    REAL(int, setsockopt, (int, int, int, const void *, socklen_t));
    return !client_thread && fails(SETSOCKOPT) ? -1 : real(fd, level, name, value, len);
}

int socket(int domain, int type, int protocol) {
    REAL(int, socket, (int, int, int));
    return !client_thread && fails(SOCKET) ? -1 : real(domain, type, protocol);
}

int bind(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len) {
    REAL(int, bind, (int, __CONST_SOCKADDR_ARG, socklen_t));
    return fails(BIND) ? -1 : real(fd, addr, len);
}

int listen(int fd, int backlog) {
    REAL(int, listen, (int, int));
    return fails(LISTEN) ? -1 : real(fd, backlog);
}
#endif

static void arm(enum call call, int err, long at) {
    atomic_store(&fault.seen, 0);
    atomic_store(&fault.hit, 0);
    atomic_store(&fault.err, err);
    atomic_store(&fault.at, at);
    atomic_store(&fault.call, (int)call);
}

static long disarm(void) {
    atomic_store(&fault.call, -1);
    return atomic_load(&fault.hit);
}

static void needs_calls_that_fail(void) {
#ifdef GEE_TSAN
    skip();
#endif
}

/* --- the server, and a client on a thread of its own --- */

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

/* In two writes: the head and what is too large to be copied. */
static void large(gee_req *req) {
    static char data[20000];
    gee_data(req, 200, "text/plain", data, sizeof(data));
}

static void routes(gee_group *root) {
    gee_GET(root, "/", hello);
    gee_GET(root, "/large", large);
}

struct visit {
    int port;
    const char *request;
    size_t send, take; /* so many bytes, then the end; SIZE_MAX: all */
    bool reset;
    char status[16];
};

static int dial(int port) {
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void visit(void *arg) {
    struct visit *v = arg;
    char text[512];
    size_t n = strlen(v->request), got = 0;
    client_thread = true;
    int fd = dial(v->port);
    v->status[0] = '\0';
    send(fd, v->request, v->send < n ? v->send : n, MSG_NOSIGNAL);
    char head[13] = "";
    for (ssize_t r; got < v->take; got += (size_t)r) {
        size_t want = v->take - got < sizeof(text) ? v->take - got : sizeof(text);
        r = recv(fd, text, want, 0);
        if (r <= 0)
            break;
        for (size_t i = got; i < sizeof(head) - 1 && i < got + (size_t)r; i++)
            head[i] = text[i - got];
    }
    if (strlen(head) == sizeof(head) - 1)
        strcpy(v->status, head + 9);
    struct linger now = {.l_onoff = v->reset};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    client_thread = false;
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

static void go(gee_ctx *ctx, int port, const char *request, char *status) {
    struct visit v = {.port = port, .request = request, .send = SIZE_MAX, .take = SIZE_MAX};
    gee_blocking(ctx, visit, &v);
    strcpy(status, v.status);
}

/* --- calls --- */

static const struct row {
    enum call call;
    const char *name;
    int errs[10];
} rows[] = {
    {ACCEPT4, "accept4", {EINTR, ECONNABORTED, EPROTO, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM}},
    {READ, "read", {-1, EINTR, EAGAIN, ECONNRESET, ENOBUFS, ENOMEM, ETIMEDOUT}},
    {WRITE, "write", {-1, EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM}},
    {WRITEV, "writev", {-1, EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM}},
    {EPOLL_WAIT, "epoll_wait", {EINTR}},
    {SETSOCKOPT, "setsockopt", {ENOBUFS, ENOMEM}},
};

static long hits;

/* The first few calls of an exchange: more than it makes. */
static void fail_each(gee_ctx *ctx, int port, const struct row *row, int err, const char *request) {
    char status[16], next[16];
    for (long at = 1, hit = 1; hit && at <= 8; at++) {
        arm(row->call, err < 0 ? 0 : err, at);
        go(ctx, port, request, status);
        hits += hit = disarm();
        go(ctx, port, GET("/"), next);
        if (strcmp(next, "200") != 0)
            T_FAIL("%s, %s, %ld: the next request: \"%s\"", row->name,
                   err < 0 ? "short" : strerror(err), at, next);
        if (*status && strcmp(status, "200") != 0)
            T_FAIL("%s, %s, %ld: \"%s\"", row->name, err < 0 ? "short" : strerror(err), at, status);
        /* What is only a matter of trying again is not seen by the client. */
        bool again = err < 0 || err == EINTR || err == EAGAIN;
        if (again && *status == '\0')
            T_FAIL("%s, %s, %ld: no answer", row->name, err < 0 ? "short" : strerror(err), at);
    }
}

static void calls_body(gee_ctx *ctx, t_conn *none, int port) {
    gee_census base;
    char diff[128];
    (void)none;
    char status[16];
    go(ctx, port, GET("/"), status);
    t_census_rest(ctx, &base);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && !t_failed(); i++)
        for (const int *err = rows[i].errs; *err && !t_failed(); err++) {
            fail_each(ctx, port, &rows[i], *err, GET("/"));
            fail_each(ctx, port, &rows[i], *err, GET("/large"));
        }
    if (!t_failed())
        T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
    if (hits < 40)
        T_FAIL("only %ld calls failed", hits);
}

static void test_each_system_call_of_a_connection_may_fail(void **state) {
    (void)state;
    needs_calls_that_fail();
    t_site_real(1, &(t_site){routes, calls_body, NULL, 0});
}

/* --- the start --- */

static void start_body(gee_ctx *ctx, void *arg) {
    static const struct {
        enum call call;
        int err;
    } faults[] = {{SOCKET, EMFILE}, {SOCKET, ENOBUFS},    {SETSOCKOPT, ENOMEM}, {BIND, EADDRINUSE},
                  {BIND, EACCES},   {LISTEN, EADDRINUSE}, {LISTEN, EOPNOTSUPP}};
    (void)arg;
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        gee_server *srv;
        gee_engine *e = gee_engine_new();
        char status[16];
        routes(gee_root(e));
        arm(faults[i].call, faults[i].err, 1);
        int rc = gee_listen(e, "127.0.0.1", 0, NULL, &srv);
        disarm();
        int again = gee_listen(e, "127.0.0.1", 0, NULL, &srv);
        if (again == 0) {
            go(ctx, gee_server_port(srv), GET("/"), status);
            gee_server_shutdown(srv);
        }
        gee_engine_free(e);
        T_RC(rc, -faults[i].err);
        T_RC(again, 0);
        T_STR(status, "200");
    }
}

static void test_a_server_that_cannot_listen_says_so_and_may_try_again(void **state) {
    (void)state;
    needs_calls_that_fail();
    t_real(1, start_body, NULL);
    t_real(2, start_body, NULL);
}

/* --- the client dies --- */

static void deaths_body(gee_ctx *ctx, t_conn *none, int port) {
    static const char post[] = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nabcde";
    gee_census base;
    char diff[128], status[16];
    (void)none;
    go(ctx, port, GET("/"), status);
    t_census_rest(ctx, &base);
    for (int reset = 0; reset < 2; reset++) {
        for (size_t at = 0; at < sizeof(post); at++) {
            struct visit v = {.port = port, .request = post, .send = at, .reset = reset};
            gee_blocking(ctx, visit, &v);
        }
        for (size_t at = 0; at < 130; at++) {
            struct visit v = {port, GET("/large"), SIZE_MAX, at, reset, ""};
            gee_blocking(ctx, visit, &v);
        }
    }
    go(ctx, port, GET("/"), status);
    T_STR(status, "200");
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void test_a_client_may_die_at_every_byte(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, deaths_body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_each_system_call_of_a_connection_may_fail),
    cmocka_unit_test(test_a_server_that_cannot_listen_says_so_and_may_try_again),
    cmocka_unit_test(test_a_client_may_die_at_every_byte),
};

T_MAIN(tests)
