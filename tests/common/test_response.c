/* What a handler can answer: status, fields, text, JSON, data; and the debug page. */
#include "gee/debug.h"
#include "t_site.h"
#include "web/web.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text(gee_req *req) {
    int n = atoi(gee_query(req, "n"));
    gee_string(req, 200, "%0*d!%s", n, 7, "%s");
}

static void status(gee_req *req) {
    int before = gee_status_of(req);
    gee_status(req, 999); /* is none */
    gee_status(req, 202);
    int between = gee_status_of(req);
    gee_string(req, 203, "%d %d", before, between);
}

static void status_alone(gee_req *req) {
    gee_status(req, 202);
}

static void status_of_stream(gee_req *req) {
    gee_status(req, 206);
    gee_write(req, "part", 4);
    gee_status(req, 500); /* too late */
    if (gee_status_of(req) != 206)
        gee_write(req, "!", 1);
}

static void no_content(gee_req *req) {
    gee_string(req, atoi(gee_param(req, "status")), "not for the client");
}

static void fields(gee_req *req) {
    gee_set_header(req, "X-One", "first");
    gee_set_header(req, "x-one", "second");
    gee_add_header(req, "X-Many", "a");
    gee_add_header(req, "X-Many", "b");
    gee_add_header(req, "X-Gone", "a");
    gee_add_header(req, "x-gone", "b");
    gee_add_header(req, "X-Gone", "c");
    gee_set_header(req, "X-Gone", "all");
    gee_set_header(req, "X-Tab", "a\tb");
    gee_set_header(req, "Content-Type", "text/mine");
    gee_data(req, 200, "text/html", "<p>", 3);
}

typedef struct bad {
    const char *name, *value;
} bad;

static const bad bads[] = {
    {"X-A", "a\r\nX-B: b"},
    {"X-A", "a\nb"},
    {"X-A", "a\rb"},
    {"X-A", "a\x01"},
    {"X-A", "a\x7f"},
    {"X-A\r\nX-B", "b"},
    {"X A", "a"},
    {"X:A", "a"},
    {"", "a"},
    {"X-\xc3\xa4", "a"},
    {"Content-Length", "3"},
    {"content-length", "3"},
    {"Transfer-Encoding", "chunked"},
    {"Date", "today"},
};

static void injects(gee_req *req) {
    int refused = 0, n = sizeof(bads) / sizeof(*bads);
    for (int i = 0; i < n; i++)
        refused += gee_set_header(req, bads[i].name, bads[i].value) == UV_EINVAL &&
                   gee_add_header(req, bads[i].name, bads[i].value) == UV_EINVAL;
    int type = gee_data(req, 200, "text/x\r\nX-B: b", "", 0);
    gee_string(req, 200, "%d of %d, %s", refused, n, t_err(type));
}

static int codes[8];

static void twice(gee_req *req) {
    codes[0] = gee_string(req, 200, "first");
    codes[1] = gee_string(req, 500, "second");
    codes[2] = gee_data(req, 500, "a/b", "x", 1);
    codes[3] = gee_json(req, 500, "{s:i}", "n", 1);
    codes[4] = gee_fail(req, 500);
    codes[5] = gee_set_header(req, "X-Late", "1");
    codes[6] = gee_write(req, "x", 1);
    codes[7] = gee_json_value(req, 500, json_string("not lost"));
}

static void after_stream(gee_req *req) {
    gee_write(req, "first", 5);
    if (gee_string(req, 500, "second") == UV_EALREADY && gee_fail(req, 500) == UV_EALREADY)
        gee_write(req, ".", 1);
}

static void json(gee_req *req) {
    gee_json(req, 201, "{s:s, s:i, s:[b,n]}", "name", "g\"\n", "n", 3, "list", 1);
}

static void json_any(gee_req *req) {
    gee_json_value(req, 200, json_string("text"));
}

static void json_bad(gee_req *req) {
    int rc = gee_json(req, 200, "{s:s}", "name", "\xff");
    if (rc == UV_EINVAL && gee_json_value(req, 200, NULL) == UV_EINVAL)
        gee_fail(req, 500);
}

