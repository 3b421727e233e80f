/*
 * Chapter 1, static-fd: a file that is served leaves a descriptor. The same source is linked over
 * the broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 *
 * close() is wrapped by the linker in this program (chapter.mk): who closes what is not open is
 * counted. On a busy server that number belongs to somebody else by then.
 */
#include "t_census.h"
#include "t_client.h"
#include "t_left.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ASKS = 50, BIG = 1 << 20 };
static char dir[64]; /* index.html, docs/index.html, big */
static atomic_int closed_twice;

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
    int rc = __real_close(fd);
    if (rc < 0 && errno == EBADF)
        atomic_fetch_add(&closed_twice, 1);
    return rc;
}

static void files(gee_group *r) {
    gee_static(r, "/files", dir, NULL);
}

/* A client that takes the head and a little, and goes. */
static void leave_a_download(gee_ctx *ctx, int port) {
    t_conn *d = t_dial(port, 0);
    if (d == NULL)
        return;
    t_puts(ctx, d, "GET /files/big HTTP/1.1\r\nHost: t\r\n\r\n");
    t_until(ctx, d, "\r\n\r\n");
    t_reset(ctx, d);
    gee_sleep(ctx, 1);
}

/* What ASKS requests of one kind leave open. */
static int left_by(gee_ctx *ctx, t_conn *c, int port, int kind) {
    int64_t before = t_fds();
    for (int i = 0; i < ASKS; i++) {
        if (kind == 0)
            t_get(ctx, c, "/files/docs/index.html");
        else if (kind == 1 && t_puts(ctx, c, "HEAD /files/big HTTP/1.1\r\nHost: t\r\n\r\n") == 0)
            t_until(ctx, c, "\r\n\r\n");
        else if (kind == 2)
            t_ask(ctx, c, "GET", "/files/docs/index.html", "If-None-Match: *\r\n");
        else if (kind == 3)
            t_get(ctx, c, "/files/docs");
        else if (kind == 4)
            leave_a_download(ctx, port);
        t_drop(c);
    }
    return (int)(t_fds() - before);
}

static void static_fd(gee_ctx *ctx, t_conn *c, int port) {
    int left[5], all = 0;
    atomic_store(&closed_twice, 0);
    for (int kind = 0; kind < 5; kind++)
        all += left[kind] = left_by(ctx, c, port, kind);
    if (all > 0)
        T_FAIL("static-fd: %d requests of a kind leave descriptors: GET %d, HEAD %d, 304 %d, "
               "redirect %d, client that leaves %d",
               ASKS, left[0], left[1], left[2], left[3], left[4]);
    if (atomic_load(&closed_twice) > 0)
        T_FAIL("static-fd: %d requests of each of 5 kinds leave no descriptor, and %d times one is "
               "closed that is not open",
               ASKS, atomic_load(&closed_twice));
}

static void make_files(void) {
    char path[200];
    strcpy(dir, "/tmp/gee-ch01-XXXXXX");
    if (mkdtemp(dir) == NULL)
        fail_msg("no directory in /tmp");
    snprintf(path, sizeof(path), "mkdir %s/docs && echo docs >%s/docs/index.html", dir, dir);
    int bad = system(path);
    snprintf(path, sizeof(path), "%s/big", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    bad |= fd < 0 || ftruncate(fd, BIG) != 0;
    close(fd);
    if (bad)
        fail_msg("no files in %s", dir);
}

static void remove_files(void) {
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    if (system(command) != 0)
        print_error("%s: it stays\n", dir);
}

static int static_setup(void **state) {
    (void)state;
    make_files();
    return 0;
}

static int static_teardown(void **state) {
    (void)state;
    remove_files();
    return 0;
}

static void test_static_fd(void **state) {
    (void)state;
    t_site_once(&(t_site){files, static_fd, NULL, 0});
}

static void static_fd_real(gee_ctx *ctx, t_conn *none, int port) {
    enum { DOWNLOADS = 20 };
    char out[64];
    (void)none;
    t_shell(ctx, out, sizeof(out), T_CURL "-o /dev/null http://127.0.0.1:%d/files/docs/index.html",
            port); /* what the first request opens for good */
    int64_t before = t_fds();
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "for i in $(seq %d); do " T_CURL "-o /dev/null http://127.0.0.1:%d/files/big || "
                 "exit 1; done",
                 DOWNLOADS, port),
         0);
    gee_sleep(ctx, 100);
    int64_t left = t_fds() - before;
    if (left > 0)
        T_FAIL("static-fd on a socket: %d downloads by curl leave %d descriptors", DOWNLOADS,
               (int)left);
}

static void test_static_fd_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){files, static_fd_real, NULL, 0});
}

/* --- make census --- */

static void download(gee_ctx *ctx, int port, int i) {
    t_conn *c = t_dial(port, 0);
    (void)i;
    t_get(ctx, c, "/files/docs/index.html");
    t_close(ctx, c);
}

T_CENSUS(static_fd, files, download)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_static_fd, static_setup, static_teardown),
    cmocka_unit_test_setup_teardown(test_static_fd_real, static_setup, static_teardown),
    cmocka_unit_test_setup_teardown(census_static_fd, static_setup, static_teardown),
};

T_MAIN(tests)
