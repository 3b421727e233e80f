/* Basic auth (RFC 7617), as who guesses sees it; and what may not be configured. */
#include "gee/middleware.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void user(gee_req *req) {
    gee_string(req, 200, "%s", gee_auth_user(req) ? gee_auth_user(req) : "nobody");
}

static void copied(gee_req *req) {
    gee_req *copy = gee_req_copy(req);
    gee_string(req, 200, "%s", copy ? gee_auth_user(copy) : "");
    gee_req_release(copy);
}

/* Parks, as a database would make it. */
static bool in_a_database(gee_req *req, const char *name, const char *password, void *arg) {
    gee_sleep(gee_req_ctx(req), 50);
    return strcmp(name, "db") == 0 && strcmp(password, arg) == 0;
}

static void routes(gee_group *r) {
    static const gee_account accounts[] = {
        {"ann", "secret"}, {"bob", "a:b"}, {"", ""}, {"\xc3\xa4", "\xc3\xb6"}, {NULL, NULL}};
    gee_GET(r, "/open", user);
    gee_group *g = gee_group_new(r, "/in");
    gee_use_basic_auth(g, &(gee_basic_auth_options){.accounts = accounts, .realm = "here & now"});
    gee_GET(g, "/user", user);
    gee_GET(g, "/copied", copied);
    g = gee_group_new(r, "/db");
    gee_use_basic_auth(g, &(gee_basic_auth_options){.check = in_a_database, .arg = "pw"});
    gee_GET(g, "/user", user);
}

static const struct {
    const char *header, *user; /* NULL: refused */
} tries[] = {
    {"Basic YW5uOnNlY3JldA==", "ann"},        /* ann:secret */
    {"basic YW5uOnNlY3JldA==", "ann"},        /* the scheme has no case */
    {"BASIC   YW5uOnNlY3JldA==", "ann"},      /* RFC 9110, 11.4: 1*SP */
    {"Basic YW5uOnNlY3JldA==  ", "ann"},      /* */
    {"Basic Ym9iOmE6Yg==", "bob"},            /* bob:a:b, the first colon divides */
    {"Basic Og==", ""},                       /* : */
    {"Basic w6Q6w7Y=", "\xc3\xa4"},           /* */
    {"Basic YW5uOnNlY3JldB==", NULL},         /* ann:secret with bits behind its end */
    {"Basic YW5uOnNlY3JldA=", NULL},          /* padding is missing */
    {"Basic YW5uOnNlY3JldA", NULL},           /* */
    {"Basic YW5uOnNlY3JldA===", NULL},        /* */
    {"Basic YW5uOnNlY3JldA==AAAA", NULL},     /* padding within */
    {"Basic YW5u OnNlY3JldA==", NULL},        /* */
    {"Basic YW5uOnNlY3JldA==,x", NULL},       /* */
    {"Basic YW5uOnNlY3JldA-_", NULL},         /* the other alphabet */
    {"Basic =", NULL},                        /* */
    {"Basic ====", NULL},                     /* */
    {"Basic", NULL},                          /* */
    {"Basic ", NULL},                         /* */
    {"", NULL},                               /* */
    {"Bearer YW5uOnNlY3JldA==", NULL},        /* */
    {"BasicYW5uOnNlY3JldA==", NULL},          /* */
    {"Basic YW5u", NULL},                     /* ann, without a colon */
    {"Basic YW5uOg==", NULL},                 /* ann: */
    {"Basic OnNlY3JldA==", NULL},             /* :secret */
    {"Basic YW5uOnNlY3JldAA=", NULL},         /* ann:secret\0 */
    {"Basic YW5uADpzZWNyZXQ=", NULL},         /* ann\0:secret */
    {"Basic YW5uOnNlY3JldHNlY3JldA==", NULL}, /* ann:secretsecret */
    {"Basic YW5uOnNlY3Jl", NULL},             /* ann:secre */
    {"Basic QW5uOnNlY3JldA==", NULL},         /* Ann:secret */
    {"Basic Ym9iOnNlY3JldA==", NULL},         /* bob:secret, of somebody else */
    {"Basic YW5uOmE6Yg==", NULL},             /* ann:a:b */
};

