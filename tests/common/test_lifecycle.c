/*
 * The life of a task, state by state (runtime/task.h; ch01-leaks/lifecycle.md is the table): when
 * it enters each, what it holds there, and what is given back at which moment. Here it is brought
 * into every reason to wait that there is: a new one without a walk through it fails.
 * How a life begins and ends is in test_lifecycle_end.c.
 */
#include "runtime/park.h"
#include "runtime/worker.h"
#include "t_left.h"
#include "t_life.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    REASONS = 0
#define X(id, text) +1
    GEE_WAIT_REASONS(X)
#undef X
};
static bool walked[REASONS];

/* --- what a task waits for --- */

struct stage {
    gee_chan *ch;
    gee_waitgroup wg;
    gee_mutex m;
    gee_rwmutex rw;
    gee_ctx *other;
    uv_sem_t go;
    const struct wait *wait;
    bool deaf; /* it waits under no ctx */
    atomic_int on_thread, rc;
};

struct wait {
    enum gee_wait_reason reason;
    void (*before)(struct stage *s); /* so that it has to wait; NULL: it has to anyway */
    int (*wait)(gee_ctx *ctx, struct stage *s);
    void (*wake)(struct stage *s); /* what it waits for happens, on this worker */
};

static int wait_sleep(gee_ctx *ctx, struct stage *s) {
    (void)s;
    return gee_sleep(ctx, 100);
}

static void wake_sleep(struct stage *s) {
    (void)s;
    gee_sleep(NULL, 100);
}

static int wait_send(gee_ctx *ctx, struct stage *s) {
    return gee_chan_send(ctx, s->ch, &(int){7});
}

static void wake_send(struct stage *s) {
    int v;
    gee_chan_try_recv(s->ch, &v);
}

static int wait_recv(gee_ctx *ctx, struct stage *s) {
    int v;
    return gee_chan_recv(ctx, s->ch, &v);
}

static int wait_select(gee_ctx *ctx, struct stage *s) {
    int v;
    gee_case one = {.op = GEE_RECV, .ch = s->ch, .elem = &v};
    return gee_select(ctx, &one, 1);
}

static void wake_recv(struct stage *s) {
    gee_chan_try_send(s->ch, &(int){7});
}

static void before_waitgroup(struct stage *s) {
    gee_waitgroup_add(&s->wg, 1);
}

static int wait_waitgroup(gee_ctx *ctx, struct stage *s) {
    return gee_waitgroup_wait(ctx, &s->wg);
}

static void wake_waitgroup(struct stage *s) {
    gee_waitgroup_done(&s->wg);
}

static void before_mutex(struct stage *s) {
    gee_mutex_trylock(&s->m);
}

static int wait_mutex(gee_ctx *ctx, struct stage *s) {
    return gee_mutex_lock(ctx, &s->m);
}

static void wake_mutex(struct stage *s) {
    gee_mutex_unlock(&s->m);
}

static void before_rwmutex(struct stage *s) {
    gee_rwmutex_lock(NULL, &s->rw);
}

static int wait_rlock(gee_ctx *ctx, struct stage *s) {
    return gee_rwmutex_rlock(ctx, &s->rw);
}

static int wait_lock(gee_ctx *ctx, struct stage *s) {
    return gee_rwmutex_lock(ctx, &s->rw);
}

static void wake_rwmutex(struct stage *s) {
    gee_rwmutex_unlock(&s->rw);
}

static int wait_ctx(gee_ctx *ctx, struct stage *s) {
    (void)ctx;
    return gee_ctx_wait(s->other) == UV_ECANCELED ? 0 : -1;
}

static void wake_ctx(struct stage *s) {
    gee_ctx_cancel(s->other, 0);
}

