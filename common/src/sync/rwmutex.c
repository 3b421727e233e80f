/*
 * Reader-writer lock, first come, first served: a reader waits if a writer is
 * before it in the queue, and an unlock lets in the head of the queue, a writer
 * alone or all readers up to the next writer.
 */
#include "base/tools.h"
#include "sync/waitq.h"

enum { READER, WRITER };

static bool admits(const gee_rwmutex *m, int kind) {
    return kind == WRITER ? m->readers == 0 : m->readers >= 0;
}

static void enter(gee_rwmutex *m, int kind, const gee_task *t) {
    m->readers = kind == WRITER ? -1 : m->readers + 1;
    for (int i = 0; t && i < GEE_HOLDERS; i++)
        if (m->holders[i] == 0) {
            m->holders[i] = gee_task_id(t);
            break;
        }
}

/* Whoever unlocks: one of those that hold it is the caller, unless it does so for another. */
static void leave(gee_rwmutex *m) {
    const gee_task *t = gee_task_self();
    m->readers = m->readers < 0 ? 0 : m->readers - 1;
    for (int i = 0; i < GEE_HOLDERS; i++)
        if (m->readers == 0) {
            m->holders[i] = 0;
        } else if (t && m->holders[i] == gee_task_id(t)) {
            m->holders[i] = 0;
            break;
        }
}

/* TSan: writers are ordered with everyone, readers among themselves are not. */
static void acquired(gee_rwmutex *m, int kind) {
    gee_race_acquire(&m->readers);
    if (kind == WRITER)
        gee_race_acquire(&m->queue);
}

/* Under the lock, which it gives back: whoever may come in now does. */
static void admit(gee_rwmutex *m) {
    struct gee_waitq in = {NULL, NULL};
    for (gee_waiter *w; (w = m->queue.first) != NULL && admits(m, w->kind);) {
        gee_waitq_del(&m->queue, w);
        if (!gee_park_claim(w->park, w->index))
            continue;
        enter(m, w->kind, w->park->task);
        gee_waitq_push(&in, w);
    }
    gee_spin_unlock(&m->lock);
    for (gee_waiter *w; (w = in.first) != NULL;) {
        gee_waitq_del(&in, w);
        gee_task_ready(w->park->task);
    }
}

static int lock(gee_ctx *ctx, gee_rwmutex *m, int kind, gee_site site) {
    gee_spin_lock(&m->lock);
    if (m->queue.first == NULL && admits(m, kind)) {
        enter(m, kind, gee_task_self());
        gee_spin_unlock(&m->lock);
        acquired(m, kind);
        return 0;
    }
    gee_waiter w = {.kind = kind};
    int rc = gee_waitq_wait(ctx, &m->lock, &m->queue, &w, m,
                            kind == WRITER ? GEE_WAIT_RWMUTEX_W : GEE_WAIT_RWMUTEX_R, site);
    if (rc == 0) {
        acquired(m, kind);
        return 0;
    }
    gee_spin_lock(&m->lock);
    admit(m); /* a writer that gave up may have been all that stood before some readers */
    return rc;
}

int gee_rwmutex_rlock_at(gee_ctx *ctx, gee_rwmutex *m, gee_site site) {
    return lock(ctx, m, READER, site);
}

int gee_rwmutex_lock_at(gee_ctx *ctx, gee_rwmutex *m, gee_site site) {
    return lock(ctx, m, WRITER, site);
}

int gee_rwmutex_runlock(gee_rwmutex *m) {
    gee_race_release(&m->queue);
    gee_spin_lock(&m->lock);
    if (m->readers <= 0) {
        gee_spin_unlock(&m->lock);
        return UV_EINVAL;
    }
    leave(m);
    admit(m);
    return 0;
}

int gee_rwmutex_unlock(gee_rwmutex *m) {
    gee_race_release(&m->readers);
    gee_spin_lock(&m->lock);
    if (m->readers != -1) {
        gee_spin_unlock(&m->lock);
        return UV_EINVAL;
    }
    leave(m);
    admit(m);
    return 0;
}
