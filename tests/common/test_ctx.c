/* Ctx: how one ends and why, deadlines, values. */
#include "t.h"
#include <stdatomic.h>

/* --- how it ends: a parent and a child, with timeouts or none, one or both cancelled --- */

static const struct ending {
    const char *name;
    uint64_t parent_ms, own_ms;  /* timeouts; 0: none */
    int parent_cause, own_cause; /* of a cancel after 5 ms; 1: none, 0: the default */
    int err, cause;
    uint64_t at_ms;
} endings[] = {
    {"cancel", 0, 0, 1, 0, UV_ECANCELED, UV_ECANCELED, 5},
    {"cancel, cause", 0, 0, 1, UV_EPIPE, UV_ECANCELED, UV_EPIPE, 5},
    {"inherited", 0, 0, 0, 1, UV_ECANCELED, UV_ECANCELED, 5},
    {"inherited cause", 0, 0, UV_EPIPE, 1, UV_ECANCELED, UV_EPIPE, 5},
    {"parent's cause first", 0, 0, UV_EPIPE, UV_EBUSY, UV_ECANCELED, UV_EPIPE, 5},
    {"timeout", 0, 20, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 20},
    {"parent's timeout", 30, 0, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 30},
    {"parent's is sooner", 30, 40, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 30},
    {"own is sooner", 40, 30, 1, 1, UV_ETIMEDOUT, UV_ETIMEDOUT, 30},
    {"timeout before cancel", 0, 2, 1, UV_EPIPE, UV_ETIMEDOUT, UV_ETIMEDOUT, 2},
    {"cancel before timeout", 0, 20, 1, UV_EPIPE, UV_ECANCELED, UV_EPIPE, 5},
    {"parent's cancel before timeout", 9, 20, UV_EBUSY, 1, UV_ECANCELED, UV_EBUSY, 5},
    {"cause that says timeout", 0, 0, 1, UV_ETIMEDOUT, UV_ECANCELED, UV_ETIMEDOUT, 5},
};

struct pair {
    const struct ending *e;
    gee_ctx *parent, *child;
    gee_waitgroup done;
};

static void cancels_pair(gee_ctx *ctx, void *arg) {
    struct pair *p = arg;
    gee_sleep(ctx, 5);
    if (p->e->parent_cause <= 0)
        gee_ctx_cancel(p->parent, p->e->parent_cause);
    if (p->e->own_cause <= 0)
        gee_ctx_cancel(p->child, p->e->own_cause);
    gee_ctx_cancel(p->child, UV_EIO); /* too late */
    gee_waitgroup_done(&p->done);
}

static gee_ctx *child_of(gee_ctx *parent, uint64_t ms) {
    return ms ? gee_ctx_with_timeout(parent, ms) : gee_ctx_with_cancel(parent);
}

static void ends_so(gee_ctx *ctx, void *arg) {
    static struct pair p;
    const struct ending *e = arg;
    uint64_t at = gee_now_ms();
    p.e = e;
    p.parent = child_of(ctx, e->parent_ms);
    p.child = child_of(p.parent, e->own_ms);
    gee_waitgroup_add(&p.done, 1);
    if (e->parent_cause <= 0 || e->own_cause <= 0)
        T_RC(gee_go(ctx, cancels_pair, &p), 0);
    else
        gee_waitgroup_done(&p.done);
    T_RC(gee_ctx_err(p.child), 0);
    T_RC(gee_ctx_cause(p.child), 0);
    T_RC(gee_ctx_wait(p.child), e->err);
    T_EQ(gee_now_ms() - at, e->at_ms);
    T_RC(gee_ctx_cause(p.child), e->cause);
    T_RC(gee_waitgroup_wait(ctx, &p.done), 0);
    T_RC(gee_ctx_err(p.child), e->err);
    T_RC(gee_ctx_cause(p.child), e->cause);
    gee_ctx_end(p.child);
    gee_ctx_end(p.parent);
}

static void test_endings(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        t_sim(ends_so, (void *)&endings[i]);
    }
}

/* A ctx of an ended parent is born ended, and one of a deadline in the past too. */
static void born_ended(gee_ctx *ctx, void *arg) {
    (void)arg;
    int key;
    gee_ctx *over = gee_ctx_with_cancel(ctx);
    gee_ctx_cancel(over, UV_EPIPE);
    gee_ctx *kids[] = {gee_ctx_with_cancel(over), gee_ctx_with_timeout(over, 5),
                       gee_ctx_with_value(over, &key, NULL, NULL), gee_ctx_with_deadline(over, 1)};
    for (int i = 0; i < 4; i++) {
        T_RC(gee_ctx_wait(kids[i]), UV_ECANCELED);
        T_RC(gee_ctx_cause(kids[i]), UV_EPIPE);
        gee_ctx_unref(kids[i]); /* nobody else holds it */
    }
    uint64_t past[] = {0, 1, gee_now_ns() - 1, gee_now_ns()};
    for (int i = 0; i < 4; i++) {
        gee_ctx *late = gee_ctx_with_deadline(ctx, past[i]);
        T_RC(gee_ctx_err(late), UV_ETIMEDOUT);
        T_RC(gee_ctx_cause(late), UV_ETIMEDOUT);
        gee_ctx_cancel(late, UV_EPIPE);
        T_RC(gee_ctx_cause(late), UV_ETIMEDOUT);
        gee_ctx_unref(late);
    }
    gee_ctx_unref(over);
    gee_ctx_cancel(gee_background(), UV_EPIPE);
    gee_ctx_end(NULL);
    T_RC(gee_ctx_err(NULL), 0);
    T_RC(gee_ctx_cause(gee_background()), 0);
}

