/* Sleeping: the wait that ends by itself. */
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
