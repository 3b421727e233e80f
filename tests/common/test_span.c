/* Spans: of requests, of what runs under them, and what is said of them. */
#include "gee/gee.h"
#include "gee/span.h"
#include "otlp/span.h"
#include "t_receiver.h"
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static t_receiver receiver;
static gee_otlp *exporter;

/* --- a site that is traced --- */

static char told[256]; /* by the latest handler that looks, under the lock */
static gee_mutex lock;

static void tell(const char *a, const char *b) {
    gee_mutex_lock(NULL, &lock);
    snprintf(told, sizeof(told), "%s %s", a, b);
    gee_mutex_unlock(&lock);
}

/* The test's own copy of that. */
static char seen[256];
static void look(void) {
    gee_mutex_lock(NULL, &lock);
    strcpy(seen, told);
    gee_mutex_unlock(&lock);
}

static void plain(gee_req *req) {
    gee_string(req, 200, "ok");
}

static void looks(gee_req *req) {
    char trace[GEE_TRACEPARENT] = "none";
    gee_traceparent(gee_req_ctx(req), trace);
    const char *state = gee_tracestate(gee_req_ctx(req));
    tell(trace, state ? state : "none");
    gee_string(req, 200, "ok");
}

static void status(gee_req *req) {
    gee_string(req, atoi(gee_param(req, "status")), "x");
}

static void panics(gee_req *req) {
    gee_span *s = gee_span_start(gee_req_ctx(req), "inner", GEE_SPAN_INTERNAL, NULL);
    gee_cleanup end;
    gee_cleanup_push(&end, gee_span_end, s);
    gee_span_set(s, "bad", NULL);
    gee_panic("on purpose: %s", gee_target(req));
}

static void stays(gee_req *req) {
    gee_ctx_wait(gee_req_ctx(req));
}

static void hangs_up(gee_req *req) {
    gee_hang_up(req);
}

/* A sub-task, which has a span of its own below that of its request. */
static int sub(gee_ctx *ctx, void *arg) {
    gee_ctx *in;
    gee_span *s = gee_span_start(ctx, arg, GEE_SPAN_CLIENT, &in);
    gee_sleep(in, 10);
    gee_otlp_log(NULL, in, GEE_LOG_WARN, "in %s", (const char *)arg);
    gee_span_end(s);
    return 0;
}

static void family(gee_req *req) {
    gee_ctx *in;
    gee_span *s = gee_span_start(gee_req_ctx(req), "outer", GEE_SPAN_INTERNAL, &in);
    sub(in, "inner");
    gee_span_end(s);
    gee_req_go(req, sub, "sub-task");
    gee_req_join(req);
    gee_span_set(gee_req_span(req), "app.user", "7");
    gee_string(req, 200, "ok");
}

static void later(gee_ctx *ctx, void *arg) {
    gee_req *copy = arg;
    (void)ctx;
    gee_sleep(NULL, 50);
    sub(gee_req_ctx(copy), "later");
    if (gee_req_span(copy))
        tell("a copy", "has the span");
    gee_req_release(copy);
}

static void copies(gee_req *req) {
    tell("", "");
    gee_go(NULL, later, gee_req_copy(req));
    gee_string(req, 200, "ok");
}

static void many(gee_req *req) {
    gee_span *s = gee_req_span(req);
    char name[32];
    gee_span_set(s, "twice", "first");
    gee_span_set_int(s, "int", INT64_MIN);
    gee_span_set_int(s, "twice", 2);
    gee_span_set_double(s, "double", 0.1);
    gee_span_set_double(s, "nan", 0.0 / (double)(gee_status_of(req) - 200));
    gee_span_set_bool(s, "bool", true);
    gee_span_set(s, "text", "\"\\\n\xc3\xa9\xff\xed\xa0\x80\xf0\x9f\x98\x80\xc3");
    gee_span_set(s, "not a name", "x");
    gee_span_set(s, "tw", "a beginning is another");
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        gee_span_set_int(s, name, i);
        gee_span_event(s, name);
    }
    gee_span_set_int(s, "n3", 333);
    gee_span_rename(s, "renamed");
    gee_string(req, 200, "ok");
}

