/* Real sockets and real clients: what one request or one connection is like. */
#include "t_client.h"
#include "t_site.h"
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello %s\n", gee_param(req, "name"));
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

static int64_t three(gee_req *req, void *arg) {
    int *n = arg;
    gee_sse_event(req, NULL, "tick");
    return ++*n < 3 ? 10 : GEE_STREAM_END;
}

static void stream(gee_req *req) {
    int n = 0;
    gee_sse(req, three, &n);
}

static void slow(gee_req *req) {
    int rc = gee_sleep(gee_req_ctx(req), 150);
    gee_string(req, 200, "slept: %s\n", t_err(rc));
}

static void routes(gee_group *r) {
    gee_GET(r, "/hello/:name", hello);
    gee_POST(r, "/echo", echo);
    gee_PUT(r, "/echo", echo);
    gee_GET(r, "/stream", stream);
    gee_GET(r, "/slow", slow);
}

/* The curl program: what it is told, and what it then says; %s is where the server is. */
struct told {
    const char *what, *args, *out;
};

static const struct told tolds[] = {
    {"GET", "'%s/hello/gee'", "hello gee\n"},
    {"escapes", "'%s/hello/%%67ee?x=1'", "hello gee\n"},
    {"keep-alive", "-w '%%{num_connects} ' %1$s/hello/a %1$s/hello/b %1$s/hello/c",
     "hello a\n1 hello b\n0 hello c\n0 "},
    {"keep-alive after a stream", "-w '%%{num_connects} ' %1$s/stream %1$s/hello/b",
     "data: tick\n\ndata: tick\n\ndata: tick\n\n1 hello b\n0 "},
    {"HTTP/1.0", "--http1.0 -w '%%{http_version}' %s/hello/gee", "hello gee\n1.1"},
    {"HTTP/1.0 stream", "--http1.0 %s/stream", "data: tick\n\ndata: tick\n\ndata: tick\n\n"},
    {"HEAD", "-I -o /dev/null -w '%%{http_code} %%header{content-length}' %s/hello/gee", "200 10"},
    {"POST", "-d a=1 %s/echo", "a=1"},
    {"POST with Expect",
     "-v -H 'Expect: 100-continue' -d abc %s/echo 2>&1 | grep -c '100 Continue'", "1\n"},
    {"404", "-o /dev/null -w '%%{http_code}' %s/nowhere", "404"},
    {"405", "-w '%%{http_code} %%header{allow}' -o /dev/null -X DELETE %s/hello/x",
     "405 GET, HEAD, OPTIONS"},
    {"close", "-H 'Connection: close' -w '%%{num_connects} ' %1$s/hello/a %1$s/hello/b",
     "hello a\n1 hello b\n1 "},
};

static void curl_body(gee_ctx *ctx, t_conn *c, int port) {
    char out[512], url[64], command[512], all[600];
    (void)c;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
    for (size_t i = 0; i < sizeof(tolds) / sizeof(*tolds); i++) {
        snprintf(command, sizeof(command), tolds[i].args, url);
        snprintf(all, sizeof(all), T_CURL "%s", command);
        int status = t_shell(ctx, out, sizeof(out), "%s", all);
        if (status != 0 || strcmp(out, tolds[i].out) != 0)
            T_FAIL("%s: exit %d, \"%s\", not \"%s\"", tolds[i].what, status, out, tolds[i].out);
    }
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "printf 'piped' | " T_CURL "--http1.1 -T - http://127.0.0.1:%d/echo", port),
         0);
    T_STR(out, "piped");
}

static void test_curl(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        t_site_real(workers, &(t_site){routes, curl_body, NULL, 0});
}

/* --- one handle of libcurl, many requests --- */

enum { AGAIN = 30 };

struct handle {
    int port;
    long connects;
    int good;
};

static size_t keep(char *data, size_t size, size_t n, void *arg) {
    char *out = arg;
    size_t had = strlen(out);
    snprintf(out + had, 64 - had, "%.*s", (int)(size * n), data);
    return size * n;
}

static void same_handle(void *arg) {
    struct handle *h = arg;
    char url[64], out[64], want[32];
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    for (int i = 0; i < AGAIN; i++) {
        long connects = 0;
        snprintf(url, sizeof(url), "http://127.0.0.1:%d/hello/%d", h->port, i);
        snprintf(want, sizeof(want), "hello %d\n", i);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        out[0] = '\0';
        h->good += curl_easy_perform(curl) == CURLE_OK && strcmp(out, want) == 0;
        curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
        h->connects += connects;
    }
    curl_easy_cleanup(curl);
}

