/* A directory of files: what is found, what is not, and no way out of it. */
#include "gee/static.h"
#include "t_site.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], www[80], outside[80];

static void named(gee_req *req) {
    const char *name = gee_query(req, "name");
    gee_set_header(req, "X-Mine", "1");
    gee_file(req, name ? name : "/");
}

static void guarded(gee_req *req) {
    gee_fail(req, 401);
}

static void routes(gee_group *r) {
    gee_static(r, "/s", www, NULL);
    gee_static(r, "/all", www,
               &(gee_static_options){
                   .index = "", .dotfiles = true, .cache_control = "public, max-age=60"});
    gee_GET(r, "/s/private/*rest", guarded);
    gee_GET(r, "/file", named);
}

/* What is at a path below /s. */
struct at {
    const char *path;
    int status;
    const char *body; /* NULL: of the error */
};

static const struct at ats[] = {
    {"/s/a.txt", 200, "a"},
    {"/s/", 200, "<p>root"},
    {"/s/docs/", 200, "<p>docs"},
    {"/s/docs/b.css", 200, "b{}"},
    {"/s/a%2etxt", 200, "a"},
    {"/s/sp%20ace.txt", 200, "space"},
    {"/s/empty", 200, ""},
    {"/s/link-within", 200, "a"},
    {"/s/nothing", 404, NULL},
    {"/s/a.txt/", 404, NULL}, /* it is no directory */
    {"/s/a.txt/b", 404, NULL},
    {"/s/bare/", 404, NULL}, /* no index, no listing */
    {"/s/A.TXT", 404, NULL},
    /* what is there, and not for clients */
    {"/s/.hidden", 404, NULL},
    {"/s/.git/config", 404, NULL},
    {"/s/docs/.hidden", 404, NULL},
    {"/all/.hidden", 200, "hidden"},
    {"/all/.git/config", 200, "config"},
    {"/all/docs/", 404, NULL}, /* without an index */
    {"/s/fifo", 404, NULL},
    {"/s/secret", 403, NULL},
    /* out of it */
    {"/s/../outside/x", 400, NULL},
    {"/s/%2e%2e/outside/x", 400, NULL},
    {"/s/docs/..%2f..%2f..%2foutside/x", 404, NULL},
    {"/s/..%5coutside", 404, NULL},
    {"/s/%2fetc/passwd", 404, NULL},
    {"/s//etc/passwd", 404, NULL},
    {"/s/link-out", 404, NULL},
    {"/s/link-dir/x", 404, NULL},
    {"/s/link-absolute", 404, NULL},
    {"/s/link-loop", 404, NULL},
    {"/all/proc-link", 404, NULL},
    {"/s/a.txt%00.png", 400, NULL},
    /* around a middleware */
    {"/s/private/x", 401, NULL},
    {"/s/private%2fx", 404, NULL},
    {"/s/private%2Fx", 404, NULL},
    {"/s//private/x", 404, NULL},
    {"/s/docs//b.css", 404, NULL},
};

/* Valgrind, for one, may not know the call. */
static int expected(const struct at *at) {
    static const char how[24];
    bool has_openat2 = syscall(SYS_openat2, AT_FDCWD, "", how, sizeof(how)) != 0 && errno != ENOSYS;
    return !has_openat2 && strcmp(at->path, "/s/link-within") == 0 ? 404 : at->status;
}

static void test_paths_body(gee_ctx *ctx, t_conn *c, int port) {
    bool root = geteuid() == 0; /* whom no mode keeps out */
    (void)c;
    for (size_t i = 0; i < sizeof(ats) / sizeof(*ats); i++) {
        const struct at *at = &ats[i];
        if (root && at->status == 403)
            continue;
        t_conn *d = t_dial(port, 0);
        int status = t_get(ctx, d, at->path);
        char body[32];
        snprintf(body, sizeof(body), "%s", status > 0 ? t_body(d) : "");
        t_close(ctx, d);
        if (status != expected(at) || (status == 200 && strcmp(body, at->body) != 0))
            T_FAIL("%s: %d \"%s\", not %d", at->path, status, body, expected(at));
    }
}

