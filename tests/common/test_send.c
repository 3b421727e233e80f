/*
 * The bytes of a file: by sendfile where there is one, by reading and writing where there is not,
 * and from a thread where the disk would be waited for. The calls are defined here and so come
 * before libc's: a kernel that cannot do something, a disk and a socket are the test's.
 */
#include "gee/static.h"
#include "t_client.h"
#include "t_site.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* --- the kernel --- */

static struct kernel {
    _Atomic int nowait_err;   /* of a read that may not wait; 0: as it is */
    _Atomic int send_err;     /* of sendfile, each send_each-th call */
    _Atomic size_t send_each; /* 0: never */
    _Atomic size_t send_most; /* bytes that it takes; 0: as many as it does */
    atomic_bool swallows;     /* it takes all, and the socket gets nothing */
} kernel;

static pthread_t worker;
static atomic_long sends, waits; /* waits: reads of the worker that may wait for a disk */
static atomic_ullong brought;    /* into memory by threads: up to here */
static atomic_long too_early;    /* what was sent before that */

static ssize_t (*real_preadv2)(int, const struct iovec *, int, off_t, int);
static ssize_t (*real_sendfile)(int, int, off_t *, size_t);

/* Before there are threads. The worker of a runtime with one worker is the thread that runs it. */
__attribute__((constructor(101))) static void begin_program(void) {
    *(void **)(&real_preadv2) = dlsym(RTLD_NEXT, "preadv2");
    *(void **)(&real_sendfile) = dlsym(RTLD_NEXT, "sendfile");
    worker = pthread_self();
}

ssize_t preadv2(int fd, const struct iovec *io, int n, off_t at, int flags) {
    if (atomic_load(&kernel.swallows) && (flags & RWF_NOWAIT))
        return 1;
    if ((flags & RWF_NOWAIT) && atomic_load(&kernel.nowait_err)) {
        errno = atomic_load(&kernel.nowait_err);
        return -1;
    }
    if (flags == 0 && pthread_equal(pthread_self(), worker))
        atomic_fetch_add(&waits, 1);
    ssize_t got = real_preadv2(fd, io, n, at, flags);
    if (flags == 0 && got > 0)
        atomic_store(&brought, (unsigned long long)(at + got));
    return got;
}

ssize_t sendfile(int to, int fd, off_t *at, size_t n) {
    size_t nth = (size_t)atomic_fetch_add(&sends, 1) + 1, each = atomic_load(&kernel.send_each);
    size_t most = atomic_load(&kernel.send_most);
    if ((unsigned long long)*at + n > atomic_load(&brought))
        atomic_fetch_add(&too_early, 1);
    if (atomic_load(&kernel.swallows))
        return (ssize_t)n;
    if (each && nth % each == 0) {
        errno = atomic_load(&kernel.send_err);
        return -1;
    }
    return real_sendfile(to, fd, at, most && n > most ? most : n);
}

static void kernel_is(int nowait_err, int send_err, size_t send_each, size_t send_most) {
    atomic_store(&kernel.nowait_err, nowait_err);
    atomic_store(&kernel.send_err, send_err);
    atomic_store(&kernel.send_each, send_each);
    atomic_store(&kernel.send_most, send_most);
    atomic_store(&sends, 0);
    atomic_store(&waits, 0);
    atomic_store(&brought, 0);
    atomic_store(&too_early, 0);
}

/* --- the server --- */

enum { SIZE = 1000003 };
static char dir[64];
static char text[SIZE];

static void file(gee_req *req) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, gee_param(req, "name"));
    gee_file(req, path);
}

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

static void routes(gee_group *r) {
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/f/:name", file);
    gee_group *limited = gee_group_new(r, "/limited");
    gee_use_timeout_with(limited, &(gee_timeout_options){.ms = 500, .log_fd = -1});
    gee_GET(limited, "/:name", file);
}

/* --- a client, on a thread --- */

struct visit {
    int port, fd, rcvbuf;
    const char *request;
    char *got; /* all, to the end */
    size_t n;
};

static void dial(void *arg) {
    struct visit *v = arg;
    v->fd = t_sock_dial(v->port, v->rcvbuf);
    t_sock_puts(v->fd, v->request);
}

