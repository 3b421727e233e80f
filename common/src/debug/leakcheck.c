/* The leak check: what it says of the tasks, as they were while all stood still. */
#include "debug/leakcheck.h"
#include "gee/ctx.h"
#include "runtime/park.h"
#include "runtime/worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    gee_suspect *tasks;
    size_t n, cap;
    gee_leak *leaks;
    int nleaks; /* or UV_ENOMEM */
};

static int by_id(const void *a, const void *b) {
    uint64_t x = ((const gee_suspect *)a)->task->id, y = ((const gee_suspect *)b)->task->id;
    return (x > y) - (x < y);
}

static bool gather(struct check *c, const gee_runtime *rt) {
    size_t n = 0;
    for (int i = 0; i < rt->nworkers; i++)
        gee_list_each (it, &rt->workers[i].tasks)
            n++;
    c->tasks = calloc(n + 1, sizeof(*c->tasks));
    c->leaks = calloc(n + 1, sizeof(*c->leaks));
    if (c->tasks == NULL || c->leaks == NULL)
        return false;
    for (int i = 0; i < rt->nworkers; i++)
        gee_list_each (it, &rt->workers[i].tasks)
            c->tasks[c->n++].task = gee_container(it, gee_task, all);
    qsort(c->tasks, c->n, sizeof(*c->tasks), by_id);
    return true;
}

static void look(void *arg) {
    struct check *c = arg;
    uint64_t now_ns = gee_clock_ns();
    if (!gather(c, gee_runtime_current())) {
        c->nleaks = UV_ENOMEM;
        return;
    }
    gee_stuck_find(c->tasks, c->n);
    for (size_t i = 0; i < c->n; i++) {
        const gee_task *t = c->tasks[i].task;
        gee_leak leak = {.task = gee_task_describe(t, now_ns), .kind = GEE_LEAK_STUCK};
        bool parked = t->state == GEE_TASK_WAITING && atomic_load(&t->park->fired) == 0;
        if (c->tasks[i].stuck) {
            gee_stuck_why(c->tasks, c->n, t, leak.why, sizeof(leak.why));
        } else if (parked && leak.task.ctx_err && !leak.task.hears_ctx) {
            leak.kind = GEE_LEAK_DEAF;
            snprintf(leak.why, sizeof(leak.why), "its ctx ended %.1f s ago, and it does not listen",
                     (double)leak.task.ctx_ended_ms / 1e3);
        } else {
            continue;
        }
        c->leaks[c->nleaks++] = leak;
    }
}

int gee_leakcheck(gee_leak **out) {
    struct check c = {0};
    int rc = gee_standstill(look, &c);
    if (rc < 0)
        c.nleaks = rc;
    free(c.tasks);
    if (c.nleaks < 0) {
        free(c.leaks);
        c.leaks = NULL;
    }
    *out = c.leaks;
    return c.nleaks;
}
