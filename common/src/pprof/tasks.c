/* The profiles of tasks: all of them, and those that leak. */
#include "gee/debug.h"
#include "pprof/pprof.h"
#include "sync/pool.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const gee_prof_type type = {"goroutine", "count"};

static const char *state_of(const gee_prof_task *t) {
    return *t->reason ? t->reason : gee_task_state_text(t->state);
}

/* What can be said of its stack; one that has not run yet is about to call its function. */
static void push_frames(gee_prof_stack *s, const gee_prof_task *t) {
    for (int i = 0; i < t->npcs; i++)
        gee_prof_push_pc(s, t->pcs[i]);
    if (t->npcs == 0)
        gee_prof_push_pc(s, (uintptr_t)t->fn);
}

void gee_prof_add_task(gee_prof *p, const gee_prof_task *t, const char *leak) {
    gee_prof_stack s = {.n = 0};
    push_frames(&s, t);
    gee_prof_push_site(&s, t);
    if (strchr(t->name, ' ') == NULL) /* a request's is its target: each would be a line */
        gee_prof_label_add(&s, "name", t->name);
    gee_prof_label_add(&s, "state", state_of(t));
    gee_prof_label_add(&s, "leak", leak);
    gee_prof_add(p, &s, (const int64_t[]){1});
}

/* On a thread: of ten thousand tasks it takes milliseconds. */
struct building {
    gee_prof *p;
    const gee_prof_tasks *all;
    const gee_leak *leaks; /* by their ids; NULL: all tasks */
    int nleaks;
};

static int by_id(const void *a, const void *b) {
    const gee_leak *x = a, *y = b;
    return (x->task.id > y->task.id) - (x->task.id < y->task.id);
}

static void build(void *arg) {
    static const char *const kinds[] = {"deaf", "stuck", "circle"};
    struct building *b = arg;
    for (const gee_prof_task *t = NULL; (t = gee_prof_tasks_next(b->all, t)) != NULL;) {
        const gee_leak key = {.task.id = t->id}, *leak = NULL;
        if (b->leaks)
            leak = bsearch(&key, b->leaks, (size_t)b->nleaks, sizeof(key), by_id);
        if (leak || b->leaks == NULL)
            gee_prof_add_task(b->p, t, leak ? kinds[leak->kind] : NULL);
    }
}

/* Of those tasks that are leaks, or of all. */
static gee_prof *take_of(const gee_leak *leaks, int n) {
    gee_prof_tasks all;
    struct building b = {gee_prof_new(&type, 1, type, 1), &all, leaks, n};
    int rc = b.p ? gee_prof_tasks_take(&all) : UV_ENOMEM;
    if (b.p == NULL)
        return NULL;
    if (rc == 0)
        rc = gee_blocking_in(&gee_framework_lane, NULL, build, &b);
    if (rc < 0)
        b.p->rc = rc;
    gee_prof_tasks_free(&all);
    return b.p;
}

static gee_prof *take(void) {
    return take_of(NULL, 0);
}

/* --- ?debug=2 --- */

static void traceback(gee_buf *out, const gee_prof *p, const gee_prof_task *t,
                      const gee_prof_sample *s) {
    gee_buf_printf(out, "goroutine %" PRIu64 " [%s", t->id, state_of(t));
    if (t->since_ns >= UINT64_C(60000000000))
        gee_buf_printf(out, ", %" PRIu64 " minutes", t->since_ns / UINT64_C(60000000000));
    gee_buf_printf(out, "]:\n");
    for (uint32_t i = 0; i < s->nlocations; i++) {
        const gee_prof_location *l = &p->locations.at[p->ids.at[s->at + i]];
        for (uint32_t j = 0; j < l->nlines; j++) {
            const gee_prof_line *at = &p->lines.at[l->line_at + j];
            const gee_prof_function *f = &p->functions.at[at->function];
            gee_buf_printf(out, l->pc ? "%s(...)\n" : "%s\n", p->strings.at[f->name]);
            gee_buf_printf(out, "\t%s:%d", f->file ? p->strings.at[f->file] : "?", at->line);
            gee_buf_printf(out, l->pc ? " +%#" PRIx64 "\n" : "\n", l->offset);
        }
        if (l->nlines == 0)
            gee_buf_printf(out, "?(...)\n\t?:0 +%#" PRIxPTR "\n", l->pc);
    }
    gee_buf_printf(out, "# \"%s\", worker %d, age %.1f s, in this state for %.1f s\n\n", t->name,
                   t->worker, (double)t->age_ns / 1e9, (double)t->since_ns / 1e9);
}

struct traces {
    const gee_prof_tasks *all;
    gee_buf *out;
    int rc;
};

/* Each task has a sample of its own here: its id is a label. */
static void write_traces(void *arg) {
    struct traces *tr = arg;
    gee_prof *p = gee_prof_new(&type, 1, type, 1);
    char id[24];
    for (const gee_prof_task *t = NULL; p && (t = gee_prof_tasks_next(tr->all, t)) != NULL;) {
        gee_prof_stack s = {.n = 0};
        push_frames(&s, t);
        gee_prof_push_site(&s, t);
        snprintf(id, sizeof(id), "%" PRIu64, t->id);
        gee_prof_label_add(&s, "id", id);
        gee_prof_add(p, &s, (const int64_t[]){1});
    }
    if (p)
        gee_prof_resolve(p);
    tr->rc = p == NULL || p->rc < 0 ? UV_ENOMEM : 0;
    size_t i = 0;
    for (const gee_prof_task *t = NULL;
         tr->rc == 0 && (t = gee_prof_tasks_next(tr->all, t)) != NULL;)
        traceback(tr->out, p, t, &p->samples.at[i++]);
    gee_prof_free(p);
}

static int traces(gee_buf *out) {
    gee_prof_tasks all;
    int rc = gee_prof_tasks_take(&all);
    struct traces tr = {&all, out, 0};
    if (rc == 0)
        rc = gee_blocking_in(&gee_framework_lane, NULL, write_traces, &tr);
    gee_prof_tasks_free(&all);
    return rc < 0 ? rc : tr.rc;
}

const gee_prof_kind gee_prof_goroutine = {
    .name = "goroutine", .form = GEE_PROF_COUNTS, .take = take, .traces = traces};

/* --- those that leak --- */

/* What was a leak a moment ago is one now: nothing ends it. */
static gee_prof *take_leaks(void) {
    gee_leak *leaks;
    int n = gee_leakcheck(&leaks);
    if (n > 0)
        qsort(leaks, (size_t)n, sizeof(*leaks), by_id);
    gee_prof *p = n < 0 ? NULL : take_of(leaks, n);
    free(leaks);
    return p;
}

const gee_prof_kind gee_prof_taskleak = {
    .name = "taskleak", .form = GEE_PROF_COUNTS, .take = take_leaks};
