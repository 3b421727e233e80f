/* References on a request: how long it stays, who waits for that, and what may be asked of it. */
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SOON_MS = 20, LATE_MS = 2000 };

/* What the task that has the reference saw, at its end. Nothing orders it and the client. */
static struct {
    _Atomic int dropped, same, freed, ctx_rc, cause;
    _Atomic uint64_t at_ms;
} saw;
static gee_waitgroup readers;

static void forget(void) {
    saw.dropped = saw.same = saw.freed = saw.ctx_rc = saw.cause = 0;
    saw.at_ms = 0;
}

static void key_freed(void *value) {
    (void)value;
    saw.freed++;
}

static bool is(const char *have, const char *want) {
    return have && strcmp(have, want) == 0;
}

/* All that only reads. */
static bool is_whole(gee_req *req) {
    return is(gee_method(req), "GET") && is(gee_param(req, "who"), "ann") &&
           is(gee_query(req, "q"), "a b") && is(gee_cookie(req, "c"), "1") &&
           is(gee_header(req, "X-Sent"), "yes") && is(gee_get(req, "key"), "value") &&
           strncmp(gee_target(req), "/", 1) == 0 && strchr(gee_route(req), ':') &&
           *gee_remote(req) && saw.freed == 0;
}

static void drop(gee_req *req) {
    saw.same = is_whole(req);
    saw.at_ms = gee_now_ms();
    saw.dropped++;
    gee_req_unref(req);
    gee_waitgroup_done(&readers);
}

static void reads_soon(gee_ctx *ctx, void *req) {
    gee_sleep(ctx, SOON_MS);
    drop(req);
}

static void reads_late(gee_ctx *ctx, void *req) {
    (void)ctx;
    gee_sleep(NULL, LATE_MS);
    drop(req);
}

/* It is one of the request's ctx, and told. */
static void listens(gee_ctx *ctx, void *req) {
    saw.ctx_rc = gee_ctx_wait(ctx);
    saw.cause = gee_ctx_cause(ctx);
    drop(req);
}

static void refer(gee_req *req, gee_ctx *ctx, gee_task_fn fn) {
    T_RC(gee_set(req, "key", "value", key_freed), 0);
    T_RC(gee_req_ref(req), 0);
    gee_waitgroup_add(&readers, 1);
    T_RC(gee_go(ctx, fn, req), 0);
}

static void soon(gee_req *req) {
    refer(req, gee_background(), reads_soon);
    gee_string(req, 200, "here");
}

static void late(gee_req *req) {
    refer(req, gee_background(), reads_late);
    gee_string(req, 200, "here");
}

static void told(gee_req *req) {
    refer(req, gee_req_ctx(req), listens);
    gee_string(req, 200, "here");
}

static void says_nothing(gee_req *req) {
    refer(req, gee_background(), reads_late);
    gee_status(req, 202);
}

static void streams(gee_req *req) {
    refer(req, gee_background(), reads_late);
    gee_write(req, "one", 3);
    gee_flush(req);
    gee_write(req, "two", 3);
}

static void panics(gee_req *req) {
    refer(req, gee_background(), reads_late);
    gee_panic("in the handler");
}

static void answers_and_panics(gee_req *req) {
    refer(req, gee_background(), reads_late);
    gee_string(req, 200, "not that");
    gee_panic("in the handler");
}

static void at_once(gee_req *req) {
    T_RC(gee_set(req, "key", "value", key_freed), 0);
    T_RC(gee_req_ref(req), 0);
    gee_req_unref(req);
    gee_string(req, 200, "here");
}

/* One who has a reference takes another, for somebody else, also when the handler is gone. */
static void hands_on(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    (void)ctx;
    gee_sleep(NULL, LATE_MS);
    T_RC(gee_req_ref(req), 0);
    T_RC(gee_go(gee_background(), reads_late, req), 0);
    gee_req_unref(req);
}

static void chain(gee_req *req) {
    refer(req, gee_background(), hands_on);
    gee_string(req, 200, "here");
}

static int sub_panics(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_panic("in a sub-task");
}

static void sub_task_panics(gee_req *req) {
    refer(req, gee_background(), reads_late);
    T_RC(gee_req_go(req, sub_panics, NULL), 0);
    gee_yield();
}

static void of_a_copy(gee_req *req) {
    gee_req *copy = gee_req_copy(req);
    gee_string(req, 200, "%d", gee_req_ref(copy));
    gee_req_release(copy);
}

