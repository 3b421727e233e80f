/*
 * A server that is watched and not watched, in turns: watched trace|profile QUADS REQUESTS [KIB].
 *
 * It says where it listens, and once there is load it measures: not, watched, watched, not; so many
 * times. A slice is so many requests: on a machine that does other things as well it takes longer,
 * and says as much. What it costs stands beside its neighbours, which met the same noise, and what
 * drifts falls on both alike. Each four are a line of JSON: CPU time of all threads, and requests.
 * What starts and stops the watching lies between the slices. Behind the last trace, what its JSON
 * takes.
 */
#include "gee/gee.h"
#include "pprof/cpu.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A profile reads files with its first sample, once. */
enum { WARM_MS = 500, SETTLES_MS = 20, PROFILE_SETTLES_MS = 400 };

struct bench {
    bool is_trace;
    int quads;
    unsigned long each; /* requests of a slice */
    size_t bytes;
    gee_trace *trace;
    int rc;
};

static unsigned long requests;

static uint64_t cpu_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- what is asked for: as peers/gee.c has it --- */

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

/* --- watching --- */

static void stop_profile(void *arg) {
    *(gee_cpu_profile **)arg = gee_cpu_stop();
}

static void watch(struct bench *b) {
    b->rc = b->is_trace ? gee_trace_start(b->bytes, &b->trace) : gee_cpu_start(GEE_CPU_HZ);
}

static void leave_off(struct bench *b) {
    gee_cpu_profile *profile = NULL;
    if (b->rc < 0)
        return;
    if (b->is_trace)
        gee_trace_stop(b->trace);
    else
        b->rc = gee_blocking(NULL, stop_profile, &profile);
    gee_cpu_free(profile);
}

struct slice {
    uint64_t cpu_ns, requests;
};

static struct slice one_slice(struct bench *b) {
    struct slice s = {cpu_ns(), requests};
    while (requests - s.requests < b->each)
        gee_sleep(NULL, 1);
    return (struct slice){cpu_ns() - s.cpu_ns, requests - s.requests};
}

static void print_json_cost(struct bench *b) {
    static char piece[GEE_TRACE_PIECE];
    uint64_t before = cpu_ns(), bytes = 0, records = gee_trace_kept(b->trace);
    for (size_t n; (n = gee_trace_read(b->trace, piece, sizeof(piece))) > 0;)
        bytes += n;
    printf("{\"json_ns\": %" PRIu64 ", \"json_bytes\": %" PRIu64 ", \"records\": %" PRIu64
           ", \"dropped\": %" PRIu64 "}\n",
           cpu_ns() - before, bytes, records, gee_trace_dropped(b->trace));
}

static void one_quad(struct bench *b, bool is_last) {
    struct slice s[4];
    uint64_t settles_ms = b->is_trace ? SETTLES_MS : PROFILE_SETTLES_MS;
    s[0] = one_slice(b);
    watch(b);
    gee_sleep(NULL, settles_ms);
    s[1] = one_slice(b);
    s[2] = one_slice(b);
    leave_off(b);
    if (b->is_trace && is_last && b->rc == 0)
        print_json_cost(b);
    gee_trace_free(b->trace);
    b->trace = NULL;
    gee_sleep(NULL, settles_ms);
    s[3] = one_slice(b);
    for (int i = 0; i < 4; i++)
        printf("%s[%" PRIu64 ", %" PRIu64 "]%s", i ? ", " : "[", s[i].cpu_ns, s[i].requests,
               i == 3 ? "]\n" : "");
    fflush(stdout);
}

/* Once it is under load. */
static void measures(gee_ctx *ctx, void *arg) {
    struct bench *b = arg;
    while (requests == 0)
        gee_sleep(ctx, 10);
    gee_sleep(ctx, WARM_MS);
    for (int i = 0; i < b->quads && b->rc == 0; i++)
        one_quad(b, i + 1 == b->quads);
    if (b->rc < 0)
        fprintf(stderr, "watched: %s\n", uv_strerror(b->rc));
    fclose(stdout); /* that was all */
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    struct bench b = {.is_trace = strcmp(argv[1], "trace") == 0,
                      .quads = atoi(argv[2]),
                      .each = (unsigned long)atoi(argv[3]),
                      .bytes = argc > 4 ? (size_t)atoi(argv[4]) * 1024 : 0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_group *root = gee_root(e);
    gee_use(root, count, NULL);
    gee_use(root, tag, &requests);
    gee_GET(root, "/hello/:name", hello);
    gee_engine_service(e, measures, NULL, &b);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc || b.rc ? 1 : 0;
}
