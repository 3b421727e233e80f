/*
 * What the framework holds now, by type and by who made it: the profile heap.
 *
 * Nothing is noted down when an object is made, so this costs nothing while nobody looks. Each
 * worker tells what it can walk to: its tasks with their stacks, the timers, the connections with
 * their buffers and requests. Of what is only counted (base/count.h) the rest is there too, as
 * "elsewhere", so that the sums are those of the census.
 */
#include "base/count.h"
#include "base/tools.h"
#include "ctx/tree.h"
#include "pprof/pprof.h"
#include "runtime/worker.h"
#include "sync/chan.h"
#include "sync/pool.h"
#include "web/web.h"
#include <stdlib.h>

static const gee_prof_type types[] = {{"inuse_objects", "count"}, {"inuse_space", "bytes"}};

/* --- what a worker tells --- */

enum kind { TIMER, CONN, REQUEST, BUFFER, CTX, CHAN, TASK, STACK, COPY, KINDS };
static const char *const names[] = {"timer",   "connection", "request", "buffer", "ctx",
                                    "channel", "task",       "stack",   "copy"};

/* Of those that are only counted, for what is elsewhere; a channel without what is in it. */
static const size_t sizes[KINDS] = {
    [TIMER] = sizeof(gee_timer),    [CONN] = sizeof(gee_conn),        [REQUEST] = sizeof(gee_req),
    [CTX] = sizeof(struct gee_ctx), [CHAN] = sizeof(struct gee_chan), [COPY] = sizeof(gee_req)};

/* One object; of a request the pattern of its route, which is the engine's. */
struct object {
    enum kind kind;
    uintptr_t pc; /* its callback, or handler; 0: none */
    const char *route;
    size_t bytes;
};

struct part {
    gee_buf out; /* struct object */
    int rc;
};

static void tell(struct part *p, enum kind kind, uintptr_t pc, const char *route, size_t bytes) {
    const struct object o = {kind, pc, route, bytes};
    if (gee_buf_append(&p->out, &o, sizeof(o)) < 0)
        p->rc = UV_ENOMEM;
}

static void tell_request(struct part *p, gee_exchange *x) {
    gee_req *req = gee_container(x, gee_req, x);
    const gee_chain *chain = req->chain;
    uintptr_t handler = chain && chain->n > 0 ? (uintptr_t)chain->links[chain->n - 1].fn : 0;
    tell(p, REQUEST, handler, gee_route(req), sizeof(*req));
    if (x->body.cap > 0)
        tell(p, BUFFER, handler, gee_route(req), x->body.cap);
}

static void tell_conn(struct part *p, gee_conn *c) {
    size_t held = c->in.cap + c->out.cap + gee_arena_bytes(&c->arena);
    tell(p, CONN, 0, NULL, sizeof(*c));
    if (held > 0)
        tell(p, BUFFER, 0, "connection", held);
    if (c->serving && c->x && c->x->start_ns > 0)
        tell_request(p, c->x);
}

static void tell_all(gee_ctx *ctx, void *arg) {
    struct part *p = arg;
    gee_worker *w = gee_worker_self();
    (void)ctx;
    gee_tsan_ignore_begin(); /* of this worker nothing else runs now, though TSan cannot know */
    for (size_t i = 0; i < w->timers.n; i++)
        tell(p, TIMER, (uintptr_t)w->timers.heap[i].timer->fn, NULL, sizeof(gee_timer));
    gee_list_each (it, &w->servers) {
        gee_server_part *server = gee_container(it, gee_server_part, link);
        gee_list_each (at, &server->conns)
            tell_conn(p, gee_container(at, gee_conn, link));
    }
    gee_tsan_ignore_end();
}

/* --- the profile, on a thread --- */

struct building {
    gee_prof *p;
    const struct part *parts;
    const gee_prof_tasks *tasks;
    int64_t counted[KINDS]; /* by the census, objects; of buffers bytes */
    int64_t told[KINDS];
};

static void add(struct building *b, const gee_prof_stack *s, enum kind kind, int64_t n,
                int64_t bytes) {
    gee_prof_add(b->p, s, (const int64_t[]){n, bytes});
    b->told[kind] += kind == BUFFER ? bytes : n;
}

static void add_object(struct building *b, const struct object *o) {
    gee_prof_stack s;
    s.n = s.nlabels = 0;
    gee_prof_push_frame(&s, names[o->kind], NULL);
    if (o->pc)
        gee_prof_push_pc(&s, o->pc);
    if (o->route)
        gee_prof_push_frame(&s, o->route, NULL);
    add(b, &s, o->kind, 1, (int64_t)o->bytes);
}

