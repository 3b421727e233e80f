/* Something to do on every worker, in a task there: what belongs to a worker is its own to touch.
 */
#include "base/count.h"
#include "gee/ctx.h"
#include "gee/sync.h"
#include "pprof/pprof.h"

struct errand {
    gee_task_fn fn;
    void *arg;
    gee_waitgroup *all;
};

static void run(gee_ctx *ctx, void *arg) {
    struct errand *e = arg;
    e->fn(ctx, e->arg);
    gee_waitgroup_done(e->all);
}

int gee_prof_on_each_at(gee_task_fn fn, void *args, size_t size, const char *name, gee_site site) {
    struct errand errands[GEE_MAX_WORKERS];
    gee_waitgroup all = {0};
    int rc = 0, n = gee_workers();
    gee_waitgroup_add(&all, n);
    for (int i = 0; i < n; i++) {
        errands[i] = (struct errand){fn, (char *)args + (size_t)i * size, &all};
        int err = gee_go_on_at(i, gee_background(), run, &errands[i], name, site);
        if (err < 0) {
            gee_waitgroup_done(&all);
            rc = err;
        }
    }
    gee_waitgroup_wait(NULL, &all);
    return rc;
}
