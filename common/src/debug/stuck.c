/*
 * Who is stuck: the largest set of parked tasks of which none can be woken by anyone
 * outside of it. All who wait for tasks alone, under no ctx, are suspects at first; one
 * that somebody else may wake is none, and may then itself wake others, and so on
 * until nothing changes. Go marks from the running goroutines in the same way, and asks
 * the garbage collector what they can reach; here each object knows its users.
 */
#include "debug/leakcheck.h"
#include "runtime/park.h"
#include "sync/chan.h"
#include <inttypes.h>
#include <stdio.h>

typedef struct crowd {
    gee_suspect *at;
    size_t n;
} crowd;

static gee_suspect *find(const crowd *all, uint64_t id) {
    size_t lo = 0, hi = all->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (all->at[mid].task->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < all->n && all->at[lo].task->id == id ? &all->at[lo] : NULL;
}

static bool is_at_work(const crowd *all, uint64_t id) {
    const gee_suspect *s = find(all, id);
    return s && !s->stuck;
}

static bool family_at_work(const crowd *all, const struct gee_users *u) {
    for (size_t i = 0; i < all->n; i++)
        for (int f = 0; f < GEE_USERS && !all->at[i].stuck; f++)
            if (u->family[f] != 0 && all->at[i].task->family == u->family[f])
                return true;
    return u->more;
}

/* Stuck tasks that wait on ch. Each of them has one reference at most. */
static int stuck_on(const crowd *all, const struct gee_waitq *q) {
    int n = 0;
    const gee_task *last = NULL;
    for (const gee_waiter *w = q->first; w; w = w->next) {
        const gee_suspect *s = find(all, w->park->task->id);
        n += s && s->stuck && w->park->task != last;
        last = w->park->task;
    }
    return n;
}

static bool chan_moves(const crowd *all, const gee_chan *ch) {
    if (ch == NULL)
        return false; /* a nil channel */
    int refs = atomic_load(&ch->refs);
    return refs > stuck_on(all, &ch->sendq) + stuck_on(all, &ch->recvq) ||
           family_at_work(all, &ch->users);
}

static bool select_moves(const crowd *all, const struct gee_selecting *s) {
    for (size_t i = 0; i < s->n; i++)
        if (chan_moves(all, s->cases[i].ch))
            return true;
    return false;
}

static bool mutex_moves(const crowd *all, const gee_mutex *m) {
    return m->holder == 0 || is_at_work(all, m->holder);
}

/*
 * One who holds it may leave; and a reader comes in beside readers as soon as nobody stands in
 * front of him who wants to write. Whoever does may give up its place, if it is at work.
 */
static bool rwmutex_moves(const crowd *all, const gee_rwmutex *m, const gee_task *t) {
    long holders = m->readers < 0 ? 1 : m->readers, known = 0;
    for (int i = 0; i < GEE_HOLDERS; i++) {
        known += m->holders[i] != 0;
        if (m->holders[i] != 0 && is_at_work(all, m->holders[i]))
            return true;
    }
    bool comes_in = m->readers >= 0 && t->reason == GEE_WAIT_RWMUTEX_R;
    for (const gee_waiter *w = m->queue.first; comes_in && w && w->park->task != t; w = w->next)
        if (w->park->task->reason == GEE_WAIT_RWMUTEX_W && !is_at_work(all, w->park->task->id))
            comes_in = false;
    return comes_in || known < holders;
}

static bool may_move(const crowd *all, const gee_task *t) {
    const void *on = t->park->on;
    switch (t->reason) {
    case GEE_WAIT_CHAN_SEND:
    case GEE_WAIT_CHAN_RECV:
        return chan_moves(all, on);
    case GEE_WAIT_SELECT:
        return select_moves(all, on);
    case GEE_WAIT_WAITGROUP:
        return family_at_work(all, &((const gee_waitgroup *)on)->users);
    case GEE_WAIT_MUTEX:
        return mutex_moves(all, on);
    case GEE_WAIT_RWMUTEX_R:
    case GEE_WAIT_RWMUTEX_W:
        return rwmutex_moves(all, on, t);
    default:
        return t->reason != GEE_WAIT_CTX; /* that never ends: a nil channel, too */
    }
}

/* Parked under no ctx, not about to be woken, and for nothing that the loop does. */
static bool is_suspect(const gee_task *t) {
    if (t->state != GEE_TASK_WAITING || atomic_load(&t->park->fired) != 0)
        return false;
    if (t->wait_ctx && t->wait_ctx != gee_background())
        return false;
    return t->park->on || t->reason == GEE_WAIT_CTX;
}

void gee_stuck_find(gee_suspect *by_id, size_t n) {
    crowd all = {by_id, n};
    for (size_t i = 0; i < n; i++)
        by_id[i].stuck = is_suspect(by_id[i].task);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < n; i++)
            if (by_id[i].stuck && may_move(&all, by_id[i].task)) {
                by_id[i].stuck = false;
                changed = true;
            }
    }
}

/* --- in words --- */

static void why_held(const crowd *all, uint64_t holder, const char *what, char *buf, size_t size) {
    const gee_suspect *s = find(all, holder);
    if (s == NULL)
        snprintf(buf, size, "task %" PRIu64 ", which holds the %s, has ended", holder, what);
    else
        snprintf(buf, size, "task %" PRIu64 " holds the %s, and is stuck in a %s at %s", holder,
                 what, gee_wait_reason_text(s->task->reason), s->task->parked_at);
}

static void why_rwmutex(const crowd *all, const gee_rwmutex *m, const gee_task *t, char *buf,
                        size_t size) {
    for (int i = 0; i < GEE_HOLDERS; i++)
        if (m->holders[i] == t->id) {
            const gee_waiter *w = m->queue.first;
            snprintf(buf, size, "it holds the lock itself, and task %" PRIu64 " is in front of it",
                     w ? w->park->task->id : 0);
            return;
        }
    for (int i = 0; i < GEE_HOLDERS; i++)
        if (m->holders[i] != 0) {
            why_held(all, m->holders[i], "lock", buf, size);
            return;
        }
}

void gee_stuck_why(const gee_suspect *by_id, size_t n, const gee_task *t, char *buf, size_t size) {
    crowd all = {(gee_suspect *)by_id, n};
    const void *on = t->park->on;
    *buf = '\0';
    if (t->reason == GEE_WAIT_CHAN_SEND && on)
        snprintf(buf, size, "nobody is left who could receive from the channel, or close it");
    else if (t->reason == GEE_WAIT_CHAN_RECV && on)
        snprintf(buf, size, "nobody is left who could send to the channel, or close it");
    else if (t->reason == GEE_WAIT_SELECT)
        snprintf(buf, size, "nobody is left at the other end of any of its channels");
    else if (t->reason == GEE_WAIT_WAITGROUP)
        snprintf(buf, size, "the count is %ld, and nobody is left who could call done",
                 ((const gee_waitgroup *)on)->count);
    else if (t->reason == GEE_WAIT_MUTEX)
        why_held(&all, ((const gee_mutex *)on)->holder, "mutex", buf, size);
    else if (t->reason == GEE_WAIT_RWMUTEX_R || t->reason == GEE_WAIT_RWMUTEX_W)
        why_rwmutex(&all, on, t, buf, size);
    else
        snprintf(buf, size, "it waits for the end of a ctx that never ends, or on a nil channel");
}