static void add_of_task(struct building *b, const gee_prof_task *t, enum kind kind, int64_t bytes) {
    gee_prof_stack s;
    s.n = s.nlabels = 0;
    gee_prof_push_frame(&s, names[kind], NULL);
    gee_prof_push_pc(&s, (uintptr_t)t->fn);
    gee_prof_push_site(&s, t);
    add(b, &s, kind, 1, bytes);
}

/* A ctx or channel of several tasks is one, of the first of them. */
struct owned {
    const void *object;
    const gee_prof_task *task;
};

static int by_object(const void *a, const void *b) {
    const struct owned *x = a, *y = b;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return (x->task->id > y->task->id) - (x->task->id < y->task->id);
}

static void add_owned(struct building *b, struct owned *all, size_t n, enum kind kind) {
    if (n > 0)
        qsort(all, n, sizeof(*all), by_object);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || all[i].object != all[i - 1].object)
            add_of_task(b, all[i].task, kind, (int64_t)sizes[kind]);
}

static void add_tasks(struct building *b) {
    size_t n = 0, nctxs = 0, nchans = 0;
    for (const gee_prof_task *t = NULL; (t = gee_prof_tasks_next(b->tasks, t)) != NULL; n++) {
        add_of_task(b, t, TASK, sizeof(gee_task));
        if (t->stack_bytes > 0)
            add_of_task(b, t, STACK, (int64_t)t->stack_bytes);
    }
    struct owned *ctxs = calloc(n + 1, sizeof(*ctxs)), *chans = calloc(n + 1, sizeof(*chans));
    if (ctxs == NULL || chans == NULL)
        b->p->rc = UV_ENOMEM;
    for (const gee_prof_task *t = NULL;
         b->p->rc == 0 && (t = gee_prof_tasks_next(b->tasks, t)) != NULL;) {
        if (t->owner)
            ctxs[nctxs++] = (struct owned){t->owner, t};
        if (t->on)
            chans[nchans++] = (struct owned){t->on, t};
    }
    if (b->p->rc == 0) {
        add_owned(b, ctxs, nctxs, CTX);
        add_owned(b, chans, nchans, CHAN);
    }
    free(ctxs);
    free(chans);
}

static void add_elsewhere(struct building *b, enum kind kind) {
    gee_prof_stack s;
    int64_t left = b->counted[kind] - b->told[kind];
    s.n = s.nlabels = 0;
    gee_prof_push_frame(&s, names[kind], NULL);
    gee_prof_push_frame(&s, "elsewhere", NULL);
    if (left > 0)
        add(b, &s, kind, kind == BUFFER ? 1 : left,
            kind == BUFFER ? left : left * (int64_t)sizes[kind]);
}

static void build(void *arg) {
    struct building *b = arg;
    for (int i = 0; i < GEE_MAX_WORKERS; i++) {
        const gee_buf *out = &b->parts[i].out;
        for (size_t at = 0; at + sizeof(struct object) <= gee_buf_size(out);
             at += sizeof(struct object))
            add_object(b, (const struct object *)(const void *)(gee_buf_head(out) + at));
    }
    add_tasks(b);
    for (int kind = 0; kind < KINDS; kind++)
        add_elsewhere(b, (enum kind)kind);
}

static gee_prof *take(void) {
    static const gee_prof_type period = {"space", "bytes"};
    struct part parts[GEE_MAX_WORKERS] = {0};
    gee_prof_tasks tasks = {0};
    struct building b = {.p = gee_prof_new(types, 2, period, 1), .parts = parts, .tasks = &tasks};
    if (b.p == NULL)
        return NULL;
    b.counted[TIMER] = gee_count_sum(GEE_COUNT_TIMERS);
    b.counted[CONN] = gee_count_sum(GEE_COUNT_CONNS);
    b.counted[REQUEST] = gee_count_sum(GEE_COUNT_REQS);
    b.counted[BUFFER] = gee_count_sum(GEE_COUNT_BYTES);
    b.counted[CTX] = gee_count_sum(GEE_COUNT_CTXS);
    b.counted[CHAN] = gee_count_sum(GEE_COUNT_CHANS);
    b.counted[COPY] = gee_count_sum(GEE_COUNT_COPIES);
    int rc = gee_prof_on_each(tell_all, parts);
    if (rc == 0)
        rc = gee_prof_tasks_take(&tasks);
    if (rc == 0)
        rc = gee_blocking_in(&gee_framework_lane, NULL, build, &b);
    for (int i = 0; i < GEE_MAX_WORKERS; i++) {
        rc = parts[i].rc < 0 ? parts[i].rc : rc;
        gee_buf_free(&parts[i].out);
    }
    gee_prof_tasks_free(&tasks);
    if (rc < 0)
        b.p->rc = rc;
    return b.p;
}

const gee_prof_kind gee_prof_heap = {.name = "heap", .form = GEE_PROF_HEAP, .take = take};
