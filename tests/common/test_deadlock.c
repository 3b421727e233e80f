/*
 * Deadlocks: tasks that wait for each other in a circle, which is said link by link, while the
 * rest of the server goes on; and what looks like one and is none.
 */
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is expected of the leak check --- */

/*
 * The leak of the task of that name, with its circle. In a pattern a letter from A on stands for
 * the id of a task, the same for the same, and a * for any text without a bracket.
 */
struct expected {
    const char *name;
    enum gee_leak_kind kind;
    const char *circle; /* a pattern; "": none */
};

static bool is_like(const char *text, const char *pattern) {
    char ids[8][24] = {""};
    for (; *pattern; pattern++) {
        if (*pattern >= 'A' && *pattern <= 'H') {
            char *id = ids[*pattern - 'A'];
            size_t n = strspn(text, "0123456789");
            if (n == 0 || n >= sizeof(ids[0]))
                return false;
            if (*id == '\0')
                memcpy(id, text, n);
            if (strlen(id) != n || strncmp(id, text, n) != 0)
                return false;
            text += n;
        } else if (*pattern == '*') {
            text += strcspn(text, " )");
        } else if (*text++ != *pattern) {
            return false;
        }
    }
    return *text == '\0';
}

static const struct expected *one_of(const gee_leak *l, const struct expected *e, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(l->task.name, e[i].name) == 0 && l->kind == e[i].kind &&
            is_like(l->circle, e[i].circle))
            return &e[i];
    return NULL;
}

/* Each leak is one of these, and there are as many. */
static bool finds(const struct expected *e, int n) {
    gee_leak *leaks;
    int found = gee_leakcheck(&leaks), right = 0;
    for (int i = 0; i < found; i++) {
        bool one = one_of(&leaks[i], e, n) != NULL;
        right += one;
        if (!one)
            print_error("found: \"%s\", kind %d: %s; \"%s\"\n", leaks[i].task.name, leaks[i].kind,
                        leaks[i].why, leaks[i].circle);
    }
    free(leaks);
    return found == n && right == n;
}

#define T_FINDS(...)                                                    \
    do {                                                                \
        const struct expected e_[] = {__VA_ARGS__};                     \
        if (!finds(e_, (int)(sizeof(e_) / sizeof(*e_))))                \
            T_FAIL("the leak check does not find just what it should"); \
    } while (0)

#define T_FINDS_NOTHING()                                                  \
    do {                                                                   \
        if (!finds(NULL, 0))                                               \
            T_FAIL("the leak check finds a deadlock where there is none"); \
    } while (0)

#define STUCK  GEE_LEAK_STUCK
#define CIRCLE GEE_LEAK_CIRCLE

/* --- what tasks share; the test's own task is none of their family --- */

static gee_mutex m, n, o;
static gee_rwmutex rw;
static gee_waitgroup wg;
static _Atomic(gee_chan *) ch, ci; /* also back doors for the tests' ends */

static void reset(void) {
    m = n = o = (gee_mutex){.locked = false};
    rw = (gee_rwmutex){.readers = 0};
    wg = (gee_waitgroup){.count = 0};
}

/* A test's deadlocks are requests: each is a family, and none of them is the test's. */
static void begin(gee_ctx *ctx, t_conn **c, int port, const char *path) {
    char head[64];
    *c = t_dial(port, 0);
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path);
    t_puts(ctx, *c, head);
    gee_sleep(ctx, 1);
}

/* --- two mutexes, in two orders --- */

static void two(gee_ctx *ctx, gee_mutex *first, gee_mutex *second) {
    if (gee_mutex_lock(ctx, first) < 0)
        return;
    gee_sleep(NULL, 10);
    if (gee_mutex_lock(ctx, second) == 0)
        gee_mutex_unlock(second);
    gee_mutex_unlock(first);
}

static void there(gee_req *req) {
    two(NULL, &m, &n);
    gee_string(req, 200, "there");
}

static void back(gee_req *req) {
    two(NULL, &n, &m);
    gee_string(req, 200, "back");
}

static void there_and_listening(gee_req *req) {
    two(gee_req_ctx(req), &m, &n);
    gee_string(req, 200, "there");
}

static void back_and_listening(gee_req *req) {
    two(gee_req_ctx(req), &n, &m);
    gee_string(req, 200, "back");
}

