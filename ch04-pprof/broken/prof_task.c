/*
 * All tasks of all workers, each with its stack. A profile only looks: it changes nothing, so
 * nobody has to be asked, and no worker is kept from its work.
 */
#include "pprof/prof_task.h"
#include "base/count.h"
#include "base/tools.h"
#include "pprof/stack.h"
#include "runtime/park.h"
#include "runtime/worker.h"
#include <string.h>

enum { DEPTH = 64 };

/* A channel that it waits for, alone and not in a select. */
static const void *channel_of(const gee_task *t) {
    bool channel = t->reason == GEE_WAIT_CHAN_SEND || t->reason == GEE_WAIT_CHAN_RECV;
    return channel && t->park ? t->park->on : NULL;
}

static int note(gee_buf *out, const gee_task *t, uint64_t now_ns) {
    uintptr_t pcs[DEPTH];
    int n = gee_prof_stack_of(t, pcs, DEPTH);
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

static int note_all(gee_buf *out, gee_worker *w, uint64_t now_ns) {
    int rc = 0;
    gee_list_each (it, &w->tasks)
        if (rc == 0)
            rc = note(out, gee_container(it, gee_task, all), now_ns);
    return rc;
}

int gee_prof_tasks_take(gee_prof_tasks *out) {
    gee_runtime *rt = gee_runtime_current();
    uint64_t now_ns = gee_clock_ns();
    int rc = 0;
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < rt->nworkers && rc == 0; i++) {
        gee_worker *w = &rt->workers[i];
        if (w == gee_worker_self()) /* its tasks do not run, though TSan cannot know */
            gee_tsan_ignore_begin();
        rc = note_all(&out->of[i], w, now_ns);
        if (w == gee_worker_self())
            gee_tsan_ignore_end();
    }
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
