/* The client of t_expect.h: what it asks, and that it fails when it must, and says why. */
#include "t_client.h"
#include "t_expect.h"
#include "t_json.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

/* What came, as JSON. */
static void echo(gee_req *req) {
    const char *data = "", *name = gee_header(req, "x-name"),
               *type = gee_header(req, "content-type");
    size_t n = 0;
    int rc = gee_body(req, &data, &n);
    gee_set_header(req, "X-Twice", "one");
    gee_json(req, rc == 0 ? 200 : 400, "{s:s, s:s, s:s?, s:s?, s:s?, s:s#}", "method",
             gee_method(req), "target", gee_target(req), "name", name, "type", type, "expect",
             gee_header(req, "expect"), "body", data, (int)n);
}

static void things(gee_req *req) {
    gee_json(req, 200, "{s:{s:s, s:i, s:f, s:b, s:n, s:[i, {s:s}, []]}, s:s, s:i}", "a", "text",
             "t\"1\"", "n", 3, "real", 1.0, "yes", 1, "null", "list", 7, "deep", "x", "1", "one",
             "t", 9);
}

static void list(gee_req *req) {
    gee_json(req, 200, "[[i, i], s]", 1, 2, "x");
}

static void words(gee_req *req) {
    gee_string(req, 418, "some words");
}

static void nothing(gee_req *req) {
    gee_abort_status(req, 204);
}

static void hang_up(gee_req *req) {
    gee_hang_up(req);
}

/* Its length is known; half of it comes. */
static void half(gee_req *req) {
    gee_content_length(req, 20);
    gee_write(req, "half of it", 10);
    gee_flush(req);
    gee_hang_up(req);
}

static void waits(gee_req *req) {
    gee_ctx_wait(gee_req_ctx(req));
}

static void large(gee_req *req) {
    for (int i = 0; i < 1000; i++)
        gee_write(req, "0123456789", 10);
}

static void who(gee_req *req) {
    gee_string(req, 200, "%s", gee_remote(req));
}

static void routes(gee_group *r) {
    gee_any(r, "/echo", echo, NULL);
    gee_GET(r, "/things", things);
    gee_GET(r, "/list", list);
    gee_GET(r, "/words", words);
    gee_GET(r, "/nothing", nothing);
    gee_GET(r, "/hang-up", hang_up);
    gee_GET(r, "/half", half);
    gee_GET(r, "/waits", waits);
    gee_GET(r, "/large", large);
    gee_GET(r, "/who", who);
}

/* --- what it sends --- */

static void it_sends_what_is_said_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    expect(e, GET("/echo?a=../b&c=%20"), header("X-Name", "u-123"), status(200),
           field("content-TYPE", "application/json"), json("method", "GET"),
           json("target", "/echo?a=../b&c=%20"), json("name", "u-123"), json("body", ""),
           json_null("type"), json_null("expect"));
    expect(e, GET("/echo"), header("X-Name", ""), json("name", ""));
    expect(e, GET("/echo"), json_null("name")); /* nothing is left of the one before */
    expect(e, POST("/echo"), content("application/json", "{\"a\": 1}"), status(200),
           json("method", "POST"), json("type", "application/json"), json("body", "{\"a\": 1}"));
    expect(e, PUT("/echo"), content("text/plain", ""), json("method", "PUT"), json("body", ""));
    expect(e, PATCH("/echo"), content("text/plain", "x"), json("method", "PATCH"));
    expect(e, DELETE("/echo"), json("method", "DELETE"));
    expect(e, OPTIONS("/echo"), json("method", "OPTIONS"));
    expect(e, HEAD("/words"), status(418), text(""), field("Content-Length", "10"));
    expect(e, GET("/words"), status(418), text("some words"), contains("me w"));
    expect(e, GET("/nothing"), status(204), text(""), field("Content-Type", NULL));
    expect(e, GET("/../words"), status(400));
    t_expect_free(e);
}

/* All go over one connection. */
static void they_share_a_connection_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port), *other = t_expect_new(ctx, port);
    char first[64];
    (void)none;
    expect(e, GET("/who"), status(200));
    snprintf(first, sizeof(first), "%s", t_expect_body(e));
    expect(e, GET("/words"), status(418));
    expect(e, GET("/who"), text(first));
    bool same = expecting(other, GET("/who"), text(first))[0] == '\0';
    t_expect_free(e);
    t_expect_free(other);
    T_CHECK(!same);
}