static void around_first(gee_req *req) {
    two(NULL, &m, &n);
    gee_string(req, 200, "1");
}

static void around_second(gee_req *req) {
    two(NULL, &n, &o);
    gee_string(req, 200, "2");
}

static void around_third(gee_req *req) {
    two(NULL, &o, &m);
    gee_string(req, 200, "3");
}

static void again(gee_req *req) {
    gee_mutex_lock(NULL, &m);
    gee_mutex_lock(NULL, &m);
    gee_mutex_unlock(&m);
    gee_string(req, 200, "again");
}

static void hello(gee_req *req) {
    gee_string(req, 200, "hello");
}

static void lock_routes(gee_group *r) {
    reset();
    gee_GET(r, "/there", there);
    gee_GET(r, "/back", back);
    gee_GET(r, "/there/listening", there_and_listening);
    gee_GET(r, "/back/listening", back_and_listening);
    gee_GET(r, "/1", around_first);
    gee_GET(r, "/2", around_second);
    gee_GET(r, "/3", around_third);
    gee_GET(r, "/again", again);
    gee_GET(r, "/hello", hello);
    gee_debug_routes(r);
}

#define HERE      "tests/common/test_deadlock.c:"
#define LOCK(who) "task " who " (mutex lock at " HERE "*)"
#define HELD(who) " -> task " who ", which locked it at " HERE "*"

