/* The rate limit, in virtual time to the millisecond, and on several workers; the body limit. */
#include "gee/middleware.h"
#include "t_client.h"
#include "t_site.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hello(gee_req *req) {
    gee_string(req, 200, "hello");
}

static const char *by_user(gee_req *req) {
    return gee_header(req, "x-user");
}

static void by_address(gee_group *r) {
    gee_use_rate_limit(r, &(gee_rate_limit_options){.per_second = 2, .burst = 3});
    gee_GET(r, "/", hello);
}

static void few_keys(gee_group *r) {
    gee_use_rate_limit(
        r, &(gee_rate_limit_options){.per_second = 0.1, .burst = 2, .max_keys = 3, .key = by_user});
    gee_GET(r, "/", hello);
}

static void defaults(gee_group *r) {
    gee_use_rate_limit(r, NULL);
    gee_GET(r, "/", hello);
}

/* How many of n at once pass. */
static int pass(gee_ctx *ctx, t_conn *c, const char *user, int n) {
    char lines[200] = "";
    int passed = 0;
    if (user)
        snprintf(lines, sizeof(lines), "X-User: %s\r\n", user);
    for (int i = 0; i < n; i++)
        passed += t_ask(ctx, c, "GET", "/", lines) == 200;
    return passed;
}

static void test_a_bucket_body(gee_ctx *ctx, t_conn *c, int port) {
    T_EQ(pass(ctx, c, NULL, 5), 3); /* the burst */
    T_EQ(t_get(ctx, c, "/"), 429);
    T_STR(t_field(c, "retry-after"), "1"); /* whole seconds, and never too early */
    T_CHECK(strncmp(t_body(c), "429 ", 4) == 0);
    gee_sleep(ctx, 499);
    T_EQ(pass(ctx, c, NULL, 1), 0);
    gee_sleep(ctx, 1);
    T_EQ(pass(ctx, c, NULL, 2), 1); /* one in half a second */
    gee_sleep(ctx, 1000);
    T_EQ(pass(ctx, c, NULL, 3), 2);
    gee_sleep(ctx, 3600 * 1000);
    t_conn *d = t_dial(port, 0); /* the old connection has been idle for too long */
    int passed = pass(ctx, d, NULL, 10);
    t_close(ctx, d);
    T_EQ(passed, 3); /* no more gathers than a burst */
}

T_SITE(test_a_bucket, by_address)

static void test_what_was_refused_costs_nothing_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    pass(ctx, c, NULL, 3);
    for (int i = 0; i < 50; i++) { /* who goes on asking gets his share all the same */
        gee_sleep(ctx, 100);
        T_EQ(pass(ctx, c, NULL, 1), (i + 1) % 5 == 0);
    }
}

T_SITE(test_what_was_refused_costs_nothing, by_address)

static void test_default_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(pass(ctx, c, NULL, 20), 10);
    gee_sleep(ctx, 100);
    T_EQ(pass(ctx, c, NULL, 5), 1);
}

T_SITE(test_default, defaults)

static void test_keys_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char long_a[] =
        "0123456789012345678901234567890123456789012345678901234567890123456"
        "789012345678901234567890123456789012345678901234567890123456789-a";
    char long_b[sizeof(long_a)];
    (void)port;
    T_EQ(pass(ctx, c, "a", 3), 2);
    T_EQ(pass(ctx, c, "b", 3), 2);
    T_EQ(pass(ctx, c, "A", 3), 2);
    T_EQ(pass(ctx, c, NULL, 5), 5); /* no key, no limit */
    T_EQ(t_ask(ctx, c, "GET", "/", "X-User: a\r\n"), 429);
    T_STR(t_field(c, "retry-after"), "10");
    memcpy(long_b, long_a, sizeof(long_a));
    long_b[sizeof(long_b) - 2] = 'b'; /* they differ behind what is kept of a key */
    T_EQ(pass(ctx, c, long_a, 3), 2);
    T_EQ(pass(ctx, c, long_b, 3), 2);
}

T_SITE(test_keys, few_keys)

/* Of four, the one that asked least recently is forgotten; who goes on asking is not. */
static void test_memory_is_bounded_body(gee_ctx *ctx, t_conn *c, int port) {
    char user[32];
    (void)port;
    T_EQ(pass(ctx, c, "flood", 3), 2);
    for (int i = 0; i < 100; i++) {
        snprintf(user, sizeof(user), "u%d", i);
        T_EQ(pass(ctx, c, user, 3), 2);
        T_EQ(pass(ctx, c, "flood", 1), 0); /* names of his own do not free him */
    }
    T_EQ(pass(ctx, c, "u99", 1), 0);
    T_EQ(pass(ctx, c, "u1", 3), 2); /* forgotten */
}

T_SITE(test_memory_is_bounded, few_keys)

/* --- several workers, one bucket --- */

static void fifty(gee_group *r) {
    gee_use_rate_limit(r, &(gee_rate_limit_options){.per_second = 1e-6, .burst = 50});
    gee_use_request_id(r, NULL);
    gee_GET(r, "/", hello);
}

