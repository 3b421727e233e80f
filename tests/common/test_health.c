/* /healthz and /readyz: who is asked, how long, and what the answer says. */
#include "gee/health.h"
#include "gee/panic.h"
#include "t_client.h"
#include "t_site.h"
#include <stdatomic.h>
#include <string.h>

static atomic_int runs, now_running, most_running;
static atomic_int answer_of_a, always_good;

static int settled(gee_ctx *ctx, void *arg) {
    (void)ctx;
    atomic_fetch_add(&runs, 1);
    return atomic_load((atomic_int *)arg);
}

/* Takes 100 ms; listens. */
static int brief(gee_ctx *ctx, void *arg) {
    int n = atomic_fetch_add(&now_running, 1) + 1;
    (void)arg;
    if (n > atomic_load(&most_running))
        atomic_store(&most_running, n);
    atomic_fetch_add(&runs, 1);
    int rc = gee_sleep(ctx, 100);
    atomic_fetch_sub(&now_running, 1);
    return rc;
}

static int for_ever(gee_ctx *ctx, void *arg) {
    (void)arg;
    atomic_fetch_add(&runs, 1);
    return gee_ctx_wait(ctx);
}

static int panics(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    atomic_fetch_add(&runs, 1);
    gee_panic("a check, on purpose");
}

/* Says that all is well, but only after 700 ms. */
static int late(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_sleep(NULL, 700);
    return 0;
}

/* Does not listen to its ctx. */
static int deaf(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    atomic_fetch_add(&runs, 1);
    gee_sleep(NULL, 5000);
    return 0;
}

static gee_engine *engine;

static void common(gee_group *root, gee_engine *e) {
    engine = e;
    atomic_store(&runs, 0);
    atomic_store(&most_running, 0);
    atomic_store(&answer_of_a, 0);
    gee_health_routes(root);
}

struct plan {
    const char *name;
    uint64_t ms;
    gee_ready_fn fn;
    void *arg;
};

/* A server of its own for each test: the checks are added before it listens. */
struct site {
    const struct plan *checks;
    void (*body)(gee_ctx *ctx, int port, gee_server *srv);
};

static void visit(gee_ctx *ctx, void *arg) {
    const struct site *site = arg;
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    common(gee_root(e), e);
    for (const struct plan *p = site->checks; p->name; p++)
        T_RC(gee_ready_check_within(e, p->name, p->ms, p->fn, p->arg), 0);
    T_RC(gee_listen(e, "127.0.0.1", 0, NULL, &srv), 0);
    site->body(ctx, gee_server_port(srv), srv);
    int rc = gee_server_shutdown(srv);
    gee_engine_free(e);
    T_RC(rc, 0);
}

#define NO_MORE \
    { NULL, 0, NULL, NULL }
