/*
 * Who may look at a task: its worker alone, and while none of its tasks runs. What
 * a running task has on its stack changes with every instruction, where it was last parked says
 * nothing of where it is, and it may end, and its memory be another's, in the middle of a look.
 * So nobody reads another worker's tasks here: on each worker a task is started, through its inbox
 * as everything, which looks at the others, and they do not run while it does.
 *
 * Nor may it look for long, for nothing else is done on that worker meanwhile. It takes so many
 * tasks and then lets the loop have its turn. It finds its place again by its own link in the
 * worker's list, which it has moved to where it has got to: tasks that end take themselves out on
 * either side of it, and nothing has to be known of it anywhere else.
 */
#include "pprof/prof_task.h"
#include "base/count.h"
#include "base/tools.h"
#include "gee/ctx.h"
#include "gee/sync.h"
#include "pprof/stack.h"
#include "runtime/park.h"
#include "runtime/worker.h"
#include <string.h>

enum { AT_A_TIME = 512, DEPTH = 64 };

struct part {
    gee_buf out;
    gee_waitgroup *all_in;
    int rc;
};

/* A channel that it waits for, alone and not in a select. */
static const void *channel_of(const gee_task *t) {
    bool channel = t->reason == GEE_WAIT_CHAN_SEND || t->reason == GEE_WAIT_CHAN_RECV;
    return channel && t->park ? t->park->on : NULL;
}

static int note(struct part *p, const gee_task *t, uint64_t now_ns) {
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
    int rc = gee_buf_append(&p->out, &one, sizeof(one));
    return rc < 0 ? rc : gee_buf_append(&p->out, pcs, (size_t)n * sizeof(*pcs));
}

static void collect(gee_ctx *ctx, void *arg);

/* From `self` on; false: that was all. Those that were started later are not of it. */
static bool some(struct part *p, gee_task *self) {
    gee_worker *w = self->worker;
    uint64_t now_ns = gee_clock_ns();
    gee_list *it = self->all.next;
    int left = AT_A_TIME;
    for (; it != &w->tasks && left > 0; it = it->next) {
        const gee_task *t = gee_container(it, gee_task, all);
        if (t->fn == collect)
            continue;
        if (t->id > self->id)
            return false;
        p->rc = note(p, t, now_ns);
        if (p->rc < 0)
            return false;
        left--;
    }
    gee_list_del(&self->all);
    gee_list_push(it, &self->all);
    return left == 0;
}

/* A worker looks at its tasks while none of them runs: not a race, though TSan cannot know. */
static bool look(struct part *p, gee_task *self) {
    gee_tsan_ignore_begin();
    bool more = some(p, self);
    gee_tsan_ignore_end();
    return more;
}

static void go_to_the_front(gee_task *self) {
    gee_tsan_ignore_begin();
    gee_list_del(&self->all);
    gee_list_push(self->worker->tasks.next, &self->all);
    gee_tsan_ignore_end();
}

static void collect(gee_ctx *ctx, void *arg) {
    struct part *p = arg;
    gee_task *self = gee_task_self();
    (void)ctx;
    go_to_the_front(self);
    while (look(p, self))
        if (gee_sleep(NULL, 0) < 0) /* no memory for a timer */
            gee_yield();
    gee_waitgroup_done(p->all_in);
}

int gee_prof_tasks_take(gee_prof_tasks *out) {
    struct part parts[GEE_MAX_WORKERS] = {0};
    gee_waitgroup all_in = {0};
    int rc = 0, n = gee_workers();
    memset(out, 0, sizeof(*out));
    gee_waitgroup_add(&all_in, n);
    for (int i = 0; i < n; i++) {
        parts[i].all_in = &all_in;
        int err = gee_go_on(i, gee_background(), collect, &parts[i]);
        if (err < 0) { /* else rc is that task's to say */
            parts[i].rc = err;
            gee_waitgroup_done(&all_in);
        }
    }
    gee_waitgroup_wait(NULL, &all_in);
    for (int i = 0; i < n; i++) {
        out->of[i] = parts[i].out;
        rc = parts[i].rc < 0 ? parts[i].rc : rc;
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
