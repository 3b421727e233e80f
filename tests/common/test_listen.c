/*
 * Sockets that somebody else has opened: a descriptor handed to gee_listen_fd, and
 * socket activation as systemd does it, played by this program with itself as the child.
 */
#include "gee/config.h"
#include "t_client.h"
#include "t_site.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello from worker %d\n", gee_worker_index());
}

static gee_engine *new_engine(void) {
    gee_engine *e = gee_engine_new();
    gee_GET(gee_root(e), "/", hello);
    return e;
}

static int open_tcp(int type, bool listens, int *port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&addr, len) < 0 || (listens && listen(fd, 128) < 0))
        perror("open_tcp");
    getsockname(fd, (struct sockaddr *)&addr, &len);
    *port = ntohs(addr.sin_port);
    return fd;
}

static int open_unix(const char *path) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    unlink(path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 128) < 0)
        perror("open_unix");
    return fd;
}

/* --- a descriptor --- */

static void passed_body(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    char out[256];
    int port;
    gee_engine *e = new_engine();
    (void)arg;
    int fd = open_tcp(SOCK_STREAM, true, &port);
    T_RC(gee_listen_fd(e, fd, NULL, &srv), 0);
    int closed = fcntl(fd, F_GETFD);
    int got = 0;
    for (int i = 0; i < 8; i++) {
        t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/", port);
        got += strncmp(out, "hello from worker ", 18) == 0;
    }
    int of_server = gee_server_port(srv);
    int rc = gee_server_shutdown(srv);
    int late = t_sock_dial(port, 0);
    gee_engine_free(e);
    T_RC(rc, 0);
    T_EQ(closed, -1);
    T_EQ(of_server, port);
    T_EQ(got, 8);
    T_EQ(late, -1); /* nobody has it open any more */
}

static void test_a_passed_socket_is_served_by_all_workers_and_closed_at_the_end(void **state) {
    (void)state;
    for (int workers = 1; workers <= 3; workers++)
        t_real(workers, passed_body, NULL);
}

static void unix_body(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    char path[64], out[4096];
    gee_engine *e = new_engine();
    (void)arg;
    snprintf(path, sizeof(path), "/tmp/gee-test-%d.sock", (int)getpid());
    T_RC(gee_listen_fd(e, open_unix(path), NULL, &srv), 0);
    int port = gee_server_port(srv);
    int code = t_shell(ctx, out, sizeof(out),
                       T_CURL "--unix-socket %s http://t/ http://t/ -w '%%{num_connects} '", path);
    int rc = gee_server_shutdown(srv);
    int there = access(path, F_OK);
    unlink(path);
    gee_engine_free(e);
    T_RC(rc, 0);
    T_EQ(code, 0);
    T_EQ(port, 0);
    T_EQ(there, 0); /* its name is whose it was */
    T_CHECK(strstr(out, "hello from worker 0\n1 hello from worker 0\n0 ") != NULL);
}

static void test_a_unix_socket_is_served(void **state) {
    (void)state;
    t_real(1, unix_body, NULL);
}

static void refused_body(gee_ctx *ctx, void *arg) {
    gee_server *srv = NULL;
    gee_census base;
    char diff[128];
    int port, ends[2];
    gee_engine *e = new_engine();
    (void)arg;
    int idle = open_tcp(SOCK_STREAM, false, &port), udp = open_tcp(SOCK_DGRAM, false, &port);
    if (pipe(ends) < 0)
        T_FAIL("no pipe");
    t_census_rest(ctx, &base);
    int rcs[] = {gee_listen_fd(e, idle, NULL, &srv), gee_listen_fd(e, udp, NULL, &srv),
                 gee_listen_fd(e, ends[0], NULL, &srv), gee_listen_fd(e, -1, NULL, &srv),
                 gee_listen_fd(e, 9999, NULL, &srv)};
    t_census_settles(ctx, &base, 5000, diff, sizeof(diff));
    close(idle); /* on an error they are the caller's */
    close(udp);
    close(ends[0]);
    close(ends[1]);
    gee_engine_free(e);
    T_RC(rcs[0], UV_EINVAL);
    T_RC(rcs[1], UV_EINVAL);
    T_RC(rcs[2], UV_ENOTSOCK);
    T_RC(rcs[3], UV_EBADF);
    T_RC(rcs[4], UV_EBADF);
    T_STR(diff, "");
}

static void test_what_does_not_listen_is_refused_and_stays_the_callers(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        t_real(workers, refused_body, NULL);
}

static void sim_body(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    gee_engine *e = new_engine();
    (void)ctx;
    (void)arg;
    int rc = gee_listen_fd(e, 0, NULL, &srv);
    gee_engine_free(e);
    T_RC(rc, UV_ENOTSUP);
}

static void test_no_descriptors_in_simulation(void **state) {
    (void)state;
    t_sim(sim_body, NULL);
}

/* --- gee_listen_fds --- */

