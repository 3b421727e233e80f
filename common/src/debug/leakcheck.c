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

/* What is wrong with it; false: nothing. */
static bool judge(struct check *c, gee_suspect *s, gee_circles *locks, gee_leak *leak) {
    const gee_task *t = s->task;
    bool parked = t->state == GEE_TASK_WAITING && atomic_load(&t->park->fired) == 0;
    if (s->stuck) {
        leak->kind = GEE_LEAK_STUCK;
        gee_stuck_why(c->tasks, c->n, t, leak->why, sizeof(leak->why));
    } else if (gee_circle_find(locks, s, leak->circle, sizeof(leak->circle))) {
        leak->kind = GEE_LEAK_CIRCLE;
        snprintf(leak->why, sizeof(leak->why),
                 "only the end of a ctx will break the circle of locks in which it waits");
    } else if (parked && leak->task.ctx_err && !leak->task.hears_ctx) {
        leak->kind = GEE_LEAK_DEAF;
        snprintf(leak->why, sizeof(leak->why), "its ctx ended %.1f s ago, and it does not listen",
                 (double)leak->task.ctx_ended_ms / 1e3);
    } else {
        return false;
    }
    return true;
}

/* Looks at other tasks, in the searches of one kind: a fraction of a second. */
enum { BUDGET = 10 * 1000 * 1000 };

static void find_circles(struct check *c, enum gee_through through) {
    gee_circles search = {c->tasks, c->n, through, BUDGET};
    for (int i = 0; i < c->nleaks; i++) {
        gee_leak *l = &c->leaks[i];
        if (l->kind == GEE_LEAK_STUCK && *l->circle == '\0')
            gee_circle_find(&search, gee_suspect_find(c->tasks, c->n, l->task.id), l->circle,
                            sizeof(l->circle));
    }
}

static void look(void *arg) {
    struct check *c = arg;
    uint64_t now_ns = gee_clock_ns();
    if (!gather(c, gee_runtime_current())) {
        c->nleaks = UV_ENOMEM;
        return;
    }
    gee_circles locks = {c->tasks, c->n, GEE_LOCKS, BUDGET};
    gee_stuck_find(c->tasks, c->n);
    for (size_t i = 0; i < c->n; i++) {
        gee_leak leak = {.task = gee_task_describe(c->tasks[i].task, now_ns)};
        if (judge(c, &c->tasks[i], &locks, &leak))
            c->leaks[c->nleaks++] = leak;
    }
    find_circles(c, GEE_STUCK);
    find_circles(c, GEE_RELATIVES);
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
