/* The exporter: batches by size and by time, its bounds, flushing, its end; and the account of it.
 */
#include "gee/otlp.h"
#include "t_receiver.h"
#include <stdio.h>
#include <string.h>

static uint64_t count(gee_otlp *x, enum gee_otlp_fate fate) {
    gee_otlp_stats s;
    gee_otlp_stats_of(x, GEE_OTLP_LOGS, &s);
    return s.fates[fate];
}

static uint64_t waiting(gee_otlp *x) {
    gee_otlp_stats s;
    gee_otlp_stats_of(x, GEE_OTLP_LOGS, &s);
    return s.waiting;
}

static int offer(gee_ctx *ctx, gee_otlp *x, int n) {
    int dropped = 0;
    for (int i = 0; i < n; i++)
        dropped += gee_otlp_log(x, ctx, GEE_LOG_INFO, "record %d", i) == UV_ENOBUFS;
    return dropped;
}

#define T_POST(r, i, ms, n)                 \
    do {                                    \
        T_CHECK((r)->nposts > (i));         \
        T_EQ((r)->posts[i].at_ms - t0, ms); \
        T_EQ((r)->posts[i].count, n);       \
    } while (0)

/* --- batches --- */

static const gee_otlp_options four = {.logs = {.queue = 16, .batch = 4, .delay_ms = 1000}};

/* Full ones go at once, what is left when the oldest has waited for so long. */
static void by_size_and_time(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    uint64_t t0 = gee_now_ms();
    offer(ctx, x, 9);
    t_receiver_sleep(ctx, r, 400);
    T_EQ(r->nposts, 2);
    offer(ctx, x, 1);
    t_receiver_sleep(ctx, r, 599);
    T_EQ(r->nposts, 2);
    T_EQ(waiting(x), 2);
    t_receiver_sleep(ctx, r, 2);
    T_POST(r, 0, 0, 4);
    T_POST(r, 1, 0, 4);
    T_POST(r, 2, 1000, 2);
    T_STR(json_string_value(json_object_get(
              json_object_get(t_otlp_record(GEE_OTLP_LOGS, r->last[GEE_OTLP_LOGS], 0), "body"),
              "stringValue")),
          "record 8"); /* in the order offered */
    offer(ctx, x, 1);
    t_receiver_sleep(ctx, r, 5000);
    T_POST(r, 3, 2001, 1);
    T_EQ(count(x, GEE_OTLP_SENT), 11);
    T_EQ(r->nposts, 4); /* none of nothing */
}

/* While one batch is on its way others gather. */
static void slow_receiver(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    uint64_t t0 = gee_now_ms();
    r->answers[0].ms = 3000;
    r->nanswers = 1;
    offer(ctx, x, 4);
    t_receiver_sleep(ctx, r, 10);
    offer(ctx, x, 6);
    T_EQ(waiting(x), 10);
    t_receiver_sleep(ctx, r, 2980);
    T_EQ(r->nposts, 1);
    t_receiver_sleep(ctx, r, 20);
    T_POST(r, 1, 3000, 4);
    T_POST(r, 2, 3000, 2); /* which has waited for more than a second */
    T_EQ(count(x, GEE_OTLP_SENT), 10);
}

/* What has no room is dropped, and says so; nobody waits. */
static void bounded(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    uint64_t t0 = gee_now_ms();
    r->answers[0].ms = 1000;
    r->nanswers = 1;
    offer(ctx, x, 4);
    t_receiver_sleep(ctx, r, 1);
    T_EQ(offer(ctx, x, 21), 5);
    T_EQ(gee_now_ms() - t0, 1);
    T_EQ(count(x, GEE_OTLP_QUEUE_FULL), 5);
    T_EQ(waiting(x), 20);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_EQ(count(x, GEE_OTLP_SENT), 20);
    T_EQ(offer(ctx, x, 16), 0); /* there is room again */
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_EQ(r->nposts, 9);
}

