/*
 * The process runs out of descriptors: clients wait in the backlog, the loop does not
 * spin, and all of them are served when there are descriptors again.
 *
 * The test lowers RLIMIT_NOFILE below what is open. The clients' sockets are made before.
 */
#include "runtime/transport.h"
#include "t_client.h"
#include "t_site.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 8 };

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

static void routes(gee_group *root) {
    gee_GET(root, "/", hello);
}

static int lowest_free(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

/* Leaves so many descriptors: a new one has the lowest free number. */
static struct rlimit squeeze(int free_ones) {
    struct rlimit before, now;
    getrlimit(RLIMIT_NOFILE, &before);
    now = before;
    now.rlim_cur = (rlim_t)(lowest_free() + free_ones);
    setrlimit(RLIMIT_NOFILE, &now);
    return before;
}

static double cpu_seconds(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int ask(int fd, const char *connection) {
    char text[128];
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: t\r\nConnection: %s\r\n\r\n", connection);
    return t_sock_puts(fd, text);
}

struct crowd {
    int fds[CLIENTS];
    int answered, closed;
};

/* Blocking: reads every answer to its end, and says that it has no more to ask. */
static void read_answers(void *arg) {
    struct crowd *c = arg;
    char text[512];
    for (int i = 0; i < CLIENTS; i++) {
        t_sock_until(c->fds[i], text, sizeof(text), "hello\n");
        c->answered += strstr(text, "hello\n") != NULL;
        shutdown(c->fds[i], SHUT_WR);
    }
}

/* Answers that are there already. */
static int answers_now(struct crowd *c) {
    char byte;
    int n = 0;
    for (int i = 0; i < CLIENTS; i++)
        n += recv(c->fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    return n;
}

/* Over before the client was accepted: that would be what libuv's own accept does. */
static int hung_up(struct crowd *c) {
    char byte;
    int n = 0;
    for (int i = 0; i < CLIENTS; i++) {
        ssize_t got = recv(c->fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        n += got == 0 || (got < 0 && errno != EAGAIN);
    }
    return n;
}

/* The sockets are made before descriptors run out, and connected after. */
static void open_all(struct crowd *c) {
    struct timeval limit = {.tv_sec = 20};
    for (int i = 0; i < CLIENTS; i++) {
        c->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(c->fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    }
}

static void dial_all(struct crowd *c, int port, const char *connection) {
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < CLIENTS; i++)
        if (connect(c->fds[i], (struct sockaddr *)&addr, sizeof(addr)) == 0)
            ask(c->fds[i], connection);
}

static void close_all(struct crowd *c) {
    for (int i = 0; i < CLIENTS; i++)
        close(c->fds[i]);
}

static void wait_body(gee_ctx *ctx, t_conn *none, int port) {
    struct crowd c = {.answered = 0};
    gee_census base;
    char diff[128];
    (void)none;
    t_census_rest(ctx, &base);
    open_all(&c);
    struct rlimit before = squeeze(0);
    dial_all(&c, port, "keep-alive");
    double cpu = cpu_seconds();
    gee_sleep(ctx, 600);
    cpu = cpu_seconds() - cpu;
    int early = answers_now(&c), lost = hung_up(&c);
    setrlimit(RLIMIT_NOFILE, &before);
    gee_blocking(ctx, read_answers, &c);
    close_all(&c);
    T_EQ(early, 0);
    T_EQ(lost, 0);
    if (cpu > 0.2)
        T_FAIL("%.3f s of CPU in 0.6 s of waiting", cpu);
    T_EQ(c.answered, CLIENTS);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

/*
 * Valgrind keeps the limit itself: it lets the kernel accept, then closes the client and
 * says EMFILE. Nobody can wait in a backlog there.
 */
static void needs_the_kernels_limit(void) {
#ifdef GEE_VALGRIND
    skip();
#endif
}

static void test_clients_wait_until_there_are_descriptors(void **state) {
    (void)state;
    needs_the_kernels_limit();
    for (int workers = 1; workers <= 2; workers++)
        t_site_real(workers, &(t_site){routes, wait_body, NULL, 0});
}

/* One descriptor for eight clients: each closing connection lets the next one in, at once. */
static void relay_body(gee_ctx *ctx, t_conn *none, int port) {
    struct crowd c = {.answered = 0};
    gee_census base;
    char diff[128];
    (void)none;
    t_census_rest(ctx, &base);
    open_all(&c);
    uint64_t start = gee_now_ms();
    struct rlimit before = squeeze(1);
    dial_all(&c, port, "close");
    gee_blocking(ctx, read_answers, &c);
    setrlimit(RLIMIT_NOFILE, &before);
    uint64_t took = gee_now_ms() - start;
    close_all(&c);
    T_EQ(c.answered, CLIENTS);
    if (took >= (CLIENTS - 1) * 100)
        T_FAIL("%d ms: each waited for the timer", (int)took);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void test_a_connection_that_closes_lets_the_next_in(void **state) {
    (void)state;
    needs_the_kernels_limit();
    t_site_real(1, &(t_site){routes, relay_body, NULL, 0});
}

/* Shut down while accepting is paused: no timer and no handle stays. */
static void paused_end_body(gee_ctx *ctx, t_conn *none, int port) {
    struct crowd c = {.answered = 0};
    (void)none;
    open_all(&c);
    struct rlimit before = squeeze(0);
    dial_all(&c, port, "close");
    gee_sleep(ctx, 30);
    gee_census now;
    gee_census_take(&now);
    setrlimit(RLIMIT_NOFILE, &before);
    close_all(&c);
    T_EQ(now.conns, 0);
    T_EQ(now.timers, 1);
}

static void test_a_shutdown_while_accepting_is_paused(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, paused_end_body, NULL, 0});
}

/* --- a descriptor of another worker's --- */

struct other {
    gee_listener listener;
    gee_io *held, *got; /* of worker 1; of worker 0, which waits */
    int ends[2];
    _Atomic bool opened, closed, gone;
};

static void on_accept(gee_listener *l, gee_io *io) {
    ((struct other *)l->data)->got = io;
}

static void on_listener_closed(gee_listener *l) {
    ((struct other *)l->data)->gone = true;
}

static void on_io_closed(gee_io *io) {
    *(_Atomic bool *)io->data = true;
}

static void close_io(gee_io *io, _Atomic bool *closed) {
    static const gee_io_handler handler = {.on_close = on_io_closed};
    io->handler = &handler;
    io->data = closed;
    io->ops->close(io);
}

static void open_there(gee_ctx *ctx, void *arg) {
    struct other *o = arg;
    (void)ctx;
    o->held = gee_io_open(o->ends[0], AF_UNIX);
    o->opened = true;
}

static void close_there(gee_ctx *ctx, void *arg) {
    struct other *o = arg;
    (void)ctx;
    close_io(o->held, &o->closed);
}

static bool comes(gee_ctx *ctx, const _Atomic bool *flag) {
    for (int i = 0; i < 5000 && !*flag; i++)
        gee_sleep(ctx, 1);
    return *flag;
}

/* The timer, which is for descriptors that others hold, is taken away: only the message is left. */
static bool pauses_without_timer(gee_ctx *ctx, gee_listener *l) {
    for (int i = 0; i < 5000 && gee_list_empty(&l->paused); i++)
        gee_sleep(ctx, 1);
    return gee_timer_stop(&l->retry);
}

static void other_body(gee_ctx *ctx, void *arg) {
    struct other *o = arg;
    struct crowd c = {.answered = 0};
    o->listener.on_accept = on_accept;
    o->listener.on_close = on_listener_closed;
    o->listener.data = o;
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, o->ends);
    if (rc == 0)
        rc = gee_listen_tcp(&o->listener, "127.0.0.1", 0, GEE_ALONE);
    T_RC(rc, 0);
    open_all(&c);
    T_RC(gee_go_on(1, ctx, open_there, o), 0);
    T_CHECK(comes(ctx, &o->opened));
    struct rlimit before = squeeze(0);
    dial_all(&c, o->listener.port, "close");
    bool paused = pauses_without_timer(ctx, &o->listener);
    rc = gee_go_on(1, ctx, close_there, o);
    for (int i = 0; i < 5000 && o->got == NULL; i++)
        gee_sleep(ctx, 1);
    setrlimit(RLIMIT_NOFILE, &before);
    gee_listener_close(&o->listener);
    bool closed = comes(ctx, &o->closed) && comes(ctx, &o->gone), accepted = o->got != NULL;
    if (accepted) {
        o->closed = false;
        close_io(o->got, &o->closed);
        closed = comes(ctx, &o->closed) && closed;
    }
    close(o->ends[1]);
    close_all(&c);
    T_RC(rc, 0);
    T_CHECK(closed);
    T_CHECK(paused);
    T_CHECK(accepted);
}

static void test_a_socket_that_another_worker_closes_lets_the_next_in(void **state) {
    static struct other o;
    (void)state;
    needs_the_kernels_limit();
    t_real(2, other_body, &o);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_clients_wait_until_there_are_descriptors),
    cmocka_unit_test(test_a_connection_that_closes_lets_the_next_in),
    cmocka_unit_test(test_a_socket_that_another_worker_closes_lets_the_next_in),
    cmocka_unit_test(test_a_shutdown_while_accepting_is_paused),
};

T_MAIN(tests)
