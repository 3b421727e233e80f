/* Waitgroup, mutex, rwmutex: what Go documents, order, ctx, and sums on several workers. */
#include "base/spin.h"
#include "t.h"
#include <stdatomic.h>
#include <string.h>

/* One wait in a task of its own; what it got it keeps until it is released by the body. */
struct op {
    gee_ctx *ctx; /* of the wait; NULL: the task's */
    int (*wait)(gee_ctx *ctx);
    uint64_t at_ms; /* when it returned */
    atomic_int rc;  /* written last */
};

enum { PARKED = 1 };

static gee_waitgroup wg;
static gee_mutex mutex;
static gee_rwmutex rw;

static int wait_wg(gee_ctx *ctx) {
    return gee_waitgroup_wait(ctx, &wg);
}

static int lock(gee_ctx *ctx) {
    return gee_mutex_lock(ctx, &mutex);
}

static int rlock(gee_ctx *ctx) {
    return gee_rwmutex_rlock(ctx, &rw);
}

static int wlock(gee_ctx *ctx) {
    return gee_rwmutex_lock(ctx, &rw);
}

static void waits(gee_ctx *ctx, void *arg) {
    struct op *o = arg;
    int rc = o->wait(o->ctx ? o->ctx : ctx);
    o->at_ms = gee_now_ms();
    o->rc = rc;
}

/* Virtual time moves once nobody can run: after this everyone has parked or ended. */
static void settle(gee_ctx *ctx) {
    gee_sleep(ctx, 1);
}

static struct op ops[8];

static void start(gee_ctx *ctx, int i, int (*wait)(gee_ctx *ctx), gee_ctx *op_ctx) {
    ops[i] = (struct op){.ctx = op_ctx, .wait = wait, .rc = PARKED};
    if (gee_go(ctx, waits, &ops[i]) != 0)
        t_fail(__FILE__, __LINE__, "gee_go");
    settle(ctx);
}

/* The first n ops: '+' has it, '.' is parked, 'x' gave up. */
static const char *picture(gee_ctx *ctx, int n) {
    static char text[sizeof(ops) / sizeof(*ops) + 1];
    settle(ctx);
    for (int i = 0; i < n; i++)
        text[i] = ops[i].rc == 0 ? '+' : ops[i].rc == PARKED ? '.' : 'x';
    text[n] = '\0';
    return text;
}

/* --- waitgroup --- */

static void counts(gee_ctx *ctx, void *arg) {
    static const struct {
        long add;
        int rc;
        bool zero; /* then */
    } steps[] = {
        {0, 0, true},   {-1, UV_EINVAL, true}, {2, 0, false}, {-3, UV_EINVAL, false},
        {-1, 0, false}, {5, 0, false},         {-6, 0, true}, {-1, UV_EINVAL, true},
        {1, 0, false},  {-1, 0, true},
    };
    (void)arg;
    wg = (gee_waitgroup){0};
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        T_RC(gee_waitgroup_add(&wg, steps[i].add), steps[i].rc);
        gee_ctx *soon = gee_ctx_with_timeout(ctx, 10);
        T_RC(gee_waitgroup_wait(soon, &wg), steps[i].zero ? 0 : UV_ETIMEDOUT);
        gee_ctx_end(soon);
    }
    T_RC(gee_waitgroup_done(&wg), UV_EINVAL);
}

/* All waiters but one that gave up go at once, and the waitgroup is as new. */
static void releases_all(gee_ctx *ctx, void *arg) {
    (void)arg;
    wg = (gee_waitgroup){0};
    for (int round = 0; round < 3; round++) {
        gee_ctx *soon = gee_ctx_with_timeout(ctx, 10);
        uint64_t at = gee_now_ms();
        gee_waitgroup_add(&wg, 2);
        for (int i = 0; i < 4; i++)
            start(ctx, i, wait_wg, i == 1 ? soon : NULL);
        gee_waitgroup_done(&wg);
        T_STR(picture(ctx, 4), "....");
        gee_sleep(ctx, 20);
        T_STR(picture(ctx, 4), ".x..");
        T_RC(ops[1].rc, UV_ETIMEDOUT);
        T_EQ(ops[1].at_ms - at, 10);
        gee_waitgroup_done(&wg);
        T_STR(picture(ctx, 4), "+x++");
        gee_ctx_end(soon);
    }
}

static void test_waitgroup(void **state) {
    (void)state;
    t_sim(counts, NULL);
    t_sim(releases_all, NULL);
}

/* --- mutex --- */