static void values_have_types_and_places_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    expect(e, GET("/things"), json("a.text", "t\"1\""), json_int("a.n", 3),
           json_bool("a.yes", true), json_null("a.null"), json_int("a.list[0]", 7),
           json("a.list[1].deep", "x"), json_size("a.list", 3), json_size("a.list[2]", 0),
           json_size("a.list[1]", 1), json_absent("a.list[3]"), json_absent("a.text.more"),
           json_absent("b"), json("1", "one"));
    expect(e, GET("/list"), json_size("", 2), json_int("[0][1]", 2), json("[1]", "x"));
    bool found = t_streq(t_expect_string(e, "[1]"), "x") && t_expect_string(e, "[0]") == NULL;
    t_expect_free(e);
    T_CHECK(found);
}

/* --- that it fails --- */

#define T_WHY(want, ...)                                     \
    do {                                                     \
        const char *why_ = expecting(e, __VA_ARGS__);        \
        if (!t_streq(why_, want)) {                          \
            t_fail(__FILE__, __LINE__, "it says: %s", why_); \
            t_expect_free(e);                                \
            return;                                          \
        }                                                    \
    } while (0)

#define WORDS " (418, body \"some words\")"

static void it_fails_and_says_why_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    T_WHY("", GET("/words"), status(418));
    T_WHY("GET /words: status 418, not 200" WORDS, GET("/words"), status(200));
    T_WHY("GET /words: Content-Length is 10, not 11" WORDS, GET("/words"),
          field("Content-Length", "11"));
    T_WHY("GET /words: X-Not is not there, not y" WORDS, GET("/words"), field("X-Not", "y"));
    T_WHY("GET /words: Content-Length is 10, not absent" WORDS, GET("/words"),
          field("Content-Length", NULL));
    T_WHY("GET /words: the body is not \"some word\"" WORDS, GET("/words"), text("some word"));
    T_WHY("GET /words: the body does not contain \"no\"" WORDS, GET("/words"), contains("no"));
    T_WHY("GET /words: the body is no JSON" WORDS, GET("/words"), json("a", "b"));
    T_WHY("GET /words: an answer, where none was to come" WORDS, GET("/words"), no_answer());
    T_WHY("POST /words: status 405, not 418 (405, body \"405 Method Not Allowed\n\")",
          POST("/words"), status(418));
    /* the first that fails, in the order in which they stand */
    T_WHY("GET /words: status 418, not 1" WORDS, GET("/words"), status(418), status(1), text(""));
    T_WHY("(no method) : what is to be asked?", status(200));
    t_expect_free(e);
}

#define BODY                                                                             \
    " (200, body "                                                                       \
    "\"{\"a\":{\"text\":\"t\\\"1\\\"\",\"n\":3,\"real\":1.0,\"yes\":true,\"null\":null," \
    "\"list\":[7,{\"deep\":\"x\"},[]]},\"1\":\"one\",\"t\":9}\")"

static void json_fails_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    T_WHY("GET /things: a.text is \"t\\\"1\\\"\", not \"u\"" BODY, GET("/things"),
          json("a.text", "u"));
    T_WHY("GET /things: a.texts is not there, not \"u\"" BODY, GET("/things"),
          json("a.texts", "u"));
    T_WHY("GET /things: a.n is 3, not 4" BODY, GET("/things"), json_int("a.n", 4));
    T_WHY("GET /things: a.n is 3, not \"3\"" BODY, GET("/things"), json("a.n", "3"));
    T_WHY("GET /things: a.real is 1.0, not 1" BODY, GET("/things"), json_int("a.real", 1));
    T_WHY("GET /things: a.yes is true, not 1" BODY, GET("/things"), json_int("a.yes", 1));
    T_WHY("GET /things: a.yes is true, not false" BODY, GET("/things"), json_bool("a.yes", false));
    T_WHY("GET /things: a.null is null, not false" BODY, GET("/things"),
          json_bool("a.null", false));
    T_WHY("GET /things: a.none is not there, not null" BODY, GET("/things"), json_null("a.none"));
    T_WHY("GET /things: a.n is 3, not null" BODY, GET("/things"), json_null("a.n"));
    T_WHY("GET /things: a.null is null, not absent" BODY, GET("/things"), json_absent("a.null"));
    T_WHY("GET /things: a.list is [7,{\"deep\":\"x\"},[]], not of 2" BODY, GET("/things"),
          json_size("a.list", 2));
    T_WHY("GET /things: a.text is \"t\\\"1\\\"\", not of 1" BODY, GET("/things"),
          json_size("a.text", 1));
    T_WHY("GET /things: a.list[3] is not there, not 1" BODY, GET("/things"),
          json_int("a.list[3]", 1));
    T_WHY("GET /things: \"a.list[\" is no path" BODY, GET("/things"), json_absent("a.list["));
    t_expect_free(e);
}