static const struct wait waits[] = {
    {GEE_WAIT_SLEEP, NULL, wait_sleep, wake_sleep},
    {GEE_WAIT_CHAN_SEND, NULL, wait_send, wake_send},
    {GEE_WAIT_CHAN_RECV, NULL, wait_recv, wake_recv},
    {GEE_WAIT_SELECT, NULL, wait_select, wake_recv},
    {GEE_WAIT_WAITGROUP, before_waitgroup, wait_waitgroup, wake_waitgroup},
    {GEE_WAIT_MUTEX, before_mutex, wait_mutex, wake_mutex},
    {GEE_WAIT_RWMUTEX_R, before_rwmutex, wait_rlock, wake_rwmutex},
    {GEE_WAIT_RWMUTEX_W, before_rwmutex, wait_lock, wake_rwmutex},
    {GEE_WAIT_CTX, NULL, wait_ctx, wake_ctx},
};

/* In the task. */
static void walker(gee_ctx *ctx, void *arg) {
    struct stage *s = arg;
    gee_task *self = gee_task_self();
    bool running = self->state == GEE_TASK_RUNNING && gee_worker_self()->current == self &&
                   self->stack.base != NULL && !gee_list_linked(&self->link);
    if (!running)
        t_fail(__FILE__, __LINE__, "a task that runs is not RUNNING, or has no stack");
    atomic_store(&s->rc, s->wait->wait(s->deaf ? NULL : ctx, s));
}

/* --- the walk: from the outside, by the task that started it --- */

#define STEP(check)     \
    do {                \
        check;          \
        if (t_failed()) \
            return;     \
    } while (0)

enum end { BY_ITSELF, BY_OWNER, DEAF };

static void check_new(const gee_task *t, int64_t held, int64_t before) {
    T_EQ(t->state, GEE_TASK_RUNNABLE);
    T_CHECK(gee_list_linked(&t->link)); /* in the run queue */
    T_CHECK(t->stack.base == NULL);     /* a stack is taken when it first runs */
    T_EQ(t_stacks_held(), held);
    T_EQ(t_tasks(), before + 1);
    T_STR(t_look_at(t->id).state, "runnable");
    T_STR(t_look_at(t->id).reason, "");
}

static void check_waiting(const gee_task *t, enum gee_wait_reason reason, bool hears) {
    gee_task_info info = t_look_at(t->id);
    T_EQ(t->state, GEE_TASK_WAITING);
    T_STR(gee_wait_reason_text(t->reason), gee_wait_reason_text(reason));
    T_CHECK(!gee_list_linked(&t->link)); /* in no queue of the worker: somebody else has its park */
    T_CHECK(t->park && t->stack.base);
    T_STR(info.state, "waiting");
    T_STR(info.reason, gee_wait_reason_text(reason));
    T_CHECK(info.parked_at && strstr(info.parked_at, ".c:"));
    if (info.hears_ctx != hears)
        T_FAIL("%s at %s: it does%s listen to its owner", info.reason, info.parked_at,
               info.hears_ctx ? "" : " not");
}

/* Woken, and not yet its turn: it has all that it had. */
static void check_woken(const gee_task *t) {
    T_EQ(t->state, GEE_TASK_RUNNABLE);
    T_CHECK(gee_list_linked(&t->link) && t->stack.base);
    T_STR(t_look_at(t->id).state, "runnable");
    T_STR(t_look_at(t->id).reason, "");
    T_CHECK(t_look_at(t->id).parked_at == NULL);
    T_EQ(t_owners_freed(), 0);
}

