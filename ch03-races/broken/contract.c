/*
 * Contracts: what a middleware asks of the chain in which it stands. All that it needs must be
 * provided there, or the route is refused when it is registered, with the word that is missing.
 */
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gee_declared {
    struct gee_declared *next;
    gee_handler fn;
    gee_contract contract;
    char words[]; /* of the contract */
};

/* --- lists of words --- */

/* The next word of a list, without the spaces around it; false: there is none. n 0: it is empty. */
static bool next_word(const char **at, const char **word, size_t *n) {
    if (*at == NULL)
        return false;
    const char *from = *at + strspn(*at, " ");
    size_t len = strcspn(from, ",");
    *at = from[len] ? from + len + 1 : NULL;
    while (len > 0 && from[len - 1] == ' ')
        len--;
    *word = from;
    *n = len;
    return true;
}

static bool has_word(const char *list, const char *word, size_t n) {
    const char *each;
    size_t len;
    while (next_word(&list, &each, &len))
        if (len == n && memcmp(each, word, n) == 0)
            return true;
    return false;
}

static bool is_list(const char *list) {
    const char *word;
    size_t n;
    while (next_word(&list, &word, &n))
        if (n == 0)
            return false;
    return true;
}

/* --- what was declared --- */

const gee_contract *gee_contract_of(const gee_engine *e, gee_handler fn) {
    for (const struct gee_declared *d = e->declared; d; d = d->next)
        if (d->fn == fn)
            return &d->contract;
    return NULL;
}

static bool same(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *copied(char **to, const char *s) {
    if (s == NULL)
        return NULL;
    size_t n = strlen(s) + 1;
    char *copy = memcpy(*to, s, n);
    *to += n;
    return copy;
}

static int keep(gee_engine *e, gee_handler fn, const gee_contract *c) {
    const char *const all[] = {c->name, c->needs, c->provides, c->around};
    size_t size = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        size += all[i] ? strlen(all[i]) + 1 : 0;
    struct gee_declared *d = malloc(sizeof(*d) + size);
    if (d == NULL || gee_engine_own(e, d, free) < 0) {
        free(d);
        return UV_ENOMEM;
    }
    char *to = d->words;
    d->fn = fn;
    d->contract.name = copied(&to, c->name);
    d->contract.needs = copied(&to, c->needs);
    d->contract.provides = copied(&to, c->provides);
    d->contract.around = copied(&to, c->around);
    d->next = e->declared;
    e->declared = d;
    return 0;
}

struct use {
    gee_handler fn;
    bool found;
};

static void look_for(const gee_route_entry *r, void *arg) {
    struct use *u = arg;
    for (size_t i = 0; i < r->chain.n; i++)
        u->found |= r->chain.links[i].fn == u->fn;
}

static bool is_in_use(const gee_engine *e, gee_handler fn) {
    struct use u = {fn, false};
    gee_router_each(e->tree, look_for, &u);
    return u.found;
}

int gee_declare(gee_engine *e, gee_handler fn, const gee_contract *c) {
    int rc;
    const gee_contract *old = gee_contract_of(e, fn);
    bool sane =
        fn && c && c->name && is_list(c->needs) && is_list(c->provides) && is_list(c->around);
    if (!sane)
        rc = UV_EINVAL;
    else if (old)
        rc = same(old->name, c->name) && same(old->needs, c->needs) &&
                     same(old->provides, c->provides) && same(old->around, c->around)
                 ? 0
                 : UV_EEXIST;
    else if (is_in_use(e, fn))
        rc = UV_EALREADY; /* that route was not held against it */
    else
        rc = keep(e, fn, c);
    return gee_engine_failed(e, rc, "contract of", c && c->name ? c->name : "nobody");
}

/* --- a chain --- */

/* Who of the links from..to provides the word. */
static const gee_contract *provider(const gee_engine *e, const gee_chain *chain, size_t from,
                                    size_t to, const char *word, size_t n) {
    for (size_t i = from; i < to; i++) {
        const gee_contract *c = gee_contract_of(e, chain->links[i].fn);
        if (c && has_word(c->provides, word, n))
            return c;
    }
    return NULL;
}

typedef struct breach {
    const char *name, *asks, *word; /* authorization, needs, authentication */
    size_t n;                       /* of the word */
} breach;

/* Is the contract of link i broken? The others of its chain provide what it needs. */
static bool is_broken(const gee_engine *e, const gee_chain *chain, size_t i, breach *b) {
    const gee_contract *c = gee_contract_of(e, chain->links[i].fn);
    const char *needs = c ? c->needs : NULL;
    *b = (breach){.name = c ? c->name : NULL, .asks = "needs"};
    while (next_word(&needs, &b->word, &b->n))
        if (provider(e, chain, 0, i, b->word, b->n) == NULL &&
            provider(e, chain, i + 1, chain->n, b->word, b->n) == NULL)
            return true;
    return false;
}

static void say(const char *method, const char *pattern, const breach *b) {
    fprintf(stderr, "gee: %s %s: %s %s %.*s, which ", method, pattern, b->name, b->asks, (int)b->n,
            b->word);
    fprintf(stderr, "nobody in its chain provides\n");
}

int gee_contract_check(gee_engine *e, const char *method, const char *pattern,
                       const gee_chain *chain) {
    breach b;
    for (size_t i = 0; i < chain->n; i++) {
        if (!is_broken(e, chain, i, &b))
            continue;
        if (e->error == 0)
            say(method, pattern, &b);
        if (e->error == 0)
            e->error = UV_EINVAL;
        return UV_EINVAL;
    }
    return 0;
}
