/* What an answer means: which are tried again, when, for how long; and what a collector rejects. */
#include "gee/otlp.h"
#include "t_receiver.h"
#include <stdlib.h>
#include <time.h>

static const gee_otlp_options one = {.logs = {.batch = 1, .delay_ms = 1}};
static const gee_otlp_options ten = {.logs = {.batch = 10, .delay_ms = 1, .expire_ms = 120000}};

static gee_otlp_stats stats(gee_otlp *x) {
    gee_otlp_stats s;
    gee_otlp_stats_of(x, GEE_OTLP_LOGS, &s);
    return s;
}

static void offer(gee_ctx *ctx, gee_otlp *x, int n) {
    for (int i = 0; i < n; i++)
        gee_otlp_log(x, ctx, GEE_LOG_INFO, "record %d", i);
}

/* --- every status --- */

static void every_status(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    for (int status = 100; status <= 599; status++) {
        gee_otlp_stats before = stats(x), s;
        bool again = status == 429 || status == 502 || status == 503 || status == 504;
        bool good = status / 100 == 2;
        r->nposts = 0;
        r->answers[0].status = status;
        r->nanswers = 1;
        offer(ctx, x, 1);
        T_RC(gee_otlp_flush(ctx, x), 0);
        s = stats(x);
        T_EQ(r->nposts, again ? 2 : 1);
        T_EQ(s.fates[GEE_OTLP_SENT] - before.fates[GEE_OTLP_SENT], good || again);
        T_EQ(s.fates[GEE_OTLP_FAILED] - before.fates[GEE_OTLP_FAILED], !good && !again);
        T_EQ(s.requests_ok - before.requests_ok, good || again);
        T_EQ(s.requests_retry - before.requests_retry, again);
        T_EQ(s.requests_failed - before.requests_failed, !good && !again);
        if (again)
            T_CHECK(r->posts[0].hash == r->posts[1].hash); /* the same, byte for byte */
    }
}

/* Nobody is there, or says nothing in time: that is tried again as well. */
static void no_answer(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    r->answers[0].status = UV_ECONNREFUSED;
    r->answers[1].status = UV_ECONNRESET;
    r->answers[2].ms = 60000; /* post_ms is 10 s */
    r->nanswers = 3;
    uint64_t t0 = gee_now_ms();
    offer(ctx, x, 1);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_EQ(r->nposts, 4);
    T_EQ(r->posts[2].status, UV_ETIMEDOUT);
    T_CHECK(r->posts[3].at_ms - r->posts[2].at_ms > 10000);
    T_CHECK(gee_now_ms() - t0 < 10000 + 1000 + 2000 + 4000 + 10);
    T_EQ(stats(x).fates[GEE_OTLP_SENT], 1);
    T_EQ(stats(x).requests_retry, 3);
}

/* --- when --- */

