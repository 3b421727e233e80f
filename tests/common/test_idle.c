/* The idle timeout: what counts as silence, what becomes of the request, and what is left. */
#include "gee/middleware.h"
#include "gee/timeout.h"
#include "t_client.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IDLE_MS = 1000 };

static atomic_int cause; /* of the latest request's end */

static void note_cause(gee_req *req) {
    atomic_store(&cause, gee_ctx_cause(gee_req_ctx(req)));
}

/* --- handlers --- */

static void hello(gee_req *req) {
    gee_string(req, 200, "hello");
}

static void computes(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 60000);
    note_cause(req);
}

static void computes_and_answers(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 60000) < 0)
        gee_string(req, 504, "too slow");
    note_cause(req);
}

static void just_as_long(gee_req *req) {
    gee_sleep(gee_req_ctx(req), IDLE_MS);
    gee_string(req, 200, "just so");
}

static void panics(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 500);
    gee_panic("while it is watched, on purpose");
}

static void echo(gee_req *req) {
    const char *data;
    size_t n;
    int rc = gee_body(req, &data, &n);
    note_cause(req);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_data(req, 200, "text/plain", data, n);
}

static int64_t tick(gee_req *req, void *every) {
    gee_sse_event(req, "tick", "now");
    return *(const int *)every;
}

static void often(gee_req *req) {
    static int ms = 900;
    gee_sse(req, tick, &ms);
    note_cause(req);
}

static void seldom(gee_req *req) {
    static int ms = 1500;
    gee_sse(req, tick, &ms);
    note_cause(req);
}

enum { LARGE = 100 * 1000 };

static void large(gee_req *req) {
    char *data = calloc(1, LARGE);
    int rc = gee_data(req, 200, "application/octet-stream", data, LARGE);
    free(data);
    note_cause(req);
    if (rc == 0)
        atomic_store(&cause, 1);
}

static void routes(gee_group *r) {
    gee_use_idle_timeout(r, IDLE_MS);
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/computes", computes);
    gee_GET(r, "/answers", computes_and_answers);
    gee_GET(r, "/just", just_as_long);
    gee_GET(r, "/panics", panics);
    gee_POST(r, "/echo", echo);
    gee_GET(r, "/often", often);
    gee_GET(r, "/seldom", seldom);
    gee_GET(r, "/large", large);
}

/* --- the handler is silent --- */

static void test_a_silent_handler_is_ended_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/hello"), 200);
    uint64_t start = gee_now_ms();
    T_RC(t_get(ctx, c, "/computes"), UV_EOF); /* no answer: the connection is cut */
    T_EQ(gee_now_ms() - start, IDLE_MS);
    T_RC(atomic_load(&cause), UV_ETIMEDOUT);
}

T_SITE(test_a_silent_handler_is_ended, routes)

static void test_what_it_answers_is_sent_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    uint64_t start = gee_now_ms();
    T_EQ(t_get(ctx, c, "/answers"), 504);
    T_STR(t_body(c), "too slow");
    T_EQ(gee_now_ms() - start, IDLE_MS);
    T_RC(atomic_load(&cause), UV_ETIMEDOUT);
    T_RC(t_more(ctx, c), 0); /* and that was the last one */
}

T_SITE(test_what_it_answers_is_sent, routes)

/* --- the client is --- */

static void test_a_stalled_body_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n"), 0);
    uint64_t start = gee_now_ms();
    for (int i = 0; i < 4; i++) { /* a byte, each within the time: 2.8 s */
        T_RC(gee_sleep(ctx, 700), 0);
        T_RC(t_puts(ctx, c, "x"), 0);
    }
    T_EQ(t_response(ctx, c), 408);
    T_EQ(gee_now_ms() - start, 2800 + IDLE_MS); /* to the millisecond from the last byte */
    T_RC(atomic_load(&cause), UV_ETIMEDOUT);
    T_STR(t_field(c, "connection"), "close");
}

T_SITE(test_a_stalled_body, routes)

