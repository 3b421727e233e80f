/*
 * Clients that leave, many at once: their tasks end first and their sockets are closed behind, a
 * few in a turn of the loop. Until then the census counts them; they are closed at once when
 * there are few, or when an accept needs their descriptors; and a shutdown waits for them.
 *
 * Clients are sockets of this process, moved to high numbers: so what the server opens has the
 * low ones, and a limit can be set between. All is done on the worker's thread, which hears of
 * nothing meanwhile; that the kernel has brought it to the sockets is looked up there.
 */
#include "base/count.h"
#include "runtime/worker.h"
#include "t_client.h"
#include "t_site.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_A_TURN = 4 + 8 + 200 / 64 }; /* at once, and behind: real.c */
enum { CROWD = 200, FEW = 4, LATE = 32, HIGH = 500, MOST = HIGH + 2 * CROWD };

static atomic_int parked, ended;
static _Atomic int64_t conns_seen, dead_seen;

static void parks(gee_req *req) {
    parked++;
    gee_sleep(gee_req_ctx(req), 3600 * 1000);
    ended++;
}

/* The first of them notes what there is. */
static void latecomer(gee_req *req) {
    if (conns_seen < 0) {
        conns_seen = gee_count_sum(GEE_COUNT_CONNS);
        dead_seen = (int64_t)gee_worker_self()->ndead;
    }
    gee_string(req, 200, "hello\n");
}

static void routes(gee_group *root) {
    gee_GET(root, "/parks", parks);
    gee_GET(root, "/", latecomer);
    parked = ended = 0;
    conns_seen = dead_seen = -1;
}

