#include "runtime/park.h"
#include "runtime/worker.h"

int gee_park_wait(gee_park *p, enum gee_wait_reason reason, gee_ctx *wait_ctx, gee_site site) {
    gee_task *t = p->task;
    gee_worker *w = t->worker;
    uint64_t parked_ns = w->now_ns;
    /*
     * A wake-up may have come already. From another worker it then sits in the
     * inbox, which is read after this task has switched out. From this worker
     * nothing can have come: its code runs only while this task does not.
     */
    t->state = GEE_TASK_WAITING;
    t->since_ns = parked_ns;
    t->reason = reason;
    t->parked_at = site;
    t->wait_ctx = wait_ctx;
    t->park = p;
    gee_task_switch_out(t);
    if (w->on_waited)
        w->on_waited(t, w->now_ns - parked_ns);
    t->reason = GEE_WAIT_NONE;
    t->wait_ctx = NULL;
    t->park = NULL;
    return atomic_load_explicit(&p->fired, memory_order_acquire) - 1;
}
