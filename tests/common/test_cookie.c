/* Cookies: what is found in what a client sends, and what a server may set. */
#include "gee/cookie.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show(gee_req *req, gee_req *from) {
    static const char *const names[] = {"a", "b", "A", "sp ace"};
    char text[512] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = gee_cookie(from, names[i]);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[%s]", value ? value : "-");
    }
    gee_string(req, 200, "%s", text);
}

static void cookies(gee_req *req) {
    show(req, req);
}

static void copied(gee_req *req) {
    gee_req *copy = gee_req_copy(req);
    if (copy)
        show(req, copy);
    gee_req_release(copy);
}

enum { ODD = 20000 };

/* Of the n-th case of the table below. */
static void set(gee_req *req);

static void set_two(gee_req *req) {
    gee_set_cookie(req, "a", "1", NULL);
    gee_set_cookie(req, "b", "2", NULL);
    gee_set_cookie(req, "a", "3", &(gee_set_cookie_options){.path = "/x"});
    gee_status(req, 204);
}

static void too_late(gee_req *req) {
    gee_string(req, 200, "x");
    if (gee_set_cookie(req, "a", "1", NULL) != UV_EALREADY)
        gee_panic("not too late");
}

static void routes(gee_group *r) {
    gee_GET(r, "/", cookies);
    gee_GET(r, "/copied", copied);
    gee_GET(r, "/set", set);
    gee_GET(r, "/two", set_two);
    gee_GET(r, "/late", too_late);
}

static const char *const sent[][2] = {
    {"", "[-][-][-][-]"},
    {"Cookie: a=1\r\n", "[1][-][-][-]"},
    {"Cookie: a=1; b=2\r\n", "[1][2][-][-]"},
    {"Cookie: a=1;b=2\r\n", "[1][2][-][-]"},
    {"Cookie: a=1 ;\tb = 2 \r\n", "[1][2][-][-]"},
    {"Cookie: a=1\r\ncookie: b=2\r\n", "[1][2][-][-]"}, /* HTTP/2 proxies divide them so */
    {"Cookie: a=1; a=2\r\n", "[1][-][-][-]"},           /* the first */
    {"Cookie: a=1; A=2\r\n", "[1][-][2][-]"},           /* names have a case */
    {"Cookie: a=\r\n", "[][-][-][-]"},
    {"Cookie: a\r\n", "[-][-][-][-]"},
    {"Cookie: =1; b=2\r\n", "[-][2][-][-]"},
    {"Cookie: a=1=2==\r\n", "[1=2==][-][-][-]"},
    {"Cookie: a=\"x y\"\r\n", "[x y][-][-][-]"},
    {"Cookie: a=\"\r\n", "[\"][-][-][-]"},
    {"Cookie: a=\"x\r\n", "[\"x][-][-][-]"},
    {"Cookie: a=\"\"\r\n", "[][-][-][-]"},
    {"Cookie: a=%20+\r\n", "[%20+][-][-][-]"}, /* nothing is decoded */
    {"Cookie: ;;; ;a=1;;\r\n", "[1][-][-][-]"},
    {"Cookie: xa=1; ab=2\r\n", "[-][-][-][-]"},
    {"Cookie: sp ace=1\r\n", "[-][-][-][1]"},
    {"Cookie: b=\"a=1; a=2\"\r\n", "[2\"][\"a=1][-][-]"}, /* quotes hide no semicolon */
    {"Cookie: $Version=1; a=1\r\n", "[1][-][-][-]"},
    {"Set-Cookie: a=1\r\n", "[-][-][-][-]"},
};

static void test_what_is_sent_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(sent) / sizeof(*sent); i++) {
        for (int copy = 0; copy < 2; copy++) {
            T_EQ(t_ask(ctx, c, "GET", copy ? "/copied" : "/", sent[i][0]), 200);
            if (strcmp(t_body(c), sent[i][1]) != 0)
                T_FAIL("%s: %s, not %s", sent[i][0], t_body(c), sent[i][1]);
        }
    }
}

T_SITE(test_what_is_sent, routes)

static const gee_limits large = {.head_bytes = 64 * 1024};

static void test_very_many_body(gee_ctx *ctx, t_conn *c, int port) {
    static char lines[ODD + 64];
    size_t n = (size_t)sprintf(lines, "Cookie: ");
    (void)port;
    while (n < ODD)
        n += (size_t)sprintf(lines + n, "x%zu=y;", n);
    sprintf(lines + n, "a=last\r\n");
    T_EQ(t_ask(ctx, c, "GET", "/", lines), 200);
    T_STR(t_body(c), "[last][-][-][-]");
    memset(lines + 8, ';', n - 8);
    T_EQ(t_ask(ctx, c, "GET", "/", lines), 200);
    T_STR(t_body(c), "[last][-][-][-]");
}

