/* Sub-tasks of a request: what ends them, who is told of their failures, and what becomes of a
 * request whose sub-tasks do not listen. */
#include "gee/spawn.h"
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the sub-tasks of a test saw. Nothing orders those that are late and the client. */
static struct {
    _Atomic int started, ended, rc, cause, go_rc, join_rc, same;
    _Atomic uint64_t at_ms; /* the latest end */
} saw;

static void forget(void) {
    saw.started = saw.ended = saw.rc = saw.cause = saw.go_rc = saw.join_rc = saw.same = 0;
    saw.at_ms = 0;
}

static int ends_with(gee_ctx *ctx, int rc) {
    saw.rc = rc;
    saw.cause = gee_ctx_cause(ctx);
    saw.at_ms = gee_now_ms();
    saw.ended++;
    return rc;
}

/* Until it is told. */
static int listens(gee_ctx *ctx, void *arg) {
    (void)arg;
    saw.started++;
    return ends_with(ctx, gee_ctx_wait(ctx));
}

static int fails(gee_ctx *ctx, void *ms) {
    gee_sleep(ctx, *(uint64_t *)ms);
    return UV_EIO;
}

static int panics(gee_ctx *ctx, void *ms) {
    gee_sleep(ctx, *(uint64_t *)ms);
    gee_panic("in a sub-task");
}

static uint64_t at_once = 0, soon = 10;

/* --- go and join --- */

struct square {
    int n, of;
};

static int squares(gee_ctx *ctx, void *arg) {
    struct square *s = arg;
    int rc = gee_sleep(ctx, (uint64_t)s->n);
    s->of = s->n * s->n;
    return rc;
}

/* Results come in the handler's own memory, in several rounds. */
static void sums(gee_req *req) {
    int sum = 0;
    for (int round = 0; round < 3; round++) {
        struct square s[10];
        for (int i = 0; i < 10; i++) {
            s[i] = (struct square){.n = i};
            T_RC(gee_req_go(req, squares, &s[i]), 0);
        }
        T_RC(gee_req_join(req), 0);
        for (int i = 0; i < 10; i++)
            sum += s[i].of;
    }
    T_RC(gee_req_join(req), 0); /* there is none */
    gee_string(req, 200, "%d", sum);
}

static int sets_a_key(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    (void)ctx;
    return gee_set(req, "sub", (void *)"set", gee_forever);
}

static void keys(gee_req *req) {
    T_RC(gee_req_go(req, sets_a_key, req), 0);
    T_RC(gee_req_join(req), 0);
    gee_string(req, 200, "%s", (const char *)gee_get(req, "sub"));
}

static int positive(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    return 7;
}

static void positives(gee_req *req) {
    T_RC(gee_req_go(req, positive, NULL), 0);
    T_RC(gee_req_join(req), 0);
    gee_string(req, 200, "ok");
}

static void joins(gee_group *r) {
    forget();
    gee_GET(r, "/sums", sums);
    gee_GET(r, "/keys", keys);
    gee_GET(r, "/positives", positives);
}

static void test_join_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    (void)port;
    T_EQ(t_get(ctx, c, "/sums"), 200);
    T_STR(t_body(c), "855");
    T_EQ(gee_now_ms() - start, 27); /* at the same time, not one after the other */
    T_EQ(t_get(ctx, c, "/keys"), 200);
    T_STR(t_body(c), "set");
    T_EQ(t_get(ctx, c, "/positives"), 200);
}

T_SITE(test_join, joins)

/* --- failures --- */

static void one_fails(gee_req *req) {
    for (int i = 0; i < 5; i++)
        T_RC(gee_req_go(req, listens, NULL), 0);
    T_RC(gee_req_go(req, fails, &soon), 0);
    gee_sleep(gee_req_ctx(req), 20);
    saw.go_rc = gee_req_go(req, listens, NULL); /* it would be told at once */
    saw.join_rc = gee_req_join(req);
    T_RC(gee_ctx_err(gee_req_ctx(req)), 0); /* what the handler does about it is its own */
    T_RC(gee_req_go(req, positive, NULL), 0);
    T_RC(gee_req_join(req), 0);
    gee_string(req, 200, "without");
}

static void two_fail(gee_req *req) {
    T_RC(gee_req_go(req, fails, &soon), 0);
    T_RC(gee_req_go(req, panics, &at_once), 0);
    saw.join_rc = gee_req_join(req);
    gee_string(req, 200, "the first counts");
}