static int high_socket(void) {
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
    close(fd);
    setsockopt(high, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return high;
}

static void open_all(int *fds, int n) {
    for (int i = 0; i < n; i++)
        fds[i] = high_socket();
}

/* They wait in the backlog. */
static bool dial_all(const int *fds, int n, int port, const char *text) {
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool all = true;
    for (int i = 0; i < n; i++)
        all = all && connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
              t_sock_puts(fds[i], text) == 0;
    return all;
}

static void close_all(const int *fds, int n) {
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

/* Of this process' low descriptors, how many have an end to be read. */
static int ends(void) {
    char byte;
    int n = 0;
    for (int fd = 3; fd < HIGH; fd++)
        n += recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    return n;
}

/* The worker has not heard of it when this returns. False: the kernel does not bring it. */
static bool leave(const int *fds, int n) {
    int all = ends() + n;
    close_all(fds, n);
    for (int i = 0; i < 10000 && ends() < all; i++)
        usleep(1000);
    return ends() == all;
}

static struct rlimit limit_to(rlim_t n) {
    struct rlimit before, now;
    getrlimit(RLIMIT_NOFILE, &before);
    now = before;
    now.rlim_cur = n < now.rlim_max ? n : now.rlim_max;
    setrlimit(RLIMIT_NOFILE, &now);
    return before;
}

static bool park_all(gee_ctx *ctx, int *fds, int n, int port) {
    open_all(fds, n);
    bool all = dial_all(fds, n, port, "GET /parks HTTP/1.1\r\nHost: t\r\n\r\n");
    for (int ms = 0; ms < 20000 && parked < n; ms++)
        gee_sleep(ctx, 1);
    return all && parked == n;
}

/* --- many, and few --- */

static void crowd_body(gee_ctx *ctx, t_conn *none, int port) {
    int fds[CROWD];
    gee_census base, now;
    char diff[128];
    gee_worker *w = gee_worker_self();
    int64_t left_by_tasks = -1, before = CROWD;
    (void)none;
    t_census_rest(ctx, &base);
    T_CHECK(park_all(ctx, fds, CROWD, port));
    T_CHECK(leave(fds, CROWD));
    do {
        gee_yield();
        gee_census_take(&now);
        int64_t left = now.fds - base.fds;
        T_CHECK(now.conns - base.conns >= left && left >= (int64_t)w->ndead && left <= before);
        T_CHECK(before - left <= IN_A_TURN);
        before = left;
        if (ended < CROWD)
            continue; /* a connection is there until its task has ended, too */
        if (left_by_tasks < 0)
            left_by_tasks = left;
        T_EQ(w->ndead, left);
        T_CHECK(now.conns - base.conns - left <= IN_A_TURN); /* on_close comes a turn later */
    } while (now.conns > base.conns);
    T_CHECK(left_by_tasks > CROWD / 2); /* the tasks did not wait for the sockets */
    T_EQ(w->ndead, 0);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void few_body(gee_ctx *ctx, t_conn *none, int port) {
    int fds[FEW];
    gee_census base, now;
    char diff[128];
    (void)none;
    t_census_rest(ctx, &base);
    T_CHECK(park_all(ctx, fds, FEW, port));
    T_CHECK(leave(fds, FEW));
    while (ended < FEW)
        gee_yield();
    gee_census_take(&now);
    T_EQ(now.fds, base.fds); /* though on_close comes a turn later */
    T_EQ(gee_worker_self()->ndead, 0);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

/* Half of a crowd leaves in one turn, half in the next, behind which so many are not closed. */
static void leave_in_two_turns(gee_ctx *ctx, int port, bool long_dead, size_t *left) {
    int fds[CROWD];
    gee_census base;
    char diff[128];
    gee_worker *w = gee_worker_self();
    parked = ended = 0;
    t_census_rest(ctx, &base);
    T_CHECK(park_all(ctx, fds, CROWD, port));
    T_CHECK(leave(fds, CROWD / 2));
    while (ended < CROWD / 2)
        gee_yield();
    T_CHECK(leave(fds + CROWD / 2, CROWD / 2));
    w->dead_since_ns = long_dead ? 0 : gee_now_ns(); /* however long all this has taken */
    while (ended < CROWD)
        gee_yield();
    *left = w->ndead;
    w->dead_since_ns = 0;
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void more_body(gee_ctx *ctx, t_conn *none, int port) {
    (void)none;
    size_t put_off = 0, too_long = 0;
    leave_in_two_turns(ctx, port, false, &put_off);
    leave_in_two_turns(ctx, port, true, &too_long);
    T_EQ(put_off, CROWD - 4); /* but for those that died first */
    T_EQ(too_long, put_off - 8 - (CROWD / 2) / 64);
}

/* --- when there is no descriptor --- */

static int lowest_free(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

struct answers {
    const int *fds;
    int right;
};

static void read_answers(void *arg) {
    struct answers *a = arg;
    char text[512];
    for (int i = 0; i < LATE; i++) {
        t_sock_until(a->fds[i], text, sizeof(text), "hello\n");
        a->right += strstr(text, "hello\n") != NULL;
    }
}

/* They are accepted, and ask for nothing: their ends are the loop's business alone. */
static bool idle_all(gee_ctx *ctx, int *fds, int n, int port) {
    int64_t before = gee_count_sum(GEE_COUNT_CONNS);
    open_all(fds, n);
    bool all = dial_all(fds, n, port, "");
    for (int ms = 0; ms < 20000 && gee_count_sum(GEE_COUNT_CONNS) < before + n; ms++)
        gee_sleep(ctx, 1);
    return all && gee_count_sum(GEE_COUNT_CONNS) == before + n;
}

/* Those who come are all accepted in one turn: for that those that have gone make room. */
static void limit(gee_ctx *ctx, int port, bool idle) {
    int fds[CROWD], late[LATE];
    struct answers answers = {late, 0};
    gee_census base;
    char diff[128];
    t_census_rest(ctx, &base);
    open_all(late, LATE);
    T_CHECK((idle ? idle_all : park_all)(ctx, fds, CROWD, port));
    T_CHECK(leave(fds, CROWD));
    struct rlimit before = limit_to((rlim_t)lowest_free());
    bool dialed = dial_all(late, LATE, port, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    while (dialed && conns_seen < 0)
        gee_yield();
    setrlimit(RLIMIT_NOFILE, &before);
    gee_blocking(ctx, read_answers, &answers);
    close_all(late, LATE);
    T_CHECK(dialed);
    T_EQ(answers.right, LATE);
    T_EQ(conns_seen - dead_seen - base.conns, LATE);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void limit_body(gee_ctx *ctx, t_conn *none, int port) {
    (void)none;
    limit(ctx, port, false);
    conns_seen = -1;
    limit(ctx, port, true);
}

/* --- at the end --- */

static void shutdown_body(gee_ctx *ctx, t_conn *none, int port) {
    int fds[CROWD];
    (void)none;
    T_CHECK(park_all(ctx, fds, CROWD, port));
    T_CHECK(leave(fds, CROWD));
    while (gee_worker_self()->ndead == 0)
        gee_yield();
    T_CHECK(gee_worker_self()->ndead > CROWD / 2); /* what follows finds them like that */
}

static void with_room(void (*body)(gee_ctx *ctx, t_conn *none, int port)) {
    struct rlimit before = limit_to(MOST);
    if (before.rlim_max < MOST)
        skip();
    t_site_real(1, &(t_site){routes, body, NULL, 0});
    setrlimit(RLIMIT_NOFILE, &before);
}

static void test_a_crowd_is_closed_behind_its_tasks(void **state) {
    (void)state;
    with_room(crowd_body);
}

static void test_while_more_leave_none_is_closed_for_a_while(void **state) {
    (void)state;
    with_room(more_body);
}

static void test_a_few_are_closed_at_once(void **state) {
    (void)state;
    with_room(few_body);
}

static void test_an_accept_has_their_descriptors(void **state) {
    (void)state;
#ifdef GEE_VALGRIND
    skip(); /* it keeps the limit itself, and lets the kernel accept: test_emfile.c */
#endif
    with_room(limit_body);
}

static void test_a_shutdown_waits_for_them(void **state) {
    (void)state;
    with_room(shutdown_body);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_crowd_is_closed_behind_its_tasks),
    cmocka_unit_test(test_while_more_leave_none_is_closed_for_a_while),
    cmocka_unit_test(test_a_few_are_closed_at_once),
    cmocka_unit_test(test_an_accept_has_their_descriptors),
    cmocka_unit_test(test_a_shutdown_waits_for_them),
};

T_MAIN(tests)
