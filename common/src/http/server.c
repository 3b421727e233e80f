/*
 * The server: one part on each worker, with its own connections and its own listening
 * socket (SO_REUSEPORT spreads the connections), or its own descriptor of a socket
 * that was passed (then whoever is first takes a connection).
 */
#include "base/tools.h"
#include "gee/run.h"
#include "http/http.h"
#include "sync/waitq.h"
#include <stdlib.h>
#include <string.h>

static const gee_limits defaults = {
    .head_bytes = 16 * 1024,
    .uri_bytes = 8 * 1024,
    .headers = 100,
    .body_bytes = 8 * 1024 * 1024,
    .head_ms = 10 * 1000,
    .body_ms = 30 * 1000,
    .write_ms = 30 * 1000,
    .idle_ms = 60 * 1000,
    .drain_ms = GEE_DEFAULT_DRAIN_MS,
};

static gee_limits with_defaults(const gee_limits *given) {
    gee_limits l = given ? *given : (gee_limits){0};
#define OR_DEFAULT(field) l.field = l.field ? l.field : defaults.field
    OR_DEFAULT(head_bytes);
    OR_DEFAULT(uri_bytes);
    OR_DEFAULT(headers);
    OR_DEFAULT(body_bytes);
    OR_DEFAULT(head_ms);
    OR_DEFAULT(body_ms);
    OR_DEFAULT(write_ms);
    OR_DEFAULT(idle_ms);
    OR_DEFAULT(drain_ms);
#undef OR_DEFAULT
    return l;
}

