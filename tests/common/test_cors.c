/* CORS: what a browser would be told (WHATWG Fetch, 3.2), by table. */
#include "gee/middleware.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello");
}

static void own_options(gee_req *req) {
    gee_string(req, 200, "mine");
}

static void register_all(gee_group *r) {
    gee_GET(r, "/a", hello);
    gee_POST(r, "/a", hello);
    gee_OPTIONS(r, "/own", own_options);
    gee_GET(r, "/own", hello);
}

static void any(gee_group *r) {
    gee_use_cors(r, NULL);
    register_all(r);
}

static void listed(gee_group *r) {
    gee_use_cors(r, &(gee_cors_options){.origins = "https://a.example, https://b.example",
                                        .methods = "GET, POST",
                                        .headers = "X-Mine, Content-Type",
                                        .expose = "X-Seen",
                                        .credentials = true,
                                        .max_age_s = 60});
    register_all(r);
}

static void silent(gee_group *r) {
    gee_use_cors(r, &(gee_cors_options){.origins = "*", .max_age_s = -1});
    register_all(r);
}

#define A         "Origin: https://a.example\r\n"
#define EVIL      "Origin: https://evil.example\r\n"
#define PREFLIGHT "Access-Control-Request-Method: POST\r\n"
#define ASKS      "Access-Control-Request-Headers: X-Mine, X-Other\r\n"

enum { ORIGIN, CREDENTIALS, METHODS, HEADERS, AGE, EXPOSE, VARY, FIELDS };
static const char *const names[FIELDS] = {"access-control-allow-origin",
                                          "access-control-allow-credentials",
                                          "access-control-allow-methods",
                                          "access-control-allow-headers",
                                          "access-control-max-age",
                                          "access-control-expose-headers",
                                          "vary"};

struct row {
    const char *method, *target, *lines;
    int status;
    const char *fields[FIELDS]; /* NULL: not there */
};

static void ask_all(gee_ctx *ctx, t_conn *c, const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        int status = t_ask(ctx, c, r->method, r->target, r->lines);
        if (status != r->status)
            T_FAIL("%s %s %s: %d, not %d", r->method, r->target, r->lines, status, r->status);
        for (int f = 0; f < FIELDS; f++)
            if (!t_streq(t_field(c, names[f]), r->fields[f]))
                T_FAIL("%s %s %s: %s: %s", r->method, r->target, r->lines, names[f],
                       t_field(c, names[f]) ? t_field(c, names[f]) : "-");
    }
}

#define DEFAULT "GET, HEAD, POST, PUT, PATCH, DELETE"
static const struct row to_any[] = {
    {"GET", "/a", "", 200, {NULL}},
    {"GET", "/a", EVIL, 200, {[ORIGIN] = "*"}},
    {"GET", "/a", "Origin: null\r\n", 200, {[ORIGIN] = "*"}},
    {"GET", "/nothing", A, 404, {[ORIGIN] = "*"}}, /* a script may read errors too */
    {"DELETE", "/a", A "Content-Length: 0\r\n", 405, {[ORIGIN] = "*"}},
    {"OPTIONS",
     "/a",
     A PREFLIGHT,
     204,
     {[ORIGIN] = "*",
      [METHODS] = DEFAULT,
      [AGE] = "600",
      [VARY] = "Access-Control-Request-Headers"}},
    {"OPTIONS",
     "/a",
     A PREFLIGHT ASKS,
     204,
     {[ORIGIN] = "*",
      [METHODS] = DEFAULT,
      [HEADERS] = "X-Mine, X-Other",
      [AGE] = "600",
      [VARY] = "Access-Control-Request-Headers"}},
    {"OPTIONS",
     "/nothing",
     A PREFLIGHT,
     204,
     {[ORIGIN] = "*",
      [METHODS] = DEFAULT,
      [AGE] = "600",
      [VARY] = "Access-Control-Request-Headers"}},
    {"OPTIONS", "/a", PREFLIGHT, 204, {NULL}},   /* nobody's origin: the routes' own answer */
    {"OPTIONS", "/a", A, 204, {[ORIGIN] = "*"}}, /* no preflight */
    {"OPTIONS", "/own", A, 200, {[ORIGIN] = "*"}},
    {"OPTIONS",
     "/own",
     A PREFLIGHT,
     204,
     {[ORIGIN] = "*",
      [METHODS] = DEFAULT,
      [AGE] = "600",
      [VARY] = "Access-Control-Request-Headers"}},
};

