/*
 * What is exported: the reader of the tests sees what is wrong, the figures are those of /metrics,
 * and the environment decides.
 */
#include "gee/gee.h"
#include "t_json.h"
#include "t_receiver.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the reader itself --- */

static const char *const good[] = {
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
    "\"stringValue\":\"x\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"gee\"},\"spans\":[{"
    "\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"00f067aa0ba902b7\","
    "\"parentSpanId\":\"00f067aa0ba902b8\",\"flags\":1,\"name\":\"GET\",\"kind\":2,"
    "\"startTimeUnixNano\":\"1000\",\"endTimeUnixNano\":\"2000\",\"attributes\":[{\"key\":\"a\","
    "\"value\":{\"intValue\":\"-5\"}},{\"key\":\"b\",\"value\":{\"boolValue\":true}}],"
    "\"events\":[{\"timeUnixNano\":\"1500\",\"name\":\"e\"}],\"status\":{\"code\":2}}]}]}]}",

    "{\"resourceLogs\":[{\"resource\":{},\"scopeLogs\":[{\"scope\":{\"name\":\"gee\"},"
    "\"logRecords\":[{\"timeUnixNano\":\"1\",\"observedTimeUnixNano\":\"1\",\"severityNumber\":9,"
    "\"body\":{\"stringValue\":\"hello\"},\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\","
    "\"spanId\":\"00f067aa0ba902b7\"}]}]}]}",

    "{\"resourceMetrics\":[{\"resource\":{},\"scopeMetrics\":[{\"scope\":{\"name\":\"gee\"},"
    "\"metrics\":[{\"name\":\"g\",\"unit\":\"1\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":"
    "\"5\",\"asInt\":\"-7\"}]}},{\"name\":\"s\",\"sum\":{\"aggregationTemporality\":2,"
    "\"isMonotonic\":true,\"dataPoints\":[{\"startTimeUnixNano\":\"1\",\"timeUnixNano\":\"5\","
    "\"asDouble\":0.5}]}},{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,"
    "\"dataPoints\":[{\"startTimeUnixNano\":\"1\",\"timeUnixNano\":\"5\",\"count\":\"3\",\"sum\":"
    "1.5,\"bucketCounts\":[\"1\",\"2\"],\"explicitBounds\":[0.1]}]}}]}]}]}"};