T_SITE_WITH(test_very_many, routes, &large, 0)

/* --- set --- */

static const struct setting {
    const char *name, *value;
    gee_set_cookie_options opt;
    const char *header; /* NULL: UV_EINVAL */
} settings[] = {
    {"a", "1", {0}, "a=1; Path=/"},
    {"a", "", {0}, "a=; Path=/"},
    {"a", "x!#$%&'()*+-./:<=>?@[]^_`{|}~", {0}, "a=x!#$%&'()*+-./:<=>?@[]^_`{|}~; Path=/"},
    {"a",
     "1",
     {.path = "/x",
      .domain = "example.org",
      .max_age_s = 60,
      .secure = true,
      .http_only = true,
      .same_site = GEE_SAME_SITE_STRICT},
     "a=1; Path=/x; Domain=example.org; Max-Age=60; Secure; HttpOnly; SameSite=Strict"},
    {"a", "1", {.same_site = GEE_SAME_SITE_LAX}, "a=1; Path=/; SameSite=Lax"},
    {"a", "1", {.max_age_s = -1}, "a=1; Path=/; Max-Age=0"},
    {"a",
     "1",
     {.same_site = GEE_SAME_SITE_NONE, .secure = true},
     "a=1; Path=/; Secure; SameSite=None"},
    {"__Host-a", "1", {.secure = true}, "__Host-a=1; Path=/; Secure"},
    {"__Secure-a", "1", {.secure = true, .path = "/x"}, "__Secure-a=1; Path=/x; Secure"},
    /* what no browser would keep, or would keep as something else */
    {"a", "1", {.same_site = GEE_SAME_SITE_NONE}, NULL},
    {"__Secure-a", "1", {0}, NULL},
    {"__Host-a", "1", {0}, NULL},
    {"__Host-a", "1", {.secure = true, .path = "/x"}, NULL},
    {"__Host-a", "1", {.secure = true, .domain = "example.org"}, NULL},
    {"__host-a", "1", {0}, NULL}, /* browsers do not look at its case */
    {"__SECURE-a", "1", {0}, NULL},
    {"", "1", {0}, NULL},
    {"a b", "1", {0}, NULL},
    {"a=b", "1", {0}, NULL},
    {"a;b", "1", {0}, NULL},
    {"a\r\nX: y", "1", {0}, NULL},
    {"\xc3\xa4", "1", {0}, NULL},
    {"a", "1;b", {0}, NULL},
    {"a", "1; HttpOnly", {0}, NULL},
    {"a", "a b", {0}, NULL},
    {"a", "a,b", {0}, NULL},
    {"a", "\"a\"", {0}, NULL},
    {"a", "a\\b", {0}, NULL},
    {"a", "a\r\nX: y", {0}, NULL},
    {"a", "\xc3\xa4", {0}, NULL},
    {"a", "1", {.path = "/x; Secure"}, NULL},
    {"a", "1", {.path = "/x\r\nX: y"}, NULL},
    {"a", "1", {.domain = "x; Path=/y"}, NULL},
    {"a", "1", {.domain = "x\n"}, NULL},
};

static void set(gee_req *req) {
    const struct setting *s = &settings[atoi(gee_query(req, "n"))];
    int rc = gee_set_cookie(req, s->name, s->value, &s->opt);
    gee_string(req, 200, "%s", t_err(rc));
}

static void test_what_is_set_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[32];
    (void)port;
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        const struct setting *s = &settings[i];
        snprintf(target, sizeof(target), "/set?n=%zu", i);
        T_EQ(t_get(ctx, c, target), 200);
        if (!t_streq(t_body(c), s->header ? "0" : "EINVAL") ||
            !t_streq(t_field(c, "set-cookie"), s->header))
            T_FAIL("%s=%s: %s %s", s->name, s->value, t_body(c),
                   t_field(c, "set-cookie") ? t_field(c, "set-cookie") : "-");
    }
    T_EQ(t_get(ctx, c, "/late"), 200);
}

T_SITE(test_what_is_set, routes)

static void test_each_has_a_header_of_its_own_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "GET /two HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, "\r\n\r\n"));
    T_CHECK(strstr(t_text(c), "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/\r\n"
                              "Set-Cookie: a=3; Path=/x\r\n"));
    t_drop(c);
}

T_SITE(test_each_has_a_header_of_its_own, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_what_is_sent),
    cmocka_unit_test(test_very_many),
    cmocka_unit_test(test_what_is_set),
    cmocka_unit_test(test_each_has_a_header_of_its_own),
};

T_MAIN(tests)
