/* The HTTP server on the wire, in simulation. */
#include "t_http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello %s\n", gee_param(req, "name"));
}

static void sleeper(gee_req *req) {
    int rc = gee_sleep(gee_req_ctx(req), 60000);
    gee_string(req, rc == 0 ? 200 : 500, "%s cause %s", uv_err_name(rc),
               uv_err_name(gee_ctx_cause(gee_req_ctx(req))));
}

static void echo(gee_req *req) {
    const char *body;
    size_t n;
    int rc = gee_body(req, &body, &n);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_data(req, 200, "application/octet-stream", body, n);
}

static void host(gee_req *req) {
    gee_string(req, 200, "%s", gee_header(req, "Host"));
}

static void nothing(gee_req *req) {
    (void)req;
}

/* n bytes in pieces of a size that is no power of two. */
static void flood(gee_req *req) {
    static char block[7000];
    size_t left = strtoul(gee_query(req, "n"), NULL, 10);
    memset(block, 'x', sizeof(block));
    while (left > 0) {
        size_t n = left < sizeof(block) ? left : sizeof(block);
        if (gee_write(req, block, n) < 0)
            return;
        left -= n;
    }
}

typedef struct site {
    gee_engine *e;
    gee_server *srv;
    int port;
} site;

static int open_site(site *s, const gee_limits *limits) {
    s->e = gee_engine_new();
    gee_group *r = gee_root(s->e);
    gee_GET(r, "/hello/:name", hello);
    gee_GET(r, "/host", host);
    gee_GET(r, "/sleep", sleeper);
    gee_POST(r, "/echo", echo);
    gee_POST(r, "/ignore", nothing);
    gee_GET(r, "/flood", flood);
    int rc = gee_listen(s->e, "127.0.0.1", 0, limits, &s->srv);
    s->port = rc < 0 ? 0 : gee_server_port(s->srv);
    return rc;
}

static int close_site(site *s) {
    int rc = gee_server_shutdown(s->srv);
    gee_engine_free(s->e);
    return rc;
}

#define BODY(name, limits, code)                       \
    static void name##_body(gee_ctx *ctx, void *arg) { \
        site s;                                        \
        (void)arg;                                     \
        T_RC(open_site(&s, limits), 0);                \
        t_conn *c = t_dial(s.port, 0);                 \
        T_CHECK(c != NULL);                            \
        code;                                          \
        t_close(ctx, c);                               \
        T_RC(close_site(&s), 0);                       \
    }                                                  \
    static void name(void **state) {                   \
        (void)state;                                   \
        t_sim(name##_body, NULL);                      \
    }

static const gee_limits small = {
    .head_bytes = 300, .uri_bytes = 100, .headers = 5, .body_bytes = 10};

#define X20  "xxxxxxxxxxxxxxxxxxxx"
#define X100 X20 X20 X20 X20 X20

BODY(test_keep_alive, NULL, {
    for (int i = 0; i < 3; i++) {
        T_EQ(t_get(ctx, c, "/hello/gee"), 200);
        T_STR(t_body(c), "hello gee\n");
        T_STR(t_field(c, "content-length"), "10");
        T_STR(t_field(c, "date"), "Thu, 01 Jan 2026 00:00:00 GMT");
    }
    T_EQ(t_get(ctx, c, "/nowhere"), 404);
    T_EQ(t_get(ctx, c, "/echo"), 405);
    T_STR(t_field(c, "allow"), "POST, OPTIONS");
})

BODY(test_pipelined, NULL, {
    T_RC(t_puts(ctx, c,
                "GET /hello/a HTTP/1.1\r\nHost: t\r\n\r\nGET /hello/b HTTP/1.1\r\nHost: t\r\n\r\n"
                "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
                "GET /hello/c HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"),
         0);
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "hello a\n");
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "hello b\n");
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "abc");
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "hello c\n");
    T_STR(t_field(c, "connection"), "close");
    T_EQ(t_more(ctx, c), 0);
})

