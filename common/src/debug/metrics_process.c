/*
 * The figures of the runtime and of the process. Tasks and handles are a worker's own:
 * each is asked, on its loop, and only counts, so that a scrape costs little memory
 * however many tasks there are.
 */
#include "base/tools.h"
#include "debug/metrics.h"
#include "gee/debug.h"
#include "gee/sync.h"
#include "runtime/worker.h"
#include "sync/waitq.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define X(id, text) +1
enum { REASONS = 0 GEE_WAIT_REASONS(X) };
#undef X

/* What one worker says. */
struct look {
    gee_work work;
    gee_worker *worker;
    gee_waitgroup *all_in;
    uint64_t runnable, running, waiting[REASONS], handles, paused;
};

static void count_handle(uv_handle_t *h, void *arg) {
    struct look *l = arg;
    gee_worker *w = l->worker;
    if (h != (uv_handle_t *)&w->bell && h != (uv_handle_t *)&w->alarm &&
        h != (uv_handle_t *)&w->prepare)
        l->handles++;
}

/* None of its tasks runs meanwhile: not a race, though TSan cannot know. */
static void look(struct look *l) {
    gee_tsan_ignore_begin();
    gee_list_each (it, &l->worker->tasks) {
        const gee_task *t = gee_container(it, gee_task, all);
        if (t->state == GEE_TASK_WAITING)
            l->waiting[t->reason]++;
        else if (t->state == GEE_TASK_RUNNING)
            l->running++;
        else
            l->runnable++;
    }
    gee_list_each (it, &l->worker->paused)
        l->paused++;
    uv_walk(&l->worker->loop, count_handle, l);
    gee_tsan_ignore_end();
}

static void look_posted(gee_work *work) {
    struct look *l = gee_container(work, struct look, work);
    look(l);
    gee_waitgroup_done(l->all_in);
}

static void add_up(struct look *sum, const struct look *l) {
    sum->runnable += l->runnable;
    sum->running += l->running;
    for (int i = 0; i < REASONS; i++)
        sum->waiting[i] += l->waiting[i];
    sum->handles += l->handles;
    sum->paused += l->paused;
}

static int ask_workers(struct look *sum) {
    gee_runtime *rt = gee_runtime_current();
    struct look *looks = calloc((size_t)rt->nworkers, sizeof(*looks));
    gee_waitgroup all_in = GEE_DONE_BY_CALLBACKS;
    if (looks == NULL)
        return UV_ENOMEM;
    gee_waitgroup_add(&all_in, rt->nworkers - 1);
    for (int i = 0; i < rt->nworkers; i++) {
        looks[i].work.fn = look_posted;
        looks[i].worker = &rt->workers[i];
        looks[i].all_in = &all_in;
        if (looks[i].worker == gee_worker_self())
            look(&looks[i]);
        else
            gee_post(looks[i].worker, &looks[i].work);
    }
    gee_waitgroup_wait(NULL, &all_in);
    for (int i = 0; i < rt->nworkers; i++)
        add_up(sum, &looks[i]);
    free(looks);
    return 0;
}

static int put_state(gee_metrics_out *out, const char *state, const char *reason, uint64_t n) {
    const gee_label labels[] = {{"state", state}, {"reason", reason}};
    return gee_metrics_value(out, labels, 2, (int64_t)n);
}

static int put_tasks(gee_metrics_out *out, const struct look *l) {
    int rc =
        gee_metrics_family(out, GEE_GAUGE, "gee_tasks", "Tasks by state, and what they wait for.");
    if (rc == 0)
        rc = put_state(out, "runnable", "", l->runnable);
    if (rc == 0)
        rc = put_state(out, "running", "", l->running);
    for (int i = GEE_WAIT_NONE + 1; rc == 0 && i < REASONS; i++)
        rc =
            put_state(out, "waiting", gee_wait_reason_text((enum gee_wait_reason)i), l->waiting[i]);
    return rc;
}

static int put(gee_metrics_out *out, enum gee_metric_type type, const char *name, const char *help,
               int64_t value) {
    int rc = gee_metrics_family(out, type, name, help);
    return rc < 0 ? rc : gee_metrics_value(out, NULL, 0, value);
}