static void test_any_origin_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    ask_all(ctx, c, to_any, sizeof(to_any) / sizeof(*to_any));
    T_EQ(t_ask(ctx, c, "OPTIONS", "/a", A), 204);
    T_STR(t_field(c, "allow"), "POST, GET, HEAD, OPTIONS");
}

T_SITE(test_any_origin, any)

static const struct row to_some[] = {
    {"GET", "/a", "", 200, {[VARY] = "Origin"}}, /* so that no cache gives it to another origin */
    {"GET",
     "/a",
     A,
     200,
     {[ORIGIN] = "https://a.example",
      [CREDENTIALS] = "true",
      [EXPOSE] = "X-Seen",
      [VARY] = "Origin"}},
    {"GET",
     "/a",
     "Origin: https://b.example\r\n",
     200,
     {[ORIGIN] = "https://b.example",
      [CREDENTIALS] = "true",
      [EXPOSE] = "X-Seen",
      [VARY] = "Origin"}},
    {"OPTIONS",
     "/a",
     A PREFLIGHT ASKS,
     204,
     {[ORIGIN] = "https://a.example",
      [CREDENTIALS] = "true",
      [METHODS] = "GET, POST",
      [HEADERS] = "X-Mine, Content-Type",
      [AGE] = "60",
      [VARY] = "Origin"}},
    /* all of these are other origins */
    {"GET", "/a", EVIL, 200, {[VARY] = "Origin"}},
    {"OPTIONS", "/a", EVIL PREFLIGHT ASKS, 204, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin: http://a.example\r\n", 200, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin: https://a.example.evil.example\r\n", 200, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin: https://a.example:8443\r\n", 200, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin: https://a.exampl\r\n", 200, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin: https://a.example, https://b.example\r\n", 200, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin: *\r\n", 200, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin: null\r\n", 200, {[VARY] = "Origin"}},
    {"GET", "/a", "Origin:\r\n", 200, {[VARY] = "Origin"}},
};

static void test_some_origins_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    ask_all(ctx, c, to_some, sizeof(to_some) / sizeof(*to_some));
}

T_SITE(test_some_origins, listed)

static const struct row to_silent[] = {
    {"OPTIONS",
     "/a",
     A PREFLIGHT,
     204,
     {[ORIGIN] = "*", [METHODS] = DEFAULT, [VARY] = "Access-Control-Request-Headers"}},
};

static void test_a_preflight_that_does_not_hold_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    ask_all(ctx, c, to_silent, 1);
}

T_SITE(test_a_preflight_that_does_not_hold, silent)

static void test_what_cannot_be(void **state) {
    (void)state;
    gee_engine *e = gee_engine_new();
    assert_int_equal(gee_use_cors(gee_root(e), &(gee_cors_options){.credentials = true}),
                     UV_EINVAL);
    assert_int_equal(
        gee_use_cors(gee_root(e), &(gee_cors_options){.origins = "*", .credentials = true}),
        UV_EINVAL);
    assert_int_equal(gee_use_cors(gee_root(e), &(gee_cors_options){.methods = "GET\r\nX: y"}),
                     UV_EINVAL);
    assert_int_equal(gee_use_cors(gee_root(e), &(gee_cors_options){.headers = "X\r\nX: y"}),
                     UV_EINVAL);
    assert_int_equal(gee_use_cors(gee_root(e), &(gee_cors_options){.expose = "X\nX: y"}),
                     UV_EINVAL);
    gee_engine_free(e);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_any_origin),
    cmocka_unit_test(test_some_origins),
    cmocka_unit_test(test_a_preflight_that_does_not_hold),
    cmocka_unit_test(test_what_cannot_be),
};

T_MAIN(tests)
