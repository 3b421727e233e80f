/* What a handler learns of its request: query, form, fields, body, ctx. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each of the names in ?ask=… is not a thing here: the names are fixed, and "-" is not there. */
static void answer(gee_req *req, const char *(*find)(gee_req *req, const char *name)) {
    static const char *const names[] = {"a", "b", "a b", "c&d", "e"};
    char text[512];
    int n = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = find(req, names[i]);
        n += snprintf(text + n, sizeof(text) - (size_t)n, "[%s]", value ? value : "-");
    }
    gee_string(req, 200, "%s", text);
}

static void query(gee_req *req) {
    answer(req, gee_query);
}

static void form(gee_req *req) {
    answer(req, gee_form);
}

enum { NOTHING = 1024 * 1024 };

static void costs(gee_req *req) {
    gee_census before, now;
    gee_census_take(&before);
    gee_form(req, "a");
    gee_census_take(&now);
    gee_string(req, 200, "%lld", (long long)(now.bytes - before.bytes));
}

/* All of them, in order; then one that may not be there. */
static void all(gee_req *req, bool (*at)(gee_req *, size_t, const char **, const char **)) {
    char text[256] = "";
    const char *name, *value;
    size_t n = 0, i;
    for (i = 0; at(req, i, &name, &value); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%s;", name, value);
    if (at(req, i + 1, &name, &value))
        n = 0;
    gee_string(req, 200, "%s %s", n ? text : "none", gee_default_query(req, "page", "1"));
}

static void all_query(gee_req *req) {
    all(req, gee_query_at);
}

static void all_form(gee_req *req) {
    all(req, gee_form_at);
}

static void head(gee_req *req) {
    const char *agent = gee_header(req, "user-AGENT"), *none = gee_header(req, "x-none");
    gee_string(req, 200, "%s %s %s|%s|%s|%s", gee_method(req), gee_target(req), gee_route(req),
               agent ? agent : "-", none ? none : "-",
               gee_header(req, "X-Empty") ? gee_header(req, "X-Empty") : "-");
}

static void whole_body(gee_req *req) {
    const char *data, *again;
    size_t n, more;
    int rc = gee_body(req, &data, &n);
    if (rc < 0) {
        gee_fail(req, gee_body_status(rc));
        return;
    }
    int second = gee_body(req, &again, &more);
    gee_string(req, 200, "%zu %d %d %zu %c", n, data[n], second, more, n ? data[n - 1] : '-');
}

/* In pieces of 7, and then the rest. */
static void pieces(gee_req *req) {
    char buf[8] = "";
    const char *rest;
    size_t n;
    ssize_t got = gee_body_read(req, buf, 7);
    if (got < 0 || gee_body(req, &rest, &n) < 0)
        gee_fail(req, 400);
    else
        gee_string(req, 200, "%s|%s", buf, rest);
}

static void with_timeout(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req), *ctx = gee_ctx_with_timeout(before, 100);
    gee_req_set_ctx(req, ctx);
    gee_next(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(ctx);
    if (gee_ctx_err(gee_req_ctx(req)) != 0)
        gee_fail(req, 500);
}

static void sleeps(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    int rc = gee_sleep(ctx, 5000);
    gee_string(req, rc ? 503 : 200, "%s", t_err(gee_ctx_cause(ctx)));
}

static void reads(gee_req *req) {
    char buf[16];
    ssize_t n = gee_body_read(req, buf, sizeof(buf));
    gee_string(req, 200, "%s", n < 0 ? t_err((int)n) : "read");
}

static void routes(gee_group *r) {
    gee_GET(r, "/query", query);
    gee_POST(r, "/form", form);
    gee_POST(r, "/costs", costs);
    gee_GET(r, "/all", all_query);
    gee_POST(r, "/all", all_form);
    gee_GET(r, "/head/:x", head);
    gee_POST(r, "/body", whole_body);
    gee_POST(r, "/pieces", pieces);
    gee_use(r, with_timeout, NULL);
    gee_GET(r, "/sleep", sleeps);
    gee_POST(r, "/reads", reads);
}

static const char *const pairs[][2] = {
    {"", "[-][-][-][-][-]"},
    {"a=1", "[1][-][-][-][-]"},
    {"a=1&b=2", "[1][2][-][-][-]"},
    {"b=2&a=1&a=3", "[1][2][-][-][-]"},     /* the first of a name */
    {"a", "[][-][-][-][-]"},                /* a name without a value has an empty one */
    {"a=&b", "[][][-][-][-]"},              /* */
    {"a=b=c", "[b=c][-][-][-][-]"},         /* the first = divides */
    {"a=x+y%2Bz", "[x y+z][-][-][-][-]"},   /* */
    {"a+b=1", "[-][-][1][-][-]"},           /* names are decoded too */
    {"a%20b=%31", "[-][-][1][-][-]"},       /* */
    {"c%26d=%26%3d", "[-][-][-][&=][-]"},   /* and after they were divided */
    {"a=%zz&b=2", "[-][2][-][-][-]"},       /* malformed: as if it were not there */
    {"a=%&b=%2&e=5", "[-][-][-][-][5]"},    /* */
    {"a=%00&e=5", "[-][-][-][-][5]"},       /* a string could not hold it */
    {"a=%zz&a=2", "[2][-][-][-][-]"},       /* */
    {"=1&&&e=5&", "[-][-][-][-][5]"},       /* */
    {"a=%C3%A4", "[\xc3\xa4][-][-][-][-]"}, /* */
    {"A=1", "[-][-][-][-][-]"},             /* */
};

static void test_query_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[128];
    (void)port;
    T_EQ(t_get(ctx, c, "/query"), 200);
    T_STR(t_body(c), "[-][-][-][-][-]");
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        snprintf(target, sizeof(target), "/query?%s", pairs[i][0]);
        T_EQ(t_get(ctx, c, target), 200);
        if (strcmp(t_body(c), pairs[i][1]) != 0)
            T_FAIL("%s: %s, not %s", target, t_body(c), pairs[i][1]);
    }
    T_EQ(t_get(ctx, c, "/query?a=1?b=2&e=/x"), 200); /* only the first ? divides */
    T_STR(t_body(c), "[1?b=2][-][-][-][/x]");
}

