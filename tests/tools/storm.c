/*
 * The server of the profile storm (storm.py): all that can be looked at in it, and as much as
 * possible that happens meanwhile. Memory comes and goes on tasks and on threads, tasks begin and
 * end, wait for each other and for the clock.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of all sizes that malloc knows another place for, up to where it asks the kernel. */
static void allocate(void *arg) {
    char *held[32];
    unsigned n = *(const unsigned *)arg;
    for (unsigned i = 0; i < 32; i++) {
        size_t size = (size_t)16 << ((n + i) % 14);
        held[i] = malloc(size);
        if (held[i])
            memset(held[i], 0, size < 4096 ? size : 4096);
    }
    for (unsigned i = 0; i < 32; i++)
        free(held[(i * 7 + n) % 32]);
}

static void on_task(gee_req *req) {
    for (unsigned i = 0; i < 50; i++) {
        allocate(&i);
        if (i % 10 == 0)
            gee_sleep(gee_req_ctx(req), 0);
    }
    gee_json(req, 200, "{s:s, s:i}", "memory", "came and went", "times", 50);
}

static void on_thread(gee_req *req) {
    unsigned n = 3;
    gee_blocking(gee_req_ctx(req), allocate, &n);
    gee_string(req, 200, "done\n");
}

static int adds(gee_ctx *ctx, void *arg) {
    gee_sleep(ctx, 1);
    return gee_chan_send(ctx, arg, &(int){1});
}

static void tasks(gee_req *req) {
    gee_chan *c = gee_chan_new(sizeof(int), 0);
    int sum = 0, one;
    for (int i = 0; c && i < 10; i++)
        gee_req_go(req, adds, c);
    for (int i = 0; c && i < 10 && gee_chan_recv(gee_req_ctx(req), c, &one) == 0; i++)
        sum += one;
    gee_req_join(req);
    gee_chan_unref(c);
    gee_string(req, 200, "%d\n", sum);
}

int main(void) {
    const char *port = getenv("PORT");
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_use_metrics(root);
    gee_GET(root, "/task", on_task);
    gee_GET(root, "/thread", on_thread);
    gee_GET(root, "/tasks", tasks);
    gee_metrics_routes(root);
    gee_debug_routes(root);
    gee_pprof_routes(root, NULL);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
