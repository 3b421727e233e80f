/*
 * Chapter 2, pool-starvation: calls that hang on the threads of the pool, and all the others, who
 * need one for a moment. The same source is linked over the broken variant, the fixed one and
 * each decoy; what a test reports says which of them it met.
 */
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HANG_MS = 30 * 1000 };
static char dir[64]; /* file */
static uv_sem_t let_go;

/* The pool is the usual one, whatever is set where this runs. */
__attribute__((constructor(101))) static void four_threads(void) {
    unsetenv("UV_THREADPOOL_SIZE");
}

/* A database that does not answer: for half a minute, or on a real thread until it may. */
static void hang(void *arg) {
    (void)arg;
    if (gee_simulated())
        gee_sim_blocking_ms(HANG_MS);
    else
        uv_sem_wait(&let_go);
}

static void query(gee_req *req) {
    if (gee_blocking(gee_req_ctx(req), hang, NULL) == 0)
        gee_string(req, 200, "an answer\n");
}

/* It may lie anywhere, so a thread opens it. */
static void report(gee_req *req) {
    char path[128];
    snprintf(path, sizeof(path), "%s/file", dir);
    gee_file(req, path);
}

static void routes(gee_group *r) {
    gee_GET(r, "/query", query);
    gee_GET(r, "/report", report);
}

/* --- in simulation --- */

#define GET(target) "GET " target " HTTP/1.1\r\nHost: t\r\n\r\n"
enum { MANY = 16 };

/* How long a file takes while n requests hang. */
static void file_behind(gee_ctx *ctx, t_conn *c, int port, int n, char *buf, size_t size) {
    t_conn *hanging[MANY];
    for (int i = 0; i < n; i++) {
        hanging[i] = t_dial(port, 0);
        T_RC(t_puts(ctx, hanging[i], GET("/query")), 0);
    }
    gee_sleep(ctx, 1); /* they are on their threads by now, or wait for one */
    uint64_t start = gee_now_ms();
    T_EQ(t_get(ctx, c, "/report"), 200);
    snprintf(buf, size, "%.1f s", (double)((gee_now_ms() - start + 50) / 100) / 10);
    for (int i = 0; i < n; i++) {
        T_EQ(t_response(ctx, hanging[i]), 200);
        t_close(ctx, hanging[i]);
    }
}

/* For how long who waits for a thread behind n others stays when its client has gone. */
static void left_behind(gee_ctx *ctx, int port, int n, char *buf, size_t size) {
    t_conn *hanging[MANY + 1];
    for (int i = 0; i <= n; i++) {
        hanging[i] = t_dial(port, 0);
        T_RC(t_puts(ctx, hanging[i], GET("/query")), 0);
        gee_sleep(ctx, 1);
    }
    int64_t baseline = t_tasks() - 1;
    t_reset(ctx, hanging[n]);
    t_stays(ctx, baseline, buf, size);
    for (int i = 0; i < n; i++) {
        T_EQ(t_response(ctx, hanging[i]), 200);
        t_close(ctx, hanging[i]);
    }
}

static void pool_starvation(gee_ctx *ctx, t_conn *c, int port) {
    char four[32] = "", sixteen[32] = "", gone[32] = "";
    T_EQ(t_get(ctx, c, "/report"), 200);
    file_behind(ctx, c, port, 4, four, sizeof(four));
    file_behind(ctx, c, port, 16, sixteen, sizeof(sixteen));
    left_behind(ctx, port, 4, gone, sizeof(gone));
    if (strcmp(four, "0.0 s") != 0 || strcmp(sixteen, "0.0 s") != 0 || strcmp(gone, "0.0 s") != 0)
        T_FAIL("pool-starvation: a file takes %s while 4 calls hang, %s while 16 do, and the task "
               "of a client that left the queue stays %s",
               four, sixteen, gone);
}

static void test_pool_starvation(void **state) {
    static const gee_limits limits = {.idle_ms = 3600 * 1000};
    (void)state;
    t_site_sim(&(t_site){routes, pool_starvation, &limits, 0});
}

/* --- on real threads --- */

/* How many tasks have this name, and since when the youngest is where it is. */
static int tasks_named(const char *name, gee_task_info *youngest) {
    gee_task_info *tasks;
    int named = 0, n = gee_tasks_list(&tasks);
    for (int i = 0; i < n; i++)
        if (strcmp(tasks[i].name, name) == 0) {
            named++;
            *youngest = tasks[i];
        }
    free(n < 0 ? NULL : tasks);
    return named;
}

/* Not from a thread of the pool, for once: in the background, with its output in a file. */
static bool start_curl(int port, const char *target, const char *out) {
    char command[256];
    snprintf(command, sizeof(command), T_CURL "http://127.0.0.1:%d%s >%s/%s 2>&1 &", port, target,
             dir, out);
    return system(command) == 0;
}

static bool has_content(const char *name) {
    char path[128], byte;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDONLY);
    bool has = fd >= 0 && read(fd, &byte, 1) == 1;
    close(fd);
    return has;
}

static bool queries_run(gee_ctx *ctx, int n) {
    gee_task_info youngest;
    for (int ms = 0; tasks_named("GET /query", &youngest) != n; ms += 10)
        if (ms > 10 * 1000 || gee_sleep(ctx, 10) < 0)
            return false;
    return true;
}

/* Until curl has it, or its task has been parked at one place for a second. "" or where that is. */
static void fetch_file(gee_ctx *ctx, int port, char *stuck, size_t size) {
    gee_task_info task = {0};
    T_CHECK(start_curl(port, "/report", "got"));
    while (!has_content("got") && task.since_ms < 1000) {
        gee_sleep(ctx, 10);
        task.since_ms = 0;
        tasks_named("GET /report", &task);
    }
    if (!has_content("got"))
        snprintf(stuck, size, "%s at %s", task.reason, task.parked_at);
}

static void pool_starvation_real(gee_ctx *ctx, t_conn *none, int port) {
    char stuck[128] = "";
    (void)none;
    T_EQ(uv_sem_init(&let_go, 0), 0);
    for (int i = 0; i < 4; i++)
        T_CHECK(start_curl(port, "/query", "answer"));
    bool hang_all = queries_run(ctx, 4);
    fetch_file(ctx, port, stuck, sizeof(stuck));
    for (int i = 0; i < 4; i++)
        uv_sem_post(&let_go);
    bool over = queries_run(ctx, 0);
    uv_sem_destroy(&let_go);
    T_CHECK(hang_all && over);
    if (*stuck)
        T_FAIL("pool-starvation on a socket: while 4 calls hang, curl has waited for a file for a "
               "second (parked: %s)",
               stuck);
}

static void test_pool_starvation_real(void **state) {
    static const gee_limits limits = {.drain_ms = 5000};
    (void)state;
    t_site_real(1, &(t_site){routes, pool_starvation_real, &limits, 0});
}

static int make_file(void **state) {
    char path[128];
    (void)state;
    strcpy(dir, "/tmp/gee-ch02-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/file", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    bool good = fd >= 0 && write(fd, "file\n", 5) == 5;
    close(fd);
    return good ? 0 : -1;
}

static int remove_files(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_pool_starvation, make_file, remove_files),
    cmocka_unit_test_setup_teardown(test_pool_starvation_real, make_file, remove_files),
};

T_MAIN(tests)