static const struct {
    enum gee_otlp_signal signal;
    const char *from, *to;
} faults[] = {
    {GEE_OTLP_TRACES, "resourceSpans", "resource_spans"},
    {GEE_OTLP_TRACES, "traceId", "traceID"},
    {GEE_OTLP_TRACES, "4bf9", "4BF9"},
    {GEE_OTLP_TRACES, "4bf92f3577b34da6a3ce929d0e0e4736", "S/kvNXezTaajzpKdDg5HNg=="},
    {GEE_OTLP_TRACES, "4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"},
    {GEE_OTLP_TRACES, "\"00f067aa0ba902b7\"", "\"f067aa0ba902b7\""},
    {GEE_OTLP_TRACES, "02b8", "02b7"}, /* its own parent */
    {GEE_OTLP_TRACES, "\"kind\":2", "\"kind\":\"SPAN_KIND_SERVER\""},
    {GEE_OTLP_TRACES, "\"kind\":2", "\"kind\":6"},
    {GEE_OTLP_TRACES, "\"1000\"", "1000"},
    {GEE_OTLP_TRACES, "\"2000\"", "\"999\""},
    {GEE_OTLP_TRACES, "\"2000\"", "\"2e3\""},
    {GEE_OTLP_TRACES, "\"2000\"", "\"18446744073709551616\""},
    {GEE_OTLP_TRACES, "\"1500\"", "\"2500\""}, /* an event behind the end */
    {GEE_OTLP_TRACES, "\"-5\"", "-5"},
    {GEE_OTLP_TRACES, "\"intValue\":\"-5\"", "\"intValue\":\"-5\",\"boolValue\":true"},
    {GEE_OTLP_TRACES, "\"intValue\":\"-5\"", ""},
    {GEE_OTLP_TRACES, "\"key\":\"b\"", "\"key\":\"a\""},
    {GEE_OTLP_TRACES, "\"key\":\"b\"", "\"key\":\"\""},
    {GEE_OTLP_TRACES, "\"boolValue\":true", "\"boolValue\":\"true\""},
    {GEE_OTLP_TRACES, "\"code\":2", "\"code\":3"},
    {GEE_OTLP_TRACES, "\"name\":\"GET\"", "\"name\":\"\""},
    {GEE_OTLP_TRACES, "\"flags\":1", "\"flags\":-1"},
    {GEE_OTLP_TRACES, "\"flags\":1,", "\"flags\":1,\"flags\":1,"},
    {GEE_OTLP_TRACES, "\"scope\":{\"name\":\"gee\"},", ""},
    {GEE_OTLP_TRACES, "\"name\":\"GET\"", "\"name\":\"\xff\""},
    {GEE_OTLP_LOGS, "\"severityNumber\":9", "\"severityNumber\":25"},
    {GEE_OTLP_LOGS, "\"severityNumber\":9", "\"severityNumber\":\"INFO\""},
    {GEE_OTLP_LOGS, "\"body\":{\"stringValue\":\"hello\"}", "\"body\":\"hello\""},
    {GEE_OTLP_LOGS, "\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",", ""},
    {GEE_OTLP_LOGS, "\"observedTimeUnixNano\":\"1\",", ""},
    {GEE_OTLP_METRICS, "\"gauge\"", "\"Gauge\""},
    {GEE_OTLP_METRICS, "\"asInt\":\"-7\"", "\"asInt\":-7"},
    {GEE_OTLP_METRICS, "\"asInt\":\"-7\"", "\"asInt\":\"-7\",\"asDouble\":1"},
    {GEE_OTLP_METRICS, "\"asDouble\":0.5", "\"asDouble\":-0.5"},
    {GEE_OTLP_METRICS, "\"asDouble\":0.5", "\"asDouble\":\"0.5\""},
    {GEE_OTLP_METRICS, "\"aggregationTemporality\":2", "\"aggregationTemporality\":0"},
    {GEE_OTLP_METRICS, "\"startTimeUnixNano\":\"1\",", ""},
    {GEE_OTLP_METRICS, "\"name\":\"s\"", "\"name\":\"g\""},
    {GEE_OTLP_METRICS, "\"count\":\"3\"", "\"count\":\"4\""},
    {GEE_OTLP_METRICS, "[\"1\",\"2\"]", "[\"1\",\"1\",\"1\"]"},
    {GEE_OTLP_METRICS, "[\"1\",\"2\"]", "[1,2]"},
    {GEE_OTLP_METRICS, "{\"timeUnixNano\":\"5\",\"asInt\":\"-7\"}",
     "{\"timeUnixNano\":\"5\",\"asInt\":\"1\"},{\"timeUnixNano\":\"5\",\"asInt\":\"2\"}"},
};

static void replaced(const char *in, const char *from, const char *to, char *out, size_t size) {
    const char *at = strstr(in, from);
    assert_non_null(at);
    snprintf(out, size, "%.*s%s%s", (int)(at - in), in, to, at + strlen(from));
}

static void test_the_reader_sees_what_is_wrong(void **state) {
    char bad[2048], error[256];
    (void)state;
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
        t_otlp_check_text((enum gee_otlp_signal)i, good[i], strlen(good[i]), error, sizeof(error),
                          NULL);
        assert_string_equal(error, "");
    }
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        replaced(good[faults[i].signal], faults[i].from, faults[i].to, bad, sizeof(bad));
        t_otlp_check_text(faults[i].signal, bad, strlen(bad), error, sizeof(error), NULL);
        if (*error == '\0')
            fail_msg("nothing is said against %s for %s", faults[i].to, faults[i].from);
    }
}

/* --- figures --- */

static t_receiver receiver;
static gee_otlp *exporter;

static void item(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 7);
    gee_string(req, 200, "12345");
}

static int fails(gee_metrics_out *out, void *arg) {
    (void)out;
    return *(_Atomic int *)arg;
}

static _Atomic int rc_of_source;

static void routes(gee_group *root) {
    gee_otlp_options opt = {.transport = t_receiver_transport(&receiver), .metrics_ms = 10000};
    rc_of_source = 0;
    t_receiver_reset(&receiver);
    gee_otlp_new(&opt, &exporter);
    gee_otlp_attach(exporter, gee_engine_of(root));
    gee_metrics_source(gee_engine_of(root), fails, &rc_of_source);
    gee_use_metrics(root);
    gee_metrics_routes(root);
    gee_use_tracing(root, exporter);
    gee_GET(root, "/items/:id", item);
}

static gee_waitgroup running;

static void run(gee_ctx *ctx, void *arg) {
    gee_otlp_run(ctx, arg);
    gee_waitgroup_done(&running);
}

