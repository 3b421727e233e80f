/*
 * How long tasks have waited for others, where, and for what: the profiles block and mutex.
 *
 * It is counted when a wait is over, in the task that has waited, so its stack is that of the
 * wait; into two profiles of its worker, which nobody else touches. While nobody counts, a wait has
 * one pointer to look at, which is not there.
 */
#include "base/count.h"
#include "base/tools.h"
#include "gee/sync.h"
#include "pprof/pprof.h"
#include "pprof/stack.h"
#include "runtime/worker.h"

static const gee_prof_type types[] = {{"contentions", "count"}, {"delay", "nanoseconds"}};

/* Of each worker; it alone. */
static struct counted { gee_prof *block, *mutex; } counted[GEE_MAX_WORKERS];

/* Under lock. */
static struct {
    gee_mutex lock;
    uint64_t run; /* of the runtime that this is about */
    int on;       /* how often */
} watch;

static gee_prof *new_profile(void) {
    return gee_prof_new(types, 2, types[0], 1);
}

static bool is_lock(enum gee_wait_reason r) {
    return r == GEE_WAIT_MUTEX || r == GEE_WAIT_RWMUTEX_R || r == GEE_WAIT_RWMUTEX_W;
}

/* Who sleeps, or waits for the end of a ctx, waits for nobody (and so does who takes a profile). */
static bool is_for_somebody(enum gee_wait_reason r) {
    return r != GEE_WAIT_SLEEP && r != GEE_WAIT_CTX;
}

static void count(const gee_task *t, const uintptr_t *frame, uint64_t waited_ns) {
    const struct counted *own = &counted[t->worker->index];
    const int64_t values[] = {1, (int64_t)waited_ns};
    uintptr_t pcs[64];
    gee_prof_stack s;
    s.n = s.nlabels = 0;
    int n = gee_prof_walk(frame[1], frame[0], (uintptr_t)frame, (uintptr_t)gee_stack_top(&t->stack),
                          pcs, 64);
    for (int i = 0; i < n; i++)
        gee_prof_push_pc(&s, pcs[i]);
    gee_prof_push_frame(&s, "created by ", t->created_at);
    gee_prof_label_add(&s, "reason", gee_wait_reason_text(t->reason));
    gee_prof_add(own->block, &s, values);
    if (is_lock(t->reason))
        gee_prof_add(own->mutex, &s, values);
}

/* Tasks of one worker do not run at the same time: not a race, though TSan cannot know. */
static void on_waited(gee_task *t, uint64_t waited_ns) {
    const uintptr_t *frame = __builtin_frame_address(0);
    if (!is_for_somebody(t->reason))
        return;
    gee_tsan_ignore_begin();
    count(t, frame, waited_ns);
    gee_tsan_ignore_end();
}

/* --- on and off --- */

static void drop(struct counted *c) {
    gee_prof_free(c->block);
    gee_prof_free(c->mutex);
    *c = (struct counted){NULL, NULL};
}

struct order {
    bool on;
    int rc;
};

static void obey(gee_ctx *ctx, void *arg) {
    struct order *o = arg;
    gee_worker *w = gee_worker_self();
    struct counted *own = &counted[w->index];
    (void)ctx;
    gee_tsan_ignore_begin();
    drop(own);
    w->on_waited = NULL;
    if (o->on)
        *own = (struct counted){new_profile(), new_profile()};
    if (o->on && own->block && own->mutex)
        w->on_waited = on_waited;
    o->rc = w->on_waited || !o->on ? 0 : UV_ENOMEM;
    gee_tsan_ignore_end();
}

static int order(bool on) {
    struct order orders[GEE_MAX_WORKERS];
    for (int i = 0; i < GEE_MAX_WORKERS; i++)
        orders[i] = (struct order){on, 0};
    int rc = gee_prof_on_each(obey, orders);
    for (int i = 0; i < GEE_MAX_WORKERS; i++)
        rc = orders[i].rc < 0 ? orders[i].rc : rc;
    return rc;
}

/* What an earlier run has left on is off. */
static void begin_run(uint64_t run) {
    if (watch.run == run)
        return;
    watch.run = run;
    watch.on = 0;
    for (int i = 0; i < GEE_MAX_WORKERS; i++)
        drop(&counted[i]);
}

int gee_pprof_count_waits(bool on) {
    int rc = 0;
    gee_mutex_lock(NULL, &watch.lock);
    begin_run(gee_runtime_current()->run);
    if (on ? watch.on == 0 : watch.on == 1)
        rc = order(on);
    if (on && rc < 0)
        order(false);
    else if (on || watch.on > 0)
        watch.on += on ? 1 : -1;
    gee_mutex_unlock(&watch.lock);
    return on ? rc : 0;
}

/* --- what was counted --- */

struct copy {
    gee_prof *block, *mutex; /* one of them */
};

static void copy(gee_ctx *ctx, void *arg) {
    struct copy *c = arg;
    const struct counted *own = &counted[gee_worker_index()];
    (void)ctx;
    gee_tsan_ignore_begin();
    if (c->block && own->block)
        gee_prof_merge(c->block, own->block, 1);
    if (c->mutex && own->mutex)
        gee_prof_merge(c->mutex, own->mutex, 1);
    gee_tsan_ignore_end();
}

static gee_prof *take(bool mutex) {
    struct copy copies[GEE_MAX_WORKERS] = {0};
    gee_prof *p = new_profile();
    int n = gee_workers(), rc = 0;
    for (int i = 0; p && i < n; i++) {
        gee_prof *part = new_profile();
        copies[i] = mutex ? (struct copy){NULL, part} : (struct copy){part, NULL};
        rc = part ? rc : UV_ENOMEM;
    }
    if (p && rc == 0)
        rc = gee_prof_on_each(copy, copies);
    for (int i = 0; p && i < n; i++) {
        gee_prof *part = mutex ? copies[i].mutex : copies[i].block;
        if (part)
            gee_prof_merge(p, part, 1);
        gee_prof_free(part);
    }
    if (p && rc < 0)
        p->rc = rc;
    return p;
}

static gee_prof *take_block(void) {
    return take(false);
}

static gee_prof *take_mutex(void) {
    return take(true);
}

const gee_prof_kind gee_prof_block = {.name = "block",
                                      .title = "contention",
                                      .form = GEE_PROF_CONTENTION,
                                      .take = take_block,
                                      .watch = gee_pprof_count_waits};
const gee_prof_kind gee_prof_mutex = {.name = "mutex",
                                      .form = GEE_PROF_CONTENTION,
                                      .take = take_mutex,
                                      .watch = gee_pprof_count_waits};