static void walk(gee_ctx *ctx, struct stage *s, enum end end) {
    const struct wait *w = s->wait;
    gee_ctx *owner = t_owner(ctx);
    int64_t held = t_stacks_held(), before = t_tasks();
    s->other = gee_ctx_with_cancel(s->deaf ? NULL : owner);
    if (w->before)
        w->before(s);
    T_RC(gee_go(owner, walker, s), 0);
    gee_task *t = t_youngest();
    uint64_t id = t->id;
    STEP(check_new(t, held, before));
    gee_sleep(NULL, 1);
    T_EQ(t_stacks_held(), held + 1);
    STEP(check_waiting(t, w->reason, !s->deaf));
    if (end != BY_ITSELF) {
        gee_ctx_end(owner); /* of which now only the task has a reference */
        T_EQ(t_owners_freed(), 0);
        if (end == BY_OWNER)
            STEP(check_woken(t));
        gee_sleep(NULL, 1);
    }
    if (end == DEAF) { /* a minute later nothing has been given back */
        gee_sleep(NULL, 60000);
        STEP(check_waiting(t, w->reason, false));
        T_RC(t_look_at(id).ctx_err, UV_ECANCELED);
        T_EQ(t_stacks_held(), held + 1);
        T_EQ(t_owners_freed(), 0);
    }
    if (end != BY_OWNER) {
        w->wake(s);
        if (w->reason != GEE_WAIT_SLEEP) /* which is over by now, and the task too */
            STEP(check_woken(t));
        gee_sleep(NULL, 1);
    }
    /* It is dead, and t is nothing any more. */
    T_STR(t_look_at(id).state, "gone");
    T_EQ(t_stacks_held(), held);
    T_EQ(t_tasks(), before);
    T_RC(atomic_load(&s->rc), end == BY_OWNER && w->reason != GEE_WAIT_CTX ? UV_ECANCELED : 0);
    gee_ctx_end(s->other);
    if (end == BY_ITSELF)
        gee_ctx_end(owner);
    T_EQ(t_owners_freed(), 1);
    walked[w->reason] = true;
}

static void walk_each(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++)
        for (int end = BY_ITSELF; end <= DEAF && !t_failed(); end++) {
            if (end == DEAF && waits[i].reason == GEE_WAIT_SLEEP)
                continue; /* it ends by itself */
            struct stage s = {
                .ch = gee_chan_new(sizeof(int), 0), .wait = &waits[i], .deaf = end == DEAF};
            walk(ctx, &s, (enum end)end);
            gee_chan_unref(s.ch);
            if (t_failed())
                print_error("the reason was: %s\n", gee_wait_reason_text(waits[i].reason));
        }
}

/* --- blocking work: only the real loop has threads --- */

static void block(void *arg) {
    struct stage *s = arg;
    atomic_store(&s->on_thread, 1);
    uv_sem_wait(&s->go);
}

static int wait_blocking(gee_ctx *ctx, struct stage *s) {
    return gee_blocking(ctx, block, s);
}

/* Once it is on a thread it is waited for, whatever becomes of its owner. */
static void walk_blocking(gee_ctx *ctx, void *arg) {
    static const struct wait blocking = {GEE_WAIT_BLOCKING, NULL, wait_blocking, NULL};
    struct stage s = {.wait = &blocking};
    gee_ctx *owner = t_owner(ctx);
    int64_t held = t_stacks_held();
    (void)arg;
    uv_sem_init(&s.go, 0);
    T_RC(gee_go(owner, walker, &s), 0);
    gee_task *t = t_youngest();
    uint64_t id = t->id;
    while (!atomic_load(&s.on_thread))
        gee_sleep(NULL, 1);
    STEP(check_waiting(t, GEE_WAIT_BLOCKING, true));
    gee_ctx_end(owner);
    gee_yield(); /* it runs, finds that it cannot be taken back, and waits again */
    STEP(check_waiting(t, GEE_WAIT_BLOCKING, false));
    T_EQ(t_stacks_held(), held + 1);
    T_EQ(t_owners_freed(), 0);
    uv_sem_post(&s.go);
    while (strcmp(t_look_at(id).state, "gone") != 0)
        gee_sleep(NULL, 1);
    T_RC(atomic_load(&s.rc), 0);
    T_EQ(t_stacks_held(), held);
    T_EQ(t_owners_freed(), 1);
    uv_sem_destroy(&s.go);
    walked[GEE_WAIT_BLOCKING] = true;
}

static gee_lane narrow = {.name = "narrow", .most = 1};

static int wait_in_lane(gee_ctx *ctx, struct stage *s) {
    return gee_blocking_in(&narrow, ctx, block, s);
}

