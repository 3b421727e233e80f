/* Who a request comes from, behind proxies: whom to believe, how far, and who else asks for it. */
#include "gee/clientip.h"
#include "gee/middleware.h"
#include "t_client.h"
#include "t_site.h"
#include "web/net.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- addresses and networks --- */

static const char *ip(const char *s) {
    static char text[INET6_ADDRSTRLEN];
    struct in6_addr a;
    if (!gee_ip_parse(s, strlen(s), &a))
        return "none";
    gee_ip_text(&a, text);
    return text;
}

static void test_addresses(void **state) {
    static const char *none[] = {
        "",          "1.2.3",       "1.2.3.4.5", "1.2.3.256",
        "01.2.3.4",  "1.2.3.4:",    "1.2.3.4:x", "1.2.3.4:12345678",
        "[1.2.3.4]", "[::1",        "::1]",      "[::1]x",
        "[::1]:",    "[]",          "[]:80",     "fe80::1%eth0",
        "unknown",   "_hidden",     ":80",       "1.2.3.4 ",
        "0x7f.1",    "1.2.3.4:+80", "[",         ":",
    };
    (void)state;
    assert_string_equal(ip("192.0.2.1"), "192.0.2.1");
    assert_string_equal(ip("192.0.2.1:80"), "192.0.2.1");
    assert_string_equal(ip("2001:DB8:0::1"), "2001:db8::1");
    assert_string_equal(ip("[2001:db8::1]"), "2001:db8::1");
    assert_string_equal(ip("[2001:db8::1]:443"), "2001:db8::1");
    assert_string_equal(ip("::ffff:192.0.2.1"), "192.0.2.1");
    assert_string_equal(ip("[::ffff:192.0.2.1]:80"), "192.0.2.1");
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_string_equal(ip(none[i]), "none");
}

static bool is_in(const char *net, const char *address) {
    struct in6_addr a;
    gee_net n;
    assert_true(gee_net_parse(net, strlen(net), &n));
    assert_true(gee_ip_parse(address, strlen(address), &a));
    return gee_net_has(&n, &a);
}

static void test_networks(void **state) {
    static const char *none[] = {
        "",          "10.0.0.0/33", "10.0.0.1/8",    "10.0.0.0/",     "10.0.0.0/8x",
        "/8",        "::1/127",     "::/129",        "[::1]",         "10.0.0.1:80",
        "localhost", "10.0.0.0/-1", "10.0.0.0/0008", "1.2.3.4/31/31",
    };
    gee_net n;
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_false(gee_net_parse(none[i], strlen(none[i]), &n));
    assert_true(is_in("10.0.0.0/8", "10.255.0.1"));
    assert_false(is_in("10.0.0.0/8", "11.0.0.0"));
    assert_true(is_in("10.0.0.1", "10.0.0.1"));
    assert_false(is_in("10.0.0.1", "10.0.0.2"));
    assert_true(is_in("192.0.2.128/25", "192.0.2.129"));
    assert_false(is_in("192.0.2.128/25", "192.0.2.127"));
    assert_true(is_in("2001:db8::/33", "2001:db8:7fff::"));
    assert_false(is_in("2001:db8::/33", "2001:db8:8000::"));
    assert_true(is_in("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_true(is_in("::ffff:10.0.0.0/104", "10.0.0.1"));
    assert_true(is_in("0.0.0.0/0", "6.6.6.6"));
    assert_false(is_in("0.0.0.0/0", "2001:db8::1"));
    assert_true(is_in("::/0", "2001:db8::1"));
}

/* --- how far a list is believed; the connection itself is trusted --- */

static void whoami(gee_req *req) {
    gee_string(req, 200, "%s", gee_client_ip(req));
}

static void proxies(gee_group *r) {
    gee_trust_proxies(
        r, &(gee_trust_options){.proxies = "simulated, 10.0.0.0/8, 2001:db8::/32\t192.0.2.7"});
    gee_GET(r, "/", whoami);
}

static const struct {
    const char *lines, *who;
} lists[] = {
    {"", "simulated"},
    {"X-Forwarded-For: 203.0.113.1\r\n", "203.0.113.1"},
    {"x-forwarded-for:203.0.113.1 \r\n", "203.0.113.1"},
    {"X-Forwarded-For: 203.0.113.1:4711\r\n", "203.0.113.1"},
    {"X-Forwarded-For: [2001:db9::1]:80\r\n", "2001:db9::1"},
    {"X-Forwarded-For: ::ffff:203.0.113.1\r\n", "203.0.113.1"},
    /* over those who are trusted, and no further */
    {"X-Forwarded-For: 203.0.113.1, 10.1.1.1\r\n", "203.0.113.1"},
    {"X-Forwarded-For: 203.0.113.1,192.0.2.7 ,\t2001:db8::5, 10.1.1.1\r\n", "203.0.113.1"},
    {"X-Forwarded-For: 6.6.6.6, 203.0.113.1, 10.1.1.1\r\n", "203.0.113.1"},
    {"X-Forwarded-For: 10.1.1.1, 203.0.113.1\r\n", "203.0.113.1"},
    {"X-Forwarded-For: 10.1.1.1, 10.1.1.2\r\n", "10.1.1.1"}, /* a proxy that asks for itself */
    /* a list in several lines is one list */
    {"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.1\r\n", "203.0.113.1"},
    {"X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 10.1.1.1\r\n", "203.0.113.1"},
    {"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: nobody\r\nX-Forwarded-For: 10.1.1.1\r\n",
     "10.1.1.1"},
    /* what is no address ends it */
    {"X-Forwarded-For: nobody\r\n", "simulated"},
    {"X-Forwarded-For:\r\n", "simulated"},
    {"X-Forwarded-For: 6.6.6.6, , 10.1.1.1\r\n", "10.1.1.1"},
    {"X-Forwarded-For: 6.6.6.6, unknown, 10.1.1.1\r\n", "10.1.1.1"},
    {"X-Forwarded-For: 6.6.6.6,\r\n", "simulated"},
    {"X-Forwarded-For: 203.0.113.1\"\r\n", "simulated"},
    /* names are not addresses */
    {"X-Forwarded-For: simulated\r\n", "simulated"},
    {"X-Forwarded-For: 6.6.6.6, simulated\r\n", "simulated"},
    /* no other header */
    {"X-Real-IP: 6.6.6.6\r\n", "simulated"},
    {"Forwarded: for=6.6.6.6\r\n", "simulated"},
    {"X-Forwarded-For-: 6.6.6.6\r\n", "simulated"},
};

static void test_lists_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        T_EQ(t_ask(ctx, c, "GET", "/", lists[i].lines), 200);
        if (strcmp(t_body(c), lists[i].who) != 0)
            T_FAIL("%s: %s, and not %s", lists[i].lines, t_body(c), lists[i].who);
    }
}