static void handle_body(gee_ctx *ctx, t_conn *c, int port) {
    struct handle h = {.port = port};
    gee_census base;
    char diff[128];
    (void)c;
    t_census_rest(ctx, &base);
    T_RC(gee_blocking(ctx, same_handle, &h), 0);
    T_EQ(h.good, AGAIN);
    T_EQ(h.connects, 1);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void test_handle(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        t_site_real(workers, &(t_site){routes, handle_body, NULL, 0});
}

/* --- a socket --- */

struct talk {
    int port;
    const char *say, *until;
    char heard[2048];
};

static void talk(void *arg) {
    struct talk *t = arg;
    int fd = t_sock_dial(t->port, 0);
    if (fd < 0)
        return;
    t_sock_puts(fd, t->say);
    t_sock_until(fd, t->heard, sizeof(t->heard), t->until);
    close(fd);
}

static void pipelined_body(gee_ctx *ctx, t_conn *c, int port) {
    struct talk t = {port,
                     "GET /hello/a HTTP/1.1\r\nHost: t\r\n\r\n"
                     "GET /stream HTTP/1.1\r\nHost: t\r\n\r\n"
                     "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
                     "GET /hello/b HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
                     "hello b\n", ""};
    (void)c;
    T_RC(gee_blocking(ctx, talk, &t), 0);
    const char *a = strstr(t.heard, "hello a\n"), *b = strstr(t.heard, "hello b\n");
    const char *ticks = strstr(t.heard, "data: tick"), *abc = strstr(t.heard, "\r\n\r\nabc");
    T_CHECK(a && b && ticks && abc);
    T_CHECK(a < ticks && ticks < abc && abc < b);
}

static void test_pipelined(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, pipelined_body, NULL, 0});
}

/* --- addresses --- */

static int occupy(int *port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 1) < 0)
        perror("occupy");
    getsockname(fd, (struct sockaddr *)&addr, &len);
    *port = ntohs(addr.sin_port);
    return fd;
}

struct address {
    const char *host;
    int port, rc;
};

static const struct address addresses[] = {
    {"localhost", 0, UV_EINVAL},        {"", 0, UV_EINVAL},
    {"256.0.0.1", 0, UV_EINVAL},        {"127.0.0.1:80", 0, UV_EINVAL},
    {"127.0.0.1", 65536, UV_EINVAL},    {"127.0.0.1", -1, UV_EINVAL},
    {"192.0.2.1", 0, UV_EADDRNOTAVAIL},
};

static void addresses_body(gee_ctx *ctx, void *arg) {
    gee_server *srv = NULL;
    gee_census base;
    char diff[128];
    int port;
    gee_engine *e = gee_engine_new();
    (void)arg;
    routes(gee_root(e));
    int fd = occupy(&port);
    t_census_rest(ctx, &base);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
        const struct address *a = &addresses[i];
        int rc = gee_listen(e, a->host, a->port, NULL, &srv);
        if (rc != a->rc)
            T_FAIL("%s port %d: %s, not %s", a->host, a->port, t_err(rc), t_err(a->rc));
    }
    T_RC(gee_listen(e, "127.0.0.1", port, NULL, &srv), UV_EADDRINUSE);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
    close(fd);
    T_RC(gee_listen(e, "127.0.0.1", port, NULL, &srv), 0); /* the same engine, a free port */
    T_EQ(gee_server_port(srv), port);
    gee_server *second;
    T_RC(gee_listen(e, "127.0.0.1", port, NULL, &second), UV_EADDRINUSE);
    T_RC(gee_server_shutdown(srv), 0);
    gee_engine_free(e);
}

static void test_addresses(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        t_real(workers, addresses_body, NULL);
}

/* --- shutdown --- */

struct visitor {
    gee_waitgroup wg;
    struct talk talk;
};

static void visits(gee_ctx *ctx, void *arg) {
    struct visitor *v = arg;
    gee_blocking(ctx, talk, &v->talk);
    gee_waitgroup_done(&v->wg);
}

static void shutdown_body(gee_ctx *ctx, void *arg) {
    struct visitor v = {
        .talk = {.say = "GET /slow HTTP/1.1\r\nHost: t\r\n\r\n", .until = "slept: "}};
    struct talk late = {.say = "GET /slow HTTP/1.1\r\nHost: t\r\n\r\n", .until = "\n"};
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    (void)arg;
    routes(gee_root(e));
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), 0);
    v.talk.port = late.port = gee_server_port(srv);
    gee_waitgroup_add(&v.wg, 1);
    gee_go(ctx, visits, &v);
    gee_census now = {0};
    for (int i = 0; i < 1000 && now.reqs == 0; i++) {
        gee_sleep(ctx, 1);
        gee_census_take(&now);
    }
    int rc = gee_server_shutdown(srv);
    gee_waitgroup_wait(NULL, &v.wg);
    gee_blocking(ctx, talk, &late);
    gee_engine_free(e);
    T_RC(rc, 0);
    T_CHECK(strstr(v.talk.heard, "slept: 0\n") != NULL); /* it had the time to */
    T_CHECK(strstr(v.talk.heard, "Connection: close\r\n") != NULL);
    T_STR(late.heard, ""); /* nobody listens */
}

static void test_shutdown(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        t_real(workers, shutdown_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_curl),      cmocka_unit_test(test_handle),
    cmocka_unit_test(test_pipelined), cmocka_unit_test(test_addresses),
    cmocka_unit_test(test_shutdown),
};

T_CURL_MAIN(tests)