static void take_all(void *arg) {
    struct visit *v = arg;
    size_t room = SIZE * 3;
    v->got = malloc(room);
    v->n = 0;
    for (ssize_t got = 1; v->got && got > 0 && v->n<room; v->n += got> 0 ? (size_t)got : 0)
        got = recv(v->fd, v->got + v->n, room - v->n, 0);
    close(v->fd);
}

static void dial_and_take_all(void *arg) {
    dial(arg);
    take_all(arg);
}

/* A response with this body at *at, which goes on behind it. */
static bool is_next(const char **at, const char *end, const char *status, const char *body,
                    size_t n) {
    char length[40];
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n", n);
    const char *head = *at;
    const char *behind = memmem(head, (size_t)(end - head), "\r\n\r\n", 4);
    if (behind == NULL || strncmp(head, status, strlen(status)) != 0)
        return false;
    const char *said = memmem(head, (size_t)(behind + 2 - head), length, strlen(length));
    size_t has = body ? n : 0;
    if (said == NULL || (size_t)(end - behind - 4) < has)
        return false;
    *at = behind + 4 + has;
    return has == 0 || memcmp(behind + 4, body, has) == 0;
}

/* --- what is sent --- */

static const struct world {
    const char *name;
    int nowait_err, send_err;
    size_t send_each, send_most;
} worlds[] = {
    {"as it is", 0, 0, 0, 0},
    {"a file system that has no RWF_NOWAIT", EOPNOTSUPP, 0, 0, 0},
    {"nothing is in memory", EAGAIN, 0, 0, 0},
    {"a file system that has no sendfile", 0, EINVAL, 1, 0},
    {"a sandbox without it", EAGAIN, ENOSYS, 1, 0},
    {"it is interrupted", 0, EINTR, 2, 0},
    {"a socket that is always full", 0, EAGAIN, 1, 0},
    {"that is now and then", 0, EAGAIN, 3, 0},
    {"that takes little", EAGAIN, 0, 0, 10000},
};

/* Around each border of what is copied, of what is sent at a time, and of what is looked at. */
static const size_t sizes[] = {0,      1,      4096,   4097,   16384,  16385, 65537,
                               131072, 131073, 262144, 262145, 524289, SIZE};

/* The last n bytes of the file, so that nothing begins at a page. */
static void ask_for(gee_ctx *ctx, int port, const char *world, size_t n) {
    char request[160];
    snprintf(request, sizeof(request),
             "GET /f/large HTTP/1.1\r\nHost: t\r\nConnection: close\r\nRange: bytes=-%zu\r\n\r\n",
             n);
    struct visit v = {.port = port, .request = request};
    gee_blocking(ctx, dial_and_take_all, &v);
    const char *at = v.got;
    bool right =
        n == 0 ? v.n > 12 && memcmp(at, "HTTP/1.1 416", 12) == 0
               : is_next(&at, v.got + v.n, "HTTP/1.1 206", text + SIZE - n, n) && at == v.got + v.n;
    free(v.got);
    if (!right)
        T_FAIL("%s: the last %zu bytes are not right", world, n);
}

static void worlds_body(gee_ctx *ctx, t_conn *none, int port) {
    (void)none;
    for (size_t i = 0; i < sizeof(worlds) / sizeof(*worlds) && !t_failed(); i++) {
        const struct world *w = &worlds[i];
        kernel_is(w->nowait_err, w->send_err, w->send_each, w->send_most);
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes) && !t_failed(); s++)
            ask_for(ctx, port, w->name, sizes[s]);
        if (atomic_load(&sends) == 0 || atomic_load(&waits) > 0)
            T_FAIL("%s: sendfile was called %ld times, and the worker read %ld times what may wait",
                   w->name, atomic_load(&sends), atomic_load(&waits));
    }
    kernel_is(0, 0, 0, 0);
}

static void test_every_kernel_sends_the_same(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, worlds_body, NULL, 0});
}

/* In memory there is no sendfile. */
static void test_a_transport_that_takes_no_files_body(gee_ctx *ctx, t_conn *c, int port) {
    char lines[48];
    (void)port;
    kernel_is(0, 0, 0, 0);
    for (size_t s = 1; s < sizeof(sizes) / sizeof(*sizes); s++) {
        snprintf(lines, sizeof(lines), "Range: bytes=-%zu\r\n", sizes[s]);
        T_EQ(t_ask(ctx, c, "GET", "/f/large", lines), 206);
        T_EQ(t_body_size(c), sizes[s]);
        T_EQ(memcmp(t_body(c), text + SIZE - sizes[s], sizes[s]), 0);
    }
    T_EQ(atomic_load(&sends), 0);
}