/* A producer that panics: its consumer would wait for ever. */
static int consumes(gee_ctx *ctx, void *arg) {
    return ends_with(ctx, gee_chan_recv(ctx, arg, NULL));
}

static void pair(gee_req *req) {
    gee_chan *ch = gee_chan_new(1, 0);
    T_RC(gee_req_go(req, consumes, ch), 0);
    T_RC(gee_req_go(req, panics, &soon), 0);
    saw.join_rc = gee_req_join(req);
    gee_chan_unref(ch);
    gee_string(req, 200, "one of two");
}

static void nobody_joins(gee_req *req) {
    T_RC(gee_req_go(req, panics, &at_once), 0);
    gee_sleep(gee_req_ctx(req), 10);
}

static void nobody_joins_but_answers(gee_req *req) {
    nobody_joins(req);
    gee_string(req, 200, "all the same");
}

static void nobody_asks_for_the_error(gee_req *req) {
    T_RC(gee_req_go(req, fails, &at_once), 0);
    gee_sleep(gee_req_ctx(req), 10);
}

static void failures(gee_group *r) {
    forget();
    gee_GET(r, "/one", one_fails);
    gee_GET(r, "/two", two_fail);
    gee_GET(r, "/pair", pair);
    gee_GET(r, "/nobody", nobody_joins);
    gee_GET(r, "/answers", nobody_joins_but_answers);
    gee_GET(r, "/error", nobody_asks_for_the_error);
}

/* What a panic says is looked at in test_panic.c. */
static int silence(void) {
    int before = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    close(null);
    return before;
}

static void speak(int before) {
    dup2(before, STDERR_FILENO);
    close(before);
}

static int quiet(gee_ctx *ctx, t_conn *c, const char *target) {
    int before = silence();
    int status = t_get(ctx, c, target);
    speak(before);
    return status;
}

static void test_failures_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/one"), 200);
    T_STR(t_body(c), "without");
    T_RC(saw.join_rc, UV_EIO);
    T_RC(saw.go_rc, UV_EIO);
    T_EQ(saw.ended, 5);
    T_RC(saw.rc, UV_ECANCELED);
    T_RC(saw.cause, UV_EIO);
    T_EQ(quiet(ctx, c, "/two"), 200);
    T_RC(saw.join_rc, GEE_EPANIC);
    T_EQ(quiet(ctx, c, "/pair"), 200);
    T_RC(saw.join_rc, GEE_EPANIC);
    T_RC(saw.rc, UV_ECANCELED);
    T_RC(saw.cause, GEE_EPANIC);
    T_EQ(quiet(ctx, c, "/nobody"), 500);
    T_EQ(quiet(ctx, c, "/answers"), 200);
    T_STR(t_body(c), "all the same");
    T_EQ(t_get(ctx, c, "/error"), 200);
}

T_SITE(test_failures, failures)

/* --- what ends them --- */

static void deadline(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req), *ctx = gee_ctx_with_timeout(before, 100);
    gee_req_set_ctx(req, ctx);
    gee_next(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(ctx);
}

static void starts_three_and_joins(gee_req *req) {
    for (int i = 0; i < 3; i++)
        T_RC(gee_req_go(req, listens, NULL), 0);
    saw.join_rc = gee_req_join(req);
    saw.go_rc = gee_req_go(req, listens, NULL);
    gee_fail(req, saw.join_rc == UV_ETIMEDOUT ? 504 : 503);
}

static void starts_three(gee_req *req) {
    for (int i = 0; i < 3; i++)
        T_RC(gee_req_go(req, listens, NULL), 0);
    gee_sleep(gee_req_ctx(req), 10); /* so that they are parked */
    gee_string(req, 200, "over");
}

/* A ctx that is neither a deadline's nor the client's: it has a value, and ends when its maker
 * wants. */
static const char whose;

static void of_ann(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req), *ctx = gee_ctx_with_value(before, &whose, "ann", NULL);
    gee_req_set_ctx(req, ctx);
    gee_next(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(ctx);
}

static int is_of_ann(gee_ctx *ctx, void *arg) {
    const char *who = gee_ctx_value(ctx, &whose);
    (void)arg;
    saw.same = who && strcmp(who, "ann") == 0;
    return ends_with(ctx, gee_sleep(ctx, 1000));
}

