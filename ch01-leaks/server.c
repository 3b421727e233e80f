/*
 * The server of chapter 1: the same source over the broken and over the fixed
 * framework. `make serve-broken CH=01`, `make serve-fixed CH=01`.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>

static int64_t tick(gee_req *req, void *arg) {
    int *n = arg;
    char data[32];
    snprintf(data, sizeof(data), "%d", ++*n);
    gee_sse_event(req, "tick", data);
    return 1000;
}

static void ticking(gee_req *req) {
    int n = 0;
    gee_sse(req, tick, &n);
}

static int64_t nothing_yet(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return 30000;
}

static void idle(gee_req *req) {
    gee_sse(req, nothing_yet, NULL);
}

/* --- group-nesting --- */

static void write_record(gee_ctx *ctx, void *arg) {
    gee_sleep(ctx, 20); /* a slow disk */
    gee_req_release(arg);
}

static void hand_over(void *arg) {
    gee_req *req = arg, *copy = gee_get(req, "audit.copy");
    if (copy && gee_set(req, "audit.copy", NULL, NULL) == 0 &&
        gee_go(gee_req_ctx(copy), write_record, copy) < 0)
        gee_req_release(copy);
}

/* Keeps a copy of the request as it came; behind the handler it goes to the audit's task. */
static void audit(gee_req *req) {
    gee_cleanup over;
    gee_req *copy = gee_req_copy(req);
    if (copy && gee_set(req, "audit.copy", copy, NULL) < 0)
        gee_req_release(copy);
    gee_cleanup_push(&over, hand_over, req);
    gee_next(req);
    gee_cleanup_pop(&over, true);
}

static void user(gee_req *req) {
    gee_string(req, 200, "ada\n");
}

static void audited_routes(gee_group *root) {
    gee_group *audited = gee_group_new(root, "");
    gee_use(audited, audit, NULL);
    gee_group *api = gee_group_new(audited, "/api"), *v1 = gee_group_new(api, "/v1");
    gee_GET(audited, "/user", user);
    gee_GET(api, "/user", user);
    gee_GET(v1, "/user", user);
}

/* --- wait-no-exit --- */

static void crunch(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_sleep(ctx, 100);
}

/* Six jobs on three tasks, and the shutdown of their pool, for which there are 3 s. */
static void jobs(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req), *limit = gee_ctx_with_timeout(ctx, 3000);
    gee_workpool *p = gee_workpool_new(ctx, &((gee_workpool_options){.tasks = 3}));
    uint64_t start = gee_now_ms();
    int rc = limit && p ? 0 : UV_ENOMEM;
    for (int i = 0; rc == 0 && i < 6; i++)
        rc = gee_workpool_submit(ctx, p, &(gee_job){.fn = crunch});
    if (p)
        rc = gee_workpool_shutdown(limit, p, GEE_WORKPOOL_DRAIN);
    gee_ctx_end(limit);
    gee_string(req, 200, "six jobs and the end of their pool: %.1f s, %s\n",
               (double)(gee_now_ms() - start) / 1e3, rc < 0 ? uv_strerror(rc) : "all done");
}

/* --- handler-spawns-forever, timer-never-stopped --- */

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

static void report(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), 2500) == 0)
        gee_string(req, 200, "the report\n");
}

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "Chapter 1, leaks. Try:\n"
               "  /ticking      a stream with an event a second\n"
               "  /idle         a stream on which nothing happens\n"
               "  /docs/http.md, /docs/architecture.md   files\n"
               "  /user, /api/user, /api/v1/user   the same in no, one and two groups, audited\n"
               /* handle-unclosed */
               "  Ctrl-C        its last words, and its exit status\n"
               "  /jobs         (POST) six jobs on a pool of three tasks\n"
               "  /slow/hello, /slow/report   requests that the slow log watches\n"
               "  /idle-timeout/hello         one that may be silent for 30 s\n"
               "  /debug/tasks  what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_GET(root, "/", index_page);
    gee_GET(root, "/ticking", ticking);
    gee_GET(root, "/idle", idle);
    gee_static(root, "/docs", "docs", NULL); /* of the directory in which make runs it */
    audited_routes(root);
    gee_POST(root, "/jobs", jobs);
    gee_group *slow = gee_group_new(root, "/slow");
    gee_use_slow_log(slow, NULL);
    gee_GET(slow, "/hello", hello);
    gee_GET(slow, "/report", report);
    gee_group *idle_timeout = gee_group_new(root, "/idle-timeout");
    gee_use_idle_timeout(idle_timeout, 30000);
    gee_GET(idle_timeout, "/hello", hello);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
