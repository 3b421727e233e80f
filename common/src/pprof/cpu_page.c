/*
 * /debug/pprof/profile: the CPU time of the next 30 s, or ?seconds=, looked at ?hz= times for each
 * second of it.
 *
 * The samples of a task have its id, its name (a request's is "GET /path"), and who started it. A
 * client that leaves ends the profile, and the next one may have it.
 */
#include "pprof/cpu.h"
#include "pprof/pprof.h"
#include "sync/pool.h"
#include <inttypes.h>
#include <stdio.h>

enum { USUAL_SECONDS = 30, MOST_SECONDS = 60 * 60 };

static const gee_prof_type types[] = {{"samples", "count"}, {"cpu", "nanoseconds"}};
static const gee_prof_kind text_kind = {.name = "profile", .form = GEE_PROF_COUNTS};

static void add_row(gee_prof *p, const gee_cpu_row *row, int64_t period) {
    gee_prof_stack s = {.n = 0};
    const gee_cpu_stack *from = &row->stack;
    char id[24];
    for (int i = 0; i < from->nframes; i++)
        gee_prof_push_pc(&s, from->frames[i]);
    if (from->nframes == 1) /* somebody has called it, in a library without frame pointers */
        gee_prof_push_frame(&s, "(callers unknown)", NULL);
    if (from->task) {
        snprintf(id, sizeof(id), "%" PRIu64, from->task);
        gee_prof_push_site(&s, &(gee_prof_task){.created_at = from->created_at});
        gee_prof_label_add(&s, "task", id);
        gee_prof_label_add(&s, "name", from->name);
    }
    gee_prof_add(p, &s, (const int64_t[]){(int64_t)row->count, (int64_t)row->count * period});
}

/* How much there is, and what there is not. */
static void comment(gee_prof *p, const gee_cpu_profile *cpu) {
    char text[160];
    snprintf(text, sizeof(text),
             "%" PRIu64 " samples of %d threads at %d Hz; %" PRIu64
             " were dropped; %d threads were not looked at",
             cpu->samples, cpu->threads, cpu->hz, cpu->dropped, cpu->unseen);
    p->comment = gee_prof_string(p, text);
}

/* On a thread: it waits for another one. */
static void stop(void *arg) {
    gee_prof **out = arg;
    gee_cpu_profile *cpu = gee_cpu_stop();
    int64_t period = 1000000000 / cpu->hz;
    gee_prof *p = gee_prof_new(types, 2, types[1], period);
    for (const gee_cpu_row *row = cpu->rows; p && row; row = row->next)
        add_row(p, row, period);
    if (p) {
        p->time_ns = (int64_t)cpu->start_unix_ns;
        p->duration_ns = (int64_t)cpu->duration_ns;
        comment(p, cpu);
    }
    gee_cpu_free(cpu);
    *out = p;
}

static bool start(gee_req *req, uint64_t hz) {
    int rc = gee_cpu_start((int)hz);
    if (rc == UV_EALREADY)
        gee_string(req, 409, "a CPU profile is being made; of a process there is one at a time\n");
    else if (rc == UV_EBUSY)
        gee_string(req, 409, "the program has a handler of its own for SIGPROF\n");
    else if (rc < 0)
        gee_string(req, 500, "a CPU profile cannot be made here: %s\n", uv_strerror(rc));
    return rc == 0;
}

void gee_prof_cpu_page(gee_req *req) {
    uint64_t seconds = USUAL_SECONDS, hz = GEE_CPU_HZ, debug = 0;
    gee_prof *p = NULL;
    if (!gee_prof_number(req, "seconds", MOST_SECONDS, &seconds) ||
        !gee_prof_number(req, "hz", GEE_CPU_MAX_HZ, &hz) ||
        !gee_prof_number(req, "debug", 1, &debug))
        return;
    if (seconds == 0)
        seconds = USUAL_SECONDS;
    if (!start(req, hz ? hz : GEE_CPU_HZ))
        return;
    int rc = gee_prof_wait(req, seconds);
    /* Under no ctx: whatever has ended, this has to be done. */
    while (gee_blocking_in(&gee_framework_lane, NULL, stop, &p) == UV_ENOMEM)
        gee_sleep(NULL, 10);
    if (rc < 0)
        gee_prof_free(p); /* nobody is there to be told */
    else if (debug)
        gee_prof_answer_text(req, &text_kind, p);
    else
        gee_prof_answer(req, text_kind.name, p);
}