T_SITE(test_paths, routes)

static void test_a_name_too_long_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[310] = "/s/";
    (void)port;
    memset(target + 3, 'x', 300);
    T_EQ(t_get(ctx, c, target), 404);
}

T_SITE(test_a_name_too_long, routes)

static const char *const redirects[][2] = {
    {"/s", "./s/"},
    {"/s?a=1", "./s/?a=1"},
    {"/s/docs", "./docs/"},
    {"/s/docs?q=//x", "./docs/?q=//x"},
    {"/s/docs/evil:com", "./evil:com/"}, /* not a scheme */
    {"/s/%64ocs", "./%64ocs/"},
};

static void test_a_directory_without_its_slash_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(redirects) / sizeof(*redirects); i++) {
        T_EQ(t_get(ctx, c, redirects[i][0]), 301);
        T_STR(t_field(c, "location"), redirects[i][1]);
    }
    T_EQ(t_get(ctx, c, "/s//evil.com"), 404);
    T_EQ(t_get(ctx, c, "/s/docs/index.html"), 200);
    T_STR(t_body(c), "<p>docs");
}

T_SITE(test_a_directory_without_its_slash, routes)

static void test_headers_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const types[][2] = {
        {"/s/a.txt", "text/plain; charset=utf-8"},
        {"/s/docs/b.css", "text/css; charset=utf-8"},
        {"/s/", "text/html; charset=utf-8"},
        {"/s/empty", "application/octet-stream"},
        {"/s/v1.2/readme", "application/octet-stream"}, /* the dot is a directory's */
        {"/s/PIC.JPG", "image/jpeg"},
    };
    (void)port;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        T_EQ(t_get(ctx, c, types[i][0]), 200);
        T_STR(t_field(c, "content-type"), types[i][1]);
        T_STR(t_field(c, "x-content-type-options"), "nosniff");
        T_STR(t_field(c, "cache-control"), NULL);
    }
    T_EQ(t_get(ctx, c, "/all/a.txt"), 200);
    T_STR(t_field(c, "cache-control"), "public, max-age=60");
    T_STR(t_field(c, "content-length"), "1");
    T_EQ(t_get(ctx, c, "/all/nothing"), 404); /* is not kept for a minute */
    T_STR(t_field(c, "cache-control"), NULL);
    T_STR(t_field(c, "etag"), NULL);
    T_EQ(t_ask(ctx, c, "POST", "/s/a.txt", "Content-Length: 0\r\n"), 405);
    T_STR(t_field(c, "allow"), "GET, HEAD, OPTIONS");
    T_RC(t_puts(ctx, c, "HEAD /s/a.txt HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    t_drop(c);
    T_CHECK(t_until(ctx, c, "\r\n\r\n"));
    T_CHECK(strstr(t_text(c), "Content-Length: 1\r\n"));
    t_drop(c);
    T_EQ(t_get(ctx, c, "/s/a.txt"), 200); /* nothing of the HEAD's body is in the way */
    T_STR(t_body(c), "a");
}

T_SITE(test_headers, routes)

static void test_a_file_of_the_program_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[200];
    (void)port;
    snprintf(target, sizeof(target), "/file?name=%s/x", outside);
    T_EQ(t_get(ctx, c, target), 200);
    T_STR(t_body(c), "outside");
    T_STR(t_field(c, "x-mine"), "1");
    snprintf(target, sizeof(target), "/file?name=%s", outside);
    T_EQ(t_get(ctx, c, target), 404);
    T_EQ(t_get(ctx, c, "/file?name="), 404);
}

T_SITE(test_a_file_of_the_program, routes)

/* --- descriptors --- */