static void hands_over(gee_ctx *ctx, void *arg) {
    (void)arg;
    mutex = (gee_mutex){0};
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 10);
    uint64_t at = gee_now_ms();
    T_RC(gee_mutex_unlock(&mutex), UV_EINVAL);
    T_CHECK(gee_mutex_trylock(&mutex) && !gee_mutex_trylock(&mutex));
    for (int i = 0; i < 4; i++)
        start(ctx, i, lock, i == 1 ? soon : NULL);
    gee_sleep(ctx, 20);
    T_STR(picture(ctx, 4), ".x..");
    T_EQ(ops[1].at_ms - at, 10);
    static const char *const then[] = {"+x..", "+x+.", "+x++"};
    for (int i = 0; i < 3; i++) {
        T_RC(gee_mutex_unlock(&mutex), 0);
        T_CHECK(!gee_mutex_trylock(&mutex)); /* it has its next owner already */
        T_STR(picture(ctx, 4), then[i]);
    }
    T_RC(gee_mutex_unlock(&mutex), 0);
    T_RC(gee_mutex_unlock(&mutex), UV_EINVAL);
    T_RC(lock(soon), 0); /* free: an ended ctx does not matter */
    T_RC(lock(soon), UV_ETIMEDOUT);
    T_RC(gee_mutex_unlock(&mutex), 0);
    gee_ctx_end(soon);
}

/*
 * A waiter on another worker: it is passed over while it is on its way, as it may be, and then
 * not again. Whether its way is long enough for that is up to the system, hence the rounds.
 */
static atomic_bool may_leave;

static void lock_elsewhere(gee_ctx *ctx, void *arg) {
    T_RC(gee_mutex_lock(ctx, &mutex), 0);
    while (!may_leave)
        gee_sleep(ctx, 1);
    T_RC(gee_mutex_unlock(&mutex), 0);
    gee_waitgroup_done(arg);
}

static void await_waiter(gee_ctx *ctx) {
    for (bool queued = false; !queued;) {
        gee_spin_lock(&mutex.lock);
        queued = mutex.queue.first != NULL;
        gee_spin_unlock(&mutex.lock);
        if (!queued)
            gee_sleep(ctx, 1);
    }
}

static void pass_over(gee_ctx *ctx, bool *passed) {
    gee_waitgroup gone = {0};
    may_leave = false;
    gee_waitgroup_add(&gone, 1);
    T_RC(gee_mutex_lock(ctx, &mutex), 0);
    T_RC(gee_go_on(1, ctx, lock_elsewhere, &gone), 0);
    await_waiter(ctx);
    T_RC(gee_mutex_unlock(&mutex), 0);
    *passed = gee_mutex_trylock(&mutex);
    if (*passed) {
        await_waiter(ctx);
        T_RC(gee_mutex_unlock(&mutex), 0);
        T_CHECK(!gee_mutex_trylock(&mutex)); /* the waiter has it, wherever it is */
    }
    may_leave = true;
    T_RC(gee_waitgroup_wait(ctx, &gone), 0);
}

static void passes_over_once(gee_ctx *ctx, void *arg) {
    (void)arg;
    bool passed = false;
    mutex = (gee_mutex){0};
    for (int i = 0; i < 1000 && !passed && !t_failed(); i++)
        pass_over(ctx, &passed);
    T_CHECK(passed);
}

static void test_mutex(void **state) {
    (void)state;
    t_sim(hands_over, NULL);
    t_real(2, passes_over_once, NULL);
}

/* --- rwmutex: scripts of who asks and who leaves, and the picture after each step --- */

/*
 * r, w: the next op asks for reading, for writing; R, W: the same with a ctx that
 * ends at '!'. u, U: one leaves who held it for reading, for writing; v, V: the
 * same, when nobody does.
 */
static const struct script {
    const char *steps, *pictures[8];
} scripts[] = {
    {"rrr", {"+", "++", "+++"}},
    {"wwU", {"+", "+.", "++"}},
    {"wrrU", {"+", "+.", "+..", "+++"}},
    {"wrv", {"+", "+.", "+."}},
    {"rwrV", {"+", "+.", "+..", "+.."}}, /* a waiting writer stops new readers */
    {"rwrruU", {"+", "+.", "+..", "+...", "++..", "++++"}},
    {"rrwruuU", {"+", "++", "++.", "++..", "++..", "+++.", "++++"}},
    {"wwrrwrUU", {"+", "+.", "+..", "+...", "+....", "+.....", "++....", "++++.."}},
    {"rWr!", {"+", "+.", "+..", "+x+"}}, /* the writer that gave up lets the reader in */
    {"rWrwr!", {"+", "+.", "+..", "+...", "+....", "+x+.."}}, /* up to the next writer */
    {"rWwr!", {"+", "+.", "+..", "+...", "+x.."}},
    {"rwR!u", {"+", "+.", "+..", "+.x", "++x"}},
    {"wRW!U", {"+", "+.", "+..", "+xx", "+xx"}},
    {"wRrU!", {"+", "+.", "+..", "+++", "+++"}}, /* in before it ended */
};

