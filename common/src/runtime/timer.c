#include "runtime/timer.h"
#include "base/count.h"
#include "base/tools.h"
#include "runtime/worker.h"
#include <stdlib.h>

static bool before(const gee_timer_place *a, const gee_timer_place *b) {
    return a->when_ns != b->when_ns ? a->when_ns < b->when_ns : a->timer->seq < b->timer->seq;
}

static void place(gee_timers *ts, const gee_timer_place *p, size_t i) {
    ts->heap[i] = *p;
    p->timer->slot = i + 1;
}

/* Where p goes that may be earlier than what is above i. */
static void sift_up(gee_timers *ts, gee_timer_place p, size_t i) {
    while (i > 0 && before(&p, &ts->heap[(i - 1) / 2])) {
        place(ts, &ts->heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(ts, &p, i);
}

/* Or later than what is below. */
static void sift_down(gee_timers *ts, gee_timer_place p, size_t i) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= ts->n)
            break;
        if (child + 1 < ts->n && before(&ts->heap[child + 1], &ts->heap[child]))
            child++;
        if (!before(&ts->heap[child], &p))
            break;
        place(ts, &ts->heap[child], i);
        i = child;
    }
    place(ts, &p, i);
}

static void remove_at(gee_timers *ts, size_t i) {
    gee_timer_place last = ts->heap[--ts->n];
    ts->heap[i].timer->slot = 0;
    if (i < ts->n) {
        if (i > 0 && before(&last, &ts->heap[(i - 1) / 2]))
            sift_up(ts, last, i);
        else
            sift_down(ts, last, i);
    }
    gee_count(GEE_COUNT_TIMERS, -1);
}

/* The heap is the worker's, whichever of its tasks makes it grow: TSan is told nothing. */
static int grow(gee_timers *ts) {
    size_t cap = ts->cap ? 2 * ts->cap : 64;
    gee_tsan_ignore_begin();
    gee_timer_place *heap = realloc(ts->heap, cap * sizeof(*heap));
    gee_tsan_ignore_end();
    if (heap == NULL)
        return UV_ENOMEM;
    ts->heap = heap;
    ts->cap = cap;
    return 0;
}

int gee_timers_init(gee_timers *ts) {
    return grow(ts);
}

/* One place is for the timer that waits for memory: it cannot be refused. */
static bool is_full(const gee_timers *ts, const gee_timer *t, const gee_worker *w) {
    return ts->n + (t != &w->again) >= ts->cap;
}

int gee_timer_start(gee_timer *t, uint64_t when_ns, void (*fn)(gee_timer *t)) {
    gee_worker *w = gee_worker_self();
    gee_timers *ts = &w->timers;
    gee_timer_stop(t);
    if (is_full(ts, t, w) && grow(ts) < 0)
        return UV_ENOMEM;
    t->when_ns = when_ns < GEE_FAR_NS ? when_ns : GEE_FAR_NS;
    t->seq = ts->seq++;
    t->fn = fn;
    t->worker = w;
    sift_up(ts, (gee_timer_place){t->when_ns, t}, ts->n++);
    gee_count(GEE_COUNT_TIMERS, 1);
    return 0;
}

bool gee_timer_stop(gee_timer *t) {
    if (!gee_timer_armed(t))
        return false;
    gee_worker_check(t->worker, "a timer");
    remove_at(&t->worker->timers, t->slot - 1);
    return true;
}

uint64_t gee_timers_next(const gee_timers *ts) {
    return ts->n ? ts->heap[0].when_ns : UINT64_MAX;
}

/* Those due now: one that a callback arms for now waits for the next round. */
void gee_timers_fire(gee_worker *w, gee_timers *ts, uint64_t now_ns) {
    uint64_t round = ts->seq;
    (void)w;
    while (ts->n && ts->heap[0].when_ns <= now_ns && ts->heap[0].timer->seq < round) {
        gee_timer *t = ts->heap[0].timer;
        remove_at(ts, 0);
        t->fn(t);
    }
}

void gee_timers_free(gee_timers *ts) {
    free(ts->heap);
    *ts = (gee_timers){0};
}