/* Longer and shorter, again and again: the span keeps the latest, and not all of them. */
static void again(gee_req *req) {
    gee_span *s = gee_req_span(req);
    char long_text[2001];
    memset(long_text, 'a', 2000);
    for (int i = 0; i <= 2000; i++) {
        long_text[i] = '\0';
        gee_span_set(s, "text", i % 2 ? "short" : long_text);
        gee_span_rename(s, i % 2 ? "short" : long_text);
        long_text[i] = 'a';
    }
    gee_span_set(s, "number", "a text");
    gee_span_set_int(s, "number", 7);
    gee_span_set(s, "url.scheme", "of the program's own");
    gee_span_set(s, "url.scheme", "");
    gee_string(req, 200, "%zu", s->record.n);
}

static void free_exporter(void *x) {
    gee_otlp_free(x);
}

static void routes(gee_group *root) {
    const gee_otlp_options opt = {.transport = t_receiver_transport(&receiver),
                                  .service_name = "test"};
    t_receiver_reset(&receiver);
    gee_otlp_new(&opt, &exporter);
    gee_engine_own(gee_engine_of(root), exporter,
                   free_exporter); /* and no figures: they take long */
    gee_use_logger(root,
                   &(gee_logger_options){.fd = -1, .line = gee_otlp_access_line, .arg = exporter});
    gee_use_tracing(root, exporter);
    gee_use_recovery(root, NULL);
    gee_use_tracing(root, exporter);
    gee_GET(root, "/users/:id", plain);
    gee_GET(root, "/looks", looks);
    gee_GET(root, "/status/:status", status);
    gee_GET(root, "/panics", panics);
    gee_GET(root, "/stays", stays);
    gee_GET(root, "/hangs-up", hangs_up);
    gee_GET(root, "/family", family);
    gee_GET(root, "/copies", copies);
    gee_GET(root, "/many", many);
    gee_GET(root, "/again", again);
    gee_group *timed = gee_group_new(root, "/timed");
    gee_use_timeout(timed, 100);
    gee_GET(timed, "/out", stays);
}

/* --- the exporter beside it --- */

static gee_waitgroup running;

static void run(gee_ctx *ctx, void *arg) {
    gee_otlp_run(ctx, arg);
    gee_waitgroup_done(&running);
}

static gee_ctx *begin(gee_ctx *ctx) {
    gee_ctx *own = gee_ctx_with_cancel(ctx);
    gee_waitgroup_add(&running, 1);
    gee_go(own, run, exporter);
    return own;
}

static void end(gee_ctx *own) {
    gee_ctx_end(own);
    gee_waitgroup_wait(NULL, &running);
    T_STR(receiver.error, "");
}

/* The span of that name, among those that were sent last. */
static const json_t *span_of(gee_ctx *ctx, const char *name) {
    const json_t *found = NULL, *s;
    gee_otlp_flush(ctx, exporter);
    for (size_t i = 0; (s = t_otlp_record(GEE_OTLP_TRACES, receiver.last[0], i)) != NULL; i++)
        if (t_streq(json_string_value(json_object_get(s, "name")), name))
            found = s;
    return found;
}

static const char *text(const json_t *o, const char *name) {
    return json_string_value(json_object_get(o, name));
}

static int code(const json_t *span) {
    return (int)json_integer_value(json_object_get(json_object_get(span, "status"), "code"));
}

/* --- requests --- */

#define T_ATTR(span, name, want) T_STR(t_otlp_attr_text(span, name), want)

