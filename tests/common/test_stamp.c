/* Stamps: they are the clock's time, by whatever they are read; they never go back, and follow what
 * another worker has told; in simulation they are the simulation's. */
#include "t.h"
#include "trace/stamp.h"

enum { MS = 1000000, OFF = MS };

/* For so long they are the clock's time, and do not go back. */
static void follow(gee_stamps *s, uint64_t ns) {
    uint64_t end = uv_hrtime() + ns, last = 0;
    while (last < end) {
        uint64_t before = uv_hrtime(), now = gee_stamp(s), after = uv_hrtime();
        if (now + OFF < before || now > after + OFF || now < last)
            T_FAIL("between %lld and %lld a stamp says %lld, after %lld", (long long)before,
                   (long long)after, (long long)now, (long long)last);
        last = now;
    }
}

/* Long enough to believe in a rate several times. */
static void clock_body(gee_ctx *ctx, void *arg) {
    gee_stamps s;
    (void)ctx;
    (void)arg;
    gee_stamps_start(&s, gee_worker_self());
    follow(&s, 300 * MS);
    T_CHECK(!s.is_even || s.trusted > 0);
}

static void it_is_the_clocks_time(void **state) {
    (void)state;
    t_real(1, clock_body, NULL);
}

/* What a worker finds that has slept, or that runs elsewhere now. */
static void apart_body(gee_ctx *ctx, void *arg) {
    static const struct {
        uint64_t ticks, ns; /* so much more than what passed */
    } rows[] = {
        {UINT64_C(1) << 40, 0},           /* it went on, and the clock stood still */
        {-(UINT64_C(1) << 40), 0},        /* it began anew */
        {0, UINT64_C(10000000000)},       /* it stood still, and the clock went on */
        {UINT64_C(1) << 29, 60000000000}, /* it did most of the time */
    };
    (void)ctx;
    (void)arg;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && !t_failed(); i++) {
        gee_stamps s;
        gee_stamps_start(&s, gee_worker_self());
        follow(&s, 100 * MS);
        s.ticks -= rows[i].ticks;
        s.ns -= rows[i].ns;
        s.least -= rows[i].ns;
        s.trusted = 0; /* it is so long ago */
        follow(&s, 200 * MS);
    }
}

static void when_counter_and_clock_come_apart_it_is_the_clocks(void **state) {
    (void)state;
    t_real(1, apart_body, NULL);
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
    cmocka_unit_test(when_counter_and_clock_come_apart_it_is_the_clocks),
    cmocka_unit_test(it_follows_what_it_is_told),
    cmocka_unit_test(in_simulation_it_is_the_simulations),
};
T_MAIN(tests)
