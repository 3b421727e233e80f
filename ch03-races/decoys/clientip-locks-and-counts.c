/*
 * DECOY, a repair that is wrong: a lock around each access, and a count, so that the engine has its
 * own setting back when nobody is in a group any more. No tool finds a race here, for there is
 * none: each access is in order. But one place for all is still one too few. Whoever comes
 * while somebody is in a group is judged by that group.
 */
#include "gee/clientip.h"
#include "web/net.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct gee_trust {
    const char *header; /* behind the networks */
    bool list, unix_too, simulated_too;
    size_t n;
    gee_net nets[];
} gee_trust;

/* --- groups: the last one who leaves puts the engine's own back --- */

static gee_spin lock; /* over: */
static size_t inside; /* requests that are in such a group */
static const gee_trust *outside;

static const gee_trust *current(const gee_engine *e) {
    gee_spin_lock(&lock);
    const gee_trust *t = e->trust;
    gee_spin_unlock(&lock);
    return t;
}

/* --- asking --- */

typedef struct host {
    struct in6_addr ip;
    bool known; /* it has an address */
    char text[INET6_ADDRSTRLEN];
} host;

/* "192.0.2.1:80", "[2001:db8::1]:80", "unix", "simulated:0", "" */
static void peer_of(gee_req *req, host *h) {
    const char *remote = gee_remote(req);
    h->known = gee_ip_parse(remote, strlen(remote), &h->ip);
    if (h->known)
        gee_ip_text(&h->ip, h->text);
    else
        snprintf(h->text, sizeof(h->text), "%.*s", (int)strcspn(remote, ":"), remote);
}

static bool is_trusted(const gee_trust *t, const host *h) {
    if (t == NULL)
        return false;
    if (!h->known)
        return (t->unix_too && strcmp(h->text, "unix") == 0) ||
               (t->simulated_too && strcmp(h->text, "simulated") == 0);
    for (size_t i = 0; i < t->n; i++)
        if (gee_net_has(&t->nets[i], &h->ip))
            return true;
    return false;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

/* The n bytes at s, without what is blank around them. False: they are no address, and h is as it
 * was. */
static bool take(host *h, const char *s, size_t n) {
    struct in6_addr ip;
    for (; n > 0 && is_space(*s); n--)
        s++;
    while (n > 0 && is_space(s[n - 1]))
        n--;
    if (!gee_ip_parse(s, n, &ip))
        return false;
    *h = (host){.ip = ip, .known = true};
    gee_ip_text(&ip, h->text);
    return true;
}

/* From the right end to the left, of the last line first. True: go on. */
static bool walk(const gee_trust *t, host *h, const char *value) {
    const char *end = value + strlen(value);
    for (const char *at = end;; at = end) {
        while (at > value && at[-1] != ',')
            at--;
        if (!is_trusted(t, h) || !take(h, at, (size_t)(end - at)))
            return false;
        if (at == value)
            return true;
        end = at - 1;
    }
}

static void ask_header(const gee_trust *t, gee_req *req, host *h) {
    const gee_fields *fs = &req->x.fields;
    size_t of_that_name = 0, last = 0;
    for (size_t i = fs->n; i-- > 0;) {
        if (strcasecmp(fs->at[i].name, t->header) != 0)
            continue;
        if (t->list && !walk(t, h, fs->at[i].value))
            return;
        last = i;
        of_that_name++;
    }
    if (!t->list && of_that_name == 1) /* of two, one is the client's */
        take(h, fs->at[last].value, strlen(fs->at[last].value));
}

const char *gee_client_ip(gee_req *req) {
    host h = {.known = false};
    if (req->client)
        return req->client;
    const gee_trust *t = current(req->engine);
    peer_of(req, &h);
    if (is_trusted(t, &h))
        ask_header(t, req, &h);
    req->client = gee_arena_strndup(req->x.arena, h.text, strlen(h.text));
    return req->client ? req->client : "";
}

static void leave(void *arg) {
    gee_engine *e = arg;
    gee_spin_lock(&lock);
    if (--inside == 0)
        e->trust = outside;
    gee_spin_unlock(&lock);
}

static void trust_group(gee_req *req) {
    gee_cleanup leaving;
    gee_spin_lock(&lock);
    if (inside++ == 0)
        outside = req->engine->trust;
    req->engine->trust = gee_arg(req);
    gee_spin_unlock(&lock);
    req->client = NULL; /* who asked before did so outside of this group */
    gee_cleanup_push(&leaving, leave, req->engine);
    gee_next(req);
    gee_cleanup_pop(&leaving, true);
}

/* --- building --- */

static int add(gee_trust *t, const char *s, size_t n) {
    if (n == strlen("unix") && memcmp(s, "unix", n) == 0)
        t->unix_too = true;
    else if (n == strlen("simulated") && memcmp(s, "simulated", n) == 0)
        t->simulated_too = true;
    else if (gee_net_parse(s, n, &t->nets[t->n]))
        t->n++;
    else
        return UV_EINVAL;
    return 0;
}

static int add_all(gee_trust *t, const char *list) {
    int rc = 0;
    for (const char *s = list; *s && rc == 0;) {
        size_t n = strcspn(s, ", \t");
        rc = n ? add(t, s, n) : 0;
        s += n + (s[n] != '\0');
    }
    return rc;
}

static int make(const gee_trust_options *opt, gee_trust **out) {
    const char *list = opt && opt->proxies ? opt->proxies : "";
    const char *header = opt && opt->header ? opt->header : "X-Forwarded-For";
    size_t most = strlen(list) / 2 + 1, name = strlen(header) + 1;
    *out = NULL;
    if (!gee_is_token(header))
        return UV_EINVAL;
    if (strcasecmp(header, "Forwarded") == 0)
        return UV_ENOTSUP;
    gee_trust *t = calloc(1, sizeof(*t) + most * sizeof(gee_net) + name);
    if (t == NULL)
        return UV_ENOMEM;
    t->header = memcpy(&t->nets[most], header, name);
    t->list = strcasecmp(header, "X-Forwarded-For") == 0;
    int rc = add_all(t, list);
    if (rc < 0)
        free(t);
    else
        *out = t;
    return rc;
}

int gee_trust_proxies(gee_group *g, const gee_trust_options *opt) {
    static const gee_contract contract = {.name = "trusted proxies"};
    gee_engine *e = gee_engine_of(g);
    gee_trust *t;
    int rc = make(opt, &t);
    if (rc == 0 && (rc = gee_engine_own(e, t, free)) < 0)
        free(t);
    if (rc < 0)
        return gee_engine_failed(e, rc, "trusted proxies", "of a group");
    if (g == gee_root(e)) {
        e->trust = t;
        return 0;
    }
    rc = gee_declare(e, trust_group, &contract);
    return rc < 0 ? rc : gee_use(g, trust_group, t);
}
