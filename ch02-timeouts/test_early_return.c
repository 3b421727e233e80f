/*
 * Chapter 2, early-return: a check of /readyz that hangs. The same source is linked over the
 * broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 */
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AN_HOUR_MS = 3600 * 1000, LIMIT_MS = 1000 };

/* The database that the check asks: it answers; or it is lost, until somebody gives up; or it
 * comes back after 5 s, by a call that knows no ctx. */
static atomic_int database;
enum { WELL, LOST, DEAF };

static int ask_database(gee_ctx *ctx, void *arg) {
    (void)arg;
    switch (atomic_load(&database)) {
    case LOST:
        return gee_ctx_wait(ctx);
    case DEAF:
        gee_sleep(NULL, 5000);
        return 0;
    default:
        return 0;
    }
}

typedef struct site {
    gee_engine *engine;
    gee_server *srv;
    int port;
} site;

static int open_site(site *s, uint64_t limit_ms) {
    s->engine = gee_engine_new();
    gee_health_routes(gee_root(s->engine));
    int rc = gee_ready_check_within(s->engine, "db", limit_ms, ask_database, NULL);
    if (rc == 0)
        rc = gee_listen(s->engine, "127.0.0.1", 0, NULL, &s->srv);
    s->port = rc < 0 ? 0 : gee_server_port(s->srv);
    return rc;
}

/* A client with an hour of patience. */
typedef struct asker {
    const char *target;
    int port;
    gee_waitgroup *all;
    char answer[32]; /* "503 after 1.0 s" or "never" */
} asker;

static void ask(gee_ctx *ctx, void *arg) {
    asker *a = arg;
    uint64_t start = gee_now_ms();
    t_conn *c = t_dial(a->port, 0);
    gee_ctx *patience = gee_ctx_with_timeout(ctx, AN_HOUR_MS);
    int status = c ? t_get(patience, c, a->target) : UV_ECONNREFUSED;
    if (status > 0)
        snprintf(a->answer, sizeof(a->answer), "%d after %.1f s", status,
                 (double)(gee_now_ms() - start) / 1e3);
    else
        snprintf(a->answer, sizeof(a->answer), "%s", status == UV_ETIMEDOUT ? "never" : "error");
    if (c)
        t_close(ctx, c);
    gee_ctx_end(patience);
    gee_waitgroup_done(a->all);
}

static void start(gee_ctx *ctx, asker *a, gee_waitgroup *all, const char *target, int port) {
    *a = (asker){target, port, all, "not asked"};
    gee_waitgroup_add(all, 1);
    if (gee_go(ctx, ask, a) < 0)
        gee_waitgroup_done(all);
}

/* One asks while the database is lost, one half a second later, and one when it is well again. */
static void ask_of_the_lost(gee_ctx *ctx, int port, asker askers[3]) {
    gee_waitgroup all = {0};
    atomic_store(&database, LOST);
    start(ctx, &askers[0], &all, "/readyz", port);
    gee_sleep(ctx, LIMIT_MS / 2);
    start(ctx, &askers[1], &all, "/readyz/db", port);
    gee_sleep(ctx, 10000);
    atomic_store(&database, WELL);
    start(ctx, &askers[2], &all, "/readyz", port);
    gee_waitgroup_wait(ctx, &all);
}

static void ask_of_the_deaf(gee_ctx *ctx, int port, asker *a) {
    gee_waitgroup all = {0};
    atomic_store(&database, DEAF);
    start(ctx, a, &all, "/readyz", port);
    gee_waitgroup_wait(ctx, &all);
}

static void early_return(gee_ctx *ctx, void *arg) {
    asker a[3], deaf;
    char stays[32], saw[320];
    site s;
    (void)arg;
    T_RC(open_site(&s, LIMIT_MS), 0);
    int64_t baseline = t_tasks();
    ask_of_the_lost(ctx, s.port, a);
    t_stays(ctx, baseline, stays, sizeof(stays));
    ask_of_the_deaf(ctx, s.port, &deaf);
    gee_sleep(ctx, 5000);
    int rc = gee_server_shutdown(s.srv);
    gee_engine_free(s.engine);
    snprintf(saw, sizeof(saw),
             "/readyz answers %s, /readyz/db beside it %s, and 10 s later, when all is well, %s; "
             "the check's task stays %s; of one that is deaf for 5 s it answers %s",
             a[0].answer, a[1].answer, a[2].answer, stays, deaf.answer);
    if (strcmp(saw,
               "/readyz answers 503 after 1.0 s, /readyz/db beside it 503 after 0.5 s, and 10 s "
               "later, when all is well, 200 after 0.0 s; the check's task stays 0.0 s; of one "
               "that is deaf for 5 s it answers 503 after 1.0 s") != 0)
        T_FAIL("early-return: of a check that hangs, and has 1.0 s, %s", saw);
    T_RC(rc, 0);
}

static void test_early_return(void **state) {
    (void)state;
    t_sim(early_return, NULL);
}

/* What curl has of it: "503"; or "no answer", after twenty times what the check may take. */
static const char *fetch(gee_ctx *ctx, int port, const char *target, char *buf, size_t size) {
    int code = t_shell(ctx, buf, size,
                       T_CURL "-m 2 -o /dev/null -w '%%{http_code}' http://127.0.0.1:%d%s 2>&1",
                       port, target);
    if (code != 0)
        snprintf(buf, size, code == 28 ? "no answer" : "exit code %d", code);
    return buf;
}

/* On a real socket, with curl. */
static void early_return_real(gee_ctx *ctx, void *arg) {
    char ready[128], alive[128];
    site s;
    (void)arg;
    T_RC(open_site(&s, 100), 0);
    atomic_store(&database, LOST);
    fetch(ctx, s.port, "/readyz", ready, sizeof(ready));
    fetch(ctx, s.port, "/healthz", alive, sizeof(alive));
    int rc = gee_server_shutdown(s.srv);
    gee_engine_free(s.engine);
    if (strcmp(ready, "503") != 0 || strcmp(alive, "200") != 0)
        T_FAIL("early-return on a socket: of a check that hangs, and has 0.1 s, curl has after 2 s "
               "of /readyz: %s, of /healthz: %s",
               ready, alive);
    T_RC(rc, 0);
}

static void test_early_return_real(void **state) {
    (void)state;
    t_real(1, early_return_real, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_early_return),
    cmocka_unit_test(test_early_return_real),
};

T_MAIN(tests)
