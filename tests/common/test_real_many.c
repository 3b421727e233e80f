/* Real sockets: clients that go away, and many at once. */
#include "base/tools.h"
#include "t_client.h"
#include "t_site.h"
#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SETTLE_MS = GEE_POOLS ? 1000 : 10000 }; /* longer under a tool that makes everything slow */

/* --- handlers --- */

static const char block[64 * 1024];
static atomic_int sent_rc;

/* Writes for as long as the client takes it. */
static void download(gee_req *req) {
    int rc;
    while ((rc = gee_write(req, block, sizeof(block))) == 0)
        ;
    atomic_store(&sent_rc, rc);
}

static int64_t tick(gee_req *req, void *arg) {
    (void)arg;
    gee_sse_event(req, "tick", "x");
    return 20;
}

static int64_t quiet(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return INT64_MAX;
}

static void ticks(gee_req *req) {
    gee_sse(req, tick, NULL);
}

static void idle(gee_req *req) {
    gee_stream(req, quiet, NULL);
}

static atomic_int served[2];

static void pause_(gee_req *req) {
    atomic_fetch_add(&served[gee_worker_index()], 1);
    gee_sleep(gee_req_ctx(req), 20);
    gee_string(req, 200, "%s", gee_param(req, "n"));
}

static void routes(gee_group *r) {
    gee_GET(r, "/download", download);
    gee_GET(r, "/ticks", ticks);
    gee_GET(r, "/idle", idle);
    gee_GET(r, "/pause/:n", pause_);
}

static void site(int workers, void (*body)(gee_ctx *ctx, t_conn *c, int port)) {
    t_site_real(workers, &(t_site){routes, body, NULL, 0});
}

/* --- clients that go away --- */

struct leaver {
    int port;
    const char *target;
    long long after; /* so many bytes */
    int code;
};

static size_t take_some(char *data, size_t size, size_t n, void *arg) {
    struct leaver *l = arg;
    (void)data;
    l->after -= (long long)(size * n);
    return l->after > 0 ? size * n : 0;
}

static CURL *handle(int port, const char *target) {
    char url[64];
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, target);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    return curl;
}

static void leaves(void *arg) {
    struct leaver *l = arg;
    CURL *curl = handle(l->port, l->target);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_some);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, l);
    l->code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
}

static void leave_body(gee_ctx *ctx, t_conn *c, int port) {
    struct leaver events = {port, "/ticks", 50, 0}, bytes = {port, "/download", 1 << 20, 0};
    gee_census base;
    char diff[256], out[64];
    (void)c;
    t_census_rest(ctx, &base);
    T_RC(gee_blocking(ctx, leaves, &events), 0);
    T_EQ(events.code, CURLE_WRITE_ERROR);
    T_STR(t_census_settles(ctx, &base, SETTLE_MS, diff, sizeof(diff)), "");
    T_RC(gee_blocking(ctx, leaves, &bytes), 0);
    T_EQ(bytes.code, CURLE_WRITE_ERROR);
    T_STR(t_census_settles(ctx, &base, SETTLE_MS, diff, sizeof(diff)), "");
    T_CHECK(atomic_load(&sent_rc) < 0);
    /* On a stream where nothing happens, killed: 137 is 128 + SIGKILL. */
    int status = t_shell(ctx, out, sizeof(out),
                         "timeout -s KILL 0.2 curl -sN --max-time 20 http://127.0.0.1:%d/idle "
                         "2>&1; echo $?",
                         port);
    T_EQ(status, 0);
    T_CHECK(strstr(out, "137\n") != NULL);
    T_STR(t_census_settles(ctx, &base, SETTLE_MS, diff, sizeof(diff)), "");
}

static void test_leave(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        site(workers, leave_body);
}

/* --- many --- */

enum { CONNS = 200 };

struct crowd {
    int port, dialed, good;
};

/* All are connected before the first asks, and all have asked before the first reads. */
static void crowd(void *arg) {
    struct crowd *k = arg;
    int fds[CONNS];
    char text[256], want[32];
    for (k->dialed = 0; k->dialed < CONNS; k->dialed++)
        if ((fds[k->dialed] = t_sock_dial(k->port, 0)) < 0)
            break;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < k->dialed; i++) {
            snprintf(text, sizeof(text), "GET /pause/=%d= HTTP/1.1\r\nHost: t\r\n\r\n", i);
            t_sock_puts(fds[i], text);
        }
        for (int i = 0; i < k->dialed; i++) {
            snprintf(want, sizeof(want), "\r\n\r\n=%d=", i);
            t_sock_until(fds[i], text, sizeof(text), want);
            k->good += strstr(text, want) != NULL;
        }
    }
    for (int i = 0; i < k->dialed; i++)
        close(fds[i]);
}

static void crowd_body(gee_ctx *ctx, t_conn *c, int port) {
    struct crowd k = {.port = port};
    gee_census base;
    char diff[256];
    (void)c;
    atomic_store(&served[0], 0);
    atomic_store(&served[1], 0);
    t_census_rest(ctx, &base);
    T_RC(gee_blocking(ctx, crowd, &k), 0);
    T_EQ(k.dialed, CONNS);
    T_EQ(k.good, 2 * CONNS);
    T_EQ(atomic_load(&served[0]) + atomic_load(&served[1]), 2 * CONNS);
    T_CHECK(atomic_load(&served[0]) > 0 && atomic_load(&served[1]) > 0);
    T_STR(t_census_settles(ctx, &base, SETTLE_MS, diff, sizeof(diff)), "");
}

static void test_crowd(void **state) {
    (void)state;
    site(2, crowd_body);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_leave),
    cmocka_unit_test(test_crowd),
};

T_CURL_MAIN(tests)
