/* Panic and recover, in tasks and in requests; and a task that overruns its stack. */
#include "gee/panic.h"
#include "sync/pool.h"
#include "t_client.h"
#include "t_site.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what is said on stderr --- */

static char said[16 * 1024];
static int real_stderr = -1;
static FILE *said_file;

static void listen_to_stderr(void) {
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    said_file = tmpfile();
    dup2(fileno(said_file), STDERR_FILENO);
}

/* What has been said so far. */
static const char *heard(void) {
    fflush(stderr);
    ssize_t n = pread(fileno(said_file), said, sizeof(said) - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    return said;
}

static void stop_listening(void) {
    heard();
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    fclose(said_file);
}

/* --- tasks --- */

static char order[64];

static void note(void *word) {
    strncat(order, word, sizeof(order) - strlen(order) - 1);
}

static void deep(void *arg) {
    gee_cleanup c;
    (void)arg;
    gee_cleanup_push(&c, note, "third ");
    gee_panic("no way from %d", 7);
}

static void middle(void *arg) {
    gee_cleanup a, b, done;
    gee_cleanup_push(&a, note, "fifth ");
    gee_cleanup_push(&done, note, "never ");
    gee_cleanup_pop(&done, false);
    gee_cleanup_push(&b, note, "fourth ");
    deep(arg);
}

static void inner_then_deep(void *arg) {
    gee_cleanup c;
    gee_panic_info info;
    gee_cleanup_push(&c, note, "sixth");
    note("first ");
    if (gee_recover(middle, arg, &info) == GEE_EPANIC)
        gee_panic("again: %s", info.message);
}

static void cleanups_body(gee_ctx *ctx, void *arg) {
    gee_panic_info info;
    (void)ctx;
    order[0] = '\0';
    T_RC(gee_recover(inner_then_deep, arg, &info), GEE_EPANIC);
    T_STR(order, "first third fourth fifth sixth");
    T_STR(info.message, "again: no way from 7");
    T_CHECK(strncmp(info.site, "tests/common/test_panic.c:", 26) == 0);
    T_EQ(info.task_id, gee_task_id(gee_task_self()));
    T_CHECK(info.nframes > 2);
    T_RC(gee_recover(note, "!", NULL), 0);
}

static void cleanups_run_latest_first(void **state) {
    (void)state;
    t_sim(cleanups_body, NULL);
}

static void panics_too(void *arg) {
    (void)arg;
    note("second ");
    gee_panic("the cleanup's");
}

static void panics(void *arg) {
    gee_cleanup a, b;
    (void)arg;
    gee_cleanup_push(&a, note, "third");
    gee_cleanup_push(&b, panics_too, NULL);
    note("first ");
    gee_panic("the function's");
}

static void replaced_body(gee_ctx *ctx, void *arg) {
    gee_panic_info info;
    (void)ctx;
    order[0] = '\0';
    T_RC(gee_recover(panics, arg, &info), GEE_EPANIC);
    T_STR(order, "first second third");
    T_STR(info.message, "the cleanup's");
}

static void a_panic_in_a_cleanup_takes_the_place_of_the_first(void **state) {
    (void)state;
    t_sim(replaced_body, NULL);
}

static void parks_in_cleanup(void *arg) {
    gee_sleep(NULL, 10);
    note(arg);
}

static void panics_slowly(void *arg) {
    gee_cleanup c;
    (void)arg;
    gee_cleanup_push(&c, parks_in_cleanup, "cleaned ");
    gee_panic("slow");
}

static void one_of_two(gee_ctx *ctx, void *done) {
    gee_panic_info info;
    (void)ctx;
    if (gee_recover(panics_slowly, NULL, &info) < 0)
        note(info.message);
    gee_waitgroup_done(done);
}

static void two_body(gee_ctx *ctx, void *arg) {
    gee_waitgroup done = {0};
    (void)arg;
    order[0] = '\0';
    gee_waitgroup_add(&done, 2);
    T_RC(gee_go(ctx, one_of_two, &done), 0);
    T_RC(gee_go(ctx, one_of_two, &done), 0);
    T_RC(gee_waitgroup_wait(ctx, &done), 0);
    T_EQ(strlen(order), 2 * strlen("cleaned slow"));
}

static void tasks_that_unwind_at_the_same_time_do_not_meet(void **state) {
    (void)state;
    t_sim(two_body, NULL);
}

static void done(void *wg) {
    gee_waitgroup_done(wg);
}

static void fails(gee_ctx *ctx, void *wg) {
    gee_cleanup c;
    (void)ctx;
    gee_cleanup_push(&c, done, wg);
    gee_panic("in a task");
}

static void fails_otherwise(gee_ctx *ctx, void *wg) {
    gee_cleanup c;
    (void)ctx;
    gee_cleanup_push(&c, done, wg);
    gee_panic("in another");
}

/* The first frame of the traceback that belongs to this message, of all in said[]. */
static bool traceback_of(const char *message, char *frame, size_t size) {
    unsigned id;
    char title[48];
    const char *at = strstr(said, message);
    if (at == NULL || (at = strstr(at, ", task ")) == NULL || sscanf(at, ", task %u", &id) != 1)
        return false;
    snprintf(title, sizeof(title), "  traceback of task %u:\n", id);
    if ((at = strstr(said, title)) == NULL || (at = strchr(at, '#')) == NULL)
        return false;
    size_t n = strcspn(at + 4, " ") + 4; /* "#0  " and a name */
    snprintf(frame, size, "%.*s", (int)n, at);
    return true;
}

static void owner_body(gee_ctx *ctx, void *arg) {
    gee_waitgroup wg = {0};
    gee_ctx *own = gee_ctx_with_cancel(ctx);
    (void)arg;
    gee_waitgroup_add(&wg, 1);
    listen_to_stderr();
    int rc = gee_go(own, fails, &wg);
    gee_waitgroup_wait(NULL, &wg);
    gee_ctx_wait(own);
    stop_listening();
    int cause = gee_ctx_cause(own);
    gee_ctx_end(own);
    T_RC(rc, 0);
    T_EQ(cause, GEE_EPANIC);
    T_RC(gee_ctx_err(ctx), 0);
    T_CHECK(strstr(said, "gee: panic: in a task\n"));
    T_CHECK(strstr(said, "\"fails\" on worker 0, created at tests/common/test_panic.c:"));
    T_CHECK(strstr(said, "#0  fails  "));
}

static void a_panic_in_a_task_ends_its_owner(void **state) {
    (void)state;
    t_run(&(gee_config){.sim = true}, 0, owner_body, NULL);
    t_real(2, owner_body, NULL);
}

/* All threads of the pool, each in a lane of its own. */
static struct holder {
    gee_lane lane;
    gee_waitgroup *ended;
} holders[64];
static uv_sem_t held, go_on;

static void hold_thread(void *arg) {
    (void)arg;
    uv_sem_post(&held);
    uv_sem_wait(&go_on);
}

static void hold(gee_ctx *ctx, void *arg) {
    struct holder *h = arg;
    gee_blocking_in(&h->lane, ctx, hold_thread, NULL);
    gee_waitgroup_done(h->ended);
}

static int hold_all_threads(gee_waitgroup *ended) {
    int n = gee_pool_threads(), started = 0;
    uv_sem_init(&held, 0);
    uv_sem_init(&go_on, 0);
    for (int i = 0; i < n && i < 64; i++) {
        holders[i] = (struct holder){{.name = "held"}, ended};
        if (gee_go(NULL, hold, &holders[i]) == 0)
            started++;
    }
    gee_waitgroup_add(ended, started);
    gee_yield();
    for (int i = 0; i < started; i++)
        uv_sem_wait(&held);
    return started;
}

static void let_all_threads_go(gee_waitgroup *ended, int n) {
    while (n-- > 0)
        uv_sem_post(&go_on);
    gee_waitgroup_wait(NULL, ended);
    uv_sem_destroy(&held);
    uv_sem_destroy(&go_on);
}

/*
 * The worker goes on while a thread reads what the lines of a traceback are (here: while it waits
 * for one), and what is known without has been said by then. Two panic: each has its own traceback.
 */
static void off_the_loop_body(gee_ctx *ctx, void *arg) {
    char first[64], second[64];
    gee_waitgroup wg = {0}, ended = {0};
    int threads = hold_all_threads(&ended);
    gee_ctx *one = gee_ctx_with_cancel(ctx), *two = gee_ctx_with_cancel(ctx);
    (void)arg;
    gee_waitgroup_add(&wg, 2);
    listen_to_stderr();
    int rc = gee_go(one, fails, &wg);
    if (rc == 0)
        rc = gee_go(two, fails_otherwise, &wg);
    gee_yield();
    bool told = strstr(heard(), "gee: panic: in a task\n") != NULL;
    bool traced = strstr(said, "traceback") != NULL;
    int before = gee_ctx_err(one);
    let_all_threads_go(&ended, threads);
    gee_ctx_wait(one);
    gee_ctx_wait(two);
    stop_listening();
    gee_ctx_end(one);
    gee_ctx_end(two);
    T_RC(rc, 0);
    T_CHECK(told);
    T_CHECK(!traced);
    T_RC(before, 0);
    T_CHECK(traceback_of("gee: panic: in a task\n", first, sizeof(first)));
    T_STR(first, "#0  fails");
    T_CHECK(traceback_of("gee: panic: in another\n", second, sizeof(second)));
    T_STR(second, "#0  fails_otherwise");
}

static void the_loop_goes_on_while_a_traceback_is_read(void **state) {
    (void)state;
    t_real(1, off_the_loop_body, NULL);
}

static void main_body(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    gee_panic("in main");
}

static void a_panic_in_main_ends_gee_run(void **state) {
    (void)state;
    listen_to_stderr();
    int rc = gee_run(&(gee_config){.sim = true}, main_body, NULL);
    stop_listening();
    assert_int_equal(rc, GEE_EPANIC);
    assert_non_null(strstr(said, "gee: panic: in main\n"));
}

/* --- requests --- */

static _Atomic int freed; /* set in one task, read in another */

static void count_freed(void *value) {
    (void)value;
    freed++;
}

static void before_any_byte(gee_req *req) {
    gee_set(req, "key", "value", count_freed);
    gee_set_header(req, "X-Secret", "1");
    gee_panic("at once");
}

/* All of it is written, none of it is sent. */
static void after_the_answer(gee_req *req) {
    gee_string(req, 200, "fine\n");
    gee_panic("too late for the handler, not for the client");
}

static void after_a_byte(gee_req *req) {
    gee_write(req, "part ", 5);
    gee_flush(req);
    gee_write(req, "lost", 4);
    gee_panic("half way");
}

static void in_a_sub_task(gee_req *req) {
    gee_waitgroup wg = {0};
    gee_waitgroup_add(&wg, 1);
    if (gee_go(gee_req_ctx(req), fails, &wg) == 0)
        gee_waitgroup_wait(NULL, &wg);
    gee_ctx_wait(gee_req_ctx(req));
}

static void fine(gee_req *req) {
    gee_string(req, 200, "fine\n");
}

/* The sub-tasks of those further in are owned by this ctx, and not by the request's. */
static void with_a_ctx_of_its_own(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req), *own = gee_ctx_with_cancel(before);
    gee_req_set_ctx(req, own);
    gee_next(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(own);
}

static _Atomic int seen_status;

static void watch(gee_req *req) {
    gee_set_header(req, "X-Outer", "1");
    gee_next(req);
    seen_status = gee_status_of(req);
}

static void answer(gee_req *req, const gee_panic_info *info) {
    gee_json(req, 503, "{s:s}", "panic", info->message);
}

static void routes(gee_group *root) {
    gee_GET(root, "/now", before_any_byte);
    gee_GET(root, "/late", after_the_answer);
    gee_GET(root, "/half", after_a_byte);
    gee_GET(root, "/sub", in_a_sub_task);
    gee_GET(root, "/fine", fine);
    gee_group *g = gee_group_new(root, "/recovered");
    gee_use(g, watch, NULL);
    gee_use_recovery(g, NULL);
    gee_GET(g, "/now", before_any_byte);
    gee_GET(g, "/half", after_a_byte);
    gee_group *nested = gee_group_new(root, "/nested");
    gee_use(nested, with_a_ctx_of_its_own, NULL);
    gee_use(nested, with_a_ctx_of_its_own, NULL);
    gee_GET(nested, "/sub", in_a_sub_task);
    gee_group *own = gee_group_new(root, "/own");
    gee_use_recovery(own, answer);
    gee_GET(own, "/now", before_any_byte);
}

/* The status of a request that panics; what it says is in said[]. */
static int ask(gee_ctx *ctx, t_conn *c, const char *target) {
    listen_to_stderr();
    int status = t_get(ctx, c, target);
    stop_listening();
    return status;
}

static void a_panic_is_a_500_and_the_connection_goes_on_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    freed = 0;
    T_EQ(ask(ctx, c, "/now"), 500);
    T_STR(t_body(c), "500 Internal Server Error\n");
    T_STR(t_field(c, "x-secret"), NULL);
    T_EQ(freed, 1);
    T_CHECK(strstr(said, "gee: panic: at once\n"));
    T_CHECK(strstr(said, "\"GET /now\" on worker 0, created at common/src/http/serve.c:"));
    T_CHECK(strstr(said, "#0  before_any_byte  "));
    T_CHECK(strstr(said, "test_panic.c:"));
    T_EQ(ask(ctx, c, "/late"), 500);
    T_EQ(ask(ctx, c, "/sub"), 500);
    T_CHECK(strstr(said, "gee: panic: in a task\n"));
    T_EQ(ask(ctx, c, "/nested/sub"), 500);
    T_EQ(t_get(ctx, c, "/fine"), 200); /* on the same connection */
}