static const json_t *point(const char *metric, const char *kind, size_t i) {
    const json_t *m = json_object_get(t_otlp_metric(receiver.last[GEE_OTLP_METRICS], metric), kind);
    return json_array_get(json_object_get(m, "dataPoints"), i);
}

static const char *text(const json_t *o, const char *name) {
    return json_string_value(json_object_get(o, name));
}

static void figures_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_ctx *own = gee_ctx_with_cancel(ctx);
    (void)port;
    gee_waitgroup_add(&running, 1);
    T_RC(gee_go(own, run, exporter), 0);
    for (int i = 0; i < 3; i++)
        T_EQ(t_get(ctx, c, "/items/7"), 200);
    t_receiver_sleep(ctx, &receiver, 9000);
    size_t spans = receiver.nposts;
    T_EQ(receiver.posts[0].signal, GEE_OTLP_TRACES);
    t_receiver_sleep(ctx, &receiver, 1100); /* its time */
    T_EQ(receiver.nposts, spans + 1);
    const json_t *p = point("http_requests_total", "sum", 0);
    T_STR(text(p, "asInt"), "3");
    T_STR(t_otlp_attr_text(p, "route"), "/items/:id");
    T_STR(t_otlp_attr_text(p, "code"), "200");
    T_CHECK(strcmp(text(p, "startTimeUnixNano"), text(p, "timeUnixNano")) < 0);
    p = point("http_request_duration_seconds", "histogram", 0);
    T_STR(text(p, "count"), "3");
    T_STR(json_string_value(json_array_get(json_object_get(p, "bucketCounts"), 4)), "3");
    double sum = json_number_value(json_object_get(p, "sum"));
    T_CHECK(sum > 0.0209 && sum < 0.0211);
    T_STR(text(point("gee_workers", "gauge", 0), "asInt"), "1");
    T_CHECK(
        json_is_real(json_object_get(point("process_cpu_seconds_total", "sum", 0), "asDouble")));
    T_STR(text(t_otlp_metric(receiver.last[GEE_OTLP_METRICS], "process_cpu_seconds_total"), "unit"),
          "s");
    p = point("otlp_records_total", "sum", 0);
    T_STR(t_otlp_attr_text(p, "signal"), "traces");
    T_STR(t_otlp_attr_text(p, "fate"), "sent");
    T_STR(text(p, "asInt"), "3");
    /* The same on /metrics; and one that cannot be read is none. */
    T_EQ(t_get(ctx, c, "/metrics"), 200);
    T_CHECK(strstr(t_body(c), "\notlp_records_total{signal=\"traces\",fate=\"sent\"} 3\n"));
    T_CHECK(strstr(t_body(c), "\notlp_records_total{signal=\"logs\",fate=\"queue full\"} 0\n"));
    T_CHECK(strstr(t_body(c), "\notlp_records_waiting{signal=\"traces\"} 0\n"));
    T_CHECK(strstr(t_body(c), "\notlp_requests_total{signal=\"metrics\",result=\"ok\"} 1\n"));
    rc_of_source = UV_EIO;
    t_receiver_sleep(ctx, &receiver, 10000);
    size_t n = receiver.nposts;
    rc_of_source = 0;
    t_receiver_sleep(ctx, &receiver, 10000);
    T_EQ(receiver.nposts, n + 1);
    gee_ctx_end(own);
    gee_waitgroup_wait(NULL, &running);
    t_receiver_reset(&receiver);
}

T_SITE(figures, routes)

static void test_the_figures_are_those_of_the_engine(void **state) {
    figures(state);
    assert_string_equal(receiver.error, "");
}

/* --- the environment --- */

static const char *const names[] = {"OTEL_SERVICE_NAME",           "OTEL_RESOURCE_ATTRIBUTES",
                                    "OTEL_EXPORTER_OTLP_TIMEOUT",  "OTEL_EXPORTER_OTLP_PROTOCOL",
                                    "OTEL_BSP_MAX_QUEUE_SIZE",     "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                                    "OTEL_BSP_SCHEDULE_DELAY",     "OTEL_BLRP_EXPORT_TIMEOUT",
                                    "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_SDK_DISABLED"};

static void clear(void) {
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unsetenv(names[i]);
}

