/*
 * Clients that take their time: each is bounded in memory, in time, or both, and
 * costs nobody else anything. In virtual time.
 */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 20, MIB = 1024 * 1024 };

static _Atomic int failed;     /* of the handlers below, in one test */
static _Atomic uint64_t reads; /* when the last one was over */

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

static void flood(gee_req *req) {
    static const char block[7000];
    failed = 0;
    for (int i = 0; i < 100000 && failed == 0; i++)
        failed = gee_write(req, block, sizeof(block));
}

/* One write of more than any socket takes. */
static void lump(gee_req *req) {
    char *block = calloc(4, MIB);
    failed = gee_data(req, 200, "text/plain", block, (size_t)4 * MIB);
    free(block);
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

/* Reads in one task while the request's own writes. */
struct reading {
    gee_req *req;
    gee_waitgroup over;
};

static void read_all(gee_ctx *ctx, void *arg) {
    struct reading *r = arg;
    char piece[64];
    (void)ctx;
    while (gee_body_read(r->req, piece, sizeof(piece)) > 0)
        ;
    reads = gee_now_ms();
    gee_waitgroup_done(&r->over);
}

static void both(gee_req *req) {
    struct reading r = {.req = req};
    gee_waitgroup_add(&r.over, 1);
    gee_go(gee_req_ctx(req), read_all, &r);
    flood(req);
    gee_waitgroup_wait(NULL, &r.over);
}

/* Four kilobytes, which are all the number. */
static void page(gee_req *req) {
    char text[4000];
    memset(text, *gee_param(req, "n"), sizeof(text));
    gee_data(req, 200, "text/plain", text, sizeof(text));
}

static void routes(gee_group *r) {
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/flood", flood);
    gee_GET(r, "/lump", lump);
    gee_GET(r, "/page/:n", page);
    gee_POST(r, "/echo", echo);
    gee_POST(r, "/ignore", ignore);
    gee_POST(r, "/both", both);
}

#define HEAD(method, target, fields) method " " target " HTTP/1.1\r\nHost: t\r\n" fields "\r\n"

/* --- that do not read --- */

static void test_who_never_reads_costs_a_parked_writer_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *deaf[MANY];
    gee_census before, now;
    T_EQ(t_get(ctx, c, "/hello"), 200);
    gee_census_take(&before);
    for (int i = 0; i < MANY; i++) {
        deaf[i] = t_dial(port, 4096);
        T_RC(t_puts(ctx, deaf[i], HEAD("GET", "/flood", "")), 0);
    }
    for (int s = 0; s < 29; s++) {
        gee_sleep(ctx, 1000);
        uint64_t start = gee_now_ms();
        T_EQ(t_get(ctx, c, "/hello"), 200); /* nobody else is slower for it */
        T_EQ(gee_now_ms() - start, 0);
    }
    gee_census_take(&now);
    T_EQ(now.reqs - before.reqs, MANY);
    T_CHECK((now.bytes - before.bytes) / MANY < 64 * 1024);
    gee_sleep(ctx, 2000);
    gee_census_take(&now);
    T_EQ(now.reqs, before.reqs);
    T_EQ(now.conns, before.conns);
    T_RC(failed, UV_ETIMEDOUT);
    for (int i = 0; i < MANY; i++)
        t_close(ctx, deaf[i]);
}

static void test_a_large_body_is_not_copied_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    (void)port;
    gee_census_take(&before);
    T_RC(t_puts(ctx, c, HEAD("GET", "/lump", "")), 0);
    gee_sleep(ctx, 1000);
    gee_census_take(&now);
    T_EQ(now.reqs, 1);
    T_CHECK(now.bytes - before.bytes < 200 * 1024);
    const char *end = t_until(ctx, c, "\r\n\r\n");
    size_t all = t_size(c) - (size_t)(end + 4 - t_text(c));
    for (t_drop(c); all < (size_t)4 * MIB; t_drop(c)) { /* 64 KiB in 5 s will do */
        gee_sleep(ctx, 5000);
        T_CHECK(t_more(ctx, c) > 0);
        all += t_size(c);
    }
    T_EQ(t_get(ctx, c, "/hello"), 200);
    T_RC(failed, 0);
}

/* A byte now and then does not count as reading. */
static void test_who_reads_too_slowly_is_closed_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("GET", "/lump", "")), 0);
    for (size_t all = 0; t_more(ctx, c) > 0 && all < MIB; t_drop(c)) {
        all += t_size(c);
        gee_sleep(ctx, 5000);
    }
    T_RC(failed, UV_ETIMEDOUT);
    T_EQ((gee_now_ms() - start + 4999) / 5000, 7); /* 30 s, and one look */
}

typedef struct pusher {
    t_conn *c;
    _Atomic size_t sent;
    int rc;
    gee_waitgroup over;
} pusher;