static void plain(gee_req *req) {
    gee_set(req, "key", "another", gee_forever);
    gee_string(req, 200, "plain %s", gee_param(req, "who"));
}

static void routes(gee_group *r) {
    forget();
    gee_GET(r, "/soon/:who", soon);
    gee_GET(r, "/late/:who", late);
    gee_GET(r, "/told/:who", told);
    gee_GET(r, "/nothing/:who", says_nothing);
    gee_GET(r, "/streams/:who", streams);
    gee_GET(r, "/panics/:who", panics);
    gee_GET(r, "/answers-and-panics/:who", answers_and_panics);
    gee_GET(r, "/sub-task-panics/:who", sub_task_panics);
    gee_GET(r, "/at-once/:who", at_once);
    gee_GET(r, "/chain/:who", chain);
    gee_GET(r, "/copy", of_a_copy);
    gee_GET(r, "/plain/:who", plain);
    gee_group *limited = gee_group_new(r, "/limited");
    gee_use_timeout_with(limited, &(gee_timeout_options){.ms = 50, .log_fd = -1});
    gee_GET(limited, "/late/:who", late);
}

static int ask(gee_ctx *ctx, t_conn *c, const char *path) {
    char target[64];
    forget();
    snprintf(target, sizeof(target), "%s/ann?q=a+b", path);
    return t_ask(ctx, c, "GET", target, "X-Sent: yes\r\nCookie: c=1\r\n");
}

/* The client has its answer at once, its next one when the bound is over, and the task the request
 * for as long as it wants it. */
static void test_stays_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *path, *body;
        int status;
        uint64_t next_ms, dropped_ms;
    } all[] = {
        {"/soon", "here", 200, SOON_MS, SOON_MS},
        {"/late", "here", 200, GEE_JOIN_MS, LATE_MS},
        {"/chain", "here", 200, GEE_JOIN_MS, 2 * LATE_MS},
        {"/told", "here", 200, 0, 0},
        {"/nothing", "", 202, GEE_JOIN_MS, LATE_MS},
        {"/streams", "onetwo", 200, GEE_JOIN_MS, LATE_MS},
        {"/limited/late", "here", 200, GEE_JOIN_MS, LATE_MS},
    };
    (void)port;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t start = gee_now_ms();
        T_EQ(ask(ctx, c, all[i].path), all[i].status);
        T_STR(t_body(c), all[i].body);
        T_EQ(gee_now_ms() - start, 0);
        T_EQ(t_get(ctx, c, "/plain/bob"), 200); /* on the same connection */
        T_STR(t_body(c), "plain bob");
        T_EQ(gee_now_ms() - start, all[i].next_ms);
        gee_sleep(ctx, 3 * LATE_MS);
        T_EQ(saw.dropped, 1);
        T_EQ(saw.same, 1);
        T_EQ(saw.freed, 1);
        T_EQ(saw.at_ms - start, all[i].dropped_ms);
    }
    T_EQ(ask(ctx, c, "/at-once"), 200);
    T_EQ(t_get(ctx, c, "/copy"), 200);
    T_EQ(atoi(t_body(c)), UV_EINVAL);
    T_EQ(saw.freed, 1);
}

T_SITE(test_stays, routes)

static void test_is_told_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(ask(ctx, c, "/told"), 200);
    gee_sleep(ctx, 1);
    T_EQ(saw.dropped, 1);
    T_RC(saw.ctx_rc, UV_ECANCELED);
    T_RC(saw.cause, UV_ECANCELED);
}

T_SITE(test_is_told, routes)

/* What a panic says is looked at in test_panic.c. */
static int quiet(gee_ctx *ctx, t_conn *c, const char *path) {
    int before = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    close(null);
    int status = ask(ctx, c, path);
    gee_sleep(ctx, LATE_MS + 1);
    dup2(before, STDERR_FILENO);
    close(before);
    return status;
}

static void test_panics_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const all[] = {"/panics", "/answers-and-panics", "/sub-task-panics"};
    (void)port;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t start = gee_now_ms();
        T_EQ(quiet(ctx, c, all[i]), 500);
        T_EQ(saw.dropped, 1);
        T_EQ(saw.same, 1);
        T_EQ(saw.freed, 1);
        T_EQ(saw.at_ms - start, LATE_MS);
        T_EQ(t_get(ctx, c, "/plain/bob"), 200);
    }
}

T_SITE(test_panics, routes)

