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

/* --- chan-unclosed --- */

static gee_broker *room;

static void client_gone(void *sub) {
    gee_unsubscribe(sub);
    gee_sub_unref(sub);
}

/* Under no ctx: whatever ends the subscription closes its channel, and that is the end. */
static int64_t next_message(gee_req *req, void *sub) {
    gee_message *m;
    if (gee_chan_recv(NULL, gee_sub_chan(sub), &m) < 0)
        return GEE_STREAM_END;
    gee_sse_event(req, NULL, gee_message_data(m));
    gee_message_unref(m);
    return 0;
}

static void chat(gee_req *req) {
    gee_sub *sub = gee_subscribe(room, NULL, 16);
    gee_after *gone =
        sub ? gee_ctx_after_func(gee_req_ctx(req), client_gone, gee_sub_ref(sub)) : NULL;
    if (gone)
        gee_sse(req, next_message, sub);
    else
        gee_fail(req, 503);
    if (sub && (gone == NULL || gee_after_stop(gone)))
        gee_sub_unref(sub); /* client_gone will not */
    gee_sub_unref(sub);
}

static void say(gee_req *req) {
    const char *text;
    size_t n;
    int rc = gee_body(req, &text, &n);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else if ((rc = gee_publish(room, NULL, text, n)) < 0)
        gee_fail(req, 503);
    else
        gee_string(req, 200, "%d in the room\n", rc);
}

static void kick(gee_req *req) {
    gee_string(req, 200, "%d kicked\n", gee_unsubscribe_all(room, NULL));
}

/* --- send-no-receiver --- */

static int ask_replica(gee_ctx *ctx, void *arg, void *result) {
    *(uint64_t *)result = *(uint64_t *)arg;
    return gee_sleep(ctx, *(uint64_t *)arg);
}

static void hedge(gee_req *req) {
    static const uint64_t needs_ms[] = {2000, 20, 1000};
    const gee_hedge_options options = {.result_size = sizeof(uint64_t)};
    gee_hedge_call calls[3];
    uint64_t ms;
    for (int i = 0; i < 3; i++)
        calls[i] = (gee_hedge_call){ask_replica, &needs_ms[i], sizeof(needs_ms[i])};
    int rc = gee_hedge(gee_req_ctx(req), calls, 3, &options, &ms);
    if (rc < 0)
        gee_fail(req, 503);
    else
        gee_string(req, 200, "replica %d was first, after %d ms\n", rc, (int)ms);
}

/* --- waitgroup-missed-done --- */

struct piece {
    bool fails, done;
};

static int work(gee_ctx *ctx, void *arg) {
    struct piece *p = arg;
    int rc = gee_sleep(ctx, p->fails ? 20 : 100);
    p->done = rc == 0 && !p->fails;
    return p->fails ? UV_EIO : rc;
}

static void fanout(gee_req *req) {
    struct piece pieces[8] = {{false, false}};
    int done = 0;
    gee_fanout *f = gee_fanout_new(gee_req_ctx(req), 0);
    if (f == NULL) {
        gee_fail(req, 503);
        return;
    }
    pieces[5].fails = gee_query(req, "fail") != NULL;
    for (int i = 0; i < 8; i++)
        gee_fanout_go(f, work, &pieces[i]);
    int rc = gee_fanout_wait(f);
    gee_fanout_end(f);
    for (int i = 0; i < 8; i++)
        done += pieces[i].done;
    gee_string(req, rc < 0 ? 502 : 200, "%d of 8 are done: %s\n", done,
               rc < 0 ? uv_strerror(rc) : "well");
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
               "  /chat         a stream of what is said; POST /say says it, POST /kick ends it\n"
               "  /hedge        asks three, and takes the first answer\n"
               "  /fanout       work in eight parts; /fanout?fail=1: one of them fails\n"
               "  /debug/tasks  what every task of this server does\n");
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    room = gee_broker_new();
    if (e == NULL || room == NULL)
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
    gee_GET(root, "/chat", chat);
    gee_POST(root, "/say", say);
    gee_POST(root, "/kick", kick);
    gee_GET(root, "/hedge", hedge);
    gee_GET(root, "/fanout", fanout);
    gee_debug_routes(root);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    gee_broker_free(room);
    return rc ? 1 : 0;
}
