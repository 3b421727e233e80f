/*
 * Chapter 3, keys-unlocked: two tasks of one request, and its keys. The same source is linked over
 * the broken variant, the fixed one and each decoy; what a test reports says which of them
 * it met.
 */
#include "hold.h"
#include "t_client.h"
#include <stdio.h>
#include <string.h>

/* --- two workers, which are held in the middle --- */

enum { IN_SET = 1, SET_BESIDE, IN_CLOSE, GOT };
static t_turn turn;

/* The old session is closed where it is replaced, and that takes until another task has asked. */
static char sessions[2];

static void close_slowly(void *session) {
    if (session == &sessions[0]) {
        t_turn_pass(&turn, IN_CLOSE);
        t_turn_await(&turn, GOT);
    }
}

struct beside {
    gee_req *req;
    gee_waitgroup done;
    void *session;
};

static void beside(gee_ctx *ctx, void *arg) {
    struct beside *b = arg;
    (void)ctx;
    t_turn_await(&turn, IN_SET);
    gee_set(b->req, "trace", "t1", gee_forever);
    t_turn_pass(&turn, SET_BESIDE);
    t_turn_await(&turn, IN_CLOSE);
    b->session = gee_get(b->req, "session");
    t_turn_pass(&turn, GOT);
    gee_waitgroup_done(&b->done);
}

/* Its own task is one of the two. "2 keys, new session" */
static void two_tasks(gee_req *req) {
    struct beside b = {.req = req};
    t_turn_init(&turn);
    gee_waitgroup_add(&b.done, 1);
    if (gee_go_on(1 - gee_worker_index(), gee_req_ctx(req), beside, &b) != 0)
        return;
    hold_me(1, &turn, IN_SET, SET_BESIDE);
    gee_set(req, "user", "ann", gee_forever);
    t_turn_await(&turn, SET_BESIDE); /* if it was a lock that kept it away */
    int keys = (gee_get(req, "user") != NULL) + (gee_get(req, "trace") != NULL);
    gee_set(req, "session", &sessions[0], close_slowly);
    gee_set(req, "session", &sessions[1], close_slowly);
    gee_set(req, "session", &sessions[1], NULL); /* for the tools: what had the other one read? */
    gee_waitgroup_wait(NULL, &b.done);
    gee_string(req, 200, "%d, the %s one", keys, b.session == &sessions[1] ? "new" : "old");
}

static void two_routes(gee_group *r) {
    gee_GET(r, "/two", two_tasks);
}

static void keys_unlocked(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/two", port), 0);
    if (strcmp(out, "2, the new one") != 0) {
        char *session = strstr(out, ", ");
        T_FAIL("keys-unlocked on two workers: of two keys that are set at the same time there is "
               "%.*s, and of a session that is replaced, while it is closed, another task gets %s",
               (int)strcspn(out, ","), out, session ? session + 2 : "none");
    }
}

static void test_keys_unlocked(void **state) {
    (void)state;
    t_site_real(2, &(t_site){two_routes, keys_unlocked, NULL, 0});
}

/* --- one worker: tasks that never run at the same time, and a session whose end takes a while ---
 */

enum { RENEW_MS = 10, CLOSE_MS = 100, GET_MS = 60 };

struct session {
    int id;
};

static void say_goodbye(void *session) {
    (void)session;
    gee_sleep(NULL, CLOSE_MS);
}

struct job {
    gee_req *req;
    gee_waitgroup done;
    struct session *next;
};

static void tags(gee_ctx *ctx, void *arg) {
    struct job *j = arg;
    (void)ctx;
    gee_set(j->req, "trace", "t1", gee_forever);
    gee_waitgroup_done(&j->done);
}

static void renews(gee_ctx *ctx, void *arg) {
    struct job *j = arg;
    gee_sleep(ctx, RENEW_MS);
    gee_set(j->req, "session", j->next, say_goodbye);
    gee_waitgroup_done(&j->done);
}

static void one_worker(gee_req *req) {
    struct session *s = gee_alloc(req, 2 * sizeof(*s));
    struct job j = {.req = req, .next = &s[1]};
    s[0] = (struct session){.id = 1};
    s[1] = (struct session){.id = 2};
    gee_set(req, "session", &s[0], say_goodbye);
    gee_waitgroup_add(&j.done, 2);
    gee_go(gee_req_ctx(req), tags, &j);
    gee_go(gee_req_ctx(req), renews, &j);
    gee_sleep(NULL, GET_MS);
    struct session *got = gee_get(req, "session");
    gee_waitgroup_wait(NULL, &j.done);
    gee_string(req, 200, "session %d", got->id);
}

static void one_routes(gee_group *r) {
    gee_GET(r, "/one", one_worker);
}

static void keys_unlocked_one(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/one"), 200);
    if (strcmp(t_body(c), "session 2") != 0)
        T_FAIL("keys-unlocked on one worker: session 1 is replaced by 2, and 50 ms into its close "
               "a task gets %s",
               t_body(c));
}

static void test_keys_unlocked_one(void **state) {
    (void)state;
    t_site_sim(&(t_site){one_routes, keys_unlocked_one, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keys_unlocked),
    cmocka_unit_test(test_keys_unlocked_one),
};

T_MAIN(tests)
