/*
 * Compressed responses: what they are, that events come through one by one, and that
 * nothing is left however they end.
 */
#include "gee/gzip.h"
#include "gee/recovery.h"
#include "gee/static.h"
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MOST = 200000 };

static char words[MOST + 1], plain[MOST + 1], noise[8192], dir[64];

/* --- the site --- */

static size_t number(gee_req *req, const char *name) {
    return (size_t)atoi(gee_default_query(req, name, "0"));
}

/* Headers as the query has them: x-etag=… is ETag. */
static void set_headers(gee_req *req) {
    static const char *const names[] = {"ETag", "Content-Encoding", "Cache-Control", "Vary",
                                        "Accept-Ranges"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (gee_query(req, names[i]))
            gee_set_header(req, names[i], gee_query(req, names[i]));
}

/* /text?n=&status=&type= and the headers. */
static void text(gee_req *req) {
    size_t status = number(req, "status");
    set_headers(req);
    gee_data(req, status ? (int)status : 200, gee_default_query(req, "type", "text/plain"), words,
             number(req, "n"));
}

/* /pieces?n=&piece=&says=: with a length that is announced, or not. */
static void pieces(gee_req *req) {
    size_t left = number(req, "n"), piece = number(req, "piece");
    gee_set_header(req, "Content-Type", "text/html; charset=utf-8");
    set_headers(req);
    if (gee_query(req, "says"))
        gee_content_length(req, number(req, "says"));
    for (const char *at = words; left > 0;) {
        size_t n = left < piece ? left : piece;
        if (gee_write(req, at, n) < 0)
            return;
        at += n;
        left -= n;
    }
}

static int64_t event(gee_req *req, void *arg) {
    int *n = arg;
    gee_sse_event(req, "tick", "the same again");
    return ++*n < 4 ? 1000 : GEE_STREAM_END;
}

static void events(gee_req *req) {
    int n = 0;
    gee_sse_heartbeat(req, 15000, event, &n);
}

/* Until it is not taken any more. */
static void flood(gee_req *req) {
    gee_set_header(req, "Content-Type", "text/plain");
    for (int i = 0; i < 2000 && gee_write(req, noise, sizeof(noise)) == 0; i++)
        ;
}

static void panics_early(gee_req *req) {
    gee_data(req, 200, "text/plain", words, 5000);
    gee_panic("before anything was sent");
}

static void panics_late(gee_req *req) {
    gee_set_header(req, "Content-Type", "text/plain");
    gee_write(req, words, 5000);
    gee_flush(req);
    gee_panic("in the middle");
}

static void hangs_up(gee_req *req) {
    gee_set_header(req, "Content-Type", "text/plain");
    gee_write(req, words, 50000);
    gee_flush(req);
    gee_hang_up(req);
}

static void routes(gee_group *r) {
    gee_GET(r, "/plain", text); /* in front of it */
    gee_use_recovery(r, NULL);
    gee_use_gzip(r, NULL);
    gee_group *twice = gee_group_new(r, "/twice");
    gee_use_gzip(twice, &(gee_gzip_options){.level = 9, .window_bits = 9});
    gee_GET(r, "/text", text);
    gee_GET(r, "/pieces", pieces);
    gee_GET(r, "/events", events);
    gee_GET(r, "/flood", flood);
    gee_GET(r, "/panics/early", panics_early);
    gee_GET(r, "/panics/late", panics_late);
    gee_GET(r, "/hangs/up", hangs_up);
    gee_GET(twice, "/text", text);
    if (*dir)
        gee_static(r, "/files", dir, NULL);
}

/* First come, first served, only: what is looked at does not depend on the order. */
#define ONCE(name)                                            \
    static void name(void **state) {                          \
        (void)state;                                          \
        t_site_once(&(t_site){routes, name##_body, NULL, 0}); \
    }

/* --- the client --- */

/* As much as can be decoded: how much; *whole: it had its end. */
static size_t decode(const char *data, size_t n, bool *whole) {
    z_stream z = {0};
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)plain;
    z.avail_out = MOST;
    inflateInit2(&z, 15 + 16);
    int rc = inflate(&z, Z_SYNC_FLUSH);
    *whole = rc == Z_STREAM_END && z.avail_in == 0;
    size_t got = MOST - z.avail_out;
    inflateEnd(&z);
    plain[got] = '\0';
    return got;
}

static bool is(t_conn *c, const char *name, const char *value) {
    return t_streq(t_field(c, name), value);
}

/* The response is coded, or is not; and its body is n of the words. */
static bool has_words(t_conn *c, bool coded, size_t n) {
    bool whole = true;
    if (!is(c, "Content-Encoding", coded ? "gzip" : NULL))
        return false;
    if (!coded)
        return t_body_size(c) == n && memcmp(t_body(c), words, n) == 0;
    return decode(t_body(c), t_body_size(c), &whole) == n && whole &&
           memcmp(plain, words, n) == 0 && t_body_size(c) < n / 2 + 40;
}

#define GZIP "Accept-Encoding: gzip\r\n"

struct what {
    const char *target;
    bool coded;
    const char *vary, *etag; /* NULL: none */
    size_t n;
    int status; /* 0: 200 */
};

#define AE "Accept-Encoding"

static const struct what whats[] = {
    {"/plain?n=3000", false, NULL, NULL, 3000, 0},
    {"/text?n=1023", false, NULL, NULL, 1023, 0},
    {"/text?n=1024", true, AE, NULL, 1024, 0},
    {"/text?n=4096", true, AE, NULL, 4096, 0},
    {"/text?n=65536", true, AE, NULL, 65536, 0}, /* at once */
    {"/text?n=65537", true, AE, NULL, 65537, 0}, /* in chunks */
    {"/text?n=200000", true, AE, NULL, 200000, 0},
    {"/text?n=0", false, NULL, NULL, 0, 0},
    {"/text?n=3000&status=404", true, AE, NULL, 3000, 404},
    {"/text?n=3000&status=206", false, NULL, NULL, 3000, 206},
    {"/text?n=3000&type=application/json", true, AE, NULL, 3000, 0},
    {"/text?n=3000&type=Application/JSON;charset=utf-8", true, AE, NULL, 3000, 0},
    {"/text?n=3000&type=application/problem%2bjson", true, AE, NULL, 3000, 0},
    {"/text?n=3000&type=image/svg%2bxml", true, AE, NULL, 3000, 0},
    {"/text?n=3000&type=application/jsonp", false, NULL, NULL, 3000, 0},
    {"/text?n=3000&type=image/png", false, NULL, NULL, 3000, 0},
    {"/text?n=3000&type=application/octet-stream", false, NULL, NULL, 3000, 0},
    {"/text?n=3000&type=tex", false, NULL, NULL, 3000, 0},
    {"/text?n=3000&Cache-Control=private,+No-Transform", false, NULL, NULL, 3000, 0},
    {"/text?n=3000&Cache-Control=no-store", true, AE, NULL, 3000, 0},
    {"/text?n=3000&ETag=%22a%22", true, AE, "W/\"a\"", 3000, 0},
    {"/text?n=3000&ETag=W/%22a%22", true, AE, "W/\"a\"", 3000, 0},
    {"/text?n=100&ETag=%22a%22", false, NULL, "\"a\"", 100, 0},
    {"/text?n=3000&Vary=accept-encoding", true, "accept-encoding", NULL, 3000, 0},
    {"/text?n=3000&Vary=Origin,+" AE, true, "Origin, " AE, NULL, 3000, 0},
    {"/text?n=3000&Vary=*", true, "*", NULL, 3000, 0},
    {"/twice/text?n=3000", true, AE, NULL, 3000, 0},
    {"/pieces?n=150000&piece=70000", true, AE, NULL, 150000, 0},
    {"/pieces?n=30000&piece=7", true, AE, NULL, 30000, 0},
    {"/pieces?n=10&piece=1", true, AE, NULL, 10, 0}, /* nobody knew that it is short */
    {"/pieces?n=10&piece=1&says=10", false, NULL, NULL, 10, 0},
    {"/pieces?n=50000&piece=5000&says=50000&ETag=%22a%22", true, AE, "W/\"a\"", 50000, 0},
};

static void test_what_is_coded_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(whats) / sizeof(*whats); i++) {
        const struct what *w = &whats[i];
        int status = t_ask(ctx, c, "GET", w->target, GZIP);
        if (status != (w->status ? w->status : 200) || !is(c, "Vary", w->vary) ||
            !is(c, "ETag", w->etag))
            T_FAIL("%s: %d", w->target, status);
        if (w->n >= 40 ? !has_words(c, w->coded, w->n)
                       : is(c, "Content-Encoding", NULL) == w->coded)
            T_FAIL("%s: its body", w->target);
    }
    T_EQ(t_ask(ctx, c, "GET", "/text?n=3000&Accept-Ranges=bytes", GZIP), 200);
    T_STR(t_field(c, "Accept-Ranges"), "none");
    T_CHECK(t_field(c, "Content-Length")); /* it was there at once */
    T_EQ(t_ask(ctx, c, "GET", "/text?n=3000&Content-Encoding=br", GZIP), 200);
    T_STR(t_field(c, "Content-Encoding"), "br");
    T_CHECK(t_field(c, "Vary") == NULL);
}

