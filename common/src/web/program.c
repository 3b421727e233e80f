/* A whole program: configuration, listening, the wait for a signal (signals.c), the end. */
#include "gee/config.h"
#include "gee/run.h"
#include "web/signals.h"
#include "web/web.h"
#include <stdio.h>

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
} program;

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

static uint64_t serve_until(gee_ctx *stop, program *p) {
    if ((p->rc = listen_all(p)) == 0) {
        gee_ctx_wait(stop);
        atomic_store(&p->engine->unready, true);
        if (p->limits.lame_ms > 0)
            gee_sleep(NULL, p->limits.lame_ms);
    }
    uint64_t began_ns = gee_now_ns(); /* the shutdown */
    shut_down_all(p);
    return began_ns;
}

enum { LEAST_MS = 1000 };

/* What drain_ms leaves to the services behind the last request; it may have needed all. */
static uint64_t services_until(uint64_t began_ns, uint64_t drain_ms) {
    uint64_t ms = drain_ms ? drain_ms : GEE_DEFAULT_DRAIN_MS, least_ns = gee_clock_in_ms(LEAST_MS);
    uint64_t ns = ms < (GEE_FAR_NS - began_ns) / 1000000 ? began_ns + ms * 1000000 : GEE_FAR_NS;
    return ns > least_ns ? ns : least_ns;
}

static void serve_with_services(gee_ctx *ctx, gee_ctx *stop, program *p) {
    if ((p->rc = gee_services_start(p->engine, ctx)) < 0) {
        fprintf(stderr, "gee: cannot start the services: %s\n", uv_strerror(p->rc));
        return;
    }
    uint64_t began_ns = serve_until(stop, p);
    gee_services_end(p->engine, p->rc < 0 ? 0 : services_until(began_ns, p->limits.drain_ms));
}

static void serve_until_signal(gee_ctx *ctx, void *arg) {
    program *p = arg;
    gee_signals *signals = NULL;
    gee_ctx *stop = gee_ctx_with_cancel(ctx);
    p->rc = stop ? gee_signals_open(stop, &signals) : UV_ENOMEM;
    if (p->rc == 0)
        serve_with_services(ctx, stop, p);
    else
        fprintf(stderr, "gee: cannot wait for signals: %s\n", uv_strerror(p->rc));
    gee_signals_close(signals);
    if (stop)
        gee_ctx_end(stop);
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
