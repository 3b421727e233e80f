/*
 * Chapter 3, wrong-thread: a ctx is ended on another worker than the one that keeps its timer. What
 * goes wrong may end the process, so the test looks at it from outside, in a child. The same
 * source is linked over the broken variant, the fixed one and each decoy; what a test reports says
 * which of them it met.
 */
#include "base/tools.h"
#include "t_client.h"
#include "t_program.h"
#include "t_turn.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- 100 ctxs, made on worker 0, for an hour, and ended on worker 1 --- */

enum { CTXS = 100, TURNS = 100, HOUR_MS = 3600 * 1000 };

struct ending {
    gee_ctx *of[CTXS];
    gee_waitgroup done;
    t_turn turn;
    int timers, ctxs; /* that are left */
};

enum { HAVE_ENDED = 1 };

/*
 * While worker 0 is held, and reads no message: memory that an end has let go is here the next
 * ctx's, so whoever comes to a timer in it later comes too late.
 */
static void end_them(gee_ctx *ctx, void *arg) {
    struct ending *e = arg;
    for (int i = 0; i < CTXS; i++)
        gee_ctx_end(e->of[i]);
    for (int i = 0; i < CTXS; i++)
        e->of[i] = gee_ctx_with_timeout(ctx, HOUR_MS);
    for (int i = 0; i < CTXS; i++)
        gee_ctx_end(e->of[i]);
    t_turn_pass(&e->turn, HAVE_ENDED);
    gee_waitgroup_done(&e->done);
}

static void count_left(struct ending *e, const gee_census *before) {
    gee_census now;
    gee_census_take(&now);
    e->timers = (int)(now.timers - before->timers);
    e->ctxs = (int)(now.ctxs - before->ctxs);
}

static void on_two_workers(gee_ctx *ctx, void *arg) {
    struct ending *e = arg;
    gee_census before;
    gee_census_take(&before);
    for (int i = 0; i < CTXS; i++)
        e->of[i] = gee_ctx_with_timeout(ctx, HOUR_MS);
    gee_waitgroup_add(&e->done, 1);
    t_turn_init(&e->turn);
    gee_go_on(1, ctx, end_them, e);
    t_turn_await(&e->turn, HAVE_ENDED);
    gee_waitgroup_wait(NULL, &e->done);
    count_left(e, &before);
    for (int i = 0; i < TURNS && (e->timers || e->ctxs); i++) { /* what has come is read now */
        gee_sleep(NULL, 1);
        count_left(e, &before);
    }
}

/* A process of its own, with what it says at `say`. */
static void in_a_child(int say) {
    struct ending e = {.timers = -1};
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(15);
    dup2(say, STDERR_FILENO);
    gee_run(&(gee_config){.workers = 2, .grace_ms = 1000}, on_two_workers, &e);
    dprintf(say, "left: %d timers and %d ctxs\n", e.timers, e.ctxs);
    _exit(0);
}

/* What is on the line that begins so, without that and its end; "" if there is none. */
static const char *line_of(char *said, const char *begin) {
    char *at = strstr(said, begin);
    if (at == NULL)
        return "";
    at += strlen(begin);
    at[strcspn(at, "\n")] = '\0';
    return at;
}