static void abba_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b, *third;
    begin(ctx, &a, port, "/there");
    begin(ctx, &b, port, "/back");
    T_FINDS_NOTHING(); /* each has one lock, and does not want the other yet */
    gee_sleep(ctx, 20);
    begin(ctx, &third, port, "/there"); /* behind the circle, and not in it */
    T_FINDS({"GET /there", STUCK, LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")},
            {"GET /back", STUCK, LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")},
            {"GET /there", STUCK, ""});
    T_EQ(t_get(ctx, c, "/hello"), 200); /* the rest goes on */
    T_EQ(t_get(ctx, c, "/debug/tasks?leaked=1"), 200);
    T_CHECK(strstr(t_body(c), "leaked: 3\n"));
    T_CHECK(strstr(t_body(c), "IT IS STUCK: task "));
    T_CHECK(strstr(t_body(c), "\n             task "));
    T_CHECK(strstr(t_body(c), "\n              -> task "));
    T_EQ(t_get(ctx, c, "/debug/tasks?leaked=1&format=json"), 200);
    T_CHECK(strstr(t_body(c), "\"circle\":\"task "));
    gee_mutex_unlock(&n); /* any task may */
    gee_sleep(ctx, 30);
    T_FINDS_NOTHING();
    t_close(ctx, a);
    t_close(ctx, b);
    t_close(ctx, third);
}

T_SITE(abba, lock_routes)

/* Under the ctx of its request a wait is none that lasts for ever; the circle is one, until then.
 */
static void abba_that_listens_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b;
    (void)c;
    begin(ctx, &a, port, "/there/listening");
    begin(ctx, &b, port, "/back/listening");
    gee_sleep(ctx, 20);
    T_FINDS({"GET /there/listening", CIRCLE,
             LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")},
            {"GET /back/listening", CIRCLE,
             LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")});
    t_close(ctx, a); /* its client leaves */
    gee_sleep(ctx, 1);
    T_FINDS_NOTHING();
    T_EQ(t_response(ctx, b), 200);
    t_close(ctx, b);
}

T_SITE(abba_that_listens, lock_routes)

/* One of them would wait for ever, the other one not: neither is stuck for good. */
static void abba_of_which_one_listens_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b;
    (void)c;
    begin(ctx, &a, port, "/there");
    begin(ctx, &b, port, "/back/listening");
    gee_sleep(ctx, 20);
    T_FINDS({"GET /there", CIRCLE, LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")},
            {"GET /back/listening", CIRCLE,
             LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")});
    t_close(ctx, b);
    gee_sleep(ctx, 1);
    T_FINDS_NOTHING();
    T_EQ(t_response(ctx, a), 200);
    t_close(ctx, a);
}

T_SITE(abba_of_which_one_listens, lock_routes)

static void three_in_a_circle_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b, *d;
    (void)c;
    begin(ctx, &a, port, "/1");
    begin(ctx, &b, port, "/2");
    begin(ctx, &d, port, "/3");
    gee_sleep(ctx, 20);
#define THREE \
    LOCK("A") \
    HELD("B") " (mutex lock at " HERE "*)" HELD("C") " (mutex lock at " HERE "*)" HELD("A")
    T_FINDS({"GET /1", STUCK, THREE}, {"GET /2", STUCK, THREE}, {"GET /3", STUCK, THREE});
    gee_mutex_unlock(&o);
    gee_sleep(ctx, 30);
    t_close(ctx, a);
    t_close(ctx, b);
    t_close(ctx, d);
}

T_SITE(three_in_a_circle, lock_routes)

static void one_that_waits_for_itself_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a;
    (void)c;
    begin(ctx, &a, port, "/again");
    T_FINDS({"GET /again", STUCK, LOCK("A") HELD("A")});
    gee_mutex_unlock(&m);
    gee_sleep(ctx, 1);
    t_close(ctx, a);
}

T_SITE(one_that_waits_for_itself, lock_routes)

/* --- a lock that is handed over --- */

static void holds_for_a_while(gee_req *req) {
    gee_mutex_lock(NULL, &m);
    gee_sleep(NULL, 50);
    gee_mutex_unlock(&m);
    gee_string(req, 200, "m");
}

static void wants_m_with_n(gee_req *req) {
    two(NULL, &n, &m);
    gee_string(req, 200, "n, m");
}

static void handed_over_routes(gee_group *r) {
    reset();
    gee_GET(r, "/m", holds_for_a_while);
    gee_GET(r, "/n", wants_m_with_n);
    gee_GET(r, "/m/n", there);
}

/* Whoever is handed a lock in the queue has locked it where he waited. */
static void who_was_handed_a_lock_holds_it_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b, *d;
    (void)c;
    begin(ctx, &a, port, "/m");
    begin(ctx, &b, port, "/m/n"); /* waits for m, gets it, and wants n */
    begin(ctx, &d, port, "/n");   /* has n, and wants m */
    gee_sleep(ctx, 30);
    T_FINDS_NOTHING(); /* two wait for one that sleeps */
    gee_sleep(ctx, 100);
    T_FINDS({"GET /m/n", STUCK, LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")},
            {"GET /n", STUCK, LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A")});
    gee_mutex_unlock(&n);
    gee_sleep(ctx, 30);
    t_close(ctx, a);
    t_close(ctx, b);
    t_close(ctx, d);
}

T_SITE(who_was_handed_a_lock_holds_it, handed_over_routes)

/* --- readers and writers --- */

static void reads_twice(gee_req *req) {
    gee_rwmutex_rlock(NULL, &rw);
    gee_sleep(NULL, 10);
    gee_rwmutex_rlock(NULL, &rw);
    gee_rwmutex_runlock(&rw);
    gee_rwmutex_runlock(&rw);
    gee_string(req, 200, "read");
}

static void reads_for_a_while(gee_req *req) {
    gee_rwmutex_rlock(NULL, &rw);
    gee_sleep(NULL, 100);
    gee_rwmutex_runlock(&rw);
    gee_string(req, 200, "read");
}

static void writes(gee_req *req) {
    gee_rwmutex_lock(NULL, &rw);
    gee_rwmutex_unlock(&rw);
    gee_string(req, 200, "written");
}

static void upgrades(gee_req *req) {
    gee_rwmutex_rlock(NULL, &rw);
    gee_rwmutex_lock(NULL, &rw);
    gee_rwmutex_unlock(&rw);
    gee_string(req, 200, "upgraded");
}

static void rw_routes(gee_group *r) {
    reset();
    gee_GET(r, "/reads-twice", reads_twice);
    gee_GET(r, "/reads", reads_for_a_while);
    gee_GET(r, "/writes", writes);
    gee_GET(r, "/upgrades", upgrades);
}

#define READING(who) "task " who " (rwmutex read lock at " HERE "*)"
#define WRITING(who) "task " who " (rwmutex write lock at " HERE "*)"

/* The same circle, from each of the two. */
#define READS_BEHIND                                                                    \
    READING("A")                                                                        \
    " -> task B, which waits in front of it (rwmutex write lock at " HERE "*) -> task " \
    "A, which holds it"
#define WRITES_IN_FRONT                                                       \
    WRITING("A")                                                              \
    " -> task B, which holds it (rwmutex read lock at " HERE "*) -> task A, " \
    "which waits in front of it"

static void reader_reentry_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b, *d;
    (void)c;
    begin(ctx, &a, port, "/reads-twice");
    gee_sleep(ctx, 20);
    T_FINDS_NOTHING(); /* no writer was there: it has read twice */
    t_close(ctx, a);
    begin(ctx, &a, port, "/reads-twice");
    begin(ctx, &b, port, "/writes");
    begin(ctx, &d, port, "/reads"); /* one more, behind the writer */
    gee_sleep(ctx, 20);
    T_FINDS({"GET /reads-twice", STUCK, READS_BEHIND}, {"GET /writes", STUCK, WRITES_IN_FRONT},
            {"GET /reads", STUCK, ""});
    gee_rwmutex_runlock(&rw);
    gee_sleep(ctx, 200);
    T_FINDS_NOTHING();
    t_close(ctx, a);
    t_close(ctx, b);
    t_close(ctx, d);
}

T_SITE(reader_reentry, rw_routes)

/* A third one reads, and will end; the other two will not. */
static void reader_reentry_beside_another_reader_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a, *b, *d;
    (void)c;
    begin(ctx, &d, port, "/reads");
    begin(ctx, &a, port, "/reads-twice");
    begin(ctx, &b, port, "/writes");
    gee_sleep(ctx, 20);
    T_FINDS({"GET /reads-twice", STUCK, READS_BEHIND}, {"GET /writes", STUCK, WRITES_IN_FRONT});
    gee_sleep(ctx, 200); /* the reader has ended */
    T_FINDS({"GET /reads-twice", STUCK, READS_BEHIND}, {"GET /writes", STUCK, WRITES_IN_FRONT});
    gee_rwmutex_runlock(&rw);
    gee_sleep(ctx, 1);
    t_close(ctx, a);
    t_close(ctx, b);
    t_close(ctx, d);
}

T_SITE(reader_reentry_beside_another_reader, rw_routes)

static void upgrade_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a;
    (void)c;
    begin(ctx, &a, port, "/upgrades");
    T_FINDS({"GET /upgrades", STUCK, WRITING("A") " -> task A, which holds it"});
    gee_rwmutex_runlock(&rw);
    gee_sleep(ctx, 1);
    t_close(ctx, a);
}

T_SITE(upgrade, rw_routes)

/* Readers and a writer that wait for one who reads: all of them will have their turn. */
static void a_queue_of_readers_and_writers_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *of[6];
    (void)c;
    for (int i = 0; i < 6; i++)
        begin(ctx, &of[i], port, i % 2 ? "/writes" : "/reads");
    for (int ms = 0; ms < 400; ms += 20) {
        T_FINDS_NOTHING();
        gee_sleep(ctx, 20);
    }
    for (int i = 0; i < 6; i++) {
        T_EQ(t_response(ctx, of[i]), 200);
        t_close(ctx, of[i]);
    }
}

T_SITE(a_queue_of_readers_and_writers, rw_routes)

/* --- with channels and waitgroups: within one request --- */

static void receives_with_m(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_mutex_lock(NULL, &m);
    gee_chan_recv(NULL, ch, NULL);
    gee_mutex_unlock(&m);
    gee_waitgroup_done(&wg);
}

static void sends_under_m(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_mutex_lock(NULL, &m);
    gee_chan_send(NULL, ch, NULL);
    gee_mutex_unlock(&m);
    gee_waitgroup_done(&wg);
}

/* One of them has the mutex and waits for a value; who would send it waits for the mutex. */
static void mutex_and_channel(gee_req *req) {
    ch = gee_chan_new(0, 0);
    gee_waitgroup_add(&wg, 2);
    gee_go(gee_req_ctx(req), receives_with_m, NULL);
    gee_sleep(NULL, 1);
    gee_go(gee_req_ctx(req), sends_under_m, NULL);
    gee_waitgroup_wait(NULL, &wg);
    gee_chan_unref(ch);
    gee_string(req, 200, "done");
}

static void waits_for_its_own_done(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_waitgroup_wait(NULL, &wg);
    gee_waitgroup_done(&wg);
}

static void child_waits(gee_req *req) {
    gee_waitgroup_add(&wg, 1);
    gee_go(gee_req_ctx(req), waits_for_its_own_done, NULL);
    gee_waitgroup_wait(NULL, &wg);
    gee_string(req, 200, "done");
}

static void sends_a_result(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_chan_send(NULL, ch, NULL);
    gee_waitgroup_done(&wg);
}

/* In Go: wg.Wait() in front of the loop that receives the results. */
static void waits_before_it_receives(gee_req *req) {
    ch = gee_chan_new(0, 0);
    gee_waitgroup_add(&wg, 2);
    for (int i = 0; i < 2; i++)
        gee_go(gee_req_ctx(req), sends_a_result, NULL);
    gee_waitgroup_wait(NULL, &wg);
    for (int i = 0; i < 2; i++)
        gee_chan_recv(NULL, ch, NULL);
    gee_chan_unref(ch);
    gee_string(req, 200, "done");
}

/* Two with an inbox each, of which both are full. */
static void posts(gee_ctx *ctx, void *arg) {
    gee_chan *own = arg, *other = own == ch ? ci : ch;
    (void)ctx;
    gee_chan_recv(NULL, own, NULL);
    for (int i = 0; i < 3; i++)
        gee_chan_send(NULL, other, NULL);
    gee_chan_unref(own);
}

static void two_inboxes(gee_req *req) {
    ch = gee_chan_new(0, 1);
    ci = gee_chan_new(0, 1);
    gee_chan_send(NULL, ch, NULL);
    gee_chan_send(NULL, ci, NULL);
    gee_go(gee_background(), posts, ch);
    gee_go(gee_background(), posts, ci);
    gee_string(req, 200, "posted");
}

/* A stage in the middle of a pipeline has ended: who is left waits, but not for each other. */
static void first_stage(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_chan_send(NULL, arg, NULL);
    gee_chan_unref(arg);
}

static void last_stage(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_chan_recv(NULL, arg, NULL);
    gee_chan_unref(arg);
}

static void pipeline(gee_req *req) {
    ch = gee_chan_new(0, 0);
    ci = gee_chan_new(0, 0);
    gee_go(gee_background(), first_stage, ch);
    gee_go(gee_background(), last_stage, ci);
    gee_string(req, 200, "begun");
}

static void channel_routes(gee_group *r) {
    reset();
    gee_GET(r, "/mutex-and-channel", mutex_and_channel);
    gee_GET(r, "/child-waits", child_waits);
    gee_GET(r, "/waits-first", waits_before_it_receives);
    gee_GET(r, "/two-inboxes", two_inboxes);
    gee_GET(r, "/pipeline", pipeline);
}

#define RECEIVING(who) "task " who " (chan receive at " HERE "*)"
#define SENDING(who)   "task " who " (chan send at " HERE "*)"
#define AWAITING(who)  "task " who " (waitgroup wait at " HERE "*)"
#define LOCKED(who)    "task " who ", which locked it at " HERE "*"

static void a_mutex_and_a_channel_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a;
    (void)c;
    begin(ctx, &a, port, "/mutex-and-channel");
    gee_sleep(ctx, 5);
    T_FINDS(
        {"receives_with_m", STUCK,
         RECEIVING("A") " -> task B, which could send (mutex lock at " HERE "*) -> " LOCKED("A")},
        {"sends_under_m", STUCK,
         LOCK("A") " -> " LOCKED("B") " (chan receive at " HERE "*) -> task A, which could send"},
        {"GET /mutex-and-channel", STUCK, ""}); /* behind it */
    gee_chan_try_send(ch, NULL);
    gee_sleep(ctx, 1);
    gee_chan_try_recv(ch, NULL); /* now the other one has the mutex, and sends */
    T_EQ(t_response(ctx, a), 200);
    t_close(ctx, a);
}

