/*
 * Chapter 1, the cases. The same source is linked over the broken variant, the
 * fixed one and each decoy; what a test reports says which of them it met.
 */
#include "t_client.h"
#include "t_real.h"
#include "t_site.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- sse-disconnect: a stream whose client has gone --- */

static int64_t tick(gee_req *req, void *arg) {
    (void)arg;
    gee_sse_event(req, "tick", "now");
    return 1000;
}

/* Nothing happens on it: a step every half a minute that finds nothing to say. */
static int64_t idle(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return 30000;
}

static void ticking_stream(gee_req *req) {
    gee_sse(req, tick, NULL);
}

static void idle_stream(gee_req *req) {
    gee_sse(req, idle, NULL);
}

typedef struct site {
    gee_engine *engine;
    gee_server *srv;
    int port;
} site;

static int open_site(site *s) {
    s->engine = gee_engine_new();
    gee_GET(gee_root(s->engine), "/ticking", ticking_stream);
    gee_GET(gee_root(s->engine), "/idle", idle_stream);
    int rc = gee_listen(s->engine, "127.0.0.1", 0, NULL, &s->srv);
    s->port = rc < 0 ? 0 : gee_server_port(s->srv);
    return rc;
}

/* Where a task other than the caller is parked: "sleep at sse.c:21". */
static const char *where_parked(char *buf, size_t size) {
    gee_task_info *tasks;
    int n = gee_tasks_list(&tasks);
    snprintf(buf, size, "nowhere");
    for (int i = 0; i < n; i++)
        if (tasks[i].parked_at && strncmp(tasks[i].name, "GET ", 4) == 0)
            snprintf(buf, size, "%s at %s", tasks[i].reason, tasks[i].parked_at);
    if (n >= 0)
        free(tasks);
    return buf;
}

static int64_t tasks_now(void) {
    gee_census now;
    gee_census_take(&now);
    return now.tasks;
}

enum { AN_HOUR_MS = 3600 * 1000 };

/*
 * For how long, on the virtual clock, the tasks of a client that has just gone
 * are still there, as words: "0.0 s", "0.5 s", "for ever" (an hour was waited).
 */
static void stays(gee_ctx *ctx, int64_t baseline, char *buf, size_t size) {
    uint64_t start = gee_now_ms();
    gee_sleep(ctx, 0); /* until all that follows at once has happened */
    while (tasks_now() > baseline && gee_now_ms() - start < 60000)
        gee_sleep(ctx, 100);
    if (tasks_now() > baseline)
        gee_sleep(ctx, AN_HOUR_MS);
    if (tasks_now() > baseline)
        snprintf(buf, size, "for ever");
    else
        snprintf(buf, size, "%.1f s", (double)(gee_now_ms() - start) / 1e3);
}

/* A client that opens the stream and leaves in the middle of a sleep. */
static int visit(gee_ctx *ctx, const site *s, const char *target, uint64_t leave_after_ms,
                 bool reset) {
    char head[128];
    t_conn *c = t_dial(s->port, 0);
    if (c == NULL)
        return UV_ECONNREFUSED;
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    int rc = t_puts(ctx, c, head);
    if (rc == 0 && t_until(ctx, c, "text/event-stream") == NULL)
        rc = UV_EOF;
    if (rc == 0)
        rc = gee_sleep(ctx, leave_after_ms);
    if (reset)
        t_reset(ctx, c);
    else
        t_close(ctx, c);
    return rc;
}

static void sse_disconnect(gee_ctx *ctx, void *arg) {
    bool reset = *(bool *)arg;
    char ticking[32], still[32], parked[128] = "";
    site s;
    T_RC(open_site(&s), 0);
    int64_t baseline = tasks_now();
    T_RC(visit(ctx, &s, "/ticking", 2500, reset), 0);
    stays(ctx, baseline, ticking, sizeof(ticking));
    baseline = tasks_now();
    T_RC(visit(ctx, &s, "/idle", 10000, reset), 0);
    stays(ctx, baseline, still, sizeof(still));
    if (strcmp(ticking, "0.0 s") != 0 || strcmp(still, "0.0 s") != 0)
        T_FAIL("sse-disconnect: after its client left, the task of a ticking stream stays %s, of "
               "an idle stream %s (parked: %s)",
               ticking, still, where_parked(parked, sizeof(parked)));
    T_RC(gee_server_shutdown(s.srv), 0);
    gee_engine_free(s.engine);
}

static void test_sse_disconnect(void **state) {
    bool reset[] = {false, true};
    (void)state;
    for (int i = 0; i < 2; i++)
        t_sim(sse_disconnect, &reset[i]);
}

/*
 * The same on a real socket, with libcurl as the client, which leaves 0.2 s into
 * a sleep of 1 s or 30 s: half a second later its task is still there, or not.
 */
static void sse_disconnect_real(gee_ctx *ctx, void *arg) {
    static const char *const targets[] = {"/ticking", "/idle"};
    char parked[128];
    site s;
    (void)arg;
    T_RC(open_site(&s), 0);
    int64_t baseline = tasks_now();
    for (int i = 0; i < 2; i++) {
        T_CHECK(t_curl_leave(ctx, s.port, targets[i], 200));
        uint64_t start = gee_now_ms();
        while (tasks_now() > baseline && gee_now_ms() - start < 500)
            gee_sleep(ctx, 10);
        if (tasks_now() > baseline)
            T_FAIL("sse-disconnect on a socket: half a second after curl left %s its task is still "
                   "there (parked: %s)",
                   targets[i], where_parked(parked, sizeof(parked)));
    }
    T_RC(gee_server_shutdown(s.srv), 0);
    gee_engine_free(s.engine);
}

static void test_sse_disconnect_real(void **state) {
    (void)state;
    t_real(1, sse_disconnect_real, NULL);
}

/* --- static-fd: a file that is served leaves a descriptor --- */

enum { ASKS = 50, BIG = 1 << 20 };
static char dir[64]; /* index.html, docs/index.html, big */

static void files(gee_group *r) {
    gee_static(r, "/files", dir, NULL);
}

static int64_t fds_now(void) {
    gee_census now;
    gee_census_take(&now);
    return now.fds;
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
    int64_t before = fds_now();
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
    return (int)(fds_now() - before);
}

static void static_fd(gee_ctx *ctx, t_conn *c, int port) {
    int left[5], all = 0;
    for (int kind = 0; kind < 5; kind++)
        all += left[kind] = left_by(ctx, c, port, kind);
    if (all > 0)
        T_FAIL("static-fd: %d requests of a kind leave descriptors: GET %d, HEAD %d, 304 %d, "
               "redirect %d, client that leaves %d",
               ASKS, left[0], left[1], left[2], left[3], left[4]);
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
    int64_t before = fds_now();
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "for i in $(seq %d); do " T_CURL "-o /dev/null http://127.0.0.1:%d/files/big || "
                 "exit 1; done",
                 DOWNLOADS, port),
         0);
    gee_sleep(ctx, 100);
    int64_t left = fds_now() - before;
    if (left > 0)
        T_FAIL("static-fd on a socket: %d downloads by curl leave %d descriptors", DOWNLOADS,
               (int)left);
}

static void test_static_fd_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){files, static_fd_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sse_disconnect),
    cmocka_unit_test(test_sse_disconnect_real),
    cmocka_unit_test_setup_teardown(test_static_fd, static_setup, static_teardown),
    cmocka_unit_test_setup_teardown(test_static_fd_real, static_setup, static_teardown),
};

T_MAIN(tests)
