/* A value that is replaced as a whole: the contract of gee/live.h. */
#include "t.h"
#include "t_left.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* --- values that hold memory, and are counted --- */

struct names {
    char *first, *second;
};

static _Atomic int copies, cleared;
static _Atomic int copy_rc;

static int copy_names(void *to, const void *from) {
    const struct names *f = from;
    struct names *t = to;
    if (copy_rc < 0)
        return copy_rc;
    t->first = strdup(f->first);
    t->second = strdup(f->second);
    copies++;
    return 0;
}

static void clear_names(void *value) {
    struct names *v = value;
    free(v->first);
    free(v->second);
    cleared++;
}

static const gee_live_type type = {sizeof(struct names), copy_names, clear_names};

static void begin(gee_live **l) {
    struct names first = {(char *)"ann", (char *)"arbor"};
    copies = cleared = copy_rc = 0;
    T_RC(gee_live_new(&type, &first, l), 0);
}

static void set(char **name, const char *to) {
    free(*name);
    *name = strdup(to);
}

static int to_bob(gee_ctx *ctx, void *next, void *arg) {
    struct names *n = next;
    (void)ctx;
    (void)arg;
    set(&n->first, "bob");
    set(&n->second, "builder");
    return 0;
}

static bool is(const struct names *n, const char *first, const char *second) {
    return strcmp(n->first, first) == 0 && strcmp(n->second, second) == 0;
}

/* --- one after the other --- */

static void versions(gee_ctx *ctx, void *arg) {
    gee_live *l;
    (void)arg;
    begin(&l);
    const struct names *old = gee_live_get(l), *again = gee_live_get(l);
    T_CHECK(old == again);
    gee_live_drop(again);
    T_RC(gee_live_change(ctx, l, to_bob, NULL), 0);
    const struct names *now = gee_live_get(l);
    T_CHECK(is(old, "ann", "arbor"));
    T_CHECK(is(now, "bob", "builder"));
    T_EQ(cleared, 0);
    gee_live_drop(old);
    T_EQ(cleared, 1); /* by the last who has it */
    gee_live_drop(now);
    T_EQ(cleared, 1); /* it may be taken again */
    T_RC(gee_live_change(ctx, l, to_bob, NULL), 0);
    T_EQ(cleared, 2); /* nobody has it */
    gee_live_free(l);
    T_EQ(copies, 3);
    T_EQ(cleared, 3);
    gee_live_free(NULL);
}

static void plain(gee_ctx *ctx, void *arg) {
    gee_live *l;
    (void)ctx;
    (void)arg;
    int seven = 7;
    T_RC(gee_live_new(&(gee_live_type){.size = sizeof(int)}, NULL, &l), 0);
    const int *n = gee_live_get(l);
    T_EQ(*n, 0);
    gee_live_drop(n);
    gee_live_free(l);
    T_RC(gee_live_new(&(gee_live_type){.size = sizeof(int)}, &seven, &l), 0);
    n = gee_live_get(l);
    T_EQ(*n, 7);
    gee_live_drop(n);
    gee_live_free(l);
}

/* --- changes that fail --- */

static int fails_halfway(gee_ctx *ctx, void *next, void *arg) {
    to_bob(ctx, next, arg);
    return UV_EIO;
}

/* No error. */
static int to_bob_and_one(gee_ctx *ctx, void *next, void *arg) {
    return to_bob(ctx, next, arg) + 1;
}

static int panics_halfway(gee_ctx *ctx, void *next, void *arg) {
    to_bob(ctx, next, arg);
    gee_panic("halfway");
}

static void change_that_panics(void *l) {
    gee_live_change(NULL, l, panics_halfway, NULL);
}

static void failures(gee_ctx *ctx, void *arg) {
    gee_panic_info panic;
    gee_live *l, *none;
    (void)arg;
    begin(&l);
    none = l;
    const struct names *old = gee_live_get(l);
    T_RC(gee_live_change(ctx, l, fails_halfway, NULL), UV_EIO);
    T_EQ(cleared, 1);
    T_RC(gee_recover(change_that_panics, l, &panic), GEE_EPANIC);
    T_EQ(cleared, 2);
    gee_ctx *over = gee_ctx_with_cancel(ctx);
    gee_ctx_cancel(over, 0);
    T_RC(gee_live_change(over, l, to_bob, NULL), 0); /* nobody else changes it: no wait */
    gee_ctx_end(over);
    const struct names *now = gee_live_get(l);
    T_CHECK(is(now, "bob", "builder"));
    T_CHECK(is(old, "ann", "arbor"));
    T_RC(gee_live_change(ctx, l, to_bob_and_one, NULL), 0);
    const struct names *next = gee_live_get(l);
    T_CHECK(next != now);
    gee_live_drop(now);
    now = next;
    copy_rc = UV_ENOMEM;
    T_RC(gee_live_change(ctx, l, to_bob, NULL), UV_ENOMEM);
    T_RC(gee_live_new(&type, now, &none), UV_ENOMEM);
    T_CHECK(none == NULL);
    copy_rc = 0;
    T_RC(gee_live_change(ctx, l, to_bob, NULL), 0); /* nothing of it is locked */
    gee_live_drop(now);
    gee_live_drop(old);
    gee_live_free(l);
    T_EQ(copies, cleared);
}