/* Without a thread yet, it can be taken back. */
static void walk_thread(gee_ctx *ctx, void *arg) {
    static const struct wait in_lane = {GEE_WAIT_THREAD, NULL, wait_in_lane, NULL};
    struct stage first = {.wait = &in_lane}, second = {.wait = &in_lane};
    gee_ctx *owner = t_owner(ctx);
    (void)arg;
    uv_sem_init(&first.go, 0);
    T_RC(gee_go(ctx, walker, &first), 0);
    while (!atomic_load(&first.on_thread))
        gee_sleep(NULL, 1);
    T_RC(gee_go(owner, walker, &second), 0);
    gee_task *t = t_youngest();
    uint64_t id = t->id;
    gee_yield();
    STEP(check_waiting(t, GEE_WAIT_THREAD, true));
    gee_ctx_end(owner);
    while (strcmp(t_look_at(id).state, "gone") != 0)
        gee_sleep(NULL, 1);
    T_RC(atomic_load(&second.rc), UV_ECANCELED);
    T_EQ(atomic_load(&second.on_thread), 0);
    T_EQ(t_owners_freed(), 1);
    uv_sem_post(&first.go);
    while (t_tasks() > 1)
        gee_sleep(NULL, 1);
    T_RC(atomic_load(&first.rc), 0); /* its last word: behind it this stack is this task's again */
    uv_sem_destroy(&first.go);
    walked[GEE_WAIT_THREAD] = true;
}

/* --- reading and writing: the task of a request --- */

enum { LARGE = 256 * 1024 };

static void reads(gee_req *req) {
    const char *body;
    size_t n;
    if (gee_body(req, &body, &n) == 0)
        gee_data(req, 200, "text/plain", body, n);
}

static void writes(gee_req *req) {
    char *large = gee_alloc(req, LARGE);
    gee_write(req, memset(large, 'x', LARGE), LARGE);
    gee_flush(req);
}

static void answers(gee_req *req) {
    char *large = gee_alloc(req, LARGE);
    gee_data(req, 200, "text/plain", memset(large, 'x', LARGE), LARGE);
}

static void io_routes(gee_group *r) {
    gee_POST(r, "/reads", reads);
    gee_GET(r, "/writes", writes);
    gee_GET(r, "/answers", answers);
}

static void walk_write(gee_ctx *ctx, t_conn *c, const char *request, bool hears) {
    int64_t held = t_stacks_held(), before = t_tasks();
    t_puts(ctx, c, request);
    gee_sleep(ctx, 1);
    T_EQ(t_stacks_held(), held + 1);
    STEP(check_waiting(t_youngest(), GEE_WAIT_IO_WRITE, hears));
    T_EQ(t_response(ctx, c), 200);
    T_EQ(t_body_size(c), LARGE);
    gee_sleep(ctx, 1);
    T_EQ(t_stacks_held(), held);
    T_EQ(t_tasks(), before);
}

static void walk_io(gee_ctx *ctx, t_conn *c, int port) {
    int64_t held = t_stacks_held(), before = t_tasks();
    (void)port;
    t_puts(ctx, c, "POST /reads HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n");
    gee_sleep(ctx, 1);
    T_EQ(t_stacks_held(), held + 1);
    STEP(check_waiting(t_youngest(), GEE_WAIT_IO_READ, true));
    t_puts(ctx, c, "hello");
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "hello");
    gee_sleep(ctx, 1);
    T_EQ(t_stacks_held(), held); /* the connection is there; its task is not */
    T_EQ(t_tasks(), before);
    STEP(walk_write(ctx, c, "GET /writes HTTP/1.1\r\nHost: t\r\n\r\n", true));
    /* The last write of a response is not the handler's to give up: a deadline ends it. */
    STEP(walk_write(ctx, c, "GET /answers HTTP/1.1\r\nHost: t\r\n\r\n", false));
    walked[GEE_WAIT_IO_READ] = walked[GEE_WAIT_IO_WRITE] = true;
}

static void test_every_reason_to_wait(void **state) {
    (void)state;
    memset(walked, 0, sizeof(walked));
    t_sim(walk_each, NULL);
    t_real(1, walk_blocking, NULL);
    t_real(1, walk_thread, NULL);
    t_site_sim(&(t_site){io_routes, walk_io, NULL, 4096});
    for (int i = GEE_WAIT_NONE + 1; i < REASONS; i++)
        if (!walked[i])
            fail_msg("no task was brought to wait for: %s",
                     gee_wait_reason_text((enum gee_wait_reason)i));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_reason_to_wait),
};

T_MAIN(tests)