static void test_no_file_stays_open_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const asks[] = {"/s/a.txt", "/s/big",      "/s/",
                                       "/s/docs",  "/s/nothing",  "/s/bare/",
                                       "/s/fifo",  "/s/link-out", "/all/docs/"};
    gee_census before, now;
    (void)port;
    T_EQ(t_get(ctx, c, "/s/a.txt"), 200);
    char match[80];
    snprintf(match, sizeof(match), "If-None-Match: %s\r\n", t_field(c, "etag"));
    gee_census_take(&before);
    for (int i = 0; i < 50; i++) {
        T_CHECK(t_get(ctx, c, asks[i % 9]) > 0);
        T_EQ(t_ask(ctx, c, "GET", "/s/a.txt", match), 304);
        T_EQ(t_ask(ctx, c, "GET", "/s/a.txt", "If-Match: \"x\"\r\n"), 412);
        T_EQ(t_ask(ctx, c, "GET", "/s/a.txt", "Range: bytes=9-\r\n"), 416);
        T_RC(t_puts(ctx, c, "HEAD /s/big HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
        t_drop(c);
        T_CHECK(t_until(ctx, c, "\r\n\r\n"));
        t_drop(c);
    }
    gee_census_take(&now);
    T_EQ(now.fds, before.fds);
}

T_SITE(test_no_file_stays_open, routes)

/* Clients that leave in the middle, in each of three ways, and one that takes nothing. */
static void test_a_client_that_leaves_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    char diff[256];
    T_EQ(t_get(ctx, c, "/s/a.txt"), 200);
    gee_census_take(&before);
    for (int how = 0; how < 4; how++) {
        t_conn *d = t_dial(port, 0);
        T_RC(t_puts(ctx, d, "GET /s/big HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
        bool begun = t_until(ctx, d, "\r\n\r\n") != NULL;
        gee_sleep(ctx, 100);
        gee_census_take(&now);
        long long open = now.fds - before.fds;
        if (how == 2)
            gee_sleep(ctx, 31000); /* write_ms is over */
        if (how == 1)
            t_half_close(d);
        if (how == 0)
            t_reset(ctx, d);
        else
            t_close(ctx, d);
        gee_sleep(ctx, 1);
        gee_census_take(&now);
        T_CHECK(begun);
        T_EQ(open, 1);
        if (*t_census_diff(&before, &now, diff, sizeof(diff)))
            T_FAIL("left by %d: %s", how, diff);
    }
}

T_SITE(test_a_client_that_leaves, routes)

/* It had a length when its head was sent. */
static void test_a_file_that_becomes_shorter_body(gee_ctx *ctx, t_conn *c, int port) {
    char path[128];
    (void)port;
    snprintf(path, sizeof(path), "%s/shrinks", www);
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0644);
    T_CHECK(fd >= 0);
    int grown = ftruncate(fd, 1 << 20);
    T_RC(t_puts(ctx, c, "GET /s/shrinks HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    bool begun = t_until(ctx, c, "Content-Length: 1048576\r\n") != NULL;
    gee_sleep(ctx, 10);
    int shrunk = ftruncate(fd, 1000);
    t_all(ctx, c); /* to the end of the connection */
    close(fd);
    T_CHECK(begun);
    T_EQ(grown | shrunk, 0);
    T_CHECK(t_size(c) < 1000000);
    T_CHECK(strstr(t_text(c), "HTTP/1.1 500") == NULL);
}

T_SITE_WITH(test_a_file_that_becomes_shorter, routes, NULL, 4096)

/* No descriptor is left for the file: a 503, and all is well once there is one. */
static void test_no_descriptors_body(gee_ctx *ctx, t_conn *c, int port) {
    struct rlimit was, none;
    (void)port;
    T_EQ(t_get(ctx, c, "/s/a.txt"), 200);
    getrlimit(RLIMIT_NOFILE, &was);
    none = was;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    int status = t_get(ctx, c, "/s/a.txt");
    setrlimit(RLIMIT_NOFILE, &was);
    T_EQ(status, 503);
    T_EQ(t_get(ctx, c, "/s/a.txt"), 200);
}

T_SITE(test_no_descriptors, routes)

/* --- what cannot be --- */

static void bad_listen(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    (void)ctx;
    T_RC(gee_listen(arg, "127.0.0.1", 0, NULL, &srv), UV_ENOENT);
}

static void test_a_directory_that_is_not_there(void **state) {
    (void)state;
    gee_engine *e = gee_engine_new();
    assert_int_equal(gee_static(gee_root(e), "/x", "/tmp/gee-none/x", NULL), UV_ENOENT);
    t_run(&(gee_config){.sim = true}, 0, bad_listen, e);
    gee_engine_free(e);
    e = gee_engine_new();
    assert_int_equal(gee_static(gee_root(e), "/x", "/etc/passwd", NULL), UV_ENOTDIR);
    gee_engine_free(e);
}

/*
 * In a sandbox without openat2: the same answers, but for links. In a process of its own,
 * since that cannot be undone.
 */
static void without_openat2(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(ats) / sizeof(*ats); i++) {
        const struct at *at = &ats[i];
        if (at->status != 200 && at->status != 404)
            continue;
        int status = t_get(ctx, c, at->path);
        if (status != expected(at))
            T_FAIL("%s: %d, not %d", at->path, status, expected(at));
    }
}

static int deny_openat2(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void test_a_kernel_without_openat2(void **state) {
    int status;
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (deny_openat2() != 0)
            _exit(77);
        t_site_once(&(t_site){routes, without_openat2, NULL, 0}); /* jumps out if it fails */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* not allowed here */
    assert_int_equal(status, 0);
}

/* --- the directory --- */

static const char *const files[][2] = {
    {"www/a.txt", "a"},
    {"www/index.html", "<p>root"},
    {"www/docs/index.html", "<p>docs"},
    {"www/docs/b.css", "b{}"},
    {"www/docs/.hidden", "hidden"},
    {"www/docs/evil:com/index.html", ""},
    {"www/sp ace.txt", "space"},
    {"www/empty", ""},
    {"www/.hidden", "hidden"},
    {"www/.git/config", "config"},
    {"www/private/x", "private"},
    {"www/secret", "secret"},
    {"www/v1.2/readme", "read"},
    {"www/PIC.JPG", "jpg"},
    {"outside/x", "outside"},
};

static const char *const dirs[] = {"www",      "www/docs", "www/docs/evil:com", "www/.git",
                                   "www/bare", "outside",  "www/private",       "www/v1.2"};

static const char *const symlinks[][2] = {
    {"a.txt", "link-within"},         {"../outside/x", "link-out"}, {"../outside", "link-dir"},
    {"/etc/passwd", "link-absolute"}, {"link-loop", "link-loop"},   {"/proc/self/cwd", "proc-link"},
};

static int make_dir(void **state) {
    char path[160];
    int bad = 0;
    (void)state;
    strcpy(dir, "/tmp/gee-static-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(www, sizeof(www), "%s/www", dir);
    snprintf(outside, sizeof(outside), "%s/outside", dir);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, dirs[i]);
        bad |= mkdir(path, 0755);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i][0]);
        FILE *f = fopen(path, "w");
        bad |= f == NULL || fputs(files[i][1], f) < 0 || fclose(f) != 0;
    }
    for (size_t i = 0; i < sizeof(symlinks) / sizeof(*symlinks); i++) {
        snprintf(path, sizeof(path), "%s/%s", www, symlinks[i][1]);
        bad |= symlink(symlinks[i][0], path);
    }
    snprintf(path, sizeof(path), "%s/fifo", www);
    bad |= mkfifo(path, 0644);
    snprintf(path, sizeof(path), "%s/secret", www);
    bad |= chmod(path, 0);
    snprintf(path, sizeof(path), "%s/big", www);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    bad |= fd < 0 || ftruncate(fd, 1 << 20) != 0 || close(fd) != 0;
    return bad;
}

static int remove_dir(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_paths),
    cmocka_unit_test(test_a_name_too_long),
    cmocka_unit_test(test_a_directory_without_its_slash),
    cmocka_unit_test(test_headers),
    cmocka_unit_test(test_a_file_of_the_program),
    cmocka_unit_test(test_no_file_stays_open),
    cmocka_unit_test(test_a_client_that_leaves),
    cmocka_unit_test(test_a_file_that_becomes_shorter),
    cmocka_unit_test(test_no_descriptors),
    cmocka_unit_test(test_a_directory_that_is_not_there),
    cmocka_unit_test(test_a_kernel_without_openat2),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