T_SITE(a_mutex_and_a_channel, channel_routes)

static void a_child_that_waits_for_itself_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a;
    (void)c;
    begin(ctx, &a, port, "/child-waits");
    T_FINDS({"waits_for_its_own_done", STUCK, AWAITING("A") " -> task A, which may owe a done"},
            {"GET /child-waits", STUCK, ""});
    gee_waitgroup_done(&wg);
    T_EQ(t_response(ctx, a), 200);
    gee_sleep(ctx, 1);
    t_close(ctx, a);
}

T_SITE(a_child_that_waits_for_itself, channel_routes)

static void waiting_in_front_of_receiving_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *a;
    (void)c;
    begin(ctx, &a, port, "/waits-first");
    T_FINDS({"GET /waits-first", STUCK,
             AWAITING("A") " -> task B, which may owe a done (chan send at " HERE
                           "*) -> task A, which could receive"},
            {"sends_a_result", STUCK,
             SENDING("A") " -> task B, which could receive (waitgroup wait at " HERE
                          "*) -> task A, which may owe a done"},
            {"sends_a_result", STUCK,
             SENDING("A") " -> task B, which could receive (waitgroup wait at " HERE
                          "*) -> task A, which may owe a done"});
    for (int i = 0; i < 2; i++)
        gee_chan_try_recv(ch, NULL);
    gee_sleep(ctx, 1);
    for (int i = 0; i < 2; i++) {
        gee_chan_try_send(ch, NULL);
        gee_sleep(ctx, 1);
    }
    T_EQ(t_response(ctx, a), 200);
    t_close(ctx, a);
}

