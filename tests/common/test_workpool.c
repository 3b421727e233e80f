/* The pool of tasks: its queue, its jobs, its tick, and above all its end. */
#include "t.h"
#include <stdatomic.h>
#include <string.h>

/* What jobs do: they take ms, and say how they ended. */
typedef struct work {
    uint64_t ms;
    bool deaf; /* it does not listen to its ctx */
} work;

static struct {
    atomic_int started, done, cancelled, dropped, now, peak;
    atomic_int cause; /* of a job that was cancelled */
} seen;

static void forget(void) {
    memset(&seen, 0, sizeof(seen));
}

static void job(gee_ctx *ctx, void *arg) {
    const work *w = arg;
    atomic_fetch_add(&seen.started, 1);
    int now = atomic_fetch_add(&seen.now, 1) + 1;
    if (now > atomic_load(&seen.peak))
        atomic_store(&seen.peak, now);
    int rc = w->ms == 0 ? 0 : gee_sleep(w->deaf ? NULL : ctx, w->ms);
    atomic_fetch_sub(&seen.now, 1);
    atomic_fetch_add(rc < 0 ? &seen.cancelled : &seen.done, 1);
    if (rc < 0)
        atomic_store(&seen.cause, gee_ctx_cause(ctx));
}

static void dropped(void *arg) {
    (void)arg;
    atomic_fetch_add(&seen.dropped, 1);
}

static const work quick = {.ms = 0}, tenth = {.ms = 100}, deaf = {.ms = 5000, .deaf = true};

static gee_job job_of(const work *w) {
    return (gee_job){job, dropped, (void *)w};
}

static gee_workpool *pool_of(gee_ctx *ctx, int tasks, size_t queue) {
    return gee_workpool_new(ctx, &((gee_workpool_options){.tasks = tasks, .queue = queue}));
}

static int submit_all(gee_ctx *ctx, gee_workpool *p, const work *w, int n) {
    gee_job j = job_of(w);
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++)
        rc = gee_workpool_submit(ctx, p, &j);
    return rc;
}

/* --- jobs and the queue --- */

static void runs_jobs(gee_ctx *ctx, void *arg) {
    (void)arg;
    forget();
    gee_workpool *p = pool_of(ctx, 3, 10);
    uint64_t start = gee_now_ms();
    T_RC(submit_all(ctx, p, &tenth, 9), 0);
    T_EQ(gee_now_ms() - start, 0); /* there was room for all of them */
    T_RC(gee_sleep(ctx, 299), 0);
    T_EQ(seen.peak, 3);
    T_EQ(seen.done, 6);
    T_EQ(gee_workpool_queued(p), 0);
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_EQ(gee_now_ms() - start, 300);
    T_EQ(seen.done, 9);
    T_EQ(seen.dropped, 0);
}

static char order[8];

static void notes_order(gee_ctx *ctx, void *arg) {
    (void)ctx;
    strncat(order, arg, sizeof(order) - strlen(order) - 1);
}

static void one_task_is_a_queue(gee_ctx *ctx, void *arg) {
    static char *const names[] = {"a", "b", "c", "d"};
    (void)arg;
    order[0] = '\0';
    gee_workpool *p = pool_of(ctx, 1, 1);
    for (int i = 0; i < 4; i++) {
        gee_job j = {notes_order, NULL, names[i]};
        T_RC(gee_workpool_submit(ctx, p, &j), 0);
    }
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_STR(order, "abcd");
}

static void full_queue(gee_ctx *ctx, void *arg) {
    (void)arg;
    forget();
    gee_job j = job_of(&tenth);
    gee_workpool *p = pool_of(ctx, 1, 2);
    T_RC(submit_all(ctx, p, &tenth, 2), 0);
    gee_sleep(ctx, 0); /* the task takes one */
    T_RC(gee_workpool_try_submit(p, &j), 0);
    T_EQ(gee_workpool_queued(p), 2);
    T_RC(gee_workpool_try_submit(p, &j), UV_EAGAIN);
    uint64_t start = gee_now_ms();
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 50);
    T_RC(gee_workpool_submit(soon, p, &j), UV_ETIMEDOUT);
    gee_ctx_end(soon);
    T_RC(gee_workpool_submit(ctx, p, &j), 0); /* when the first is done */
    T_EQ(gee_now_ms() - start, 100);
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_EQ(seen.started, 4);
    T_EQ(seen.done, 4);
    T_EQ(seen.dropped, 0); /* what was refused is the caller's */
}