#define SITE(name, ...)                                    \
    static void name(void **state) {                       \
        static const struct plan checks[] = {__VA_ARGS__}; \
        (void)state;                                       \
        t_sim(visit, &(struct site){checks, name##_body}); \
    }

static bool says(t_conn *c, const char *text) {
    return strstr(t_body(c), text) != NULL;
}

static void test_without_checks_it_is_alive_and_ready_body(gee_ctx *ctx, int port,
                                                           gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    (void)srv;
    int alive = t_get(ctx, c, "/healthz");
    bool ok = strcmp(t_body(c), "ok\n") == 0,
         fresh = t_streq(t_field(c, "Cache-Control"), "no-store");
    int ready = t_get(ctx, c, "/readyz");
    bool json = says(c, "{\"ready\":true,\"draining\":false,\"checks\":[]}");
    t_close(ctx, c);
    T_EQ(alive, 200);
    T_CHECK(ok && fresh && json);
    T_EQ(ready, 200);
}

SITE(test_without_checks_it_is_alive_and_ready, NO_MORE)

static void test_a_failing_check_is_named_body(gee_ctx *ctx, int port, gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    (void)srv;
    int good = t_get(ctx, c, "/readyz");
    atomic_store(&answer_of_a, UV_ECONNREFUSED);
    int bad = t_get(ctx, c, "/readyz");
    bool named = says(c, "{\"name\":\"db\",\"ok\":false,\"error\":\"ECONNREFUSED\"}") &&
                 says(c, "{\"name\":\"disk\",\"ok\":true}") &&
                 says(c, "\"ready\":false,\"draining\":false");
    int alive = t_get(ctx, c, "/healthz"); /* no reason to restart it */
    atomic_store(&answer_of_a, 0);
    int again = t_get(ctx, c, "/readyz");
    t_close(ctx, c);
    T_EQ(good, 200);
    T_EQ(bad, 503);
    T_CHECK(named);
    T_EQ(alive, 200);
    T_EQ(again, 200);
}

SITE(test_a_failing_check_is_named, {"db", 0, settled, &answer_of_a},
     {"disk", 0, settled, &always_good}, NO_MORE)

static void test_checks_run_together_and_time_out_together_body(gee_ctx *ctx, int port,
                                                                gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    (void)srv;
    uint64_t start = gee_now_ms();
    int status = t_get(ctx, c, "/readyz");
    uint64_t took = gee_now_ms() - start;
    bool named = says(c, "{\"name\":\"one\",\"ok\":false,\"error\":\"ETIMEDOUT\"}") &&
                 says(c, "{\"name\":\"two\",\"ok\":false,\"error\":\"ETIMEDOUT\"}") &&
                 says(c, "{\"name\":\"three\",\"ok\":true}");
    t_close(ctx, c);
    T_EQ(status, 503);
    T_EQ(took, 1000);
    T_CHECK(named);
}

SITE(test_checks_run_together_and_time_out_together, {"one", 700, for_ever, NULL},
     {"two", 0, for_ever, NULL}, {"three", 0, brief, NULL}, NO_MORE)

static void test_a_check_that_hangs_costs_one_task_body(gee_ctx *ctx, int port, gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    gee_census before, after;
    int unready = 0;
    (void)srv;
    gee_census_take(&before);
    for (int i = 0; i < 8; i++) {
        uint64_t start = gee_now_ms();
        unready += t_get(ctx, c, "/readyz") == 503 && gee_now_ms() - start == 500;
    }
    gee_census_take(&after);
    int first = atomic_load(&runs);
    gee_sleep(ctx, 2000); /* it comes back, and may run again */
    t_get(ctx, c, "/readyz");
    t_close(ctx, c);
    gee_sleep(ctx, 6000);
    T_EQ(unready, 8);
    T_EQ(first, 1);
    T_EQ(after.tasks, before.tasks + 1);
    T_EQ(atomic_load(&runs), 2);
}

SITE(test_a_check_that_hangs_costs_one_task, {"deaf", 500, deaf, NULL}, NO_MORE)

/* A panic ends the run as any other end does: the next who asks starts a new one. */
static void test_a_check_that_panics_has_failed_body(gee_ctx *ctx, int port, gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    int failed = 0;
    (void)srv;
    uint64_t start = gee_now_ms();
    for (int i = 0; i < 2; i++)
        failed += t_get(ctx, c, "/readyz") == 503 &&
                  says(c, "{\"name\":\"bad\",\"ok\":false,\"error\":\"EPANIC\"}") &&
                  says(c, "{\"name\":\"good\",\"ok\":true}");
    uint64_t took = gee_now_ms() - start;
    t_close(ctx, c);
    T_EQ(failed, 2);
    T_EQ(took, 0);
    T_EQ(atomic_load(&runs), 4);
}

SITE(test_a_check_that_panics_has_failed, {"bad", 0, panics, NULL},
     {"good", 0, settled, &always_good}, NO_MORE)

static void test_a_check_can_be_asked_alone_body(gee_ctx *ctx, int port, gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    (void)srv;
    int good = t_get(ctx, c, "/readyz/good"), asked = atomic_load(&runs);
    bool alone = says(c, "\"checks\":[{\"name\":\"good\",\"ok\":true}]");
    uint64_t start = gee_now_ms();
    int bad = t_get(ctx, c, "/readyz/slow");
    uint64_t took = gee_now_ms() - start;
    int none = t_get(ctx, c, "/readyz/nobody");
    gee_set_ready(engine, false);
    int lame = t_get(ctx, c, "/readyz/good");
    t_close(ctx, c);
    T_EQ(good, 200);
    T_EQ(asked, 1);
    T_CHECK(alone);
    T_EQ(bad, 503);
    T_EQ(took, 300);
    T_EQ(none, 404);
    T_EQ(lame, 503);
}

SITE(test_a_check_can_be_asked_alone, {"good", 0, settled, &always_good},
     {"slow", 300, for_ever, NULL}, NO_MORE)

/* What comes after its time is no answer, for nobody: not for who joined late either. */
static void test_a_late_answer_is_none_body(gee_ctx *ctx, int port, gee_server *srv) {
    t_conn *c = t_dial(port, 0), *d = t_dial(port, 0);
    (void)srv;
    int first = t_puts(ctx, c, "GET /readyz HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 400);
    uint64_t joined = gee_now_ms();
    int second = t_get(ctx, d, "/readyz");
    uint64_t took = gee_now_ms() - joined;
    bool late_too = says(d, "\"error\":\"ETIMEDOUT\"");
    first = first < 0 ? first : t_response(ctx, c);
    t_close(ctx, c);
    t_close(ctx, d);
    T_EQ(first, 503);
    T_EQ(second, 503);
    T_EQ(took, 300);
    T_CHECK(late_too);
}

SITE(test_a_late_answer_is_none, {"late", 500, late, NULL}, NO_MORE)

struct asker {
    int port, status;
    gee_waitgroup *wg;
};

static void ask(gee_ctx *ctx, void *arg) {
    struct asker *a = arg;
    t_conn *c = t_dial(a->port, 0);
    a->status = t_get(ctx, c, "/readyz");
    t_close(ctx, c);
    gee_waitgroup_done(a->wg);
}

static void test_those_who_ask_together_share_one_run_body(gee_ctx *ctx, int port,
                                                           gee_server *srv) {
    gee_waitgroup wg = {0};
    struct asker askers[5];
    int ready = 0;
    (void)srv;
    for (int i = 0; i < 5; i++) {
        askers[i] = (struct asker){port, 0, &wg};
        gee_waitgroup_add(&wg, 1);
        gee_go(ctx, ask, &askers[i]);
    }
    gee_waitgroup_wait(NULL, &wg);
    for (int i = 0; i < 5; i++)
        ready += askers[i].status == 200;
    T_EQ(ready, 5);
    T_EQ(atomic_load(&runs), 1);
    T_EQ(atomic_load(&most_running), 1);
}

SITE(test_those_who_ask_together_share_one_run, {"brief", 0, brief, NULL}, NO_MORE)

/* Who asks leaves before the answer; the engine goes before the check returns. */
static void test_a_run_outlives_who_asked_body(gee_ctx *ctx, int port, gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    (void)srv;
    t_puts(ctx, c, "GET /readyz HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 10);
    t_reset(ctx, c);
}

static void test_a_run_outlives_who_asked(void **state) {
    static const struct plan checks[] = {{"deaf", 400, deaf, NULL}, {NULL, 0, NULL, NULL}};
    gee_config cfg = {.sim = true, .grace_ms = 10000};
    (void)state;
    t_run(&cfg, 0, visit, &(struct site){checks, test_a_run_outlives_who_asked_body});
}

static void test_it_is_not_ready_while_it_is_said_not_to_be_body(gee_ctx *ctx, int port,
                                                                 gee_server *srv) {
    t_conn *c = t_dial(port, 0);
    (void)srv;
    gee_set_ready(engine, false);
    int lame = t_get(ctx, c, "/readyz");
    bool told = says(c, "\"ready\":false,\"draining\":true");
    int alive = t_get(ctx, c, "/healthz");
    gee_set_ready(engine, true);
    int again = t_get(ctx, c, "/readyz");
    t_close(ctx, c);
    T_EQ(lame, 503);
    T_CHECK(told);
    T_EQ(alive, 200);
    T_EQ(again, 200);
}

SITE(test_it_is_not_ready_while_it_is_said_not_to_be, NO_MORE)

static void test_what_is_no_check_is_refused(void **state) {
    gee_engine *e = gee_engine_new();
    (void)state;
    assert_int_equal(gee_ready_check(e, NULL, settled, NULL), UV_EINVAL);
    assert_int_equal(gee_ready_check(e, "", settled, NULL), UV_EINVAL);
    assert_int_equal(gee_ready_check(e, "x", NULL, NULL), UV_EINVAL);
    assert_int_equal(gee_ready_check(e, "x", settled, NULL), 0);
    gee_engine_free(e);
}

/* Two workers, many clients at a time. */
static void crowd_body(gee_ctx *ctx, int port, gee_server *srv) {
    char out[16384];
    int n = 0;
    (void)srv;
    int code =
        t_shell(ctx, out, sizeof(out),
                T_CURL "-Z --parallel-max 8 'http://127.0.0.1:%d/readyz?[1-40]' -o /dev/null "
                       "-w '%%{http_code}\\n' 2>/dev/null",
                port);
    for (const char *s = out; (s = strstr(s, "200\n")) != NULL; s++)
        n++;
    T_EQ(code, 0);
    T_EQ(n, 40);
}

static void test_many_ask_on_several_workers(void **state) {
    static const struct plan checks[] = {
        {"brief", 20000, brief, NULL}, {"good", 0, settled, &always_good}, {NULL, 0, NULL, NULL}};
    (void)state;
    t_real(2, visit, &(struct site){checks, crowd_body});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_without_checks_it_is_alive_and_ready),
    cmocka_unit_test(test_a_failing_check_is_named),
    cmocka_unit_test(test_checks_run_together_and_time_out_together),
    cmocka_unit_test(test_a_check_that_hangs_costs_one_task),
    cmocka_unit_test(test_a_check_that_panics_has_failed),
    cmocka_unit_test(test_a_check_can_be_asked_alone),
    cmocka_unit_test(test_a_late_answer_is_none),
    cmocka_unit_test(test_those_who_ask_together_share_one_run),
    cmocka_unit_test(test_a_run_outlives_who_asked),
    cmocka_unit_test(test_it_is_not_ready_while_it_is_said_not_to_be),
    cmocka_unit_test(test_what_is_no_check_is_refused),
    cmocka_unit_test(test_many_ask_on_several_workers),
};

T_MAIN(tests)