static void test_tries_body(gee_ctx *ctx, t_conn *c, int port) {
    char lines[128];
    (void)port;
    for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
        snprintf(lines, sizeof(lines), "Authorization: %s\r\n", tries[i].header);
        int status = t_ask(ctx, c, "GET", "/in/user", lines);
        if (status != (tries[i].user ? 200 : 401))
            T_FAIL("%s: %d", tries[i].header, status);
        T_STR(t_field(c, "www-authenticate"),
              tries[i].user ? NULL : "Basic realm=\"here & now\", charset=\"UTF-8\"");
        if (tries[i].user)
            T_STR(t_body(c), tries[i].user);
        else
            T_CHECK(strncmp(t_body(c), "401 ", 4) == 0); /* no handler spoke */
    }
    T_EQ(t_get(ctx, c, "/in/user"), 401);
    T_EQ(t_get(ctx, c, "/open"), 200);
    T_STR(t_body(c), "nobody");
    T_EQ(t_ask(ctx, c, "GET", "/in/copied", "Authorization: Basic YW5uOnNlY3JldA==\r\n"), 200);
    T_STR(t_body(c), "ann");
}

T_SITE(test_tries, routes)

/* Longer than what is looked at, and headers twice. */
static void test_odd_headers_body(gee_ctx *ctx, t_conn *c, int port) {
    static char lines[4000];
    (void)port;
    for (int n = 1000; n <= 3000; n += 500) {
        int at = snprintf(lines, sizeof(lines), "Authorization: Basic ");
        memset(lines + at, 'A', (size_t)n);
        strcpy(lines + at + n, "\r\n");
        T_EQ(t_ask(ctx, c, "GET", "/in/user", lines), 401);
    }
    /* What counts is the first: no second one makes up for it. */
    T_EQ(t_ask(ctx, c, "GET", "/in/user",
               "Authorization: x\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n"),
         401);
}

T_SITE(test_odd_headers, routes)

static void test_a_check_may_park_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t begin = gee_now_ms();
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/db/user", "Authorization: Basic ZGI6cHc=\r\n"), 200);
    T_STR(t_body(c), "db");
    T_EQ(t_ask(ctx, c, "GET", "/db/user", "Authorization: Basic ZGI6cHg=\r\n"), 401);
    T_EQ(gee_now_ms() - begin, 100);
    T_EQ(t_ask(ctx, c, "GET", "/db/user", "Authorization: Basic !\r\n"), 401); /* nobody is asked */
    T_EQ(gee_now_ms() - begin, 100);
}

T_SITE(test_a_check_may_park, routes)

static void test_what_cannot_be(void **state) {
    static const gee_account colon[] = {{"a:b", "x"}, {NULL, NULL}},
                             none[] = {{"a", NULL}, {NULL, NULL}};
    static const gee_account fine[] = {{"a", "b"}, {NULL, NULL}};
    const gee_basic_auth_options bad[] = {
        {.realm = "x"},
        {.accounts = colon},
        {.accounts = none},
        {.accounts = fine, .realm = "a\"b"},
        {.accounts = fine, .realm = "a\r\nSet-Cookie: x"},
    };
    (void)state;
    gee_engine *e = gee_engine_new();
    assert_int_equal(gee_use_basic_auth(gee_root(e), NULL), UV_EINVAL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(gee_use_basic_auth(gee_root(e), &bad[i]), UV_EINVAL);
    assert_int_equal(gee_use_basic_auth(gee_root(e), &(gee_basic_auth_options){.accounts = fine}),
                     0);
    gee_engine_free(e);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_tries),
    cmocka_unit_test(test_odd_headers),
    cmocka_unit_test(test_a_check_may_park),
    cmocka_unit_test(test_what_cannot_be),
};

T_MAIN(tests)