static void test_a_request_is_a_server_span_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_ctx *own = begin(ctx);
    (void)port;
    t_ask(ctx, c, "GET", "/users/7?a=b&sig=secret&c", "User-Agent: curl/8\r\n");
    const json_t *s = span_of(ctx, "GET /users/:id");
    T_CHECK(s != NULL);
    T_EQ(json_integer_value(json_object_get(s, "kind")), 2);
    T_CHECK(json_object_get(s, "parentSpanId") == NULL);
    T_EQ(code(s), 0);
    T_ATTR(s, "http.request.method", "GET");
    T_ATTR(s, "http.route", "/users/:id");
    T_ATTR(s, "http.response.status_code", "200");
    T_ATTR(s, "url.scheme", "http");
    T_ATTR(s, "url.path", "/users/7");
    T_ATTR(s, "url.query", "a=b&sig=REDACTED&c");
    T_ATTR(s, "network.protocol.version", "1.1");
    T_ATTR(s, "server.address", "test");
    T_ATTR(s, "client.address", "simulated");
    T_ATTR(s, "user_agent.original", "curl/8");
    T_CHECK(t_otlp_attr(s, "error.type") == NULL && t_otlp_attr(s, "server.port") == NULL);
    const json_t *resource = json_object_get(
        json_array_get(json_object_get(receiver.last[0], "resourceSpans"), 0), "resource");
    T_ATTR(resource, "service.name", "test");
    end(own);
}

static void test_what_went_wrong_is_in_the_span_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_ctx *own = begin(ctx);
    t_get(ctx, c, "/status/404");
    const json_t *s = span_of(ctx, "GET /status/:status");
    T_EQ(code(s), 0);
    T_ATTR(s, "http.response.status_code", "404");
    t_get(ctx, c, "/status/503");
    s = span_of(ctx, "GET /status/:status");
    T_EQ(code(s), 2);
    T_ATTR(s, "error.type", "503");
    t_get(ctx, c, "/nowhere");
    s = span_of(ctx, "GET");
    T_CHECK(s && t_otlp_attr(s, "http.route") == NULL);
    T_ATTR(s, "http.response.status_code", "404");
    t_ask(ctx, c, "LOCK", "/users/7", "");
    s = span_of(ctx, "HTTP");
    T_ATTR(s, "http.request.method", "_OTHER");
    T_ATTR(s, "http.request.method_original", "LOCK");
    T_EQ(t_get(ctx, c, "/timed/out"), 504);
    gee_sleep(ctx, 10);
    s = span_of(ctx, "GET /timed/out");
    T_EQ(code(s), 2);
    T_ATTR(s, "error.type", "504");
    T_EQ(t_get(ctx, c, "/panics"), 500);
    s = span_of(ctx, "GET /panics");
    T_ATTR(s, "http.response.status_code", "500");
    T_EQ(code(s), 2);
    T_CHECK(span_of(ctx, "inner") != NULL);
    t_conn *gone = t_dial(port, 0), *cut = t_dial(port, 0);
    t_puts(ctx, gone, "GET /stays HTTP/1.0\r\n\r\n");
    gee_sleep(ctx, 10);
    t_reset(ctx, gone);
    gee_sleep(ctx, 10);
    s = span_of(ctx, "GET /stays");
    T_EQ(code(s), 2);
    T_ATTR(s, "error.type", "ECONNRESET");
    T_ATTR(s, "network.protocol.version", "1.0");
    T_CHECK(t_otlp_attr(s, "http.response.status_code") == NULL);
    t_puts(ctx, cut, "GET /hangs-up HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
    t_all(ctx, cut);
    s = span_of(ctx, "GET /hangs-up");
    T_ATTR(s, "error.type", "no_response");
    T_ATTR(s, "server.address", "::1");
    T_ATTR(s, "server.port", "8080");
    t_close(ctx, cut);
    end(own);
}

/* --- whose child --- */

