/* Building a profile: see profile.h. */
#include "pprof/profile.h"
#include <stdlib.h>
#include <string.h>

/* --- a sample before it is added --- */

void gee_prof_push_pc(gee_prof_stack *s, uintptr_t pc) {
    if (s->n < GEE_PROF_DEPTH)
        s->frames[s->n++] = (gee_prof_frame){.pc = pc};
}

void gee_prof_push_frame(gee_prof_stack *s, const char *name, gee_site site) {
    if (s->n < GEE_PROF_DEPTH)
        s->frames[s->n++] = (gee_prof_frame){.name = name, .site = site};
}

void gee_prof_label_add(gee_prof_stack *s, const char *key, const char *value) {
    if (s->nlabels < GEE_PROF_LABELS && value && *value)
        s->labels[s->nlabels++] = (gee_prof_label){key, value};
}

/* --- tables --- */

bool gee_prof_grow(gee_prof *p, void **at, size_t n, size_t *cap, size_t size) {
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 64;
    void *bigger = realloc(*at, more * size);
    if (bigger == NULL) {
        p->rc = UV_ENOMEM;
        return false;
    }
    *at = bigger;
    *cap = more;
    return true;
}

/* FNV-1a, and the upper bits into the lower ones, which choose the slot. */
static uint64_t hash(const void *data, size_t n) {
    const unsigned char *at = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    while (n-- > 0)
        h = (h ^ *at++) * UINT64_C(0x100000001b3);
    return h ^ (h >> 32);
}

static uint64_t tag(uint64_t h) {
    return h & UINT64_C(0xffffffff00000000);
}

static bool index_grow(gee_prof *p, gee_prof_index *x) {
    size_t cap = x->cap ? x->cap * 2 : 128;
    uint64_t *slots = calloc(cap, sizeof(*slots)), *old = x->slots;
    if (slots == NULL) {
        p->rc = UV_ENOMEM;
        return false;
    }
    for (size_t i = 0; i < x->cap; i++) {
        if (old[i] == 0)
            continue;
        size_t at = (old[i] >> 32) & (cap - 1);
        while (slots[at])
            at = (at + 1) & (cap - 1);
        slots[at] = old[i];
    }
    free(old);
    x->slots = slots;
    x->cap = cap;
    return true;
}

typedef bool (*same_fn)(const gee_prof *p, uint32_t number, const void *what);

/* The number of what is there; or the free slot for it. NULL and -1: no memory. */
static uint64_t *lookup(gee_prof *p, gee_prof_index *x, uint64_t h, same_fn same, const void *what,
                        int64_t *number) {
    *number = -1;
    if (x->n * 2 >= x->cap && !index_grow(p, x))
        return NULL;
    size_t at = (h >> 32) & (x->cap - 1);
    for (; x->slots[at]; at = (at + 1) & (x->cap - 1)) {
        uint32_t there = (uint32_t)x->slots[at] - 1;
        if (tag(x->slots[at]) != tag(h) || !same(p, there, what))
            continue;
        *number = there;
        break;
    }
    return &x->slots[at];
}

static uint32_t enter(gee_prof_index *x, uint64_t *slot, uint64_t h, size_t number) {
    *slot = tag(h) | (number + 1);
    x->n++;
    return (uint32_t)number;
}

static bool same_string(const gee_prof *p, uint32_t i, const void *what) {
    return strcmp(p->strings.at[i], what) == 0;
}

uint32_t gee_prof_string(gee_prof *p, const char *s) {
    int64_t there;
    if (s == NULL || *s == '\0')
        return 0;
    uint64_t h = hash(s, strlen(s));
    uint64_t *slot = lookup(p, &p->string_index, h, same_string, s, &there);
    if (there >= 0)
        return (uint32_t)there;
    if (slot == NULL || !GEE_PROF_ROOM(p, p->strings))
        return 0;
    char *copy = strdup(s);
    if (copy == NULL) {
        p->rc = UV_ENOMEM;
        return 0;
    }
    p->strings.at[p->strings.n] = copy;
    return enter(&p->string_index, slot, h, p->strings.n++);
}

static bool same_location(const gee_prof *p, uint32_t i, const void *what) {
    const gee_prof_location *a = &p->locations.at[i], *b = what;
    return a->pc == b->pc && a->name == b->name && a->site == b->site;
}

static uint32_t location(gee_prof *p, const gee_prof_location *l) {
    int64_t there;
    const uint64_t key[] = {l->pc, l->name, l->site};
    uint64_t h = hash(key, sizeof(key));
    uint64_t *slot = lookup(p, &p->location_index, h, same_location, l, &there);
    if (there >= 0)
        return (uint32_t)there;
    if (slot == NULL || !GEE_PROF_ROOM(p, p->locations))
        return 0;
    p->locations.at[p->locations.n] = *l;
    return enter(&p->location_index, slot, h, p->locations.n++);
}

static bool same_function(const gee_prof *p, uint32_t i, const void *what) {
    const gee_prof_function *a = &p->functions.at[i], *b = what;
    return a->name == b->name && a->file == b->file;
}

