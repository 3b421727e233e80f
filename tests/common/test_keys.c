/*
 * Keys of two requests have nothing in common, and so not a lock either: a thread that is held in
 * the middle of gee_set, as the kernel may hold it anywhere, holds nobody up in another request.
 */
#include "t_client.h"
#include "t_turn.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { HELD = 1, SET_BESIDE };
enum { PATIENCE_MS = 1000 };

static t_turn turn;
static _Atomic(gee_task *) to_hold;

/* Where a list of keys grows, under its lock. */
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) {
    gee_task *task = atomic_load_explicit(&to_hold, memory_order_relaxed);
    if (task && task == gee_task_self()) {
        atomic_store_explicit(&to_hold, NULL, memory_order_relaxed);
        t_turn_pass(&turn, HELD);
        for (int ms = 0; ms < PATIENCE_MS && atomic_load(&turn.at) < SET_BESIDE; ms++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return __real_realloc(p, n);
}

struct beside {
    gee_req *other;
    gee_waitgroup done;
};

static void beside(gee_ctx *ctx, void *arg) {
    struct beside *b = arg;
    (void)ctx;
    t_turn_await(&turn, HELD);
    gee_set(b->other, "trace", "t1", gee_forever);
    if (gee_get(b->other, "trace"))
        t_turn_pass(&turn, SET_BESIDE);
    gee_waitgroup_done(&b->done);
}

static void held(gee_req *req) {
    struct beside b = {.other = gee_req_copy(req)};
    t_turn_init(&turn);
    gee_waitgroup_add(&b.done, 1);
    if (b.other == NULL || gee_go_on(1 - gee_worker_index(), gee_req_ctx(req), beside, &b) != 0)
        return;
    atomic_store_explicit(&to_hold, gee_task_self(), memory_order_relaxed);
    gee_set(req, "user", "ann", gee_forever);
    bool was_held = atomic_exchange_explicit(&to_hold, NULL, memory_order_relaxed) == NULL;
    bool waited = atomic_load(&turn.at) < SET_BESIDE;
    gee_waitgroup_wait(NULL, &b.done);
    gee_req_release(b.other);
    gee_string(req, 200, !was_held ? "not held" : waited ? "it waited" : "apart");
}

static void routes(gee_group *r) {
    gee_GET(r, "/held", held);
}

static void keys_apart(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/held", port), 0);
    T_STR(out, "apart");
}

static void test_keys_apart(void **state) {
    (void)state;
    t_site_real(2, &(t_site){routes, keys_apart, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keys_apart),
};

T_MAIN(tests)