T_SITE(waiting_in_front_of_receiving, channel_routes)

static void close_both(gee_ctx *ctx) {
    gee_chan *of[] = {gee_chan_ref(ch), gee_chan_ref(ci)};
    for (int i = 0; i < 2; i++)
        gee_chan_close(of[i]);
    gee_sleep(ctx, 1);
    for (int i = 0; i < 2; i++)
        gee_chan_unref(of[i]);
}

static void two_full_inboxes_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/two-inboxes"), 200);
    gee_sleep(ctx, 1);
    T_FINDS({"posts", STUCK,
             SENDING("A") " -> task B, which received last (chan send at " HERE
                          "*) -> task A, which received last"},
            {"posts", STUCK,
             SENDING("A") " -> task B, which received last (chan send at " HERE
                          "*) -> task A, which received last"});
    close_both(ctx);
}

T_SITE(two_full_inboxes, channel_routes)

static void who_was_left_alone_is_in_no_circle_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/pipeline"), 200);
    gee_sleep(ctx, 1);
    T_FINDS({"first_stage", STUCK, ""}, {"last_stage", STUCK, ""});
    close_both(ctx);
}

T_SITE(who_was_left_alone_is_in_no_circle, channel_routes)

/* --- many, and long ones --- */

enum { RING = 12, ALONE = 300 };
static gee_mutex ring[RING];

