/* Slow clients and such as leave, on real sockets; in simulation: test_slow_client.c. */
#include "t_client.h"
#include "t_site.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

static _Atomic int blocks; /* that flood has written */

/* Until its client takes no more. */
static void flood(gee_req *req) {
    static const char block[100000];
    for (blocks = 0; gee_write(req, block, sizeof(block)) == 0;)
        blocks++;
}

static void echo(gee_req *req) {
    const char *body;
    size_t n;
    int rc = gee_body(req, &body, &n);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_data(req, 200, "text/plain", body, n);
}

static void routes(gee_group *r) {
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/flood", flood);
    gee_POST(r, "/echo", echo);
}

#define HELLO "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
#define FLOOD "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n"

/* What a client sends, and all that it reads then. */
struct client {
    int port, fd;
    const char *text;
    bool half_close;
    char got[4096];
    int err; /* errno of what ended the reading; 0: the end of the connection */
};

static void dial(void *arg) {
    struct client *c = arg;
    c->fd = t_sock_dial(c->port, 4096);
    t_sock_puts(c->fd, c->text);
}

static void dial_and_read(void *arg) {
    struct client *c = arg;
    dial(c);
    if (c->half_close)
        shutdown(c->fd, SHUT_WR);
    errno = 0;
    t_sock_until(c->fd, c->got, sizeof(c->got), "\x01"); /* which never comes */
    c->err = errno;
    close(c->fd);
}

/* Until no block has been taken for a while: its writer is parked. */
static void wait_until_stuck(gee_ctx *ctx) {
    for (int had = -1; had != blocks || had == 0;) {
        had = blocks;
        gee_sleep(ctx, 50);
    }
}

/* How many ms it is until no request is left; at most 5000. */
static uint64_t ms_until_no_request(gee_ctx *ctx) {
    gee_census now;
    uint64_t start = gee_now_ms();
    do {
        gee_sleep(ctx, 5);
        gee_census_take(&now);
    } while (now.reqs > 0 && gee_now_ms() - start < 5000);
    return gee_now_ms() - start;
}

static void never_reads_body(gee_ctx *ctx, t_conn *none, int port) {
    struct client deaf = {.port = port, .text = FLOOD};
    gee_census now;
    (void)none;
    blocks = 0;
    gee_blocking(ctx, dial, &deaf);
    wait_until_stuck(ctx);
    for (int i = 0; i < 5; i++) { /* the others do not notice */
        struct client c = {.port = port, .text = HELLO, .half_close = true};
        uint64_t start = gee_now_ms();
        gee_blocking(ctx, dial_and_read, &c);
        T_CHECK(strstr(c.got, "\r\n\r\nhello\n") != NULL);
        T_CHECK(gee_now_ms() - start < 1000);
    }
    gee_census_take(&now);
    T_CHECK(now.bytes < 200 * 1024);
    uint64_t ms = ms_until_no_request(ctx);
    close(deaf.fd);
    T_CHECK(ms < 3000);
}

static void test_who_never_reads_is_closed(void **state) {
    static const gee_limits limits = {.write_ms = 1000};
    (void)state;
    t_site_real(1, &(t_site){routes, never_reads_body, &limits, 0});
}

static void reset_body(gee_ctx *ctx, t_conn *none, int port) {
    static const struct linger now = {.l_onoff = 1};
    struct client c = {.port = port, .text = FLOOD};
    (void)none;
    blocks = 0;
    gee_blocking(ctx, dial, &c);
    wait_until_stuck(ctx);
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(c.fd);
    T_CHECK(ms_until_no_request(ctx) < 2000);
}

/* No SIGPIPE ends the server. */
static void test_who_leaves_in_a_write_is_an_error_code(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, reset_body, NULL, 0});
}

#define READS(name, lim, sent, half, expected)                                  \
    static void name##_body(gee_ctx *ctx, t_conn *none, int port) {             \
        struct client c = {.port = port, .text = (sent), .half_close = (half)}; \
        (void)none;                                                             \
        gee_blocking(ctx, dial_and_read, &c);                                   \
        T_EQ(c.err, 0);                                                         \
        if (strstr(c.got, expected) == NULL)                                    \
            T_FAIL("\"%s\"", c.got);                                            \
    }                                                                           \
    static void name(void **state) {                                            \
        (void)state;                                                            \
        t_site_real(1, &(t_site){routes, name##_body, lim, 0});                 \
    }

static const gee_limits quick = {.head_ms = 200, .body_ms = 200};

READS(test_a_slow_head_is_408, &quick, "GET /hello HT", false, "HTTP/1.1 408 ")
READS(test_a_slow_body_is_408, &quick,
      "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na", false, "HTTP/1.1 408 ")
READS(test_half_a_head_is_400, NULL, "GET /hello HT", true, "HTTP/1.1 400 ")
READS(test_half_a_body_is_400, NULL, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na",
      true, "HTTP/1.1 400 ")
READS(test_who_is_half_closed_is_answered, NULL, HELLO HELLO HELLO, true,
      "hello\nHTTP/1.1 200 OK\r\n")

static void dial_after_silence(void *arg) {
    struct client *c = arg;
    usleep(600 * 1000);
    c->fd = t_sock_dial(c->port, 0);
    usleep(50 * 1000);
    t_sock_puts(c->fd, c->text);
    t_sock_until(c->fd, c->got, sizeof(c->got), "hello\n");
    close(c->fd);
}

/* While nothing happens nobody asks for the time: that of the next client begins when it comes. */
static void silence_body(gee_ctx *ctx, t_conn *none, int port) {
    struct client c = {.port = port, .text = HELLO};
    (void)none;
    gee_blocking(ctx, dial_after_silence, &c);
    T_CHECK(strncmp(c.got, "HTTP/1.1 200 ", 13) == 0);
}

static void test_who_comes_after_a_silence_has_its_time(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, silence_body, &quick, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_who_never_reads_is_closed),
    cmocka_unit_test(test_who_leaves_in_a_write_is_an_error_code),
    cmocka_unit_test(test_a_slow_head_is_408),
    cmocka_unit_test(test_a_slow_body_is_408),
    cmocka_unit_test(test_half_a_head_is_400),
    cmocka_unit_test(test_half_a_body_is_400),
    cmocka_unit_test(test_who_is_half_closed_is_answered),
    cmocka_unit_test(test_who_comes_after_a_silence_has_its_time),
};

T_MAIN(tests)