static void test_a_traceparent_is_taken_or_not_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *lines;
        bool taken, sampled;
    } cases[] = {
        {"traceparent: 00-" TRACE "-" PARENT "-01\r\n", true, true},
        {"TraceParent: 00-" TRACE "-" PARENT "-01\r\n", true, true}, /* names have any case */
        {"traceparent: 00-" TRACE "-" PARENT "-00\r\n", true, false},
        {"traceparent: 00-" TRACE "-" PARENT "-ff\r\n", true, true},
        {"traceparent: 00-" TRACE "-" PARENT "-02\r\n", true, false},
        {"traceparent: cc-" TRACE "-" PARENT "-01\r\n", true, true}, /* what is known of it */
        {"traceparent: cc-" TRACE "-" PARENT "-01-what-comes\r\n", true, true},
        {"traceparent: cc-" TRACE "-" PARENT "-01.what-comes\r\n", false, true},
        {"traceparent: ff-" TRACE "-" PARENT "-01\r\n", false, true},
        {"traceparent: 00-" TRACE "-" PARENT "-01-\r\n", false, true},
        {"traceparent: 00-" TRACE "-" PARENT "-1\r\n", false, true},
        {"traceparent: 00-" TRACE "-" PARENT "\r\n", false, true},
        {"traceparent: 00-" TRACE "_" PARENT "-01\r\n", false, true},
        {"traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01\r\n", false, true},
        {"traceparent: 00-00000000000000000000000000000000-" PARENT "-01\r\n", false, true},
        {"traceparent: 00-" TRACE "-0000000000000000-01\r\n", false, true},
        {"traceparent: 0g-" TRACE "-" PARENT "-01\r\n", false, true},
        {"traceparent: 00-" TRACE "-" PARENT "-0x\r\n", false, true},
        {"traceparent: \r\n", false, true},
        {"traceparent: 00-" TRACE "-" PARENT "-01\r\ntraceparent: 00-" TRACE "-" PARENT "-01\r\n",
         false, true},
        {"", false, true},
    };
    gee_ctx *own = begin(ctx);
    (void)port;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t before = receiver.taken[GEE_OTLP_TRACES];
        T_EQ(t_ask(ctx, c, "GET", "/looks", cases[i].lines), 200);
        look();
        bool taken = strncmp(seen + 3, TRACE, 32) == 0;
        if (taken != cases[i].taken)
            T_FAIL("%s: %s", cases[i].lines, seen);
        T_CHECK(strncmp(seen + 36, PARENT, 16) != 0); /* its own id */
        T_CHECK(strncmp(seen, "00-", 3) == 0);
        T_CHECK(strncmp(seen + 52, cases[i].sampled ? "-01 " : "-00 ", 4) == 0);
        const json_t *s = span_of(ctx, "GET /looks");
        T_EQ(receiver.taken[GEE_OTLP_TRACES] - before, cases[i].sampled);
        if (!cases[i].sampled)
            continue;
        T_CHECK(strncmp(seen + 3, text(s, "traceId"), 32) == 0);
        T_CHECK(strncmp(seen + 36, text(s, "spanId"), 16) == 0);
        T_STR(text(s, "parentSpanId"), cases[i].taken ? PARENT : NULL);
    }
    end(own);
}