T_SITE(test_query, routes)

static void test_form_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char type[] = "application/x-www-form-urlencoded";
    (void)port;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        T_EQ(t_post(ctx, c, "/form", type, pairs[i][0]), 200);
        if (strcmp(t_body(c), pairs[i][1]) != 0)
            T_FAIL("%s: %s, not %s", pairs[i][0], t_body(c), pairs[i][1]);
    }
    T_EQ(t_post(ctx, c, "/form?a=query", "Application/X-WWW-form-urlencoded; charset=utf-8", "b=2"),
         200);
    T_STR(t_body(c), "[-][2][-][-][-]"); /* what is in the query is no field of the form */
    T_EQ(t_post(ctx, c, "/form", "text/plain", "a=1"), 200);
    T_STR(t_body(c), "[-][-][-][-][-]");
    T_EQ(t_post(ctx, c, "/form", "application/x-www-form-urlencoded2", "a=1"), 200);
    T_STR(t_body(c), "[-][-][-][-][-]");
    T_EQ(t_ask(ctx, c, "POST", "/form", "Content-Length: 0\r\n"), 200);
    T_STR(t_body(c), "[-][-][-][-][-]");
}

T_SITE(test_form, routes)

/* What is between two & and empty is no pair, and costs nothing. */
static void test_a_form_of_nothing_body(gee_ctx *ctx, t_conn *c, int port) {
    static char nothing[NOTHING + 1];
    (void)port;
    memset(nothing, '&', NOTHING);
    T_EQ(t_post(ctx, c, "/costs", "application/x-www-form-urlencoded", nothing), 200);
    T_CHECK(atol(t_body(c)) < 6 * NOTHING);
}

T_SITE(test_a_form_of_nothing, routes)

static void test_all_pairs_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char type[] = "application/x-www-form-urlencoded";
    (void)port;
    T_EQ(t_get(ctx, c, "/all"), 200);
    T_STR(t_body(c), "none 1");
    T_EQ(t_get(ctx, c, "/all?b=2&a=1&b=&c&%zz=4&page=7&b=x%20y"), 200);
    T_STR(t_body(c), "b=2;a=1;b=;c=;page=7;b=x y; 7");
    T_EQ(t_post(ctx, c, "/all?page=", type, "x=1&x=2"), 200);
    T_STR(t_body(c), "x=1;x=2; "); /* there, and empty */
}

