/* The leak check: what it finds, with the reason, and what it leaves alone. */
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What two tasks share. */
struct shared {
    gee_chan *a, *b;
    gee_mutex m, n;
    gee_rwmutex rw;
    gee_waitgroup wg;
    gee_ctx *stop;
};

/* Finds exactly these, by their tasks' names and a part of the reason. */
struct expected {
    const char *name, *why;
};

static bool among(const gee_leak *l, const struct expected *e, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(l->task.name, e[i].name) == 0 && strstr(l->why, e[i].why))
            return true;
    return false;
}

static bool finds(const struct expected *e, int n) {
    gee_leak *leaks;
    int found = gee_leakcheck(&leaks), as_expected = 0;
    for (int i = 0; i < found; i++) {
        bool one = among(&leaks[i], e, n);
        as_expected += one;
        if (!one)
            print_error("found: \"%s\": %s\n", leaks[i].task.name, leaks[i].why);
    }
    free(leaks);
    return found == n && as_expected == n;
}

#define T_FINDS(...)                                                    \
    do {                                                                \
        const struct expected e_[] = {__VA_ARGS__};                     \
        if (!finds(e_, (int)(sizeof(e_) / sizeof(*e_))))                \
            T_FAIL("the leak check does not find just what it should"); \
    } while (0)

#define T_FINDS_NOTHING()                                   \
    do {                                                    \
        if (!finds(NULL, 0))                                \
            T_FAIL("the leak check finds what is no leak"); \
    } while (0)

/* --- deaf: the first rule --- */

static void deaf(gee_ctx *ctx, void *arg) {
    struct shared *s = arg;
    (void)ctx;
    gee_chan_recv(NULL, s->a, NULL);
}

static void hears(gee_ctx *ctx, void *arg) {
    struct shared *s = arg;
    gee_chan_recv(ctx, s->b, NULL);
}

static void test_deaf_body(gee_ctx *ctx, void *arg) {
    struct shared s = {.a = gee_chan_new(0, 0), .b = gee_chan_new(0, 0)};
    gee_ctx *owner = gee_ctx_with_cancel(ctx);
    (void)arg;
    gee_go(owner, deaf, &s);
    gee_go(owner, hears, &s);
    gee_sleep(ctx, 10);
    T_FINDS_NOTHING(); /* this task still has the channels */
    gee_ctx_cancel(owner, 0);
    gee_sleep(ctx, 2500);
    T_FINDS({"deaf", "its ctx ended 2.5 s ago, and it does not listen"});
    gee_chan_close(s.a);
    gee_sleep(ctx, 1);
    T_FINDS_NOTHING();
    gee_ctx_unref(owner);
    gee_chan_unref(s.a);
    gee_chan_unref(s.b);
}

static void test_deaf(void **state) {
    (void)state;
    t_sim(test_deaf_body, NULL);
}

/* --- stuck: the second --- */

static void sends(gee_ctx *ctx, void *arg) {
    gee_chan *ch = arg;
    (void)ctx;
    gee_chan_send(NULL, ch, NULL);
    gee_chan_unref(ch);
}

static void receives(gee_ctx *ctx, void *arg) {
    gee_chan *ch = arg;
    (void)ctx;
    gee_chan_recv(NULL, ch, NULL);
    gee_chan_unref(ch);
}

/* As one request of many does: asks twice, takes what comes first. */
static void hedges(gee_ctx *ctx, void *arg) {
    _Atomic(gee_chan *) *back_door = arg; /* for the test's end, and no reference */
    gee_chan *ch = gee_chan_new(0, 0);
    for (int i = 0; i < 3; i++)
        gee_go(ctx, sends, gee_chan_ref(ch));
    gee_chan_recv(ctx, ch, NULL);
    *back_door = ch;
    gee_chan_unref(ch);
}

static void test_relatives_are_believed_body(gee_ctx *ctx, void *arg) {
    _Atomic(gee_chan *) ch = NULL;
    (void)arg;
    gee_go(ctx, hedges, &ch);
    gee_sleep(ctx, 100);
    /* They are relatives of this task, which is at work and might know the channel: so it
     * is not known yet. */
    T_FINDS_NOTHING();
    gee_chan_ref(ch);
    gee_chan_close(ch);
    gee_chan_unref(ch);
}

static void test_relatives_are_believed(void **state) {
    (void)state;
    t_sim(test_relatives_are_believed_body, NULL);
}

/* --- in a server, where each request is a family of its own --- */

static _Atomic(gee_chan *) orphan; /* back doors for the tests' ends */
static _Atomic(gee_waitgroup *) owed;
static _Atomic(gee_mutex *) left_locked;
static gee_mutex first, second;
static gee_rwmutex lock;

static void hedged(gee_req *req) {
    hedges(gee_req_ctx(req), &orphan);
    gee_string(req, 200, "first");
}

static void abandoned(gee_req *req) {
    gee_chan *ch = gee_chan_new(0, 0);
    orphan = ch;
    gee_go(gee_background(), receives, gee_chan_ref(ch));
    gee_chan_unref(ch);
    gee_string(req, 200, "unsubscribed");
}

static void errs(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg; /* should call done, and ends before */
}

static void fans_out(gee_req *req) {
    gee_waitgroup wg = {.count = 0};
    gee_waitgroup_add(&wg, 2);
    gee_go(gee_req_ctx(req), errs, &wg);
    owed = &wg;
    gee_waitgroup_wait(NULL, &wg);
    gee_string(req, 200, "done");
}

static void two_locks(gee_mutex *a, gee_mutex *b) {
    gee_mutex_lock(NULL, a);
    gee_sleep(NULL, 10);
    gee_mutex_lock(NULL, b);
    gee_mutex_unlock(b);
    gee_mutex_unlock(a);
}

