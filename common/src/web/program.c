/*
 * A whole program: configuration, listening, the wait for a signal, the end.
 *
 * The first signal closes the handles of both. That gives the signals their default
 * action back, so the second one ends the process by the kernel's hand, whatever its
 * loop is doing.
 */
#include "gee/config.h"
#include "gee/run.h"
#include "web/web.h"
#include <signal.h>
#include <stdio.h>

enum { SIGNALS = 2 };

typedef struct program {
    gee_engine *engine;
    const char *host;
    int port;
    gee_limits limits;
    gee_passed_fd passed[GEE_MAX_PASSED];
    int npassed;
    gee_server *servers[GEE_MAX_PASSED];
    int nservers;
    gee_waitgroup down;
    int rc;
    gee_ctx *stop;
    uv_signal_t signals[SIGNALS];
    int open; /* of them */
} program;

static void on_signal_closed(uv_handle_t *h) {
    ((program *)h->data)->open--;
}

static void close_signals(program *p) {
    for (int i = 0; i < p->open; i++)
        if (!uv_is_closing((uv_handle_t *)&p->signals[i]))
            uv_close((uv_handle_t *)&p->signals[i], on_signal_closed);
}

static void on_signal(uv_signal_t *s, int signum) {
    program *p = s->data;
    (void)signum;
    gee_worker_awake(s->loop->data);
    close_signals(p);
    atomic_store(&p->engine->unready, true);
    gee_ctx_cancel(p->stop, 0);
}

static int open_signals(program *p) {
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM};
    int rc = 0;
    for (int i = 0; rc == 0 && i < SIGNALS; i++) {
        uv_signal_t *s = &p->signals[i];
        if ((rc = uv_signal_init(&gee_worker_self()->loop, s)) < 0)
            break;
        s->data = p;
        p->open++;
        rc = uv_signal_start(s, on_signal, numbers[i]);
    }
    if (rc < 0)
        fprintf(stderr, "gee: cannot wait for signals: %s\n", uv_strerror(rc));
    return rc;
}

static int listen_at(program *p) {
    gee_server *srv;
    int rc = gee_listen(p->engine, p->host, p->port, &p->limits, &srv);
    if (rc < 0) {
        fprintf(stderr, "gee: cannot listen on %s port %d: %s\n", p->host, p->port,
                uv_strerror(rc));
        return rc;
    }
    p->servers[p->nservers++] = srv;
    printf("listening on http://%s:%d\n", p->host, gee_server_port(srv));
    return 0;
}

static int listen_on(program *p, const gee_passed_fd *passed) {
    gee_server *srv;
    int rc = gee_listen_fd(p->engine, passed->fd, &p->limits, &srv);
    if (rc < 0) {
        fprintf(stderr, "gee: cannot listen on descriptor %d (%s): %s\n", passed->fd, passed->name,
                uv_strerror(rc));
        return rc;
    }
    p->servers[p->nservers++] = srv;
    printf("listening on descriptor %d (%s), port %d\n", passed->fd, passed->name,
           gee_server_port(srv));
    return 0;
}

static int listen_all(program *p) {
    int rc = p->npassed > 0 ? 0 : listen_at(p);
    for (int i = 0; rc == 0 && i < p->npassed; i++)
        rc = listen_on(p, &p->passed[i]);
    fflush(stdout);
    return rc;
}

struct shutdown {
    program *p;
    gee_server *srv;
};

static void shut_down(gee_ctx *ctx, void *arg) {
    struct shutdown *s = arg;
    (void)ctx;
    int rc = gee_server_shutdown(s->srv);
    if (rc < 0 && s->p->rc == 0)
        s->p->rc = rc;
    gee_waitgroup_done(&s->p->down);
}

/* All at the same time: they share drain_ms. */
static void shut_down_all(program *p) {
    struct shutdown each[GEE_MAX_PASSED];
    for (int i = 0; i < p->nservers; i++) {
        each[i] = (struct shutdown){p, p->servers[i]};
        gee_waitgroup_add(&p->down, 1);
        if (gee_go(NULL, shut_down, &each[i]) < 0)
            shut_down(NULL, &each[i]);
    }
    gee_waitgroup_wait(NULL, &p->down);
}

static void serve_until_signal(gee_ctx *ctx, void *arg) {
    program *p = arg;
    p->stop = gee_ctx_with_cancel(ctx);
    p->rc = p->stop ? open_signals(p) : UV_ENOMEM;
    if (p->rc == 0)
        p->rc = listen_all(p);
    if (p->rc == 0) {
        gee_ctx_wait(p->stop);
        if (p->limits.lame_ms > 0)
            gee_sleep(NULL, p->limits.lame_ms);
    }
    shut_down_all(p);
    close_signals(p);
    while (p->open > 0)
        gee_sleep(NULL, 1);
    gee_ctx_end(p->stop);
}

int gee_engine_run_with(gee_engine *e, const char *host, int port, const gee_limits *limits) {
    program p = {.engine = e, .host = host, .port = port};
    if (limits)
        p.limits = *limits;
    int rc = gee_limits_from_env(&p.limits);
    if (rc == 0)
        rc = gee_address_from_env(&p.host, &p.port);
    if (rc == 0)
        rc = p.npassed = gee_listen_fds(p.passed, GEE_MAX_PASSED);
    if (rc < 0)
        return rc;
    atomic_store(&e->unready, false);
    rc = gee_run(NULL, serve_until_signal, &p);
    return p.rc ? p.rc : rc;
}

int gee_engine_run(gee_engine *e, const char *host, int port) {
    return gee_engine_run_with(e, host, port, NULL);
}
