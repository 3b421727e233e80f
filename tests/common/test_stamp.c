/* Stamps: they are the clock's time, by whatever they are read; they never go back, and follow what
 * another worker has told; in simulation they are the simulation's. */
#include "t.h"
#include "trace/stamp.h"

/* Long enough to believe in a rate several times. */
static void clock_body(gee_ctx *ctx, void *arg) {
    enum { MS = 1000000, OFF = MS };
    gee_stamps s;
    (void)ctx;
    (void)arg;
    gee_stamps_start(&s, gee_worker_self());
    uint64_t end = uv_hrtime() + 300 * MS, last = 0;
    while (last < end) {
        uint64_t before = uv_hrtime(), now = gee_stamp(&s), after = uv_hrtime();
        if (now + OFF < before || now > after + OFF || now < last)
            T_FAIL("between %lld and %lld a stamp says %lld, after %lld", (long long)before,
                   (long long)after, (long long)now, (long long)last);
        last = now;
    }
    T_CHECK(!s.is_even || s.trusted > 0);
}

static void it_is_the_clocks_time(void **state) {
    (void)state;
    t_real(1, clock_body, NULL);
}

/* While it asks the clock, while it believes in a rate, and when it asks again. */
static void told_body(gee_ctx *ctx, void *arg) {
    gee_stamps s;
    uint64_t last = 0;
    (void)ctx;
    (void)arg;
    gee_stamps_start(&s, gee_worker_self());
    for (int i = 0; i < 30; i++) {
        uint64_t later = gee_stamp(&s) + 20000;
        last =
            gee_stamp_not_before(&s, later); /* and not later, unless time has passed meanwhile */
        T_CHECK(last >= later && last < later + 1000000000);
        for (uint64_t end = uv_hrtime() + 2000000; uv_hrtime() < end;) {
            uint64_t now = gee_stamp(&s);
            T_CHECK(now >= later && now >= last);
            last = now;
        }
    }
}

static void it_follows_what_it_is_told(void **state) {
    (void)state;
    t_real(1, told_body, NULL);
}

static void sim_body(gee_ctx *ctx, void *arg) {
    gee_stamps s;
    (void)arg;
    gee_stamps_start(&s, gee_worker_self());
    uint64_t start = gee_stamp(&s);
    gee_sleep(ctx, 5000);
    T_EQ(gee_stamp(&s) - start, 5000000000);
    T_EQ(gee_stamp(&s), gee_worker_self()->now_ns);
}

static void in_simulation_it_is_the_simulations(void **state) {
    (void)state;
    t_sim(sim_body, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_is_the_clocks_time),
    cmocka_unit_test(it_follows_what_it_is_told),
    cmocka_unit_test(in_simulation_it_is_the_simulations),
};
T_MAIN(tests)
