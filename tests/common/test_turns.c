/*
 * Whose turn it is. What a read has made runnable runs right behind that read; and still nobody
 * keeps the others waiting: not a task that is runnable again and again, not a crowd of requests,
 * and not one connection that sends thousands of them in a row.
 *
 * What is to happen in one poll is in the kernel's buffers before the worker looks there: the
 * clients are sockets of this process, used by the main task without leaving the worker's thread.
 */
#include "http/http.h"
#include "runtime/worker.h"
#include "t_client.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Between two looks at timers, and behind one read: worker.c. */
enum { SLICES = 256, AT_ONCE = 16 };
enum { CROWD = 300, FLOOD = 2000, MOST = 1000 };

static atomic_int served, served_by_timer, spins, served_by_other;
static atomic_bool told;

static void counts(gee_req *req) {
    served++;
    gee_string(req, 200, "x");
}

/* Runnable until another request is served. */
static void spinner(gee_req *req) {
    while (!told) {
        spins++;
        gee_yield();
    }
    gee_string(req, 200, "x");
}

static void other(gee_req *req) {
    told = true;
    atomic_store(&served_by_other, atomic_load(&served));
    gee_string(req, 200, "other");
}

static void routes(gee_group *root) {
    gee_GET(root, "/counts", counts);
    gee_GET(root, "/spins", spinner);
    gee_GET(root, "/other", other);
    served = spins = 0;
    served_by_timer = served_by_other = -1;
    told = false;
}

#define COUNTS "GET /counts HTTP/1.1\r\nHost:t\r\n\r\n"
#define SPINS  "GET /spins HTTP/1.1\r\nHost: t\r\n\r\n"
#define OTHER  "GET /other HTTP/1.1\r\nHost: t\r\n\r\n"

static const char *flood(void) {
    static char text[FLOOD * (sizeof(COUNTS) - 1) + 1];
    for (int i = 0; i < FLOOD; i++)
        memcpy(text + (size_t)i * (sizeof(COUNTS) - 1), COUNTS, sizeof(COUNTS));
    return text;
}

/* --- on sockets --- */

/* Bytes that the sockets of this process have and nobody has read. */
static size_t unread(void) {
    size_t sum = 0;
    for (int fd = 3; fd < MOST; fd++) {
        int n = 0, type;
        socklen_t len = sizeof(type);
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && ioctl(fd, FIONREAD, &n) == 0)
            sum += (size_t)n;
    }
    return sum;
}

static bool arrived(size_t n) {
    for (int i = 0; i < 10000 && unread() < n; i++)
        usleep(1000);
    return unread() >= n;
}

/* Accepted: the server polls them. */
static bool open_all(gee_ctx *ctx, int *fds, int n, int port) {
    gee_census base, now;
    gee_census_take(&base);
    for (int i = 0; i < n; i++)
        fds[i] = t_sock_dial(port, 0);
    for (int ms = 0; ms < 20000; ms++) {
        gee_sleep(ctx, 1);
        gee_census_take(&now);
        if (now.conns == base.conns + n)
            return true;
    }
    return false;
}

