/*
 * Chapter 3, copy-shallow: a request and its copy, and what is set in one of them. The same source
 * is linked over the broken variant, the fixed one and each decoy; what a test reports says which
 * of them it met.
 */
#include "hold.h"
#include "t_client.h"
#include <stdio.h>
#include <string.h>

static void set(gee_req *req, const char *key, const char *value) {
    gee_set(req, key, (void *)value, gee_forever);
}

static const char *get(gee_req *req, const char *key) {
    const char *value = gee_get(req, key);
    return value ? value : "nobody";
}

/* --- two workers --- */

enum { COPY_IS_SET = 1, STOPPED, CHANGED };
enum { PLACES = 12 }; /* allocations of a copy, and some more */
static t_turn turn;

struct beside {
    gee_req *req;
    gee_waitgroup done;
};

static void go_beside(struct beside *b, gee_task_fn fn) {
    t_turn_init(&turn);
    gee_waitgroup_add(&b->done, 1);
    if (gee_go_on(1 - gee_worker_index(), gee_req_ctx(b->req), fn, b) != 0)
        gee_waitgroup_done(&b->done);
}

static void redacts(gee_ctx *ctx, void *arg) {
    struct beside *b = arg;
    (void)ctx;
    set(b->req, "user", "redacted");
    t_turn_pass(&turn, COPY_IS_SET);
    gee_waitgroup_done(&b->done);
}

/* A task sets a key of its copy. */
static void written(gee_req *req) {
    set(req, "user", "ann");
    struct beside b = {.req = gee_req_copy(req)};
    go_beside(&b, redacts);
    t_turn_await(&turn, COPY_IS_SET);
    const char *user = get(req, "user");
    gee_waitgroup_wait(NULL, &b.done);
    gee_req_release(b.req);
    gee_string(req, 200, "%s\n", user);
}

/* Whenever you look, there is no eve without a role. */
static void promotes(gee_ctx *ctx, void *arg) {
    struct beside *b = arg;
    (void)ctx;
    t_turn_await(&turn, STOPPED);
    set(b->req, "role", "admin");
    set(b->req, "user", "eve");
    t_turn_pass(&turn, CHANGED);
    gee_waitgroup_done(&b->done);
}

/*
 * The copy is stopped at its nth allocation, and a task sets two keys of the request. The 0th is
 * none: it fills the pools, so that the others all allocate alike.
 */
static void stopped(gee_req *req) {
    struct beside b = {.req = req};
    set(req, "user", "ann");
    go_beside(&b, promotes);
    hold_me(atoi(gee_query(req, "n")), &turn, STOPPED, CHANGED);
    gee_req *copy = gee_req_copy(req);
    hold_no_more();
    bool torn = strcmp(get(copy, "user"), "eve") == 0 && gee_get(copy, "role") == NULL;
    t_turn_pass(&turn, STOPPED);
    gee_waitgroup_wait(NULL, &b.done);
    gee_req_release(copy);
    gee_string(req, 200, "%s", torn ? "!" : ".");
}

static void two_routes(gee_group *r) {
    gee_GET(r, "/written", written);
    gee_GET(r, "/stopped", stopped);
}

static void copy_shallow(gee_ctx *ctx, t_conn *none, int port) {
    char user[64], copies[64];
    int torn = 0;
    (void)none;
    t_shell(ctx, user, sizeof(user), T_CURL "http://127.0.0.1:%d/written", port);
    user[strcspn(user, "\n")] = '\0';
    t_shell(ctx, copies, sizeof(copies), T_CURL "'http://127.0.0.1:%d/stopped?n=[0-%d]'", port,
            PLACES);
    T_EQ(strlen(copies), PLACES + 1);
    for (const char *at = copies; *at; at++)
        torn += *at == '!';
    if (strcmp(user, "ann") != 0 || torn > 0)
        T_FAIL("copy-shallow on two workers: a task sets the user of its copy, and that of the "
               "request, ann, is %s; of the copies that are stopped at an allocation of theirs, "
               "%d show what never was",
               user, torn);
}

static void test_copy_shallow(void **state) {
    (void)state;
    t_site_real(2, &(t_site){two_routes, copy_shallow, NULL, 0});
}

/* --- one worker --- */

enum { REDACT_MS = 10, LOOK_MS = 50 };

struct audit {
    gee_req *req, *copy;
    gee_waitgroup done;
    char after[32]; /* what the copy has when the request's own was set */
};

static void tags(gee_ctx *ctx, void *arg) {
    struct audit *a = arg;
    (void)ctx;
    set(a->req, "trace", "t1");
    gee_waitgroup_done(&a->done);
}

static void audits(gee_ctx *ctx, void *arg) {
    struct audit *a = arg;
    gee_sleep(ctx, REDACT_MS);
    set(a->copy, "user", "redacted");
    gee_sleep(ctx, LOOK_MS);
    snprintf(a->after, sizeof(a->after), "%s", get(a->copy, "user"));
    gee_waitgroup_done(&a->done);
}

static void one_worker(gee_req *req) {
    struct audit a = {.req = req};
    set(req, "user", "ann");
    gee_waitgroup_add(&a.done, 2);
    gee_go(gee_req_ctx(req), tags, &a);
    gee_sleep(NULL, 1);
    a.copy = gee_req_copy(req);
    gee_go(gee_req_ctx(req), audits, &a);
    gee_sleep(NULL, LOOK_MS);
    char *user = gee_alloc(req, 32);
    snprintf(user, 32, "%s", get(req, "user"));
    set(req, "user", "eve");
    gee_waitgroup_wait(NULL, &a.done);
    gee_req_release(a.copy);
    gee_string(req, 200, "the request's is %s; that is set to eve, and the copy's is %s", user,
               a.after);
}

static void one_routes(gee_group *r) {
    gee_GET(r, "/one", one_worker);
}

static void copy_shallow_one(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/one"), 200);
    if (strcmp(t_body(c), "the request's is ann; that is set to eve, and the copy's is redacted") !=
        0)
        T_FAIL("copy-shallow on one worker: a task sets the user of its copy, ann, to redacted, "
               "and %s",
               t_body(c));
}

static void test_copy_shallow_one(void **state) {
    (void)state;
    t_site_sim(&(t_site){one_routes, copy_shallow_one, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_copy_shallow),
    cmocka_unit_test(test_copy_shallow_one),
};

T_MAIN(tests)
