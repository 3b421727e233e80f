/* Streams and server-sent events, in virtual time. */
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How the last stream ended, and when. */
static atomic_int ended_with;
static atomic_llong ended_at;

static void note_end(int rc) {
    atomic_store(&ended_with, rc);
    atomic_store(&ended_at, (long long)gee_now_ms());
}

struct ticks {
    int n, left;
    int64_t every;
};

static int64_t tick(gee_req *req, void *arg) {
    struct ticks *t = arg;
    char data[32];
    snprintf(data, sizeof(data), "%d", t->n++);
    gee_sse_event(req, "tick", data);
    return --t->left > 0 ? t->every : GEE_STREAM_END;
}

/* /ticks?n=3&every=1000 */
static void ticks(gee_req *req) {
    struct ticks t = {.left = atoi(gee_query(req, "n")), .every = atoi(gee_query(req, "every"))};
    note_end(gee_sse(req, tick, &t));
}

static int64_t quiet(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return INT64_MAX;
}

static void idle(gee_req *req) {
    note_end(gee_stream(req, quiet, NULL));
}

static int64_t framing(gee_req *req, void *arg) {
    const char *event = gee_query(req, "event");
    (void)arg;
    if (gee_sse_event(req, event, gee_query(req, "data")) == UV_EINVAL)
        gee_sse_event(req, NULL, "refused");
    return GEE_STREAM_END;
}

static void framed(gee_req *req) {
    gee_sse(req, framing, NULL);
}

static int64_t plain(gee_req *req, void *arg) {
    (void)arg;
    gee_write(req, "a", 1);
    gee_write(req, "bc", 2);
    return GEE_STREAM_END;
}

static void own_head(gee_req *req) {
    gee_status(req, 206);
    gee_set_header(req, "Content-Type", "text/mine");
    gee_stream(req, plain, NULL);
}

static int64_t silent(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return GEE_STREAM_END;
}

static void nothing(gee_req *req) {
    gee_stream(req, silent, NULL);
}

static int64_t flood(gee_req *req, void *arg) {
    static const char block[10000];
    *(int *)arg = gee_write(req, block, sizeof(block));
    return 0;
}

/* Either says that the client is gone, and which of them depends on who saw it first. */
static int gone(int rc) {
    return rc == UV_EPIPE ? UV_ECONNRESET : rc;
}

/* The write that failed, and the stream, say the same. */
static void floods(gee_req *req) {
    int written = 0, rc = gee_stream(req, flood, &written);
    note_end(gone(rc) == gone(written) ? gone(rc) : UV_UNKNOWN);
}

static void soon(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req), *ctx = gee_ctx_with_timeout(before, 2500);
    gee_req_set_ctx(req, ctx);
    gee_next(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(ctx);
}

static void routes(gee_group *r) {
    gee_GET(r, "/ticks", ticks);
    gee_GET(r, "/idle", idle);
    gee_GET(r, "/framed", framed);
    gee_GET(r, "/own", own_head);
    gee_GET(r, "/nothing", nothing);
    gee_GET(r, "/flood", floods);
    gee_group *g = gee_group_new(r, "/soon");
    gee_use(g, soon, NULL);
    gee_GET(g, "/ticks", ticks);
    gee_GET(g, "/flood", floods);
}

static int start(gee_ctx *ctx, t_conn *c, const char *target) {
    char head[128];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
    int rc = t_puts(ctx, c, head);
    if (rc == 0 && t_until(ctx, c, "\r\n\r\n") == NULL)
        rc = UV_EOF;
    return rc;
}

static void test_ticks_body(gee_ctx *ctx, t_conn *c, int port) {
    char event[64];
    uint64_t begin = gee_now_ms();
    (void)port;
    T_RC(start(ctx, c, "/ticks?n=4&every=1500"), 0);
    for (int i = 0; i < 4; i++) {
        snprintf(event, sizeof(event), "event: tick\ndata: %d\n\n", i);
        T_CHECK(t_until(ctx, c, event) != NULL);
        T_EQ(gee_now_ms() - begin, 1500 * i);
    }
    T_CHECK(t_until(ctx, c, "\r\n0\r\n\r\n") != NULL); /* with the last tick */
    T_EQ(gee_now_ms() - begin, 4500);
    T_CHECK(strstr(t_text(c), "Content-Type: text/event-stream\r\n") != NULL);
    T_CHECK(strstr(t_text(c), "Cache-Control: no-cache\r\n") != NULL);
    T_CHECK(strstr(t_text(c), "Transfer-Encoding: chunked\r\n") != NULL);
    T_RC(atomic_load(&ended_with), 0);
    t_drop(c);
    T_EQ(t_get(ctx, c, "/own"), 206); /* the connection goes on */
    T_STR(t_body(c), "abc");
    T_STR(t_field(c, "content-type"), "text/mine");
    T_EQ(t_get(ctx, c, "/nothing"), 200);
    T_STR(t_body(c), "");
}

