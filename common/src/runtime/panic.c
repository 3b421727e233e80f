/*
 * Panic and recover.
 *
 * A task has two chains on its own stack: the recovers that are open, and the
 * cleanups that are due. A recover remembers how far the cleanups reached when it
 * was opened; a panic runs those above that mark and then jumps. The jump stays
 * within one stack, so longjmp is all it needs, and the sanitizers know longjmp.
 */
#include "gee/panic.h"
#include "base/symbol.h"
#include "base/tools.h"
#include "runtime/worker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gee_recovery {
    gee_recovery *outer;
    gee_cleanup *cleanups; /* when it was opened */
    gee_panic_info *info;
    jmp_buf env;
};

int gee_recover(void (*fn)(void *arg), void *arg, gee_panic_info *info) {
    gee_task *t = gee_worker_self()->current;
    gee_recovery here; /* without an initializer, which would also clear env */
    here.outer = t->recovery;
    here.cleanups = t->cleanups;
    here.info = info;
    volatile int rc = 0;
    t->recovery = &here;
    if (_setjmp(here.env) == 0)
        fn(arg);
    else
        rc = GEE_EPANIC;
    t->recovery = here.outer;
    return rc;
}

void gee_cleanup_push(gee_cleanup *c, void (*fn)(void *arg), void *arg) {
    gee_task *t = gee_worker_self()->current;
    *c = (gee_cleanup){t->cleanups, fn, arg};
    t->cleanups = c;
}

void gee_cleanup_pop(gee_cleanup *c, bool run) {
    gee_worker_self()->current->cleanups = c->next;
    if (run)
        c->fn(c->arg);
}

/* From the frame that panicked, whose next instruction is at `caller`. */
static void take_frames(gee_panic_info *info, const void *caller) {
    enum { MAX = sizeof(info->frames) / sizeof(*info->frames), OURS = 8 };
    void *all[MAX + OURS];
    int n = gee_frames_take(all, MAX + OURS), at = 0;
    while (at < n && all[at] != caller)
        at++;
    if (at == n)
        at = 0;
    info->nframes = n - at < MAX ? n - at : MAX;
    memcpy(info->frames, all + at, (size_t)info->nframes * sizeof(*all));
}

static void fill_in(gee_panic_info *info, const gee_task *t, gee_site site) {
    info->site = site;
    info->task_id = t->id;
    memcpy(info->task_name, t->name, sizeof(info->task_name));
    info->created_at = t->created_at;
    info->worker = t->worker->index;
}

/*
 * The outermost recovery has none of its own, but the worker's (task.c): one task after the other
 * uses that, and who parks has taken a copy. So it is like the run queue, a thing that carries
 * tasks, and orders nothing between two that panic.
 */
static void hand_over(const gee_recovery *to, const gee_panic_info *info) {
    bool carrier = to->outer == NULL;
    if (to->info == NULL)
        return;
    if (carrier)
        gee_tsan_ignore_begin();
    *to->info = *info;
    if (carrier)
        gee_tsan_ignore_end();
}

_Noreturn void gee_panic_at(gee_site site, const char *fmt, ...) {
    gee_task *t = gee_task_self();
    gee_panic_info info;
    va_list ap;
    va_start(ap, fmt);
    if (t == NULL) {
        fprintf(stderr, "gee: panic outside of a task, at %s: ", site);
        vfprintf(stderr, fmt, ap);
        fputc('\n', stderr);
        abort();
    }
    vsnprintf(info.message, sizeof(info.message), fmt, ap);
    va_end(ap);
    fill_in(&info, t, site);
    take_frames(&info, __builtin_return_address(0));
    gee_recovery *to = t->recovery;
    while (t->cleanups != to->cleanups) {
        gee_cleanup *c = t->cleanups;
        t->cleanups = c->next; /* first: a panic in it goes on with the next */
        c->fn(c->arg);
    }
    hand_over(to, &info);
    longjmp(to->env, 1);
}