ONCE(test_what_is_coded)

/* A 304 has the tag that the client asked about. */
static void test_not_modified_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char target[] = "/text?status=304&ETag=%22a%22";
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", target, GZIP "If-None-Match: W/\"b\", W/\"a\"\r\n"), 304);
    T_STR(t_field(c, "ETag"), "W/\"a\"");
    T_STR(t_field(c, "Vary"), "Accept-Encoding");
    T_CHECK(t_field(c, "Content-Encoding") == NULL);
    T_EQ(t_ask(ctx, c, "GET", target, GZIP "If-None-Match: \"a\"\r\n"), 304);
    T_STR(t_field(c, "ETag"), "\"a\"");
}

ONCE(test_not_modified)

static void test_head_is_not_coded_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char head[] = "HEAD /text?n=3000 HTTP/1.1\r\nHost: t\r\n" GZIP "\r\n";
    (void)port;
    T_RC(t_puts(ctx, c, head), 0);
    T_CHECK(t_until(ctx, c, "\r\n\r\n"));
    T_CHECK(strstr(t_text(c), "\r\nContent-Length: 3000\r\n"));
    T_CHECK(strstr(t_text(c), "\r\nVary: Accept-Encoding\r\n"));
    T_CHECK(!strstr(t_text(c), "Content-Encoding"));
}

