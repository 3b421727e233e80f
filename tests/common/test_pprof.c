/* /debug/pprof/: the pages, in simulation, where every time is exact. */
#include "pprof/prof_task.h"
#include "t_site.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void routes(gee_group *r) {
    gee_pprof_routes(r, NULL);
}

static bool has(t_conn *c, const char *what) {
    return strstr(t_body(c), what) != NULL;
}

/* --- what is asked for --- */

static void test_bad_values_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *query, *said;
    } rows[] = {
        {"debug=x", "debug is a number from 0 to 2, not \"x\"\n"},
        {"debug=3", "debug is a number from 0 to 2, not \"3\"\n"},
        {"debug=-1", "debug is a number from 0 to 2, not \"-1\"\n"},
        {"debug=", "debug is a number from 0 to 2, not \"\"\n"},
        {"seconds=1s", "seconds is a number from 0 to 86400, not \"1s\"\n"},
        {"seconds=99999999999999999999",
         "seconds is a number from 0 to 86400, not \"99999999999999999999\"\n"},
        {"seconds=1&debug=1", "seconds and debug do not go together: text is of one moment\n"},
    };
    (void)port;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char target[128];
        snprintf(target, sizeof(target), "/debug/pprof/heap?%s", rows[i].query);
        T_EQ(t_get(ctx, c, target), 400);
        T_STR(t_body(c), rows[i].said);
    }
    T_EQ(t_get(ctx, c, "/debug/pprof/nothing"), 404);
}
T_SITE(test_bad_values, routes)

static void test_index_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/debug/pprof/"), 200);
    T_STR(t_field(c, "Content-Type"), "text/html; charset=utf-8");
    T_CHECK(has(c, "goroutine?debug=2") && has(c, "mutex?debug=1") && has(c, "heap?debug=1"));
    T_EQ(t_get(ctx, c, "/debug/pprof"), 200);
    T_EQ(t_get(ctx, c, "/debug/pprof/cmdline"), 200);
    T_CHECK(has(c, "test_pprof"));
    T_EQ(t_get(ctx, c, "/debug/pprof/goroutine"), 200);
    T_STR(t_field(c, "Content-Type"), "application/octet-stream");
    T_STR(t_field(c, "Content-Disposition"), "attachment; filename=\"goroutine\"");
}
T_SITE(test_index, routes)

static void test_symbol_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[128], name[128];
    uintptr_t pc = (uintptr_t)test_index_body + 1;
    (void)port;
    T_EQ(t_get(ctx, c, "/debug/pprof/symbol"), 200);
    T_STR(t_body(c), "num_symbols: 1\n");
    snprintf(target, sizeof(target), "/debug/pprof/symbol?%#" PRIxPTR "+0x1", pc);
    snprintf(name, sizeof(name), "num_symbols: 1\n%#" PRIxPTR " test_index_body\n", pc);
    T_EQ(t_get(ctx, c, target), 200);
    T_STR(t_body(c), name);
    T_EQ(t_post(ctx, c, "/debug/pprof/symbol", "text/plain", strchr(target, '?') + 1), 200);
    T_STR(t_body(c), name);
    T_EQ(t_post(ctx, c, "/debug/pprof/symbol", "text/plain", "++x"), 200);
    T_STR(t_body(c), "num_symbols: 1\n");
}
T_SITE(test_symbol, routes)

/* --- tasks --- */

__attribute__((noinline)) static void waits(gee_ctx *ctx, gee_chan *ch) {
    gee_chan_recv(ctx, ch, NULL);
}

static void waiter(gee_ctx *ctx, void *arg) {
    waits(ctx, arg);
}

static void deaf(gee_ctx *ctx, void *arg) {
    waits(NULL, arg);
    (void)ctx;
}

static void test_goroutine_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_chan *ch = gee_chan_new(0, 0);
    (void)c; /* nobody keeps a connection for so long */
    for (int i = 0; i < 1000; i++)
        gee_go(ctx, waiter, ch);
    gee_sleep(ctx, 120 * 1000);
    c = t_dial(port, 0);
    T_EQ(t_get(ctx, c, "/debug/pprof/goroutine?debug=1"), 200);
    T_CHECK(strncmp(t_body(c), "goroutine profile: total 1002\n1000 @ 0x", 39) == 0);
    T_CHECK(has(c, "\twaits+0x") && has(c, "\twaiter+0x") && has(c, "test_pprof.c:"));
    T_CHECK(has(c, "\tcreated by test_goroutine_body\t"));
    T_EQ(t_get(ctx, c, "/debug/pprof/task?debug=2"), 200);
    T_CHECK(has(c, " [chan receive, 2 minutes]:\ngee_task_switch_out(...)\n"));
    T_CHECK(has(c, "created by test_goroutine_body\n\ttests/common/test_pprof.c:"));
    T_CHECK(has(c, "# \"waiter\", worker 0, age 120.0 s, in this state for 120.0 s\n"));
    t_close(ctx, c);
    gee_chan_close(ch);
    gee_sleep(ctx, 1);
    gee_chan_unref(ch);
}
T_SITE(test_goroutine, routes)

