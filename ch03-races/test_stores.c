/*
 * The stores of chapter 3: the same tests over each of them, and what none of them does for you.
 * (`make stores` compares what they cost.)
 */
#include "base/tools.h"
#include "stores/store.h"
#include "t.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 1000 };

static store_key key[MANY];
static char names[MANY][16];

static int make_keys(void **state) {
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "key%d", i);
        store_key_init(&key[i], names[i]);
    }
    return 0;
}

/* --- memory that runs out: at the nth allocation from now, once; 0: it does not --- */

static _Atomic int fail_at;

static bool fails(void) {
    int n = atomic_load(&fail_at);
    return n > 0 && atomic_fetch_sub(&fail_at, 1) == 1;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

/* --- one task --- */

static const store_kind *kind; /* that is tested */

#define T_HAS(ctx, s, i, want)                                                                  \
    do {                                                                                        \
        char has_[64] = "";                                                                     \
        ssize_t n_ = kind->get(ctx, s, &key[i], has_, sizeof(has_));                            \
        if (n_ != (ssize_t)strlen(want) || strcmp(has_, want) != 0)                             \
            T_FAIL("%s: %s is \"%s\" (%zd), not \"%s\"", kind->name, names[i], has_, n_, want); \
    } while (0)

static void set_and_get(gee_ctx *ctx, void *arg) {
    char out[4] = "?";
    (void)arg;
    store *s = kind->create();
    T_CHECK(s != NULL);
    T_RC(kind->get(ctx, s, &key[0], out, sizeof(out)), UV_ENOENT);
    T_STR(out, "?");
    T_RC(kind->set(ctx, s, &key[0], "one"), 0);
    T_RC(kind->get(ctx, s, &key[1], out, sizeof(out)), UV_ENOENT);
    T_HAS(ctx, s, 0, "one");
    T_RC(kind->set(ctx, s, &key[0], "another"), 0);
    T_RC(kind->set(ctx, s, &key[1], ""), 0);
    T_HAS(ctx, s, 0, "another");
    T_HAS(ctx, s, 1, "");
    T_EQ(kind->get(ctx, s, &key[0], out, sizeof(out)), 7);
    T_STR(out, "ano");
    T_EQ(kind->get(ctx, s, &key[0], NULL, 0), 7);
    kind->drop(s);
}

/* Looked for in between, so that a sync.Map moves them, some at a time. */
static void many_keys(gee_ctx *ctx, void *arg) {
    char value[32];
    (void)arg;
    store *s = kind->create();
    for (int i = 0; i < MANY; i++) {
        snprintf(value, sizeof(value), "%d", i);
        T_RC(kind->set(ctx, s, &key[i], value), 0);
        T_HAS(ctx, s, i, value);
        T_HAS(ctx, s, 0, i ? "again" : "0");
        T_RC(kind->set(ctx, s, &key[0], "again"), 0);
    }
    for (int i = 1; i < MANY; i++) {
        snprintf(value, sizeof(value), "%d", i);
        T_HAS(ctx, s, i, value);
    }
    kind->drop(s);
}

/* --- two tasks --- */

struct child {
    store *s;
    gee_waitgroup done;
};

static void child(gee_ctx *ctx, void *arg) {
    struct child *c = arg;
    T_HAS(ctx, c->s, 0, "from the parent");
    gee_sleep(ctx, 20);
    T_HAS(ctx, c->s, 1, kind->shared ? "later" : "before");
    kind->set(ctx, c->s, &key[2], "from the child");
    kind->drop(c->s);
    gee_waitgroup_done(&c->done);
}

/* What is set after a task was started is seen in it, or is not; and the other way around. */
static void forks(gee_ctx *ctx, void *arg) {
    store *s = kind->create();
    struct child c = {.s = NULL};
    (void)arg;
    kind->set(ctx, s, &key[0], "from the parent");
    kind->set(ctx, s, &key[1], "before");
    kind->set(ctx, s, &key[2], "of the parent");
    c.s = kind->fork(s);
    T_CHECK(c.s != NULL);
    gee_waitgroup_add(&c.done, 1);
    gee_go(ctx, child, &c);
    gee_sleep(ctx, 10);
    kind->set(ctx, s, &key[1], "later");
    gee_waitgroup_wait(NULL, &c.done);
    T_HAS(ctx, s, 2, kind->shared ? "from the child" : "of the parent");
    kind->drop(s);
}

/* Of the two that have it, either may be the one that goes first. */
static void outlives(gee_ctx *ctx, void *arg) {
    store *s = kind->create();
    (void)arg;
    kind->set(ctx, s, &key[0], "kept");
    store *f = kind->fork(s);
    kind->set(ctx, f, &key[1], "of the fork");
    kind->drop(s);
    T_HAS(ctx, f, 0, "kept");
    T_RC(kind->set(ctx, f, &key[2], "and more"), 0);
    T_HAS(ctx, f, 1, "of the fork");
    kind->drop(f);
}

static void adds_one(gee_ctx *ctx, void *arg) {
    struct child *c = arg;
    char n[16];
    kind->get(ctx, c->s, &key[0], n, sizeof(n));
    gee_sleep(ctx, 10); /* anything that parks */
    snprintf(n, sizeof(n), "%d", atoi(n) + 1);
    kind->set(ctx, c->s, &key[0], n);
    gee_waitgroup_done(&c->done);
}

/* What none of them protects: a get and a set are two calls, and between them is room for others.
 */
static void an_update_is_lost(gee_ctx *ctx, void *arg) {
    store *s = kind->create();
    struct child a = {.s = NULL}, b = {.s = NULL};
    (void)arg;
    kind->set(ctx, s, &key[0], "0");
    a.s = kind->fork(s);
    b.s = kind->fork(s);
    gee_waitgroup_add(&a.done, 1);
    gee_waitgroup_add(&b.done, 1);
    gee_go(ctx, adds_one, &a);
    gee_go(ctx, adds_one, &b);
    gee_waitgroup_wait(NULL, &a.done);
    gee_waitgroup_wait(NULL, &b.done);
    T_HAS(ctx, s, 0, kind->shared ? "1" : "0");
    T_HAS(ctx, a.s, 0, "1");
    kind->drop(a.s);
    kind->drop(b.s);
    kind->drop(s);
}

/* --- two workers --- */

enum { ROUNDS = GEE_POOLS ? 2000 : 200, SHARED_KEYS = 4, WORKERS = 2, EACH = 2 };

struct racer {
    store *s;
    int id;
    int bad, backwards;
    gee_waitgroup *done;
};

/* A value says twice who has set it, and as his how manieth: a torn one does not say the same. */
static bool parse_value(const char *text, int *id, int *n) {
    int again, n_again, end = 0;
    return sscanf(text, "%d.%d=%d.%d%n", id, n, &again, &n_again, &end) == 4 && again == *id &&
           n_again == *n && text[end] == '\0';
}

/* Reads all that are shared; what one task has set must not be older than when it was last seen. */
static void look(gee_ctx *ctx, struct racer *r, int newest[SHARED_KEYS][WORKERS * EACH]) {
    for (int k = 0; k < SHARED_KEYS; k++) {
        char text[64] = "";
        int id = 0, n = 0;
        kind->get(ctx, r->s, &key[k], text, sizeof(text));
        bool good = parse_value(text, &id, &n) && id >= 0 && id < WORKERS * EACH;
        r->bad += !good;
        if (!good)
            continue;
        r->backwards += n < newest[k][id];
        newest[k][id] = n;
    }
}

/* Sets shared keys, and one of its own at a time that is new. */
static void race(gee_ctx *ctx, void *arg) {
    struct racer *r = arg;
    int newest[SHARED_KEYS][WORKERS * EACH] = {0};
    char text[64];
    for (int i = 1; i <= ROUNDS; i++) {
        snprintf(text, sizeof(text), "%d.%d=%d.%d", r->id, i, r->id, i);
        r->bad += kind->set(ctx, r->s, &key[i % SHARED_KEYS], text) != 0;
        int own = SHARED_KEYS + i * WORKERS * EACH + r->id;
        if (own < MANY)
            r->bad += kind->set(ctx, r->s, &key[own], text) != 0;
        look(ctx, r, newest);
        if (i % 8 == 0)
            gee_sleep(ctx, 0);
    }
    gee_waitgroup_done(r->done);
}

/* No key is lost: that of each task is there. */
static void check_own(gee_ctx *ctx, store *s, int id) {
    char text[64];
    for (int i = 1; i <= ROUNDS; i++) {
        int own = SHARED_KEYS + i * WORKERS * EACH + id;
        if (own >= MANY)
            return;
        snprintf(text, sizeof(text), "%d.%d=%d.%d", id, i, id, i);
        T_HAS(ctx, s, own, text);
    }
}

static void two_workers(gee_ctx *ctx, void *arg) {
    store *s = kind->create();
    struct racer racers[WORKERS * EACH];
    gee_waitgroup done = {0};
    (void)arg;
    for (int k = 0; k < SHARED_KEYS; k++)
        kind->set(ctx, s, &key[k], "0.0=0.0");
    gee_waitgroup_add(&done, WORKERS * EACH);
    for (int i = 0; i < WORKERS * EACH; i++)
        racers[i] = (struct racer){.s = kind->fork(s), .id = i, .done = &done};
    for (int i = 0; i < WORKERS * EACH; i++)
        gee_go_on(i % WORKERS, ctx, race, &racers[i]);
    gee_waitgroup_wait(NULL, &done);
    for (int i = 0; i < WORKERS * EACH; i++) {
        check_own(ctx, kind->shared ? s : racers[i].s, i);
        kind->drop(racers[i].s);
    }
    kind->drop(s);
    for (int i = 0; i < WORKERS * EACH; i++)
        if (racers[i].bad + racers[i].backwards > 0)
            T_FAIL("%s: task %d: %d errors or torn values, %d older than seen before", kind->name,
                   i, racers[i].bad, racers[i].backwards);
}

/* --- no memory --- */

/* Each allocation of a set fails once: then nothing has changed, and the next one works. */
static void no_memory(gee_ctx *ctx, void *arg) {
    store *s = NULL;
    (void)arg;
    for (int n = 1; s == NULL; n++) {
        T_CHECK(n < 10);
        atomic_store(&fail_at, n);
        s = kind->create();
    }
    atomic_store(&fail_at, 0);
    kind->set(ctx, s, &key[0], "old");
    for (int i = 1; i < 40; i++) {
        int rc = UV_ENOMEM;
        for (int n = 1; rc == UV_ENOMEM && n < 20; n++) {
            atomic_store(&fail_at, n);
            rc = kind->set(ctx, s, &key[i], "new");
            bool failed = atomic_exchange(&fail_at, 0) == 0;
            T_RC(rc, failed ? UV_ENOMEM : 0);
            if (failed)
                T_RC(kind->get(ctx, s, &key[i], NULL, 0), UV_ENOENT);
            T_HAS(ctx, s, 0, "old");
        }
        T_HAS(ctx, s, i, "new");
    }
    kind->drop(s);
}

/* --- each over all --- */

static void all_in_simulation(gee_task_fn body) {
    for (int i = 0; i < STORE_KINDS; i++) {
        kind = store_kinds[i];
        t_sim(body, NULL);
    }
}

#define OVER_ALL(body)                      \
    static void test_##body(void **state) { \
        (void)state;                        \
        all_in_simulation(body);            \
    }

OVER_ALL(set_and_get)
OVER_ALL(many_keys)
OVER_ALL(forks)
OVER_ALL(outlives)
OVER_ALL(an_update_is_lost)
OVER_ALL(no_memory)

static void test_two_workers(void **state) {
    (void)state;
    for (int i = 0; i < STORE_KINDS; i++) {
        kind = store_kinds[i];
        t_real(WORKERS, two_workers, NULL);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_set_and_get),
    cmocka_unit_test(test_many_keys),
    cmocka_unit_test(test_forks),
    cmocka_unit_test(test_outlives),
    cmocka_unit_test(test_an_update_is_lost),
    cmocka_unit_test(test_two_workers),
    cmocka_unit_test(test_no_memory),
};

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