static void read_all(int fd, char *buf, size_t size) {
    size_t n = 0;
    for (ssize_t got; n + 1 < size && (got = read(fd, buf + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    buf[n] = '\0';
}

static void test_wrong_thread(void **state) {
    char said[1024];
    int ends[2], status;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        in_a_child(ends[1]);
    close(ends[1]);
    read_all(ends[0], said, sizeof(said));
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) {
        print_error("wrong-thread: worker 1 ends %d ctxs whose timers are worker 0's, and signal "
                    "%d ends the process: %s\n",
                    CTXS, WTERMSIG(status), line_of(said, "gee: "));
        fail();
    }
    const char *left = line_of(said, "left: ");
    if (strcmp(left, "0 timers and 0 ctxs") != 0) {
        print_error("wrong-thread: worker 1 ends %d ctxs whose timers are worker 0's, and %s are "
                    "left\n",
                    CTXS, left);
        fail();
    }
    t_run(&(gee_config){.workers = 2}, 0, on_two_workers, &(struct ending){.timers = 0});
}

/* --- for the tools: one ctx, and both workers at its timer, one behind the other --- */

enum { SOON_MS = 100, IT_HAS_ENDED = 1 };
static t_turn turn;

static void end_one(gee_ctx *ctx, void *arg) {
    (void)ctx;
    gee_ctx_end(arg);
    t_turn_pass(&turn, IT_HAS_ENDED);
}

static void two_at_one_timer(gee_ctx *ctx, void *arg) {
    gee_ctx *one = gee_ctx_with_timeout(ctx, SOON_MS);
    (void)arg;
    gee_go_on(1, ctx, end_one, one);
    t_turn_await(&turn, IT_HAS_ENDED);
    gee_sleep(NULL, 2 * SOON_MS); /* a timer of its own; and its loop turns, and looks at all */
}

static void test_wrong_thread_two(void **state) {
    (void)state;
    if (GEE_POOLS)
        skip(); /* without a tool there is nothing to see, and over the broken unit it is the end */
    t_turn_init(&turn);
    gee_run(&(gee_config){.workers = 2}, two_at_one_timer, NULL);
}

/* --- a program on two workers, and curl --- */

struct quote {
    gee_ctx *asking;
    gee_waitgroup answered;
    int price;
};

/* The first answer ends the asking. */
static void near_exchange(gee_ctx *ctx, void *arg) {
    struct quote *q = arg;
    if (gee_sleep(ctx, 20) == 0)
        q->price = 42;
    gee_ctx_cancel(q->asking, 0);
    gee_waitgroup_done(&q->answered);
}

static void far_exchange(gee_ctx *ctx, void *arg) {
    struct quote *q = arg;
    q->asking = gee_ctx_with_timeout(ctx, 2000);
    gee_waitgroup_add(&q->answered, 1);
    gee_go_on(1, q->asking, near_exchange, q);
    gee_sleep(q->asking, HOUR_MS);
    gee_waitgroup_done(&q->answered);
}

static void quote(gee_req *req) {
    struct quote q = {.price = 0};
    gee_waitgroup_add(&q.answered, 1);
    gee_go_on(0, gee_req_ctx(req), far_exchange, &q);
    gee_waitgroup_wait(NULL, &q.answered);
    gee_ctx_end(q.asking);
    gee_string(req, 200, "%d\n", q.price);
}

static int program(void) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(30); /* whatever becomes of the test */
    gee_engine *e = gee_engine_new();
    gee_GET(gee_root(e), "/quote", quote);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}

static void test_wrong_thread_real(void **state) {
    char command[128], body[32] = "", said[1024];
    t_program p;
    (void)state;
    setenv("GEE_WORKERS", "2", 1);
    bool started = t_program_start_quiet(&p);
    unsetenv("GEE_WORKERS");
    assert_true(started);
    snprintf(command, sizeof(command), "curl -s --max-time 20 http://127.0.0.1:%d/quote", p.port);
    FILE *curl = popen(command, "r");
    assert_non_null(curl);
    if (fgets(body, sizeof(body), curl) == NULL)
        *body = '\0';
    int curls = pclose(curl);
    if (curls == 0)
        t_program_tell(&p, SIGTERM);
    read_all(p.err, said, sizeof(said));
    int status = t_program_finish(&p);
    if (curls != 0 || strcmp(body, "42\n") != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        print_error("wrong-thread in a program: curl ends with %d, and the program by signal %d: "
                    "%s\n",
                    WEXITSTATUS(curls), WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                    line_of(said, "gee: "));
        fail();
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_wrong_thread),
    cmocka_unit_test(test_wrong_thread_two),
    cmocka_unit_test(test_wrong_thread_real),
};

T_PROGRAM_MAIN(tests, program)
