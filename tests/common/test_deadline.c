/*
 * The deadlines of a connection, for each of its requests and not only for the first; in
 * virtual time. What clients do to stretch them: test_slow_client.c.
 */
#include "t_site.h"
#include <string.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

/* Longer than any deadline of a connection: what a handler does is not the client's fault. */
static void slow(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 100 * 1000) == 0)
        gee_string(req, 200, "slow\n");
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

static void ignore(gee_req *req) {
    gee_string(req, 200, "ignored\n");
}

static _Atomic int read_rc; /* what the reading of a body behind the head came to */

static void late_reader(gee_req *req) {
    char piece[64];
    int rc = gee_flush(req);
    while (rc >= 0 && (rc = (int)gee_body_read(req, piece, sizeof(piece))) > 0)
        ;
    read_rc = rc;
}

struct reading {
    gee_req *req;
    int rc;
    gee_waitgroup over;
};

static void read_one(gee_ctx *ctx, void *arg) {
    struct reading *r = arg;
    char byte;
    (void)ctx;
    r->rc = (int)gee_body_read(r->req, &byte, 1);
    gee_waitgroup_done(&r->over);
}

static _Atomic int second_rc; /* of a task that reads while another waits */

static void two_readers(gee_req *req) {
    struct reading first = {.req = req};
    char byte;
    gee_waitgroup_add(&first.over, 1);
    gee_go(gee_req_ctx(req), read_one, &first);
    gee_sleep(gee_req_ctx(req), 10 * 1000);
    second_rc = (int)gee_body_read(req, &byte, 1);
    gee_waitgroup_wait(NULL, &first.over);
    gee_string(req, 200, "%s\n", uv_err_name(first.rc));
}

static void page(gee_req *req) {
    char text[8000];
    memset(text, 'x', sizeof(text));
    gee_data(req, 200, "text/plain", text, sizeof(text));
}

static void routes(gee_group *r) {
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/slow", slow);
    gee_GET(r, "/page", page);
    gee_POST(r, "/echo", echo);
    gee_POST(r, "/ignore", ignore);
    gee_POST(r, "/late", late_reader);
    gee_POST(r, "/two", two_readers);
}

static uint64_t start_ms;

/* The next thing that the server says is that the head was late, `s` seconds after start_ms. */
static void is_408_after(gee_ctx *ctx, t_conn *c, int s) {
    T_EQ(t_response(ctx, c), 408);
    T_EQ(gee_now_ms() - start_ms, s * 1000);
    T_STR(t_field(c, "connection"), "close");
    T_RC(t_more(ctx, c), 0);
}

static void is_closed_after(gee_ctx *ctx, t_conn *c, int s) {
    T_STR(t_all(ctx, c), "");
    T_EQ(gee_now_ms() - start_ms, s * 1000);
}

static void test_a_next_head_has_its_time_from_its_first_byte_body(gee_ctx *ctx, t_conn *c,
                                                                   int port) {
    (void)port;
    for (int i = 0; i < 3; i++) {
        T_EQ(t_get(ctx, c, "/hello"), 200);
        gee_sleep(ctx, 59 * 1000);
    }
    T_RC(t_puts(ctx, c, "G"), 0);
    start_ms = gee_now_ms();
    for (const char *at = "ET /hello"; *at; at++) { /* no byte moves it */
        gee_sleep(ctx, 1000);
        T_RC(t_send(ctx, c, at, 1), 0);
    }
    is_408_after(ctx, c, 10);
}

static void test_a_next_head_that_is_whole_in_time_is_served_body(gee_ctx *ctx, t_conn *c,
                                                                  int port) {
    (void)port;
    for (int i = 0; i < 3; i++) {
        T_RC(t_puts(ctx, c, "GET /hello HTTP/1.1\r\n"), 0);
        gee_sleep(ctx, 9999);
        T_RC(t_puts(ctx, c, "Host: t\r\n\r\n"), 0);
        T_EQ(t_response(ctx, c), 200);
        gee_sleep(ctx, 59 * 1000);
    }
}

static void test_idle_runs_from_each_answer_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (int i = 0; i < 5; i++) {
        T_EQ(t_get(ctx, c, "/hello"), 200);
        gee_sleep(ctx, 59 * 1000);
    }
    T_EQ(t_get(ctx, c, "/slow"), 200); /* not from the request */
    start_ms = gee_now_ms();
    is_closed_after(ctx, c, 60);
}

static void test_half_a_head_behind_a_request_has_its_time_from_the_answer_body(gee_ctx *ctx,
                                                                                t_conn *c,
                                                                                int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "GET /slow HTTP/1.1\r\nHost: t\r\n\r\nGET /hel"), 0);
    T_EQ(t_response(ctx, c), 200);
    start_ms = gee_now_ms();
    is_408_after(ctx, c, 10);
}

static void test_a_handler_has_no_deadline_of_the_connection_body(gee_ctx *ctx, t_conn *c,
                                                                  int port) {
    (void)port;
    for (int i = 0; i < 2; i++) {
        start_ms = gee_now_ms();
        T_EQ(t_get(ctx, c, "/slow"), 200);
        T_EQ(gee_now_ms() - start_ms, 100 * 1000);
    }
}