static void ends_its_ctx(gee_req *req) {
    T_RC(gee_req_go(req, is_of_ann, NULL), 0);
    gee_sleep(gee_req_ctx(req), 10);
    gee_ctx_cancel(gee_req_ctx(req), UV_EIO);
    saw.join_rc = gee_req_join(req);
    gee_string(req, 200, "over");
}

static void starts_and_panics(gee_req *req) {
    starts_three(req);
    gee_panic("in the handler");
}

/* They have not even begun when the request is over. */
static void starts_and_returns(gee_req *req) {
    for (int i = 0; i < 3; i++)
        T_RC(gee_req_go(req, listens, NULL), 0);
}

static int never(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
    return 0;
}

static void of_a_copy(gee_req *req) {
    gee_req *copy = gee_req_copy(req);
    saw.go_rc = gee_req_go(copy, never, NULL);
    saw.join_rc = gee_req_join(copy);
    gee_req_release(copy);
}

/* Those of a middleware go on while the handler answers, and end with the request. */
static void prefetches(gee_req *req) {
    T_RC(gee_req_go(req, listens, NULL), 0);
    gee_next(req);
    gee_yield();
    saw.same = saw.ended;
}

static void ends(gee_group *r) {
    forget();
    gee_GET(r, "/left", starts_three_and_joins);
    gee_GET(r, "/returns", starts_three);
    gee_GET(r, "/at-once", starts_and_returns);
    gee_GET(r, "/panics", starts_and_panics);
    gee_GET(r, "/copy", of_a_copy);
    gee_group *inside = gee_group_new(r, "/recovered");
    gee_use_recovery(inside, NULL);
    gee_GET(inside, "/panics", starts_and_panics);
    gee_group *before = gee_group_new(r, "/before");
    gee_use(before, prefetches, NULL);
    gee_GET(before, "/x", starts_three);
    gee_group *limited = gee_group_new(r, "/limited");
    gee_use(limited, deadline, NULL);
    gee_GET(limited, "/joins", starts_three_and_joins);
    gee_group *ann = gee_group_new(r, "/ann");
    gee_use(ann, of_ann, NULL);
    gee_GET(ann, "/ends", ends_its_ctx);
}

static void test_deadline_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    (void)port;
    T_EQ(t_get(ctx, c, "/limited/joins"), 504);
    T_EQ(gee_now_ms() - start, 100);
    T_EQ(saw.at_ms - start, 100);
    T_EQ(saw.ended, 3);
    T_RC(saw.rc, UV_ETIMEDOUT);
    T_RC(saw.join_rc, UV_ETIMEDOUT);
    T_RC(saw.go_rc, UV_ETIMEDOUT);
    T_EQ(saw.started, 3);
}

static void test_ctx_of_a_middleware_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t start = gee_now_ms();
    (void)port;
    T_EQ(t_get(ctx, c, "/ann/ends"), 200);
    T_EQ(saw.same, 1);
    T_EQ(saw.at_ms - start, 10);
    T_RC(saw.join_rc, UV_ECANCELED);
    T_RC(saw.cause, UV_EIO);
}

/* A dump shall not blame the handler that waits for those who listen. */
static bool joins_and_listens(const char *name) {
    gee_task_info *tasks;
    bool yes = false;
    int n = gee_tasks_list(&tasks);
    for (int i = 0; i < n; i++)
        if (strcmp(tasks[i].name, name) == 0)
            yes = strcmp(tasks[i].reason, "waitgroup wait") == 0 && tasks[i].hears_ctx;
    if (n >= 0)
        free(tasks);
    return yes;
}

static void test_client_leaves_body(gee_ctx *ctx, t_conn *none, int port) {
    (void)none;
    for (int reset = 0; reset < 2; reset++) {
        int64_t tasks = t_tasks();
        uint64_t start = gee_now_ms();
        t_conn *c = t_dial(port, 0);
        forget();
        t_puts(ctx, c, "GET /left HTTP/1.1\r\nHost: t\r\n\r\n");
        gee_sleep(ctx, 50);
        T_EQ(saw.started, 3);
        T_CHECK(joins_and_listens("GET /left"));
        if (reset)
            t_reset(ctx, c);
        else
            t_close(ctx, c);
        gee_sleep(ctx, 1);
        T_EQ(saw.ended, 3);
        T_EQ(saw.at_ms - start, 50);
        T_RC(saw.rc, UV_ECANCELED);
        T_RC(saw.cause, reset ? UV_ECONNRESET : UV_EOF);
        T_EQ(t_tasks(), tasks);
    }
}

