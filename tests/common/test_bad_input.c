/*
 * What each kind of bad input gets, in simulation: one test for each row of
 * tests/lib/t_wire.c. An answer to a request that was refused is complete, says that
 * it is the last, and is followed by the end of the connection and by nothing else,
 * whatever comes behind the request.
 */
#include "t_site.h"
#include "t_wire.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const t_wire *row; /* one test at a time */

static void check_answers(gee_ctx *ctx, t_conn *c, const char **at) {
    int want;
    while ((want = (int)strtol(*at, (char **)at, 10)) != 0) {
        int got = t_response(ctx, c);
        if (got != want)
            T_FAIL("%s: %d, not %d", row->name, got, want);
        T_CHECK(t_field(c, "date") != NULL);
        T_CHECK(want == 204 || t_field(c, "content-length") != NULL);
        if (strcmp(*at, " close") != 0)
            T_STR(t_field(c, "connection"), NULL);
    }
}

static void body(gee_ctx *ctx, t_conn *c, int port) {
    static const char behind[] = "GET /hello/behind HTTP/1.1\r\nHost: t\r\n\r\n";
    const char *at = row->answers;
    (void)port;
    T_RC(t_send(ctx, c, row->bytes, row->n), 0);
    check_answers(ctx, c, &at);
    if (t_failed())
        return;
    if (strcmp(at, " open") == 0) {
        T_EQ(t_get(ctx, c, "/hello/gee"), 200);
        T_STR(t_body(c), "hello gee\n");
        return;
    }
    T_STR(t_field(c, "connection"), "close");
    t_puts(ctx, c, behind);
    T_STR(t_all(ctx, c), "");
    T_RC(t_more(ctx, c), 0); /* an end, and not a reset */
}

static void test(void **state) {
    row = *state;
    t_site_once(&(t_site){t_wire_routes, body, &t_wire_limits, 0});
}

int main(int argc, char **argv) {
    return t_wire_main("bad input", test, argc, argv);
}
