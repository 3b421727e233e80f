#include "t_receiver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *s, size_t n) {
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * UINT64_C(1099511628211);
    return h;
}

static enum gee_otlp_signal signal_of(const char *path) {
    return strcmp(path, "/v1/traces") == 0 ? GEE_OTLP_TRACES
           : strcmp(path, "/v1/logs") == 0 ? GEE_OTLP_LOGS
                                           : GEE_OTLP_METRICS;
}

/* All before it in any task is before all behind it in the next. */
static void touch(t_receiver *r) {
    gee_mutex_lock(NULL, &r->edge);
    gee_mutex_unlock(&r->edge);
}

int t_receiver_sleep(gee_ctx *ctx, t_receiver *r, uint64_t ms) {
    touch(r);
    int rc = gee_sleep(ctx, ms);
    touch(r);
    return rc;
}

static int by_chance(gee_ctx *ctx, t_receiver *r) {
    static const int any[] = {200, 200, 200, 202, 400, 413,
                              429, 500, 502, 503, 504, UV_ECONNREFUSED};
    int rc = t_receiver_sleep(ctx, r, gee_random_number() % 300);
    return rc < 0 ? rc : any[gee_random_number() % (sizeof(any) / sizeof(*any))];
}

static int answer(gee_ctx *ctx, t_receiver *r, gee_otlp_answer *a) {
    size_t i = r->nposts - 1;
    if (i >= r->nanswers)
        return r->seed ? by_chance(ctx, r) : 200;
    if (r->answers[i].ms) {
        int rc = t_receiver_sleep(ctx, r, r->answers[i].ms);
        if (rc < 0)
            return rc;
    }
    if (r->answers[i].retry_after)
        snprintf(a->retry_after, sizeof(a->retry_after), "%s", r->answers[i].retry_after);
    if (r->answers[i].body) {
        a->body_n = strlen(r->answers[i].body);
        memcpy(a->body, r->answers[i].body, a->body_n);
    }
    return r->answers[i].status ? r->answers[i].status : 200;
}

static int note(gee_ctx *ctx, t_receiver *r, const char *path, const char *body, size_t n,
                gee_otlp_answer *a) {
    enum gee_otlp_signal signal = signal_of(path);
    char error[400];
    if (r->nposts == T_POSTS)
        return UV_ENOBUFS;
    json_decref(r->last[signal]);
    t_otlp_check_text(signal, body, n, error, sizeof(error), &r->last[signal]);
    if (*error && *r->error == '\0')
        snprintf(r->error, sizeof(r->error), "%s: %s", path, error);
    size_t i = r->nposts++, count = t_otlp_count(signal, r->last[signal]);
    r->posts[i].signal = signal;
    r->posts[i].at_ms = gee_now_ms();
    r->posts[i].count = count;
    r->posts[i].hash = hash_of(body, n);
    int status = answer(ctx, r, a);
    r->posts[i].status = status;
    if (status >= 200 && status <= 299)
        r->taken[signal] += count;
    return status;
}

static int post(gee_ctx *ctx, void *arg, const char *path, const char *body, size_t n,
                gee_otlp_answer *a) {
    touch(arg);
    int status = note(ctx, arg, path, body, n, a);
    touch(arg);
    return status;
}

gee_otlp_transport t_receiver_transport(t_receiver *r) {
    return (gee_otlp_transport){post, NULL, r};
}

void t_receiver_reset(t_receiver *r) {
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++)
        json_decref(r->last[i]);
    memset(r, 0, sizeof(*r));
}

const char *t_receiver_adds_up(t_receiver *r, gee_otlp *x, char *buf, size_t size) {
    *buf = '\0';
    touch(r);
    for (int i = 0; i < GEE_OTLP_SIGNALS; i++) {
        gee_otlp_stats s;
        gee_otlp_stats_of(x, (enum gee_otlp_signal)i, &s);
        uint64_t all = s.waiting;
        for (int f = 0; f < GEE_OTLP_FATES; f++)
            all += s.fates[f];
        if (all != s.offered)
            snprintf(buf, size, "signal %d: %llu offered, %llu accounted for", i,
                     (unsigned long long)s.offered, (unsigned long long)all);
        else if (s.fates[GEE_OTLP_SENT] + s.fates[GEE_OTLP_REJECTED] != r->taken[i])
            snprintf(buf, size, "signal %d: %llu sent, %zu taken", i,
                     (unsigned long long)s.fates[GEE_OTLP_SENT], r->taken[i]);
    }
    touch(r);
    return buf;
}

struct visit {
    const gee_otlp_options *opt;
    t_receiver_body body;
};

struct running {
    gee_otlp *x;
    gee_waitgroup over;
};

static void run(gee_ctx *ctx, void *arg) {
    struct running *r = arg;
    gee_otlp_run(ctx, r->x);
    gee_waitgroup_done(&r->over);
}

static void visit(gee_ctx *ctx, void *arg) {
    static t_receiver receiver;
    const struct visit *v = arg;
    gee_otlp_options opt = *v->opt;
    struct running r = {.x = NULL};
    char wrong[256], error[512];
    t_receiver_reset(&receiver);
    opt.transport = t_receiver_transport(&receiver);
    T_RC(gee_otlp_new(&opt, &r.x), 0);
    gee_ctx *own = gee_ctx_with_cancel(ctx);
    gee_waitgroup_add(&r.over, 1);
    T_RC(gee_go(own, run, &r), 0);
    v->body(ctx, r.x, &receiver);
    gee_ctx_end(own);
    gee_waitgroup_wait(NULL, &r.over);
    t_receiver_adds_up(&receiver, r.x, wrong, sizeof(wrong));
    gee_otlp_free(r.x);
    snprintf(error, sizeof(error), "%s", receiver.error);
    t_receiver_reset(&receiver);
    T_STR(error, "");
    T_STR(wrong, "");
}

void t_receiver_sim(const gee_otlp_options *opt, t_receiver_body body) {
    struct visit v = {opt, body};
    t_sim(visit, &v);
}

void t_receiver_once(const gee_otlp_options *opt, t_receiver_body body) {
    gee_config cfg = {.sim = true};
    t_run(&cfg, 0, visit, &(struct visit){opt, body});
}