T_SITE(test_a_transport_that_takes_no_files, routes)

/* No byte is sent by the worker that a thread has not read before. */
static void cold_body(gee_ctx *ctx, t_conn *none, int port) {
    (void)none;
    kernel_is(EAGAIN, 0, 0, 0);
    for (int i = 0; i < 3; i++) {
        atomic_store(&brought, 0);
        ask_for(ctx, port, "from a disk", SIZE);
    }
    T_EQ(atomic_load(&too_early), 0);
    T_CHECK(atomic_load(&sends) > 0);
    kernel_is(0, 0, 0, 0);
}

static void test_a_thread_waits_for_the_disk(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, cold_body, NULL, 0});
}

/* A file's head is sent behind whatever has gathered in front of it, and nothing behind a HEAD. */
static void pipelined_body(gee_ctx *ctx, t_conn *none, int port) {
    struct visit v = {.port = port,
                      .request = "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
                                 "GET /f/large HTTP/1.1\r\nHost: t\r\n\r\n"
                                 "HEAD /f/large HTTP/1.1\r\nHost: t\r\n\r\n"
                                 "GET /f/small HTTP/1.1\r\nHost: t\r\n\r\n"
                                 "GET /f/large HTTP/1.1\r\nHost: t\r\n"
                                 "Connection: close\r\n\r\n"};
    (void)none;
    kernel_is(0, 0, 0, 0);
    gee_blocking(ctx, dial_and_take_all, &v);
    const char *at = v.got, *end = v.got + v.n;
    bool right = is_next(&at, end, "HTTP/1.1 200", "hello\n", 6) &&
                 is_next(&at, end, "HTTP/1.1 200", text, SIZE) &&
                 is_next(&at, end, "HTTP/1.1 200", NULL, SIZE) &&
                 is_next(&at, end, "HTTP/1.1 200", "small\n", 6) &&
                 is_next(&at, end, "HTTP/1.1 200", text, SIZE) && at == end;
    free(v.got);
    T_CHECK(right);
}

static void test_pipelined(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, pipelined_body, NULL, 0});
}

/* --- clients that do not take it --- */

#define GET(target) "GET " target " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

/* Until nothing is sent any more: the socket is full, and the task is parked. */
static void wait_until_stuck(gee_ctx *ctx) {
    for (long had = -1, now = 0; had != now || now == 0; now = atomic_load(&sends)) {
        had = now;
        gee_sleep(ctx, 100);
    }
}

static uint64_t ms_until_no_request(gee_ctx *ctx) {
    gee_census now;
    uint64_t start = gee_now_ms();
    do {
        gee_sleep(ctx, 5);
        gee_census_take(&now);
    } while (now.reqs > 0 && gee_now_ms() - start < 5000);
    return gee_now_ms() - start;
}

static void deaf_body(gee_ctx *ctx, t_conn *none, int port) {
    struct visit deaf = {.port = port, .request = GET("/f/huge"), .rcvbuf = 4096};
    gee_census before, now;
    (void)none;
    kernel_is(0, 0, 0, 0);
    gee_census_take(&before);
    gee_blocking(ctx, dial, &deaf);
    wait_until_stuck(ctx);
    gee_census_take(&now);
    uint64_t ms = ms_until_no_request(ctx);
    close(deaf.fd);
    T_EQ(now.reqs - before.reqs, 1);
    T_CHECK(now.bytes - before.bytes < 100 * 1024);
    T_CHECK(ms < 3000);
}

static void test_who_takes_nothing_is_closed(void **state) {
    static const gee_limits limits = {.write_ms = 1000};
    (void)state;
    t_site_real(1, &(t_site){routes, deaf_body, &limits, 0});
}

