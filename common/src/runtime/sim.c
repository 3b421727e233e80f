/*
 * The simulated driver: nothing outside exists. Time stands still while a task
 * can run and then jumps to the next timer, so a wait of 30 s costs nothing and
 * is exact. The seed decides which runnable task goes next; 0 keeps them in
 * order.
 */
#include "gee/run.h"
#include "runtime/worker.h"

/* 2026-01-01T00:00:00Z, so that what a server prints is the same in every run. */
static const uint64_t epoch_ms = UINT64_C(1767225600000);
static const uint64_t start_ns = UINT64_C(1000000000);

static int sim_start(gee_worker *w) {
    w->now_ns = start_ns;
    return 0;
}

static uint64_t sim_now(gee_worker *w) {
    return w->now_ns;
}

static uint64_t sim_wall(void) {
    gee_worker *w = gee_worker_self();
    return epoch_ms + (w ? sim_now(w) - start_ns : 0) / 1000000;
}

static int sim_poll(gee_worker *w) {
    if (w->runq_len > 0 || w->deferred)
        return 0;
    uint64_t next = gee_timers_next(&w->timers);
    if (next == UINT64_MAX)
        return GEE_EDEADLK;
    if (next > w->now_ns)
        w->now_ns = next;
    gee_timers_fire(w, &w->timers, w->now_ns);
    return 0;
}

static gee_task *sim_next(gee_worker *w) {
    gee_list *it = w->runq.next;
    w->turns++;
    if (w->rt->seed != 0)
        for (uint64_t n = gee_random(w) % w->runq_len; n > 0; n--)
            it = it->next;
    return gee_container(it, gee_task, link);
}

const gee_driver gee_driver_sim = {sim_start, sim_now, sim_poll, sim_next, sim_wall};
