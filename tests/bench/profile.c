/*
 * What a profile of many parked tasks takes, and for how long a worker does nothing else
 * meanwhile: profile TASKS ROUNDS. Beside the tasks there is one that is always runnable and looks
 * at the CPU time of its thread: what passed between two of its turns was spent on something
 * else, and the most of that, while a profile is taken, is how long the worker was away. Prints a
 * line of JSON: medians over the rounds. cpu_ms is of all threads, the task that looks included;
 * ms is what passed.
 */
#include "gee/gee.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct bench {
    int tasks, rounds;
    uint64_t away_ns; /* at most, since it was set to 0 */
    bool over;
    gee_waitgroup all;
};

static uint64_t cpu_ns(clockid_t of) {
    struct timespec ts;
    clock_gettime(of, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void watches(gee_ctx *ctx, void *arg) {
    struct bench *b = arg;
    uint64_t last = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    while (!b->over) {
        gee_sleep(ctx, 0);
        uint64_t now = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        if (now - last > b->away_ns)
            b->away_ns = now - last;
        last = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    }
    gee_waitgroup_done(&b->all);
}

static void waits(gee_ctx *ctx, void *arg) {
    struct bench *b = arg;
    gee_ctx_wait(ctx);
    gee_waitgroup_done(&b->all);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof(*v), by_value);
    return v[n / 2];
}

static void bench(gee_ctx *ctx, void *arg) {
    struct bench *b = arg;
    double *ms = calloc((size_t)b->rounds * 3, sizeof(*ms));
    double *cpu = ms + b->rounds, *away = cpu + b->rounds;
    gee_ctx *end = gee_ctx_with_cancel(ctx);
    int rc = 0;
    gee_waitgroup_add(&b->all, b->tasks + 1);
    for (int i = 0; i < b->tasks; i++)
        gee_go(end, waits, b);
    gee_go(ctx, watches, b);
    gee_sleep(ctx, 200);
    for (int i = 0; i < b->rounds && rc == 0; i++) {
        gee_sleep(ctx, 10);
        b->away_ns = 0;
        uint64_t start_ns = uv_hrtime(), cpu_start_ns = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
        rc = gee_pprof_save("goroutine", 0, "/dev/null");
        cpu[i] = (double)(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_start_ns) / 1e6;
        ms[i] = (double)(uv_hrtime() - start_ns) / 1e6;
        away[i] = (double)b->away_ns / 1e6;
    }
    b->over = true;
    gee_ctx_end(end);
    gee_waitgroup_wait(NULL, &b->all);
    if (rc == 0)
        printf("{\"tasks\": %d, \"ms\": %.3f, \"cpu_ms\": %.3f, \"away_ms\": %.3f}\n", b->tasks,
               median(ms, b->rounds), median(cpu, b->rounds), median(away, b->rounds));
    else
        fprintf(stderr, "profile: %s\n", uv_strerror(rc));
    free(ms);
}

int main(int argc, char **argv) {
    struct bench b = {.tasks = argc > 1 ? atoi(argv[1]) : 10000,
                      .rounds = argc > 2 ? atoi(argv[2]) : 15};
    gee_config cfg = {.workers = 1};
    return gee_run(&cfg, bench, &b) ? 1 : 0;
}
