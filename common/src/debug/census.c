/* Counting what exists, and listing the tasks. */
#include "base/count.h"
#include "base/tools.h"
#include "ctx/ctx.h"
#include "debug/leakcheck.h"
#include "gee/debug.h"
#include "runtime/worker.h"
#include "sync/waitq.h"
#include "web/web.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void count_handle(uv_handle_t *h, void *arg) {
    gee_worker *w = h->loop->data;
    if (h != (uv_handle_t *)&w->bell && h != (uv_handle_t *)&w->alarm &&
        h != (uv_handle_t *)&w->prepare)
        ++*(int64_t *)arg;
}

/* Not counting the one that reading the directory takes. -1: /proc is not there. */
static int64_t open_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return -1;
    int64_t n = -1;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

void gee_census_take(gee_census *out) {
    gee_worker *w = gee_worker_self();
    *out = (gee_census){
        .tasks = gee_count_sum(GEE_COUNT_TASKS),
        .timers = gee_count_sum(GEE_COUNT_TIMERS),
        .fds = open_fds(),
        .ctxs = gee_count_sum(GEE_COUNT_CTXS),
        .chans = gee_count_sum(GEE_COUNT_CHANS),
        .conns = gee_count_sum(GEE_COUNT_CONNS),
        .reqs = gee_count_sum(GEE_COUNT_REQS),
        .copies = gee_count_sum(GEE_COUNT_COPIES),
        .bytes = gee_count_sum(GEE_COUNT_BYTES),
    };
    if (w)
        uv_walk(&w->loop, count_handle, &out->handles);
}

static void describe_request(gee_task_info *info, const gee_task *t, uint64_t now_ns) {
    const gee_exchange *x = gee_exchange_of(t);
    uint64_t due_ns;
    info->family = t->family;
    info->deadline_ms = INT64_MAX;
    if (x == NULL || x->start_ns == 0)
        return;
    const gee_req *req = gee_container(x, gee_req, x);
    snprintf(info->request, sizeof(info->request), "%s %s", x->method ? x->method : "-",
             x->target ? x->target : "-");
    info->request_ms = (now_ns - x->start_ns) / 1000000;
    info->late = x->late;
    if (req->ctx && gee_ctx_deadline(req->ctx, &due_ns))
        info->deadline_ms = ((int64_t)due_ns - (int64_t)now_ns) / 1000000;
}

gee_task_info gee_task_describe(const gee_task *t, uint64_t now_ns) {
    bool waiting = t->state == GEE_TASK_WAITING; /* once woken, it has its reason until it runs */
    gee_task_info info = {
        .id = t->id,
        .worker = t->worker->index,
        .state = gee_task_state_text(t->state),
        .reason = gee_wait_reason_text(waiting ? t->reason : GEE_WAIT_NONE),
        .created_at = t->created_at,
        .parked_at = waiting ? t->parked_at : NULL,
        .age_ms = (now_ns - t->created_ns) / 1000000,
        .since_ms = (now_ns - t->since_ns) / 1000000,
        .ctx_err = gee_ctx_err(t->owner),
        .ctx_cause = gee_ctx_cause(t->owner),
        .hears_ctx = gee_ctx_hears(t->wait_ctx, t->owner),
    };
    if (info.ctx_err)
        info.ctx_ended_ms = (now_ns - gee_ctx_ended_ns(t->owner)) / 1000000;
    memcpy(info.name, t->name, sizeof(info.name));
    describe_request(&info, t, now_ns);
    return info;
}

/* One worker's part of a list. */
struct part {
    gee_work work;
    gee_worker *worker;
    gee_waitgroup *all_in;
    gee_task_info *tasks;
    int n; /* or UV_ENOMEM */
};

static void fill_in(struct part *p) {
    size_t n = 0;
    gee_list_each (it, &p->worker->tasks)
        n++;
    p->tasks = calloc(n ? n : 1, sizeof(*p->tasks));
    if (p->tasks == NULL) {
        p->n = UV_ENOMEM;
        return;
    }
    uint64_t now_ns = gee_clock_ns();
    gee_list_each (it, &p->worker->tasks)
        p->tasks[p->n++] = gee_task_describe(gee_container(it, gee_task, all), now_ns);
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

static int by_age(const void *a, const void *b) {
    const gee_task_info *x = a, *y = b;
    return x->age_ms != y->age_ms ? (x->age_ms < y->age_ms) - (x->age_ms > y->age_ms)
                                  : (x->id > y->id) - (x->id < y->id);
}

static int join(struct part *parts, int nparts, gee_task_info **out) {
    int total = 0;
    for (int i = 0; i < nparts; i++)
        total = total < 0 || parts[i].n < 0 ? UV_ENOMEM : total + parts[i].n;
    gee_task_info *all = total < 0 ? NULL : calloc((size_t)total + 1, sizeof(*all));
    int n = 0;
    for (int i = 0; i < nparts; i++) {
        if (all && parts[i].n > 0)
            memcpy(all + n, parts[i].tasks, (size_t)parts[i].n * sizeof(*all));
        n += parts[i].n;
        free(parts[i].tasks);
    }
    *out = all;
    if (all == NULL)
        return UV_ENOMEM;
    qsort(all, (size_t)total, sizeof(*all), by_age);
    return total;
}

int gee_tasks_list(gee_task_info **out) {
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
