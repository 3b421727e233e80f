/* Tasks: states, order, sleep, blocking work, workers, simulation. */
#include "t.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char order[64];
static gee_mutex order_lock; /* TSan sees two tasks of one worker as it sees two threads */

static void note(gee_ctx *ctx, void *arg) {
    gee_mutex_lock(ctx, &order_lock);
    strcat(order, arg);
    gee_mutex_unlock(&order_lock);
}

static void forget_order(gee_ctx *ctx) {
    gee_mutex_lock(ctx, &order_lock);
    order[0] = '\0';
    gee_mutex_unlock(&order_lock);
}

static void copy_order(gee_ctx *ctx, char *to) {
    gee_mutex_lock(ctx, &order_lock);
    strcpy(to, order);
    gee_mutex_unlock(&order_lock);
}

static void runs_in_order(gee_ctx *ctx, void *arg) {
    char got[64];
    (void)arg;
    forget_order(ctx);
    T_RC(gee_go(ctx, note, "a"), 0);
    T_RC(gee_go(ctx, note, "b"), 0);
    T_RC(gee_go(ctx, note, "c"), 0);
    copy_order(ctx, got);
    T_STR(got, "");
    gee_yield();
    copy_order(ctx, got);
    T_STR(got, "abc");
}

static void test_order(void **state) {
    (void)state;
    gee_config sim = {.sim = true};
    t_run(&sim, 0, runs_in_order, NULL);
    t_real(1, runs_in_order, NULL);
}

static void sleeps(gee_ctx *ctx, void *arg) {
    (void)arg;
    uint64_t start = gee_now_ns();
    T_RC(gee_sleep(ctx, 30000), 0);
    T_EQ(gee_now_ns() - start, UINT64_C(30000000000));
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 100);
    T_RC(gee_sleep(soon, 30000), UV_ETIMEDOUT);
    T_EQ(gee_now_ns() - start, UINT64_C(30100000000));
    gee_ctx_end(soon);
}

static void test_sleep(void **state) {
    (void)state;
    t_sim(sleeps, NULL);
}

static void sleeps_long_enough(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (uint64_t ms = 0; ms < 5; ms++) {
        uint64_t start = gee_now_ns();
        T_RC(gee_sleep(ctx, ms), 0);
        T_CHECK(gee_now_ns() - start >= ms * 1000000);
    }
}

static void test_sleep_real(void **state) {
    (void)state;
    t_real(1, sleeps_long_enough, NULL);
}

static void on_pool(void *arg) {
    usleep(1000);
    *(int *)arg += 1;
}

static void blocks(gee_ctx *ctx, void *arg) {
    (void)arg;
    int ran = 0;
    T_RC(gee_blocking(ctx, on_pool, &ran), 0);
    T_EQ(ran, 1);
    gee_ctx *gone = gee_ctx_with_cancel(ctx);
    gee_ctx_cancel(gone, 0);
    T_RC(gee_blocking(gone, on_pool, &ran), UV_ECANCELED);
    gee_ctx_unref(gone);
    T_EQ(ran, 1);
}

static void test_blocking(void **state) {
    (void)state;
    t_sim(blocks, NULL);
    t_real(1, blocks, NULL);
}

struct blocker {
    gee_ctx *ctx;
    gee_waitgroup *wg;
    uv_sem_t *go;
    int rc, ran;
};

static void stuck_on_pool(void *arg) {
    struct blocker *b = arg;
    b->ran = 1;
    uv_sem_wait(b->go);
}

static void one_blocker(gee_ctx *ctx, void *arg) {
    struct blocker *b = arg;
    (void)ctx;
    b->rc = gee_blocking(b->ctx, stuck_on_pool, b);
    gee_waitgroup_done(b->wg);
}