static void push(gee_ctx *ctx, void *arg) {
    static const char text[] = HEAD("GET", "/page/1", "");
    pusher *p = arg;
    while ((p->rc = t_puts(ctx, p->c, text)) == 0)
        p->sent += sizeof(text) - 1;
    gee_waitgroup_done(&p->over);
}

static void test_requests_without_end_do_not_grow_anything_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    pusher p = {.c = t_dial(port, 4096)};
    (void)c;
    gee_census_take(&before);
    gee_waitgroup_add(&p.over, 1);
    T_RC(gee_go(NULL, push, &p), 0);
    gee_sleep(ctx, 29000);
    gee_census_take(&now);
    T_CHECK(p.sent < 256 * 1024);
    T_CHECK(now.bytes - before.bytes < 256 * 1024);
    gee_waitgroup_wait(NULL, &p.over);
    T_CHECK(p.rc < 0);
    t_close(ctx, p.c);
}

/* What comes while answers wait to be read is behind what waits to be parsed. */
static void test_pipelined_requests_stay_in_order_body(gee_ctx *ctx, t_conn *c, int port) {
    char all[1024] = "", one[128], want[2] = "";
    (void)port;
    for (int i = 0; i < 9; i++) {
        snprintf(one, sizeof(one), "GET /page/%d HTTP/1.1\r\nHost: t\r\n\r\n", i + 1);
        strcat(all, one);
        if (i == 5 || i == 6 || i == 8) {
            T_RC(t_puts(ctx, c, all), 0);
            gee_sleep(ctx, 10);
            *all = '\0';
        }
    }
    for (int i = 0; i < 9; i++) {
        T_EQ(t_response(ctx, c), 200);
        *want = (char)('1' + i);
        snprintf(one, sizeof(one), "%.1s", t_body(c));
        T_STR(one, want);
    }
}

static void test_the_write_deadline_holds_while_a_body_is_read_body(gee_ctx *ctx, t_conn *c,
                                                                    int port) {
    uint64_t start = gee_now_ms();
    gee_census now;
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("POST", "/both", "Content-Length: 4\r\n") "ab"), 0);
    gee_sleep(ctx, 5000);
    T_RC(t_puts(ctx, c, "cd"), 0);
    gee_sleep(ctx, 24000);
    T_EQ(reads - start, 5000); /* that was no news for the writer */
    gee_census_take(&now);
    T_EQ(now.reqs, 1);
    gee_sleep(ctx, 2000);
    gee_census_take(&now);
    T_EQ(now.reqs, 0);
    T_RC(failed, UV_ETIMEDOUT);
}

/* --- that send slowly --- */

static void test_a_head_byte_by_byte_is_408_body(gee_ctx *ctx, t_conn *c, int port) {
    const char *text = "GET /hello HTTP/1.1\r\nHost: t\r\n";
    uint64_t start = gee_now_ms();
    (void)port;
    for (int i = 0; i < 10; i++) {
        T_RC(t_send(ctx, c, text + i, 1), 0);
        gee_sleep(ctx, 1000);
    }
    T_EQ(t_response(ctx, c), 408);
    T_EQ(gee_now_ms() - start, 10000);
    T_STR(t_field(c, "connection"), "close");
    T_CHECK(t_field(c, "date") != NULL);
    T_RC(t_more(ctx, c), 0);
}

static void test_empty_lines_are_no_head_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    (void)port;
    while (t_puts(ctx, c, "\r\n") == 0 && gee_now_ms() - start < 20000)
        gee_sleep(ctx, 1000);
    T_EQ(gee_now_ms() - start, 10000); /* closed; there is no request to answer */
    T_STR(t_all(ctx, c), "");
}

static void test_empty_lines_keep_nothing_open_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/hello"), 200);
    uint64_t start = gee_now_ms();
    while (t_puts(ctx, c, "\r\n") == 0 && gee_now_ms() - start < 90000)
        gee_sleep(ctx, 1000);
    T_EQ(gee_now_ms() - start, 60000);
}

static void test_silence_is_closed_without_an_answer_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    (void)port;
    T_STR(t_all(ctx, c), "");
    T_EQ(gee_now_ms() - start, 10000);
}

static void test_a_body_that_stops_is_408_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("POST", "/echo", "Content-Length: 4\r\n")), 0);
    gee_sleep(ctx, 29000);
    T_RC(t_puts(ctx, c, "a"), 0);
    uint64_t start = gee_now_ms();
    T_EQ(t_response(ctx, c), 408);
    T_EQ(gee_now_ms() - start, 30000);
    T_STR(t_field(c, "connection"), "close");
    T_RC(t_more(ctx, c), 0);
}

