/*
 * Who waits for whom in a circle. A task that waits for a lock waits for its holder, and nothing is
 * more exact. Who else could end a wait is known less well: a channel remembers who used it last
 * at either end, and, as a waitgroup does, from which tasks its users descend. Such a relative is
 * taken for the next in a circle only if he waits for something of another sort: two who are
 * stuck in the same way have been left alone, by a third. Circles in which each relative waits for
 * a lock come first; what is in one of these explains who waits behind it, and is in no other.
 *
 * The search is for the shortest circle, step by step from the task outwards, and has a limit:
 * all workers stand still meanwhile.
 */
#include "debug/leakcheck.h"
#include "runtime/park.h"
#include "sync/chan.h"
#include <inttypes.h>
#include <stdio.h>

typedef struct hop {
    const gee_task *task;
    int from;        /* index of the hop that waits for this task; of the first one -1 */
    const char *how; /* this one is waited for: "which holds it" */
    gee_site at;     /* where it locked what it holds; NULL: not known */
} hop;

enum { HOPS = 64, LAST = HOPS };

typedef struct search {
    gee_circles *c;
    int n;
    bool found;
    hop hops[HOPS + 1]; /* the last one: back at the first task */
} search;

/* --- the edges --- */

static bool is_lock(enum gee_wait_reason r) {
    return r == GEE_WAIT_MUTEX || r == GEE_WAIT_RWMUTEX_R || r == GEE_WAIT_RWMUTEX_W;
}

static bool is_chan(enum gee_wait_reason r) {
    return r == GEE_WAIT_CHAN_SEND || r == GEE_WAIT_CHAN_RECV || r == GEE_WAIT_SELECT;
}

/* May this one be in a circle at all? */
static bool waits(const search *s, const gee_suspect *other) {
    if (s->c->through != GEE_LOCKS)
        return other->stuck && !(s->c->through == GEE_RELATIVES && other->circled);
    const gee_task *t = other->task;
    return t->state == GEE_TASK_WAITING && is_lock(t->reason) && atomic_load(&t->park->fired) == 0;
}

static void visit(search *s, int from, const gee_suspect *next, const char *how, gee_site at) {
    if (s->found || next == NULL || !waits(s, next))
        return;
    hop h = {next->task, from, how, at};
    s->found = next->task == s->hops[0].task;
    if (s->found)
        s->hops[LAST] = h;
    for (int i = 0; i < s->n; i++)
        if (s->hops[i].task == h.task)
            return;
    if (s->n < HOPS)
        s->hops[s->n++] = h;
}

static void visit_id(search *s, int from, uint64_t id, const char *how, gee_site at) {
    if (id != 0)
        visit(s, from, gee_suspect_find(s->c->by_id, s->c->n, id), how, at);
}

static bool descends(const gee_task *t, const struct gee_users *u) {
    for (int i = 0; i < GEE_USERS; i++)
        if (u->family[i] != 0 && u->family[i] == t->family)
            return true;
    return false;
}

/* All who know the object by descent, and wait for something of another sort; how many. */
static int visit_relatives(search *s, int from, const struct gee_users *u, uint64_t but,
                           const char *how) {
    bool of_chan = is_chan(s->hops[from].task->reason);
    int found = 0;
    for (size_t i = 0; i < s->c->n && !s->found && s->c->budget > 0; i++, s->c->budget--) {
        const gee_task *t = s->c->by_id[i].task;
        bool lock = is_lock(t->reason), other_sort = lock || is_chan(t->reason) != of_chan;
        if (!other_sort || t->id == but || !s->c->by_id[i].stuck || !descends(t, u))
            continue;
        if (lock || s->c->through == GEE_RELATIVES)
            visit(s, from, &s->c->by_id[i], how, NULL);
        found++;
    }
    return found;
}

static void from_chan(search *s, int from, const gee_chan *ch, bool sends) {
    const char *how = sends ? "which could receive" : "which could send";
    if (ch == NULL)
        return;
    uint64_t peer = ch->last[sends ? GEE_RECV : GEE_SEND];
    visit_id(s, from, peer, sends ? "which received last" : "which sent last", NULL);
    visit_relatives(s, from, &ch->users, 0, how);
}

