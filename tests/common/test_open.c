/*
 * Who opens a file: the worker, as far as the kernel has looked it up before and is not kept
 * waiting, or a thread. The calls are defined here and so come before libc's: what the kernel
 * knows, and what kind of file system it is, are the test's.
 */
#include "gee/static.h"
#include "t_client.h"
#include "t_site.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

static _Atomic int cached_err; /* of openat2 where it may not wait; 0: as it is */
static _Atomic long fs_type;   /* 0: as it is */
static pthread_t worker;
static atomic_long quick, waits; /* opens of the worker: that may not wait, and that may */
static atomic_long slow;         /* of anybody, that may wait */
static atomic_long threads;      /* calls that were made on one */

static long (*real_syscall)(long, ...);
static int (*real_fstatfs)(int, struct statfs *);
static int (*real_queue_work)(uv_loop_t *, uv_work_t *, uv_work_cb, uv_after_work_cb);

/* Before there are threads. The worker of a runtime with one worker is the thread that runs it. */
__attribute__((constructor(101))) static void begin_program(void) {
    *(void **)(&real_syscall) = dlsym(RTLD_NEXT, "syscall");
    *(void **)(&real_fstatfs) = dlsym(RTLD_NEXT, "fstatfs");
    *(void **)(&real_queue_work) = dlsym(RTLD_NEXT, "uv_queue_work");
    worker = pthread_self();
}

static bool is_the_worker(void) {
    return pthread_equal(pthread_self(), worker);
}

/* libuv calls it too. */
long syscall(long nr, ...) {
    long a[6];
    va_list args;
    va_start(args, nr);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    const struct open_how *how = nr == SYS_openat2 ? (const void *)a[2] : NULL;
    if (how && !(how->resolve & RESOLVE_CACHED))
        atomic_fetch_add(&slow, 1);
    if (how && is_the_worker())
        atomic_fetch_add(how->resolve & RESOLVE_CACHED ? &quick : &waits, 1);
    if (how && (how->resolve & RESOLVE_CACHED) && atomic_load(&cached_err)) {
        errno = atomic_load(&cached_err);
        return -1;
    }
    if (how && strcmp((const char *)a[1], "denied") == 0) { /* by who watches */
        errno = EPERM;
        return -1;
    }
    return real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int fstatfs(int fd, struct statfs *out) {
    int rc = real_fstatfs(fd, out);
    if (atomic_load(&fs_type))
        out->f_type = (__fsword_t)atomic_load(&fs_type);
    return rc;
}

int uv_queue_work(uv_loop_t *loop, uv_work_t *req, uv_work_cb work, uv_after_work_cb after) {
    atomic_fetch_add(&threads, 1);
    return real_queue_work(loop, req, work, after);
}

/* --- the server, and what is asked of it --- */

static char dir[64];

static void routes(gee_group *r) {
    gee_static(r, "/s", dir, NULL);
}

static const struct ask {
    const char *target, *status, *body;
} asks[] = {
    {"/s/a.txt", "200", "a.txt"},  {"/s/docs/", "200", "index"}, {"/s/docs", "301", ""},
    {"/s/docs/b.css", "200", "b"}, {"/s/nothing", "404", ""},    {"/s/docs/nothing", "404", ""},
    {"/s/bare/", "404", ""},       {"/s/odd/", "404", ""},       {"/s/out", "404", ""},
    {"/s/a.txt/", "404", ""},
};

struct visit {
    int port;
    const char *target;
    char got[1024];
};

static void visit(void *arg) {
    struct visit *v = arg;
    char request[128];
    int fd = t_sock_dial(v->port, 0);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
             v->target);
    t_sock_puts(fd, request);
    t_sock_until(fd, v->got, sizeof(v->got), "\x01"); /* which never comes */
    close(fd);
}

static void ask_for(gee_ctx *ctx, int port, const struct ask *a) {
    struct visit v = {.port = port, .target = a->target};
    atomic_store(&threads, -1); /* the client's own is not counted */
    gee_blocking(ctx, visit, &v);
    const char *body = strstr(v.got, "\r\n\r\n");
    if (strncmp(v.got + 9, a->status, 3) != 0 || body == NULL ||
        (*a->body && strcmp(body + 4, a->body) != 0))
        T_FAIL("%s: \"%s\"", a->target, v.got);
}

/* All of them; how many needed a thread. */
static void ask_all(gee_ctx *ctx, int port, int *needed) {
    *needed = 0;
    for (size_t i = 0; i < sizeof(asks) / sizeof(*asks) && !t_failed(); i++) {
        ask_for(ctx, port, &asks[i]);
        *needed += atomic_load(&threads) > 0;
    }
}