T_SITE(test_lists, proxies)

/* A list as long as a head can be is walked to its end. */
static void test_a_long_list_body(gee_ctx *ctx, t_conn *c, int port) {
    char lines[8000] = "X-Forwarded-For: 203.0.113.1";
    size_t n = strlen(lines);
    (void)port;
    while (n < sizeof(lines) - 20)
        n += (size_t)snprintf(lines + n, sizeof(lines) - n, ",10.0.0.1");
    strcpy(lines + n, "\r\n");
    T_EQ(t_ask(ctx, c, "GET", "/", lines), 200);
    T_STR(t_body(c), "203.0.113.1");
}

T_SITE(test_a_long_list, proxies)

/* --- one address --- */

static void real_ip(gee_group *r) {
    gee_trust_proxies(r, &(gee_trust_options){.proxies = "simulated", .header = "X-Real-IP"});
    gee_GET(r, "/", whoami);
}

static void test_one_address_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_ask(ctx, c, "GET", "/", "X-Real-IP: 203.0.113.1\r\nX-Forwarded-For: 6.6.6.6\r\n");
    T_STR(t_body(c), "203.0.113.1");
    t_ask(ctx, c, "GET", "/", "X-Real-IP: 6.6.6.6\r\nX-Real-IP: 203.0.113.1\r\n");
    T_STR(t_body(c), "simulated"); /* which of them is the proxy's? */
    t_ask(ctx, c, "GET", "/", "X-Real-IP: 6.6.6.6, 203.0.113.1\r\n");
    T_STR(t_body(c), "simulated");
    t_get(ctx, c, "/");
    T_STR(t_body(c), "simulated");
}

T_SITE(test_one_address, real_ip)

/* --- who is not trusted --- */

static void nobody(gee_group *r) {
    gee_GET(r, "/", whoami);
    gee_trust_proxies(r, &(gee_trust_options){.proxies = "127.0.0.1, ::1, unix, 0.0.0.0/0, ::/0"});
}

static void test_others_are_not_believed_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_ask(ctx, c, "GET", "/", "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n");
    T_STR(t_body(c), "simulated");
}

T_SITE(test_others_are_not_believed, nobody)

static void by_default(gee_group *r) {
    gee_GET(r, "/", whoami);
}

static void test_by_default_nobody_is_body(gee_ctx *ctx, t_conn *c, int port) {
    test_others_are_not_believed_body(ctx, c, port);
}

T_SITE(test_by_default_nobody_is, by_default)

/* --- groups: each has its own, the innermost counts --- */

static _Atomic(const char *) seen_outside; /* written by one task, read by another */

