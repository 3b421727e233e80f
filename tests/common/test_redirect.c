/* Redirects and aborts: where a client is sent, and what runs no more. */
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int status;
    const char *to, *location; /* NULL: UV_EINVAL */
} cases[] = {
    {301, "/x", "/x"},
    {302, "https://example.org/a?b=c#d", "https://example.org/a?b=c#d"},
    {303, "x", "x"},
    {307, "/a b", "/a%20b"},
    {308, "/\xc3\xa4", "/%C3%A4"},
    {302, "/%20%zz", "/%20%zz"}, /* what is encoded stays as it is */
    {302, "/<>\"\\^`{|}", "/%3C%3E%22%5C%5E%60%7B%7C%7D"},
    {302, "/\x01\x7f\t", "/%01%7F%09"},
    {302, "/a\r\nSet-Cookie: x=y", NULL},
    {302, "/a\nX: y", NULL},
    {302, "/a\rX: y", NULL},
    {302, "", NULL},
    {200, "/x", NULL},
    {300, "/x", NULL},
    {304, "/x", NULL},
    {305, "/x", NULL},
    {306, "/x", NULL},
    {309, "/x", NULL},
    {404, "/x", NULL},
    {0, "/x", NULL},
};

static void redirect(gee_req *req) {
    int n = atoi(gee_query(req, "n"));
    if (gee_redirect(req, cases[n].status, cases[n].to) == UV_EINVAL)
        gee_string(req, 200, "EINVAL");
}

static void behind(gee_req *req) {
    gee_set_header(req, "X-Handler", "ran");
    gee_string(req, 200, "the handler's");
}

static atomic_int came_back;

static void around(gee_req *req) {
    gee_set_header(req, "X-Before", "1");
    gee_next(req);
    if (gee_aborted(req))
        atomic_fetch_add(&came_back, 1);
}

static void aborts_with(gee_req *req) {
    gee_abort_status(req, atoi(gee_param(req, "status")));
    gee_next(req); /* nothing is there any more */
}

static void aborts_late(gee_req *req) {
    gee_next(req);
    if (gee_abort_status(req, 500) != UV_EALREADY)
        gee_hang_up(req);
}

static void fails(gee_req *req) {
    gee_fail(req, 403);
}

static void aborts_and_answers(gee_req *req) {
    gee_abort(req);
    gee_json(req, 422, "{s:s}", "error", "x");
}

static void routes(gee_group *r) {
    gee_GET(r, "/redirect", redirect);
    gee_use(r, around, NULL);
    gee_group *g = gee_group_new(r, "/abort");
    gee_use(g, aborts_with, NULL);
    gee_GET(g, "/:status", behind);
    g = gee_group_new(r, "/late");
    gee_use(g, aborts_late, NULL);
    gee_GET(g, "/", behind);
    g = gee_group_new(r, "/fail");
    gee_use(g, fails, NULL);
    gee_use(g, behind, NULL);
    gee_GET(g, "/", behind);
    g = gee_group_new(r, "/json");
    gee_use(g, aborts_and_answers, NULL);
    gee_GET(g, "/", behind);
}

static void test_locations_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[32];
    (void)port;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(target, sizeof(target), "/redirect?n=%zu", i);
        int status = t_get(ctx, c, target);
        if (status != (cases[i].location ? cases[i].status : 200) ||
            !t_streq(t_field(c, "location"), cases[i].location))
            T_FAIL("%d to %s: %d %s", cases[i].status, cases[i].to, status,
                   t_field(c, "location") ? t_field(c, "location") : "-");
        if (cases[i].location == NULL)
            T_STR(t_body(c), "EINVAL");
    }
}

T_SITE(test_locations, routes)

static void test_who_aborts_has_the_last_word_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    atomic_store(&came_back, 0);
    T_EQ(t_get(ctx, c, "/abort/401"), 401);
    T_STR(t_body(c), "");
    T_STR(t_field(c, "x-before"), "1");
    T_STR(t_field(c, "x-handler"), NULL);
    T_EQ(t_get(ctx, c, "/abort/204"), 204);
    T_STR(t_field(c, "content-length"), NULL);
    T_EQ(t_get(ctx, c, "/fail/"), 403);
    T_STR(t_field(c, "x-handler"), NULL);
    T_EQ(t_get(ctx, c, "/json/"), 422);
    T_STR(t_body(c), "{\"error\":\"x\"}");
    T_STR(t_field(c, "x-handler"), NULL);
    T_EQ(t_get(ctx, c, "/late/"), 200); /* the handler was first */
    T_STR(t_body(c), "the handler's");
    T_EQ(atomic_load(&came_back), 5); /* the middleware around them went on each time */
}

T_SITE(test_who_aborts_has_the_last_word, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_locations),
    cmocka_unit_test(test_who_aborts_has_the_last_word),
};

T_MAIN(tests)
