/*
 * Who looks on while tasks are scheduled: at rest nobody, for a load and a branch at each of four
 * places.
 *
 * A probe belongs to one worker; it is added and removed on that worker's thread, so it needs no
 * lock, and once it is removed nobody is in it. There may be any number. What is called may not
 * park, and for the tools it is a carrier: TSan overlooks what it touches.
 */
#ifndef GEE_RUNTIME_PROBE_H
#define GEE_RUNTIME_PROBE_H

#include "runtime/worker.h"

typedef struct gee_probe gee_probe;
struct gee_probe {
    gee_probe *next;
    /* Each may be NULL. */

    /* On the thread of a worker that makes t runnable, by starting or waking it. t may be of
     * another worker, and then, if it is new, it has no id yet. Not called where a thread that is
     * no worker's wakes it. */
    void (*ready)(gee_probe *p, gee_worker *by, gee_task *t);
    /* Before t runs; t->reason still says what it waited for. NONE: it is new, or has yielded. */
    void (*begin)(gee_probe *p, gee_task *t);
    /* After it ran. t->state: WAITING, and reason and parked_at say why and where; RUNNABLE, it has
     * yielded; or DEAD, and then it is freed as soon as this returns. */
    void (*end)(gee_probe *p, gee_task *t);
    /* The task that runs has served a request, which began at start_ns. */
    void (*request)(gee_probe *p, gee_task *t, uint64_t start_ns, int status);
};

/* On w's thread; the probe's memory stays the caller's. */
void gee_probe_add(gee_worker *w, gee_probe *p);
void gee_probe_remove(gee_worker *w, gee_probe *p);

/* What a probe stamps with: the time now, where w->now_ns is that of the latest poll. */
static inline uint64_t gee_probe_now(const gee_worker *w) {
    return w->rt->sim ? w->now_ns : uv_hrtime();
}

/* For the four places, if w->probe. */
void gee_probe_ready(gee_worker *w, gee_task *t);
void gee_probe_begin(gee_worker *w, gee_task *t);
void gee_probe_end(gee_worker *w, gee_task *t);
void gee_probe_request(gee_worker *w, uint64_t start_ns, int status);

#endif