static void test_return_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *target;
        int status, ms;
    } all[] = {{"/returns", 200, 10},
               {"/panics", 500, 10},
               {"/recovered/panics", 500, 10},
               {"/at-once", 200, 0}};
    (void)port;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t start = gee_now_ms();
        forget();
        T_EQ(quiet(ctx, c, all[i].target), all[i].status);
        T_EQ(gee_now_ms() - start, all[i].ms);
        T_EQ(saw.ended, 3);
        T_RC(saw.rc, UV_ECANCELED);
    }
    forget();
    T_EQ(t_get(ctx, c, "/before/x"), 200);
    T_EQ(saw.same, 0);
    T_EQ(saw.ended, 4);
    T_EQ(t_get(ctx, c, "/copy"), 200);
    T_RC(saw.go_rc, UV_EINVAL);
    T_RC(saw.join_rc, 0);
}

T_SITE(test_deadline, ends)
T_SITE(test_ctx_of_a_middleware, ends)
T_SITE(test_client_leaves, ends)
T_SITE(test_return, ends)

/* --- those that do not listen --- */

enum { DEAF_MS = 2000 };

/* At its end it looks at the request's memory, at its keys, and at its head. */
static int deaf(gee_ctx *ctx, void *arg) {
    gee_req *req = arg;
    char *mine = gee_get(req, "mine");
    gee_sleep(NULL, DEAF_MS);
    saw.same = strcmp(mine, "still here") == 0 && gee_get(req, "mine") == mine &&
               strcmp(gee_header(req, "X-Sent"), "yes") == 0;
    strcpy(mine, "and mine");
    return ends_with(ctx, 0);
}

static void starts_deaf(gee_req *req) {
    char *mine = gee_alloc(req, 16);
    strcpy(mine, "still here");
    T_RC(gee_set(req, "mine", mine, NULL), 0);
    T_RC(gee_req_go(req, deaf, req), 0);
    gee_sleep(gee_req_ctx(req), 10);
}

static void deaf_answers(gee_req *req) {
    starts_deaf(req);
    gee_set_header(req, "X-Own", "1");
    gee_string(req, 201, "here");
}

static void deaf_says_nothing(gee_req *req) {
    starts_deaf(req);
    gee_status(req, 202);
}

static void deaf_streams(gee_req *req) {
    starts_deaf(req);
    gee_write(req, "one", 3);
    gee_flush(req);
    gee_write(req, "two", 3);
}

static void deaf_hangs_up(gee_req *req) {
    starts_deaf(req);
    gee_hang_up(req);
}

static void deaf_panics(gee_req *req) {
    starts_deaf(req);
    gee_panic("in the handler");
}

static void deaf_answers_and_panics(gee_req *req) {
    starts_deaf(req);
    gee_string(req, 200, "not that");
    gee_panic("in the handler");
}

static void deaf_and_one_panics(gee_req *req) {
    starts_deaf(req);
    T_RC(gee_req_go(req, panics, &at_once), 0);
    gee_yield();
}

static void deaf_is_joined(gee_req *req) {
    starts_deaf(req);
    saw.join_rc = gee_req_join(req);
    gee_string(req, 200, "late");
}

static void plain(gee_req *req) {
    gee_string(req, 200, "plain");
}

static void deaf_ones(gee_group *r) {
    forget();
    gee_GET(r, "/answers", deaf_answers);
    gee_GET(r, "/nothing", deaf_says_nothing);
    gee_GET(r, "/streams", deaf_streams);
    gee_GET(r, "/hangs-up", deaf_hangs_up);
    gee_GET(r, "/panics", deaf_panics);
    gee_GET(r, "/answers-and-panics", deaf_answers_and_panics);
    gee_GET(r, "/one-panics", deaf_and_one_panics);
    gee_GET(r, "/plain", plain);
    gee_group *limited = gee_group_new(r, "/limited");
    gee_use_timeout_with(limited, &(gee_timeout_options){.ms = 50, .log_fd = -1});
    gee_GET(limited, "/joins", deaf_is_joined);
    gee_GET(limited, "/returns", deaf_answers);
}

static int ask_deaf(gee_ctx *ctx, t_conn *c, const char *target) {
    forget();
    return t_ask(ctx, c, "GET", target, "X-Sent: yes\r\n");
}