enum { BIG = 1024 * 1024 };
static char big[BIG];

static void data(gee_req *req) {
    gee_data(req, 200, "application/octet-stream", big, BIG);
}

static void close_it(gee_req *req) {
    gee_set_header(req, "Connection", "close");
    gee_string(req, 200, "bye");
}

static void routes(gee_group *r) {
    gee_GET(r, "/text", text);
    gee_GET(r, "/status", status);
    gee_GET(r, "/status-alone", status_alone);
    gee_GET(r, "/status-of-stream", status_of_stream);
    gee_GET(r, "/none/:status", no_content);
    gee_GET(r, "/fields", fields);
    gee_GET(r, "/injects", injects);
    gee_GET(r, "/twice", twice);
    gee_GET(r, "/after-stream", after_stream);
    gee_GET(r, "/json", json);
    gee_GET(r, "/json-any", json_any);
    gee_GET(r, "/json-bad", json_bad);
    gee_GET(r, "/data", data);
    gee_GET(r, "/close", close_it);
    gee_debug_routes(r);
}

static void test_text_body(gee_ctx *ctx, t_conn *c, int port) {
    static const int lengths[] = {1, 252, 253, 254, 255, 300, 4000, 5000, 100000};
    char target[32];
    (void)port;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        int n = lengths[i];
        snprintf(target, sizeof(target), "/text?n=%d", n);
        T_EQ(t_get(ctx, c, target), 200);
        T_EQ(strlen(t_body(c)), n + 3);
        T_STR(t_body(c) + n - 1, "7!%s");
    }
    T_STR(t_field(c, "content-type"), "text/plain; charset=utf-8");
}

T_SITE(test_text, routes)

static void test_status_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/status"), 203);
    T_STR(t_body(c), "200 202");
    T_EQ(t_get(ctx, c, "/status-alone"), 202);
    T_STR(t_field(c, "content-length"), "0");
    T_EQ(t_get(ctx, c, "/status-of-stream"), 206);
    T_STR(t_body(c), "part");
    T_EQ(t_get(ctx, c, "/none/204"), 204);
    T_STR(t_field(c, "content-length"), NULL);
    T_STR(t_field(c, "transfer-encoding"), NULL);
    T_EQ(t_get(ctx, c, "/none/304"), 304);
    T_EQ(t_get(ctx, c, "/close"), 200); /* and no byte of a body came between */
    T_STR(t_field(c, "connection"), "close");
    T_EQ(t_more(ctx, c), 0);
}

T_SITE(test_status, routes)

static int count(const char *text_, const char *what) {
    int n = 0;
    for (const char *at = text_; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void test_fields_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "GET /fields HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"), 0);
    const char *all = t_all(ctx, c);
    T_EQ(count(all, "\r\nX-One: second\r\n"), 1);
    T_EQ(count(all, "first"), 0);
    T_EQ(count(all, "\r\nX-Many: a\r\nX-Many: b\r\n"), 1);
    T_EQ(count(all, "\r\nX-Gone: all\r\n"), 1); /* in place of all that were added */
    T_EQ(count(all, "-Gone: ") + count(all, "-gone: "), 1);
    T_EQ(count(all, "\r\nX-Tab: a\tb\r\n"), 1);
    T_EQ(count(all, "Content-Type: text/html\r\n"), 1);
    T_EQ(count(all, "text/mine"), 0);
    T_EQ(count(all, "\r\nDate: "), 1);
    T_EQ(count(all, "\r\nConnection: close\r\n"), 1);
    T_EQ(count(all, "\r\n\r\n<p>"), 1);
}

T_SITE(test_fields, routes)

static void test_injection_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/injects"), 200);
    T_STR(t_body(c), "14 of 14, EINVAL");
    T_STR(t_field(c, "x-a"), NULL);
    T_STR(t_field(c, "x-b"), NULL);
}

T_SITE(test_injection, routes)

static void test_once_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/twice"), 200);
    T_STR(t_body(c), "first");
    T_STR(t_field(c, "x-late"), NULL);
    T_EQ(t_get(ctx, c, "/after-stream"), 200); /* the connection is in step */
    T_STR(t_body(c), "first.");
}

