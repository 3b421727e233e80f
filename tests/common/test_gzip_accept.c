/* Accept-Encoding: who gets a compressed response. */
#include "gee/gzip.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

static const char zeros[3000];

static void some(gee_req *req) {
    gee_data(req, 200, "text/plain", zeros, sizeof(zeros));
}

static void routes(gee_group *r) {
    gee_use_gzip(r, NULL);
    gee_GET(r, "/", some);
}

struct accept {
    const char *value; /* NULL: no such header */
    bool coded;
};

static const struct accept accepts[] = {
    {NULL, false},
    {"", false},
    {"gzip", true},
    {"GZIP", true},
    {"x-gzip", true},
    {"gzip, deflate, br, zstd", true}, /* the browsers */
    {"deflate;q=0.9,gzip;q=0.5", true},
    {"gzip\t;\tq=0.5", true},
    {"gzip;Q=1.000", true},
    {"gzip;q=0.001", true},
    {", ,gzip,", true},
    {"br\r\nAccept-Encoding: gzip", true},
    {"*", true},
    {"br, *;q=0.1", true},
    {"identity;q=0.5, gzip", true},
    {"identity;q=0, gzip;q=0.1", true},
    {"gzip;q=0", false},
    {"gzip;q=0.000", false},
    {"gzip;q=0, *", false},
    {"*;q=0", false},
    {"identity", false},
    {"identity, gzip;q=0.5", false},
    {"identity;q=0", false}, /* there is nothing else that it takes */
    {"br, deflate", false},
    {"gzipped", false},
    {"gzi", false},
    {"gzip;", false}, /* malformed: as plain as can be */
    {"gzip;q", false},
    {"gzip;q=", false},
    {"gzip;q=1.5", false},
    {"gzip;q=2", false},
    {"gzip;q=-1", false},
    {"gzip;q=0.1234", false},
    {"gzip;q=1.0;x=y", false},
    {"gzip q=1", false},
};

static void test_who_accepts_body(gee_ctx *ctx, t_conn *c, int port) {
    char lines[128] = "";
    (void)port;
    for (size_t i = 0; i < sizeof(accepts) / sizeof(*accepts); i++) {
        const struct accept *a = &accepts[i];
        if (a->value)
            snprintf(lines, sizeof(lines), "Accept-Encoding: %s\r\n", a->value);
        T_EQ(t_ask(ctx, c, "GET", "/", lines), 200);
        bool coded = t_streq(t_field(c, "Content-Encoding"), "gzip");
        T_STR(t_field(c, "Vary"), "Accept-Encoding"); /* in any case */
        if (coded != a->coded || (t_body_size(c) < sizeof(zeros)) != coded)
            T_FAIL("\"%s\" is %d", a->value, coded);
    }
}

T_SITE(test_who_accepts, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_who_accepts),
};

T_MAIN(tests)