static void there(gee_req *req) {
    two_locks(&first, &second);
    gee_string(req, 200, "there");
}

static void back(gee_req *req) {
    two_locks(&second, &first);
    gee_string(req, 200, "back");
}

static void forgets(gee_req *req) {
    static gee_mutex m;
    left_locked = &m;
    gee_mutex_lock(NULL, &m);
    gee_string(req, 200, "locked");
}

static void reads_twice(gee_req *req) {
    gee_rwmutex_rlock(NULL, &lock);
    gee_sleep(NULL, 10);
    gee_rwmutex_rlock(NULL, &lock);
    gee_rwmutex_runlock(&lock);
    gee_rwmutex_runlock(&lock);
    gee_string(req, 200, "read");
}

static void writes(gee_req *req) {
    gee_sleep(NULL, 5);
    gee_rwmutex_lock(NULL, &lock);
    gee_rwmutex_unlock(&lock);
    gee_string(req, 200, "written");
}

/* Behind the one who writes; this one may give up. */
static void reads_too(gee_req *req) {
    gee_sleep(NULL, 7);
    if (gee_rwmutex_rlock(gee_req_ctx(req), &lock) == 0)
        gee_rwmutex_runlock(&lock);
}

static void routes(gee_group *r) {
    gee_GET(r, "/hedged", hedged);
    gee_GET(r, "/abandoned", abandoned);
    gee_GET(r, "/fan", fans_out);
    gee_GET(r, "/there", there);
    gee_GET(r, "/back", back);
    gee_GET(r, "/forgets", forgets);
    gee_GET(r, "/reads", reads_twice);
    gee_GET(r, "/writes", writes);
    gee_GET(r, "/reads_too", reads_too);
    gee_debug_routes(r);
}

static void test_in_a_server_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/hedged"), 200);
    gee_sleep(ctx, 1); /* its task ends */
    T_FINDS({"sends", "nobody is left who could receive"},
            {"sends", "nobody is left who could receive"});
    T_EQ(t_get(ctx, c, "/debug/tasks?leaked=1"), 200);
    T_CHECK(strncmp(t_body(c), "leaked: 2\n", 10) == 0);
    T_CHECK(strstr(t_body(c), "(chan send) "));
    T_CHECK(strstr(t_body(c), "IT IS STUCK: nobody is left who could receive"));
    T_EQ(t_get(ctx, c, "/debug/tasks?leaked=1&format=json"), 200);
    T_CHECK(strstr(t_body(c), "\"leaked\":2,"));
    gee_chan_close(orphan);
    gee_sleep(ctx, 1);
    T_FINDS_NOTHING();
    T_EQ(t_get(ctx, c, "/abandoned"), 200);
    gee_sleep(ctx, 1);
    T_FINDS({"receives", "nobody is left who could send"});
    gee_chan_close(orphan);
    gee_sleep(ctx, 1);
    T_FINDS_NOTHING();
}

T_SITE(test_in_a_server, routes)

/* Two requests on connections of their own, side by side. */
static void two_at_once(gee_ctx *ctx, int port, t_conn **c, t_conn **d, const char *a,
                        const char *b) {
    char head[64];
    *c = t_dial(port, 0);
    *d = t_dial(port, 0);
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", a);
    t_puts(ctx, *c, head);
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", b);
    t_puts(ctx, *d, head);
    gee_sleep(ctx, 100);
}

static void test_locks_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b;
    two_at_once(ctx, port, &a, &b, "/there", "/back");
    bool found = finds(
        (struct expected[]){{"GET /there", "holds the mutex, and is stuck in a mutex lock at"},
                            {"GET /back", "holds the mutex, and is stuck in a mutex lock at"}},
        2);
    gee_mutex_unlock(&second); /* any task may */
    gee_sleep(ctx, 100);
    bool freed = finds(NULL, 0);
    t_close(ctx, a);
    t_close(ctx, b);
    T_CHECK(found);
    T_CHECK(freed);
    t_puts(ctx, c, "GET /reads_too HTTP/1.1\r\nHost: t\r\n\r\n");
    two_at_once(ctx, port, &a, &b, "/reads", "/writes");
    found = finds((struct expected[]){{"GET /reads", "it holds the lock itself, and task "},
                                      {"GET /writes", "holds the lock, and is stuck in a rwmutex"}},
                  2);
    gee_rwmutex_runlock(&lock);
    gee_sleep(ctx, 100);
    freed = finds(NULL, 0);
    t_close(ctx, a);
    t_close(ctx, b);
    T_CHECK(found);
    T_CHECK(freed);
    T_EQ(t_response(ctx, c), 200);
    T_EQ(t_get(ctx, c, "/debug/tasks?leaked=1"), 200);
    T_STR(t_body(c), "leaked: 0\n\n");
}

T_SITE(test_locks, routes)

static void test_owed_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b;
    (void)c;
    two_at_once(ctx, port, &a, &b, "/fan", "/forgets");
    bool found = finds(
        (struct expected[]){{"GET /fan", "the count is 2, and nobody is left who could call done"}},
        1);
    gee_waitgroup_done(owed);
    bool waits = finds(NULL, 0); /* now this task is one who knows it */
    gee_waitgroup_done(owed);
    gee_sleep(ctx, 1);
    t_close(ctx, a);
    t_close(ctx, b);
    T_CHECK(found);
    T_CHECK(waits);
    gee_mutex_unlock(left_locked);
}

T_SITE(test_owed, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_deaf),        cmocka_unit_test(test_relatives_are_believed),
    cmocka_unit_test(test_in_a_server), cmocka_unit_test(test_locks),
    cmocka_unit_test(test_owed),
};

T_MAIN(tests)
