/*
 * Chapter 4, no-creation-site: two places start tasks of the same function, and a profile is asked
 * which of them started how many. The same source is linked over the broken variant, the fixed
 * one and each decoy.
 */
#include "t_site.h"
#include <stdio.h>
#include <string.h>

/* Everybody's: it waits for an answer. */
static void awaits_receipt(gee_ctx *ctx, void *arg) {
    gee_chan_recv(ctx, arg, NULL);
}

static void sends_order(gee_ctx *ctx, gee_chan *answers) {
    gee_go(ctx, awaits_receipt, answers);
}

static void sends_invoice(gee_ctx *ctx, gee_chan *answers) {
    gee_go(ctx, awaits_receipt, answers);
}

/* How many samples of the text have both in them. A sample ends with an empty line. */
static int samples_with(const char *text, const char *one, const char *other) {
    int n = 0;
    for (const char *end; (end = strstr(text, "\n\n")) != NULL; text = end + 2) {
        const char *a = strstr(text, one), *b = strstr(text, other);
        n += a && b && a < end && b < end;
    }
    return n;
}

static void routes(gee_group *r) {
    gee_pprof_routes(r, NULL);
}

static void no_creation_site(gee_ctx *ctx, t_conn *c, int port) {
    gee_chan *answers = gee_chan_new(0, 0);
    gee_ctx *end = gee_ctx_with_cancel(ctx);
    (void)port;
    for (int i = 0; i < 3; i++)
        sends_order(end, answers);
    for (int i = 0; i < 7; i++)
        sends_invoice(end, answers);
    gee_sleep(ctx, 1000);
    T_EQ(t_get(ctx, c, "/debug/pprof/goroutine?debug=1"), 200);
    const char *text = t_body(c);
    int lines = samples_with(text, "awaits_receipt", "@");
    int labels = samples_with(text, "awaits_receipt", "\"created_at\":\"ch04-pprof/test_site.c:");
    int stacks = samples_with(text, "awaits_receipt", "\tcreated by sends_order\t") +
                 samples_with(text, "awaits_receipt", "\tcreated by sends_invoice\t");
    gee_ctx_end(end);
    gee_sleep(ctx, 1);
    gee_chan_unref(answers);
    if (lines != 2 || labels != 2 || stacks != 2)
        T_FAIL("no-creation-site: 10 tasks of one function, which two places started, are %d "
               "line%s of the profile; their labels name %d of the places, their stacks %d",
               lines, lines == 1 ? "" : "s", labels, stacks);
}

static void test_no_creation_site(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, no_creation_site, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_no_creation_site),
};

T_MAIN(tests)