/* Some are on a thread when the ctx ends, some are queued: each says truly whether it ran. */
static void cancels_blocking(gee_ctx *ctx, void *arg) {
    enum { N = 64 };
    static struct blocker b[N];
    (void)arg;
    gee_ctx *sub = gee_ctx_with_cancel(ctx);
    gee_waitgroup wg = {0};
    uv_sem_t go;
    gee_waitgroup_add(&wg, N);
    T_EQ(uv_sem_init(&go, 0), 0);
    for (int i = 0; i < N; i++) {
        b[i] = (struct blocker){.ctx = sub, .wg = &wg, .go = &go};
        T_RC(gee_go(ctx, one_blocker, &b[i]), 0);
    }
    gee_sleep(ctx, 2);
    gee_ctx_end(sub);
    gee_yield(); /* they take themselves off the queue */
    for (int i = 0; i < N; i++)
        uv_sem_post(&go);
    T_RC(gee_waitgroup_wait(ctx, &wg), 0);
    int ran = 0;
    for (int i = 0; i < N; i++) {
        T_RC(b[i].rc, b[i].ran ? 0 : UV_ECANCELED);
        ran += b[i].ran;
    }
    T_CHECK(ran <= 4); /* libuv's pool has four threads, and all were stuck */
    uv_sem_destroy(&go);
}

static void test_blocking_cancelled(void **state) {
    (void)state;
    t_real(1, cancels_blocking, NULL);
}

static gee_waitgroup all_there;

static void where(gee_ctx *ctx, void *arg) {
    (void)ctx;
    *(int *)arg = gee_worker_index();
    gee_waitgroup_done(&all_there);
}

static void spreads(gee_ctx *ctx, void *arg) {
    int at[3] = {-1, -1, -1};
    (void)arg;
    T_EQ(gee_workers(), 3);
    gee_waitgroup_add(&all_there, 3);
    for (int i = 0; i < 3; i++)
        T_RC(gee_go_on(i, ctx, where, &at[i]), 0);
    T_RC(gee_go_on(3, ctx, where, NULL), UV_EINVAL);
    T_RC(gee_waitgroup_wait(ctx, &all_there), 0);
    for (int i = 0; i < 3; i++)
        T_EQ(at[i], i);
}

static void test_workers(void **state) {
    (void)state;
    t_real(3, spreads, NULL);
}

static void waits_for_nobody(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_chan *ch = gee_chan_new(sizeof(int), 0);
    int v;
    gee_chan_recv(ctx, ch, &v);
}

/* In a process of its own: what a dropped task holds is lost. */
static void test_deadlock(void **state) {
    (void)state;
    int pipefd[2], status;
    assert_int_equal(pipe(pipefd), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipefd[1], 2);
        if (gee_run(&(gee_config){.sim = true}, waits_for_nobody, NULL) == GEE_EDEADLK)
            execl("/bin/true", "true", (char *)NULL); /* and no leak check on the way out */
        _exit(1);
    }
    close(pipefd[1]);
    char text[512] = "";
    for (ssize_t n, at = 0; (n = read(pipefd[0], text + at, sizeof(text) - 1 - (size_t)at)) > 0;
         at += n)
        ;
    close(pipefd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_non_null(strstr(text, "deadlock"));
    assert_non_null(strstr(text, "\"main\" waiting (chan receive) at tests/common/test_task.c:"));
}

static void picks(gee_ctx *ctx, void *arg) {
    static const char names[] = "a\0b\0c\0d\0e\0f\0g\0h";
    forget_order(ctx);
    for (int i = 0; i < 8; i++)
        T_RC(gee_go(ctx, note, (char *)names + 2 * i), 0);
    gee_sleep(ctx, 1);
    copy_order(ctx, arg);
}

static void test_seed(void **state) {
    (void)state;
    char fifo[16], first[16], again[16], other[16];
    gee_config sim = {.sim = true};
    t_run(&sim, 0, picks, fifo);
    assert_string_equal(fifo, "abcdefgh");
    sim.seed = 7;
    t_run(&sim, 0, picks, first);
    t_run(&sim, 0, picks, again);
    assert_string_equal(first, again);
    sim.seed = 8;
    t_run(&sim, 0, picks, other);
    assert_string_not_equal(first, other);
    assert_string_not_equal(first, fifo);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_order),      cmocka_unit_test(test_sleep),
    cmocka_unit_test(test_sleep_real), cmocka_unit_test(test_blocking),
    cmocka_unit_test(test_workers),    cmocka_unit_test(test_blocking_cancelled),
    cmocka_unit_test(test_deadlock),   cmocka_unit_test(test_seed),
};

T_MAIN(tests)