static int put_runtime(gee_metrics_out *out) {
    struct look sum = {.handles = 0};
    gee_census c;
    int rc = ask_workers(&sum);
    gee_census_take(&c);
    const struct {
        enum gee_metric_type type;
        const char *name, *help;
        int64_t value;
    } all[] = {
        {GEE_COUNTER, "http_requests_rejected_total",
         "Malformed or too large: no handler saw them.", gee_count_sum(GEE_COUNT_REJECTED)},
        {GEE_GAUGE, "gee_timers", "Armed timers.", c.timers},
        {GEE_GAUGE, "gee_handles", "Open libuv handles.", (int64_t)sum.handles},
        {GEE_GAUGE, "gee_ctxs", "Contexts.", c.ctxs},
        {GEE_GAUGE, "gee_chans", "Channels.", c.chans},
        {GEE_GAUGE, "gee_connections", "HTTP connections.", c.conns},
        {GEE_GAUGE, "gee_requests", "HTTP requests, from their head to their response.", c.reqs},
        {GEE_GAUGE, "gee_request_copies", "Copies of requests, not released yet.", c.copies},
        {GEE_GAUGE, "gee_buffer_bytes", "Bytes of buffers and arenas.", c.bytes},
        {GEE_GAUGE, "gee_workers", "Threads with a loop each.", gee_workers()},
        {GEE_GAUGE, "gee_listeners_paused", "Listening sockets that wait for a free descriptor.",
         (int64_t)sum.paused},
        {GEE_GAUGE, "process_open_fds", "Open file descriptors.", c.fds},
    };
    if (rc == 0)
        rc = put_tasks(out, &sum);
    for (size_t i = 0; rc == 0 && i < sizeof(all) / sizeof(*all); i++)
        rc = put(out, all[i].type, all[i].name, all[i].help, all[i].value);
    return rc;
}

/* --- the process --- */

/* The nth field (from 0) of a line that numbers make up; -1: not there. */
static int64_t field_of(const char *text, int n) {
    long long value = -1;
    while (n-- > 0 && text)
        text = (text = strchr(text, ' ')) ? text + 1 : NULL;
    return text && sscanf(text, "%lld", &value) == 1 ? value : -1;
}

static const char *read_line(const char *path, char *buf, size_t size) {
    FILE *f = fopen(path, "re");
    const char *line = f ? fgets(buf, (int)size, f) : NULL;
    if (f)
        fclose(f);
    return line;
}

static int64_t resident_bytes(void) {
    char buf[256];
    const char *line = read_line("/proc/self/statm", buf, sizeof(buf));
    int64_t pages = line ? field_of(line, 1) : -1;
    return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

/* Unix time. The kernel counts from the boot: field 22 of stat, the 20th behind the name. */
static int64_t start_seconds(void) {
    char buf[1024];
    struct timespec now, up;
    const char *line = read_line("/proc/self/stat", buf, sizeof(buf));
    const char *behind = line ? strrchr(line, ')') : NULL;
    int64_t ticks = behind && behind[1] ? field_of(behind + 2, 19) : -1;
    if (ticks < 0)
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return now.tv_sec - up.tv_sec + ticks / sysconf(_SC_CLK_TCK);
}

static int64_t us_of(const struct timeval *t) {
    return (int64_t)t->tv_sec * 1000000 + t->tv_usec;
}

static int put_cpu(gee_metrics_out *out) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    int rc =
        gee_metrics_family(out, GEE_COUNTER, "process_cpu_seconds_total", "User and system time.");
    int64_t us = us_of(&u.ru_utime) + us_of(&u.ru_stime);
    return rc < 0 ? rc : gee_metrics_ns(out, NULL, 0, us * 1000);
}

/* What the system does not tell (no /proc) is left out. */
static int put_known(gee_metrics_out *out, const char *name, const char *help, int64_t value) {
    return value < 0 ? 0 : put(out, GEE_GAUGE, name, help, value);
}

int gee_metrics_put_process(gee_metrics_out *out) {
    struct rlimit fds = {0};
    int rc = put_runtime(out);
    if (rc == 0 && getrlimit(RLIMIT_NOFILE, &fds) == 0 && fds.rlim_cur != RLIM_INFINITY)
        rc = put_known(out, "process_max_fds", "Limit of open file descriptors.",
                       (int64_t)fds.rlim_cur);
    if (rc == 0)
        rc = put_known(out, "process_resident_memory_bytes", "Resident memory.", resident_bytes());
    if (rc == 0)
        rc = put_known(out, "process_start_time_seconds", "When it started, Unix time.",
                       start_seconds());
    return rc < 0 ? rc : put_cpu(out);
}
