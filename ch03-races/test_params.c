/*
 * Chapter 3, params-shared: two requests of one route, in flight at the same time, and what each of
 * them reads as its parameter. The same source is linked over the broken variant, the fixed one
 * and each decoy; what a test reports says which of them it met.
 */
#include "t_client.h"
#include "t_turn.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- one worker: a handler waits, and another request of its route comes --- */

enum { WAIT_MS = 100, NEXT_MS = 50 };

static void hello(gee_req *req) {
    gee_sleep(gee_req_ctx(req), WAIT_MS);
    gee_string(req, 200, "%s\n", gee_param(req, "name"));
}

/* Asks for it before the wait as well. */
static void twice(gee_req *req) {
    char first[32];
    snprintf(first, sizeof(first), "%s", gee_param(req, "name"));
    gee_sleep(gee_req_ctx(req), WAIT_MS);
    gee_string(req, 200, "%s and then %s\n", first, gee_param(req, "name"));
}

static void routes(gee_group *r) {
    gee_GET(r, "/hello/:name", hello);
    gee_GET(r, "/twice/:name", twice);
}

/* What the first one is told, if the second one comes while it waits. */
static void meet(gee_ctx *ctx, t_conn *first, int port, const char *path, char *line, size_t size) {
    char head[128];
    t_conn *second = t_dial(port, 0);
    snprintf(head, sizeof(head), "GET /%s/ann HTTP/1.1\r\nHost: test\r\n\r\n", path);
    t_puts(ctx, first, head);
    gee_sleep(ctx, NEXT_MS);
    snprintf(head, sizeof(head), "GET /%s/bob HTTP/1.1\r\nHost: test\r\n\r\n", path);
    t_puts(ctx, second, head);
    t_response(ctx, first);
    snprintf(line, size, "%.*s", (int)strcspn(t_body(first), "\n"), t_body(first));
    t_response(ctx, second);
    t_close(ctx, second);
}

static void params_shared(gee_ctx *ctx, t_conn *c, int port) {
    char once[64], both[64];
    meet(ctx, c, port, "hello", once, sizeof(once));
    meet(ctx, c, port, "twice", both, sizeof(both));
    if (strcmp(once, "ann") != 0 || strcmp(both, "ann and then ann") != 0)
        T_FAIL("params-shared: bob's request comes while ann's waits, and ann's then reads %s; one "
               "that reads before and after its wait reads %s",
               once, both);
}

static void test_params_shared(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, params_shared, NULL, 0});
}

/* --- two workers: ann's handler is held where it is until bob's request is on its way --- */

enum { ANN_IS_ROUTED = 1, BOB_IS_ROUTED, ANN_HAS_READ };
static t_turn turn;

static void ann_or_bob(gee_req *req) {
    bool ann = strcmp(gee_target(req), "/at/ann") == 0;
    t_turn_pass(&turn, ann ? ANN_IS_ROUTED : BOB_IS_ROUTED);
    t_turn_await(&turn, ann ? BOB_IS_ROUTED : ANN_HAS_READ);
    gee_string(req, 200, "%s\n", gee_param(req, "name"));
    if (ann)
        t_turn_pass(&turn, ANN_HAS_READ);
}

static void two_routes(gee_group *r) {
    t_worker_route(r);
    gee_GET(r, "/at/:name", ann_or_bob);
}

struct visitors {
    int port;
    char ann[256], bob[256];
};

static void visit(void *arg) {
    struct visitors *v = arg;
    int ann = t_sock_on(v->port, 0), bob = t_sock_on(v->port, 1);
    t_sock_get(ann, "/at/ann");
    t_turn_await(&turn, ANN_IS_ROUTED);
    t_sock_get(bob, "/at/bob");
    t_sock_line(ann, v->ann, sizeof(v->ann));
    t_sock_line(bob, v->bob, sizeof(v->bob));
    close(ann);
    close(bob);
}

static void params_shared_two(gee_ctx *ctx, t_conn *none, int port) {
    struct visitors v = {.port = port};
    (void)none;
    t_turn_init(&turn);
    T_RC(gee_blocking(ctx, visit, &v), 0);
    if (strcmp(v.ann, "ann") != 0 || strcmp(v.bob, "bob") != 0)
        T_FAIL("params-shared on two workers: ann's request reads %s, bob's reads %s", v.ann,
               v.bob);
}

static void test_params_shared_two(void **state) {
    (void)state;
    t_site_real(2, &(t_site){two_routes, params_shared_two, NULL, 0});
}

/* --- curl, twice at the same time: each request waits until the other one is there, too --- */

static gee_waitgroup both_are_there, both_have_read;

static void meet_the_other(gee_waitgroup *wg) {
    gee_waitgroup_done(wg);
    gee_waitgroup_wait(NULL, wg);
}

static void together(gee_req *req) {
    char name[32];
    meet_the_other(&both_are_there);
    snprintf(name, sizeof(name), "%s", gee_param(req, "name"));
    meet_the_other(&both_have_read);
    gee_string(req, 200, "%s\n", name);
}

static void real_routes(gee_group *r) {
    gee_GET(r, "/together/:name", together);
}

static void params_shared_real(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    gee_waitgroup_add(&both_are_there, 2);
    gee_waitgroup_add(&both_have_read, 2);
    t_shell(ctx, out, sizeof(out),
            T_CURL "--no-progress-meter --parallel --parallel-immediate "
                   "'http://127.0.0.1:%d/together/{ann,bob}'",
            port);
    int ann = strstr(out, "ann") != NULL, bob = strstr(out, "bob") != NULL;
    if (ann + bob != 2)
        T_FAIL("params-shared on a socket: curl asks for ann and bob at once, and %d of them is "
               "greeted by name",
               ann + bob);
}

static void test_params_shared_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){real_routes, params_shared_real, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_params_shared),
    cmocka_unit_test(test_params_shared_two),
    cmocka_unit_test(test_params_shared_real),
};

T_MAIN(tests)