T_SITE(a_panic_is_a_500_and_the_connection_goes_on, routes)

static void a_panic_after_the_first_byte_cuts_the_connection_body(gee_ctx *ctx, t_conn *c,
                                                                  int port) {
    (void)port;
    listen_to_stderr();
    t_puts(ctx, c, "GET /half HTTP/1.1\r\nHost: t\r\n\r\nGET /fine HTTP/1.1\r\nHost: t\r\n\r\n");
    const char *all = t_all(ctx, c);
    stop_listening();
    T_CHECK(strstr(all, "0005\r\npart \r\n"));
    T_CHECK(strstr(all, "0\r\n\r\n") == NULL);
    T_CHECK(strstr(all, "lost") == NULL && strstr(all, "fine") == NULL);
    T_CHECK(strstr(all, "500") == NULL);
}

T_SITE(a_panic_after_the_first_byte_cuts_the_connection, routes)

/* Of HTTP/1.0 the end of the connection is the end of the body: a reset is not. */
static void with_http_1_0_the_cut_is_a_reset_body(gee_ctx *ctx, t_conn *c, int port) {
    int rc;
    (void)port;
    listen_to_stderr();
    t_puts(ctx, c, "GET /half HTTP/1.0\r\n\r\n");
    while ((rc = t_more(ctx, c)) > 0)
        ;
    stop_listening();
    T_RC(rc, UV_ECONNRESET);
}