static void leaves_body(gee_ctx *ctx, t_conn *none, int port) {
    static const struct linger now = {.l_onoff = 1};
    (void)none;
    for (int reset = 0; reset < 2; reset++) {
        struct visit v = {.port = port, .request = GET("/f/huge"), .rcvbuf = 4096};
        kernel_is(0, 0, 0, 0);
        gee_blocking(ctx, dial, &v);
        wait_until_stuck(ctx);
        if (reset)
            setsockopt(v.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        else
            shutdown(v.fd, SHUT_WR);
        if (reset)
            close(v.fd);
        uint64_t ms = ms_until_no_request(ctx);
        if (!reset)
            close(v.fd);
        T_CHECK(ms < 2000);
    }
}

static void test_who_leaves_ends_it(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, leaves_body, NULL, 0});
}

static void deadline_body(gee_ctx *ctx, t_conn *none, int port) {
    struct visit v = {.port = port, .request = GET("/limited/huge"), .rcvbuf = 4096};
    (void)none;
    kernel_is(0, 0, 0, 0);
    gee_blocking(ctx, dial, &v);
    uint64_t ms = ms_until_no_request(ctx);
    close(v.fd);
    T_CHECK(ms < 3000);
}

static void test_a_deadline_ends_it(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, deadline_body, NULL, 0});
}

/* The client gets less than was announced, and the end. */
static void shrinks_body(gee_ctx *ctx, t_conn *none, int port) {
    struct visit v = {.port = port, .request = GET("/f/shrinks"), .rcvbuf = 4096};
    char path[128];
    (void)none;
    kernel_is(0, 0, 0, 0);
    snprintf(path, sizeof(path), "%s/shrinks", dir);
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    int bad = ftruncate(fd, 64 << 20);
    gee_blocking(ctx, dial, &v);
    wait_until_stuck(ctx);
    bad |= ftruncate(fd, 1000);
    close(fd);
    gee_blocking(ctx, take_all, &v);
    size_t n = v.n;
    free(v.got);
    T_EQ(bad, 0);
    T_CHECK(n > 1000 && n < (32 << 20)); /* what fits into sockets is up to the system */
}

static void test_a_file_that_becomes_shorter(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, shrinks_body, NULL, 0});
}

/* --- a client that takes everything at once --- */

/* As long as that goes on, and it would for minutes, others are served. */
static void turn_body(gee_ctx *ctx, t_conn *none, int port) {
    struct visit big = {.port = port, .request = GET("/f/endless")}, other = {.port = port};
    (void)none;
    kernel_is(0, 0, 0, 0);
    atomic_store(&kernel.swallows, true);
    gee_blocking(ctx, dial, &big);
    while (atomic_load(&sends) < 1000)
        gee_sleep(ctx, 1);
    other.request = GET("/hello");
    gee_blocking(ctx, dial_and_take_all, &other);
    long before = atomic_load(&sends);
    gee_sleep(ctx, 50);
    long since = atomic_load(&sends) - before;
    atomic_store(&kernel.send_err, EPIPE);
    atomic_store(&kernel.send_each, 1);
    atomic_store(&kernel.swallows, false);
    close(big.fd);
    uint64_t ms = ms_until_no_request(ctx);
    const char *at = other.got;
    bool served = is_next(&at, at + other.n, "HTTP/1.1 200", "hello\n", 6);
    free(other.got);
    T_CHECK(served && since > 0 && ms < 5000);
}

static void test_others_have_their_turn(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, turn_body, NULL, 0});
}

/* --- the files --- */

static int make(const char *name, const char *data, size_t n, off_t size) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    int bad = fd < 0 || write(fd, data, n) != (ssize_t)n || (size && ftruncate(fd, size) != 0);
    close(fd);
    return bad;
}

static int make_dir(void **state) {
    (void)state;
    for (int i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i % 25 + (i / 4096) % 2);
    strcpy(dir, "/tmp/gee-send-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    return make("large", text, SIZE, 0) | make("small", "small\n", 6, 0) |
           make("huge", "", 0, 64 << 20) | make("endless", "", 0, (off_t)4 << 40);
}

static int remove_dir(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_kernel_sends_the_same),
    cmocka_unit_test(test_a_transport_that_takes_no_files),
    cmocka_unit_test(test_a_thread_waits_for_the_disk),
    cmocka_unit_test(test_pipelined),
    cmocka_unit_test(test_who_takes_nothing_is_closed),
    cmocka_unit_test(test_who_leaves_ends_it),
    cmocka_unit_test(test_a_deadline_ends_it),
    cmocka_unit_test(test_a_file_that_becomes_shorter),
    cmocka_unit_test(test_others_have_their_turn),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
