/*
 * What a connection holds: a parser while a message comes, buffers while there is something in
 * them, an arena while there is a request. Between two requests it holds nothing of this, and
 * while a stream is parked no more than the request.
 */
#include "base/tools.h"
#include "t_site.h"
#include "web/web.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct held {
    bool parser, request, lingering;
    size_t in, out, arena; /* bytes */
};

static _Atomic(gee_conn *) conn; /* of the latest request */
static atomic_bool parser_in_handler;

/* What is not this task's, of one worker all the same. */
static struct held held(const gee_conn *c) {
    gee_tsan_ignore_begin();
    struct held h = {.parser = c->parser != NULL,
                     .request = c->x != NULL,
                     .lingering = c->lingering,
                     .in = c->in.cap,
                     .out = c->out.cap,
                     .arena = gee_arena_bytes(&c->arena)};
    gee_tsan_ignore_end();
    return h;
}

static void note(gee_req *req) {
    atomic_store(&conn, req->x.conn);
    atomic_store(&parser_in_handler, held(req->x.conn).parser);
}

static void hello(gee_req *req) {
    note(req);
    gee_string(req, 200, "hello");
}

static void echo(gee_req *req) {
    const char *data;
    size_t n;
    note(req);
    int rc = gee_body(req, &data, &n);
    if (rc == 0 && held(req->x.conn).parser)
        gee_string(req, 500, "the whole message has come, and there is a parser");
    else if (rc == 0)
        gee_data(req, 200, "text/plain", data, n);
}

static int64_t tick(gee_req *req, void *arg) {
    (void)arg;
    note(req);
    gee_sse_event(req, NULL, "tick");
    return 1000;
}

static void stream(gee_req *req) {
    gee_sse(req, tick, NULL);
}

static void routes(gee_group *root) {
    gee_GET(root, "/hello", hello);
    gee_POST(root, "/echo", echo);
    gee_GET(root, "/stream", stream);
    conn = NULL;
}

#define HELLO "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
#define T_NO_BUFFERS()               \
    do {                             \
        struct held h_ = held(conn); \
        T_EQ(h_.in, 0);              \
        T_EQ(h_.out, 0);             \
        T_CHECK(!h_.parser);         \
    } while (0)
#define T_HOLDS_NOTHING()             \
    do {                              \
        T_NO_BUFFERS();               \
        T_CHECK(!held(conn).request); \
        T_EQ(held(conn).arena, 0);    \
    } while (0)

static void test_between_two_requests_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (int i = 0; i < 3; i++) {
        T_EQ(t_get(ctx, c, "/hello"), 200);
        gee_sleep(ctx, 1);
        T_CHECK(!parser_in_handler); /* its message is complete */
        T_HOLDS_NOTHING();
    }
}

T_SITE(test_between_two_requests, routes)

static void test_while_a_message_comes_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/hello"), 200);
    T_RC(t_puts(ctx, c, "POST /echo HTTP/1.1\r\nHo"), 0);
    gee_sleep(ctx, 1);
    T_CHECK(held(conn).parser); /* half a head */
    T_RC(t_puts(ctx, c, "st: t\r\nContent-Length: 4\r\n\r\nab"), 0);
    gee_sleep(ctx, 1);
    T_CHECK(held(conn).parser && parser_in_handler); /* half a body */
    T_RC(t_puts(ctx, c, "cd"), 0);
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "abcd");
    gee_sleep(ctx, 1);
    T_HOLDS_NOTHING();
}

T_SITE(test_while_a_message_comes, routes)

/* What waits in a row needs a buffer, which may have become large, until the last of it is parsed.
 */
static void test_behind_pipelined_requests_body(gee_ctx *ctx, t_conn *c, int port) {
    enum { IN_A_ROW = 400 };
    (void)port;
    for (int i = 0; i < IN_A_ROW; i++)
        T_RC(t_puts(ctx, c, HELLO), 0);
    for (int i = 0; i < IN_A_ROW; i++)
        T_EQ(t_response(ctx, c), 200);
    gee_sleep(ctx, 1);
    T_HOLDS_NOTHING();
    T_RC(t_puts(ctx, c, HELLO "GET /hel"), 0);
    T_EQ(t_response(ctx, c), 200);
    gee_sleep(ctx, 1);
    T_CHECK(held(conn).parser && held(conn).in == 0); /* the parser has seen all there is */
    T_RC(t_puts(ctx, c, "lo HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    T_EQ(t_response(ctx, c), 200);
    gee_sleep(ctx, 1);
    T_HOLDS_NOTHING();
}

T_SITE(test_behind_pipelined_requests, routes)

static void test_while_a_stream_is_parked_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (int i = 0; i < 20; i++)
        T_RC(t_puts(ctx, c, HELLO), 0);
    T_RC(t_puts(ctx, c, "GET /stream HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, "tick") != NULL);
    t_drop(c);
    for (int i = 0; i < 3; i++) {
        gee_sleep(ctx, 500); /* between two events */
        T_NO_BUFFERS();
        T_CHECK(!parser_in_handler);
        gee_sleep(ctx, 500);
    }
    t_reset(ctx, c);
}

/* The body closes c itself, in the other order than T_SITE would. */
static void stream_body(gee_ctx *ctx, t_conn *none, int port) {
    (void)none;
    test_while_a_stream_is_parked_body(ctx, t_dial(port, 0), port);
}

static void test_while_a_stream_is_parked(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, stream_body, NULL, 0});
}

/* Refused, and lingering until the client has read why. */
static void test_behind_bad_input_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/hello"), 200);
    T_RC(t_puts(ctx, c, "GET /hello HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n"), 0);
    T_EQ(t_response(ctx, c), 400);
    gee_sleep(ctx, 1);
    T_CHECK(held(conn).lingering);
    T_NO_BUFFERS();
    T_EQ(held(conn).arena, 0);
}

T_SITE(test_behind_bad_input, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_between_two_requests),
    cmocka_unit_test(test_while_a_message_comes),
    cmocka_unit_test(test_behind_pipelined_requests),
    cmocka_unit_test(test_while_a_stream_is_parked),
    cmocka_unit_test(test_behind_bad_input),
};

T_MAIN(tests)
