/*
 * Chapter 2, the audit end to end: header fields go into a request, through all its middlewares
 * and into its sub-tasks, and come out of the other end as JSON; and a deadline is in force all
 * the way. This is no case: it runs over the repaired chapter, with a real client.
 */
#include "t_client.h"
#include "t_expect.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- the server --- */

typedef struct told {
    char user[64], trace[64], route[64];
    int status, why;
    uint64_t ms;
} told;

static gee_chan *records; /* of one test */

static void on_record(const gee_audit_record *r, void *arg) {
    told t = {.status = r->status, .why = r->why, .ms = r->duration_ns / 1000000};
    (void)arg;
    snprintf(t.user, sizeof(t.user), "%s", r->who.user_id ? r->who.user_id : "-");
    snprintf(t.trace, sizeof(t.trace), "%s", r->who.trace_id ? r->who.trace_id : "-");
    snprintf(t.route, sizeof(t.route), "%s", r->route ? r->route : "-");
    gee_chan_try_send(records, &t);
}

static void profile(gee_req *req) {
    const gee_audit *a = gee_audit_of(req);
    gee_json(req, 200, "{s:{s:s, s:s, s:I, s:s}}", "audit_context", "user_id", a->user_id,
             "trace_id", a->trace_id, "access_time", (json_int_t)a->access_ms, "request_id",
             gee_request_id(req));
}

/* Another service, which is told in whose name it is asked: it has the ctx and nothing else. */
struct service {
    gee_waitgroup *all;
    char trace[64];
    bool limited;
};

static void ask_service(gee_ctx *ctx, void *arg) {
    struct service *s = arg;
    const gee_audit *a = gee_audit_of_ctx(ctx);
    snprintf(s->trace, sizeof(s->trace), "%s", a ? a->trace_id : "nobody's");
    s->limited = gee_ctx_deadline(ctx, NULL);
    gee_waitgroup_done(s->all);
}

/* One of its sub-tasks runs on each worker. */
static void orders(gee_req *req) {
    enum { N = 2 };
    struct service s[N];
    gee_waitgroup all = {0};
    for (int i = 0; i < N; i++) {
        s[i] = (struct service){.all = &all};
        gee_waitgroup_add(&all, 1);
        if (gee_go_on(i % gee_workers(), gee_req_ctx(req), ask_service, &s[i]) < 0)
            gee_waitgroup_done(&all);
    }
    gee_waitgroup_wait(NULL, &all);
    gee_json(req, 200, "{s:[{s:s, s:b}, {s:s, s:b}]}", "asked", "trace_id", s[0].trace, "limited",
             s[0].limited, "trace_id", s[1].trace, "limited", s[1].limited);
}

static void slow(gee_req *req) {
    gee_ctx_wait(gee_req_ctx(req));
}

static void panics(gee_req *req) {
    (void)req;
    gee_panic("on purpose");
}

static void routes(gee_group *root) {
    records = gee_chan_new(sizeof(told), 16);
    gee_group *api = gee_group_new(root, "/api");
    gee_use_request_id(api, NULL);
    gee_use_audit(api, &(gee_audit_options){.record = on_record});
    gee_use_recovery(api, NULL);
    gee_use_timeout_with(api, &(gee_timeout_options){.ms = 300, .log_fd = -1});
    gee_GET(api, "/profile", profile);
    gee_GET(api, "/orders", orders);
    gee_GET(api, "/slow", slow);
    gee_GET(api, "/panics", panics);
}

/* --- the client --- */

#define ANN header("X-User-ID", "u-123"), header("X-Trace-ID", "t-789")

/* The record of the request that was answered last. */
static told record(gee_ctx *ctx) {
    told t = {.status = -1};
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 5000);
    gee_chan_recv(soon, records, &t);
    gee_ctx_end(soon);
    return t;
}