T_SITE(with_http_1_0_the_cut_is_a_reset, routes)

static void recovery_lets_the_outer_middlewares_go_on_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    seen_status = 0;
    T_EQ(ask(ctx, c, "/recovered/now"), 500);
    T_EQ(seen_status, 500);
    T_STR(t_field(c, "x-outer"), "1");
    T_STR(t_field(c, "x-secret"), NULL);
    T_CHECK(strstr(said, "#0  before_any_byte  "));
    T_EQ(ask(ctx, c, "/own/now"), 503);
    T_STR(t_body(c), "{\"panic\":\"at once\"}");
    seen_status = 0;
    ask(ctx, c, "/recovered/half");
    T_EQ(seen_status, 200);
    T_EQ(t_more(ctx, c), 0);
}

T_SITE(recovery_lets_the_outer_middlewares_go_on, routes)

static void real_body(gee_ctx *ctx, t_conn *c, int port) {
    char out[256];
    (void)c;
    listen_to_stderr();
    int now = t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/now 2>&1", port);
    int half = t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/half 2>&1", port);
    int ten = t_shell(ctx, out, sizeof(out), T_CURL "-0 http://127.0.0.1:%d/half 2>&1", port);
    stop_listening();
    T_EQ(now, 0);
    T_EQ(half, 18); /* CURLE_PARTIAL_FILE */
    T_EQ(ten, 56);  /* CURLE_RECV_ERROR: reset */
}