ONCE(test_head_is_not_coded)

/* --- streams --- */

/* What of the chunks in `from` is there, without their sizes. */
static size_t unchunk(const char *from, char *to) {
    size_t len = 0, n;
    char *end;
    while ((n = strtoul(from, &end, 16)) > 0 && strncmp(end, "\r\n", 2) == 0) {
        memcpy(to + len, end + 2, n); /* a chunk is flushed as a whole */
        len += n;
        from = end + 2 + n + 2;
    }
    return len;
}

static void test_each_event_comes_at_once_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char one[] = "event: tick\ndata: the same again\n\n";
    static char data[4096];
    uint64_t begun = gee_now_ms();
    bool whole = false;
    (void)port;
    T_RC(t_puts(ctx, c, "GET /events HTTP/1.1\r\nHost: t\r\n" GZIP "\r\n"), 0);
    T_CHECK(t_until(ctx, c, "\r\n\r\n"));
    T_CHECK(strstr(t_text(c), "\r\nContent-Encoding: gzip\r\n"));
    while (!whole) {
        const char *from = strstr(t_text(c), "\r\n\r\n") + 4;
        size_t n = unchunk(from, data), got = decode(data, n, &whole);
        uint64_t seconds = (gee_now_ms() - begun) / 1000;
        if (n > 0 && got != (seconds + 1) * (sizeof(one) - 1))
            T_FAIL("after %d s: \"%s\"", (int)seconds, plain);
        if (!whole)
            T_CHECK(t_more(ctx, c) > 0);
    }
    T_EQ(gee_now_ms() - begun, 3000);
    T_CHECK(strncmp(plain, one, sizeof(one) - 1) == 0);
}

