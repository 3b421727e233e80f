/*
 * The service of the hunt. `make hunt SEED=7` starts it, and a load for it.
 *
 *   server SEED SECONDS       the suspects that the seed makes guilty; ends by itself
 *   server --only NAME SECONDS   this one alone ("none": nobody): for the test of the hunt
 *   server --answer SEED      says who is guilty, for hunt-check
 *
 * PORT is in the environment; 0: any. All is served by one worker.
 */
#include "hunt.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {
#define X(name) #name,
    SUSPECTS(X)
#undef X
};
static int (*const routes[])(gee_group *g, bool guilty) = {
#define X(name) name##_routes,
    SUSPECTS(X)
#undef X
};

typedef struct hunt {
    gee_engine *engine;
    bool guilty[SUSPECT_COUNT];
    int port;
    long seconds;
    int rc;
} hunt;

/* splitmix64, by Sebastiano Vigna: seeds that are next to each other have nothing in common. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void accuse(bool *guilty, uint64_t seed) {
    for (int n = 0; n < GUILTY;) {
        uint64_t i = next_random(&seed) % SUSPECT_COUNT;
        n += !guilty[i];
        guilty[i] = true;
    }
}

static bool accuse_only(bool *guilty, const char *name) {
    bool known = strcmp(name, "none") == 0;
    for (int i = 0; i < SUSPECT_COUNT; i++) {
        guilty[i] = strcmp(name, names[i]) == 0;
        known |= guilty[i];
    }
    return known;
}

static void say(const bool *guilty) {
    for (int i = 0; i < SUSPECT_COUNT; i++)
        if (guilty[i])
            puts(names[i]);
}

/* --- the program --- */

static void index_page(gee_req *req) {
    gee_string(req, 200,
               "A parcel service. It has:\n"
               "  /price?to=41210   what a parcel costs\n"
               "  /parcel/:id       where it is; POST: it was seen somewhere\n"
               "  POST /label/:id   a label\n"
               "  POST /pickup?from=mill+lane   a van comes\n"
               "  /weigh/:id        its weight\n"
               "  POST /order/:id   an order\n"
               "  POST /notify/:id  a message for the customer\n"
               "  /rate             the rate of exchange\n"
               "  /compare          offers of other carriers\n"
               "  /debug/           tasks, requests, routes, pprof/\n");
}

/* On a thread of the pool: a signal, or the end of the time. */
static void wait_for_end(void *arg) {
    const hunt *h = arg;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigtimedwait(&set, NULL, &(struct timespec){.tv_sec = h->seconds});
}

static void serve(gee_ctx *ctx, void *arg) {
    static gee_lane end = {.name = "end", .most = 1};
    hunt *h = arg;
    gee_server *srv;
    h->rc = gee_listen(h->engine, "127.0.0.1", h->port, NULL, &srv);
    if (h->rc < 0) {
        fprintf(stderr, "hunt: cannot listen on port %d: %s\n", h->port, uv_strerror(h->rc));
        return;
    }
    printf("listening on http://127.0.0.1:%d\n", gee_server_port(srv));
    fflush(stdout);
    h->rc = gee_go(ctx, dispatch_run, NULL);
    if (h->rc == 0)
        h->rc = gee_blocking_in(&end, NULL, wait_for_end, h);
    int rc = gee_server_shutdown(srv);
    h->rc = h->rc < 0 ? h->rc : rc;
}

static int run(hunt *h) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    h->engine = gee_engine_new();
    if (h->engine == NULL)
        return UV_ENOMEM;
    gee_group *g = gee_root(h->engine);
    gee_GET(g, "/", index_page);
    gee_debug_routes(g);
    gee_pprof_routes(g, NULL);
    int rc = 0;
    for (int i = 0; rc == 0 && i < SUSPECT_COUNT; i++)
        rc = routes[i](g, h->guilty[i]);
    if (rc == 0)
        rc = gee_run(&(gee_config){.workers = 1}, serve, h);
    gee_engine_free(h->engine);
    return rc < 0 ? rc : h->rc;
}

static bool is_number(const char *text, uint64_t most, uint64_t *out) {
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && *out <= most;
}

int main(int argc, char **argv) {
    hunt h = {0};
    uint64_t seed = 0, seconds = 0, port = 8080;
    const char *env = getenv("PORT");
    bool only = argc == 4 && strcmp(argv[1], "--only") == 0;
    bool answer = argc == 3 && strcmp(argv[1], "--answer") == 0;
    bool right = only     ? accuse_only(h.guilty, argv[2]) && is_number(argv[3], 86400, &seconds)
                 : answer ? is_number(argv[2], UINT64_MAX, &seed)
                          : argc == 3 && is_number(argv[1], UINT64_MAX, &seed) &&
                                is_number(argv[2], 86400, &seconds);
    if (!right || (env && !is_number(env, 65535, &port))) {
        fprintf(stderr, "usage: PORT=8080 server SEED SECONDS | --only NAME SECONDS"
                        " | --answer SEED\n");
        return 2;
    }
    if (!only)
        accuse(h.guilty, seed);
    if (answer) {
        say(h.guilty);
        return 0;
    }
    h.port = (int)port;
    h.seconds = (long)seconds;
    return run(&h) < 0 ? 1 : 0;
}