static void rings(gee_ctx *ctx, void *arg) {
    int i = (int)(intptr_t)arg;
    (void)ctx;
    two(NULL, &ring[i], &ring[(i + 1) % RING]);
}

static void waits_alone(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_chan_recv(NULL, arg, NULL);
}

static void ring_and_others(gee_req *req) {
    ch = gee_chan_new(0, 0);
    for (int i = 0; i < ALONE; i++)
        gee_go(gee_background(), waits_alone, ch);
    for (int i = 0; i < RING; i++)
        gee_go(gee_background(), rings, (void *)(intptr_t)i);
    gee_string(req, 200, "begun");
}

static void ring_routes(gee_group *r) {
    memset(ring, 0, sizeof(ring));
    gee_GET(r, "/ring", ring_and_others);
}

static void a_long_circle_is_cut_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_leak *leaks;
    int circles = 0, none = 0;
    (void)port;
    T_EQ(t_get(ctx, c, "/ring"), 200);
    gee_sleep(ctx, 20);
    int found = gee_leakcheck(&leaks);
    for (int i = 0; i < found; i++) {
        size_t len = strlen(leaks[i].circle);
        none += len == 0;
        circles +=
            len == sizeof(leaks[i].circle) - 1 && strcmp(leaks[i].circle + len - 3, "...") == 0;
    }
    free(leaks);
    gee_mutex_unlock(&ring[0]);
    gee_chan_close(ch);
    gee_sleep(ctx, 20);
    gee_chan_unref(ch);
    T_EQ(found, RING + ALONE);
    T_EQ(circles, RING);
    T_EQ(none, ALONE);
}

T_SITE(a_long_circle_is_cut, ring_routes)

/* --- at random: who has not ended, and never will, is just who is found --- */

enum { LOCKS = 4, WANTS = 6, AT_RANDOM = 150 };

union any_lock {
    gee_mutex m;
    gee_rwmutex rw;
};

static union any_lock locks[LOCKS]; /* mutexes first, then rwmutexes */
static _Atomic uint32_t dice;       /* tasks throw it as they come */
static _Atomic int ended;

static uint32_t roll(uint32_t sides) {
    dice = dice * 1664525U + 1013904223U;
    return (dice >> 16) % sides;
}