static void test_a_tracestate_is_passed_on_body(gee_ctx *ctx, t_conn *c, int port) {
#define GIVEN "traceparent: 00-" TRACE "-" PARENT "-01\r\n"
    static char large[700] = GIVEN "tracestate: a=";
    static const struct {
        const char *lines, *want;
    } cases[] = {
        {GIVEN "tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE\r\n",
         "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
        {GIVEN "tracestate: a=1\r\ntracestate: b=2\r\n", "a=1,b=2"},
        {GIVEN "tracestate: a@b=1 2!, 0_-*/x=~\r\n", "a@b=1 2!, 0_-*/x=~"},
        {GIVEN "tracestate: A=1\r\n", ""},
        {GIVEN "tracestate: a=1,b\r\n", ""},
        {GIVEN "tracestate: a=1=2\r\n", ""},
        {GIVEN "tracestate: =1\r\n", ""},
        {GIVEN "tracestate: a=\r\n", ""},
        {GIVEN "tracestate: a=1\xc3\xa9\r\n", ""},
        {GIVEN, ""},
        {"tracestate: a=1\r\n", ""}, /* of no trace */
        {large, ""},
    };
    gee_ctx *own = begin(ctx);
    (void)port;
    if (large[100] == '\0') {
        memset(large + strlen(large), 'x', 600);
        strcpy(large + strlen(large) - 2, "\r\n");
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        T_EQ(t_ask(ctx, c, "GET", "/looks", cases[i].lines), 200);
        look();
        T_STR(seen + 56, cases[i].want);
        T_STR(text(span_of(ctx, "GET /looks"), "traceState"),
              *cases[i].want ? cases[i].want : NULL);
    }
    T_CHECK(gee_tracestate_ok("a=1,,b=2") && !gee_tracestate_ok(","));
    end(own);
}

static void test_what_runs_under_a_request_is_its_child_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_ctx *own = begin(ctx);
    (void)port;
    T_EQ(t_ask(ctx, c, "GET", "/family", "traceparent: 00-" TRACE "-" PARENT "-01\r\n"), 200);
    const json_t *server = span_of(ctx, "GET /family"), *outer = span_of(ctx, "outer"),
                 *inner = span_of(ctx, "inner"), *sub_task = span_of(ctx, "sub-task");
    T_CHECK(server && outer && inner && sub_task);
    T_STR(text(outer, "parentSpanId"), text(server, "spanId"));
    T_STR(text(inner, "parentSpanId"), text(outer, "spanId"));
    T_STR(text(sub_task, "parentSpanId"), text(server, "spanId"));
    T_STR(text(inner, "traceId"), TRACE);
    T_ATTR(server, "app.user", "7");
    T_EQ(strtoull(text(inner, "endTimeUnixNano"), NULL, 10) -
             strtoull(text(inner, "startTimeUnixNano"), NULL, 10),
         10000000);
    /* Their log records, and that of the access log, say where they are from. */
    const json_t *r = t_otlp_record(GEE_OTLP_LOGS, receiver.last[GEE_OTLP_LOGS], 0);
    T_STR(text(json_object_get(r, "body"), "stringValue"), "in inner");
    T_STR(text(r, "spanId"), text(inner, "spanId"));
    T_STR(text(r, "severityText"), "WARN");
    T_ATTR(r, "code.file.path", "tests/common/test_span.c");
    r = t_otlp_record(GEE_OTLP_LOGS, receiver.last[GEE_OTLP_LOGS], 2);
    T_CHECK(
        strstr(text(json_object_get(r, "body"), "stringValue"), "\"GET /family HTTP/1.1\" 200"));
    T_STR(text(r, "traceId"), TRACE);
    T_STR(text(r, "spanId"), text(server, "spanId"));
    end(own);
}

static void test_so_is_a_copy_of_it_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_ctx *own = begin(ctx);
    (void)port;
    T_EQ(t_get(ctx, c, "/copies"), 200);
    char *id = strdup(text(span_of(ctx, "GET /copies"), "spanId"));
    gee_sleep(ctx, 100);
    const json_t *s = span_of(ctx, "later");
    bool same = t_streq(text(s, "parentSpanId"), id);
    free(id);
    T_CHECK(same);
    look();
    T_STR(seen, " ");
    end(own);
}

static void test_what_is_said_again_takes_the_place_body(gee_ctx *ctx, t_conn *c, int port) {
    char longest[2001];
    gee_ctx *own = begin(ctx);
    (void)port;
    memset(longest, 'a', 2000);
    longest[2000] = '\0';
    T_EQ(t_get(ctx, c, "/again"), 200);
    T_CHECK(atoi(t_body(c)) < 32 * 1024);
    const json_t *s = span_of(ctx, longest);
    T_CHECK(s != NULL);
    T_ATTR(s, "text", longest);
    T_ATTR(s, "number", "7");
    T_ATTR(s, "url.scheme", "");
    end(own);
}