static void set_vars(const char *pid, const char *fds, const char *fdnames) {
    char own[16];
    snprintf(own, sizeof(own), "%d", (int)getpid());
    setenv("LISTEN_PID", strcmp(pid, "own") == 0 ? own : pid, 1);
    setenv("LISTEN_FDS", fds, 1);
    if (fdnames)
        setenv("LISTEN_FDNAMES", fdnames, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

static bool vars_gone(void) {
    return !getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES");
}

/* In a child, whose descriptors 3 to 6 are open and 7 is not. */
static int protocol(void) {
    static const struct {
        const char *pid, *fds, *fdnames;
        int rc;
        const char *first, *last;
    } cases[] = {
        {"own", "1", NULL, 1, "", ""},
        {"own", "2", "web:admin", 2, "web", "admin"},
        {"own", "3", "web", 3, "web", ""},
        {"own", "2", ":b", 2, "", "b"},
        {"own", "1", "a:b:c", 1, "a", "a"},
        {"own", "0", NULL, 0, NULL, NULL},
        {"1", "2", "a:b", 0, NULL, NULL}, /* another process is meant */
        {"", "2", NULL, 0, NULL, NULL},
        {"x", "2", NULL, UV_EINVAL, NULL, NULL},
        {"own", "-1", NULL, UV_EINVAL, NULL, NULL},
        {"own", "99999999999", NULL, UV_EINVAL, NULL, NULL},
        {"own", "17", NULL, UV_E2BIG, NULL, NULL},
        {"own", "5", NULL, UV_EBADF, NULL, NULL},
    };
    for (int i = 0; i < (int)(sizeof(cases) / sizeof(*cases)); i++) {
        gee_passed_fd got[GEE_MAX_PASSED];
        set_vars(cases[i].pid, cases[i].fds, cases[i].fdnames);
        int n = gee_listen_fds(got, GEE_MAX_PASSED);
        if (n != cases[i].rc || !vars_gone() || gee_listen_fds(got + 8, 1) != 0)
            return i + 1;
        if (n > 0 &&
            (got[0].fd != 3 || strcmp(got[0].name, cases[i].first) != 0 || got[n - 1].fd != 2 + n ||
             strcmp(got[n - 1].name, cases[i].last) != 0 || fcntl(3, F_GETFD) != FD_CLOEXEC))
            return 100 + i + 1;
    }
    return 0;
}

static int in_child(int (*fn)(void)) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        int high = fcntl(null, F_DUPFD, 100);
        for (int fd = 3; fd < 7; fd++)
            dup2(high, fd);
        close(7);
        dup2(high, STDERR_FILENO);
        _exit(fn());
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_the_protocol_of_socket_activation(void **state) {
    (void)state;
    assert_int_equal(in_child(protocol), 0);
}

/* --- the whole, in a process of its own --- */

static int activated(void) {
    alarm(30); /* whatever becomes of the test */
    gee_engine *e = new_engine();
    int rc = gee_engine_run(e, "192.0.2.1", 1); /* an address that would fail */
    gee_engine_free(e);
    return rc ? 1 : 0;
}

/* As a service manager does: fd becomes 3, the variables are set, then exec. */
static pid_t activate(int fd) {
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (fd == 3)
        fcntl(3, F_SETFD, 0);
    else
        dup2(fd, 3);
    set_vars("own", "1", "web");
    char self[512] = "";
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0) /* which valgrind answers for us */
        execl(self, "test_listen", "--activated", (char *)NULL);
    _exit(127);
}

struct activation {
    int port, status;
    char heard[3][256];
};

/* The socket is open all the time: a client that comes between two servers only waits. */
static void restart(void *arg) {
    struct activation *a = arg;
    int fd = open_tcp(SOCK_STREAM, true, &a->port);
    for (int i = 0; i < 3; i++) {
        int client = t_sock_dial(a->port, 0);
        t_sock_puts(client, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        pid_t pid = activate(fd);
        t_sock_until(client, a->heard[i], sizeof(a->heard[i]), "worker 0\n");
        usleep(30000); /* in its loop again: see tell() in test_shutdown.c */
        kill(pid, SIGTERM);
        waitpid(pid, &a->status, 0);
        close(client);
        if (a->status != 0)
            break;
    }
    close(fd);
}

static void test_a_client_waits_from_one_server_to_the_next(void **state) {
    struct activation a = {.status = -1};
    (void)state;
    restart(&a);
    assert_int_equal(a.status, 0);
    for (int i = 0; i < 3; i++)
        assert_non_null(strstr(a.heard[i], "hello from worker 0\n"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_passed_socket_is_served_by_all_workers_and_closed_at_the_end),
    cmocka_unit_test(test_a_unix_socket_is_served),
    cmocka_unit_test(test_what_does_not_listen_is_refused_and_stays_the_callers),
    cmocka_unit_test(test_no_descriptors_in_simulation),
    cmocka_unit_test(test_the_protocol_of_socket_activation),
    cmocka_unit_test(test_a_client_waits_from_one_server_to_the_next),
};

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--activated") == 0)
        return activated();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