static void test_a_slow_body_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_RC(t_puts(ctx, c, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n"), 0);
    for (int i = 0; i < 10; i++) {
        T_RC(gee_sleep(ctx, 999), 0);
        T_RC(t_puts(ctx, c, "x"), 0);
    }
    T_EQ(t_response(ctx, c), 200);
    T_STR(t_body(c), "xxxxxxxxxx");
    T_EQ(t_get(ctx, c, "/hello"), 200); /* the connection goes on */
}

T_SITE(test_a_slow_body, routes)

/* A response that does not fit into what is on the way: 100 KB through 10 KB. */
static void ask_for_much(gee_ctx *ctx, t_conn *c) {
    atomic_store(&cause, 0);
    t_puts(ctx, c, "GET /large HTTP/1.1\r\nHost: t\r\n\r\n");
}

static void test_a_client_that_takes_nothing_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    ask_for_much(ctx, c);
    T_RC(gee_sleep(ctx, 2 * IDLE_MS - 1), 0); /* what is on its way is doubtful at first */
    T_EQ(atomic_load(&cause), 0);
    T_RC(gee_sleep(ctx, 2), 0);
    T_RC(atomic_load(&cause), UV_ETIMEDOUT);
}

T_SITE_WITH(test_a_client_that_takes_nothing, routes, NULL, 10 * 1000)

/* Each time it takes what there is, and room is made for more of the same write. */
static void test_a_client_that_takes_it_slowly_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    ask_for_much(ctx, c);
    while (t_size(c) < LARGE) {
        T_RC(gee_sleep(ctx, 900), 0);
        T_CHECK(t_more(ctx, c) > 0);
    }
    T_RC(gee_sleep(ctx, 1), 0);
    T_EQ(atomic_load(&cause), 1);
}

T_SITE_WITH(test_a_client_that_takes_it_slowly, routes, NULL, 10 * 1000)

/* --- streams --- */

