/* The access log, request ids, and gee_engine_default: what is written, and what cannot be. */
#include "gee/middleware.h"
#include "gee/panic.h"
#include "t_log.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello");
}

static void fails(gee_req *req) {
    gee_fail(req, 418);
}

static void panics(gee_req *req) {
    (void)req;
    gee_panic("on purpose");
}

static void naps(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 1500);
    gee_string(req, 200, "late");
}

static void id(gee_req *req) {
    gee_string(req, 200, "%s", gee_request_id(req) ? gee_request_id(req) : "none");
}

static void routes_with(gee_group *r, enum gee_log_format format) {
    static const gee_account accounts[] = {{"ann \"x\"\\", "pw"}, {NULL, NULL}};
    gee_use_logger(r, &(gee_logger_options){.format = format, .fd = t_log_fd});
    gee_use_request_id(r, NULL);
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/fails", fails);
    gee_GET(r, "/panics", panics);
    gee_GET(r, "/naps", naps);
    gee_GET(r, "/id", id);
    gee_group *g = gee_group_new(r, "/auth");
    gee_use_basic_auth(g, &(gee_basic_auth_options){.accounts = accounts});
    gee_GET(g, "/hello", hello);
}

static void common(gee_group *r) {
    routes_with(r, GEE_LOG_COMMON);
}

static void combined(gee_group *r) {
    routes_with(r, GEE_LOG_COMBINED);
}

static void gee_format(gee_group *r) {
    routes_with(r, GEE_LOG_GEE);
}

static void test_common_format_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/hello?a=1"), 200);
    T_LOGGED("^[^ ]+ - -" T_LOG_TIME "\"GET /hello\\?a=1 HTTP/1\\.1\" 200 5\n$");
    T_EQ(t_get(ctx, c, "/nothing"), 404);
    T_LOGGED("\"GET /nothing HTTP/1\\.1\" 404 [0-9]+\n$");
    T_EQ(t_get(ctx, c, "/fails"), 418);
    T_LOGGED("\"GET /fails HTTP/1\\.1\" 418 [0-9]+\n$");
    T_EQ(t_ask(ctx, c, "POST", "/hello", "Content-Length: 0\r\n"), 405);
    T_LOGGED("\"POST /hello HTTP/1\\.1\" 405 ");
    T_EQ(t_ask(ctx, c, "GET", "/auth/hello", "Authorization: Basic YW5uICJ4Ilw6cHc=\r\n"), 200);
    T_LOGGED("^[^ ]+ - ann \\\\\"x\\\\\"\\\\\\\\" T_LOG_TIME);
    T_EQ(t_ask(ctx, c, "GET", "/auth/hello", ""), 401);
    T_LOGGED("^[^ ]+ - -" T_LOG_TIME "\"GET /auth/hello HTTP/1\\.1\" 401 ");
}

T_SITE(test_common_format, common)

static void test_combined_format_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/hello", "Referer: http://x/y\r\nUser-Agent: gee/1 (t)\r\n"), 200);
    T_LOGGED("200 5 \"http://x/y\" \"gee/1 \\(t\\)\"\n$");
    T_EQ(t_ask(ctx, c, "GET", "/hello", ""), 200);
    T_LOGGED("200 5 \"-\" \"-\"\n$");
    T_EQ(t_ask(ctx, c, "GET", "/hello", "User-Agent:\r\n"), 200);
    T_LOGGED("200 5 \"-\" \"\"\n$");
}

T_SITE(test_combined_format, combined)

/* Nobody writes a line of the log but the log. */
static void test_nothing_is_injected_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/hello?%0a%0d\"x\"\\", "User-Agent: a\"b\\c\td\xc3\xa4\x80\r\n"),
         200);
    T_LOGGED("^[^\n]* \"GET /hello\\?%0a%0d\\\\\"x\\\\\"\\\\\\\\ HTTP/1\\.1\" 200 5 \"-\" "
             "\"a\\\\\"b\\\\\\\\c\\\\x09d\\\\xc3\\\\xa4\\\\x80\"\n$");
    /* \n, ESC and NUL in the name of who tried to log in are not logged at all: he was not let in
     */
    T_EQ(t_ask(ctx, c, "GET", "/auth/hello", "Authorization: Basic YQpiOng=\r\n"), 401);
    T_LOGGED("^[^ ]+ - - ");
}

T_SITE(test_nothing_is_injected, combined)

static void test_gee_format_body(gee_ctx *ctx, t_conn *c, int port) {
    char line[8192];
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/naps", "X-Request-ID: abc-1\r\n"), 200);
    T_LOGGED("200 4 \"-\" \"-\" abc-1 1500\\.[0-9]{3}\n$");
    T_EQ(t_get(ctx, c, "/hello"), 200);
    snprintf(line, sizeof(line), "%s", t_logged());
    T_CHECK(strstr(line, t_field(c, "x-request-id")));
}