/* What the article asserts. */
static void the_context_comes_out_as_json(gee_ctx *ctx, t_expect *e) {
    expect(e, GET("/api/profile"), ANN, header("X-Request-ID", "r-1"), status(200),
           field("Content-Type", "application/json"), field("X-Request-ID", "r-1"),
           json_size("audit_context", 4), json("audit_context.user_id", "u-123"),
           json("audit_context.trace_id", "t-789"), json("audit_context.request_id", "r-1"));
    told t = record(ctx);
    T_EQ(t.status, 200);
    T_STR(t.user, "u-123");
    T_STR(t.trace, "t-789");
    T_STR(t.route, "/api/profile");
}

static void what_is_required_is_named(gee_ctx *ctx, t_expect *e) {
    expect(e, GET("/api/profile"), header("X-User-ID", "u-123"), status(400),
           json("field", "X-Trace-ID"), json("reason", "missing"), json_absent("audit_context"));
    told t = record(ctx);
    T_EQ(t.status, 400);
    T_STR(t.user, "u-123");
    T_STR(t.trace, "-");
    expect(e, GET("/api/profile"), header("X-Trace-ID", "t-789"), status(400),
           json("field", "X-User-ID"), json("error", "X-User-ID is missing"));
    T_STR(record(ctx).trace, "t-789");
    expect(e, GET("/api/profile"), header("X-User-ID", "u 1\"2"), header("X-Trace-ID", "t-789"),
           status(400), json("field", "X-User-ID"), json("reason", "malformed"));
    T_EQ(record(ctx).status, 400);
}

/* The client's own time is taken, if it can be true. */
static void the_access_time_is_filled_in(gee_ctx *ctx, t_expect *e) {
    char now[32];
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    long long ms = (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    snprintf(now, sizeof(now), "%lld", ms - 7000);
    expect(e, GET("/api/profile"), ANN, header("X-Access-Time", now), status(200),
           json_int("audit_context.access_time", ms - 7000));
    T_EQ(record(ctx).status, 200);
    expect(e, GET("/api/profile"), ANN, header("X-Access-Time", "0"), status(200));
    T_CHECK(strstr(t_expect_body(e), "\"access_time\":0,") == NULL);
    T_EQ(record(ctx).status, 200);
}

static void sub_tasks_have_it(gee_ctx *ctx, t_expect *e) {
    expect(e, GET("/api/orders"), ANN, status(200), json_size("asked", 2),
           json("asked[0].trace_id", "t-789"), json("asked[1].trace_id", "t-789"),
           json_bool("asked[0].limited", true), json_bool("asked[1].limited", true));
    T_EQ(record(ctx).status, 200);
}

/* Who asked is on record, however it ended. */
static void each_end_is_recorded(gee_ctx *ctx, t_expect *e) {
    expect(e, GET("/api/slow"), ANN, status(504));
    told t = record(ctx);
    T_EQ(t.status, 504);
    T_RC(t.why, UV_ETIMEDOUT);
    T_CHECK(t.ms >= 300);
    T_STR(t.trace, "t-789");
    expect(e, GET("/api/panics"), ANN, status(500));
    T_EQ(record(ctx).status, 500);
    expect(e, GET("/api/slow"), ANN, within(50), no_answer());
    t = record(ctx);
    T_RC(t.why, UV_EOF); /* it hung up */
    T_STR(t.trace, "t-789");
    T_EQ(gee_chan_len(records), 0); /* one each */
}

static void body(gee_ctx *ctx, t_conn *none, int port) {
    static void (*const parts[])(gee_ctx * ctx, t_expect * e) = {
        the_context_comes_out_as_json, what_is_required_is_named, the_access_time_is_filled_in,
        sub_tasks_have_it, each_end_is_recorded};
    t_expect *e = t_expect_new(ctx, port);
    (void)none;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && !t_failed(); i++)
        parts[i](ctx, e);
    t_expect_free(e);
    gee_chan_unref(records);
}

static void test_audit_end_to_end(void **state) {
    (void)state;
    for (int workers = 1; workers <= 2; workers++)
        t_site_real(workers, &(t_site){routes, body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_audit_end_to_end),
};

T_CURL_MAIN(tests)