void gee_server_unref(gee_server *srv) {
    if (atomic_fetch_sub_explicit(&srv->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < srv->nparts; i++)
        gee_ctx_unref(srv->parts[i].ctx);
    free(srv->parts);
    free(srv);
}

/* --- something to do on every worker, on its loop: it needs no memory, so that a shutdown
 * is one also when there is none --- */

struct on_all {
    gee_server *srv;
    void (*fn)(gee_server_part *part, struct on_all *all);
    gee_waitgroup done;
    const gee_address *at;
    int rc;
};

struct on_one {
    gee_work work;
    gee_server_part *part;
    struct on_all *all;
};

static void on_one(gee_work *work) {
    struct on_one *one = gee_container(work, struct on_one, work);
    one->all->fn(one->part, one->all);
    gee_waitgroup_done(&one->all->done);
}

/* One after the other: they share all->rc. */
static int on_all(struct on_all *all) {
    for (int i = 0; i < all->srv->nparts; i++) {
        struct on_one one = {{.fn = on_one}, &all->srv->parts[i], all};
        gee_waitgroup_add(&all->done, 1);
        gee_post(&gee_runtime_current()->workers[i], &one.work);
        gee_waitgroup_wait(NULL, &all->done);
    }
    return all->rc;
}

/* --- start --- */

static void on_listener_close(gee_listener *l) {
    gee_server_part *part = l->data;
    gee_server_unref(part->srv);
}

static void listen_here(gee_server_part *part, struct on_all *all) {
    gee_server *srv = part->srv;
    gee_listener *l = &part->listener;
    part->worker = gee_worker_self();
    l->data = part;
    l->on_accept = gee_conn_accept;
    l->on_close = on_listener_close;
    if (all->rc < 0)
        return;
    atomic_fetch_add(&srv->refs, 1);
    enum gee_share share = srv->nparts == 1         ? GEE_ALONE
                           : part == &srv->parts[0] ? GEE_SHARE_FIRST
                                                    : GEE_SHARE_NEXT;
    int rc = gee_simulated() ? gee_listen_sim(l, srv->port)
             : all->at->host ? gee_listen_tcp(l, all->at->host, srv->port, share)
                             : gee_listen_passed(l, all->at->fd);
    if (rc == 0) {
        part->listening = true;
        gee_list_push(&part->worker->servers, &part->link);
        srv->port = l->port; /* port 0 is chosen once, for all */
        return;
    }
    all->rc = rc; /* and on_listener_close comes */
}

static void stop_listening(gee_server_part *part, struct on_all *all) {
    (void)all;
    if (part->listening) {
        gee_list_del(&part->link);
        gee_listener_close(&part->listener);
    }
    part->listening = false;
}

int gee_server_start(const gee_http_handler *h, const gee_limits *limits, const gee_address *at,
                     gee_server **out) {
    gee_server *srv = calloc(1, sizeof(*srv));
    if (srv == NULL)
        return UV_ENOMEM;
    srv->handler = *h;
    srv->limits = with_defaults(limits);
    srv->port = at->port;
    atomic_init(&srv->refs, 1);
    srv->parts = calloc((size_t)gee_workers(), sizeof(*srv->parts));
    srv->nparts = srv->parts ? gee_workers() : 0;
    int rc = srv->parts ? 0 : UV_ENOMEM;
    for (int i = 0; i < srv->nparts; i++) {
        gee_server_part *part = &srv->parts[i];
        part->srv = srv;
        part->ctx = gee_ctx_with_cancel(NULL);
        gee_list_init(&part->conns);
        if (part->ctx == NULL)
            rc = UV_ENOMEM;
    }
    struct on_all all = {.srv = srv, .fn = listen_here, .at = at, .done = GEE_DONE_BY_CALLBACKS};
    gee_race_release(srv);
    if (rc == 0)
        rc = on_all(&all);
    if (rc == 0) {
        *out = srv;
        return 0;
    }
    all.fn = stop_listening;
    on_all(&all);
    for (int i = 0; i < srv->nparts; i++)
        gee_ctx_cancel(srv->parts[i].ctx, 0);
    gee_server_unref(srv);
    return rc;
}

int gee_server_port(const gee_server *srv) {
    return srv->port;
}

/* --- shutdown --- */

static void drain(gee_server_part *part, struct on_all *all) {
    stop_listening(part, all);
    gee_list_each_safe (it, &part->conns) {
        gee_conn *c = gee_container(it, gee_conn, link);
        if (!c->serving && !c->lingering)
            gee_conn_close(c);
        else if (c->serving && c->x && c->x->endless)
            gee_ctx_cancel(c->x->ctx, UV_ESHUTDOWN);
    }
}

/* `draining` is set before drain() runs on this worker: one of the two sees the other. */
void gee_exchange_endless(gee_exchange *x) {
    x->endless = true;
    if (atomic_load(&x->conn->part->srv->draining))
        gee_ctx_cancel(x->ctx, UV_ESHUTDOWN);
}

static void cancel_requests(gee_server_part *part, struct on_all *all) {
    (void)all;
    gee_ctx_cancel(part->ctx, UV_ESHUTDOWN);
}

static void cut(gee_server_part *part, struct on_all *all) {
    (void)all;
    gee_list_each_safe (it, &part->conns)
        gee_conn_lost(gee_container(it, gee_conn, link), UV_ESHUTDOWN);
}

/* Without memory to wait with, the time is up at once. */
static int wait_for_conns(gee_server *srv, uint64_t ms) {
    gee_ctx *soon = gee_ctx_with_timeout(NULL, ms);
    if (soon == NULL)
        return UV_ETIMEDOUT;
    int rc = gee_waitgroup_wait(soon, &srv->conns);
    gee_ctx_end(soon);
    return rc;
}

int gee_server_shutdown(gee_server *srv) {
    struct on_all all = {.srv = srv, .fn = drain, .done = GEE_DONE_BY_CALLBACKS};
    atomic_store(&srv->draining, true);
    on_all(&all);
    int rc = wait_for_conns(srv, srv->limits.drain_ms);
    all.fn = cancel_requests;
    on_all(&all);
    if (rc < 0) {
        rc = wait_for_conns(srv, 1000);
        all.fn = cut;
        on_all(&all);
        if (rc < 0)
            rc = wait_for_conns(srv, 1);
    }
    gee_race_acquire(srv);
    gee_server_unref(srv);
    return rc;
}
