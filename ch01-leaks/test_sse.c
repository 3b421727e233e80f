/*
 * Chapter 1, sse-disconnect: a stream whose client has gone. The same source is linked over the
 * broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 */
#include "t_census.h"
#include "t_left.h"
#include "t_real.h"
#include <stdio.h>
#include <string.h>

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

static void routes(gee_group *root) {
    gee_GET(root, "/ticking", ticking_stream);
    gee_GET(root, "/idle", idle_stream);
}

static int open_site(site *s) {
    s->engine = gee_engine_new();
    routes(gee_root(s->engine));
    int rc = gee_listen(s->engine, "127.0.0.1", 0, NULL, &s->srv);
    s->port = rc < 0 ? 0 : gee_server_port(s->srv);
    return rc;
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
    int64_t baseline = t_tasks();
    T_RC(visit(ctx, &s, "/ticking", 2500, reset), 0);
    t_stays(ctx, baseline, ticking, sizeof(ticking));
    baseline = t_tasks();
    T_RC(visit(ctx, &s, "/idle", 10000, reset), 0);
    t_stays(ctx, baseline, still, sizeof(still));
    if (strcmp(ticking, "0.0 s") != 0 || strcmp(still, "0.0 s") != 0)
        T_FAIL("sse-disconnect: after its client left, the task of a ticking stream stays %s, of "
               "an idle stream %s (parked: %s)",
               ticking, still, t_parked("GET ", parked, sizeof(parked)));
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
    int64_t baseline = t_tasks();
    for (int i = 0; i < 2; i++) {
        T_CHECK(t_curl_leave(ctx, s.port, targets[i], 200));
        uint64_t start = gee_now_ms();
        while (t_tasks() > baseline && gee_now_ms() - start < 500)
            gee_sleep(ctx, 10);
        if (t_tasks() > baseline)
            T_FAIL("sse-disconnect on a socket: half a second after curl left %s its task is still "
                   "there (parked: %s)",
                   targets[i], t_parked("GET ", parked, sizeof(parked)));
    }
    T_RC(gee_server_shutdown(s.srv), 0);
    gee_engine_free(s.engine);
}

static void test_sse_disconnect_real(void **state) {
    (void)state;
    t_real(1, sse_disconnect_real, NULL);
}

/* --- make census --- */

/* Every other one on a stream where nothing happens; each leaves in the middle of a sleep. */
static void reader(gee_ctx *ctx, int port, int i) {
    site s = {.port = port};
    visit(ctx, &s, i % 2 ? "/idle" : "/ticking", 25, false);
}

T_CENSUS(sse_disconnect, routes, reader)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sse_disconnect),
    cmocka_unit_test(test_sse_disconnect_real),
    cmocka_unit_test(census_sse_disconnect),
};

T_MAIN(tests)
