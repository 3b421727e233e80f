/* A trace from its start to its end: each worker's recorder is started and stopped by that worker.
 */
#include "trace/trace.h"
#include "base/count.h"
#include "base/tools.h"
#include "sync/waitq.h"
#include <stdlib.h>

/* The number of the runtime in which a trace is being recorded: one that ended ends it. */
static _Atomic uint64_t recording;

typedef void (*recorder_fn)(gee_recorder *r, gee_worker *w);

struct ask {
    gee_work work;
    recorder_fn fn;
    gee_recorder *recorder;
    gee_worker *worker;
    gee_waitgroup *all_in;
};

static void answer(gee_work *work) {
    struct ask *a = gee_container(work, struct ask, work);
    gee_tsan_ignore_begin(); /* a strnlen of a task's name would count, although this does not */
    a->fn(a->recorder, a->worker);
    gee_tsan_ignore_end();
    gee_waitgroup_done(a->all_in);
}

static void on_each_worker(gee_trace *t, recorder_fn fn) {
    gee_runtime *rt = gee_runtime_current();
    struct ask asks[GEE_MAX_WORKERS];
    gee_waitgroup all_in = GEE_DONE_BY_CALLBACKS;
    gee_waitgroup_add(&all_in, t->n);
    for (int i = 0; i < t->n; i++) {
        asks[i] = (struct ask){{.fn = answer}, fn, t->recorders[i], &rt->workers[i], &all_in};
        if (asks[i].worker == gee_worker_self())
            answer(&asks[i].work);
        else
            gee_post(asks[i].worker, &asks[i].work);
    }
    gee_waitgroup_wait(NULL, &all_in);
}

static void stop_recorder(gee_recorder *r, gee_worker *w) {
    (void)w;
    gee_recorder_stop(r);
}

static void free_all(gee_trace *t) {
    for (int i = 0; t->recorders && i < t->n; i++)
        gee_recorder_free(t->recorders[i]);
    free(t->recorders);
    free(t);
}

static gee_trace *new_trace(int workers, size_t bytes) {
    gee_trace *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->n = workers;
    t->recorders = calloc((size_t)workers, sizeof(gee_recorder *));
    for (int i = 0; t->recorders && i < workers; i++)
        if ((t->recorders[i] = gee_recorder_new(bytes)) == NULL) {
            free_all(t);
            return NULL;
        }
    if (t->recorders)
        return t;
    free(t);
    return NULL;
}

int gee_trace_start(size_t bytes, gee_trace **out) {
    gee_runtime *rt = gee_runtime_current();
    uint64_t before = atomic_load(&recording);
    *out = NULL;
    if (before == rt->run || !atomic_compare_exchange_strong(&recording, &before, rt->run))
        return UV_EALREADY;
    gee_trace *t = new_trace(rt->nworkers, bytes ? bytes : GEE_TRACE_BYTES);
    if (t == NULL) {
        atomic_store(&recording, 0);
        return UV_ENOMEM;
    }
    on_each_worker(t, gee_recorder_start);
    t->recording = true;
    *out = t;
    return 0;
}

void gee_trace_stop(gee_trace *t) {
    if (!t->recording)
        return;
    on_each_worker(t, stop_recorder);
    t->recording = false;
    t->start_ns = UINT64_MAX;
    for (int i = 0; i < t->n; i++)
        if (gee_recorder_start_ns(t->recorders[i]) < t->start_ns)
            t->start_ns = gee_recorder_start_ns(t->recorders[i]);
    atomic_store(&recording, 0);
}

void gee_trace_free(gee_trace *t) {
    if (t == NULL)
        return;
    gee_trace_stop(t);
    free_all(t);
}

uint64_t gee_trace_dropped(const gee_trace *t) {
    uint64_t n = 0;
    for (int i = 0; i < t->n; i++)
        n += gee_recorder_dropped(t->recorders[i]);
    return n;
}

uint64_t gee_trace_kept(const gee_trace *t) {
    uint64_t n = 0;
    for (int i = 0; i < t->n; i++)
        n += gee_recorder_count(t->recorders[i]);
    return n;
}

size_t gee_trace_bytes(const gee_trace *t) {
    size_t n = sizeof(*t) + (size_t)t->n * sizeof(*t->recorders);
    for (int i = 0; i < t->n; i++)
        n += gee_recorder_bytes(t->recorders[i]);
    return n;
}
