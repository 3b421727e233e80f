/*
 * What is measured, with the middlewares and the parameter that every peer has. It is linked to
 * the libgee.a that `make install` installs. When it has ended it says how many bytes more are
 * allocated than at its start; with malloc's thread cache, those in that too.
 */
#include "gee/gee.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARTS = 4, STREAMS = 1 << 16 };

static unsigned long requests, ticks;
static uint64_t ended_ns[STREAMS]; /* when the stream of this client's port was over */

static void count(gee_req *req) {
    requests++;
    gee_next(req);
}

static void tag(gee_req *req) {
    gee_set(req, "user", gee_arg(req), NULL);
    gee_next(req);
}

static void hello(gee_req *req) {
    gee_string(req, 200, "hello, %s!\n", gee_param(req, "name"));
}

static void echo(gee_req *req) {
    json_t *value;
    int rc = gee_json_body(req, 0, &value, NULL);
    if (rc < 0)
        gee_fail(req, gee_body_status(rc));
    else
        gee_json_value(req, 200, value);
}

static int square(gee_ctx *ctx, void *arg) {
    long *n = arg;
    (void)ctx;
    *n *= *n;
    return 0;
}

static void fan_out(gee_req *req) {
    long n[PARTS], sum = 0;
    for (int i = 0; i < PARTS; i++) {
        n[i] = i + 1;
        gee_req_go(req, square, &n[i]);
    }
    gee_req_join(req);
    for (int i = 0; i < PARTS; i++)
        sum += n[i];
    gee_string(req, 200, "%ld\n", sum);
}

static void after(gee_req *req) {
    if (gee_sleep(gee_req_ctx(req), strtoull(gee_param(req, "ms"), NULL, 10)) == 0)
        gee_string(req, 200, "in time\n");
}

/* --- streams --- */

static int64_t nothing(gee_req *req, void *arg) {
    (void)req;
    (void)arg;
    return 3600 * 1000;
}

static int64_t tick(gee_req *req, void *arg) {
    ticks++;
    gee_sse_event(req, "tick", "tock");
    return *(const int64_t *)arg;
}

/* /events is idle; /events?ms=1000 has an event a second. */
static void events(gee_req *req) {
    const char *query = gee_query(req, "ms");
    int64_t ms = query ? strtoll(query, NULL, 10) : 0;
    const char *colon = strrchr(gee_remote(req), ':');
    uint16_t port = colon ? (uint16_t)atoi(colon + 1) : 0;
    struct timespec now;
    gee_sse(req, ms > 0 ? tick : nothing, &ms);
    clock_gettime(CLOCK_MONOTONIC, &now);
    ended_ns[port] = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How many events were sent, and each client's port with the time at which its stream was over. */
static void gone(gee_req *req) {
    char line[64];
    gee_write(req, line, (size_t)snprintf(line, sizeof(line), "%lu\n", ticks));
    for (int i = 0; i < STREAMS; i++)
        if (ended_ns[i])
            gee_write(req, line,
                      (size_t)snprintf(line, sizeof(line), "%d %llu\n", i,
                                       (unsigned long long)ended_ns[i]));
    memset(ended_ns, 0, sizeof(ended_ns));
    ticks = 0;
}

static int routes(gee_engine *e, const char *files) {
    gee_group *root = gee_root(e);
    gee_GET(root, "/events", events);
    gee_GET(root, "/gone", gone);
    gee_debug_routes(root);
    gee_pprof_routes(root, NULL);
    gee_group *limited = gee_group_new(root, "/limited");
    gee_use_timeout_with(limited, &(gee_timeout_options){.ms = 100, .log_fd = -1});
    gee_GET(limited, "/:ms", after);
    gee_use(root, count, NULL);
    gee_use(root, tag, &requests);
    gee_GET(root, "/hello/:name", hello);
    gee_GET(root, "/fanout", fan_out);
    gee_POST(root, "/json", echo);
    return files ? gee_static(root, "/files", files, NULL) : 0;
}

static size_t allocated(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

int main(int argc, char **argv) {
    int rc = 1;
    setvbuf(stdout, NULL, _IONBF, 0); /* what libc keeps is not to be taken for a leak: a buffer, */
    tzset();                          /* and the time zone */
    size_t before = allocated();
    gee_engine *e = gee_engine_new();
    if (e && routes(e, argc > 1 ? argv[1] : NULL) == 0)
        rc = gee_engine_run(e, "127.0.0.1", 0);
    if (e)
        gee_engine_free(e);
    printf("left: %zd\n", (ssize_t)(allocated() - before));
    return rc ? 1 : 0;
}
