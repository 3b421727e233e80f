/* Sleeping, and blocking work: the two waits that end by themselves. */
#include "base/tools.h"
#include "gee/run.h"
#include "runtime/worker.h"
#include "sync/waitq.h"

struct sleeper {
    gee_timer timer;
    gee_park park;
};

static void time_is_up(gee_timer *t) {
    gee_wake(&gee_container(t, struct sleeper, timer)->park, 0);
}

int gee_sleep_at(gee_ctx *ctx, uint64_t ms, gee_site site) {
    struct sleeper s = {0};
    gee_park_init(&s.park);
    int err = gee_ctx_err(ctx);
    if (err == 0)
        err = gee_timer_start(&s.timer, gee_clock_in_ms(ms), time_is_up);
    if (err != 0)
        return err;
    int index = gee_park_wait_ctx(&s.park, ctx, GEE_WAIT_SLEEP, site, &err);
    gee_timer_stop(&s.timer);
    return index == GEE_BY_CTX ? err : 0;
}

struct blocking {
    uv_work_t req;
    gee_park park;
    void (*fn)(void *arg);
    void *arg;
    int status;
    bool done;
};

static void on_thread(uv_work_t *req) {
    struct blocking *b = req->data;
    gee_race_acquire(b);
    b->fn(b->arg);
    gee_race_release(b);
}

static void on_done(uv_work_t *req, int status) {
    struct blocking *b = req->data;
    gee_worker_woke(req->loop);
    b->status = status;
    b->done = true;
    gee_wake(&b->park, 0);
}

int gee_blocking_at(gee_ctx *ctx, void (*fn)(void *arg), void *arg, gee_site site) {
    int err = gee_ctx_err(ctx);
    if (err != 0)
        return err;
    if (gee_simulated()) {
        fn(arg);
        return 0;
    }
    struct blocking b = {.fn = fn, .arg = arg};
    gee_park_init(&b.park);
    b.req.data = &b;
    gee_race_release(&b);
    err = uv_queue_work(&gee_worker_self()->loop, &b.req, on_thread, on_done);
    if (err != 0)
        return err;
    int index = gee_park_wait_ctx(&b.park, ctx, GEE_WAIT_BLOCKING, site, &err);
    if (index == GEE_BY_CTX && !b.done) {
        uv_cancel((uv_req_t *)&b.req); /* fails once it runs; then it is waited for */
        gee_park_init(&b.park);
        gee_park_wait(&b.park, GEE_WAIT_BLOCKING, NULL, site);
    }
    gee_race_acquire(&b);
    return b.status == 0 ? 0 : err;
}
