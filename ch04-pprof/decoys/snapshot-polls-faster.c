/*
 * DECOY, a repair that is wrong: it polls, and faster. From the first snapshot on each worker looks
 * at its tasks every 5 ms and counts those that it has not seen. That finds what lives for 10 ms,
 * for two hundred looks a second, each at all tasks; and what ends at once is still in none of
 * them.
 */
#include "base/count.h"
#include "base/tools.h"
#include "gee/debug.h"
#include "runtime/timer.h"
#include "runtime/worker.h"
#include "sync/waitq.h"
#include <stdlib.h>
#include <string.h>

/* One worker's part: a row for each of its tasks, and one for those that polling has counted. */
struct part {
    gee_work work;
    gee_worker *worker;
    gee_waitgroup *all_in;
    gee_path_info *rows;
    size_t n;
    int rc;
};

/* --- polling --- */

enum { POLL_MS = 5, POLLS = 1000, ORIGINS = 256 };

static struct poller {
    gee_timer timer;
    uint64_t run, seen; /* the runtime; and the latest task of it that was counted */
    int left;
    struct {
        const gee_origin *origin;
        uint64_t started;
    } counted[ORIGINS];
} pollers[GEE_MAX_WORKERS];

static void count(struct poller *p, const gee_task *t) {
    for (int i = 0; i < ORIGINS; i++)
        if (p->counted[i].origin == t->origin || p->counted[i].origin == NULL) {
            p->counted[i].origin = t->origin;
            p->counted[i].started++;
            return;
        }
}

static void look(struct poller *p, const gee_worker *w) {
    uint64_t latest = p->seen;
    gee_list_each (it, &w->tasks) {
        const gee_task *t = gee_container(it, gee_task, all);
        if (t->id > p->seen)
            count(p, t);
        if (t->id > latest)
            latest = t->id;
    }
    p->seen = latest;
}

static void poll_again(gee_timer *timer) {
    struct poller *p = gee_container(timer, struct poller, timer);
    look(p, gee_worker_self());
    if (p->left-- > 0)
        gee_timer_start(&p->timer, gee_clock_in_ms(POLL_MS), poll_again);
}

static struct poller *poller_of(const gee_worker *w) {
    struct poller *p = &pollers[w->index];
    if (p->run != w->rt->run) {
        *p = (struct poller){.run = w->rt->run, .left = POLLS};
        poll_again(&p->timer);
    }
    return p;
}

/* --- the snapshot --- */

static void put_path(gee_path_info *row, const gee_origin *o) {
    for (int i = 0; o && i < GEE_PATH; i++, o = o->parent)
        row->path[i] = o->site;
}

static gee_path_info describe(const gee_task *t, uint64_t now_ns) {
    bool waiting = t->state == GEE_TASK_WAITING;
    gee_path_info row = {
        .live = 1,
        .oldest_ms = (now_ns - t->created_ns) / 1000000,
        .waits_ms = waiting ? (now_ns - t->since_ns) / 1000000 : 0,
        .reason = gee_wait_reason_text(waiting ? t->reason : GEE_WAIT_NONE),
        .parked_at = waiting ? t->parked_at : NULL,
    };
    put_path(&row, t->origin);
    return row;
}

static void fill_in(struct part *p) {
    struct poller *poller = poller_of(p->worker);
    size_t n = ORIGINS;
    uint64_t now_ns = gee_clock_ns();
    look(poller, p->worker);
    gee_list_each (it, &p->worker->tasks)
        n++;
    p->rows = calloc(n + 1, sizeof(*p->rows));
    if (p->rows == NULL) {
        p->rc = UV_ENOMEM;
        return;
    }
    for (int i = 0; i < ORIGINS && poller->counted[i].origin; i++) {
        gee_path_info *row = &p->rows[p->n++];
        *row = (gee_path_info){.started = poller->counted[i].started, .reason = ""};
        put_path(row, poller->counted[i].origin);
    }
    gee_list_each (it, &p->worker->tasks)
        p->rows[p->n++] = describe(gee_container(it, gee_task, all), now_ns);
}

/* A worker looks at its tasks while none of them runs: not a race, though TSan cannot know. */
static void fill(struct part *p) {
    gee_tsan_ignore_begin();
    fill_in(p);
    gee_tsan_ignore_end();
}

static void fill_posted(gee_work *work) {
    struct part *p = gee_container(work, struct part, work);
    fill(p);
    gee_waitgroup_done(p->all_in);
}

/* --- all of them --- */

static int by_path(const void *a, const void *b) {
    const gee_path_info *x = a, *y = b;
    for (int i = 0; i < GEE_PATH; i++) {
        int c = strcmp(x->path[i] ? x->path[i] : "", y->path[i] ? y->path[i] : "");
        if (c)
            return c;
    }
    return 0;
}

static int by_number(const void *a, const void *b) {
    const gee_path_info *x = a, *y = b;
    if (x->live != y->live)
        return x->live < y->live ? 1 : -1;
    if (x->started != y->started)
        return x->started < y->started ? 1 : -1;
    return by_path(a, b);
}

static void add(gee_path_info *to, const gee_path_info *from) {
    to->started += from->started;
    to->live += from->live;
    if (from->oldest_ms > to->oldest_ms)
        to->oldest_ms = from->oldest_ms;
    if (*from->reason && (*to->reason == '\0' || from->waits_ms > to->waits_ms)) {
        to->waits_ms = from->waits_ms;
        to->reason = from->reason;
        to->parked_at = from->parked_at;
    }
}

/* The rows of a path, of several workers, are one. How many are left. */
static int merge(gee_path_info *rows, size_t n) {
    size_t m = 0;
    qsort(rows, n, sizeof(*rows), by_path);
    for (size_t i = 0; i < n; i++)
        if (m > 0 && by_path(&rows[m - 1], &rows[i]) == 0)
            add(&rows[m - 1], &rows[i]);
        else
            rows[m++] = rows[i];
    for (size_t i = 0; i < m; i++)
        rows[i].ended = rows[i].started - rows[i].live;
    qsort(rows, m, sizeof(*rows), by_number);
    return (int)m;
}

static int join(struct part *parts, int nparts, gee_path_info **out) {
    size_t total = 0, n = 0;
    int rc = 0;
    for (int i = 0; i < nparts; i++) {
        total += parts[i].n;
        rc = parts[i].rc < 0 ? parts[i].rc : rc;
    }
    gee_path_info *all = rc == 0 ? calloc(total + 1, sizeof(*all)) : NULL;
    for (int i = 0; i < nparts; i++) {
        if (all && parts[i].n > 0)
            memcpy(all + n, parts[i].rows, parts[i].n * sizeof(*all));
        n += parts[i].n;
        free(parts[i].rows);
    }
    *out = all;
    return all ? merge(all, total) : UV_ENOMEM;
}

int gee_paths_list(gee_path_info **out) {
    gee_runtime *rt = gee_runtime_current();
    struct part parts[GEE_MAX_WORKERS] = {0};
    gee_waitgroup all_in = GEE_DONE_BY_CALLBACKS;
    gee_waitgroup_add(&all_in, rt->nworkers - 1);
    for (int i = 0; i < rt->nworkers; i++) {
        parts[i] =
            (struct part){.work.fn = fill_posted, .worker = &rt->workers[i], .all_in = &all_in};
        if (parts[i].worker == gee_worker_self())
            fill(&parts[i]);
        else
            gee_post(parts[i].worker, &parts[i].work);
    }
    gee_waitgroup_wait(NULL, &all_in);
    return join(parts, rt->nworkers, out);
}