T_SITE(test_each_event_comes_at_once, routes)

/* The end of the connection is the end of the body. */
static void test_http_1_0_body(gee_ctx *ctx, t_conn *c, int port) {
    bool whole;
    (void)port;
    T_RC(t_puts(ctx, c, "GET /text?n=150000 HTTP/1.0\r\n" GZIP "\r\n"), 0);
    t_all(ctx, c);
    const char *body = strstr(t_text(c), "\r\n\r\n");
    T_CHECK(body && strstr(t_text(c), "\r\nContent-Encoding: gzip\r\n"));
    size_t n = t_size(c) - (size_t)(body + 4 - t_text(c));
    T_EQ(decode(body + 4, n, &whole), 150000);
    T_CHECK(whole && memcmp(plain, words, 150000) == 0);
}

ONCE(test_http_1_0)

/* --- how it ends --- */

static void test_a_panic_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/panics/early", GZIP), 500);
    T_CHECK(t_field(c, "Content-Encoding") == NULL);
    T_STR(t_body(c), "500 Internal Server Error\n");
    T_EQ(t_ask(ctx, c, "GET", "/text?n=3000", GZIP), 200);
    T_CHECK(has_words(c, true, 3000));
}

ONCE(test_a_panic)

/* All of these end without the last chunk. */
static void test_what_breaks_is_seen_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const targets[] = {"/panics/late", "/hangs/up",
                                          "/pieces?n=50000&piece=50000&says=50001"};
    char head[128];
    (void)c;
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
        t_conn *d = t_dial(port, 0);
        snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n" GZIP "\r\n", targets[i]);
        t_puts(ctx, d, head);
        t_all(ctx, d);
        size_t n = t_size(d);
        bool coded = strstr(t_text(d), "\r\nContent-Encoding: gzip\r\n") != NULL;
        bool ended = n > 5 && memcmp(t_text(d) + n - 5, "0\r\n\r\n", 5) == 0;
        t_close(ctx, d);
        if (!coded || ended)
            T_FAIL("%s: %s", targets[i], coded ? "has an end" : "is not coded");
    }
}

T_SITE(test_what_breaks_is_seen, routes)

/* In the middle, and before anything was read. */
static void test_a_client_that_leaves_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const targets[] = {"/flood", "/events", "/text?n=200000",
                                          "/pieces?n=200000&piece=200000"};
    char head[128];
    (void)c;
    for (size_t i = 0; i < 2 * sizeof(targets) / sizeof(*targets); i++) {
        t_conn *d = t_dial(port, 100);
        snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n" GZIP "\r\n", targets[i / 2]);
        t_puts(ctx, d, head);
        if (i % 2)
            t_until(ctx, d, "\r\n\r\n");
        t_reset(ctx, d);
    }
}

T_SITE(test_a_client_that_leaves, routes)

/* It is given up, and its compressor with it. */
static void test_a_client_that_does_not_read_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census all;
    t_conn *d = t_dial(port, 1000);
    (void)c;
    t_puts(ctx, d, "GET /flood HTTP/1.1\r\nHost: t\r\n" GZIP "\r\n");
    gee_sleep(ctx, 11000);
    gee_census_take(&all);
    t_close(ctx, d);
    T_EQ(all.reqs, 0);
}

static const gee_limits quick = {.write_ms = 10000};