struct wanting {
    int lock[3], n;
    bool writes[3];
};

static bool is_mutex(int i) {
    return i < LOCKS / 2;
}

static void take(const struct wanting *w, int i) {
    union any_lock *l = &locks[w->lock[i]];
    if (is_mutex(w->lock[i]))
        gee_mutex_lock(NULL, &l->m);
    else if (w->writes[i])
        gee_rwmutex_lock(NULL, &l->rw);
    else
        gee_rwmutex_rlock(NULL, &l->rw);
}

static void give_back(const struct wanting *w, int i) {
    union any_lock *l = &locks[w->lock[i]];
    if (is_mutex(w->lock[i]))
        gee_mutex_unlock(&l->m);
    else if (w->writes[i])
        gee_rwmutex_unlock(&l->rw);
    else
        gee_rwmutex_runlock(&l->rw);
}

static void wants(gee_ctx *ctx, void *arg) {
    const struct wanting *w = arg;
    (void)ctx;
    for (int i = 0; i < w->n; i++) {
        take(w, i);
        gee_sleep(NULL, 1 + roll(5));
    }
    for (int i = w->n; i-- > 0;)
        give_back(w, i);
    ended++;
}

/* Any three locks, in any order, or in the one order in which nobody can be in a circle. */
static void draw(struct wanting *w, bool in_order) {
    w->n = 1 + (int)roll(3);
    int at = 0;
    for (int i = 0; i < w->n; i++) {
        w->lock[i] = in_order ? at : (int)roll(LOCKS);
        at = w->lock[i] + 1;
        w->writes[i] = roll(2);
    }
    for (int i = 0; in_order && i < w->n; i++)
        w->n = w->lock[i] >= LOCKS ? i : w->n;
}

static void unlock_everything(void) {
    for (int i = 0; i < LOCKS; i++)
        if (is_mutex(i))
            gee_mutex_unlock(&locks[i].m);
        else if (gee_rwmutex_unlock(&locks[i].rw) < 0)
            gee_rwmutex_runlock(&locks[i].rw);
}

/* How many were found to be stuck; -1: it is wrong, or none of them is in a circle. */
static int who_is_stuck(void) {
    gee_leak *leaks;
    int n_found = gee_leakcheck(&leaks), circles = 0;
    for (int i = 0; i < n_found; i++) {
        circles += *leaks[i].circle != '\0';
        if (leaks[i].kind != STUCK || strcmp(leaks[i].task.name, "wants") != 0)
            circles = -1000;
    }
    free(leaks);
    return n_found == 0 || circles > 0 ? n_found : -1;
}

static void at_random(gee_ctx *ctx, void *arg) {
    bool in_order = arg != NULL;
    int deadlocks = 0;
    for (uint32_t round = 0; round < AT_RANDOM; round++) {
        struct wanting of[WANTS];
        memset(locks, 0, sizeof(locks));
        dice = round * 7919;
        ended = 0;
        for (int i = 0; i < WANTS; i++) {
            draw(&of[i], in_order);
            gee_go(ctx, wants, &of[i]);
        }
        int early = 0;
        for (int ms = 0; ms < 40 && early == 0; ms++) { /* whoever is found is so for good */
            gee_sleep(ctx, 1);
            early = who_is_stuck();
        }
        gee_sleep(ctx, 3600 * 1000);
        int left = WANTS - ended, found = who_is_stuck();
        for (int i = 0; ended < WANTS; i++) {
            unlock_everything();
            gee_sleep(ctx, 10);
        }
        deadlocks += left > 0;
        if (found != left || early < 0 || early > left)
            T_FAIL("round %u: %d have not ended, %d are found, early %d", round, left, found,
                   early);
    }
    T_CHECK(in_order ? deadlocks == 0 : deadlocks > AT_RANDOM / 10);
}

static void who_never_ends_is_found(void **state) {
    (void)state;
    t_sim(at_random, NULL);
}

static void in_one_order_nobody_is_found(void **state) {
    static char in_order;
    (void)state;
    t_sim(at_random, &in_order);
}

/* --- on two workers --- */

struct order {
    gee_mutex *first, *second;
};

static atomic_int holding;

