/*
 * Rate limit: a token bucket for each key.
 *
 * A bucket is a number and a time; what it has gained since is worked out when it is
 * asked, so nothing runs while nobody asks, and there is nothing to stop at the end.
 * All workers share the buckets, under a lock that is held for a few lines. Their number
 * is bounded: when it is reached, the one that was unused longest makes room.
 */
#include "base/list.h"
#include "base/spin.h"
#include "gee/clientip.h"
#include "gee/middleware.h"
#include "middleware/own.h"
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { KEY = 128 }; /* of a longer one the hash counts, and this much */

typedef struct bucket {
    struct bucket *next; /* of the same slot */
    gee_list used;       /* by time, latest last */
    uint64_t hash;
    double tokens;
    uint64_t at_ns; /* when there were so many */
    char key[KEY];
} bucket;

typedef struct limiter {
    double per_ns, burst;
    const char *(*key)(gee_req *req);
    size_t max, nslots;
    uint64_t seed; /* so that nobody can choose keys that meet in a slot */

    gee_spin lock; /* over: */
    bucket **slots;
    gee_list used;
    size_t n;
} limiter;

static uint64_t hash_of(const limiter *l, const char *key) {
    uint64_t h = l->seed;
    for (; *key; key++) {
        h = (h ^ (unsigned char)*key) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

static void forget_oldest(limiter *l) {
    bucket *b = gee_container(gee_list_pop(&l->used), bucket, used);
    bucket **at = &l->slots[b->hash % l->nslots];
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    l->n--;
    free(b);
}

/* A new one is full. NULL: no memory. */
static bucket *bucket_of(limiter *l, const char *key, uint64_t now_ns) {
    uint64_t hash = hash_of(l, key);
    bucket **slot = &l->slots[hash % l->nslots], *b = *slot;
    while (b && (b->hash != hash || strncmp(b->key, key, KEY - 1) != 0))
        b = b->next;
    if (b) {
        gee_list_del(&b->used);
    } else {
        if (l->n == l->max)
            forget_oldest(l);
        b = calloc(1, sizeof(*b));
        if (b == NULL)
            return NULL;
        snprintf(b->key, KEY, "%s", key);
        b->hash = hash;
        b->tokens = l->burst;
        b->at_ns = now_ns;
        b->next = *slot;
        *slot = b;
        l->n++;
    }
    gee_list_push(&l->used, &b->used);
    return b;
}

/* 0: it has a token less; else the ns until it has one. Another worker's clock may be behind. */
static double take(const limiter *l, bucket *b, uint64_t now_ns) {
    if (now_ns > b->at_ns) {
        b->tokens = fmin(l->burst, b->tokens + (double)(now_ns - b->at_ns) * l->per_ns);
        b->at_ns = now_ns;
    }
    if (b->tokens < 1.0 - 1e-9)
        return (1.0 - b->tokens) / l->per_ns;
    b->tokens -= 1.0;
    return 0;
}

static double ask(limiter *l, const char *key) {
    uint64_t now_ns = gee_now_ns();
    gee_spin_lock(&l->lock);
    bucket *b = bucket_of(l, key, now_ns);
    double wait_ns = b ? take(l, b, now_ns) : 0;
    gee_spin_unlock(&l->lock);
    return wait_ns;
}

/* The client's, without what one client can choose. */
static const char *address(gee_req *req) {
    const char *ip = gee_client_ip(req);
    struct in6_addr v6;
    if (inet_pton(AF_INET6, ip, &v6) != 1)
        return ip;
    memset(&v6.s6_addr[8], 0, 8);
    char *net = gee_alloc(req, INET6_ADDRSTRLEN);
    if (net)
        inet_ntop(AF_INET6, &v6, net, INET6_ADDRSTRLEN);
    return net;
}

static void rate_limit(gee_req *req) {
    limiter *l = gee_arg(req);
    const char *key = l->key(req);
    double wait_ns = key ? ask(l, key) : 0;
    char seconds[24];
    if (wait_ns <= 0) {
        gee_next(req);
        return;
    }
    snprintf(seconds, sizeof(seconds), "%.0f", fmax(1, ceil(wait_ns / 1e9 - 1e-6)));
    gee_set_header(req, "Retry-After", seconds);
    gee_fail(req, 429);
}

static void limiter_free(void *p) {
    limiter *l = p;
    while (l->n > 0)
        forget_oldest(l);
    free(l->slots);
    free(l);
}

static limiter *new_limiter(const gee_rate_limit_options *opt) {
    limiter *l = calloc(1, sizeof(*l));
    double per_second = opt->per_second > 0 ? opt->per_second : 10;
    if (l == NULL)
        return NULL;
    l->per_ns = per_second / 1e9;
    l->burst = fmax(1, opt->burst > 0 ? opt->burst : per_second);
    l->key = opt->key ? opt->key : address;
    l->max = opt->max_keys ? opt->max_keys : 10000;
    l->nslots = l->max + l->max / 2 + 1;
    l->slots = calloc(l->nslots, sizeof(bucket *));
    gee_list_init(&l->used);
    if (getrandom(&l->seed, sizeof(l->seed), 0) < 0)
        l->seed = (uintptr_t)l;
    if (l->slots)
        return l;
    free(l);
    return NULL;
}

int gee_use_rate_limit(gee_group *g, const gee_rate_limit_options *opt) {
    static const gee_contract contract = {.name = "rate limit", .provides = "rate limit"};
    static const gee_rate_limit_options defaults;
    opt = opt ? opt : &defaults;
    bool sane = isfinite(opt->per_second) && isfinite(opt->burst) && opt->per_second >= 0 &&
                opt->burst >= 0 && opt->max_keys < SIZE_MAX / 64;
    if (!sane)
        return gee_own_failed(g, UV_EINVAL, "rate limit");
    limiter *l = new_limiter(opt);
    if (l == NULL)
        return gee_own_failed(g, UV_ENOMEM, "rate limit");
    int rc = gee_engine_own(gee_engine_of(g), l, limiter_free);
    if (rc < 0)
        limiter_free(l);
    return rc < 0 ? gee_own_failed(g, rc, "rate limit") : gee_own_use(g, rate_limit, l, &contract);
}