/* As many as there may be, and each of their places is used again. */
static void all_are_read(gee_ctx *ctx, void *arg) {
    const void *read[GEE_LIVE_VERSIONS];
    gee_live *l;
    (void)arg;
    begin(&l);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < GEE_LIVE_VERSIONS; i++) {
            read[i] = gee_live_get(l);
            T_RC(gee_live_change(ctx, l, to_bob, NULL), i + 1 < GEE_LIVE_VERSIONS ? 0 : UV_EBUSY);
        }
        gee_live_drop(read[17]);
        T_RC(gee_live_change(ctx, l, to_bob, NULL), 0);
        for (int i = 0; i < GEE_LIVE_VERSIONS; i++)
            if (i != 17)
                gee_live_drop(read[i]);
    }
    gee_live_free(l);
    T_EQ(copies, cleared);
}

/* --- at the same time, on one worker --- */

enum { CHANGERS = 10, TAKES_MS = 10 };

struct sum {
    int n, twice;
};

static int adds_one(gee_ctx *ctx, void *next, void *arg) {
    struct sum *s = next;
    (void)arg;
    s->n++;
    int rc = gee_sleep(ctx, TAKES_MS);
    s->twice += 2;
    return rc;
}

struct change {
    gee_live *live;
    gee_ctx *ctx;
    gee_waitgroup *done;
    int rc;
};

static void changes(gee_ctx *ctx, void *arg) {
    struct change *c = arg;
    c->rc = gee_live_change(c->ctx ? c->ctx : ctx, c->live, adds_one, NULL);
    gee_waitgroup_done(c->done);
}

/* None is lost, and whoever looks sees one that fits together. Who waits for his turn hears ctx. */
static void changers(gee_ctx *ctx, void *arg) {
    gee_waitgroup done = {0};
    gee_live *l;
    struct change all[CHANGERS + 1];
    gee_ctx *soon = gee_ctx_with_timeout(ctx, TAKES_MS / 2);
    (void)arg;
    T_RC(gee_live_new(&(gee_live_type){.size = sizeof(struct sum)}, NULL, &l), 0);
    for (int i = 0; i <= CHANGERS; i++) {
        all[i] = (struct change){l, i == CHANGERS ? soon : NULL, &done, 0};
        gee_waitgroup_add(&done, 1);
        T_RC(gee_go(ctx, changes, &all[i]), 0);
    }
    uint64_t start = gee_now_ms();
    for (int i = 0; i < CHANGERS * TAKES_MS; i++) {
        const struct sum *s = gee_live_get(l);
        int n = s->n;
        gee_sleep(ctx, 1);
        T_EQ(s->twice, 2 * n);
        gee_live_drop(s);
    }
    gee_waitgroup_wait(NULL, &done);
    T_CHECK(gee_now_ms() - start <= CHANGERS * TAKES_MS);
    const struct sum *s = gee_live_get(l);
    int missed = 0;
    for (int i = 0; i <= CHANGERS; i++)
        missed += all[i].rc == UV_ETIMEDOUT;
    T_CHECK(missed <= 1); /* unless it was the first, or the second */
    T_EQ(s->n, CHANGERS + 1 - missed);
    gee_live_drop(s);
    gee_live_free(l);
    gee_ctx_end(soon);
}

/* --- on two workers --- */

enum { READERS = 8, READS = 2000, WRITERS = 4, WRITES = 200 };

struct crowd {
    gee_live *live;
    gee_waitgroup done;
    _Atomic int torn, back;
};

static int next_names(gee_ctx *ctx, void *next, void *arg) {
    struct names *n = next;
    char text[24];
    (void)ctx;
    (void)arg;
    snprintf(text, sizeof(text), "%ld", strtol(n->first, NULL, 10) + 1);
    set(&n->first, text);
    set(&n->second, text);
    return 0;
}

/* Both are of one version, and never an earlier one than before. */
static void reader(gee_ctx *ctx, void *arg) {
    struct crowd *c = arg;
    long before = 0;
    (void)ctx;
    for (int i = 0; i < READS; i++) {
        const struct names *n = gee_live_get(c->live);
        long first = strtol(n->first, NULL, 10);
        if (i % 4 == 0)
            gee_yield();
        c->torn += first != strtol(n->second, NULL, 10);
        c->back += first < before;
        before = first;
        gee_live_drop(n);
    }
    gee_waitgroup_done(&c->done);
}

static void writer(gee_ctx *ctx, void *arg) {
    struct crowd *c = arg;
    for (int i = 0; i < WRITES; i++) {
        T_RC(gee_live_change(ctx, c->live, next_names, NULL), 0);
        gee_yield();
    }
    gee_waitgroup_done(&c->done);
}

static void crowd(gee_ctx *ctx, void *arg) {
    struct crowd c = {0};
    (void)arg;
    begin(&c.live);
    gee_waitgroup_add(&c.done, READERS + WRITERS);
    for (int i = 0; i < READERS + WRITERS; i++)
        T_RC(gee_go_on(i % 2, ctx, i < READERS ? reader : writer, &c), 0);
    gee_waitgroup_wait(NULL, &c.done);
    T_EQ(c.torn, 0);
    T_EQ(c.back, 0);
    const struct names *n = gee_live_get(c.live);
    T_EQ(strtol(n->first, NULL, 10), WRITERS * WRITES);
    gee_live_drop(n);
    gee_live_free(c.live);
    T_EQ(copies, cleared);
}

#define SIMULATED(name)                     \
    static void test_##name(void **state) { \
        (void)state;                        \
        t_sim(name, NULL);                  \
    }
SIMULATED(versions)
SIMULATED(plain)
SIMULATED(failures)
SIMULATED(all_are_read)
SIMULATED(changers)

static void test_crowd(void **state) {
    (void)state;
    t_real(2, crowd, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_versions), cmocka_unit_test(test_plain),
    cmocka_unit_test(test_failures), cmocka_unit_test(test_all_are_read),
    cmocka_unit_test(test_changers), cmocka_unit_test(test_crowd),
};

T_MAIN(tests)