static void begin(int err) {
    atomic_store(&cached_err, err);
    atomic_store(&quick, 0);
    atomic_store(&slow, 0);
    atomic_store(&waits, 0);
}

static const int ALL = sizeof(asks) / sizeof(*asks);

/* Of Linux 5.6, RESOLVE_CACHED of 5.12, and not under Valgrind. */
static bool can_resolve(uint64_t resolve) {
    struct open_how how = {.resolve = resolve};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
    int err = errno;
    close(fd);
    return fd >= 0 || err == EAGAIN;
}

static bool has_cached_opens(void) {
    return can_resolve(RESOLVE_CACHED);
}

/* --- tests --- */

static void at_once_body(gee_ctx *ctx, t_conn *none, int port) {
    int needed;
    (void)none;
    ask_all(ctx, port, &needed);
    begin(0);
    ask_all(ctx, port, &needed);
    T_CHECK(atomic_load(&slow) <= 3); /* /s/out always; and the kernel may have forgotten some */
    T_CHECK(atomic_load(&quick) >= ALL);
    T_EQ(atomic_load(&waits), 0);
}

static void test_what_was_looked_up_is_opened_at_once(void **state) {
    (void)state;
    if (!has_cached_opens())
        skip();
    t_site_real(1, &(t_site){routes, at_once_body, NULL, 0});
}

static void on_threads_body(gee_ctx *ctx, t_conn *none, int port) {
    int needed;
    (void)none;
    begin(EAGAIN);
    ask_all(ctx, port, &needed);
    T_EQ(needed, ALL);
    T_EQ(atomic_load(&waits), 0);
    begin(EXDEV); /* something is mounted there */
    ask_all(ctx, port, &needed);
    T_EQ(needed, ALL);
    T_EQ(atomic_load(&waits), 0);
    begin(0);
}

static void test_what_was_not_is_opened_on_a_thread(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, on_threads_body, NULL, 0});
}

static void elsewhere_body(gee_ctx *ctx, t_conn *none, int port) {
    int needed;
    (void)none;
    begin(0);
    ask_all(ctx, port, &needed);
    T_EQ(needed, ALL);
    T_EQ(atomic_load(&quick) + atomic_load(&waits), 0);
}

static void test_another_machine_is_asked_on_a_thread(void **state) {
    static const long types[] = {NFS_SUPER_MAGIC, 0xfe534d42, 0x65735546};
    (void)state;
    for (int i = 0; i < 3; i++) {
        atomic_store(&fs_type, types[i]);
        t_site_real(1, &(t_site){routes, elsewhere_body, NULL, 0});
    }
    atomic_store(&fs_type, 0);
}

/* And the rest is served as before: by a kernel that resolves, and follows a link. */
static void denied_body(gee_ctx *ctx, t_conn *none, int port) {
    static const struct ask rest[] = {
        {"/s/denied", "403", ""}, {"/s/link", "200", "a.txt"}, {"/s/denied", "403", ""}};
    (void)none;
    begin(0);
    for (size_t i = 0; i < sizeof(rest) / sizeof(*rest); i++)
        ask_for(ctx, port, &rest[i]);
    T_CHECK(atomic_load(&quick) > 0 || !has_cached_opens());
}

static void test_one_file_may_be_denied(void **state) {
    (void)state;
    if (!can_resolve(0))
        skip();
    t_site_real(1, &(t_site){routes, denied_body, NULL, 0});
}

/* It is asked once, and never again in this process: so this is the last test. */
static void old_body(gee_ctx *ctx, t_conn *none, int port) {
    int needed;
    (void)none;
    begin(EINVAL);
    ask_all(ctx, port, &needed);
    T_EQ(needed, ALL);
    T_CHECK(atomic_load(&quick) <= 1);
    T_EQ(atomic_load(&waits), 0);
    begin(0);
}

static void test_a_kernel_that_cannot_tell(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, old_body, NULL, 0});
}

static int make_dir(void **state) {
    char command[400];
    (void)state;
    strcpy(dir, "/tmp/gee-open-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(command, sizeof(command),
             "cd %s && mkdir -p docs bare odd/index.html && printf a.txt >a.txt && "
             "printf index >docs/index.html && printf b >docs/b.css && ln -s ../x out && "
             "ln -s a.txt link && printf denied >denied",
             dir);
    return system(command);
}

static int remove_dir(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_was_looked_up_is_opened_at_once),
    cmocka_unit_test(test_what_was_not_is_opened_on_a_thread),
    cmocka_unit_test(test_another_machine_is_asked_on_a_thread),
    cmocka_unit_test(test_one_file_may_be_denied),
    cmocka_unit_test(test_a_kernel_that_cannot_tell),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