static int step(gee_ctx *ctx, char c, int *n, gee_ctx *sub) {
    switch (c) {
    case 'r':
    case 'R':
        start(ctx, (*n)++, rlock, c == 'R' ? sub : NULL);
        return 0;
    case 'w':
    case 'W':
        start(ctx, (*n)++, wlock, c == 'W' ? sub : NULL);
        return 0;
    case 'u':
    case 'v':
        return gee_rwmutex_runlock(&rw);
    case 'U':
    case 'V':
        return gee_rwmutex_unlock(&rw);
    default:
        gee_ctx_cancel(sub, 0);
        return 0;
    }
}

static void plays(gee_ctx *ctx, void *arg) {
    const struct script *s = arg;
    int n = 0;
    rw = (gee_rwmutex){0};
    gee_ctx *sub = gee_ctx_with_cancel(ctx);
    for (int i = 0; s->steps[i]; i++) {
        char c = s->steps[i];
        T_RC(step(ctx, c, &n, sub), c == 'v' || c == 'V' ? UV_EINVAL : 0);
        const char *got = picture(ctx, n);
        if (strcmp(got, s->pictures[i]) != 0)
            T_FAIL("%s, step %d: %s, not %s", s->steps, i, got, s->pictures[i]);
    }
    for (int i = 0; i < n; i++) { /* all leave, and whoever waits comes in */
        if (gee_rwmutex_runlock(&rw) != 0)
            gee_rwmutex_unlock(&rw);
        settle(ctx);
    }
    T_CHECK(strchr(picture(ctx, n), '.') == NULL);
    T_RC(gee_rwmutex_runlock(&rw), UV_EINVAL);
    T_RC(gee_rwmutex_unlock(&rw), UV_EINVAL);
    gee_ctx_end(sub);
}

static void test_rwmutex(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
        t_sim(plays, (void *)&scripts[i]);
}

/* --- many tasks, impatient ones among them: never two where one belongs --- */

enum { TASKS = 8, TURNS = 100 };

static long counter; /* under mutex */
static long both[2]; /* under rw: always the same */
static atomic_int inside, writers, readers;
static atomic_long turns;

static gee_ctx *patience(gee_ctx *ctx, int i) {
    return i % 4 == 3 ? gee_ctx_with_deadline(ctx, gee_now_ns() + 20000) : gee_ctx_with_cancel(ctx);
}

static void in_mutex(gee_ctx *ctx, int i) {
    gee_ctx *c = patience(ctx, i);
    if (gee_mutex_lock(c, &mutex) == 0) {
        T_EQ(atomic_fetch_add(&inside, 1), 0);
        counter++;
        turns++;
        if (i % 5 == 0)
            gee_yield();
        inside--;
        T_RC(gee_mutex_unlock(&mutex), 0);
    }
    gee_ctx_end(c);
}

static void writing(int i) {
    T_EQ(atomic_fetch_add(&writers, 1), 0);
    both[0]++;
    if (i % 2)
        gee_yield();
    both[1]++;
    T_EQ(readers, 0);
    writers--;
    T_RC(gee_rwmutex_unlock(&rw), 0);
}

static void reading(void) {
    readers++;
    T_EQ(both[0], both[1]);
    gee_yield();
    T_EQ(writers, 0);
    readers--;
    T_RC(gee_rwmutex_runlock(&rw), 0);
}

static void in_rwmutex(gee_ctx *ctx, int i) {
    gee_ctx *c = patience(ctx, i);
    if (i % 3 == 0 && gee_rwmutex_lock(c, &rw) == 0)
        writing(i);
    else if (i % 3 != 0 && gee_rwmutex_rlock(c, &rw) == 0)
        reading();
    gee_ctx_end(c);
}

static void takes_turns(gee_ctx *ctx, void *arg) {
    for (int i = 0; i < TURNS && !t_failed(); i++) {
        in_mutex(ctx, i);
        in_rwmutex(ctx, i);
    }
    gee_waitgroup_done(arg);
}

static void take_turns(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_waitgroup here = {0}; /* on a stack: nobody may touch it once the wait is over */
    mutex = (gee_mutex){0};
    rw = (gee_rwmutex){0};
    counter = both[0] = both[1] = 0;
    turns = 0;
    gee_waitgroup_add(&here, TASKS);
    for (int i = 0; i < TASKS; i++)
        T_RC(gee_go_on(i % gee_workers(), ctx, takes_turns, &here), 0);
    T_RC(gee_waitgroup_wait(ctx, &here), 0);
    T_EQ(counter, turns);
    T_EQ(both[0], both[1]);
    T_CHECK(counter >= TASKS * TURNS / 2 && both[0] > 0);
    T_CHECK(gee_mutex_trylock(&mutex));
    T_RC(gee_rwmutex_lock(ctx, &rw), 0);
}

static void test_turns(void **state) {
    (void)state;
    t_sim(take_turns, NULL);
    for (int workers = 1; workers <= 4; workers++)
        t_real(workers, take_turns, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_waitgroup),
    cmocka_unit_test(test_mutex),
    cmocka_unit_test(test_rwmutex),
    cmocka_unit_test(test_turns),
};

T_MAIN(tests)