/* The request's task waits for another one, and is no leak; nor does it have a client's memory. */
static void test_is_no_leak_body(gee_ctx *ctx, t_conn *c, int port) {
    static const uint64_t at_ms[] = {50, 500};
    gee_leak *leaks;
    char where[64];
    (void)port;
    T_EQ(ask(ctx, c, "/late"), 200);
    for (int i = 0; i < 2; i++) {
        gee_sleep(ctx, at_ms[i]);
        T_EQ(gee_leakcheck(&leaks), 0);
        free(leaks);
        T_CHECK(strncmp(t_parked("GET /late/ann", where, sizeof(where)), "waitgroup wait at ",
                        18) == 0);
    }
    gee_sleep(ctx, LATE_MS);
    T_STR(t_parked("GET /late/ann", where, sizeof(where)), "nowhere");
}

T_SITE(test_is_no_leak, routes)

/* A client that goes before, at and behind the bound. */
static void test_client_leaves_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    for (uint64_t ms = 0; ms <= 200; ms += 50)
        for (int reset = 0; reset < 2; reset++) {
            t_conn *d = t_dial(port, 0);
            T_EQ(ask(ctx, d, "/late"), 200);
            gee_sleep(ctx, ms);
            if (reset)
                t_reset(ctx, d);
            else
                t_close(ctx, d);
            gee_sleep(ctx, LATE_MS + 1);
            T_EQ(saw.dropped, 1);
            T_EQ(saw.same, 1);
        }
}

T_SITE(test_client_leaves, routes)

/* A shutdown waits for such a request, as for any; it does not when that takes too long. */
static void shutdown_body(gee_ctx *ctx, void *arg) {
    const gee_limits limits = {.drain_ms = *(uint64_t *)arg};
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    routes(gee_root(e));
    T_RC(gee_listen(e, "127.0.0.1", 0, &limits, &srv), 0);
    t_conn *c = t_dial(gee_server_port(srv), 0);
    T_EQ(ask(ctx, c, "/late"), 200);
    T_RC(gee_server_shutdown(srv), limits.drain_ms > LATE_MS ? 0 : UV_ETIMEDOUT);
    T_EQ(saw.dropped, limits.drain_ms > LATE_MS);
    t_close(ctx, c);
    gee_waitgroup_wait(NULL, &readers); /* the engine's routes are its, too */
    gee_sleep(ctx, 1);
    T_EQ(saw.same, 1);
    gee_engine_free(e);
}

static void test_shutdown(void **state) {
    static uint64_t drain_ms[] = {5000, 100};
    (void)state;
    for (int i = 0; i < 2; i++)
        t_sim(shutdown_body, &drain_ms[i]);
}

/* --- on sockets: many requests, each with readers on both workers --- */

enum { READERS = 4, ROUNDS = 100 };
static _Atomic int wrong;

static void reads(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    (void)ctx;
    for (int i = 0; i < 3; i++) {
        const char *key = gee_get(req, "who");
        if (!is(gee_param(req, "who"), gee_query(req, "who")) || !is(key, "somebody"))
            wrong++;
        gee_yield();
    }
    gee_req_unref(req);
}

static void many(gee_req *req) {
    gee_set(req, "who", "somebody", gee_forever);
    for (int i = 0; i < READERS; i++) {
        T_RC(gee_req_ref(req), 0);
        T_RC(gee_go_on(i % 2, gee_background(), reads, req), 0);
    }
    gee_string(req, 200, "x");
}

static void many_routes(gee_group *r) {
    gee_GET(r, "/many/:who", many);
}

static void sockets(gee_ctx *ctx, t_conn *none, int port) {
    char out[2 * ROUNDS];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out),
                 "for i in $(seq %d); do echo \"url=http://127.0.0.1:%d/many/$i?who=$i\"; done | "
                 "curl -sS --max-time 20 --no-progress-meter --parallel -K -",
                 ROUNDS, port),
         0);
    T_EQ(strlen(out), ROUNDS);
}

static void test_sockets(void **state) {
    (void)state;
    t_site_real(2, &(t_site){many_routes, sockets, NULL, 0});
    T_EQ(wrong, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_stays),         cmocka_unit_test(test_is_told),
    cmocka_unit_test(test_panics),        cmocka_unit_test(test_is_no_leak),
    cmocka_unit_test(test_client_leaves), cmocka_unit_test(test_shutdown),
    cmocka_unit_test(test_sockets),
};

T_MAIN(tests)
