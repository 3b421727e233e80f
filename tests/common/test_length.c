/* A body in pieces whose length was announced: it has that length, or the client can tell. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number(gee_req *req, const char *name) {
    return atoi(gee_default_query(req, name, "0"));
}

/* /body?says=&writes=&piece=: the last piece that does not fit is refused, and left out. */
static void body(gee_req *req) {
    static const char bytes[100000];
    int left = number(req, "writes"), piece = number(req, "piece"), rc = 0;
    if (gee_content_length(req, (uint64_t)number(req, "says")) != 0)
        gee_panic("it is too early for that");
    while (left > 0 && rc == 0) {
        int n = left < piece ? left : piece;
        rc = gee_write(req, bytes, (size_t)n);
        left -= n;
    }
    if (rc != 0 && rc != UV_EMSGSIZE)
        gee_panic("%s", uv_err_name(rc));
}

static void too_late(gee_req *req) {
    gee_write(req, "a", 1);
    if (gee_content_length(req, 1) != UV_EALREADY)
        gee_write(req, "!", 1);
}

static void another_answer(gee_req *req) {
    gee_content_length(req, 1000);
    gee_string(req, 200, "short");
}

static void no_body(gee_req *req) {
    gee_status(req, 304);
    gee_content_length(req, 1000);
}

static void panics(gee_req *req) {
    gee_content_length(req, 1000);
    gee_write(req, "a", 1);
    gee_panic("in the middle");
}

static void routes(gee_group *r) {
    gee_GET(r, "/body", body);
    gee_GET(r, "/late", too_late);
    gee_GET(r, "/another", another_answer);
    gee_GET(r, "/none", no_body);
    gee_GET(r, "/panic", panics);
}

/* {says, writes, piece}; the client gets `whole` bytes, or fewer and the end. */
struct row {
    int says, writes, piece, got;
    bool cut;
};

static const struct row rows[] = {
    {0, 0, 1, 0, false},
    {10, 10, 1, 10, false},
    {10, 10, 10, 10, false},
    {100000, 100000, 100000, 100000, false},
    {300000, 300000, 70000, 300000, false},
    {20000, 20000, 7, 20000, false},
    {10, 11, 1, 10, false}, /* what is too much is not sent */
    {10, 12, 4, 8, true},   /* nor is a part of it */
    {0, 1, 1, 0, false},    /* */
    {10, 0, 1, 0, true},    /* */
    {10, 9, 1, 9, true},    /* */
    {100000, 99999, 33333, 99999, true},
};

static void ask(gee_ctx *ctx, int port, const struct row *r, const char *version) {
    char head[128], length[40];
    t_conn *c = t_dial(port, 0);
    snprintf(head, sizeof(head), "GET /body?says=%d&writes=%d&piece=%d HTTP/%s\r\nHost: t\r\n\r\n",
             r->says, r->writes, r->piece, version);
    snprintf(length, sizeof(length), "\r\nContent-Length: %d\r\n", r->says);
    t_puts(ctx, c, head);
    const char *at = t_until(ctx, c, "\r\n\r\n");
    bool right = at && strncmp(t_text(c), "HTTP/1.1 200 ", 13) == 0 && strstr(t_text(c), length);
    size_t begin = at ? (size_t)(at - t_text(c)) + 4 : 0;
    while (right && !r->cut && t_size(c) < begin + (size_t)r->got && t_more(ctx, c) > 0)
        ;
    if (r->cut)
        t_all(ctx, c);
    size_t got = t_size(c) - begin;
    bool again = true;
    if (!r->cut && strcmp(version, "1.1") == 0) {
        t_drop(c);
        again = t_get(ctx, c, "/body") == 200; /* nothing is in its way */
    }
    t_close(ctx, c);
    if (!right || !again || got != (size_t)r->got)
        T_FAIL("says %d, writes %d, HTTP/%s: got %zu", r->says, r->writes, version, got);
}

static void test_lengths_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ask(ctx, port, &rows[i], "1.1");
        ask(ctx, port, &rows[i], "1.0"); /* which needs no end of the connection any more */
    }
}

T_SITE(test_lengths, routes)

static void test_head_has_the_length_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const targets[] = {"/body?says=77", "/body?says=77&writes=77&piece=7"};
    char head[128];
    (void)port;
    for (int i = 0; i < 2; i++) {
        snprintf(head, sizeof(head), "HEAD %s HTTP/1.1\r\nHost: t\r\n\r\n", targets[i]);
        T_RC(t_puts(ctx, c, head), 0);
        T_CHECK(t_until(ctx, c, "\r\n\r\n"));
        T_CHECK(strstr(t_text(c), "\r\nContent-Length: 77\r\n"));
        t_drop(c);
    }
    T_EQ(t_get(ctx, c, "/late"), 200);
    T_STR(t_body(c), "a");
}

T_SITE(test_head_has_the_length, routes)

static void test_other_answers_body(gee_ctx *ctx, t_conn *c, int port) {
    T_EQ(t_get(ctx, c, "/another"), 200);
    T_STR(t_body(c), "short");
    T_EQ(t_get(ctx, c, "/none"), 304);
    T_EQ(t_get(ctx, c, "/late"), 200);
    t_conn *d = t_dial(port, 0);
    int status = t_get(ctx, d, "/panic"); /* nothing of it had been sent */
    t_close(ctx, d);
    T_EQ(status, 500);
}

T_SITE(test_other_answers, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_lengths),
    cmocka_unit_test(test_head_has_the_length),
    cmocka_unit_test(test_other_answers),
};

T_MAIN(tests)