/* Each pause is between half of its most and all of it; the most doubles, up to 30 s. */
static void pauses(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    static const uint64_t most[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (size_t i = 0; i < 7; i++)
        r->answers[i].status = 503;
    r->nanswers = 7;
    offer(ctx, x, 10);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_EQ(stats(x).fates[GEE_OTLP_SENT], 10);
    T_EQ(r->nposts, 8);
    for (size_t i = 0; i < 7; i++) {
        uint64_t ms = r->posts[i + 1].at_ms - r->posts[i].at_ms;
        T_CHECK(ms >= most[i] / 2 && ms <= most[i] + 1);
    }
}

/* No two exporters come back at the same moment. */
static void pauses_are_drawn(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    uint64_t first = 0;
    bool differ = false;
    for (int i = 0; i < 20; i++) {
        r->nposts = 0;
        r->answers[0].status = 503;
        r->nanswers = 1;
        offer(ctx, x, 1);
        T_RC(gee_otlp_flush(ctx, x), 0);
        uint64_t ms = r->posts[1].at_ms - r->posts[0].at_ms;
        differ = differ || (i > 0 && ms != first);
        first = i ? first : ms;
    }
    T_CHECK(differ);
}

/* expire_ms is 30 s: four or five tries, and then it is gone, and told. */
static void expires(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    for (size_t i = 0; i < 20; i++)
        r->answers[i].status = 502;
    r->nanswers = 20;
    uint64_t t0 = gee_now_ms();
    offer(ctx, x, 1);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_CHECK(gee_now_ms() - t0 <= 30000);
    T_EQ(stats(x).fates[GEE_OTLP_EXPIRED], 1);
    T_EQ(stats(x).requests_failed, 1);
    size_t tries = r->nposts;
    T_CHECK(tries >= 5 && tries <= 6);
    /* And the next one does not come running. */
    offer(ctx, x, 1);
    t_receiver_sleep(ctx, r, 5000);
    T_EQ(r->nposts, tries);
}

static void after(gee_ctx *ctx, gee_otlp *x, t_receiver *r, int status, const char *text,
                  uint64_t lo, uint64_t hi) {
    r->nposts = 0;
    r->answers[0].status = status;
    r->answers[0].retry_after = text;
    r->nanswers = 1;
    offer(ctx, x, 10);
    T_RC(gee_otlp_flush(ctx, x), 0);
    T_EQ(r->nposts, 2);
    uint64_t ms = r->posts[1].at_ms - r->posts[0].at_ms;
    if (ms < lo || ms > hi)
        T_FAIL("%d, Retry-After: %s: %llu ms", status, text, (unsigned long long)ms);
}

static void in_seconds(char *buf, size_t size, int s) {
    time_t at = s;
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(buf, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* Seconds, or a date; what is neither is as if it were not there. */
static void retry_after(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    static const char *const none[] = {"",
                                       "0",
                                       "-5",
                                       "5.5",
                                       "5 s",
                                       "soon",
                                       "+20",
                                       " 5 ",
                                       "0x10",
                                       "5,7",
                                       "Thu, 01 Jan 1970 00:00:01 GMT",
                                       "Thu, 99 Foo 2030 00:00:01 GMT"};
    static const int again[] = {429, 502, 503, 504};
    for (size_t i = 0; i < 4; i++)
        after(ctx, x, r, again[i], "17", 17000, 17000);
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        after(ctx, x, r, 503, none[i], 500, 1000);
    char date[64];
    gee_otlp_log(x, ctx, GEE_LOG_INFO, "what time is it?");
    T_RC(gee_otlp_flush(ctx, x), 0);
    const char *now = json_string_value(
        json_object_get(t_otlp_record(GEE_OTLP_LOGS, r->last[GEE_OTLP_LOGS], 0), "timeUnixNano"));
    in_seconds(date, sizeof(date), (int)(strtoull(now, NULL, 10) / 1000000000) + 20);
    after(ctx, x, r, 429, date, 19000, 20000);
}

/* Longer than the batch may wait: it is gone at once, and nothing is posted before all the same. */
static void retry_after_all(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    r->answers[0].status = 429;
    r->answers[0].retry_after = "300";
    r->nanswers = 1;
    offer(ctx, x, 1);
    t_receiver_sleep(ctx, r, 10);
    T_EQ(stats(x).fates[GEE_OTLP_EXPIRED], 1);
    offer(ctx, x, 3);
    t_receiver_sleep(ctx, r, 299980);
    T_EQ(r->nposts, 1);
    t_receiver_sleep(ctx, r, 20);
    T_EQ(r->nposts, 4);
    T_EQ(r->posts[1].at_ms - r->posts[0].at_ms, 300000);
    /* Nobody means this. */
    r->nposts = 0;
    r->answers[0].retry_after = "99999999999999999999999999";
    offer(ctx, x, 1);
    t_receiver_sleep(ctx, r, 10);
    offer(ctx, x, 1);
    t_receiver_sleep(ctx, r, 3600 * 1000);
    T_EQ(r->nposts, 2);
}

/* --- what is rejected --- */

static void rejected(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    static const struct {
        const char *body;
        uint64_t n;
    } cases[] = {
        {"", 0},
        {"{}", 0},
        {"{\"partialSuccess\":{}}", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"3\",\"errorMessage\":\"too\\nold\"}}", 3},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":4}}", 4},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"10\"}}", 10},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"11\"}}", 10}, /* of ten */
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"-1\"}}", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"0\",\"errorMessage\":\"a warning\"}}", 0},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}", 0}, /* not of this signal */
        {"{\"partialSuccess\":[]}", 0},
        {"<html>", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        gee_otlp_stats before = stats(x), s;
        r->nposts = 0;
        r->answers[0].body = cases[i].body;
        r->nanswers = 1;
        offer(ctx, x, 10);
        T_RC(gee_otlp_flush(ctx, x), 0);
        s = stats(x);
        T_EQ(r->nposts, 1); /* never again */
        T_EQ(s.fates[GEE_OTLP_REJECTED] - before.fates[GEE_OTLP_REJECTED], cases[i].n);
        T_EQ(s.fates[GEE_OTLP_SENT] - before.fates[GEE_OTLP_SENT], 10 - cases[i].n);
    }
}

#define SIM(body, opt)                  \
    static void test_##body(void **s) { \
        (void)s;                        \
        t_receiver_sim(opt, body);      \
    }
SIM(no_answer, &one)
SIM(pauses, &ten)
SIM(pauses_are_drawn, &one)
SIM(expires, &one)
SIM(retry_after, &ten)
SIM(retry_after_all, &one)
SIM(rejected, &ten)

static void test_every_status(void **state) {
    (void)state;
    t_receiver_once(&one, every_status);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_status),    cmocka_unit_test(test_no_answer),
    cmocka_unit_test(test_pauses),          cmocka_unit_test(test_pauses_are_drawn),
    cmocka_unit_test(test_expires),         cmocka_unit_test(test_retry_after),
    cmocka_unit_test(test_retry_after_all), cmocka_unit_test(test_rejected),
};

T_MAIN(tests)