static void bad_options(gee_ctx *ctx, void *arg) {
    (void)arg;
    T_CHECK(gee_workpool_new(ctx, &((gee_workpool_options){.tasks = -1})) == NULL);
    T_CHECK(gee_workpool_new(ctx, &((gee_workpool_options){.tick_ms = 1})) == NULL);
    gee_workpool *p = gee_workpool_new(ctx, NULL); /* idle, never used */
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DROP), 0);
}

static void test_jobs(void **state) {
    (void)state;
    t_sim(runs_jobs, NULL);
    t_sim(one_task_is_a_queue, NULL);
    t_sim(full_queue, NULL);
    t_sim(bad_options, NULL);
}

/* --- panics --- */

static void panics(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_panic("in a job, on purpose");
}

static void drop_panics(void *arg) {
    dropped(arg);
    gee_panic("in a drop, on purpose");
}

static void survives_panics(gee_ctx *ctx, void *arg) {
    (void)arg;
    forget();
    gee_job bad = {panics, dropped, NULL}, worse = {job, drop_panics, (void *)&quick};
    gee_workpool *p = pool_of(ctx, 1, 4);
    T_RC(gee_workpool_submit(ctx, p, &bad), 0);
    T_RC(submit_all(ctx, p, &tenth, 1), 0);
    T_RC(gee_workpool_submit(ctx, p, &worse), 0);
    gee_sleep(ctx, 50);
    T_EQ(seen.started, 1); /* the one task is still there, and has gone on */
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DROP), 0);
    T_EQ(seen.done, 1);
    T_EQ(seen.dropped, 1); /* of the one that panicked fn was called: nothing is dropped */
}

static void test_panics(void **state) {
    (void)state;
    t_sim(survives_panics, NULL);
}

/* --- the end --- */

static struct late {
    gee_workpool *p;
    int rc;
    uint64_t at_ms;
    gee_waitgroup done;
} late;

static void submits_late(gee_ctx *ctx, void *arg) {
    struct late *l = arg;
    gee_job j = job_of(&quick);
    l->rc = gee_workpool_submit(ctx, l->p, &j);
    l->at_ms = gee_now_ms();
    gee_workpool_unref(l->p);
    gee_waitgroup_done(&l->done);
}

/* One task at work, two jobs that wait, and a submit that is parked. */
static gee_workpool *busy_pool(gee_ctx *ctx, const work *running) {
    forget();
    gee_workpool *p = pool_of(ctx, 1, 2);
    submit_all(ctx, p, running, 1);
    gee_sleep(ctx, 10);
    submit_all(ctx, p, &tenth, 2);
    late = (struct late){.p = gee_workpool_ref(p)};
    gee_waitgroup_add(&late.done, 1);
    gee_go(ctx, submits_late, &late);
    gee_sleep(ctx, 10);
    return p;
}

static void drains(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_workpool *p = busy_pool(ctx, &tenth);
    uint64_t start = gee_now_ms();
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_EQ(gee_now_ms() - start, 280);
    T_EQ(seen.done, 3);
    T_EQ(seen.dropped, 0);
    gee_waitgroup_wait(NULL, &late.done);
    T_RC(late.rc, UV_EPIPE);
    T_EQ(late.at_ms - start, 0); /* at once, not when there is room */
}

static void drops(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_workpool *p = busy_pool(ctx, &tenth);
    uint64_t start = gee_now_ms();
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DROP), 0);
    T_EQ(gee_now_ms() - start, 80); /* what ran was let finish */
    T_EQ(seen.done, 1);
    T_EQ(seen.dropped, 2);
    gee_waitgroup_wait(NULL, &late.done);
    T_RC(late.rc, UV_EPIPE);
}

/* Time for one and a half: the first is done, the second cancelled, the third dropped. */
static void runs_out_of_time(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_workpool *p = busy_pool(ctx, &tenth);
    uint64_t start = gee_now_ms();
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 130);
    int rc = gee_workpool_shutdown(soon, p, GEE_WORKPOOL_DRAIN);
    gee_ctx_end(soon);
    T_RC(rc, UV_ETIMEDOUT);
    T_EQ(gee_now_ms() - start, 130);
    T_EQ(seen.done, 1);
    T_EQ(seen.cancelled, 1);
    T_RC(seen.cause, UV_ESHUTDOWN);
    T_EQ(seen.dropped, 1);
    gee_waitgroup_wait(NULL, &late.done);
}