static void outside(gee_req *req) {
    gee_next(req);
    seen_outside = strcmp(gee_client_ip(req), "203.0.113.1") == 0 ? "203.0.113.1" : "another";
}

static void asks_on_the_way(gee_req *req) {
    gee_set_header(req, "X-Before", gee_client_ip(req));
    gee_next(req);
}

static void groups(gee_group *r) {
    gee_use(r, outside, NULL);
    gee_use(r, asks_on_the_way, NULL);
    gee_GET(r, "/open", whoami);
    gee_group *g = gee_group_new(r, "/partner");
    gee_GET(g, "/before", whoami); /* registered in front of it */
    gee_trust_proxies(g, &(gee_trust_options){.proxies = "simulated"});
    gee_GET(g, "/list", whoami);
    gee_group *one = gee_group_new(g, "/one");
    gee_trust_proxies(one, &(gee_trust_options){"simulated", "X-Real-IP"});
    gee_GET(one, "/address", whoami);
    gee_group *none = gee_group_new(g, "/none");
    gee_trust_proxies(none, NULL);
    gee_GET(none, "/at-all", whoami);
}

static void test_groups_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char lines[] = "X-Forwarded-For: 203.0.113.1\r\nX-Real-IP: 203.0.113.2\r\n";
    static const char *want[][2] = {{"/open", "simulated"},
                                    {"/partner/before", "simulated"},
                                    {"/partner/list", "203.0.113.1"},
                                    {"/partner/one/address", "203.0.113.2"},
                                    {"/partner/none/at-all", "simulated"}};
    (void)port;
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        T_EQ(t_ask(ctx, c, "GET", want[i][0], lines), 200);
        T_STR(t_body(c), want[i][1]);
        T_STR(t_field(c, "x-before"), "simulated");
        T_STR(seen_outside, i == 2 ? "203.0.113.1" : "another"); /* a log is outside */
    }
}

T_SITE(test_groups, groups)

/* A group's stands instead of the root's, not beside it. */
static void a_strict_group(gee_group *r) {
    gee_trust_proxies(r, &(gee_trust_options){.proxies = "simulated"});
    gee_group *none = gee_group_new(r, "/none");
    gee_trust_proxies(none, NULL);
    gee_GET(none, "/at-all", whoami);
    gee_GET(r, "/", whoami);
}

static void test_a_group_may_trust_less_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_ask(ctx, c, "GET", "/none/at-all", "X-Forwarded-For: 203.0.113.1\r\n");
    T_STR(t_body(c), "simulated");
    t_ask(ctx, c, "GET", "/", "X-Forwarded-For: 203.0.113.1\r\n");
    T_STR(t_body(c), "203.0.113.1");
}

T_SITE(test_a_group_may_trust_less, a_strict_group)

/* The root's holds for all, also where there is no route, and wherever it stands. */
static void whole_engine(gee_group *r) {
    gee_no_route(gee_engine_of(r), whoami, NULL);
    gee_GET(r, "/", whoami);
    gee_trust_proxies(r, &(gee_trust_options){.proxies = "10.0.0.1"});
    gee_trust_proxies(r, &(gee_trust_options){.proxies = "simulated"}); /* instead */
}

static void test_the_whole_engine_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    t_ask(ctx, c, "GET", "/", "X-Forwarded-For: 203.0.113.1\r\n");
    T_STR(t_body(c), "203.0.113.1");
    t_ask(ctx, c, "GET", "/nowhere", "X-Forwarded-For: 203.0.113.1, 10.0.0.1\r\n");
    T_STR(t_body(c), "10.0.0.1");
}

T_SITE(test_the_whole_engine, whole_engine)

/* --- who asks for it --- */

static _Atomic(gee_req *) copy;

static void makes_copy(gee_req *req) {
    copy = gee_req_copy(req);
    gee_string(req, 200, "ok");
}

static void with_a_copy(gee_group *r) {
    gee_group *g = gee_group_new(r, "");
    gee_trust_proxies(g, &(gee_trust_options){.proxies = "simulated"});
    gee_GET(g, "/", makes_copy);
}

static void test_a_copy_has_it_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    copy = NULL;
    T_EQ(t_ask(ctx, c, "GET", "/", "X-Forwarded-For: 203.0.113.1\r\n"), 200);
    T_CHECK(copy != NULL);
    bool same = strcmp(gee_client_ip(copy), "203.0.113.1") == 0;
    gee_req_release(copy);
    T_CHECK(same);
}

T_SITE(test_a_copy_has_it, with_a_copy)

static void limited(gee_group *r) {
    gee_trust_proxies(r, &(gee_trust_options){.proxies = "simulated"});
    gee_use_rate_limit(r, &(gee_rate_limit_options){.per_second = 0.1, .burst = 1});
    gee_GET(r, "/", whoami);
}