static void test_taskleak_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_chan *ch = gee_chan_new(0, 0);
    gee_ctx *end = gee_ctx_with_cancel(ctx);
    (void)port;
    gee_go(end, deaf, ch);
    gee_go(end, waiter, ch);
    gee_sleep(ctx, 10);
    T_EQ(t_get(ctx, c, "/debug/pprof/taskleak?debug=1"), 200);
    T_STR(t_body(c), "taskleak profile: total 0\n");
    gee_ctx_end(end);
    gee_sleep(ctx, 10);
    T_EQ(t_get(ctx, c, "/debug/pprof/taskleak?debug=1"), 200);
    T_CHECK(strncmp(t_body(c), "taskleak profile: total 1\n1 @ 0x", 32) == 0);
    T_CHECK(has(c, "\tdeaf+0x") && has(c, "\"leak\":\"deaf\""));
    gee_chan_close(ch);
    gee_sleep(ctx, 1);
    gee_chan_unref(ch);
}
T_SITE(test_taskleak, routes)

/* --- the difference: what comes while it waits --- */

static void starts_five(gee_ctx *ctx, void *arg) {
    gee_sleep(ctx, 1000);
    for (int i = 0; i < 5; i++)
        gee_go(ctx, waiter, arg);
}

static void test_delta_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_chan *ch = gee_chan_new(0, 0);
    uint64_t start_ms = gee_now_ms();
    (void)port;
    gee_go(ctx, waiter, ch);
    gee_go(ctx, starts_five, ch);
    T_EQ(t_get(ctx, c, "/debug/pprof/goroutine?seconds=7"), 200);
    T_EQ(gee_now_ms() - start_ms, 7000);
    T_CHECK(memcmp(t_body(c), "\x1f\x8b", 2) == 0);
    gee_chan_close(ch);
    gee_sleep(ctx, 1);
    gee_chan_unref(ch);
}
T_SITE(test_delta, routes)

/* A client that goes away while it waits leaves nothing. */
static void test_delta_gone_body(gee_ctx *ctx, t_conn *c, int port) {
    t_conn *other = t_dial(port, 0);
    (void)c;
    t_puts(ctx, other, "GET /debug/pprof/block?seconds=3600 HTTP/1.1\r\nHost: t\r\n\r\n");
    gee_sleep(ctx, 1000);
    t_reset(ctx, other);
    gee_sleep(ctx, 1000);
}
T_SITE(test_delta_gone, routes)

/* --- waits --- */

static gee_mutex lock;

static void holds(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_mutex_lock(ctx, &lock);
    gee_sleep(ctx, 100);
    gee_mutex_unlock(&lock);
}

static void test_block_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/debug/pprof/mutex?debug=1"), 200);
    T_STR(t_body(c), "--- mutex:\ncycles/second=1000000000\nsampling period=1\n");
    T_RC(gee_pprof_count_waits(true), 0);
    T_RC(gee_pprof_count_waits(true), 0);
    for (int i = 0; i < 4; i++)
        gee_go(ctx, holds, NULL);
    gee_sleep(ctx, 1000);
    T_RC(gee_pprof_count_waits(false), 0);
    T_EQ(t_get(ctx, c, "/debug/pprof/mutex?debug=1"), 200);
    T_CHECK(strncmp(t_body(c),
                    "--- mutex:\ncycles/second=1000000000\nsampling period=1\n600000000 3 @ 0x",
                    70) == 0);
    T_CHECK(has(c, "\"reason\":\"mutex lock\"") && has(c, "\tholds+0x"));
    T_EQ(t_get(ctx, c, "/debug/pprof/block?debug=1"), 200);
    T_CHECK(has(c, "600000000 3 @ 0x") && !has(c, "\"sleep\""));
    T_RC(gee_pprof_count_waits(false), 0);
    T_RC(gee_pprof_count_waits(false), 0); /* once too often */
    T_EQ(t_get(ctx, c, "/debug/pprof/block?debug=1"), 200);
    T_STR(t_body(c), "--- contention:\ncycles/second=1000000000\nsampling period=1\n");
}
T_SITE(test_block, routes)

/* --- heap: the sums are those of the census --- */

static int64_t objects(const char *text, const char *type) {
    char leaf[32];
    int64_t sum = 0;
    snprintf(leaf, sizeof(leaf), "#\t-\t%s\n", type);
    for (const char *end; (end = strstr(text, "\n\n")) != NULL; text = end + 2) {
        const char *first = strstr(text, "\n#\t");
        long long n;
        if (first && strncmp(first + 1, leaf, strlen(leaf)) == 0) {
            const char *line = first;
            while (line > text && (line[-1] != '\n' || line[0] == '#'))
                line--;
            if (sscanf(line, "%lld:", &n) == 1)
                sum += n;
        }
    }
    return sum;
}