static void test_once(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, test_once_body, NULL, 0});
    assert_int_equal(codes[0], 0);
    for (int i = 1; i < 8; i++)
        assert_int_equal(codes[i], UV_EALREADY);
}

static void test_json_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/json"), 201);
    T_STR(t_field(c, "content-type"), "application/json");
    T_STR(t_body(c), "{\"name\":\"g\\\"\\n\",\"n\":3,\"list\":[true,null]}");
    T_EQ(t_get(ctx, c, "/json-any"), 200);
    T_STR(t_body(c), "\"text\"");
    T_EQ(t_get(ctx, c, "/json-bad"), 500);
    T_STR(t_body(c), "500 Internal Server Error\n");
}

T_SITE(test_json, routes)

/* A reader that takes a little at a time: all of it comes, and is never kept. */
static void test_slow_reader_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    size_t got = 0;
    int n = 1;
    (void)port;
    gee_census_take(&before);
    T_RC(t_puts(ctx, c, "GET /data HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"), 0);
    const char *end = t_until(ctx, c, "\r\n\r\n");
    T_CHECK(end != NULL);
    T_CHECK(strstr(t_text(c), "Content-Length: 1048576\r\n") != NULL);
    for (got = t_size(c) - (size_t)(end + 4 - t_text(c)); n > 0; got += (size_t)n) {
        t_drop(c);
        gee_sleep(ctx, 10);
        gee_census_take(&now);
        T_CHECK(now.bytes - before.bytes < 64 * 1024);
        n = t_more(ctx, c);
        T_CHECK(n >= 0);
    }
    T_EQ(got, BIG);
}

T_SITE_WITH(test_slow_reader, routes, NULL, 8 * 1024)

/* --- two who write --- */

enum { BLOCKS = 64, OF = 1000 };

typedef struct two {
    gee_req *req;
    _Atomic int first, second; /* errors; nothing orders them and the client */
} two;

/* Small pieces, that are gathered: what is parked is the buffer that they are gathered in. */
static int writes_much(gee_ctx *ctx, void *arg) {
    two *t = arg;
    char block[OF];
    (void)ctx;
    memset(block, 'a', sizeof(block));
    for (int i = 0; i < BLOCKS && t->first == 0; i++) {
        t->first = gee_write(t->req, block, sizeof(block));
        if (i % 8 == 7 && t->first == 0)
            t->first = gee_flush(t->req);
    }
    return 0;
}

static int writes_too(gee_ctx *ctx, void *arg) {
    two *t = arg;
    char block[OF];
    gee_sleep(ctx, 5); /* by now the other one waits for the client */
    memset(block, 'b', sizeof(block));
    for (int i = 0; i < BLOCKS && t->second == 0; i++)
        t->second = gee_write(t->req, block, sizeof(block));
    return 0;
}

static two both;

static void two_writers(gee_req *req) {
    both.req = req;
    both.first = both.second = 0;
    gee_req_go(req, writes_much, &both);
    gee_req_go(req, writes_too, &both);
    gee_req_join(req);
}

static void two_write_routes(gee_group *r) {
    gee_GET(r, "/two", two_writers);
}

/* The second is told; and what the first has written is there, and nothing else. */
static void test_two_writers_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "GET /two HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    gee_sleep(ctx, 10);
    T_EQ(t_response(ctx, c), 200);
    T_RC(both.second, UV_EBUSY);
    T_RC(both.first, 0);
    T_EQ(t_body_size(c), BLOCKS * OF);
    T_EQ(strspn(t_body(c), "a"), BLOCKS * OF);
}

T_SITE_WITH(test_two_writers, two_write_routes, NULL, 4 * 1024)

/* --- /debug/tasks --- */

static void naps(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 1000);
    gee_sleep(ctx, 3000);
}

static json_t *task_named(json_t *list, const char *name) {
    size_t i;
    json_t *t;
    json_array_foreach(list, i, t) {
        if (t_streq(json_string_value(json_object_get(t, "name")), name))
            return t;
    }
    return NULL;
}

static long long number(json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}