static void test_born_ended(void **state) {
    (void)state;
    t_sim(born_ended, NULL);
    t_real(1, born_ended, NULL);
}

/* --- deadlines --- */

static void deadlines(gee_ctx *ctx, void *arg) {
    (void)arg;
    uint64_t now = gee_now_ns(), at = 0;
    T_CHECK(!gee_ctx_deadline(ctx, &at) && !gee_ctx_deadline(NULL, NULL) && at == 0);
    gee_ctx *outer = gee_ctx_with_deadline(ctx, now + 50);
    gee_ctx *later = gee_ctx_with_deadline(outer, now + 60);
    gee_ctx *sooner = gee_ctx_with_deadline(later, now + 40);
    gee_ctx *plain = gee_ctx_with_cancel(sooner);
    T_CHECK(gee_ctx_deadline(outer, &at) && at == now + 50);
    T_CHECK(gee_ctx_deadline(later, &at) && at == now + 50);
    T_CHECK(gee_ctx_deadline(sooner, &at) && at == now + 40);
    T_CHECK(gee_ctx_deadline(plain, &at) && at == now + 40);
    T_RC(gee_ctx_wait(plain), UV_ETIMEDOUT);
    T_EQ(gee_now_ns(), now + 40);
    T_RC(gee_ctx_err(later), 0);
    T_RC(gee_ctx_wait(later), UV_ETIMEDOUT);
    T_EQ(gee_now_ns(), now + 50);
    gee_ctx_end(plain);
    gee_ctx_end(sooner);
    gee_ctx_end(later);
    gee_ctx_end(outer);
}

/* As far away as it can be said: never, not at once. */
static void for_ever(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_ctx *c[] = {gee_ctx_with_timeout(ctx, UINT64_MAX), gee_ctx_with_deadline(ctx, UINT64_MAX),
                    gee_ctx_with_timeout(ctx, UINT64_MAX / 1000000 + 1)};
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 3);
    T_RC(gee_sleep(soon, UINT64_MAX), UV_ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        T_RC(gee_ctx_err(c[i]), 0);
        gee_ctx_end(c[i]);
    }
    gee_ctx_end(soon);
}

enum { TIMED = 24 };
static gee_waitgroup timed;
static _Atomic uint64_t late_by[TIMED];

static void waits_exactly(gee_ctx *ctx, void *arg) {
    _Atomic uint64_t *late = arg;
    uint64_t ms = 1 + (uint64_t)(late - late_by) * 7 % TIMED; /* not in order */
    uint64_t at = gee_now_ns(); /* before: the deadline counts from no earlier than this */
    gee_ctx *c = gee_ctx_with_timeout(ctx, ms);
    gee_ctx_wait(c);
    *late = gee_now_ns() - at - ms * 1000000;
    gee_ctx_end(c);
    gee_waitgroup_done(&timed);
}

static void timeouts_are_exact(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_waitgroup_add(&timed, TIMED);
    for (int i = 0; i < TIMED; i++)
        T_RC(gee_go(ctx, waits_exactly, (void *)&late_by[i]), 0);
    T_RC(gee_waitgroup_wait(ctx, &timed), 0);
    for (int i = 0; i < TIMED; i++)
        T_CHECK(gee_simulated() ? late_by[i] == 0 : late_by[i] < UINT64_C(5000000000));
}

static void test_deadlines(void **state) {
    (void)state;
    t_sim(deadlines, NULL);
    t_sim(timeouts_are_exact, NULL);
    t_real(1, timeouts_are_exact, NULL);
    t_sim(for_ever, NULL);
    t_real(1, for_ever, NULL);
}

/* --- values --- */

static int freed;

static void count_free(void *value) {
    freed += *(int *)value;
}

static void values(gee_ctx *ctx, void *arg) {
    static const char user, trace, absent;
    static int one = 1, ten = 10, hundred = 100;
    (void)arg;
    freed = 0;
    gee_ctx *a = gee_ctx_with_value(ctx, &user, &one, count_free);
    gee_ctx *b = gee_ctx_with_value(a, &trace, &ten, NULL);
    gee_ctx *c = gee_ctx_with_timeout(b, 1000);
    gee_ctx *d = gee_ctx_with_value(c, &user, &hundred, count_free);
    T_CHECK(gee_ctx_value(a, &user) == &one && gee_ctx_value(c, &user) == &one);
    T_CHECK(gee_ctx_value(d, &user) == &hundred && gee_ctx_value(d, &trace) == &ten);
    T_CHECK(!gee_ctx_value(a, &trace) && !gee_ctx_value(ctx, &user));
    T_CHECK(!gee_ctx_value(d, &absent) && !gee_ctx_value(d, NULL) && !gee_ctx_value(NULL, &user));
    gee_ctx_end(a);
    gee_ctx_end(b);
    T_EQ(freed, 0); /* c and d still see it */
    T_RC(gee_ctx_err(d), UV_ECANCELED);
    T_CHECK(gee_ctx_value(c, &user) == &one);
    gee_ctx_end(d);
    T_EQ(freed, 100);
    gee_ctx_end(c);
    T_EQ(freed, 101);
}

static void test_values(void **state) {
    (void)state;
    t_sim(values, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_endings),
    cmocka_unit_test(test_born_ended),
    cmocka_unit_test(test_deadlines),
    cmocka_unit_test(test_values),
};

T_MAIN(tests)