static void test_what_is_malformed_is_refused(void **state) {
    static const struct {
        const char *name, *value;
        int rc;
    } cases[] = {
        {"OTEL_BSP_MAX_QUEUE_SIZE", "600", 0},
        {"OTEL_BSP_MAX_QUEUE_SIZE", "100", 0}, /* then a batch has no more */
        {"OTEL_BSP_MAX_QUEUE_SIZE", "0", UV_EINVAL},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2049", UV_EINVAL},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "ten", UV_EINVAL},
        {"OTEL_BSP_SCHEDULE_DELAY", "-1", UV_EINVAL},
        {"OTEL_BSP_SCHEDULE_DELAY", "100", 0},
        {"OTEL_BLRP_EXPORT_TIMEOUT", "1x", UV_EINVAL},
        {"OTEL_METRIC_EXPORT_INTERVAL", "99999999999", UV_EINVAL},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", "", 0},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", 0},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", UV_EINVAL},
        {"OTEL_RESOURCE_ATTRIBUTES", "a=1, b = x%20y ,c=", 0},
        {"OTEL_RESOURCE_ATTRIBUTES", "a", UV_EINVAL},
        {"OTEL_RESOURCE_ATTRIBUTES", "=1", UV_EINVAL},
        {"OTEL_RESOURCE_ATTRIBUTES", "a=%2", UV_EINVAL},
        {"OTEL_RESOURCE_ATTRIBUTES", "a=%00", UV_EINVAL},
        {"OTEL_RESOURCE_ATTRIBUTES", "a=%zz", UV_EINVAL},
        {"OTEL_SDK_DISABLED", "TRUE", 0},
    };
    gee_otlp_options opt = {.transport = t_receiver_transport(&receiver)};
    gee_otlp *x;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        clear();
        setenv(cases[i].name, cases[i].value, 1);
        int rc = gee_otlp_new(&opt, &x);
        if (rc != cases[i].rc)
            fail_msg("%s=%s: %s", cases[i].name, cases[i].value, t_err(rc));
        if (rc == 0)
            gee_otlp_free(x);
    }
    clear();
    assert_int_equal(gee_otlp_new(NULL, &x), UV_EINVAL);
    assert_int_equal(gee_otlp_new(&(gee_otlp_options){.service_name = "x"}, &x), UV_EINVAL);
    opt.logs.batch = 3000;
    assert_int_equal(gee_otlp_new(&opt, &x), UV_EINVAL);
    opt = (gee_otlp_options){.transport = opt.transport, .resource = "no pair"};
    assert_int_equal(gee_otlp_new(&opt, &x), UV_EINVAL);
}

static const char *resource_attr(const char *key) {
    bool bad;
    return t_otlp_attr_text(
        t_json_at(receiver.last[GEE_OTLP_LOGS], "resourceLogs[0].resource", &bad), key);
}

static void who_it_is(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    gee_otlp_log(x, ctx, GEE_LOG_FATAL, "x");
    T_RC(gee_otlp_flush(ctx, x), 0);
    receiver.last[GEE_OTLP_LOGS] = r->last[GEE_OTLP_LOGS];
    T_STR(resource_attr("service.name"), "of the environment");
    T_STR(resource_attr("a"), "2");
    T_STR(resource_attr("b"), "x y,=");
    T_STR(resource_attr("c"), "");
    T_STR(resource_attr("d"), "of the program");
    T_STR(resource_attr("telemetry.sdk.name"), "gee");
    receiver.last[GEE_OTLP_LOGS] = NULL;
}

static void test_the_environment_says_who_it_is(void **state) {
    gee_otlp_options opt = {.service_name = "of the program",
                            .resource = "d=of the program,a=of the program"};
    (void)state;
    setenv("OTEL_SERVICE_NAME", "of the environment", 1);
    setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=weaker,a=1,b=x%20y%2C%3d,c=,a=2", 1);
    t_receiver_sim(&opt, who_it_is);
    clear();
}

static void is_disabled(gee_ctx *ctx, gee_otlp *x, t_receiver *r) {
    T_RC(gee_otlp_log(x, ctx, GEE_LOG_INFO, "x"), 0);
    T_CHECK(gee_span_root(x, ctx, "x", GEE_SPAN_INTERNAL, NULL) == NULL);
    T_RC(gee_otlp_flush(ctx, x), 0);
    gee_sleep(ctx, 100000);
    T_EQ(r->nposts, 0);
}

static void test_it_can_be_disabled(void **state) {
    (void)state;
    setenv("OTEL_SDK_DISABLED", "true", 1);
    t_receiver_sim(&(gee_otlp_options){.metrics_ms = 1}, is_disabled);
    clear();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_reader_sees_what_is_wrong),
    cmocka_unit_test(test_the_figures_are_those_of_the_engine),
    cmocka_unit_test(test_what_is_malformed_is_refused),
    cmocka_unit_test(test_the_environment_says_who_it_is),
    cmocka_unit_test(test_it_can_be_disabled),
};

T_MAIN(tests)