static void test_paths(void **state) {
    static const char *const bad[] = {".",   ".a",   "a.",  "a..b",  "a[",
                                      "a[]", "a[x]", "a[0", "a[0]b", "a.[0]"};
    static const char *const none[] = {"b", "a[2]", "a.b", "a[0].b", "a[0][0]", "[0]"};
    json_t *root = json_pack("{s:[i, i]}", "a", 1, 2);
    bool is_bad;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_null(t_json_at(root, bad[i], &is_bad));
        assert_true(is_bad);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        assert_null(t_json_at(root, none[i], &is_bad));
        assert_false(is_bad);
    }
    assert_int_equal(json_integer_value(t_json_at(root, "a[1]", &is_bad)), 2);
    assert_ptr_equal(t_json_at(root, "", &is_bad), root);
    assert_null(t_json_at(NULL, "a", &is_bad));
    json_decref(root);
}

static void no_answer_is_none_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    T_WHY("", GET("/hang-up"), no_answer());
    T_WHY("", GET("/half"), no_answer());
    T_WHY("", GET("/waits"), within(50), no_answer());
    T_WHY("GET /hang-up: no answer: Empty reply from server", GET("/hang-up"), status(200));
    const char *why = expecting(e, GET("/half"), status(200), contains("half"));
    bool half_told = strncmp(why, "GET /half: no answer: ", 22) == 0 &&
                     strstr(why, " (200, body \"half of it\")");
    why = expecting(e, GET("/waits"), within(50), status(200));
    bool late_told = strncmp(why, "GET /waits: no answer: ", 23) == 0;
    T_WHY("", GET("/words"), status(418)); /* it goes on */
    t_expect_free(e);
    T_CHECK(half_told);
    T_CHECK(late_told);
}

/* A body is quoted at its beginning. */
static void long_bodies_are_cut_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    const char *why = expecting(e, GET("/large"), status(1));
    bool cut = strlen(why) < 250 && strcmp(why + strlen(why) - 6, "9...\")") == 0;
    bool whole = strlen(t_expect_body(e)) == 10000;
    t_expect_free(e);
    T_CHECK(cut && whole);
}

/* expect() is t_fail(), once: nothing is asked behind it. */
static void test_expect_fails_the_test_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    expect(e, GET("/words"), status(418));
    bool before = t_failed();
    expect(e, GET("/words"), status(200));
    bool after = t_failed();
    expect(e, GET("/who"), status(200));
    bool asked = strcmp(t_expect_body(e), "some words") != 0;
    t_expect_free(e);
    t_forgive();
    T_CHECK(!before);
    T_CHECK(after);
    T_CHECK(!asked);
}

static void refused_body(gee_ctx *ctx, t_conn *none, int port) {
    t_expect *e = t_expect_new(ctx, 1);
    (void)none;
    (void)port;
    T_WHY("", GET("/"), no_answer());
    const char *why = expecting(e, GET("/"), status(200));
    bool told = strncmp(why, "GET /: no answer: Failed to connect", 35) == 0;
    gee_ctx *over = gee_ctx_with_cancel(ctx);
    gee_ctx_cancel(over, 0);
    t_expect *late = t_expect_new(over, port);
    bool ended = strcmp(expecting(late, GET("/"), status(200)), "GET /: not asked: ECANCELED") == 0;
    gee_ctx_unref(over);
    t_expect_free(e);
    t_expect_free(late);
    T_CHECK(told);
    T_CHECK(ended);
}

#define T_REAL(name)                                                       \
    static void test_##name(void **state) {                                \
        (void)state;                                                       \
        for (int workers = 1; workers <= 2; workers++)                     \
            t_site_real(workers, &(t_site){routes, name##_body, NULL, 0}); \
    }

T_REAL(it_sends_what_is_said)
T_REAL(they_share_a_connection)
T_REAL(values_have_types_and_places)
T_REAL(it_fails_and_says_why)
T_REAL(json_fails)
T_REAL(no_answer_is_none)
T_REAL(long_bodies_are_cut)
T_REAL(refused)

static void test_expect_fails_the_test(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, test_expect_fails_the_test_body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_it_sends_what_is_said),
    cmocka_unit_test(test_they_share_a_connection),
    cmocka_unit_test(test_values_have_types_and_places),
    cmocka_unit_test(test_it_fails_and_says_why),
    cmocka_unit_test(test_json_fails),
    cmocka_unit_test(test_paths),
    cmocka_unit_test(test_no_answer_is_none),
    cmocka_unit_test(test_long_bodies_are_cut),
    cmocka_unit_test(test_expect_fails_the_test),
    cmocka_unit_test(test_refused),
};

T_CURL_MAIN(tests)