static void test_streams_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *d = t_dial(port, 0);
    atomic_store(&cause, 0);
    T_RC(t_puts(ctx, c, "GET /often HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    for (int i = 0; i < 20; i++)
        T_CHECK(t_more(ctx, c) > 0);
    T_EQ(atomic_load(&cause), 0);
    t_reset(ctx, d);
    d = t_dial(port, 0);
    T_RC(t_puts(ctx, d, "GET /seldom HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    uint64_t start = gee_now_ms();
    t_all(ctx, d);
    T_EQ(gee_now_ms() - start, IDLE_MS);
    T_RC(atomic_load(&cause), UV_ETIMEDOUT);
    T_CHECK(strstr(t_text(d), "\r\n0\r\n") == NULL); /* cut, and not ended */
    t_close(ctx, d);
}

T_SITE(test_streams, routes)

/* --- what is left --- */

static void test_nothing_is_left_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census base, now;
    char diff[128];
    T_EQ(t_get(ctx, c, "/hello"), 200);
    gee_sleep(ctx, 1);
    gee_census_take(&base);
    for (int i = 0; i < 50; i++)
        T_EQ(t_get(ctx, c, "/hello"), 200);
    T_EQ(t_get(ctx, c, "/panics"), 500);
    gee_sleep(ctx, 1);
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "");
    /* The timer rings as the request ends: whichever is first, the other finds it. */
    for (int i = 0; i < 10; i++) {
        t_conn *d = t_dial(port, 0);
        int rc = t_get(ctx, d, "/just");
        t_close(ctx, d);
        T_CHECK(rc == 200);
    }
    gee_sleep(ctx, 2 * IDLE_MS);
    gee_census_take(&now);
    T_STR(t_census_diff(&base, &now, diff, sizeof(diff)), "");
}

T_SITE(test_nothing_is_left, routes)

/* --- a request that its deadline has taken off its connection: it is watched where it is now ---
 */

static void is_deaf(gee_req *req) {
    gee_sleep(NULL, 5000);
    gee_string(req, 200, "nobody");
}

static void late_routes(gee_group *r) {
    gee_group *in = gee_group_new(r, "/in"), *out = gee_group_new(r, "/out");
    gee_use_timeout_with(in, &(gee_timeout_options){.ms = 500, .log_fd = -1});
    gee_use_idle_timeout(in, IDLE_MS);
    gee_use_idle_timeout(out, IDLE_MS);
    gee_use_timeout_with(out, &(gee_timeout_options){.ms = 500, .log_fd = -1});
    gee_GET(in, "/deaf", is_deaf);
    gee_GET(out, "/deaf", is_deaf);
    gee_GET(r, "/slow", just_as_long);
}

static void test_a_late_request_body(gee_ctx *ctx, t_conn *c, int port) {
    for (int i = 0; i < 2; i++) {
        uint64_t start = gee_now_ms();
        T_EQ(t_get(ctx, c, i ? "/in/deaf" : "/out/deaf"), 504);
        T_EQ(gee_now_ms() - start, 500);
        T_EQ(t_get(ctx, c, "/slow"), 200); /* the next one is not ended for it */
        t_conn *d = t_dial(port, 0);
        T_EQ(t_get(ctx, d, i ? "/in/deaf" : "/out/deaf"), 504);
        t_close(ctx, d); /* and its connection may go before it does */
        T_RC(gee_sleep(ctx, 10000), 0);
    }
}

T_SITE(test_a_late_request, late_routes)

static void test_options(void **state) {
    (void)state;
    gee_engine *e = gee_engine_new();
    assert_int_equal(gee_use_idle_timeout(gee_root(e), 0), UV_EINVAL);
    gee_engine_free(e);
}

/* --- on sockets: a large write of which the client takes a little now and then --- */

enum { HUGE_BODY = 8 * 1000 * 1000, IMPATIENT_MS = 600 };

static void huge(gee_req *req) {
    char *data = calloc(1, HUGE_BODY);
    int rc = gee_data(req, 200, "application/octet-stream", data, HUGE_BODY);
    free(data);
    note_cause(req);
    if (rc == 0)
        atomic_store(&cause, 1);
}

static void impatient(gee_group *r) {
    gee_use_idle_timeout(r, IMPATIENT_MS);
    gee_GET(r, "/huge", huge);
    gee_GET(r, "/computes", computes);
    gee_GET(r, "/hello", hello);
}

struct reader {
    int port;
    size_t got;
    int pauses;
    uint64_t
        silent_ms; /* the longest time between two reads, on a busy machine more than it wants */
};

/* Stops for 150 ms after each 200 KB, which libuv's one write of 256 KiB is not done by. */
static void reads_slowly(void *arg) {
    struct reader *r = arg;
    char buf[20 * 1000];
    int fd = t_sock_dial(r->port, 20 * 1000);
    t_sock_puts(fd, "GET /huge HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    uint64_t latest_ns = uv_hrtime();
    for (ssize_t n; (n = recv(fd, buf, sizeof(buf), 0)) > 0;) {
        uint64_t now_ns = uv_hrtime(), ms = (now_ns - latest_ns) / 1000000;
        latest_ns = now_ns;
        r->silent_ms = ms > r->silent_ms ? ms : r->silent_ms;
        size_t before = r->got / 200000;
        r->got += (size_t)n;
        if (r->got / 200000 != before && r->pauses++ < 12)
            usleep(150 * 1000);
    }
    close(fd);
}

static void real_body(gee_ctx *ctx, t_conn *none, int port) {
    gee_census base;
    char out[128], diff[128];
    (void)none;
    t_census_rest(ctx, &base);
    struct reader r = {.port = port};
    T_RC(gee_blocking(ctx, reads_slowly, &r), 0);
    if (r.got <= HUGE_BODY && r.silent_ms < IMPATIENT_MS - 100)
        T_FAIL("cut after %zu bytes, and was never silent for more than %d ms", r.got,
               (int)r.silent_ms);
    T_EQ(t_shell(ctx, out, sizeof(out), "! curl -s --max-time 20 http://127.0.0.1:%d/computes",
                 port),
         0);
    T_RC(atomic_load(&cause), UV_ETIMEDOUT);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "'http://127.0.0.1:%d/hello?[1-20]'", port), 0);
    T_STR(t_census_settles(ctx, &base, 5000, diff, sizeof(diff)), "");
}

static void test_real(void **state) {
    (void)state;
    t_site_real(2, &(t_site){impatient, real_body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_silent_handler_is_ended),
    cmocka_unit_test(test_what_it_answers_is_sent),
    cmocka_unit_test(test_a_stalled_body),
    cmocka_unit_test(test_a_slow_body),
    cmocka_unit_test(test_a_client_that_takes_nothing),
    cmocka_unit_test(test_a_client_that_takes_it_slowly),
    cmocka_unit_test(test_streams),
    cmocka_unit_test(test_nothing_is_left),
    cmocka_unit_test(test_a_late_request),
    cmocka_unit_test(test_options),
    cmocka_unit_test(test_real),
};

T_MAIN(tests)
