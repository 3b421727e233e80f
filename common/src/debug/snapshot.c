/*
 * The snapshot: tasks by the path of their creation, of all workers.
 *
 * What lives now is on the workers' lists, with its times. What has come and gone is nowhere any
 * more, so it has been counted when it came and when it went (runtime/origin.h). A snapshot has
 * both: of a task that lives for 10 ms a look each second would know nothing, and of one that is
 * parked it would not know since when.
 */
#include "base/count.h"
#include "base/tools.h"
#include "gee/debug.h"
#include "runtime/worker.h"
#include "sync/waitq.h"
#include <stdlib.h>
#include <string.h>

/* One worker's part: a row for each of its origins. */
struct part {
    gee_work work;
    gee_worker *worker;
    gee_waitgroup *all_in;
    gee_path_info *rows;
    const gee_origin **origins; /* of the rows, in the same order, by address */
    size_t n;
    int rc;
};

_Static_assert((int)GEE_PATH == (int)GEE_ORIGIN_DEPTH, "a path has room for what is kept");

static int by_address(const void *a, const void *b) {
    const gee_origin *x = *(const gee_origin *const *)a, *y = *(const gee_origin *const *)b;
    return (x > y) - (x < y);
}

static void describe(gee_path_info *row, const gee_origin *o) {
    row->started = o->started;
    row->ended = o->finished;
    row->live = o->started - o->finished;
    row->reason = "";
    for (int i = 0; o && i < GEE_PATH; i++, o = o->parent)
        row->path[i] = o->site;
}

static void note_task(struct part *p, const gee_task *t, uint64_t now_ns) {
    const gee_origin *key = t->origin;
    const gee_origin **at = bsearch(&key, p->origins, p->n, sizeof(*at), by_address);
    gee_path_info *row = &p->rows[at - p->origins];
    uint64_t age_ms = (now_ns - t->created_ns) / 1000000;
    uint64_t since_ms = (now_ns - t->since_ns) / 1000000;
    if (age_ms > row->oldest_ms)
        row->oldest_ms = age_ms;
    if (t->state != GEE_TASK_WAITING || (*row->reason && since_ms <= row->waits_ms))
        return;
    row->waits_ms = since_ms;
    row->reason = gee_wait_reason_text(t->reason);
    row->parked_at = t->parked_at;
}

static void fill_in(struct part *p) {
    gee_origins *os = &p->worker->origins;
    uint64_t now_ns = gee_clock_ns();
    p->rows = calloc(os->n + 1, sizeof(*p->rows));
    p->origins = calloc(os->n + 1, sizeof(gee_origin *));
    if (p->rows == NULL || p->origins == NULL) {
        p->rc = UV_ENOMEM;
        return;
    }
    for (size_t i = 0; i < GEE_ORIGIN_SLOTS; i++)
        for (const gee_origin *o = os->slots[i]; o; o = o->next)
            p->origins[p->n++] = o;
    if (os->other.started)
        p->origins[p->n++] = &os->other;
    qsort(p->origins, p->n, sizeof(gee_origin *), by_address);
    for (size_t i = 0; i < p->n; i++)
        describe(&p->rows[i], p->origins[i]);
    gee_list_each (it, &p->worker->tasks)
        note_task(p, gee_container(it, gee_task, all), now_ns);
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
    to->ended += from->ended;
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
        free(parts[i].origins);
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