static void test_heap_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_chan *ch = gee_chan_new(0, 0), *nobodys = gee_chan_new(8, 4);
    t_conn *idle = t_dial(port, 0);
    gee_census now;
    for (int i = 0; i < 50; i++)
        gee_go(ctx, waiter, ch);
    gee_sleep(ctx, 10);
    gee_census_take(&now);
    T_EQ(t_get(ctx, c, "/debug/pprof/heap?debug=1"), 200);
    const char *text = t_body(c);
    text = strchr(text, '\n') + 1;
    T_EQ(objects(text, "task"), now.tasks + 1); /* that of this request */
    T_EQ(objects(text, "channel"), now.chans);
    T_EQ(objects(text, "connection"), now.conns);
    T_EQ(objects(text, "request"), 1);
    T_EQ(objects(text, "copy"), 0);
    T_CHECK(objects(text, "ctx") >= now.ctxs);
    T_CHECK(has(c, "#\t-\tchannel\n#\t-\telsewhere\n"));
    T_CHECK(has(c, "\tcreated by test_heap_body\t") && has(c, "#\t-\t/debug/pprof/heap\n"));
    gee_chan_close(ch);
    t_close(ctx, idle);
    gee_sleep(ctx, 1);
    gee_chan_unref(ch);
    gee_chan_unref(nobodys);
}
T_SITE(test_heap, routes)

/* --- tasks come and go while it looks --- */

enum { CROWD = 2000, GROUPS = 20, STAY = 7 }; /* of each ten of the crowd the seventh stays */

struct crowd {
    gee_ctx *groups[GROUPS];
    bool seen;
    int turns;
};

static void leaves(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_ctx_wait(ctx);
}

static void stays(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_ctx_wait(ctx);
}

/* With each turn that it has while others look, some go, and as many come. */
static void moves(gee_ctx *ctx, void *arg) {
    struct crowd *s = arg;
    for (; !s->seen; s->turns++) {
        if (s->turns < GROUPS) {
            gee_ctx_cancel(s->groups[s->turns], UV_ECANCELED);
            for (int i = 0; i < CROWD / GROUPS; i++)
                gee_go(ctx, leaves, NULL);
        }
        gee_sleep(NULL, 0);
    }
}

static void while_it_looks(gee_ctx *ctx, void *arg) {
    struct crowd s = {0};
    gee_ctx *end = gee_ctx_with_cancel(ctx);
    gee_prof_tasks all;
    int stay = 0;
    (void)arg;
    for (int i = 0; i < GROUPS; i++)
        s.groups[i] = gee_ctx_with_cancel(end);
    for (int i = 0; i < CROWD; i++)
        if (i % 10 == STAY)
            gee_go(end, stays, NULL);
        else
            gee_go(s.groups[i % GROUPS], leaves, NULL);
    gee_sleep(ctx, 1);
    gee_go(end, moves, &s);
    int rc = gee_prof_tasks_take(&all);
    s.seen = true;
    for (const gee_prof_task *t = NULL; (t = gee_prof_tasks_next(&all, t)) != NULL;)
        stay += t->fn == stays;
    gee_prof_tasks_free(&all);
    for (int i = 0; i < GROUPS; i++)
        gee_ctx_end(s.groups[i]);
    gee_ctx_end(end);
    gee_sleep(ctx, 1);
    T_EQ(rc, 0);
    T_EQ(stay, CROWD / 10);
}

static void test_while_it_looks(void **state) {
    (void)state;
    t_run(&(gee_config){.sim = true}, 0, while_it_looks, NULL);
}

/* --- a file --- */

static void test_save_body(gee_ctx *ctx, t_conn *c, int port) {
    char path[] = "/tmp/gee-pprof-XXXXXX", text[256] = "";
    int fd = mkstemp(path);
    (void)ctx;
    (void)c;
    (void)port;
    T_RC(gee_pprof_save("goroutine", 1, path), 0);
    T_CHECK(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    unlink(path);
    T_CHECK(strncmp(text, "goroutine profile: total ", 25) == 0);
    T_RC(gee_pprof_save("nothing", 0, path), UV_ENOENT);
    T_RC(gee_pprof_save("cmdline", 0, path), UV_ENOENT);
    T_RC(gee_pprof_save("heap", 3, path), UV_EINVAL);
    T_RC(gee_pprof_save("heap", 0, "/nowhere/at/all"), UV_ENOENT);
}
T_SITE(test_save, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_bad_values), cmocka_unit_test(test_index),
    cmocka_unit_test(test_symbol),     cmocka_unit_test(test_goroutine),
    cmocka_unit_test(test_taskleak),   cmocka_unit_test(test_delta),
    cmocka_unit_test(test_delta_gone), cmocka_unit_test(test_block),
    cmocka_unit_test(test_heap),       cmocka_unit_test(test_while_it_looks),
    cmocka_unit_test(test_save),
};

T_MAIN(tests)