uint32_t gee_prof_function_at(gee_prof *p, uint32_t name, uint32_t file) {
    int64_t there;
    const gee_prof_function f = {name, file};
    uint64_t h = hash(&f, sizeof(f));
    uint64_t *slot = lookup(p, &p->function_index, h, same_function, &f, &there);
    if (there >= 0)
        return (uint32_t)there;
    if (slot == NULL || !GEE_PROF_ROOM(p, p->functions))
        return 0;
    p->functions.at[p->functions.n] = f;
    return enter(&p->function_index, slot, h, p->functions.n++);
}

/* --- samples --- */

struct key {
    const uint32_t *ids;
    uint32_t nlocations, nlabels;
};

static size_t ids_of(uint32_t nlocations, uint32_t nlabels) {
    return nlocations + (size_t)nlabels * 2;
}

static bool same_sample(const gee_prof *p, uint32_t i, const void *what) {
    const gee_prof_sample *s = &p->samples.at[i];
    const struct key *k = what;
    return s->nlocations == k->nlocations && s->nlabels == k->nlabels &&
           memcmp(p->ids.at + s->at, k->ids, ids_of(k->nlocations, k->nlabels) * sizeof(*k->ids)) ==
               0;
}

static gee_prof_sample *sample(gee_prof *p, const struct key *k) {
    int64_t there;
    size_t n = ids_of(k->nlocations, k->nlabels);
    uint64_t h = hash(k->ids, n * sizeof(*k->ids));
    uint64_t *slot = lookup(p, &p->sample_index, h, same_sample, k, &there);
    if (there >= 0)
        return &p->samples.at[there];
    if (slot == NULL || !GEE_PROF_ROOM(p, p->samples))
        return NULL;
    gee_prof_sample s = {p->ids.n, k->nlocations, k->nlabels, {0}};
    for (size_t i = 0; i < n; i++) {
        if (!GEE_PROF_ROOM(p, p->ids))
            return NULL;
        p->ids.at[p->ids.n++] = k->ids[i];
    }
    p->samples.at[p->samples.n] = s;
    return &p->samples.at[enter(&p->sample_index, slot, h, p->samples.n++)];
}

static void add(gee_prof *p, const struct key *k, const int64_t *values, int times) {
    gee_prof_sample *s = p->rc == 0 ? sample(p, k) : NULL;
    for (int i = 0; s && i < p->ntypes; i++)
        s->values[i] += values[i] * times;
}

void gee_prof_add(gee_prof *p, const gee_prof_stack *s, const int64_t *values) {
    uint32_t ids[GEE_PROF_DEPTH + 2 * GEE_PROF_LABELS];
    struct key k = {ids, (uint32_t)s->n, (uint32_t)s->nlabels};
    uint32_t *at = ids;
    for (int i = 0; i < s->n; i++) {
        const gee_prof_frame *f = &s->frames[i];
        const gee_prof_location l = {
            .pc = f->pc, .name = gee_prof_string(p, f->name), .site = gee_prof_string(p, f->site)};
        *at++ = location(p, &l);
    }
    for (int i = 0; i < s->nlabels; i++) {
        *at++ = gee_prof_string(p, s->labels[i].key);
        *at++ = gee_prof_string(p, s->labels[i].value);
    }
    add(p, &k, values, 1);
}

void gee_prof_merge(gee_prof *p, const gee_prof *from, int times) {
    uint32_t ids[GEE_PROF_DEPTH + 2 * GEE_PROF_LABELS];
    if (from->rc < 0)
        p->rc = from->rc;
    for (size_t i = 0; i < from->samples.n; i++) {
        const gee_prof_sample *s = &from->samples.at[i];
        const uint32_t *theirs = from->ids.at + s->at;
        size_t n = ids_of(s->nlocations, s->nlabels);
        for (size_t j = 0; j < n; j++) {
            if (j >= s->nlocations) {
                ids[j] = gee_prof_string(p, from->strings.at[theirs[j]]);
                continue;
            }
            const gee_prof_location *l = &from->locations.at[theirs[j]];
            const gee_prof_location mine = {.pc = l->pc,
                                            .name = gee_prof_string(p, from->strings.at[l->name]),
                                            .site = gee_prof_string(p, from->strings.at[l->site])};
            ids[j] = location(p, &mine);
        }
        add(p, &(struct key){ids, s->nlocations, s->nlabels}, s->values, times);
    }
}

bool gee_prof_is_zero(const gee_prof *p, const gee_prof_sample *s) {
    for (int i = 0; i < p->ntypes; i++)
        if (s->values[i] != 0)
            return false;
    return true;
}

/* --- life --- */

gee_prof *gee_prof_new(const gee_prof_type *types, int n, gee_prof_type period_type,
                       int64_t period) {
    gee_prof *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    memcpy(p->types, types, (size_t)n * sizeof(*types));
    p->ntypes = n;
    p->period_type = period_type;
    p->period = period;
    if (!GEE_PROF_ROOM(p, p->strings) || (p->strings.at[0] = strdup("")) == NULL) {
        gee_prof_free(p);
        return NULL;
    }
    p->strings.n = 1;
    return p;
}

void gee_prof_free(gee_prof *p) {
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->strings.n; i++)
        free(p->strings.at[i]);
    free(p->strings.at);
    free(p->locations.at);
    free(p->functions.at);
    free(p->lines.at);
    free(p->mappings.at);
    free(p->samples.at);
    free(p->ids.at);
    free(p->string_index.slots);
    free(p->location_index.slots);
    free(p->function_index.slots);
    free(p->sample_index.slots);
    free(p);
}
