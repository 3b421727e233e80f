/*
 * The snapshot: tasks by the path of their creation, of all workers. Each worker puts its own rows
 * together, and then they are added up. What a row says stands in gee/debug.h.
 */
#include "base/count.h"
#include "base/tools.h"
#include "gee/debug.h"
#include "runtime/worker.h"
#include "sync/waitq.h"
#include <stdlib.h>
#include <string.h>

/* One worker's part: a row for each of its tasks. */
struct part {
    gee_work work;
    gee_worker *worker;
    gee_waitgroup *all_in;
    gee_path_info *rows;
    size_t n;
    int rc;
};

static gee_path_info describe(const gee_task *t) {
    bool waiting = t->state == GEE_TASK_WAITING;
    gee_path_info row = {
        .started = 1,
        .live = 1,
        .reason = gee_wait_reason_text(waiting ? t->reason : GEE_WAIT_NONE),
        .parked_at = waiting ? t->parked_at : NULL,
    };
    const gee_origin *o = t->origin;
    for (int i = 0; o && i < GEE_PATH; i++, o = o->parent)
        row.path[i] = o->site;
    return row;
}

static void fill_in(struct part *p) {
    size_t n = 0;
    gee_list_each (it, &p->worker->tasks)
        n++;
    p->rows = calloc(n + 1, sizeof(*p->rows));
    if (p->rows == NULL) {
        p->rc = UV_ENOMEM;
        return;
    }
    gee_list_each (it, &p->worker->tasks)
        p->rows[p->n++] = describe(gee_container(it, gee_task, all));
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
    if (*from->reason && *to->reason == '\0') {
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
