/*
 * The end of a server: streams are told at once, other requests may finish. In simulation
 * by the virtual clock, and as a whole program that gets signals.
 */
#include "t_client.h"
#include "t_program.h"
#include "t_site.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DRAIN_MS = 10000 };

static int slow_rc, stream_rc, stream_cause;

static void slow(gee_req *req) {
    slow_rc = gee_sleep(gee_req_ctx(req), 3000);
    gee_string(req, 200, "slept\n");
}

static int64_t tick(gee_req *req, void *arg) {
    (void)arg;
    gee_sse_event(req, NULL, "tick");
    return 60000;
}

static void stream(gee_req *req) {
    stream_rc = gee_sse(req, tick, NULL);
    stream_cause = gee_ctx_cause(gee_req_ctx(req));
}

static void late(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 2000);
    stream(req);
}

/* A loop of its own, that said so. */
static void endless(gee_req *req) {
    gee_endless(req);
    gee_write(req, "begun\n", 6);
    gee_flush(req);
    stream_rc = gee_ctx_wait(gee_req_ctx(req));
    stream_cause = gee_ctx_cause(gee_req_ctx(req));
}

/* Many pieces, but with an end: not a stream that a shutdown may cut. */
static void download(gee_req *req) {
    for (int i = 0; i < 30; i++) {
        gee_write(req, "piece\n", 6);
        gee_flush(req);
        slow_rc = gee_sleep(gee_req_ctx(req), 100);
    }
    gee_write(req, "last\n", 5);
}

static void deaf(gee_req *req) {
    gee_sleep(NULL, 15000);
    gee_string(req, 200, "too late\n");
}

static void routes(gee_group *root) {
    gee_GET(root, "/slow", slow);
    gee_GET(root, "/stream", stream);
    gee_GET(root, "/late", late);
    gee_GET(root, "/endless", endless);
    gee_GET(root, "/download", download);
    gee_GET(root, "/deaf", deaf);
}

/* --- in simulation --- */

struct visit {
    const char *target;
    uint64_t at_least_ms, at_most_ms; /* that the shutdown takes */
    int rc;
    const char *ends_with;
};

struct ending {
    gee_server *srv;
    gee_waitgroup wg;
    uint64_t took_ms;
    int rc;
};