T_SITE_WITH(test_a_client_that_does_not_read, routes, &quick, 0)

/* --- options --- */

static void small_routes(gee_group *r) {
    gee_use_gzip(
        r, &(gee_gzip_options){
               .level = 1, .window_bits = 9, .min_size = 1, .types = "image/*,application/x"});
    gee_GET(r, "/text", text);
}

static void test_options_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/text?n=3000", GZIP), 200);
    T_CHECK(has_words(c, false, 3000));
    T_EQ(t_ask(ctx, c, "GET", "/text?n=200000&type=image/png", GZIP), 200);
    T_CHECK(has_words(c, true, 200000));
    T_EQ(t_ask(ctx, c, "GET", "/text?n=1&type=application/x", GZIP), 200);
    T_STR(t_field(c, "Content-Encoding"), "gzip");
}

static void test_options(void **state) {
    (void)state;
    t_site_once(&(t_site){small_routes, test_options_body, NULL, 0});
}

static void test_options_that_make_no_sense(void **state) {
    static const gee_gzip_options bad[] = {
        {.level = -1}, {.level = 10}, {.window_bits = 8}, {.window_bits = 16}, {.window_bits = -9}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        gee_engine *e = gee_engine_new();
        assert_int_equal(gee_use_gzip(gee_root(e), &bad[i]), UV_EINVAL);
        gee_engine_free(e);
    }
}

/* --- by curl --- */

static void by_curl(gee_ctx *ctx, t_conn *none, int port) {
    char out[256];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "cd %s && url=http://127.0.0.1:%d/files/a.css && " T_CURL
                 "--compressed -D head -o got $url && cmp a.css got && "
                 "grep -c '^Content-Encoding: gzip' head && " T_CURL
                 "--compressed -o got --etag-save tag $url && " T_CURL
                 "--compressed -o got --etag-compare tag -w '%%{http_code} ' $url && " T_CURL
                 "-H 'Accept-Encoding: gzip' -r 10-19 -w '%%{http_code} ' -o part $url && "
                 "cmp -n 10 a.css part 10 0 && " T_CURL
                 "-N --compressed http://127.0.0.1:%d/pieces?n=200000\\&piece=1000 | wc -c",
                 dir, port, port),
         0);
    T_STR(out, "1\n304 206 200000\n");
}

static void test_by_curl(void **state) {
    (void)state;
    t_site_real(2, &(t_site){routes, by_curl, NULL, 0});
}

/* Text with some order in it, noise with none, and a file of the text. */
static int make(void **state) {
    static const char *const vocabulary[] = {"A task is parked until what it waits for is there. ",
                                             "<a href='/users/7'>gee</a>\n", "{\"id\": 17}, ",
                                             "7 "};
    uint32_t x = 1;
    char path[100];
    (void)state;
    for (size_t n = 0; n < MOST;) {
        x = x * 1664525 + 1013904223;
        n += (size_t)snprintf(words + n, MOST + 1 - n, "%s", vocabulary[x >> 30]);
    }
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    strcpy(dir, "/tmp/gee-gzip-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/a.css", dir);
    FILE *f = fopen(path, "w");
    return f && fwrite(words, 1, MOST, f) == MOST && fclose(f) == 0 ? 0 : -1;
}

static int clear(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_is_coded),
    cmocka_unit_test(test_not_modified),
    cmocka_unit_test(test_head_is_not_coded),
    cmocka_unit_test(test_each_event_comes_at_once),
    cmocka_unit_test(test_http_1_0),
    cmocka_unit_test(test_a_panic),
    cmocka_unit_test(test_what_breaks_is_seen),
    cmocka_unit_test(test_a_client_that_leaves),
    cmocka_unit_test(test_a_client_that_does_not_read),
    cmocka_unit_test(test_options),
    cmocka_unit_test(test_options_that_make_no_sense),
    cmocka_unit_test(test_by_curl),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make, clear);
}
