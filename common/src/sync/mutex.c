/*
 * The mutex. Who waits is parked, first come, first served; but what a lock costs is what it costs
 * to be handed over. A waiter of the unlocker's own worker is the next to run there, and gets the
 * lock at once. A waiter of another worker has first to be woken, which takes a hundred times as
 * long as most sections: if the lock were his meanwhile, whoever comes would have to park as well,
 * and be woken in his turn. This is called a convoy, and one that has formed stays. So
 *
 * - who finds the lock held on another worker looks on for a while before it parks;
 * - a waiter of another worker is woken, and the lock is free until it comes;
 * - if somebody else has it by then, the waiter goes back to the head of the queue, and the next
 *   unlock hands it over whatever that costs. So each is passed over once at most.
 */
#include "base/tools.h"
#include "runtime/worker.h"
#include "sync/waitq.h"

/* Looks at a lock that is held elsewhere; Valgrind runs one thread at a time. */
#ifdef GEE_VALGRIND
enum { LOOKS = 0 };
#else
enum { LOOKS = 64 };
#endif

enum { NEW, PASSED }; /* kinds of waiters: PASSED was woken, and came too late */
enum { HAS_IT, WOKEN };

/* Written under the lock, and read without it by who looks on. */
static bool is_locked(const gee_mutex *m) {
    return atomic_load_explicit(&m->locked, memory_order_relaxed);
}

static void hold(gee_mutex *m, const gee_task *t, gee_site site) {
    atomic_store_explicit(&m->locked, true, memory_order_relaxed);
    m->holder = t ? gee_task_id(t) : 0;
    m->worker = t ? t->worker : gee_worker_self();
    m->locked_at = site;
}

/* Under the lock, which it gives back. */
static bool take(gee_mutex *m, gee_site site) {
    bool got = !is_locked(m);
    if (got)
        hold(m, gee_task_self(), site);
    gee_spin_unlock(&m->lock);
    return got;
}

bool gee_mutex_trylock_at(gee_mutex *m, gee_site site) {
    gee_spin_lock(&m->lock);
    bool got = take(m, site);
    if (got)
        gee_race_acquire(m);
    return got;
}

/* Who has it on another worker may be about to give it back. Under the lock, but for the while. */
static void look_on(gee_mutex *m) {
    bool locked = m->worker != gee_worker_self() && LOOKS > 0;
    if (!locked)
        return;
    gee_spin_unlock(&m->lock);
    for (int i = 0; locked && i < LOOKS; i++) {
        gee_spin_pause();
        locked = is_locked(m);
    }
    gee_spin_lock(&m->lock);
}

/* HAS_IT; WOKEN: it may be free now; ctx's error. */
static int take_or_wait(gee_ctx *ctx, gee_mutex *m, int kind, gee_site site) {
    gee_spin_lock(&m->lock);
    if (is_locked(m))
        look_on(m);
    if (kind == PASSED)
        m->woken = false;
    if (!is_locked(m))
        return take(m, site) ? HAS_IT : WOKEN;
    gee_waiter w = {.kind = kind};
    if (kind == PASSED)
        gee_waitq_push_first(&m->queue, &w);
    int rc = gee_waitq_wait(ctx, &m->lock, &m->queue, &w, m, GEE_WAIT_MUTEX, site);
    return rc == 0 ? w.rc : rc;
}

int gee_mutex_lock_at(gee_ctx *ctx, gee_mutex *m, gee_site site) {
    int rc = take_or_wait(ctx, m, NEW, site);
    if (rc == WOKEN)
        rc = take_or_wait(ctx, m, PASSED, site); /* who was passed over is not only woken again */
    if (rc == HAS_IT)
        gee_race_acquire(m);
    return rc;
}

/* The next waiter, claimed; NULL: there is none, or who is on its way already is enough. */
static gee_waiter *next_of(gee_mutex *m) {
    const gee_waiter *w = m->queue.first;
    if (w && w->kind == NEW && m->woken && w->park->task->worker != gee_worker_self())
        return NULL;
    return gee_waitq_claim(&m->queue);
}

int gee_mutex_unlock(gee_mutex *m) {
    gee_race_release(m);
    gee_spin_lock(&m->lock);
    if (!is_locked(m)) {
        gee_spin_unlock(&m->lock);
        return UV_EINVAL;
    }
    gee_waiter *w = next_of(m);
    gee_task *next = w ? w->park->task : NULL;
    atomic_store_explicit(&m->locked, false, memory_order_relaxed);
    m->holder = 0;
    m->locked_at = NULL;
    if (next && (w->kind == PASSED || m->woken || next->worker == gee_worker_self())) {
        hold(m, next, w->site);
        w->rc = HAS_IT;
    } else if (next) {
        m->woken = true;
        w->rc = WOKEN;
    }
    gee_spin_unlock(&m->lock);
    if (next)
        gee_task_ready(next);
    return 0;
}
