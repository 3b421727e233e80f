/* Conditional requests and ranges, as RFC 9110 (13, 14) has them, over one file. */
#include "gee/static.h"
#include "t_client.h"
#include "t_site.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Modified at Sun, 06 Nov 1994 08:49:37 GMT. */
enum { MODIFIED = 784111777 };
#define ETAG "\"2ebc98a1-00000000-a\""

static char dir[64];

static void routes(gee_group *r) {
    gee_static(r, "/s", dir, NULL);
}

struct row {
    const char *lines;
    int status;
    const char *body, *range; /* NULL: not looked at, none */
};

static const struct row rows[] = {
    {"", 200, "0123456789", NULL},
    /* one range */
    {"Range: bytes=0-0\r\n", 206, "0", "bytes 0-0/10"},
    {"Range: bytes=2-4\r\n", 206, "234", "bytes 2-4/10"},
    {"Range: bytes=7-\r\n", 206, "789", "bytes 7-9/10"},
    {"Range: bytes=0-\r\n", 206, "0123456789", "bytes 0-9/10"},
    {"Range: bytes=-3\r\n", 206, "789", "bytes 7-9/10"},
    {"Range: bytes=-99\r\n", 206, "0123456789", "bytes 0-9/10"},
    {"Range: bytes=5-99999999999999999999999999\r\n", 206, "56789", "bytes 5-9/10"},
    {"Range: bytes=-99999999999999999999999999\r\n", 206, "0123456789", "bytes 0-9/10"},
    {"range: Bytes=9-9\r\n", 206, "9", "bytes 9-9/10"},
    /* behind the end */
    {"Range: bytes=10-\r\n", 416, NULL, "bytes */10"},
    {"Range: bytes=10-12\r\n", 416, NULL, "bytes */10"},
    {"Range: bytes=-0\r\n", 416, NULL, "bytes */10"},
    {"Range: bytes=18446744073709551616-\r\n", 416, NULL, "bytes */10"},
    {"Range: bytes=18446744073709551615-18446744073709551615\r\n", 416, NULL, "bytes */10"},
    /* what is no range, or several: the whole */
    {"Range: bytes=4-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=-\r\n", 200, "0123456789", NULL},
    {"Range: bytes=\r\n", 200, "0123456789", NULL},
    {"Range: bytes=a-b\r\n", 200, "0123456789", NULL},
    {"Range: bytes=1-2x\r\n", 200, "0123456789", NULL},
    {"Range: bytes=+1-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=--1\r\n", 200, "0123456789", NULL},
    {"Range: bytes 1-2\r\n", 200, "0123456789", NULL},
    {"Range: lines=1-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=0-0,2-2\r\n", 200, "0123456789", NULL},
    {"Range: bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-\r\n", 200, "0123456789", NULL},
    /* If-Range: only of this version */
    {"Range: bytes=1-1\r\nIf-Range: " ETAG "\r\n", 206, "1", "bytes 1-1/10"},
    {"Range: bytes=1-1\r\nIf-Range: \"other\"\r\n", 200, "0123456789", NULL},
    {"Range: bytes=1-1\r\nIf-Range: W/" ETAG "\r\n", 200, "0123456789", NULL},
    {"Range: bytes=1-1\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 206, "1", "bytes 1-1/10"},
    {"Range: bytes=1-1\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 200, "0123456789", NULL},
    {"Range: bytes=99-\r\nIf-Range: \"other\"\r\n", 200, "0123456789", NULL},
    /* the client has it */
    {"If-None-Match: " ETAG "\r\n", 304, "", NULL},
    {"If-None-Match: W/" ETAG "\r\n", 304, "", NULL},
    {"If-None-Match: *\r\n", 304, "", NULL},
    {"If-None-Match: \"a\", W/\"b\" ,\t" ETAG "\r\n", 304, "", NULL},
    {"If-None-Match: \"a\", \"b\"\r\n", 200, NULL, NULL},
    {"If-None-Match: \"\"\r\n", 200, NULL, NULL},
    {"If-None-Match: 2ebc98a1-00000000-a\r\n", 200, NULL, NULL}, /* without its quotes it is none */
    {"If-None-Match: \"a\r\n", 200, NULL, NULL},
    {"If-None-Match: \"a, " ETAG "\r\n", 200, NULL, NULL}, /* it is within a tag */
    {"If-None-Match: " ETAG "\r\nRange: bytes=1-1\r\n", 304, "", NULL},
    {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304, "", NULL},
    {"If-Modified-Since: Mon, 07 Nov 1994 00:00:00 GMT\r\n", 304, "", NULL},
    {"If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200, NULL, NULL},
    {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304, "", NULL},
    {"If-Modified-Since: Sunday, 06-Nov-94 08:49:36 GMT\r\n", 200, NULL, NULL},
    {"If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 304, "", NULL},
    {"If-Modified-Since: Sun Nov  6 08:49:36 1994\r\n", 200, NULL, NULL},
    {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 CET\r\n", 200, NULL, NULL},
    {"If-Modified-Since: Sun, 06 ovD 1994 08:49:37 GMT\r\n", 200, NULL, NULL},
    {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT; length=10\r\n", 200, NULL, NULL},
    {"If-Modified-Since: tomorrow\r\n", 200, NULL, NULL},
    {"If-Modified-Since: \r\n", 200, NULL, NULL},
    /* a tag is better than a time */
    {"If-None-Match: \"a\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200, NULL,
     NULL},
    {"If-None-Match: " ETAG "\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 304, "",
     NULL},
    /* only if it is this version */
    {"If-Match: " ETAG "\r\n", 200, NULL, NULL},
    {"If-Match: *\r\n", 200, NULL, NULL},
    {"If-Match: \"a\", " ETAG "\r\n", 200, NULL, NULL},
    {"If-Match: W/" ETAG "\r\n", 412, NULL, NULL}, /* the comparison is strong */
    {"If-Match: \"a\"\r\n", 412, NULL, NULL},
    {"If-Match: \r\n", 412, NULL, NULL},
    {"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200, NULL, NULL},
    {"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412, NULL, NULL},
    {"If-Unmodified-Since: x\r\n", 200, NULL, NULL},
    {"If-Match: " ETAG "\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200, NULL,
     NULL},
    {"If-Match: \"a\"\r\nIf-None-Match: " ETAG "\r\n", 412, NULL, NULL},
    {"If-Match: " ETAG "\r\nIf-None-Match: " ETAG "\r\n", 304, "", NULL},
};

static void test_rows_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *r = &rows[i];
        int status = t_ask(ctx, c, "GET", "/s/f.txt", r->lines);
        const char *range = t_field(c, "content-range");
        const char *body = t_body(c) ? t_body(c) : ""; /* a 304 has none */
        if (status != r->status || !t_streq(range, r->range) ||
            (r->body && strcmp(body, r->body) != 0))
            T_FAIL("%s: %d \"%s\" %s, not %d", r->lines, status, body, range ? range : "",
                   r->status);
        if (status == 200 || status == 206 || status == 304) {
            T_STR(t_field(c, "etag"), ETAG);
            T_STR(t_field(c, "last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
        }
        if (status == 304)
            T_STR(t_field(c, "content-length"), NULL);
    }
}

T_SITE(test_rows, routes)

static void test_an_empty_file_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const ranges[] = {"bytes=0-", "bytes=0-0", "bytes=-1"};
    char lines[64];
    (void)port;
    T_EQ(t_get(ctx, c, "/s/empty.txt"), 200);
    T_STR(t_body(c), "");
    for (int i = 0; i < 3; i++) {
        snprintf(lines, sizeof(lines), "Range: %s\r\n", ranges[i]);
        T_EQ(t_ask(ctx, c, "GET", "/s/empty.txt", lines), 416);
        T_STR(t_field(c, "content-range"), "bytes */0");
    }
}

T_SITE(test_an_empty_file, routes)

/* A range is of GET alone (14.2). */
static void test_head_has_no_range_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "HEAD /s/f.txt HTTP/1.1\r\nHost: t\r\nRange: bytes=1-2\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, "\r\n\r\n"));
    T_CHECK(strncmp(t_text(c), "HTTP/1.1 200 OK\r\n", 17) == 0);
    T_CHECK(strstr(t_text(c), "Content-Length: 10\r\n"));
    T_CHECK(strstr(t_text(c), "Accept-Ranges: bytes\r\n"));
    t_drop(c);
    T_RC(t_puts(ctx, c, "HEAD /s/f.txt HTTP/1.1\r\nHost: t\r\nIf-None-Match: *\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, "\r\n\r\n"));
    T_CHECK(strncmp(t_text(c), "HTTP/1.1 304 ", 13) == 0);
    t_drop(c);
}

T_SITE(test_head_has_no_range, routes)

/* A download that broke goes on; when the file is another one, it begins anew. */
static void test_a_download_goes_on_body(gee_ctx *ctx, t_conn *c, int port) {
    enum { SIZE = 300001 };
    char path[100], tag[64], lines[160];
    static char text[SIZE + 1];
    (void)port;
    for (int i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i % 23);
    snprintf(path, sizeof(path), "%s/large", dir);
    FILE *f = fopen(path, "w");
    T_CHECK(f);
    bool written = fputs(text, f) >= 0 && fclose(f) == 0;
    T_CHECK(written);
    T_EQ(t_get(ctx, c, "/s/large"), 200);
    T_STR(t_body(c), text);
    snprintf(tag, sizeof(tag), "%s", t_field(c, "etag"));
    for (int at = 1; at < SIZE; at *= 17) {
        snprintf(lines, sizeof(lines), "Range: bytes=%d-\r\nIf-Range: %s\r\n", at, tag);
        T_EQ(t_ask(ctx, c, "GET", "/s/large", lines), 206);
        T_STR(t_body(c), text + at);
    }
    struct timespec times[2] = {{0, UTIME_OMIT}, {MODIFIED, 1}};
    utimensat(AT_FDCWD, path, times, 0);
    T_EQ(t_ask(ctx, c, "GET", "/s/large", lines), 200);
    T_STR(t_body(c), text);
}

T_SITE(test_a_download_goes_on, routes)

/* By curl, over the pool's threads: a download in two halves, and a file that is up to date. */
static void by_curl(gee_ctx *ctx, t_conn *none, int port) {
    char out[256];
    (void)none;
    T_EQ(t_shell(
             ctx, out, sizeof(out),
             "cd %s && head -c 3000000 /dev/urandom >random && url=http://127.0.0.1:%d/s && " T_CURL
             "-o half -r 0-1499999 $url/random && " T_CURL
             "-o half -C - $url/random && cmp random half && " T_CURL
             "-z 'Sun, 06 Nov 1994 08:49:37 GMT' -w '%%{http_code} ' $url/f.txt && " T_CURL
             "-I -w '%%header{content-length}' -o head $url/random",
             dir, port),
         0);
    T_STR(out, "304 3000000");
}

static void test_by_curl(void **state) {
    (void)state;
    t_site_real(2, &(t_site){routes, by_curl, NULL, 0});
}

/* --- the directory --- */

static int make_file(const char *name, const char *text) {
    char path[100];
    struct timespec times[2] = {{MODIFIED, 0}, {MODIFIED, 0}};
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        return -1;
    return utimensat(AT_FDCWD, path, times, 0);
}

static int make_dir(void **state) {
    (void)state;
    strcpy(dir, "/tmp/gee-range-XXXXXX");
    return mkdtemp(dir) ? make_file("f.txt", "0123456789") | make_file("empty.txt", "") : -1;
}

static int remove_dir(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_rows),
    cmocka_unit_test(test_an_empty_file),
    cmocka_unit_test(test_head_has_no_range),
    cmocka_unit_test(test_a_download_goes_on),
    cmocka_unit_test(test_by_curl),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