static void close_all(const int *fds, int n) {
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

static void note_served(gee_timer *t) {
    (void)t;
    atomic_store(&served_by_timer, atomic_load(&served));
}

/* Of a crowd's requests, all there at once, as many are served in front of the timers as of others.
 */
static void timers_body(gee_ctx *ctx, t_conn *none, int port) {
    int fds[CROWD];
    gee_timer due = {.slot = 0};
    gee_census base;
    char diff[128];
    bool sent = true;
    (void)none;
    t_census_rest(ctx, &base);
    T_CHECK(open_all(ctx, fds, CROWD, port));
    for (int i = 0; i < CROWD; i++)
        sent = sent && t_sock_puts(fds[i], COUNTS) == 0;
    T_CHECK(sent && arrived(CROWD * (sizeof(COUNTS) - 1)));
    T_RC(gee_timer_start(&due, gee_clock_ns(), note_served), 0);
    while (served < CROWD)
        gee_sleep(ctx, 1);
    close_all(fds, CROWD);
    T_CHECK(served_by_timer > 0); /* behind their reads, and not behind the whole poll */
    T_CHECK(served_by_timer <= SLICES);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

/* One that is always runnable, right behind the read that started it, and the read of another. */
static void spinner_body(gee_ctx *ctx, t_conn *none, int port) {
    int fds[2];
    gee_census base;
    char diff[128];
    (void)none;
    t_census_rest(ctx, &base);
    T_CHECK(open_all(ctx, fds, 2, port));
    t_sock_puts(fds[0], SPINS);
    t_sock_puts(fds[1], OTHER);
    T_CHECK(arrived(sizeof(SPINS) + sizeof(OTHER) - 2));
    while (!told)
        gee_sleep(ctx, 1);
    close_all(fds, 2);
    T_CHECK(spins > 0 && spins <= AT_ONCE + 1);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

struct reader {
    int fd;
    size_t answers;
};

static void read_all(void *arg) {
    struct reader *r = arg;
    char byte;
    for (int dashes = 0; r->answers < FLOOD && recv(r->fd, &byte, 1, 0) == 1;) {
        /* An answer ends with an empty line and an x. */
        dashes = byte == '\n' || byte == '\r' ? dashes + 1 : dashes >= 4 && byte == 'x' ? -1 : 0;
        r->answers += dashes == -1;
        dashes = dashes < 0 ? 0 : dashes;
    }
}

static void flood_body(gee_ctx *ctx, t_conn *none, int port) {
    int fds[2];
    gee_census base;
    char diff[128];
    (void)none;
    t_census_rest(ctx, &base);
    T_CHECK(open_all(ctx, fds, 2, port));
    const char *text = flood();
    T_RC(t_sock_puts(fds[0], text), 0);
    T_RC(t_sock_puts(fds[1], OTHER), 0);
    T_CHECK(arrived(strlen(text) + sizeof(OTHER) - 1));
    struct reader r = {fds[0], 0};
    while (!told)
        gee_sleep(ctx, 1);
    gee_blocking(ctx, read_all, &r);
    close_all(fds, 2);
    T_CHECK(served_by_other > 0);
    T_CHECK(served_by_other <= (AT_ONCE + 1) * GEE_IN_A_ROW);
    T_EQ(r.answers, FLOOD);
    T_EQ(served, FLOOD);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void real(void (*body)(gee_ctx *ctx, t_conn *none, int port)) {
    t_site_real(1, &(t_site){routes, body, NULL, 0});
}

static void test_timers_come_between_the_requests_of_a_crowd(void **state) {
    (void)state;
    real(timers_body);
}

static void test_a_task_that_is_always_runnable_keeps_no_read_waiting(void **state) {
    (void)state;
    real(spinner_body);
}

static void test_a_flood_of_one_connection_keeps_no_other_waiting(void **state) {
    (void)state;
    real(flood_body);
}

/* --- the same flood in simulation, to the request --- */

struct asker {
    t_conn *conn;
    gee_waitgroup done;
};

static void asks_other(gee_ctx *ctx, void *arg) {
    struct asker *a = arg;
    t_get(ctx, a->conn, "/other");
    gee_waitgroup_done(&a->done);
}

static void test_a_flood_in_any_order_body(gee_ctx *ctx, t_conn *c, int port) {
    struct asker asker = {.conn = t_dial(port, 0)};
    size_t answers = 0;
    T_RC(t_puts(ctx, c, flood()), 0);
    gee_waitgroup_add(&asker.done, 1);
    gee_go(ctx, asks_other, &asker);
    while (answers < FLOOD && t_response(ctx, c) == 200)
        answers++;
    gee_waitgroup_wait(NULL, &asker.done);
    t_close(ctx, asker.conn);
    T_EQ(answers, FLOOD);
    T_CHECK(served_by_other >= 0);
    T_CHECK(served_by_other <= 20 * GEE_IN_A_ROW); /* whatever the seed's order is */
}

T_SITE(test_a_flood_in_any_order, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_timers_come_between_the_requests_of_a_crowd),
    cmocka_unit_test(test_a_task_that_is_always_runnable_keeps_no_read_waiting),
    cmocka_unit_test(test_a_flood_of_one_connection_keeps_no_other_waiting),
    cmocka_unit_test(test_a_flood_in_any_order),
};

T_MAIN(tests)