static void hammer(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "for i in 1 2 3 4; do " T_CURL
                 "-o /dev/null -w '%%{http_code}\\n' 'http://127.0.0.1:%d/?[1-40]' & done | "
                 "grep -c 200; wait",
                 port),
         0);
    T_EQ(atoi(out), 50);
}

static void test_workers_share_the_limit(void **state) {
    (void)state;
    t_site_real(3, &(t_site){fifty, hammer, NULL, 0});
}

static void test_what_cannot_be(void **state) {
    const gee_rate_limit_options bad[] = {
        {.per_second = -1},          {.burst = -1},          {.per_second = (double)NAN},
        {.burst = (double)INFINITY}, {.max_keys = SIZE_MAX},
    };
    (void)state;
    gee_engine *e = gee_engine_new();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(gee_use_rate_limit(gee_root(e), &bad[i]), UV_EINVAL);
    gee_engine_free(e);
}

/* --- the body limit of a group --- */

static void length(gee_req *req) {
    const char *data;
    size_t n;
    int rc = gee_body(req, &data, &n);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_string(req, 200, "%zu", n);
}

static void unread(gee_req *req) {
    gee_string(req, 200, "not read");
}

static void limited(gee_group *r) {
    gee_POST(r, "/any", length);
    gee_group *g = gee_group_new(r, "/ten");
    gee_use_body_limit(g, 10);
    gee_POST(g, "/all", length);
    gee_POST(g, "/unread", unread);
    g = gee_group_new(g, "/more");
    gee_use_body_limit(g, 1000); /* the outer one stands */
    gee_POST(g, "/all", length);
    g = gee_group_new(r, "/none");
    gee_use_body_limit(g, 0);
    gee_POST(g, "/all", length);
    g = gee_group_new(r, "/large");
    gee_use_body_limit(g, 1 << 30); /* and the server's */
    gee_POST(g, "/all", length);
}

/* Of so many bytes, in chunks of 4. */
static int post_chunks(gee_ctx *ctx, t_conn *c, const char *target, int n) {
    char text[512];
    int at = snprintf(text, sizeof(text),
                      "POST %s HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", target);
    for (; n > 0; n -= 4)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "%d\r\n%.*s\r\n", n < 4 ? n : 4,
                       n < 4 ? n : 4, "abcd");
    snprintf(text + at, sizeof(text) - (size_t)at, "0\r\n\r\n");
    int rc = t_puts(ctx, c, text);
    return rc < 0 ? rc : t_response(ctx, c);
}

static const struct {
    const char *target;
    int n, status;
} bodies[] = {
    {"/any", 100, 200},       {"/any", 101, 413},     {"/ten/all", 10, 200},
    {"/ten/all", 11, 413},    {"/ten/all", 100, 413}, {"/ten/more/all", 11, 413},
    {"/none/all", 0, 200},    {"/none/all", 1, 413},  {"/large/all", 100, 200},
    {"/large/all", 101, 413},
};

static const gee_limits hundred = {.body_bytes = 100};

static void test_body_limits_body(gee_ctx *ctx, t_conn *c, int port) {
    char text[128];
    (void)c;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        snprintf(text, sizeof(text), "%0*d", bodies[i].n, 0);
        text[bodies[i].n] = '\0';
        t_conn *d = t_dial(port, 0), *f = t_dial(port, 0);
        int by_length = t_post(ctx, d, bodies[i].target, "text/plain", text);
        int by_chunks = post_chunks(ctx, f, bodies[i].target, bodies[i].n);
        t_close(ctx, d);
        t_close(ctx, f);
        if (by_length != bodies[i].status || by_chunks != bodies[i].status)
            T_FAIL("%s, %d bytes: %d, in chunks %d", bodies[i].target, bodies[i].n, by_length,
                   by_chunks);
    }
}

T_SITE_WITH(test_body_limits, limited, &hundred, 0)

/* Who knows how much comes need not wait for it. */
static void test_a_length_beyond_is_refused_at_once_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t begin = gee_now_ms();
    (void)port;
    T_EQ(t_ask(ctx, c, "POST", "/ten/all", "Content-Length: 11\r\n"), 413);
    T_STR(t_field(c, "connection"), "close");
    T_EQ(gee_now_ms(), begin);
}

T_SITE_WITH(test_a_length_beyond_is_refused_at_once, limited, &hundred, 0)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_bucket),
    cmocka_unit_test(test_what_was_refused_costs_nothing),
    cmocka_unit_test(test_default),
    cmocka_unit_test(test_keys),
    cmocka_unit_test(test_memory_is_bounded),
    cmocka_unit_test(test_workers_share_the_limit),
    cmocka_unit_test(test_what_cannot_be),
    cmocka_unit_test(test_body_limits),
    cmocka_unit_test(test_a_length_beyond_is_refused_at_once),
};

T_MAIN(tests)