BODY(test_byte_by_byte, NULL, {
    const char *text = "POST /echo?x=%41 HTTP/1.1\r\nHost: t\r\nX-Long-Name: some value\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n";
    for (const char *at = text; *at; at++)
        T_RC(t_send(ctx, c, at, 1), 0);
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "abcdefg");
})

BODY(test_expect_continue, NULL, {
    T_RC(t_puts(
             ctx, c,
             "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
         0);
    T_EQ(t_response(ctx, c), 100);
    T_RC(t_puts(ctx, c, "ok"), 0);
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "ok");
    /* A handler that does not want the body does not ask for it. */
    T_RC(t_puts(ctx, c,
                "POST /ignore HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: "
                "2\r\n\r\n"),
         0);
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_field(c, "connection"), "close"); /* nobody knows what the client sends next */
    T_EQ(t_more(ctx, c), 0);
})

BODY(test_http10, NULL, {
    T_RC(t_puts(ctx, c, "GET /flood?n=20000 HTTP/1.0\r\n\r\n"), 0);
    const char *all = t_all(ctx, c);
    const char *end = strstr(all, "\r\n\r\n");
    T_CHECK(end != NULL);
    T_CHECK(strstr(all, "chunked") == NULL);
    T_EQ(strlen(end + 4), 20000);
})

BODY(test_http10_keep_alive, NULL, {
    for (int i = 0; i < 2; i++) {
        T_RC(t_puts(ctx, c, "GET /hello/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 0);
        T_EQ(t_response(ctx, c), 200);
        T_STR(t_field(c, "connection"), "keep-alive");
    }
})

/* RFC 9112, 3.2.2: a target with a host of its own is what counts. */
BODY(test_host_of_an_absolute_target, NULL, {
    T_RC(t_puts(ctx, c,
                "GET http://other.example:81/host HTTP/1.1\r\nHost: t\r\n\r\n"
                "GET /host HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"
                "GET HTTP://a/host HTTP/1.0\r\n\r\n"),
         0);
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "other.example:81");
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "[::1]:80");
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "a");
})