static void curl_can_tell_that_a_response_was_cut(void **state) {
    (void)state;
    t_site_real(2, &(t_site){routes, real_body, NULL, 0});
}

/* --- the stack --- */

static int sink;

static int recurse(int n) {
    volatile char frame[512];
    memset((char *)frame, n, sizeof(frame));
    return n > 0 ? recurse(n - 1) + frame[n & 511] : 0;
}

static void endless(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    sink = recurse(1000000);
}

static void overrun_body(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_go(ctx, endless, NULL);
    gee_sleep(ctx, 1000);
}

static void a_task_that_overruns_its_stack_is_named(void **state) {
    int status, ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        _exit(gee_run(&(gee_config){.stack_kib = 64}, overrun_body, NULL) == 0 ? 0 : 3);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof(said) - 1; n += (size_t)got)
        if ((got = read(ends[0], said + n, sizeof(said) - 1 - n)) <= 0)
            break;
    said[n] = '\0';
    close(ends[0]);
    waitpid(pid, &status, 0);
    assert_false(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3));
    assert_non_null(strstr(said, "gee: stack overflow: task "));
    assert_non_null(strstr(said, "\"endless\" on worker 0, created at tests/common/test_panic.c:"));
    assert_non_null(strstr(said, "its stack of 64 KiB"));
}