static void test_attributes_have_types_and_a_bound_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_ctx *own = begin(ctx);
    (void)port;
    T_EQ(t_get(ctx, c, "/many"), 200);
    const json_t *s = span_of(ctx, "renamed");
    T_CHECK(s != NULL);
    T_ATTR(s, "twice", "2");
    T_ATTR(s, "tw", "a beginning is another");
    T_ATTR(s, "int", "-9223372036854775808");
    T_ATTR(s, "n3", "333");
    T_ATTR(s, "text",
           "\"\\\n\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
           "\xf0\x9f\x98\x80\xef\xbf\xbd");
    T_CHECK(json_is_true(json_object_get(t_otlp_attr(s, "bool"), "boolValue")));
    double d = json_number_value(json_object_get(t_otlp_attr(s, "double"), "doubleValue"));
    T_CHECK(d > 0.09999999999 && d < 0.1000000001 && t_otlp_attr(s, "nan") == NULL);
    size_t n = json_array_size(json_object_get(s, "attributes"));
    T_EQ(n, 128);
    T_CHECK(json_integer_value(json_object_get(s, "droppedAttributesCount")) > 20);
    T_EQ(json_array_size(json_object_get(s, "events")), 128);
    T_EQ(json_integer_value(json_object_get(s, "droppedEventsCount")), 22);
    end(own);
}

/* --- without --- */

static void test_without_a_span_nothing_is_said_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_ctx *own = begin(ctx), *in = NULL;
    char buf[GEE_TRACEPARENT];
    (void)c;
    (void)port;
    T_CHECK(gee_span_start(ctx, "x", GEE_SPAN_INTERNAL, &in) == NULL && in == ctx);
    T_CHECK(gee_span_root(NULL, ctx, "x", GEE_SPAN_INTERNAL, &in) == NULL && in == ctx);
    gee_span_set(NULL, "x", "y");
    gee_span_set_int(NULL, "x", 1);
    gee_span_set_double(NULL, "x", 1);
    gee_span_set_bool(NULL, "x", 1);
    gee_span_event(NULL, "x");
    gee_span_rename(NULL, "x");
    gee_span_fail(NULL, "x");
    gee_span_end(NULL);
    T_CHECK(!gee_span_recording(NULL) && !gee_traceparent(ctx, buf) && !gee_trace_id(ctx, buf));
    T_CHECK(gee_tracestate(ctx) == NULL);
    T_RC(gee_otlp_log(NULL, ctx, GEE_LOG_INFO, "x"), UV_ENOENT);
    T_RC(gee_otlp_log(exporter, ctx, (enum gee_severity)0, "x"), UV_EINVAL);
    T_RC(gee_otlp_log(exporter, ctx, (enum gee_severity)25, "x"), UV_EINVAL);
    /* A span of a job, which is of no request. */
    gee_span *job = gee_span_root(exporter, ctx, "job", GEE_SPAN_CONSUMER, &in);
    sub(in, "step");
    gee_span_fail(job, "EIO");
    gee_span_end(job);
    const json_t *s = span_of(ctx, "job"), *step = span_of(ctx, "step");
    T_STR(text(step, "parentSpanId"), text(s, "spanId"));
    T_EQ(code(s), 2);
    T_ATTR(s, "error.type", "EIO");
    end(own);
}

T_SITE(test_a_request_is_a_server_span, routes)
T_SITE(test_what_went_wrong_is_in_the_span, routes)
T_SITE(test_a_traceparent_is_taken_or_not, routes)
T_SITE(test_a_tracestate_is_passed_on, routes)
T_SITE(test_what_runs_under_a_request_is_its_child, routes)
T_SITE(test_so_is_a_copy_of_it, routes)
T_SITE(test_attributes_have_types_and_a_bound, routes)
T_SITE(test_what_is_said_again_takes_the_place, routes)
T_SITE(test_without_a_span_nothing_is_said, routes)

static int forget(void **state) {
    (void)state;
    t_receiver_reset(&receiver);
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)
static const struct CMUnitTest tests[] = {
    TEST(test_a_request_is_a_server_span),
    TEST(test_what_went_wrong_is_in_the_span),
    TEST(test_a_traceparent_is_taken_or_not),
    TEST(test_a_tracestate_is_passed_on),
    TEST(test_what_runs_under_a_request_is_its_child),
    TEST(test_so_is_a_copy_of_it),
    TEST(test_attributes_have_types_and_a_bound),
    TEST(test_what_is_said_again_takes_the_place),
    TEST(test_without_a_span_nothing_is_said),
};

T_MAIN(tests)