BODY(test_head, NULL, {
    T_RC(t_puts(ctx, c, "HEAD /hello/gee HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, "Content-Length: 10\r\n\r\n") != NULL);
    t_drop(c);
    T_RC(t_puts(ctx, c, "HEAD /flood?n=20000 HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, "Transfer-Encoding: chunked\r\n\r\n") != NULL);
    t_drop(c);
    T_EQ(t_get(ctx, c, "/hello/gee"), 200); /* and no byte of a body came before it */
    T_STR(t_body(c), "hello gee\n");
})

/* RFC 9110, 9.3.2: its answer has no body, also where the request is refused. */
static const char *const bad_heads[] = {
    "HEAD /hello/x HTTP/1.1\r\n\r\n",
    "HEAD /hello/x HTTP/1.1\r\nHost: t\r\nA b\r\n\r\n",
    "HEAD /hello/x#y HTTP/1.1\r\nHost: t\r\n\r\n",
    "HEAD /" X100 " HTTP/1.1\r\nHost: t\r\n\r\n",
    "HEAD /hello/x HTTP/2.0\r\nHost: t\r\n\r\n",
    "HEAD /hello/x HTTP/1.1\r\nHo",
};

BODY(test_a_head_that_is_refused, &small, {
    for (size_t i = 0; i < sizeof(bad_heads) / sizeof(*bad_heads); i++) {
        t_conn *b = t_dial(s.port, 0);
        T_RC(t_puts(ctx, b, bad_heads[i]), 0);
        t_half_close(b);
        const char *end = strstr(t_all(ctx, b), "\r\n\r\n");
        T_CHECK(end != NULL && strstr(t_text(b), "Content-Length: ") != NULL);
        T_STR(end + 4, "");
        t_close(ctx, b);
    }
})

BODY(test_chunked_out, NULL, {
    T_EQ(t_get(ctx, c, "/flood?n=100000"), 200);
    T_EQ(strlen(t_body(c)), 100000);
    T_EQ(t_get(ctx, c, "/flood?n=3"), 200);
    T_STR(t_body(c), "xxx");
})

/* Mid-sleep: the handler is told at once, and the half-closed client still gets its answer. */
BODY(test_client_leaves, NULL, {
    uint64_t start = gee_now_ms();
    T_RC(t_puts(ctx, c, "GET /sleep HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    gee_sleep(ctx, 1000);
    t_half_close(c);
    T_EQ(t_response(ctx, c), 500);
    T_STR(t_body(c), "ECANCELED cause EOF");
    T_EQ(gee_now_ms() - start, 1000);
    T_EQ(t_more(ctx, c), 0);
})

static void reset_body(gee_ctx *ctx, void *arg) {
    site s;
    gee_census before, now;
    (void)arg;
    T_RC(open_site(&s, NULL), 0);
    gee_census_take(&before);
    t_conn *c = t_dial(s.port, 0);
    T_RC(t_puts(ctx, c, "GET /sleep HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    gee_sleep(ctx, 1000);
    t_reset(ctx, c);
    gee_sleep(ctx, 0);
    gee_census_take(&now);
    T_EQ(now.tasks, before.tasks);
    T_EQ(now.conns, before.conns);
    T_RC(close_site(&s), 0);
}

static void test_reset(void **state) {
    (void)state;
    t_sim(reset_body, NULL);
}

/* A client that does not read: its writer parks, memory stays, and the deadline ends it. */
BODY(test_back_pressure, NULL, {
    gee_census before;
    gee_census now;
    gee_census_take(&before);
    T_RC(t_puts(ctx, c, "GET /flood?n=50000000 HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    gee_sleep(ctx, 29000);
    gee_census_take(&now);
    T_EQ(now.reqs, 1);
    T_CHECK(now.bytes - before.bytes < 200 * 1024);
    gee_sleep(ctx, 2000);
    gee_census_take(&now);
    T_EQ(now.reqs, 0);
    T_EQ(now.tasks, before.tasks);
})

BODY(test_slow_head, NULL, {
    uint64_t start = gee_now_ms();
    T_RC(t_puts(ctx, c, "GET /hello/x HTTP/1.1\r\nHo"), 0);
    T_EQ(t_response(ctx, c), 408);
    T_EQ(gee_now_ms() - start, 10000);
    T_EQ(t_more(ctx, c), 0);
})

BODY(test_slow_second_head, NULL, {
    T_EQ(t_get(ctx, c, "/hello/x"), 200);
    gee_sleep(ctx, 5000);
    uint64_t start = gee_now_ms();
    T_RC(t_puts(ctx, c, "GET /hel"), 0);
    T_EQ(t_response(ctx, c), 408);
    T_EQ(gee_now_ms() - start, 10000);
})

BODY(test_idle, NULL, {
    T_EQ(t_get(ctx, c, "/hello/x"), 200);
    uint64_t start = gee_now_ms();
    T_EQ(t_more(ctx, c), 0);
    T_EQ(gee_now_ms() - start, 60000);
})

BODY(test_slow_body, NULL, {
    uint64_t start = gee_now_ms();
    T_RC(t_puts(ctx, c, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc"), 0);
    T_EQ(t_response(ctx, c), 408);
    T_EQ(gee_now_ms() - start, 30000);
    T_EQ(t_more(ctx, c), 0);
})

BODY(test_body_in_pieces, NULL, {
    T_RC(t_puts(ctx, c, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n"), 0);
    for (int i = 0; i < 3; i++) {
        gee_sleep(ctx, 29000);
        T_RC(t_puts(ctx, c, "abc"), 0);
    }
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "abcabcabc");
})

/* A body that the handler leaves is read over, and the connection goes on. */
BODY(test_unread_body, NULL, {
    static char big[100000];
    T_RC(t_puts(ctx, c, "POST /ignore HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n"), 0);
    T_RC(t_send(ctx, c, big, sizeof(big)), 0);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(t_get(ctx, c, "/hello/x"), 200);
})

typedef struct refusal {
    const char *what, *request;
    int status;
} refusal;

#define HOST "Host: t\r\n"

static const refusal refusals[] = {
    {"garbage", "\x16\x03\x01garbage\r\n\r\n", 400},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"no colon", "GET / HTTP/1.1\r\nHost t\r\n\r\n", 400},
    {"length and chunks",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"two lengths", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
     400},
    {"chunks in 1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"bad chunk", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
    {"long uri", "GET /" X100 " HTTP/1.1\r\n" HOST "\r\n", 414},
    {"many headers", "GET / HTTP/1.1\r\n" HOST "a: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\n\r\n", 431},
    {"large head", "GET / HTTP/1.1\r\n" HOST "a: " X100 X100 X100 "\r\n\r\n", 431},
    {"large body", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n", 413},
    {"large chunks",
     "POST /echo HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n",
     413},
    {"dot segment", "GET /hello/../x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"hidden dot segment", "GET /hello/%2e%2e/x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"bad escape", "GET /hello/%zz HTTP/1.1\r\n" HOST "\r\n", 400},
    {"zero byte", "GET /hello/%00 HTTP/1.1\r\n" HOST "\r\n", 400},
};

static void refusal_body(gee_ctx *ctx, void *arg) {
    site s;
    (void)arg;
    T_RC(open_site(&s, &small), 0);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        const refusal *r = &refusals[i];
        t_conn *c = t_dial(s.port, 0);
        T_RC(t_puts(ctx, c, r->request), 0);
        int status = t_response(ctx, c);
        if (status != r->status)
            T_FAIL("%s: %d, not %d", r->what, status, r->status);
        T_CHECK(t_field(c, "date") != NULL);
        T_CHECK(t_field(c, "content-length") != NULL);
        t_close(ctx, c);
    }
    T_RC(close_site(&s), 0);
}

static void test_refusals(void **state) {
    (void)state;
    t_sim(refusal_body, NULL);
}

static void drain_body(gee_ctx *ctx, void *arg) {
    site s;
    (void)arg;
    T_RC(open_site(&s, NULL), 0);
    t_conn *idle = t_dial(s.port, 0), *busy = t_dial(s.port, 0);
    T_EQ(t_get(ctx, idle, "/hello/x"), 200);
    T_RC(t_puts(ctx, busy, "GET /sleep HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    gee_sleep(ctx, 1);
    uint64_t start = gee_now_ms();
    T_RC(gee_server_shutdown(s.srv), 0); /* the sleeper is cancelled after drain_ms and answers */
    T_EQ(gee_now_ms() - start, 10000);
    T_EQ(t_response(ctx, busy), 500);
    T_STR(t_body(busy), "ECANCELED cause ESHUTDOWN");
    T_EQ(t_more(ctx, idle), 0);
    T_CHECK(t_dial(s.port, 0) == NULL);
    t_close(ctx, idle);
    t_close(ctx, busy);
    gee_engine_free(s.e);
}

static void test_drain(void **state) {
    (void)state;
    t_sim(drain_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keep_alive),
    cmocka_unit_test(test_pipelined),
    cmocka_unit_test(test_byte_by_byte),
    cmocka_unit_test(test_expect_continue),
    cmocka_unit_test(test_http10),
    cmocka_unit_test(test_http10_keep_alive),
    cmocka_unit_test(test_host_of_an_absolute_target),
    cmocka_unit_test(test_head),
    cmocka_unit_test(test_a_head_that_is_refused),
    cmocka_unit_test(test_chunked_out),
    cmocka_unit_test(test_client_leaves),
    cmocka_unit_test(test_reset),
    cmocka_unit_test(test_back_pressure),
    cmocka_unit_test(test_slow_head),
    cmocka_unit_test(test_slow_second_head),
    cmocka_unit_test(test_idle),
    cmocka_unit_test(test_slow_body),
    cmocka_unit_test(test_body_in_pieces),
    cmocka_unit_test(test_unread_body),
    cmocka_unit_test(test_refusals),
    cmocka_unit_test(test_drain),
};

T_MAIN(tests)
