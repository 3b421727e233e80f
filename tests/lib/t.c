#include "t.h"
#include "base/tools.h"
#include "runtime/worker.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char failure[1024];
static const char *failed_file;
static int failed_line;

void t_fail(const char *file, int line, const char *fmt, ...) {
    if (failed_file)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(failure, sizeof(failure), fmt, ap);
    va_end(ap);
    failed_line = line;
    failed_file = file;
}

int t_failed(void) {
    return failed_file != NULL;
}

void t_forgive(void) {
    failed_file = NULL;
}

int t_streq(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

const char *t_err(int rc) {
    static char buf[4][32];
    static unsigned turn;
    if (rc == 0)
        return "0";
    if (rc > 0 || strncmp(uv_err_name(rc), "Unknown", 7) == 0) {
        char *out = buf[turn++ % 4];
        snprintf(out, sizeof(buf[0]), "%d", rc);
        return out;
    }
    return uv_err_name(rc);
}

const char *t_census_diff(const gee_census *base, const gee_census *now, char *buf, size_t size) {
    size_t at = 0;
    buf[0] = '\0';
#define X(name)                                                                          \
    if (now->name != base->name && at < size)                                            \
        at += (size_t)snprintf(buf + at, size - at, "%s%s %+lld", at ? ", " : "", #name, \
                               (long long)(now->name - base->name));
    GEE_CENSUS(X)
#undef X
    return buf;
}

static void say_figures(uint64_t since_ns) {
    if (gee_simulated() && getenv("GEE_FIGURES"))
        printf("figures: %" PRIu64 " us, %" PRIu64 " turns\n", (gee_now_ns() - since_ns) / 1000,
               gee_worker_self()->turns);
}

static void nothing(gee_ctx *ctx, void *arg) {
    (void)ctx;
    (void)arg;
}

/* What libuv opens once and keeps is not the test's. */
static void warm_up(void) {
    static int done;
    if (!done)
        gee_run(NULL, nothing, NULL);
    done = 1;
}

struct checked {
    gee_task_fn body;
    void *arg;
};

/* Whatever a test leaves behind for the grace to end, none of it may be a leak. */
static void check_leaks(gee_ctx *ctx, void *arg) {
    struct checked *c = arg;
    gee_leak *leaks;
    uint64_t start_ns = gee_now_ns();
    c->body(ctx, c->arg);
    say_figures(start_ns);
    int n = gee_leakcheck(&leaks);
    if (n > 0)
        t_fail(__FILE__, __LINE__, "leaked after the test: task \"%s\" (%s at %s): %s",
               leaks[0].task.name, leaks[0].task.reason, leaks[0].task.parked_at, leaks[0].why);
    free(leaks);
}

void t_run(const gee_config *cfg, int want_rc, gee_task_fn body, void *arg) {
    gee_census base, after;
    char diff[256];
    warm_up();
    failed_file = NULL;
    gee_census_take(&base);
    struct checked checked = {body, arg};
    int rc = gee_run(cfg, check_leaks, &checked);
    gee_census_take(&after);
    if (failed_file) {
        print_error("%s\n", failure);
        _fail(failed_file, failed_line);
    }
    if (rc != want_rc)
        fail_msg("gee_run returned %s, not %s", t_err(rc), t_err(want_rc));
    if (want_rc == 0 && *t_census_diff(&base, &after, diff, sizeof(diff)))
        fail_msg("left over after the test: %s", diff);
}

void t_sim(gee_task_fn body, void *arg) {
    static const uint64_t seeds[] = {0, 7, 1, 42};
    int n = GEE_POOLS ? 4 : 2; /* under a tool each costs ten times as much */
    for (int i = 0; i < n; i++) {
        gee_config cfg = {.sim = true, .seed = seeds[i]};
        t_run(&cfg, 0, body, arg);
    }
}

void t_real(int workers, gee_task_fn body, void *arg) {
    gee_config cfg = {.workers = workers, .grace_ms = 1000};
    t_run(&cfg, 0, body, arg);
}
