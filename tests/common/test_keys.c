/*
 * The keys of a request, and who holds whom up there. Keys of two requests have nothing in common,
 * and so not a lock either; those of one request have: while the list grows, nobody looks into
 * it. A thread is held in the middle of gee_set, as the kernel may hold it anywhere.
 */
#include "t_client.h"
#include "t_site.h"
#include "t_turn.h"
#include "web/web.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { HELD = 1, SET_BESIDE };
enum { PATIENCE_MS = 1000 };

static t_turn turn;
static _Atomic(gee_task *) to_hold, sets_beside, to_fail;
static atomic_bool waits;   /* the other one, for a lock */
static bool of_one_request; /* both keys are */
static int good_ones;       /* so many allocations of to_fail still have memory */

static bool is_self(_Atomic(gee_task *) *at) {
    gee_task *task = atomic_load_explicit(at, memory_order_relaxed);
    return task && task == gee_task_self();
}

static bool is_set_beside(void) {
    return atomic_load(&turn.at) >= SET_BESIDE;
}

/* Whoever spins does this now and then. */
int __real_sched_yield(void);
int __wrap_sched_yield(void);
int __wrap_sched_yield(void) {
    if (is_self(&sets_beside))
        waits = true;
    return __real_sched_yield();
}

static bool has_no_memory(void) {
    return is_self(&to_fail) && good_ones-- == 0;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) {
    return has_no_memory() ? NULL : __real_malloc(n);
}

/* Where a list of keys grows, under its lock. */
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) {
    if (has_no_memory())
        return NULL;
    if (is_self(&to_hold)) {
        atomic_store_explicit(&to_hold, NULL, memory_order_relaxed);
        t_turn_pass(&turn, HELD);
        for (int ms = 0; ms < PATIENCE_MS && !is_set_beside() && !waits; ms++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (of_one_request && is_set_beside())
            return NULL; /* somebody uses what is p here: to free that would be worse */
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
    atomic_store_explicit(&sets_beside, gee_task_self(), memory_order_relaxed);
    gee_set(b->other, "trace", "t1", gee_forever);
    atomic_store_explicit(&sets_beside, NULL, memory_order_relaxed);
    if (gee_get(b->other, "trace"))
        t_turn_pass(&turn, SET_BESIDE);
    gee_waitgroup_done(&b->done);
}

/* Sets a key, and is held there until another task has set one of `other`, or waits for a lock. */
static const char *set_and_be_held(gee_req *req, gee_req *other) {
    struct beside b = {.other = other};
    t_turn_init(&turn);
    waits = false;
    of_one_request = req == other;
    gee_waitgroup_add(&b.done, 1);
    if (gee_go_on(1 - gee_worker_index(), gee_req_ctx(req), beside, &b) != 0)
        return "no task";
    atomic_store_explicit(&to_hold, gee_task_self(), memory_order_relaxed);
    gee_set(req, "user", "ann", gee_forever);
    bool was_held = atomic_exchange_explicit(&to_hold, NULL, memory_order_relaxed) == NULL;
    bool waited = waits || !is_set_beside();
    gee_waitgroup_wait(NULL, &b.done);
    return !was_held ? "not held" : waited ? "it waited" : "apart";
}

static void held(gee_req *req) {
    gee_req *other = gee_req_copy(req);
    if (other == NULL)
        return;
    gee_string(req, 200, "%s", set_and_be_held(req, other));
    gee_req_release(other);
}

static void grows(gee_req *req) {
    const char *how = set_and_be_held(req, req);
    int keys = (gee_get(req, "user") != NULL) + (gee_get(req, "trace") != NULL);
    gee_string(req, 200, "%s, and of two keys there is %d", how, keys);
}

static void routes(gee_group *r) {
    gee_GET(r, "/held", held);
    gee_GET(r, "/grows", grows);
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

static void keys_grow(gee_ctx *ctx, t_conn *none, int port) {
    char out[64];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/grows", port), 0);
    T_STR(out, "it waited, and of two keys there is 2");
}

static void test_keys_grow(void **state) {
    (void)state;
    t_site_real(2, &(t_site){routes, keys_grow, NULL, 0});
}

/* --- no memory --- */

enum { MOST = 10 };
static _Atomic int freed; /* no order between its end and the client */

static void count_free(void *value) {
    (void)value;
    freed++;
}

/* The first, the second … allocation fails: the value stays the caller's, and nothing is locked. */
static const char *set_without_memory(gee_req *req) {
    int rc = UV_ENOMEM, failed = 0;
    freed = 0;
    for (int n = 0; n < MOST && rc != 0; n++) {
        good_ones = n;
        atomic_store_explicit(&to_fail, gee_task_self(), memory_order_relaxed);
        rc = gee_set(req, "a key whose box is in no pool", "value", count_free);
        atomic_store_explicit(&to_fail, NULL, memory_order_relaxed);
        failed += rc == UV_ENOMEM;
        if (atomic_load(&req->keys.lock))
            return "the list stays locked";
        if (freed > 0)
            return "the value is freed";
        if ((rc == 0) != (gee_get(req, "a key whose box is in no pool") != NULL))
            return "it is there, or not, against what was said";
    }
    return rc == 0 && failed > 0 ? "well" : "not asked";
}

static void without_memory(gee_req *req) {
    gee_string(req, 200, "%s", set_without_memory(req));
}

static void poor_routes(gee_group *r) {
    gee_GET(r, "/", without_memory);
}

static void test_no_memory_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/"), 200);
    T_STR(t_body(c), "well");
    T_EQ(freed, 1);
}

T_SITE(test_no_memory, poor_routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_keys_apart),
    cmocka_unit_test(test_keys_grow),
    cmocka_unit_test(test_no_memory),
};

T_MAIN(tests)