/* The client waits for the bound and no longer, and goes on; the sub-task keeps what it has. */
static void test_deaf_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *target, *body;
        int status, ms;
    } all[] = {
        {"/answers", "here", 201, 10 + GEE_JOIN_MS},
        {"/nothing", "", 202, 10 + GEE_JOIN_MS},
        {"/streams", "onetwo", 200, 10 + GEE_JOIN_MS},
        {"/limited/joins", "504 Gateway Timeout\n", 504, 50},
        {"/limited/returns", "here", 201, 10 + GEE_JOIN_MS},
    };
    (void)port;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t start = gee_now_ms();
        T_EQ(ask_deaf(ctx, c, all[i].target), all[i].status);
        T_STR(t_body(c), all[i].body);
        T_EQ(gee_now_ms() - start, all[i].ms);
        T_STR(t_field(c, "X-Own"), all[i].status == 201 ? "1" : NULL);
        T_EQ(t_get(ctx, c, "/plain"), 200); /* on the same connection */
        T_STR(t_body(c), "plain");
        T_EQ(gee_now_ms() - start, all[i].ms);
        T_EQ(saw.ended, 0);
        gee_sleep(ctx, DEAF_MS);
        T_EQ(saw.ended, 1);
        T_EQ(saw.same, 1);
        T_EQ(saw.at_ms - start, DEAF_MS);
    }
}

T_SITE(test_deaf, deaf_ones)

/* The panic is told when the request ends, the client at the bound. */
static void test_deaf_and_a_panic_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const all[] = {"/panics", "/answers-and-panics", "/one-panics"};
    (void)port;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t start = gee_now_ms();
        int before = silence();
        int status = ask_deaf(ctx, c, all[i]), next = t_get(ctx, c, "/plain");
        uint64_t took = gee_now_ms() - start;
        int ended = saw.ended;
        gee_sleep(ctx, DEAF_MS);
        speak(before);
        T_EQ(status, 500);
        T_EQ(next, 200);
        T_EQ(took, 10 + GEE_JOIN_MS);
        T_EQ(ended, 0);
        T_EQ(saw.ended, 1);
        T_EQ(saw.same, 1);
    }
}

T_SITE(test_deaf_and_a_panic, deaf_ones)

static void test_deaf_is_named_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_leak *leaks;
    (void)port;
    T_EQ(ask_deaf(ctx, c, "/answers"), 201);
    int n = gee_leakcheck(&leaks);
    T_EQ(n, 1);
    T_EQ(leaks[0].kind, GEE_LEAK_DEAF);
    T_STR(leaks[0].task.name, "deaf");
    T_CHECK(strncmp(leaks[0].task.created_at, "tests/common/test_spawn.c:", 26) == 0);
    free(leaks);
    gee_sleep(ctx, DEAF_MS);
    T_EQ(gee_leakcheck(&leaks), 0);
    free(leaks);
}

T_SITE(test_deaf_is_named, deaf_ones)

/* Connections that end with the response: they do so when the bound is over. */
static void test_deaf_and_the_connection_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *request, *answer;
    } all[] = {
        {"GET /streams HTTP/1.0\r\nX-Sent: yes\r\n\r\n", "\r\n\r\nonetwo"},
        {"GET /answers HTTP/1.1\r\nHost: t\r\nX-Sent: yes\r\nConnection: close\r\n\r\n", "here"},
        {"GET /hangs-up HTTP/1.1\r\nHost: t\r\nX-Sent: yes\r\n\r\n", NULL},
        {"GET /answers HTTP/1.1\r\nHost: t\r\nX-Sent: yes\r\n\r\n"
         "GET /plain HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
         "plain"},
    };
    (void)c;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        uint64_t start = gee_now_ms();
        t_conn *d = t_dial(port, 0);
        forget();
        t_puts(ctx, d, all[i].request);
        const char *text = t_all(ctx, d);
        T_EQ(gee_now_ms() - start, 10 + GEE_JOIN_MS);
        if (all[i].answer)
            T_CHECK(strstr(text, all[i].answer) != NULL);
        else
            T_STR(text, "");
        t_close(ctx, d);
        gee_sleep(ctx, DEAF_MS);
        T_EQ(saw.same, 1);
    }
}

T_SITE(test_deaf_and_the_connection, deaf_ones)

/* A client that goes before, at and behind the bound. */
static void test_deaf_and_the_client_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    for (uint64_t ms = 5; ms <= 205; ms += 50)
        for (int reset = 0; reset < 2; reset++) {
            t_conn *d = t_dial(port, 0);
            forget();
            t_puts(ctx, d, "GET /answers HTTP/1.1\r\nHost: t\r\nX-Sent: yes\r\n\r\n");
            gee_sleep(ctx, ms);
            if (reset)
                t_reset(ctx, d);
            else
                t_close(ctx, d);
            gee_sleep(ctx, DEAF_MS + 1);
            T_EQ(saw.ended, 1);
            T_EQ(saw.same, 1);
        }
}

