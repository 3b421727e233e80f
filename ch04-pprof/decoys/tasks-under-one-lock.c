/*
 * All tasks of all workers, each with its stack. Nobody may run while somebody looks, so who
 * runs a task holds a lock, and who looks runs one. From the first profile on: a server of which
 * nobody takes one pays nothing.
 */
#include "base/count.h"
#include "base/tools.h"
#include "debug/leakcheck.h"
#include "gee/sync.h"
#include "pprof/prof_task.h"
#include "pprof/stack.h"
#include "runtime/park.h"
#include "runtime/worker.h"
#include <string.h>

enum { DEPTH = 64 };

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t running;
static gee_work unlocks[GEE_MAX_WORKERS];
static gee_driver locking;

static void init(void) {
    uv_mutex_init(&running);
}

/* Behind the slice, before the worker takes another task. */
static void unlock(gee_work *w) {
    (void)w;
    uv_mutex_unlock(&running);
}

static gee_task *lock_and_next(gee_worker *w) {
    uv_mutex_lock(&running);
    unlocks[w->index].fn = unlock;
    gee_defer(&unlocks[w->index]);
    return gee_driver_real.next(w);
}

static void lock_from_now_on(void *arg) {
    gee_runtime *rt = arg;
    locking = *rt->driver;
    locking.next = lock_and_next;
    rt->driver = &locking;
}

/* All workers but this one begin with it at once, and this one when it has come by its loop. */
static void all_lock(gee_runtime *rt) {
    uv_once(&once, init);
    if (rt->sim || rt->driver == &locking)
        return;
    gee_standstill(lock_from_now_on, rt);
    gee_sleep(NULL, 0);
}

/* A channel that it waits for, alone and not in a select. */
static const void *channel_of(const gee_task *t) {
    bool channel = t->reason == GEE_WAIT_CHAN_SEND || t->reason == GEE_WAIT_CHAN_RECV;
    return channel && t->park ? t->park->on : NULL;
}

static int note(gee_buf *out, const gee_task *t, uint64_t now_ns) {
    uintptr_t pcs[DEPTH];
    int n = t == gee_task_self() ? 0 : gee_prof_stack_of(t, pcs, DEPTH); /* it is here */
    bool waiting = t->state == GEE_TASK_WAITING;
    gee_prof_task one = {
        .size = sizeof(one) + (size_t)n * sizeof(*pcs),
        .id = t->id,
        .family = t->family,
        .age_ns = now_ns - t->created_ns,
        .since_ns = now_ns - t->since_ns,
        .state = t->state,
        .reason = gee_wait_reason_text(waiting ? t->reason : GEE_WAIT_NONE),
        .created_at = t->created_at,
        .parked_at = waiting ? t->parked_at : NULL,
        .fn = t->fn,
        .stack_bytes = gee_prof_stack_bytes(t),
        .owner = t->owner,
        .on = waiting ? channel_of(t) : NULL,
        .worker = t->worker->index,
        .npcs = n,
    };
    memcpy(one.name, t->name, sizeof(one.name));
    int rc = gee_buf_append(out, &one, sizeof(one));
    return rc < 0 ? rc : gee_buf_append(out, pcs, (size_t)n * sizeof(*pcs));
}

int gee_prof_tasks_take(gee_prof_tasks *out) {
    gee_runtime *rt = gee_runtime_current();
    int rc = 0;
    all_lock(rt);
    uint64_t now_ns = gee_clock_ns();
    memset(out, 0, sizeof(*out));
    gee_tsan_ignore_begin();
    for (int i = 0; i < rt->nworkers && rc == 0; i++)
        gee_list_each (it, &rt->workers[i].tasks)
            if (rc == 0)
                rc = note(&out->of[i], gee_container(it, gee_task, all), now_ns);
    gee_tsan_ignore_end();
    return rc;
}

const gee_prof_task *gee_prof_tasks_next(const gee_prof_tasks *all, const gee_prof_task *t) {
    int i = t ? t->worker : 0;
    const char *at = t ? (const char *)t + t->size : NULL;
    for (; i < GEE_MAX_WORKERS; i++, at = NULL) {
        const gee_buf *b = &all->of[i];
        at = at ? at : b->data;
        if (at != b->data + b->len)
            return (const gee_prof_task *)(const void *)at;
    }
    return NULL;
}

void gee_prof_tasks_free(gee_prof_tasks *all) {
    for (int i = 0; i < GEE_MAX_WORKERS; i++)
        gee_buf_free(&all->of[i]);
}