static void bounded_in_bytes(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    static char large[3000];
    (void)r;
    memset(large, 'x', sizeof(large) - 1);
    T_RC(gee_otlp_log(x, ctx, GEE_LOG_INFO, "%s", large), 0);
    T_RC(gee_otlp_log(x, ctx, GEE_LOG_INFO, "%s", large), UV_ENOBUFS);
    T_RC(gee_otlp_log(x, ctx, GEE_LOG_INFO, "small"), 0);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_EQ(count(x, GEE_OTLP_SENT), 2);
    T_EQ(count(x, GEE_OTLP_QUEUE_FULL), 1);
}

/* A signal that has to wait does not hold up another. */
static void each_for_itself(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    uint64_t t0 = gee_now_ms();
    r->answers[0].status = 429;
    r->answers[0].retry_after = "10";
    r->nanswers = 1;
    offer(ctx, x, 4);
    t_receiver_sleep(ctx, r, 1);
    for (int i = 0; i < 2; i++)
        gee_span_end(gee_span_root(x, ctx, "job", GEE_SPAN_INTERNAL, NULL));
    t_receiver_sleep(ctx, r, 9000);
    T_POST(r, 1, 5001, 2);
    T_EQ(r->posts[1].signal, GEE_OTLP_TRACES);
    t_receiver_sleep(ctx, r, 2000);
    T_POST(r, 2, 10000, 4);
}

/* --- flush --- */

static void flushes(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    uint64_t t0 = gee_now_ms();
    T_RC(gee_otlp_flush(ctx, x), 0); /* of nothing */
    offer(ctx, x, 2);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_POST(r, 0, 0, 2);
    T_EQ(count(x, GEE_OTLP_SENT), 2);
}

/* It ends with its ctx, and what it has asked for goes on. */
static void flush_gives_up(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 50);
    r->answers[0].ms = 1000;
    r->nanswers = 1;
    offer(ctx, x, 2);
    T_RC(gee_otlp_flush(soon, x), UV_ETIMEDOUT);
    gee_ctx_end(soon);
    T_EQ(waiting(x), 2);
    T_RC(gee_otlp_flush(ctx, x), 0); /* behind the other */
    T_EQ(count(x, GEE_OTLP_SENT), 2);
    T_EQ(r->nposts, 1);
}

/* While others go on offering, it ends all the same. */
static void chatter(gee_ctx *ctx, void *x) {
    while (gee_sleep(ctx, 1) == 0)
        offer(ctx, x, 1);
}

static void flush_among_others(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    gee_ctx *own = gee_ctx_with_cancel(ctx);
    for (int i = 0; i < 40; i++)
        r->answers[i].ms = 10;
    r->nanswers = 40;
    T_RC(gee_go(own, chatter, x), 0);
    t_receiver_sleep(ctx, r, 20);
    T_RC(gee_otlp_flush(ctx, x), 0);
    gee_ctx_end(own);
    t_receiver_sleep(ctx, r, 1);
    T_CHECK(r->nposts < 40);
}

/* --- the end --- */

struct life {
    gee_otlp *x;
    t_receiver *r;
    gee_waitgroup over;
};

static void run_life(gee_ctx *ctx, void *arg) {
    struct life *l = arg;
    gee_otlp_run(ctx, l->x);
    gee_waitgroup_done(&l->over);
}

static void a_life(gee_ctx *ctx, void *arg) {
    static t_receiver r;
    struct life l = {.r = &r};
    gee_otlp_options opt = four;
    char wrong[256];
    (void)arg;
    t_receiver_reset(&r);
    opt.transport = t_receiver_transport(&r);
    T_RC(gee_otlp_new(&opt, &l.x), 0);
    offer(ctx, l.x, 3); /* before it runs */
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 10), *own = gee_ctx_with_cancel(ctx);
    T_RC(gee_otlp_flush(soon, l.x), UV_ETIMEDOUT);
    gee_ctx_end(soon);
    gee_waitgroup_add(&l.over, 1);
    T_RC(gee_go(own, run_life, &l), 0);
    T_RC(gee_otlp_flush(ctx, l.x), 0);
    T_EQ(count(l.x, GEE_OTLP_SENT), 3);
    /* In the middle of a post, with one more batch and a bit behind it. */
    r.answers[1].ms = 5000;
    r.nanswers = 2;
    offer(ctx, l.x, 9);
    t_receiver_sleep(ctx, &r, 100);
    gee_ctx_end(own);
    T_RC(gee_waitgroup_wait(ctx, &l.over), 0);
    T_EQ(count(l.x, GEE_OTLP_SHUTDOWN), 9);
    T_EQ(offer(ctx, l.x, 2), 2);
    T_EQ(count(l.x, GEE_OTLP_SHUTDOWN), 11);
    T_EQ(waiting(l.x), 0);
    T_RC(gee_otlp_flush(ctx, l.x), UV_EPIPE);
    T_STR(t_receiver_adds_up(&r, l.x, wrong, sizeof(wrong)), "");
    T_STR(r.error, "");
    gee_otlp_free(l.x);
    t_receiver_reset(&r);
}

