/* JSON bodies: what is accepted, what is refused and how it is told, and how deep. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parsed, dumped and freed: each of them recurses. */
static void echo(gee_req *req) {
    json_t *value, *again;
    json_error_t err;
    int rc = gee_json_body(req, 0, &value, &err);
    if (rc < 0) {
        gee_string(req, gee_body_status(rc), "%s", err.text);
        return;
    }
    if (gee_json_body(req, 0, &again, NULL) != 0 || again != value)
        t_fail(__FILE__, __LINE__, "the second reading found another value");
    json_decref(again);
    gee_json_value(req, 200, value);
}

static void small(gee_req *req) {
    json_t *value;
    int rc = gee_json_body(req, 10, &value, NULL);
    if (rc == 0)
        json_decref(value);
    gee_status(req, rc ? gee_body_status(rc) : 200);
}

static void person(gee_req *req) {
    const char *name, *first = "-";
    int age = -1;
    if (gee_json_bind(req, "{s:s, s?{s:i}, s?[s*]}", "name", &name, "more", "age", &age, "tags",
                      &first) < 0)
        return;
    gee_string(req, 200, "%s %d %s", name, age, first);
}

static void strict(gee_req *req) {
    json_int_t n;
    const char *text;
    size_t len;
    if (gee_json_bind(req, "{s:[ss%I]!}", "a", &text, &text, &len, &n) == 0)
        gee_string(req, 200, "%s %zu %lld", text, len, (long long)n);
}

static void mistaken(gee_req *req) {
    const char *name;
    int rc = gee_json_bind(req, "{s:Q}", "name", &name);
    if (rc != UV_EFAULT || !gee_aborted(req))
        t_fail(__FILE__, __LINE__, "gee_json_bind: %s", t_err(rc));
}

static void looks_first(gee_req *req) {
    json_t *value;
    int rc = gee_json_body(req, 0, &value, NULL);
    if (rc == 0) {
        gee_set_header(req, "X-Seen", json_is_object(value) ? "object" : "other");
        json_decref(value);
    }
    gee_next(req);
}

static void routes(gee_group *r) {
    gee_POST(r, "/echo", echo);
    gee_POST(r, "/small", small);
    gee_POST(r, "/bind", person);
    gee_POST(r, "/strict", strict);
    gee_POST(r, "/mistaken", mistaken);
    gee_use(r, looks_first, NULL);
    gee_POST(r, "/seen", person);
}

static const struct {
    const char *body;
    int status;
    const char *out; /* NULL: whatever */
} texts[] = {
    {"{\"a\":[1,2,{\"b\":null}]}", 200, NULL},
    {" [1] \r\n", 200, "[1]"},
    {"\"text\"", 200, "\"text\""}, /* RFC 8259, 2: any value */
    {"17", 200, "17"},
    {"null", 200, "null"},
    {"[\"\\ud83d\\ude00 \xc3\xa4\"]", 200, "[\"\xf0\x9f\x98\x80 \xc3\xa4\"]"},
    {"", 400, "the body is empty"},
    {" ", 400, NULL},
    {"{\"a\":1} x", 400, NULL},
    {"{\"a\":1}{}", 400, NULL},
    {"{\"a\":1,\"a\":2}", 400, "duplicate object key near '\"a\"'"},
    {"{\"a\":1,}", 400, NULL},
    {"{'a':1}", 400, NULL},
    {"[1", 400, NULL},
    {"[NaN]", 400, NULL},
    {"[01]", 400, NULL},
    {"[1e999]", 400, NULL},
    {"[92233720368547758070]", 400, NULL},
    {"[\"\xff\"]", 400, NULL},
    {"[\"\xed\xa0\x80\"]", 400, NULL}, /* a surrogate alone */
    {"[\"\\ud800\"]", 400, NULL},
    {"[\"\\u0000\"]", 400, NULL},
    {"[\"a\nb\"]", 400, NULL},
    {"\xef\xbb\xbf[1]", 400, NULL}, /* RFC 8259, 8.1: no byte order mark */
    {"// no\n[1]", 400, NULL},
};