/* Each wants its second lock when both have their first, however late a worker's thread runs. */
static void in_order(gee_ctx *ctx, void *arg) {
    struct order *of = arg;
    if (gee_mutex_lock(ctx, of->first) < 0)
        return;
    atomic_fetch_add(&holding, 1);
    while (atomic_load(&holding) < 2)
        gee_sleep(NULL, 1);
    if (gee_mutex_lock(ctx, of->second) == 0)
        gee_mutex_unlock(of->second);
    gee_mutex_unlock(of->first);
}

static void abba_on_two_workers(gee_ctx *ctx, void *arg) {
    struct order there_ = {&m, &n}, back_ = {&n, &m};
    gee_leak *leaks = NULL;
    int found = 0;
    (void)arg;
    reset();
    atomic_store(&holding, 0);
    gee_ctx *stop = gee_ctx_with_cancel(ctx);
    gee_go_on(0, stop, in_order, &there_);
    gee_go_on(1, stop, in_order, &back_);
    for (int ms = 0; ms < 10000 && found == 0; ms += 5) {
        gee_sleep(ctx, 5);
        free(leaks);
        found = gee_leakcheck(&leaks);
    }
    bool both =
        found == 2 && leaks[0].kind == CIRCLE && leaks[1].kind == CIRCLE &&
        is_like(leaks[0].circle, LOCK("A") HELD("B") " (mutex lock at " HERE "*)" HELD("A"));
    bool two_workers = both && leaks[0].task.worker != leaks[1].task.worker;
    free(leaks);
    gee_ctx_cancel(stop, 0);
    gee_ctx_unref(stop);
    while (gee_mutex_lock(ctx, &m) < 0 || gee_mutex_lock(ctx, &n) < 0)
        ;
    T_CHECK(both);
    T_CHECK(two_workers);
}

static void test_on_two_workers(void **state) {
    (void)state;
    t_real(2, abba_on_two_workers, NULL);
}

/* Tasks that wait for each other all the time, on both workers, and never in a circle. */
static void contends(gee_ctx *ctx, void *arg) {
    for (int i = 0; i < 200; i++) {
        gee_mutex_lock(NULL, &m);
        gee_rwmutex_rlock(ctx, &rw);
        gee_mutex_lock(NULL, &n);
        gee_yield();
        gee_mutex_unlock(&n);
        gee_rwmutex_runlock(&rw);
        gee_mutex_unlock(&m);
        if (gee_rwmutex_lock(NULL, &rw) == 0)
            gee_rwmutex_unlock(&rw);
    }
    ended++;
    gee_waitgroup_done(arg);
}

static void contention_on_two_workers(gee_ctx *ctx, void *arg) {
    enum { TASKS = 8 };
    gee_waitgroup at_work = {.count = 0};
    bool clean = true;
    (void)arg;
    reset();
    ended = 0;
    gee_waitgroup_add(&at_work, TASKS);
    for (int i = 0; i < TASKS; i++)
        gee_go_on(i % 2, ctx, contends, &at_work);
    while (ended < TASKS)
        clean = finds(NULL, 0) && clean;
    gee_waitgroup_wait(NULL, &at_work);
    T_CHECK(clean);
}

static void nobody_is_found_who_only_contends(void **state) {
    (void)state;
    t_real(2, contention_on_two_workers, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(abba),
    cmocka_unit_test(abba_that_listens),
    cmocka_unit_test(abba_of_which_one_listens),
    cmocka_unit_test(three_in_a_circle),
    cmocka_unit_test(one_that_waits_for_itself),
    cmocka_unit_test(who_was_handed_a_lock_holds_it),
    cmocka_unit_test(reader_reentry),
    cmocka_unit_test(reader_reentry_beside_another_reader),
    cmocka_unit_test(upgrade),
    cmocka_unit_test(a_queue_of_readers_and_writers),
    cmocka_unit_test(a_mutex_and_a_channel),
    cmocka_unit_test(a_child_that_waits_for_itself),
    cmocka_unit_test(waiting_in_front_of_receiving),
    cmocka_unit_test(two_full_inboxes),
    cmocka_unit_test(who_was_left_alone_is_in_no_circle),
    cmocka_unit_test(a_long_circle_is_cut),
    cmocka_unit_test(who_never_ends_is_found),
    cmocka_unit_test(in_one_order_nobody_is_found),
    cmocka_unit_test(test_on_two_workers),
    cmocka_unit_test(nobody_is_found_who_only_contends),
};

T_MAIN(tests)