static void test_an_exporter_ends_and_counts_what_it_had(void **state) {
    (void)state;
    t_sim(a_life, NULL);
}

static void never_runs(gee_ctx *ctx, void *arg) {
    t_receiver r = {.nanswers = 0};
    gee_otlp *x;
    gee_otlp_options opt = {.transport = t_receiver_transport(&r)};
    (void)arg;
    T_RC(gee_otlp_new(&opt, &x), 0);
    offer(ctx, x, 3);
    gee_otlp_free(x);
    gee_otlp_free(NULL);
}

static void test_one_that_never_runs_leaves_nothing(void **state) {
    (void)state;
    t_sim(never_runs, NULL);
}

/* --- by chance --- */

static void producer(gee_ctx *ctx, void *arg) {
    struct life *l = arg;
    for (int i = 0; i < 100; i++) {
        if (gee_random_number() % 3 == 0)
            gee_span_end(gee_span_root(l->x, ctx, "job", GEE_SPAN_CONSUMER, NULL));
        else
            offer(ctx, l->x, 1 + (int)(gee_random_number() % 7));
        gee_sleep(ctx, gee_random_number() % 100);
        char wrong[256];
        T_STR(t_receiver_adds_up(l->r, l->x, wrong, sizeof(wrong)), "");
        if (gee_random_number() % 25 == 0)
            gee_otlp_flush(ctx, l->x);
    }
    gee_waitgroup_done(&l->over);
}

/* Whatever the receiver answers, and whenever anybody looks, each record is accounted for. */
static void by_chance(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    struct life l = {.x = x, .r = r};
    r->seed = 1;
    gee_waitgroup_add(&l.over, 4);
    for (int i = 0; i < 4; i++)
        T_RC(gee_go(ctx, producer, &l), 0);
    T_RC(gee_waitgroup_wait(ctx, &l.over), 0);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_EQ(waiting(x), 0);
    T_CHECK(r->nposts < T_POSTS && count(x, GEE_OTLP_SENT) > 0 && count(x, GEE_OTLP_FAILED) > 0 &&
            count(x, GEE_OTLP_EXPIRED) > 0 && count(x, GEE_OTLP_QUEUE_FULL) > 0);
}

#define SIM(body, opt)                  \
    static void test_##body(void **s) { \
        (void)s;                        \
        t_receiver_sim(opt, body);      \
    }
SIM(by_size_and_time, &four)
SIM(slow_receiver, &four)
SIM(bounded, &four)
SIM(bounded_in_bytes, &((gee_otlp_options){.logs = {.queue_bytes = 4000}}))
SIM(each_for_itself, &four)
SIM(flushes, &four)
SIM(flush_gives_up, &four)
SIM(flush_among_others, &four)
SIM(by_chance, &((gee_otlp_options){
                   .logs = {.queue = 50, .batch = 10, .delay_ms = 500, .expire_ms = 2000},
                   .traces = {.batch = 20, .delay_ms = 700, .expire_ms = 2000},
               }))

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_by_size_and_time),
    cmocka_unit_test(test_slow_receiver),
    cmocka_unit_test(test_bounded),
    cmocka_unit_test(test_bounded_in_bytes),
    cmocka_unit_test(test_each_for_itself),
    cmocka_unit_test(test_flushes),
    cmocka_unit_test(test_flush_gives_up),
    cmocka_unit_test(test_flush_among_others),
    cmocka_unit_test(test_an_exporter_ends_and_counts_what_it_had),
    cmocka_unit_test(test_one_that_never_runs_leaves_nothing),
    cmocka_unit_test(test_by_chance),
};

T_MAIN(tests)