T_SITE(test_ticks, routes)

static const char *const frames[][2] = {
    {"data=x", "data: x\n\n"},
    {"data=", "data: \n\n"},
    {"event=e&data=x", "event: e\ndata: x\n\n"},
    {"data=a%0Ab", "data: a\ndata: b\n\n"},
    {"data=a%0Db", "data: a\ndata: b\n\n"},
    {"data=a%0D%0Ab", "data: a\ndata: b\n\n"},
    {"data=a%0A%0D%0Ab", "data: a\ndata: \ndata: b\n\n"},
    {"data=a%0A", "data: a\ndata: \n\n"},
    {"data=%0A", "data: \ndata: \n\n"},
    {"data=a%0A%0Aevent:+x", "data: a\ndata: \ndata: event: x\n\n"},
    {"data=+a", "data:  a\n\n"},
    {"event=a%0Ab&data=x", "data: refused\n\n"},
    {"event=a%0Db&data=x", "data: refused\n\n"},
    {"event=a%0A&data=x", "data: refused\n\n"},
};

static void test_framing_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[64];
    (void)port;
    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        snprintf(target, sizeof(target), "/framed?%s", frames[i][0]);
        T_EQ(t_get(ctx, c, target), 200);
        if (strcmp(t_body(c), frames[i][1]) != 0)
            T_FAIL("%s: \"%s\", not \"%s\"", target, t_body(c), frames[i][1]);
    }
}

T_SITE(test_framing, routes)

/* --- a client that goes --- */

enum how { RESET, CLOSE, HALF, HOWS };

struct leave {
    const char *target;
    int rc[HOWS]; /* of gee_stream */
};

static const struct leave leaves[] = {
    {"/ticks?n=100&every=60000", {UV_ECANCELED, UV_ECANCELED, UV_ECANCELED}},
    {"/idle", {UV_ECANCELED, UV_ECANCELED, UV_ECANCELED}},
    {"/flood", {UV_ECONNRESET, UV_ECONNRESET, UV_ECANCELED}},
};

/* Whatever the stream does when its client goes, nothing of it is there at that very time. */
static void leave(gee_ctx *ctx, int port, const struct leave *l, enum how how) {
    gee_census before, now;
    char diff[256];
    gee_census_take(&before);
    t_conn *c = t_dial(port, 0);
    T_CHECK(c != NULL);
    T_RC(start(ctx, c, l->target), 0);
    atomic_store(&ended_with, 1);
    gee_sleep(ctx, 10500);
    T_EQ(atomic_load(&ended_with), 1);
    long long left_at = (long long)gee_now_ms();
    if (how == HALF) {
        t_half_close(c);
        gee_sleep(ctx, 1);
    }
    if (how == RESET)
        t_reset(ctx, c);
    else
        t_close(ctx, c);
    gee_sleep(ctx, 1);
    gee_census_take(&now);
    if (*t_census_diff(&before, &now, diff, sizeof(diff)))
        T_FAIL("%s, left by %d: %s", l->target, how, diff);
    T_EQ(atomic_load(&ended_at), left_at);
    if (atomic_load(&ended_with) != l->rc[how])
        T_FAIL("%s, left by %d: %s", l->target, how, t_err(atomic_load(&ended_with)));
}

static void test_leave_body(gee_ctx *ctx, t_conn *c, int port) {
    T_EQ(t_get(ctx, c, "/nothing"), 200);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(*leaves); i++)
        for (int how = 0; how < HOWS; how++)
            leave(ctx, port, &leaves[i], how);
}

static const gee_limits patient = {.idle_ms = 3600 * 1000};

T_SITE_WITH(test_leave, routes, &patient, 0)

/* It asked for a stream behind another request, and was gone before its turn came. */
static void test_leave_in_pipeline_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    T_EQ(t_get(ctx, c, "/nothing"), 200);
    gee_census_take(&before);
    t_conn *d = t_dial(port, 0);
    T_RC(t_puts(ctx, d,
                "GET /ticks?n=2&every=1000 HTTP/1.1\r\nHost: t\r\n\r\n"
                "GET /idle HTTP/1.1\r\nHost: t\r\n\r\n"),
         0);
    gee_sleep(ctx, 500);
    t_half_close(d);
    gee_sleep(ctx, 1000);
    t_close(ctx, d);
    gee_sleep(ctx, 1);
    gee_census_take(&now);
    T_EQ(now.tasks, before.tasks);
    T_EQ(now.conns, before.conns);
    T_EQ(now.reqs, before.reqs);
}

T_SITE(test_leave_in_pipeline, routes)

/* The client stays, and takes nothing. */
static void test_stuck_client_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    (void)port;
    gee_census_take(&before);
    T_RC(start(ctx, c, "/flood"), 0);
    uint64_t begin = gee_now_ms();
    gee_sleep(ctx, 40000);
    T_RC(atomic_load(&ended_with), UV_ETIMEDOUT);
    T_EQ(atomic_load(&ended_at) - (long long)begin, 30000);
    gee_census_take(&now);
    T_EQ(now.tasks, before.tasks);
    T_EQ(now.reqs, 0);
}

