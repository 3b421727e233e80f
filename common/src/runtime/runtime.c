/* The runtime as a whole: workers start and stop together. */
#include "base/count.h"
#include "base/tools.h"
#include "gee/run.h"
#include "runtime/overflow.h"
#include "runtime/worker.h"
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic(gee_runtime *) current;
static _Atomic uint64_t runs;

gee_runtime *gee_runtime_current(void) {
    return atomic_load_explicit(&current, memory_order_relaxed);
}

bool gee_simulated(void) {
    gee_runtime *rt = gee_runtime_current();
    return rt && rt->sim;
}

int gee_workers(void) {
    gee_runtime *rt = gee_runtime_current();
    return rt ? rt->nworkers : 0;
}

uint64_t gee_clock_ns(void) {
    return gee_driver_now(gee_worker_self());
}

uint64_t gee_clock_in_ms(uint64_t ms) {
    uint64_t now = gee_clock_ns();
    return ms < (GEE_FAR_NS - now) / 1000000 ? now + ms * 1000000 : GEE_FAR_NS;
}

uint64_t gee_wall_ms(void) {
    return gee_runtime_current()->driver->wall_ms();
}

uint64_t gee_now_ns(void) {
    return gee_clock_ns();
}

uint64_t gee_now_ms(void) {
    return gee_clock_ns() / 1000000;
}

/* splitmix64: every seed, 0 too, gives a good sequence. */
uint64_t gee_random(gee_worker *w) {
    uint64_t z = w->rng += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t gee_random_number(void) {
    return gee_random(gee_worker_self());
}

static int init_sems(gee_runtime *rt) {
    uv_sem_t *sems[] = {&rt->through, &rt->may_settle, &rt->may_close};
    for (size_t i = 0; i < sizeof(sems) / sizeof(*sems); i++) {
        int rc = uv_sem_init(sems[i], 0);
        while (rc < 0 && i > 0)
            uv_sem_destroy(sems[--i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void destroy_sems(gee_runtime *rt) {
    uv_sem_destroy(&rt->through);
    uv_sem_destroy(&rt->may_settle);
    uv_sem_destroy(&rt->may_close);
}

int gee_runtime_init(gee_runtime *rt, int nworkers) {
    gee_runtime *none = NULL;
    if (!atomic_compare_exchange_strong(&current, &none, rt))
        return UV_EALREADY;
    rt->run = atomic_fetch_add(&runs, 1) + 1;
    int rc = init_sems(rt);
    if (rc < 0) {
        atomic_store(&current, NULL);
        return rc;
    }
    rt->workers = calloc((size_t)nworkers, sizeof(gee_worker));
    rc = rt->workers ? 0 : UV_ENOMEM;
    for (rt->nworkers = 0; rc == 0 && rt->nworkers < nworkers; rt->nworkers++)
        if ((rc = gee_worker_init(&rt->workers[rt->nworkers], rt, rt->nworkers)) < 0)
            break;
    if (rc < 0) {
        while (rt->nworkers > 0)
            gee_worker_close(&rt->workers[--rt->nworkers]);
        free(rt->workers);
        destroy_sems(rt);
        atomic_store(&current, NULL);
        return rc;
    }
    gee_overflow_watch();
    signal(SIGPIPE, SIG_IGN); /* a client that left is an error code, not the end */
    return 0;
}

static void thread_main(void *arg) {
    gee_worker *w = arg;
    char name[16]; /* as long as one may be; for top -H, gdb and perf */
    snprintf(name, sizeof(name), "gee worker %d", w->index);
    pthread_setname_np(pthread_self(), name);
    gee_worker_enter(w);
    gee_worker_loop(w);
    uv_sem_post(&w->rt->through);
    uv_sem_wait(&w->rt->may_settle);
    gee_worker_settle(w);
    uv_sem_post(&w->rt->through);
    uv_sem_wait(&w->rt->may_close);
    gee_worker_close(w);
    gee_worker_leave();
}

int gee_runtime_start_threads(gee_runtime *rt) {
    for (int i = 1; i < rt->nworkers; i++) {
        int rc = uv_thread_create(&rt->workers[i].thread, thread_main, &rt->workers[i]);
        if (rc < 0) {
            for (int j = i; j < rt->nworkers; j++) /* these have no thread to do it */
                gee_worker_close(&rt->workers[j]);
            rt->nworkers = i;
            return rc;
        }
    }
    return 0;
}

static void print_task(const gee_task *t, uint64_t now_ns) {
    fprintf(stderr, "  task %" PRIu64 " \"%s\" %s", t->id, t->name, gee_task_state_text(t->state));
    if (t->state == GEE_TASK_WAITING)
        fprintf(stderr, " (%s) at %s", gee_wait_reason_text(t->reason), t->parked_at);
    fprintf(stderr, " for %.3f s, created at %s\n", (double)(now_ns - t->since_ns) / 1e9,
            t->created_at);
}

/* On w's thread. */
void gee_worker_print_tasks(gee_worker *w, const char *title) {
    fprintf(stderr, "gee: %s\n", title);
    gee_list_each (it, &w->tasks)
        print_task(gee_container(it, gee_task, all), w->now_ns);
}

static void wait_for_others(gee_runtime *rt) {
    for (int i = 1; i < rt->nworkers; i++)
        uv_sem_wait(&rt->through);
}

static void let_others(gee_runtime *rt, uv_sem_t *go_on) {
    for (int i = 1; i < rt->nworkers; i++)
        uv_sem_post(go_on);
}

/*
 * Each worker settles, and then drops what it has left and closes its loop, on its own thread. None
 * settles before all have left their loops, for until then tasks run, and ask; and none closes
 * before all have settled, for until then any of them may ring another's bell.
 */
static void stop_workers(gee_runtime *rt) {
    atomic_store(&rt->stop, true);
    for (int i = 1; i < rt->nworkers; i++)
        uv_async_send(&rt->workers[i].bell);
    wait_for_others(rt);
    let_others(rt, &rt->may_settle);
    gee_worker_settle(&rt->workers[0]);
    wait_for_others(rt);
    let_others(rt, &rt->may_close);
    for (int i = 1; i < rt->nworkers; i++)
        uv_thread_join(&rt->workers[i].thread);
    gee_worker_close(&rt->workers[0]);
}

int gee_runtime_close(gee_runtime *rt) {
    stop_workers(rt);
    bool left = false, busy = false;
    for (int i = 0; i < rt->nworkers; i++) {
        left |= rt->workers[i].left_over;
        busy |= rt->workers[i].loop_busy;
        gee_origins_free(&rt->workers[i].origins); /* paths went through those of others */
    }
    gee_worker_leave(); /* first: a signal's handler looks at the worker of its thread */
    gee_tsan_ignore_begin();
    if (!busy) /* a loop that still has handles stays where they point to */
        free(rt->workers);
    gee_tsan_ignore_end();
    gee_overflow_unwatch();
    destroy_sems(rt);
    gee_race_acquire(rt);
    atomic_store(&current, NULL);
    return left || busy ? UV_EBUSY : 0;
}