/* It does not listen: it is waited for all the same, since it may use what is going to be freed. */
static void waits_for_the_deaf(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_workpool *p = busy_pool(ctx, &deaf);
    uint64_t start = gee_now_ms();
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 100);
    int rc = gee_workpool_shutdown(soon, p, GEE_WORKPOOL_DRAIN);
    gee_ctx_end(soon);
    T_RC(rc, UV_ETIMEDOUT);
    T_EQ(gee_now_ms() - start, 4980);
    T_EQ(seen.done, 1);
    T_EQ(seen.dropped, 2);
    gee_waitgroup_wait(NULL, &late.done);
}

static void its_ctx_ends(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_ctx *owner = gee_ctx_with_cancel(ctx);
    gee_workpool *p = busy_pool(owner, &tenth);
    gee_job j = job_of(&quick);
    gee_ctx_cancel(owner, UV_EIO);
    gee_sleep(ctx, 1);
    T_EQ(seen.cancelled, 1);
    T_RC(seen.cause, UV_EIO);
    T_EQ(seen.dropped, 2);
    T_RC(gee_workpool_submit(ctx, p, &j), UV_EPIPE);
    T_RC(gee_workpool_try_submit(p, &j), UV_EPIPE);
    gee_waitgroup_wait(NULL, &late.done);
    T_CHECK(late.rc == UV_EPIPE || late.rc == UV_ECANCELED);
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    gee_ctx_unref(owner);
}

static void nothing_is_left(gee_ctx *ctx, void *arg) {
    gee_census base, now;
    char diff[128];
    (void)arg;
    gee_census_take(&base);
    for (int how = 0; how < 2; how++) {
        gee_workpool *p = busy_pool(ctx, &tenth);
        gee_workpool_shutdown(ctx, p, how ? GEE_WORKPOOL_DROP : GEE_WORKPOOL_DRAIN);
        gee_waitgroup_wait(NULL, &late.done);
        gee_sleep(ctx, 0); /* the last ones are out of their stacks */
        gee_census_take(&now);
        T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "");
    }
}

static void test_end(void **state) {
    (void)state;
    t_sim(drains, NULL);
    t_sim(drops, NULL);
    t_sim(runs_out_of_time, NULL);
    t_sim(waits_for_the_deaf, NULL);
    t_sim(its_ctx_ends, NULL);
    t_sim(nothing_is_left, NULL);
}

/* --- the tick --- */

static struct {
    atomic_int n, now, peak, batch, written, rc;
    uint64_t ms; /* that one takes */
} ticks;

static void tick(gee_ctx *ctx, void *arg) {
    (void)arg;
    int now = atomic_fetch_add(&ticks.now, 1) + 1;
    if (now > atomic_load(&ticks.peak))
        atomic_store(&ticks.peak, now);
    atomic_fetch_add(&ticks.written, atomic_exchange(&ticks.batch, 0));
    if (ticks.ms > 0)
        atomic_store(&ticks.rc, gee_sleep(ctx, ticks.ms));
    atomic_fetch_sub(&ticks.now, 1);
    atomic_fetch_add(&ticks.n, 1);
}

static void gathers(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    atomic_fetch_add(&ticks.batch, 1);
}

static gee_workpool *ticking_pool(gee_ctx *ctx, int tasks, uint64_t every_ms, uint64_t takes_ms) {
    forget();
    memset(&ticks, 0, sizeof(ticks));
    ticks.ms = takes_ms;
    return gee_workpool_new(
        ctx, &((gee_workpool_options){.tasks = tasks, .tick = tick, .tick_ms = every_ms}));
}

static void writes_batches(gee_ctx *ctx, void *arg) {
    gee_job j = {gathers, NULL, NULL};
    (void)arg;
    gee_workpool *p = ticking_pool(ctx, 2, 100, 0);
    for (int i = 0; i < 25; i++) {
        T_RC(gee_workpool_submit(ctx, p, &j), 0);
        gee_sleep(ctx, 10);
    }
    T_EQ(ticks.n, 2);
    uint64_t start = gee_now_ms();
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_EQ(gee_now_ms() - start, 0); /* it does not wait for the next tick */
    T_EQ(ticks.n, 3);
    T_EQ(ticks.written, 25); /* the last batch too */
}

/* Longer than its interval, and with tasks to spare: still one at a time. */
static void never_two_at_once(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_workpool *p = ticking_pool(ctx, 4, 100, 250);
    T_RC(gee_sleep(ctx, 1050), 0);
    T_EQ(ticks.peak, 1);
    T_EQ(ticks.n, 3); /* from 100, 400 and 700 on; that of 1000 runs */
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_EQ(ticks.n, 5);
    T_RC(ticks.rc, 0);
}