T_SITE(test_gee_format, gee_format)

/* 500 of a panic that goes by, 499 for who did not wait; and one line each. */
static void test_how_requests_end_body(gee_ctx *ctx, t_conn *c, int port) {
    T_EQ(t_get(ctx, c, "/panics"), 500);
    T_LOGGED("^[^\n]*\"GET /panics HTTP/1\\.1\" 500 0\n$");
    t_conn *d = t_dial(port, 0);
    t_puts(ctx, d, "GET /naps HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 100);
    t_reset(ctx, d);
    gee_sleep(ctx, 1);
    T_LOGGED("^[^\n]*\"GET /naps HTTP/1\\.1\" 499 [0-9]+\n$");
    d = t_dial(port, 0);
    t_puts(ctx, d, "GET /bad\r\n\r\n");
    t_all(ctx, d);
    t_close(ctx, d);
    T_STR(t_logged(), ""); /* no middleware sees it */
}

T_SITE(test_how_requests_end, common)

/* --- request ids --- */

static void test_ids_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const kept[] = {
        "a", "A-1_b.c:d/e+f=", "0123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const replaced[] = {
        "",         "a b",  "a\"b",
        "<x>",      "a,b",  "a;b",
        "\xc3\xa4", "a\tb", "01234567890123456789012345678901234567890123456789012345678901234"};
    char lines[128], last[64] = "";
    (void)port;
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        snprintf(lines, sizeof(lines), "X-Request-ID: %s\r\n", kept[i]);
        T_EQ(t_ask(ctx, c, "GET", "/id", lines), 200);
        T_STR(t_body(c), kept[i]);
        T_STR(t_field(c, "x-request-id"), kept[i]);
    }
    for (size_t i = 0; i < sizeof(replaced) / sizeof(*replaced); i++) {
        snprintf(lines, sizeof(lines), "X-Request-ID: %s\r\n", replaced[i]);
        T_EQ(t_ask(ctx, c, "GET", "/id", lines), 200);
        T_CHECK(t_matches(t_body(c), "^[0-9a-f]{32}$"));
        T_STR(t_field(c, "x-request-id"), t_body(c));
        T_CHECK(strcmp(t_body(c), last) != 0);
        snprintf(last, sizeof(last), "%s", t_body(c));
    }
    t_logged();
}

T_SITE(test_ids, common)

static void own_ids(gee_group *r) {
    gee_use_request_id(r, &(gee_request_id_options){.header = "X-Trace", .distrust = true});
    gee_GET(r, "/id", id);
}

static void test_ids_of_our_own_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/id", "X-Trace: theirs\r\n"), 200);
    T_CHECK(t_matches(t_body(c), "^[0-9a-f]{32}$"));
    T_STR(t_field(c, "x-trace"), t_body(c));
    T_STR(t_field(c, "x-request-id"), NULL);
}

T_SITE(test_ids_of_our_own, own_ids)

/* --- gee_engine_default: a panic is answered, and is in the log --- */

static void visit_default(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    gee_engine *e = arg;
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), 0);
    t_conn *c = t_dial(gee_server_port(srv), 0);
    int status = t_get(ctx, c, "/panics"), again = t_get(ctx, c, "/hello");
    t_close(ctx, c);
    int rc = gee_server_shutdown(srv);
    T_EQ(status, 500);
    T_EQ(again, 200);
    T_RC(rc, 0);
}

static void test_default_logs_and_recovers(void **state) {
    char text[16384] = "";
    (void)state;
    gee_engine *e = gee_engine_default();
    assert_non_null(e);
    gee_GET(gee_root(e), "/panics", panics);
    gee_GET(gee_root(e), "/hello", hello);
    FILE *file = tmpfile();
    fflush(stderr);
    int saved = dup(2);
    dup2(fileno(file), 2);
    gee_config cfg = {.sim = true};
    int rc = gee_run(&cfg, visit_default, e);
    dup2(saved, 2);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    gee_engine_free(e);
    assert_int_equal(rc, 0);
    assert_false(t_failed());
    assert_non_null(strstr(text, "on purpose"));
    assert_non_null(strstr(text, "\"GET /panics HTTP/1.1\" 500 "));
    assert_non_null(strstr(text, "\"GET /hello HTTP/1.1\" 200 5 \"-\" \"-\"\n"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_common_format),       cmocka_unit_test(test_combined_format),
    cmocka_unit_test(test_nothing_is_injected), cmocka_unit_test(test_gee_format),
    cmocka_unit_test(test_how_requests_end),    cmocka_unit_test(test_ids),
    cmocka_unit_test(test_ids_of_our_own),      cmocka_unit_test(test_default_logs_and_recovers),
};

T_LOG_MAIN(tests)
