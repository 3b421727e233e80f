/* Starting tasks under a ctx, and the runtime with its first one. */
#include "base/count.h"
#include "base/env.h"
#include "base/tools.h"
#include "ctx/ctx.h"
#include "gee/run.h"
#include "runtime/worker.h"
#include <stdio.h>
#include <sys/random.h>

/* Who waits for this task under the same ctx would wait for ever. */
static void end_owner(gee_task *t, const gee_panic_info *info) {
    gee_panic_print(info);
    if (t->owner)
        gee_ctx_cancel(t->owner, GEE_EPANIC);
}

static void drop_owner(gee_task *t) {
    gee_ctx_unref(t->owner);
}

void gee_task_set_owner(gee_ctx *ctx) {
    gee_task *t = gee_task_self();
    gee_ctx *before = t->owner;
    if (ctx == before)
        return;
    t->owner = gee_ctx_ref(ctx);
    gee_ctx_unref(before);
}

static int spawn(gee_worker *w, gee_ctx *ctx, gee_task_fn fn, void *arg, const char *name,
                 gee_site site) {
    gee_spawn s = {fn, arg, gee_ctx_ref(ctx), end_owner, drop_owner, name, site};
    int rc = gee_task_spawn(w, &s);
    if (rc < 0)
        gee_ctx_unref(ctx);
    return rc;
}

int gee_go_at(gee_ctx *ctx, gee_task_fn fn, void *arg, const char *name, gee_site site) {
    return spawn(gee_worker_self(), ctx, fn, arg, name, site);
}

int gee_go_on_at(int index, gee_ctx *ctx, gee_task_fn fn, void *arg, const char *name,
                 gee_site site) {
    gee_runtime *rt = gee_runtime_current();
    if (rt == NULL || index < 0 || index >= rt->nworkers)
        return UV_EINVAL;
    return spawn(&rt->workers[index], ctx, fn, arg, name, site);
}

struct first_task {
    gee_task_fn fn;
    gee_ctx *root;
    void *arg;
    int rc; /* GEE_EPANIC, or 0 */
};

static void call_main(void *arg) {
    struct first_task *first = arg;
    first->fn(first->root, first->arg);
}

/* Nothing to do: it gets worker 0 out of its poll, to see that the time is up. */
static void grace_over(gee_timer *t) {
    (void)t;
}

static void first_task(gee_ctx *root, void *arg) {
    struct first_task *first = arg;
    gee_runtime *rt = gee_runtime_current();
    gee_race_acquire(rt); /* what came before gee_run */
    gee_panic_info panic;
    first->rc = gee_recover(call_main, first, &panic);
    if (first->rc < 0)
        gee_panic_print(&panic);
    gee_ctx_cancel(root, 0);
    rt->deadline_ns = gee_clock_in_ms(rt->grace_ms);
    if (gee_timer_start(&rt->grace, rt->deadline_ns, grace_over) < 0)
        rt->deadline_ns = 0; /* no memory to wait with */
    atomic_store(&rt->main_done, true);
}

static int settings(gee_runtime *rt, const gee_config *cfg, int *workers) {
    uint64_t n = 1, kib = 256, seed = 0;
    if (!gee_env_get("GEE_WORKERS", (gee_env_range){GEE_ENV_PLAIN, 1, GEE_MAX_WORKERS}, &n) ||
        !gee_env_get("GEE_STACK_KIB", (gee_env_range){GEE_ENV_PLAIN, 16, 1024 * 1024}, &kib) ||
        !gee_env_get("GEE_SEED", (gee_env_range){GEE_ENV_PLAIN, 0, UINT64_MAX}, &seed))
        return UV_EINVAL;
    if (cfg->workers < 0 || cfg->workers > GEE_MAX_WORKERS) {
        fprintf(stderr, "gee: %d workers: 1 to %d are possible\n", cfg->workers, GEE_MAX_WORKERS);
        return UV_EINVAL;
    }
    *workers = cfg->sim ? 1 : cfg->workers ? cfg->workers : (int)n;
    rt->stack_size = 1024 * (cfg->stack_kib ? cfg->stack_kib : kib);
    rt->stack_size = (rt->stack_size + 4095) & ~(size_t)4095;
    rt->seed = cfg->seed ? cfg->seed : seed;
    if (!cfg->sim && rt->seed == 0 && getrandom(&rt->seed, sizeof(rt->seed), GRND_NONBLOCK) < 0)
        rt->seed = uv_hrtime(); /* no two processes shall draw the same */
    rt->grace_ms = cfg->grace_ms ? cfg->grace_ms : 5000;
    rt->sim = cfg->sim;
    rt->driver = cfg->sim ? &gee_driver_sim : &gee_driver_real;
    return 0;
}

static int run_main(gee_runtime *rt, gee_task_fn fn, void *arg) {
    gee_ctx *root = gee_ctx_with_cancel(NULL);
    if (root == NULL)
        return UV_ENOMEM;
    struct first_task first = {.fn = fn, .root = root, .arg = arg};
    int rc = gee_go_at(root, first_task, &first, "main", GEE_HERE);
    gee_worker *w0 = &rt->workers[0];
    if (rc == 0)
        rc = gee_worker_loop(w0);
    if (rc == 0)
        rc = first.rc;
    if (rc == GEE_EDEADLK) {
        rt->deadlock = true;
        gee_worker_print_tasks(w0, "deadlock: every task is parked and no timer is armed:");
    }
    gee_timer_stop(&rt->grace);
    gee_ctx_end(root);
    return rc;
}

/* As of the variable. Below, no task gets to its first line; above, a size is not a size any more.
 */
static int check_stack(const gee_config *cfg) {
    if (cfg->stack_kib == 0 || (cfg->stack_kib >= 16 && cfg->stack_kib <= 1024 * 1024))
        return 0;
    fprintf(stderr, "gee: a stack of %zu KiB: 16 to 1048576 are possible\n", cfg->stack_kib);
    return UV_EINVAL;
}

int gee_run(const gee_config *cfg, gee_task_fn fn, void *arg) {
    gee_runtime rt = {0};
    int workers;
    cfg = cfg ? cfg : &(gee_config){0};
    int rc = check_stack(cfg);
    if (rc == 0)
        rc = settings(&rt, cfg, &workers);
    if (rc == 0)
        rc = gee_runtime_init(&rt, workers);
    if (rc < 0)
        return rc;
    gee_race_release(&rt);
    gee_worker_enter(&rt.workers[0]);
    rc = gee_runtime_start_threads(&rt);
    if (rc == 0)
        rc = run_main(&rt, fn, arg);
    int closed = gee_runtime_close(&rt);
    return rc ? rc : closed;
}