static void end_server(gee_ctx *ctx, void *arg) {
    struct ending *e = arg;
    (void)ctx;
    uint64_t start = gee_now_ms();
    e->rc = gee_server_shutdown(e->srv);
    e->took_ms = gee_now_ms() - start;
    gee_waitgroup_done(&e->wg);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Engines whose requests outlived their server: freed behind the runtime. */
enum { MAX_LATE = 64 };
static gee_engine *overdue[MAX_LATE];
static int noverdue;

static void visit(gee_ctx *ctx, void *arg) {
    const struct visit *v = arg;
    struct ending end = {.rc = 1};
    gee_limits limits = {.drain_ms = DRAIN_MS};
    char request[128];
    gee_engine *e = gee_engine_new();
    routes(gee_root(e));
    slow_rc = stream_rc = stream_cause = 1;
    T_RC(gee_listen(e, "127.0.0.1", 0, &limits, &end.srv), 0);
    t_conn *c = t_dial(gee_server_port(end.srv), 0), *idle = t_dial(gee_server_port(end.srv), 0);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", v->target);
    t_puts(ctx, c, request);
    gee_sleep(ctx, 1000);
    gee_waitgroup_add(&end.wg, 1);
    gee_go(ctx, end_server, &end);
    const char *text = t_all(ctx, c), *nothing = t_all(ctx, idle);
    bool right_end = ends_with(text, v->ends_with), idle_closed = *nothing == '\0';
    t_close(ctx, c);
    t_close(ctx, idle);
    gee_waitgroup_wait(NULL, &end.wg);
    if (end.rc == UV_ETIMEDOUT && noverdue < MAX_LATE) {
        overdue[noverdue++] = e; /* a request still uses it */
        gee_sleep(NULL, 60000);  /* it is deaf, and ends by itself */
    } else {
        gee_engine_free(e);
    }
    T_RC(end.rc, v->rc);
    T_CHECK(idle_closed);
    T_CHECK(right_end);
    if (end.took_ms < v->at_least_ms || end.took_ms > v->at_most_ms)
        T_FAIL("%s: the shutdown took %d ms", v->target, (int)end.took_ms);
}

static void test_a_request_that_runs_is_finished(void **state) {
    (void)state;
    t_sim(visit, &(struct visit){"/slow", 1999, 2001, 0, "\r\n\r\nslept\n"});
    assert_int_equal(slow_rc, 0);
}

static void test_a_long_body_in_pieces_is_finished(void **state) {
    (void)state;
    t_sim(visit, &(struct visit){"/download", 1900, 2001, 0, "last\n\r\n0\r\n\r\n"});
    assert_int_equal(slow_rc, 0);
}

static void test_a_stream_is_told_at_once_and_its_client_can_tell(void **state) {
    (void)state;
    t_sim(visit, &(struct visit){"/stream", 0, 1, 0, "data: tick\n\n\r\n"});
    assert_int_equal(stream_rc, UV_ECANCELED);
    assert_int_equal(stream_cause, UV_ESHUTDOWN);
}

static void test_a_handler_that_says_it_is_endless_is_told_at_once(void **state) {
    (void)state;
    t_sim(visit, &(struct visit){"/endless", 0, 1, 0, "begun\n\r\n0\r\n\r\n"});
    assert_int_equal(stream_rc, UV_ECANCELED);
    assert_int_equal(stream_cause, UV_ESHUTDOWN);
}

static void test_who_does_not_listen_is_cut_after_the_drain(void **state) {
    (void)state;
    t_sim(visit, &(struct visit){"/deaf", DRAIN_MS + 1000, DRAIN_MS + 1001, UV_ETIMEDOUT, ""});
    while (noverdue > 0)
        gee_engine_free(overdue[--noverdue]);
}

static void test_what_waits_behind_the_last_request_is_not_begun(void **state) {
    (void)state;
    t_sim(visit, &(struct visit){"/slow HTTP/1.1\r\nHost: t\r\n\r\nGET /stream", 1999, 2001, 0,
                                 "\r\n\r\nslept\n"});
    assert_int_equal(slow_rc, 0);
    assert_int_equal(stream_rc, 1);
}

static void test_a_stream_that_begins_in_the_drain_ends_where_it_begins(void **state) {
    (void)state;
    t_sim(visit, &(struct visit){"/late", 999, 1001, 0, "data: tick\n\n\r\n"});
    assert_int_equal(stream_rc, UV_ECANCELED);
    assert_int_equal(stream_cause, UV_ESHUTDOWN);
}

/* --- a program --- */

static int program(void) {
    alarm(30); /* whatever becomes of the test */
    gee_engine *e = gee_engine_new();
    routes(gee_root(e));
    gee_health_routes(gee_root(e));
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}

static long ms_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int begin(const t_program *p, const char *target, const char *until) {
    char text[256], heard[1024];
    int fd = t_sock_dial(p->port, 0);
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
    t_sock_puts(fd, text);
    if (until)
        t_sock_until(fd, heard, sizeof(heard), until);
    return fd;
}

static void test_a_signal_ends_a_program_gracefully(void **state) {
    static const int signals[] = {SIGTERM, SIGINT};
    (void)state;
    for (int i = 0; i < 2; i++) {
        t_program p;
        char heard[1024];
        assert_true(t_program_start(&p, "GEE_DRAIN_MS", "20s"));
        int events = begin(&p, "/stream", "tick"), asleep = begin(&p, "/download", "piece");
        t_program_tell(&p, signals[i]);
        t_sock_until(events, heard, sizeof(heard), "\r\n0\r\n\r\n");
        bool stream_cut = strstr(heard, "\r\n0\r\n\r\n") == NULL; /* and not ended */
        t_sock_until(asleep, heard, sizeof(heard), "\r\n0\r\n\r\n");
        bool finished = strstr(heard, "last\n") != NULL;
        assert_int_equal(t_program_finish(&p), 0);
        close(events);
        close(asleep);
        assert_true(stream_cut);
        assert_true(finished);
    }
}

/* While it is lame it serves, and says that it is not ready. */
static void test_readiness_turns_before_the_door_closes(void **state) {
    t_program p;
    char heard[1024];
    (void)state;
    assert_true(t_program_start(&p, "GEE_LAME_MS", "400ms"));
    int fd = begin(&p, "/readyz", NULL);
    t_sock_until(fd, heard, sizeof(heard), "\"ready\":");
    assert_non_null(strstr(heard, "HTTP/1.1 200 "));
    close(fd);
    long start = ms_now();
    t_program_tell(&p, SIGTERM);
    int unready = 0;
    for (int i = 0; i < 100 && !unready; i++) {
        fd = begin(&p, "/readyz", NULL);
        t_sock_until(fd, heard, sizeof(heard), "\"ready\":");
        unready = strstr(heard, "HTTP/1.1 503 ") != NULL;
        close(fd);
    }
    assert_int_equal(t_program_finish(&p), 0);
    assert_true(unready);
    assert_true(ms_now() - start >= 400);
    assert_int_equal(t_sock_dial(p.port, 0), -1);
}

static void test_a_second_signal_ends_it_at_once(void **state) {
    t_program p;
    (void)state;
    assert_true(t_program_start(&p, "GEE_LAME_MS", "1m"));
    int fd = begin(&p, "/readyz", "ready");
    t_program_tell(&p, SIGTERM);
    char heard[1024] = "";
    for (int i = 0; i < 1000 && strstr(heard, "HTTP/1.1 503 ") == NULL; i++) {
        close(fd);
        fd = begin(&p, "/readyz", NULL);
        t_sock_until(fd, heard, sizeof(heard), "\"ready\":");
    }
    t_program_tell(&p, SIGINT);
    int status = t_program_finish(&p);
    close(fd);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_request_that_runs_is_finished),
    cmocka_unit_test(test_a_long_body_in_pieces_is_finished),
    cmocka_unit_test(test_a_stream_is_told_at_once_and_its_client_can_tell),
    cmocka_unit_test(test_a_handler_that_says_it_is_endless_is_told_at_once),
    cmocka_unit_test(test_who_does_not_listen_is_cut_after_the_drain),
    cmocka_unit_test(test_what_waits_behind_the_last_request_is_not_begun),
    cmocka_unit_test(test_a_stream_that_begins_in_the_drain_ends_where_it_begins),
    cmocka_unit_test(test_a_signal_ends_a_program_gracefully),
    cmocka_unit_test(test_readiness_turns_before_the_door_closes),
    cmocka_unit_test(test_a_second_signal_ends_it_at_once),
};

T_PROGRAM_MAIN(tests, program)