/* Its deadline passes while the answers in front of it wait to be read. */
static void test_half_a_head_behind_unread_answers_is_408_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("GET", "/page/1", "") HEAD("GET", "/page/2", "")), 0);
    gee_sleep(ctx, 10);
    T_RC(t_puts(ctx, c, "GET /he"), 0);
    gee_sleep(ctx, 15000);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(strspn(t_body(c), "2"), 4000);
    T_EQ(t_response(ctx, c), 408);
    T_STR(t_field(c, "connection"), "close");
    T_RC(t_more(ctx, c), 0);
}

/* --- bodies that nobody reads --- */

static void test_an_unread_body_has_a_deadline_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("POST", "/ignore", "Content-Length: 1000\r\n")), 0);
    uint64_t start = gee_now_ms();
    T_EQ(t_response(ctx, c), 200);
    T_EQ(gee_now_ms() - start, 0);
    while (t_puts(ctx, c, "x") == 0 && gee_now_ms() - start < 90000)
        gee_sleep(ctx, 1000);
    T_EQ((gee_now_ms() - start) / 1000, 31); /* body_ms, and it lingers a second */
}

static void test_an_unread_body_has_a_bound_body(gee_ctx *ctx, t_conn *c, int port) {
    static char big[MIB];
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("POST", "/ignore", "Content-Length: 1048576\r\n")), 0);
    T_RC(t_send(ctx, c, big, sizeof(big)), 0);
    T_EQ(t_response(ctx, c), 200);
    T_RC(t_more(ctx, c), 0); /* an end, and no reset */
}

/* --- that leave --- */

static void test_half_a_head_is_400_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("GET", "/hello", "") "GET /hel"), 0);
    t_half_close(c);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(t_response(ctx, c), 400);
    T_STR(t_field(c, "connection"), "close");
    T_RC(t_more(ctx, c), 0);
}

static void test_half_a_body_is_400_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, HEAD("POST", "/echo", "Content-Length: 4\r\n") "ab"), 0);
    t_half_close(c);
    T_EQ(t_response(ctx, c), 400);
    T_STR(t_field(c, "connection"), "close");
    T_RC(t_more(ctx, c), 0);
}

static void test_who_is_half_closed_is_answered_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c,
                HEAD("GET", "/hello", "") HEAD("GET", "/lump", "") HEAD("GET", "/page/7", "")),
         0);
    t_half_close(c);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(strspn(t_body(c), "7"), 4000);
    T_RC(t_more(ctx, c), 0);
}

static const gee_limits defaults;

#define SITE(name)   T_SITE(name, routes)
#define NARROW(name) T_SITE_WITH(name, routes, &defaults, 4096)

SITE(test_who_never_reads_costs_a_parked_writer)
SITE(test_a_large_body_is_not_copied)
NARROW(test_who_reads_too_slowly_is_closed)
SITE(test_requests_without_end_do_not_grow_anything)
NARROW(test_pipelined_requests_stay_in_order)
SITE(test_the_write_deadline_holds_while_a_body_is_read)
SITE(test_a_head_byte_by_byte_is_408)
SITE(test_empty_lines_are_no_head)
SITE(test_empty_lines_keep_nothing_open)
SITE(test_silence_is_closed_without_an_answer)
SITE(test_a_body_that_stops_is_408)
NARROW(test_half_a_head_behind_unread_answers_is_408)
SITE(test_an_unread_body_has_a_deadline)
SITE(test_an_unread_body_has_a_bound)
SITE(test_half_a_head_is_400)
SITE(test_half_a_body_is_400)
SITE(test_who_is_half_closed_is_answered)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_who_never_reads_costs_a_parked_writer),
    cmocka_unit_test(test_a_large_body_is_not_copied),
    cmocka_unit_test(test_who_reads_too_slowly_is_closed),
    cmocka_unit_test(test_requests_without_end_do_not_grow_anything),
    cmocka_unit_test(test_pipelined_requests_stay_in_order),
    cmocka_unit_test(test_the_write_deadline_holds_while_a_body_is_read),
    cmocka_unit_test(test_a_head_byte_by_byte_is_408),
    cmocka_unit_test(test_empty_lines_are_no_head),
    cmocka_unit_test(test_empty_lines_keep_nothing_open),
    cmocka_unit_test(test_silence_is_closed_without_an_answer),
    cmocka_unit_test(test_a_body_that_stops_is_408),
    cmocka_unit_test(test_half_a_head_behind_unread_answers_is_408),
    cmocka_unit_test(test_an_unread_body_has_a_deadline),
    cmocka_unit_test(test_an_unread_body_has_a_bound),
    cmocka_unit_test(test_half_a_head_is_400),
    cmocka_unit_test(test_half_a_body_is_400),
    cmocka_unit_test(test_who_is_half_closed_is_answered),
};

T_MAIN(tests)