static void test_only_json_is_accepted_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int status = t_post(ctx, c, "/echo", "application/json", texts[i].body);
        if (status != texts[i].status || (texts[i].out && strcmp(t_body(c), texts[i].out) != 0))
            T_FAIL("%s: %d %s", texts[i].body, status, t_body(c));
    }
}

T_SITE(test_only_json_is_accepted, routes)

static void test_the_type_must_say_json_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const good[] = {"application/json", "Application/JSON; charset=utf-8",
                                       "application/problem+json", "application/vnd.x+JSON ;v=1"};
    static const char *const bad[] = {"text/plain", "application/jsonp", "application/json5",
                                      "text/json",  "application/x+xml", "+json",
                                      "json",       "application/+jso",  "text/plain; x=a/b+json"};
    (void)port;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (t_post(ctx, c, "/echo", good[i], "[]") != 200)
            T_FAIL("%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (t_post(ctx, c, "/echo", bad[i], "[]") != 415)
            T_FAIL("%s", bad[i]);
    T_EQ(t_ask(ctx, c, "POST", "/echo", "Content-Length: 0\r\n"), 415);
}

T_SITE(test_the_type_must_say_json, routes)

static void test_a_body_has_a_limit_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_post(ctx, c, "/small", "application/json", "[12345678]"), 200);
    T_EQ(t_post(ctx, c, "/small", "application/json", "[123456789]"), 413);
    char *big = malloc(1024 * 1024 + 2);
    memset(big, ' ', 1024 * 1024 + 1);
    big[0] = '1';
    big[1024 * 1024] = '\0';
    int fits = t_post(ctx, c, "/echo", "application/json", big);
    strcpy(big + 1024 * 1024, " ");
    int over = t_post(ctx, c, "/echo", "application/json", big);
    free(big);
    T_EQ(fits, 200);
    T_EQ(over, 413);
}

static void test_a_body_has_a_limit(void **state) {
    (void)state;
    t_site_once(&(t_site){routes, test_a_body_has_a_limit_body, NULL, 0});
}

/* depth times `open`, then `inner`, then depth times `close`. */
static char *nest(int depth, const char *open, const char *inner, const char *close) {
    size_t n = (size_t)depth * (strlen(open) + strlen(close)) + strlen(inner) + 1;
    char *text = malloc(n), *at = text;
    for (int i = 0; i < depth; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, inner);
    for (int i = 0; i < depth; i++)
        at = stpcpy(at, close);
    return text;
}

static int post_nest(gee_ctx *ctx, t_conn *c, int depth, const char *open, const char *inner,
                     const char *close) {
    char *text = nest(depth, open, inner, close);
    int status = t_post(ctx, c, "/echo", "application/json", text);
    free(text);
    return status;
}

/* The deepest that is let in is parsed, dumped and freed on a task's stack. */
static void nests_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(post_nest(ctx, c, GEE_JSON_DEPTH, "[", "", "]"), 200);
    T_EQ(post_nest(ctx, c, GEE_JSON_DEPTH, "{\"a\":", "1", "}"), 200);
    T_EQ(post_nest(ctx, c, GEE_JSON_DEPTH / 2, "[{\"a\":", "\"x\"", "}]"), 200);
    T_EQ(post_nest(ctx, c, GEE_JSON_DEPTH + 1, "[", "", "]"), 400);
    T_STR(t_body(c), "too many values inside one another");
    T_EQ(post_nest(ctx, c, GEE_JSON_DEPTH + 1, "{\"a\":", "1", "}"), 400);
    T_EQ(post_nest(ctx, c, 2047, "[", "", "]"), 400);
    T_EQ(post_nest(ctx, c, 100000, "[", "", ""), 400);
    /* Wide is not deep; brackets in a string are none, and an escaped quote does not end it. */
    T_EQ(post_nest(ctx, c, 1, "[", "[],[],{},[[]],{\"a\":[]}", "]"), 200);
    T_EQ(post_nest(ctx, c, 1, "[\"\\\"", "\\\\\\\"[[[[[[[[{{{{{{{{{{{{", "\"]"), 200);
    char *brackets = nest(1000, "[", "", "{"), text[2100];
    int n = snprintf((char *)text, sizeof(text), "[\"%s\"]", brackets);
    free(brackets);
    T_EQ(n, 2004);
    T_EQ(t_post(ctx, c, "/echo", "application/json", (char *)text), 200);
}