static int from(gee_ctx *ctx, t_conn *c, const char *who) {
    char lines[200];
    snprintf(lines, sizeof(lines), "X-Forwarded-For: %s\r\n", who);
    return t_ask(ctx, c, "GET", "/", lines);
}

/* Two behind one proxy are two, and names of their own do not make one of them many. */
static void test_the_rate_limit_asks_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(from(ctx, c, "203.0.113.1"), 200);
    T_EQ(from(ctx, c, "203.0.113.2"), 200);
    T_EQ(from(ctx, c, "203.0.113.1"), 429);
    T_EQ(from(ctx, c, "203.0.113.1:99"), 429);
    T_EQ(from(ctx, c, "6.6.6.6, 203.0.113.1"), 429);
    T_EQ(from(ctx, c, "2001:db8:1:2::1"), 200);
    T_EQ(from(ctx, c, "2001:db8:1:2:ffff::1"), 429); /* the same /64 */
    T_EQ(from(ctx, c, "2001:db8:1:3::1"), 200);
}

T_SITE(test_the_rate_limit_asks, limited)

static int log_fd;

static void logged(gee_group *r) {
    gee_use_logger(r, &(gee_logger_options){.fd = log_fd});
    gee_group *g = gee_group_new(r, "");
    gee_trust_proxies(g, &(gee_trust_options){.proxies = "simulated"});
    gee_GET(g, "/", whoami);
}

static void test_the_access_log_asks_body(gee_ctx *ctx, t_conn *c, int port) {
    char line[300] = "";
    (void)port;
    T_EQ(from(ctx, c, "6.6.6.6, 203.0.113.1"), 200);
    T_CHECK(pread(log_fd, line, sizeof(line) - 1, 0) > 0);
    T_EQ(ftruncate(log_fd, 0), 0);
    lseek(log_fd, 0, SEEK_SET);
    T_CHECK(strncmp(line, "203.0.113.1 - - [", 17) == 0);
}

static void test_the_access_log_asks(void **state) {
    FILE *file = tmpfile();
    (void)state;
    assert_non_null(file);
    log_fd = fileno(file);
    t_site_sim(&(t_site){logged, test_the_access_log_asks_body, NULL, 0});
    fclose(file);
}

/* --- real connections --- */

static void on_loopback(gee_group *r) {
    gee_trust_proxies(r, &(gee_trust_options){.proxies = "127.0.0.1/32"});
    gee_GET(r, "/", whoami);
}

static void over_curl(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/", port), 0);
    T_STR(out, "127.0.0.1");
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-H 'X-Forwarded-For: 203.0.113.1' http://127.0.0.1:%d/", port),
         0);
    T_STR(out, "203.0.113.1");
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "--interface 127.0.0.2 -H 'X-Forwarded-For: 6.6.6.6' http://127.0.0.1:%d/",
                 port),
         0);
    T_STR(out, "127.0.0.2"); /* another end is not that proxy */
}

static void test_over_curl(void **state) {
    (void)state;
    t_site_real(2, &(t_site){on_loopback, over_curl, NULL, 0});
}

/* --- what cannot be --- */

static void test_what_cannot_be(void **state) {
    const struct {
        gee_trust_options opt;
        int rc;
    } bad[] = {
        {{.proxies = "10.0.0.1/8"}, UV_EINVAL}, {{.proxies = "10.0.0.0/8, localhost"}, UV_EINVAL},
        {{.proxies = "unix2"}, UV_EINVAL},      {{.proxies = "10.0.0.0/8;10.1.0.0/16"}, UV_EINVAL},
        {{.header = "X Real"}, UV_EINVAL},      {{.header = ""}, UV_EINVAL},
        {{.header = "forwarded"}, UV_ENOTSUP},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        gee_engine *e = gee_engine_new();
        assert_int_equal(gee_trust_proxies(gee_root(e), &bad[i].opt), bad[i].rc);
        assert_int_equal(gee_trust_proxies(gee_group_new(gee_root(e), "/g"), &bad[i].opt),
                         bad[i].rc);
        gee_engine_free(e);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_addresses),
    cmocka_unit_test(test_networks),
    cmocka_unit_test(test_lists),
    cmocka_unit_test(test_a_long_list),
    cmocka_unit_test(test_one_address),
    cmocka_unit_test(test_others_are_not_believed),
    cmocka_unit_test(test_by_default_nobody_is),
    cmocka_unit_test(test_groups),
    cmocka_unit_test(test_a_group_may_trust_less),
    cmocka_unit_test(test_the_whole_engine),
    cmocka_unit_test(test_a_copy_has_it),
    cmocka_unit_test(test_the_rate_limit_asks),
    cmocka_unit_test(test_the_access_log_asks),
    cmocka_unit_test(test_over_curl),
    cmocka_unit_test(test_what_cannot_be),
};

T_MAIN(tests)