static const char *string(json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

static void check_json(json_t *root) {
    static const char file[] = "tests/common/test_response.c:";
    json_t *census = json_object_get(root, "census"), *list = json_object_get(root, "tasks");
    json_t *t = task_named(list, "naps");
    T_CHECK(census != NULL && t != NULL);
    T_EQ(number(census, "tasks"), (long long)json_array_size(list));
    T_EQ(number(census, "conns"), 1);
    T_EQ(number(census, "reqs"), 1);
    T_STR(string(t, "state"), "waiting");
    T_STR(string(t, "reason"), "sleep");
    T_CHECK(strncmp(string(t, "created_at"), file, strlen(file)) == 0);
    T_CHECK(strncmp(string(t, "parked_at"), file, strlen(file)) == 0);
    T_EQ(number(t, "age_ms"), 2500);
    T_EQ(number(t, "since_ms"), 1500);
    T_EQ(number(t, "worker"), 0);
    T_EQ(number(t, "ctx_err"), 0);
    T_CHECK(json_is_true(json_object_get(t, "hears_ctx")));
    t = task_named(list, "GET /debug/tasks?format=json");
    T_CHECK(t != NULL);
    T_STR(string(t, "state"), "running");
    T_CHECK(json_object_get(t, "parked_at") == NULL);
}

static void test_debug_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(gee_go(ctx, naps, NULL), 0);
    gee_sleep(ctx, 2500);
    T_EQ(t_get(ctx, c, "/debug/tasks?format=json"), 200);
    T_STR(t_field(c, "content-type"), "application/json");
    json_t *root = json_loads(t_body(c), 0, NULL);
    T_CHECK(root != NULL);
    check_json(root);
    json_decref(root);
    T_EQ(t_get(ctx, c, "/debug/tasks"), 200);
    T_CHECK(strncmp(t_body(c), "census: tasks ", 14) == 0);
    T_CHECK(strstr(t_body(c), "\"naps\", worker 0, created at tests/common/test_response.c:"));
    T_CHECK(strstr(t_body(c), "waiting  (sleep) 1.5 s at tests/common/test_response.c:"));
    T_CHECK(strstr(t_body(c), ", age 2.5 s\n"));
    T_CHECK(strstr(t_body(c), "\"GET /debug/tasks\""));
}

T_SITE(test_debug, routes)

/* --- formats: the short way says what printf says, or that it cannot --- */

static int plain(char *to, size_t room, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = gee_text_plain(to, room, fmt, ap);
    va_end(ap);
    return n;
}

#define SAME(...)                                                           \
    do {                                                                    \
        char want[64], got[64];                                             \
        int len = snprintf(want, sizeof(want), __VA_ARGS__);                \
        assert_int_equal(plain(got, sizeof(got), __VA_ARGS__), len);        \
        assert_memory_equal(got, want, (size_t)len);                        \
        assert_int_equal(plain(got, (size_t)len, __VA_ARGS__), len);        \
        if (len > 0)                                                        \
            assert_int_equal(plain(got, (size_t)len - 1, __VA_ARGS__), -1); \
    } while (0)

static void test_formats(void **state) {
    char out[64];
    (void)state;
    SAME("hello");
    SAME("%s", "");
    SAME("%s and %s\n", "a", "b");
    SAME("100%%, %d of %d", 0, -1);
    SAME("%d%d%s", INT_MAX, INT_MIN, "%d");
    assert_int_equal(plain(out, sizeof(out), "%5d", 1), -1);
    assert_int_equal(plain(out, sizeof(out), "%ld", 1L), -1);
    assert_int_equal(plain(out, sizeof(out), "%.*s", 1, "x"), -1);
    assert_int_equal(plain(out, sizeof(out), "%s", (char *)NULL), -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_formats),   cmocka_unit_test(test_text),
    cmocka_unit_test(test_status),    cmocka_unit_test(test_fields),
    cmocka_unit_test(test_injection), cmocka_unit_test(test_once),
    cmocka_unit_test(test_json),      cmocka_unit_test(test_slow_reader),
    cmocka_unit_test(test_debug),     cmocka_unit_test(test_two_writers),
};

T_MAIN(tests)