T_SITE(test_stuck_client, routes)

/* A ctx with a deadline, put in front of the stream. */
static void test_deadline_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t begin = gee_now_ms();
    T_RC(t_get(ctx, c, "/soon/ticks?n=100&every=1000"), UV_EOF); /* cut: there is no last chunk */
    T_STR(t_body(c), "event: tick\ndata: 0\n\nevent: tick\ndata: 1\n\nevent: tick\ndata: 2\n\n");
    T_RC(atomic_load(&ended_with), UV_ETIMEDOUT);
    T_EQ(gee_now_ms() - begin, 2500);
    t_conn *d = t_dial(port, 0);
    T_RC(start(ctx, d, "/soon/flood"), 0);
    gee_sleep(ctx, 3000);
    int rc = atomic_load(&ended_with);
    t_close(ctx, d);
    T_RC(rc, UV_ETIMEDOUT);
    T_EQ(atomic_load(&ended_at) - (long long)begin, 5000);
}

T_SITE(test_deadline, routes)

/* HEAD has the stream's headers, and no stream. */
static void test_head_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t begin = gee_now_ms();
    (void)port;
    T_RC(t_puts(ctx, c, "HEAD /ticks?n=100&every=1000 HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, "Content-Type: text/event-stream\r\n"));
    T_CHECK(t_until(ctx, c, "\r\n\r\n"));
    t_drop(c);
    T_EQ(t_get(ctx, c, "/ticks?n=1&every=1000"), 200);
    T_STR(t_body(c), "event: tick\ndata: 0\n\n");
    T_CHECK(gee_now_ms() - begin < 2000);
}

T_SITE(test_head, routes)

/* --- many at once --- */

enum { MANY = 40 };

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* Stream i ticks every i + 1 ms for 100 ticks; those with an odd i are left after 50 ms. */
static void test_many_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *conns[MANY];
    gee_census before, now;
    char target[64], last[32];
    T_EQ(t_get(ctx, c, "/nothing"), 200);
    gee_census_take(&before);
    for (int i = 0; i < MANY; i++) {
        conns[i] = t_dial(port, 0);
        snprintf(target, sizeof(target), "/ticks?n=100&every=%d", i + 1);
        T_RC(start(ctx, conns[i], target), 0);
    }
    gee_sleep(ctx, 50);
    gee_census_take(&now);
    T_EQ(now.reqs - before.reqs, MANY);
    for (int i = 1; i < MANY; i += 2)
        t_reset(ctx, conns[i]);
    gee_sleep(ctx, 1);
    gee_census_take(&now);
    T_EQ(now.reqs - before.reqs, MANY / 2);
    for (int i = 0; i < MANY; i += 2) {
        snprintf(last, sizeof(last), "data: 99\n\n\r\n0\r\n\r\n");
        const char *end = t_until(ctx, conns[i], last);
        int ticks_seen = count(t_text(conns[i]), "event: tick\n");
        t_close(ctx, conns[i]);
        T_CHECK(end != NULL);
        T_EQ(ticks_seen, 100);
    }
    gee_sleep(ctx, 1);
    gee_census_take(&now);
    T_EQ(now.tasks, before.tasks);
    T_EQ(now.timers, before.timers);
    T_EQ(now.conns, before.conns);
}

T_SITE(test_many, routes)

static void shutdown_body(gee_ctx *ctx, void *arg) {
    gee_limits limits = {.drain_ms = 300};
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    (void)arg;
    routes(gee_root(e));
    T_RC(gee_listen(e, "", 0, &limits, &srv), 0);
    t_conn *c = t_dial(gee_server_port(srv), 0);
    T_RC(start(ctx, c, "/idle"), 0);
    uint64_t begin = gee_now_ms();
    int rc = gee_server_shutdown(srv);
    gee_engine_free(e);
    bool whole = strstr(t_all(ctx, c), "\r\n\r\n0\r\n\r\n") != NULL;
    t_close(ctx, c);
    T_RC(rc, 0);
    T_CHECK(!whole);               /* the stream did not end by itself, and its client can tell */
    T_EQ(gee_now_ms() - begin, 0); /* nobody waits for a stream */
    T_RC(atomic_load(&ended_with), UV_ECANCELED);
}

static void test_shutdown(void **state) {
    (void)state;
    t_sim(shutdown_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ticks),        cmocka_unit_test(test_framing),
    cmocka_unit_test(test_leave),        cmocka_unit_test(test_leave_in_pipeline),
    cmocka_unit_test(test_stuck_client), cmocka_unit_test(test_deadline),
    cmocka_unit_test(test_many),         cmocka_unit_test(test_shutdown),
    cmocka_unit_test(test_head),
};

T_MAIN(tests)
