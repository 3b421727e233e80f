/*
 * Chapter 3, reader-reentry: a question under a reader-writer lock that leads to another one, and
 * who else wants the lock. The same source is linked over the broken variant, the fixed one and
 * each decoy; what a test reports says which of them it met.
 */
#include "t_client.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULE_MS = 50, AN_HOUR_MS = 3600 * 1000 };

static int takes_a_while(gee_ctx *ctx, const void *who, void *arg) {
    int rc = gee_sleep(ctx, RULE_MS);
    (void)who;
    (void)arg;
    return rc < 0 ? rc : 1;
}

/* "checkout" has a rule that takes 50 ms, and needs "cart"; "banner" has such a rule. */
static gee_flags *shop(gee_ctx *ctx, bool cart) {
    gee_flags *f = gee_flags_new();
    gee_flags_put(ctx, f, &(gee_flag){.name = "cart", .on = cart});
    gee_flags_put(ctx, f, &(gee_flag){"checkout", true, "cart", takes_a_while, NULL});
    gee_flags_put(ctx, f, &(gee_flag){"banner", true, NULL, takes_a_while, NULL});
    return f;
}

/* A task that asks or switches: when it comes, and how long it is there. */
struct step {
    gee_flags *flags;
    const char *ask, *off, *on;
    uint64_t came_ms, took_ms;
    int rc;
    gee_waitgroup *done;
};

static void takes_step(gee_ctx *ctx, void *arg) {
    struct step *s = arg;
    s->came_ms = gee_now_ms();
    if (s->ask)
        s->rc = gee_flags_ask(ctx, s->flags, s->ask, "ann");
    if (s->off)
        s->rc = gee_flags_switch(ctx, s->flags, s->off, false);
    if (s->on)
        s->rc = gee_flags_switch(ctx, s->flags, s->on, true);
    s->took_ms = gee_now_ms() - s->came_ms;
    gee_waitgroup_done(s->done);
}

/* Each 10 ms another one. */
static void start(gee_ctx *ctx, struct step *steps, int n, gee_flags *f, gee_waitgroup *done) {
    gee_waitgroup_add(done, n);
    for (int i = 0; i < n; i++) {
        steps[i].flags = f;
        steps[i].done = done;
        steps[i].rc = UV_EBUSY; /* until it has an answer */
        gee_go(ctx, takes_step, &steps[i]);
        gee_sleep(NULL, 10);
    }
}

static int wait_an_hour(gee_ctx *ctx, gee_waitgroup *done) {
    gee_ctx *hour = gee_ctx_with_timeout(ctx, AN_HOUR_MS);
    int rc = gee_waitgroup_wait(hour, done);
    gee_ctx_end(hour);
    return rc;
}

/*
 * Progress: one asks, one switches something else, another one asks. They are tasks of nobody's, as
 * a nightly job is; so the leak check can say whether they will ever end. What it says, or "".
 */
static const char *progress(gee_ctx *ctx, char *buf, size_t size) {
    /* Those who are stuck keep what they have. */
    static struct step steps[3];
    static gee_waitgroup done;
    gee_flags *f = shop(ctx, true);
    memcpy(steps, (struct step[3]){{.ask = "checkout"}, {.on = "banner"}, {.ask = "cart"}},
           sizeof(steps));
    done = (gee_waitgroup){0};
    start(gee_background(), steps, 3, f, &done);
    *buf = '\0';
    if (wait_an_hour(ctx, &done) == 0) {
        gee_flags_free(f);
        return buf;
    }
    gee_leak *leaks;
    int n = gee_leakcheck(&leaks);
    for (int i = 0; i < n; i++)
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", i ? "; " : "", leaks[i].why);
    free(leaks);
    return buf;
}

enum { VISITORS = 250, VISIT_MS = 40, SWITCH_AFTER = 3 };

/* Visitors come for 10 s, the next one before the one before has gone. How long a switch takes. */
static uint64_t among_visitors(gee_ctx *ctx) {
    struct step *steps = calloc(VISITORS, sizeof(*steps)), off = {.off = "cart"};
    gee_flags *f = shop(ctx, true);
    gee_waitgroup done = {0};
    for (int i = 0; i < VISITORS; i++) {
        steps[i] = (struct step){.ask = "banner"};
        start(ctx, &steps[i], 1, f, &done);
        if (i == SWITCH_AFTER)
            start(ctx, &off, 1, f, &done);
        gee_sleep(ctx, VISIT_MS - (i == SWITCH_AFTER ? 20 : 10));
    }
    gee_waitgroup_wait(NULL, &done);
    gee_flags_free(f);
    free(steps);
    return off.took_ms;
}

/* The checkout goes off and then the cart on: at no moment somebody has both. */
static const char *two_switches(gee_ctx *ctx) {
    struct step steps[3] = {{.ask = "checkout"}, {.off = "checkout"}, {.on = "cart"}};
    gee_ctx *own = gee_ctx_with_cancel(ctx);
    gee_flags *f = shop(ctx, false);
    gee_waitgroup done = {0};
    start(own, steps, 3, f, &done);
    if (wait_an_hour(ctx, &done) < 0) {
        gee_ctx_cancel(own, 0);
        gee_waitgroup_wait(NULL, &done);
    }
    gee_ctx_end(own);
    gee_flags_free(f);
    return steps[0].rc < 0 ? "none" : steps[0].rc ? "yes" : "no";
}

static void reader_reentry(gee_ctx *ctx, void *arg) {
    char stuck[512];
    (void)arg;
    progress(ctx, stuck, sizeof(stuck));
    double took = (double)among_visitors(ctx) / 1e3;
    const char *answer = two_switches(ctx);
    if (*stuck || took > 0.1 || strcmp(answer, "no") != 0)
        T_FAIL("reader-reentry: one asks, one switches, one asks: %s; among visitors a switch "
               "takes %.2f s; has one both of what is never on together: %s",
               *stuck ? stuck : "done", took, answer);
}

static void test_reader_reentry(void **state) {
    (void)state;
    t_sim(reader_reentry, NULL);
}

/* --- curl: whose request has a rule during which somebody switches --- */

static int lets_another_switch(gee_ctx *ctx, const void *who, void *arg) {
    gee_go(ctx, takes_step, arg);
    (void)who;
    return gee_sleep(ctx, 20) < 0 ? UV_ECANCELED : 1;
}

static void checkout(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    gee_waitgroup done = {0};
    gee_flags *f = gee_flags_new();
    struct step step = {.flags = f, .off = "cart", .done = &done};
    gee_waitgroup_add(&done, 1);
    gee_flags_put(ctx, f, &(gee_flag){.name = "cart", .on = true});
    gee_flags_put(ctx, f, &(gee_flag){"checkout", true, "cart", lets_another_switch, &step});
    int rc = gee_flags_ask(ctx, f, "checkout", "ann");
    gee_waitgroup_wait(NULL, &done);
    gee_flags_free(f);
    gee_string(req, 200, "%d", rc);
}

static void routes(gee_group *r) {
    gee_GET(r, "/checkout", checkout);
}

static void reader_reentry_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    int rc = t_shell(ctx, out, sizeof(out), "curl -s -m 3 http://127.0.0.1:%d/checkout", port);
    if (rc != 0 || strcmp(out, "1") != 0)
        T_FAIL("reader-reentry on a socket: curl ends with %d after 3 s and has \"%s\"", rc, out);
}

static void test_reader_reentry_real(void **state) {
    (void)state;
    t_site_real(2, &(t_site){routes, reader_reentry_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_reader_reentry),
    cmocka_unit_test(test_reader_reentry_real),
};

T_MAIN(tests)