/* As kill(1) does for somebody who wants a core: that it is none of a stack's must not lose it. */
static void sent_body(gee_ctx *ctx, void *arg) {
    (void)ctx;
    kill(getpid(), *(int *)arg);
    usleep(1000);
}

static void a_fault_that_is_sent_ends_the_process(void **state) {
    static int signals[] = {SIGSEGV, SIGBUS};
    (void)state;
    for (int i = 0; i < 2; i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(signals[i], SIG_DFL); /* and not cmocka's, or a sanitizer's */
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            _exit(gee_run(NULL, sent_body, &signals[i]));
        }
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(cleanups_run_latest_first),
    cmocka_unit_test(a_panic_in_a_cleanup_takes_the_place_of_the_first),
    cmocka_unit_test(tasks_that_unwind_at_the_same_time_do_not_meet),
    cmocka_unit_test(a_panic_in_a_task_ends_its_owner),
    cmocka_unit_test(the_loop_goes_on_while_a_traceback_is_read),
    cmocka_unit_test(a_panic_in_main_ends_gee_run),
    cmocka_unit_test(a_panic_is_a_500_and_the_connection_goes_on),
    cmocka_unit_test(a_panic_after_the_first_byte_cuts_the_connection),
    cmocka_unit_test(with_http_1_0_the_cut_is_a_reset),
    cmocka_unit_test(recovery_lets_the_outer_middlewares_go_on),
    cmocka_unit_test(curl_can_tell_that_a_response_was_cut),
    cmocka_unit_test(a_task_that_overruns_its_stack_is_named),
    cmocka_unit_test(a_fault_that_is_sent_ends_the_process),
};

T_MAIN(tests)