/* Nobody is free for it: it comes late, once, and is not made up for. */
static void all_busy(gee_ctx *ctx, void *arg) {
    static const work second = {.ms = 1000};
    (void)arg;
    gee_workpool *p = ticking_pool(ctx, 2, 300, 0);
    T_RC(submit_all(ctx, p, &second, 2), 0);
    T_RC(gee_sleep(ctx, 999), 0);
    T_EQ(ticks.n, 0);
    T_RC(gee_sleep(ctx, 50), 0);
    T_EQ(ticks.n, 1);
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DROP), 0);
}

static void at_the_end_only(gee_ctx *ctx, void *arg) {
    gee_job j = {gathers, NULL, NULL};
    (void)arg;
    gee_workpool *p = ticking_pool(ctx, 2, 0, 0);
    for (int i = 0; i < 10; i++)
        T_RC(gee_workpool_submit(ctx, p, &j), 0);
    T_RC(gee_sleep(ctx, 10000), 0);
    T_EQ(ticks.n, 0);
    T_RC(gee_workpool_shutdown(ctx, p, GEE_WORKPOOL_DRAIN), 0);
    T_EQ(ticks.n, 1);
    T_EQ(ticks.written, 10);
}

static void test_tick(void **state) {
    (void)state;
    t_sim(writes_batches, NULL);
    t_sim(never_two_at_once, NULL);
    t_sim(all_busy, NULL);
    t_sim(at_the_end_only, NULL);
}

/* --- several workers --- */

enum { PEERS = 4, JOBS = 200 };

static struct crowd {
    gee_workpool *p;
    atomic_long sum, taken, refused, given_back;
    atomic_int workers; /* a bit for each worker that ran a job */
    gee_waitgroup done;
} crowd;

static void adds(gee_ctx *ctx, void *arg) {
    (void)ctx;
    atomic_fetch_or(&crowd.workers, 1 << gee_worker_index());
    atomic_fetch_add(&crowd.sum, *(long *)arg);
}

static void gives_back(void *arg) {
    atomic_fetch_add(&crowd.given_back, *(long *)arg);
}

static void submits(gee_ctx *ctx, void *arg) {
    static long one = 1;
    gee_job j = {adds, gives_back, &one};
    (void)arg;
    for (int i = 0; i < JOBS; i++)
        atomic_fetch_add(gee_workpool_submit(ctx, crowd.p, &j) == 0 ? &crowd.taken : &crowd.refused,
                         1);
    gee_workpool_unref(crowd.p);
    gee_waitgroup_done(&crowd.done);
}

/* Shut down when all was submitted, or in the middle: every job is run, dropped or refused. */
static void crowded(gee_ctx *ctx, void *arg) {
    const enum gee_workpool_end *how = arg;
    const gee_workpool_options opt = {.tasks = 6, .queue = 3, .spread = true};
    memset(&crowd, 0, sizeof(crowd));
    crowd.p = gee_workpool_new(ctx, &opt);
    T_CHECK(crowd.p);
    gee_waitgroup_add(&crowd.done, PEERS);
    for (int i = 0; i < PEERS; i++) {
        gee_workpool_ref(crowd.p);
        T_RC(gee_go_on(i % gee_workers(), ctx, submits, NULL), 0);
    }
    if (*how == GEE_WORKPOOL_DRAIN)
        gee_waitgroup_wait(NULL, &crowd.done);
    else
        gee_sleep(ctx, 1);
    T_RC(gee_workpool_shutdown(ctx, crowd.p, *how), 0);
    gee_waitgroup_wait(NULL, &crowd.done);
    T_EQ(crowd.taken + crowd.refused, PEERS * JOBS);
    T_EQ(crowd.sum + crowd.given_back, crowd.taken);
    if (*how == GEE_WORKPOOL_DRAIN) {
        T_EQ(crowd.sum, PEERS * JOBS);
        T_EQ(crowd.workers, (1 << gee_workers()) - 1);
    }
}

static void test_workers(void **state) {
    static enum gee_workpool_end ends[] = {GEE_WORKPOOL_DRAIN, GEE_WORKPOOL_DROP};
    (void)state;
    for (int i = 0; i < 2; i++) {
        t_real(2, crowded, &ends[i]);
        t_real(4, crowded, &ends[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_jobs), cmocka_unit_test(test_panics),  cmocka_unit_test(test_end),
    cmocka_unit_test(test_tick), cmocka_unit_test(test_workers),
};

T_MAIN(tests)