T_SITE(test_deaf_and_the_client, deaf_ones)

/* A shutdown waits for such a request, as for any; it does not when that takes too long. */
static void shutdown_body(gee_ctx *ctx, void *arg) {
    const gee_limits limits = {.drain_ms = *(uint64_t *)arg};
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    deaf_ones(gee_root(e));
    T_RC(gee_listen(e, "127.0.0.1", 0, &limits, &srv), 0);
    t_conn *c = t_dial(gee_server_port(srv), 0);
    T_EQ(ask_deaf(ctx, c, "/answers"), 201);
    int rc = gee_server_shutdown(srv);
    T_RC(rc, limits.drain_ms > DEAF_MS ? 0 : UV_ETIMEDOUT);
    T_EQ(saw.ended, limits.drain_ms > DEAF_MS);
    t_close(ctx, c);
    gee_sleep(ctx, DEAF_MS);
    T_EQ(saw.same, 1);
    gee_engine_free(e);
}

static void test_deaf_and_the_shutdown(void **state) {
    static uint64_t drain_ms[] = {5000, 100};
    (void)state;
    for (int i = 0; i < 2; i++)
        t_sim(shutdown_body, &drain_ms[i]);
}

/* --- on sockets --- */

static int adds(gee_ctx *ctx, void *arg) {
    struct square *s = arg;
    int rc = gee_sleep(ctx, 1);
    s->of = s->n + 1;
    return rc;
}

static void many(gee_req *req) {
    enum { N = 200 };
    struct square *s = gee_alloc(req, N * sizeof(*s));
    int sum = 0;
    for (int i = 0; i < N; i++) {
        s[i] = (struct square){.n = i};
        T_RC(gee_req_go(req, adds, &s[i]), 0);
    }
    T_RC(gee_req_join(req), 0);
    for (int i = 0; i < N; i++)
        sum += s[i].of;
    gee_string(req, 200, "%d", sum);
}

static void short_deaf(gee_req *req) {
    starts_deaf(req);
    gee_string(req, 200, "here");
}

static void real_routes(gee_group *r) {
    forget();
    gee_GET(r, "/many", many);
    gee_GET(r, "/left", starts_three_and_joins);
    gee_GET(r, "/deaf", short_deaf);
}

static void real_body(gee_ctx *ctx, t_conn *none, int port) {
    char out[256];
    (void)none;
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "http://127.0.0.1:%d/many http://127.0.0.1:%d/many",
                 port, port),
         0);
    T_STR(out, "2010020100");
    int64_t tasks = t_tasks();
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "-m 0.2 http://127.0.0.1:%d/left 2>&1", port), 28);
    while (t_tasks() > tasks)
        gee_sleep(ctx, 5);
    T_EQ(saw.ended, 3);
    T_EQ(t_shell(ctx, out, sizeof(out),
                 T_CURL "-H 'X-Sent: yes' -w ' %%{num_connects}' http://127.0.0.1:%d/deaf "
                        "http://127.0.0.1:%d/many",
                 port, port),
         0);
    T_STR(out, "here 120100 0"); /* one connection for both, before the sub-task has ended */
    T_EQ(saw.ended, 3);
    gee_sleep(ctx, DEAF_MS);
    T_EQ(saw.ended, 4);
    T_EQ(saw.same, 1);
}

static void test_on_sockets(void **state) {
    (void)state;
    t_site_real(2, &(t_site){real_routes, real_body, NULL, 0});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_join),
    cmocka_unit_test(test_failures),
    cmocka_unit_test(test_deadline),
    cmocka_unit_test(test_ctx_of_a_middleware),
    cmocka_unit_test(test_client_leaves),
    cmocka_unit_test(test_return),
    cmocka_unit_test(test_deaf),
    cmocka_unit_test(test_deaf_and_a_panic),
    cmocka_unit_test(test_deaf_is_named),
    cmocka_unit_test(test_deaf_and_the_connection),
    cmocka_unit_test(test_deaf_and_the_client),
    cmocka_unit_test(test_deaf_and_the_shutdown),
    cmocka_unit_test(test_on_sockets),
};

T_MAIN(tests)