T_SITE(test_all_pairs, routes)

static void test_head_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/head/1?q=2", "USER-agent:  gee/1 \r\nX-Empty:\r\n"), 200);
    T_STR(t_body(c), "GET /head/1?q=2 /head/:x|gee/1|-|");
    T_EQ(t_ask(ctx, c, "GET", "/head/1", "User-Agent: a\r\nuser-agent: b\r\n"), 200);
    T_STR(t_body(c), "GET /head/1 /head/:x|a|-|-");
}

T_SITE(test_head, routes)

static const gee_limits ten = {.body_bytes = 10};

static void test_body_limit_body(gee_ctx *ctx, t_conn *c, int port) {
    T_EQ(t_post(ctx, c, "/body", "text/plain", ""), 200);
    T_STR(t_body(c), "0 0 0 0 -");
    T_EQ(t_post(ctx, c, "/body", "text/plain", "123456789X"), 200);
    T_STR(t_body(c), "10 0 0 0 X");
    T_EQ(t_post(ctx, c, "/body", "text/plain", "123456789XX"), 413);
    T_STR(t_field(c, "connection"), "close");
    T_EQ(t_more(ctx, c), 0);
    /* Chunks: the limit is met while the handler reads. */
    t_conn *d = t_dial(port, 0);
    t_puts(ctx, d,
           "POST /body HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n");
    gee_sleep(ctx, 100);
    t_puts(ctx, d, "5\r\n12345\r\n0\r\n\r\n");
    int status = t_response(ctx, d), end = t_more(ctx, d);
    t_close(ctx, d);
    T_EQ(status, 413);
    T_EQ(end, 0);
}

T_SITE_WITH(test_body_limit, routes, &ten, 0)

enum { BIG = 1000000 };

static void test_big_body_body(gee_ctx *ctx, t_conn *c, int port) {
    char want[64], *text = malloc(BIG + 1);
    (void)port;
    memset(text, 'x', BIG);
    strcpy(text + BIG - 1, "Y");
    int status = t_post(ctx, c, "/body", "text/plain", text);
    free(text);
    snprintf(want, sizeof(want), "%d 0 0 0 Y", BIG);
    T_EQ(status, 200);
    T_STR(t_body(c), want);
}

T_SITE(test_big_body, routes)

static void test_pieces_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_post(ctx, c, "/pieces", "text/plain", "1234567890"), 200);
    T_STR(t_body(c), "1234567|890");
    T_EQ(t_post(ctx, c, "/pieces", "text/plain", "1234"), 200);
    T_STR(t_body(c), "1234|");
}

T_SITE(test_pieces, routes)

/* A middleware's ctx is what the handler's waits hear. */
static void test_timeout_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    T_EQ(t_get(ctx, c, "/sleep"), 503);
    T_STR(t_body(c), "ETIMEDOUT");
    T_EQ(gee_now_ms() - start, 100);
    /* The client's end goes through it. */
    t_conn *d = t_dial(port, 0);
    t_puts(ctx, d, "GET /sleep HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 50);
    t_half_close(d);
    int status = t_response(ctx, d);
    char body[32];
    snprintf(body, sizeof(body), "%s", status > 0 ? t_body(d) : "");
    t_close(ctx, d);
    T_EQ(status, 503);
    T_STR(body, "EOF");
    T_EQ(gee_now_ms() - start, 150);
    /* A read of the body too. */
    T_EQ(t_ask(ctx, c, "POST", "/reads", "Content-Length: 3\r\n"), 200);
    T_STR(t_body(c), "ETIMEDOUT");
    T_EQ(gee_now_ms() - start, 250);
    T_RC(t_puts(ctx, c, "abc"), 0); /* what is left of the body is read over */
    T_EQ(t_get(ctx, c, "/query?a=1"), 200);
}

T_SITE(test_timeout, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_query),
    cmocka_unit_test(test_form),
    cmocka_unit_test(test_head),
    cmocka_unit_test(test_body_limit),
    cmocka_unit_test(test_big_body),
    cmocka_unit_test(test_pieces),
    cmocka_unit_test(test_timeout),
    cmocka_unit_test(test_all_pairs),
    cmocka_unit_test(test_a_form_of_nothing),
};

T_MAIN(tests)