/* The piece that came is no longer waited for, and what comes behind it is idleness. */
static void test_a_body_that_came_leaves_no_deadline_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (int i = 0; i < 2; i++) {
        T_RC(t_puts(ctx, c, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na"), 0);
        gee_sleep(ctx, 29 * 1000);
        T_RC(t_puts(ctx, c, "b"), 0);
        T_EQ(t_response(ctx, c), 200);
        start_ms = gee_now_ms();
        gee_sleep(ctx, 59 * 1000);
    }
    is_closed_after(ctx, c, 60);
}

/* Who is refused does not move what another waits for. */
static void test_a_second_reader_is_refused_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    start_ms = gee_now_ms();
    T_RC(t_puts(ctx, c, "POST /two HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n"), 0);
    T_EQ(t_response(ctx, c), 200);
    T_RC(second_rc, UV_EBUSY);
    T_STR(t_body(c), "ETIMEDOUT\n");
    T_EQ(gee_now_ms() - start_ms, 30 * 1000);
}

/* Whoever has taken an answer slowly is then as idle as others. */
static void test_a_slow_answer_leaves_no_deadline_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "GET /page HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    gee_sleep(ctx, 29 * 1000);
    T_EQ(t_response(ctx, c), 200);
    start_ms = gee_now_ms();
    is_closed_after(ctx, c, 60);
}

/* --- what is left of a body behind its answer --- */

#define POST(target, n) "POST " target " HTTP/1.1\r\nHost: t\r\nContent-Length: " n "\r\n"

static void test_the_rest_of_a_body_has_one_deadline_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, POST("/ignore", "1000") "\r\n"), 0);
    start_ms = gee_now_ms();
    T_EQ(t_response(ctx, c), 200);
    gee_sleep(ctx, 1);
    for (int s = 0; s < 29; s++) {
        T_RC(t_puts(ctx, c, "x"), 0);
        gee_sleep(ctx, 1000);
    }
    is_closed_after(ctx, c, 30);
}

static void test_what_is_behind_the_rest_of_a_body_is_served_body(gee_ctx *ctx, t_conn *c,
                                                                  int port) {
    (void)port;
    for (int i = 0; i < 3; i++) {
        T_RC(t_puts(ctx, c, POST("/ignore", "4") "\r\na"), 0);
        T_EQ(t_response(ctx, c), 200);
        gee_sleep(ctx, 29 * 1000);
        T_RC(t_puts(ctx, c, "bcd"), 0);
        T_EQ(t_get(ctx, c, "/hello"), 200);
        gee_sleep(ctx, 59 * 1000); /* that deadline is no more */
    }
}

static void test_who_half_closes_in_the_rest_is_closed_at_once_body(gee_ctx *ctx, t_conn *c,
                                                                    int port) {
    (void)port;
    T_RC(t_puts(ctx, c, POST("/ignore", "4") "\r\na"), 0);
    T_EQ(t_response(ctx, c), 200);
    gee_sleep(ctx, 1000);
    start_ms = gee_now_ms();
    t_half_close(c);
    is_closed_after(ctx, c, 0);
}

/* The end of it is not to be found any more. */
static void test_bad_chunks_in_the_rest_are_the_end_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c,
                "POST /ignore HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
         0);
    T_EQ(t_response(ctx, c), 200);
    start_ms = gee_now_ms();
    T_RC(t_puts(ctx, c, "no size\r\n"), 0);
    is_closed_after(ctx, c, 0);
}

/* Its client may wait for a 100 that does not come, since the final answer has. */
static void test_who_reads_behind_the_head_has_a_deadline_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    read_rc = 0;
    T_RC(t_puts(ctx, c, POST("/late", "4") "Expect: 100-continue\r\n\r\n"), 0);
    start_ms = gee_now_ms();
    T_CHECK(t_until(ctx, c, "HTTP/1.1 200 OK\r\n") != NULL);
    T_CHECK(strstr(t_text(c), "HTTP/1.1 100") == NULL);
    t_all(ctx, c);
    T_EQ(gee_now_ms() - start_ms, 30 * 1000);
    T_RC(read_rc, UV_ETIMEDOUT);
}

#define SITE(name) T_SITE(name, routes)
SITE(test_a_next_head_has_its_time_from_its_first_byte)
SITE(test_a_next_head_that_is_whole_in_time_is_served)
SITE(test_idle_runs_from_each_answer)
SITE(test_half_a_head_behind_a_request_has_its_time_from_the_answer)
SITE(test_a_handler_has_no_deadline_of_the_connection)
SITE(test_a_body_that_came_leaves_no_deadline)
T_SITE_WITH(test_a_slow_answer_leaves_no_deadline, routes, NULL, 2048)
SITE(test_a_second_reader_is_refused)
SITE(test_the_rest_of_a_body_has_one_deadline)
SITE(test_what_is_behind_the_rest_of_a_body_is_served)
SITE(test_who_half_closes_in_the_rest_is_closed_at_once)
SITE(test_bad_chunks_in_the_rest_are_the_end)
SITE(test_who_reads_behind_the_head_has_a_deadline)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_next_head_has_its_time_from_its_first_byte),
    cmocka_unit_test(test_a_next_head_that_is_whole_in_time_is_served),
    cmocka_unit_test(test_idle_runs_from_each_answer),
    cmocka_unit_test(test_half_a_head_behind_a_request_has_its_time_from_the_answer),
    cmocka_unit_test(test_a_handler_has_no_deadline_of_the_connection),
    cmocka_unit_test(test_a_body_that_came_leaves_no_deadline),
    cmocka_unit_test(test_a_slow_answer_leaves_no_deadline),
    cmocka_unit_test(test_a_second_reader_is_refused),
    cmocka_unit_test(test_the_rest_of_a_body_has_one_deadline),
    cmocka_unit_test(test_what_is_behind_the_rest_of_a_body_is_served),
    cmocka_unit_test(test_who_half_closes_in_the_rest_is_closed_at_once),
    cmocka_unit_test(test_bad_chunks_in_the_rest_are_the_end),
    cmocka_unit_test(test_who_reads_behind_the_head_has_a_deadline),
};

T_MAIN(tests)