static void from_select(search *s, int from, const struct gee_selecting *on) {
    for (size_t i = 0; i < on->n; i++)
        from_chan(s, from, on->cases[i].ch, on->cases[i].op == GEE_SEND);
}

/* A done is owed by those who were started behind the add. If there is none but who waits for it
 * himself, it is he. */
static void from_waitgroup(search *s, int from, const gee_waitgroup *wg) {
    const gee_task *t = s->hops[from].task;
    const char *how = "which may owe a done";
    int others = visit_relatives(s, from, &wg->users, wg->adder, how);
    if (others == 0 && s->c->through == GEE_RELATIVES && t->id != wg->adder &&
        descends(t, &wg->users))
        visit_id(s, from, t->id, how, NULL);
}

static void from_rwmutex(search *s, int from, const gee_rwmutex *m) {
    const gee_task *t = s->hops[from].task;
    bool against = m->readers < 0 || t->reason == GEE_WAIT_RWMUTEX_W;
    for (int i = 0; against && gee_holders_are_known(m) && i < GEE_HOLDERS; i++)
        visit_id(s, from, m->holders[i], "which holds it", NULL);
    for (const gee_waiter *w = m->queue.first; w && w->park->task != t; w = w->next)
        if (w->park->task->reason == GEE_WAIT_RWMUTEX_W)
            visit_id(s, from, w->park->task->id, "which waits in front of it", NULL);
}

static void expand(search *s, int from) {
    const gee_task *t = s->hops[from].task;
    const void *on = t->park->on;
    const gee_mutex *m = on;
    if (on == NULL)
        return; /* a nil channel */
    switch (t->reason) {
    case GEE_WAIT_MUTEX:
        visit_id(s, from, m->holder, m->locked_at ? "which locked it at" : "which locked it",
                 m->locked_at);
        break;
    case GEE_WAIT_RWMUTEX_R:
    case GEE_WAIT_RWMUTEX_W:
        from_rwmutex(s, from, on);
        break;
    case GEE_WAIT_CHAN_SEND:
    case GEE_WAIT_CHAN_RECV:
        from_chan(s, from, on, t->reason == GEE_WAIT_CHAN_SEND);
        break;
    case GEE_WAIT_SELECT:
        from_select(s, from, on);
        break;
    case GEE_WAIT_WAITGROUP:
        from_waitgroup(s, from, on);
        break;
    default:
        break;
    }
}

/* --- in words --- */

static size_t put_wait(const gee_task *t, char *buf, size_t size) {
    int n = snprintf(buf, size, " (%s at %s)", gee_wait_reason_text(t->reason), t->parked_at);
    return n > 0 ? (size_t)n : 0;
}

static size_t put_hop(const hop *h, bool back, char *buf, size_t size) {
    int n = snprintf(buf, size, " -> task %" PRIu64 ", %s%s%s", h->task->id, h->how,
                     h->at ? " " : "", h->at ? h->at : "");
    size_t at = n > 0 ? (size_t)n : 0;
    return back || at >= size ? at : at + put_wait(h->task, buf + at, size - at);
}

/* The circle from its first task on; what does not fit is "...". */
static void write_circle(const search *s, char *buf, size_t size) {
    int way[HOPS], n = 0;
    for (int i = s->hops[LAST].from; i > 0; i = s->hops[i].from)
        way[n++] = i;
    size_t at = (size_t)snprintf(buf, size, "task %" PRIu64, s->hops[0].task->id);
    at += put_wait(s->hops[0].task, buf + at, size - at);
    while (n > 0 && at < size)
        at += put_hop(&s->hops[way[--n]], false, buf + at, size - at);
    if (at < size)
        at += put_hop(&s->hops[LAST], true, buf + at, size - at);
    if (at >= size)
        snprintf(buf + size - 4, 4, "...");
}

bool gee_circle_find(gee_circles *c, gee_suspect *t, char *buf, size_t size) {
    search s = {.c = c, .n = 1, .hops = {{.task = t->task, .from = -1}}};
    *buf = '\0';
    if (!waits(&s, t))
        return false;
    for (int i = 0; i < s.n && !s.found; i++)
        expand(&s, i);
    t->circled |= s.found && c->through == GEE_STUCK;
    if (s.found)
        write_circle(&s, buf, size);
    return s.found;
}