static void test_a_nest_cannot_overflow_the_stack(void **state) {
    (void)state;
    t_site_once(&(t_site){routes, nests_body, NULL, 0});
}

static const struct {
    const char *target, *body;
    int status;
    const char *out;
} binds[] = {
    {"/bind", "{\"name\":\"gee\",\"more\":{\"age\":7},\"tags\":[\"a\"]}", 200, "gee 7 a"},
    {"/bind", "{\"name\":\"gee\",\"unknown\":1}", 200, "gee -1 -"},
    {"/bind", "{}", 400, "{\"error\":\"name: missing\"}"},
    {"/bind", "{\"name\":7}", 400, "{\"error\":\"name: expected string, got integer\"}"},
    {"/bind", "[]", 400, "{\"error\":\"expected object, got array\"}"},
    {"/bind", "{\"name\":\"x\",\"more\":{\"age\":\"7\"}}", 400,
     "{\"error\":\"more.age: expected integer, got string\"}"},
    {"/bind", "{\"name\":\"x\",\"more\":{}}", 400, "{\"error\":\"more.age: missing\"}"},
    {"/bind", "{\"name\":\"x\",\"more\":{\"age\":1},\"tags\":[1]}", 400,
     "{\"error\":\"tags[0]: expected string, got integer\"}"},
    {"/bind", "{\"name\":\"x\",\n\"a\" 1}", 400,
     "{\"error\":\"line 2, column 5: ':' expected near '1'\"}"},
    {"/bind", "", 400, "{\"error\":\"the body is empty\"}"},
    {"/strict", "{\"a\":[\"x\",\"yz\",3]}", 200, "yz 2 3"},
    {"/strict", "{\"a\":[\"x\",\"yz\",3],\"b\":1}", 400,
     "{\"error\":\"1 object item(s) left unpacked: b\"}"},
    {"/strict", "{\"a\":[\"x\",\"yz\",\"z\"]}", 400,
     "{\"error\":\"a[2]: expected integer, got string\"}"},
    {"/mistaken", "{\"name\":1}", 500, "500 Internal Server Error\n"},
    {"/seen", "{\"name\":\"gee\"}", 200, "gee -1 -"}, /* a middleware had read it */
};

static void test_a_bind_tells_what_is_wrong_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(binds) / sizeof(*binds); i++) {
        int status = t_post(ctx, c, binds[i].target, "application/json", binds[i].body);
        if (status != binds[i].status || strcmp(t_body(c), binds[i].out) != 0)
            T_FAIL("%s: %d %s", binds[i].body, status, t_body(c));
    }
    T_STR(t_field(c, "x-seen"), "object");
    T_EQ(t_post(ctx, c, "/bind", "text/plain", "{}"), 415);
    T_STR(t_body(c), "{\"error\":\"the Content-Type is not application/json\"}");
    /* Bytes that are no text are answered with text. */
    T_EQ(t_post(ctx, c, "/bind", "application/json", "[\"\xc3\xa4\" \xc3"), 400);
    T_STR(t_field(c, "content-type"), "application/json");
}

T_SITE(test_a_bind_tells_what_is_wrong, routes)

static void test_a_client_that_leaves_is_an_error_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    t_conn *d = t_dial(port, 0);
    t_puts(ctx, d,
           "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
           "Content-Length: 10\r\n\r\n[1,");
    gee_sleep(ctx, 10);
    t_reset(ctx, d);
    gee_sleep(ctx, 10);
}

T_SITE(test_a_client_that_leaves_is_an_error, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_only_json_is_accepted),
    cmocka_unit_test(test_the_type_must_say_json),
    cmocka_unit_test(test_a_body_has_a_limit),
    cmocka_unit_test(test_a_nest_cannot_overflow_the_stack),
    cmocka_unit_test(test_a_bind_tells_what_is_wrong),
    cmocka_unit_test(test_a_client_that_leaves_is_an_error),
};

T_MAIN(tests)
