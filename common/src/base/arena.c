#include "base/arena.h"
#include "base/count.h"
#include "base/pool.h"
#include "base/tools.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * A request with a short head, and its response's, fits the first block. A browser's head is
 * longer, and has another one or two; but a stream that is parked keeps what it has. Under the
 * tools blocks come from malloc, and are of a size that nothing else has: then what is read too
 * late is the next request's, and they see it.
 */
enum { BLOCK = GEE_POOLS ? 944 : 2048 };

struct gee_arena_block {
    struct gee_arena_block *next;
    size_t cap;
    alignas(max_align_t) char data[];
};

/* First blocks are of one size, and kept by their thread: an idle connection has none. */
enum { FIRST = BLOCK - sizeof(struct gee_arena_block) };

static void fill_from(gee_arena *a, struct gee_arena_block *b) {
    a->at = b->data;
    a->left = b->cap;
}

static int push_block(gee_arena *a, size_t need) {
    size_t cap = need > FIRST ? need : FIRST;
    struct gee_arena_block *b =
        cap == FIRST ? gee_pool_get(GEE_POOL_BLOCKS, BLOCK) : malloc(sizeof(*b) + cap);
    if (b == NULL)
        return -1;
    gee_count(GEE_COUNT_BYTES, (int64_t)(sizeof(*b) + cap));
    b->cap = cap;
    b->next = a->head;
    a->head = b;
    fill_from(a, b);
    return 0;
}

static void pop_block(gee_arena *a) {
    struct gee_arena_block *b = a->head;
    a->head = b->next;
    gee_count(GEE_COUNT_BYTES, -(int64_t)(sizeof(*b) + b->cap));
    if (b->cap == FIRST)
        gee_pool_put(GEE_POOL_BLOCKS, b);
    else
        free(b);
}

void *gee_arena_alloc_more(gee_arena *a, size_t n) {
    if (n > SIZE_MAX / 2)
        return NULL;
    n = gee_aligned(n ? n : 1);
    if (n > a->left && push_block(a, n) < 0)
        return NULL;
    return gee_arena_alloc(a, n);
}

void *gee_arena_calloc(gee_arena *a, size_t n) {
    void *p = gee_arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

/* Whether p, of so many bytes, is all that there is in a block of its own. */
static bool has_a_block(const gee_arena *a, const char *p, size_t has) {
    return a->head && p == a->head->data && p + has == a->at && a->head->cap != FIRST;
}

/* So a body that is gathered by doubling leaves none of its former places behind. */
static void *grow_block(gee_arena *a, size_t cap) {
    struct gee_arena_block *b = cap < SIZE_MAX / 2 ? realloc(a->head, sizeof(*b) + cap) : NULL;
    if (b == NULL)
        return NULL;
    gee_count(GEE_COUNT_BYTES, (int64_t)cap - (int64_t)b->cap);
    b->cap = cap;
    a->head = b;
    a->at = b->data + cap;
    a->left = 0;
    return b->data;
}

void *gee_arena_grow(gee_arena *a, void *p, size_t n, size_t more) {
    if (p == NULL)
        return gee_arena_alloc(a, more);
    size_t has = gee_aligned(n), needs = gee_aligned(more);
    if (needs == has)
        return p;
    if ((char *)p + has == a->at && needs - has <= a->left) {
        a->at += needs - has;
        a->left -= needs - has;
        return p;
    }
    if (has_a_block(a, p, has))
        return grow_block(a, needs);
    void *q = gee_arena_alloc(a, more);
    return q ? memcpy(q, p, n) : NULL;
}

char *gee_arena_strndup(gee_arena *a, const char *s, size_t n) {
    char *p = gee_arena_alloc(a, n + 1);
    if (p == NULL)
        return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

size_t gee_arena_bytes(const gee_arena *a) {
    size_t n = 0;
    for (const struct gee_arena_block *b = a->head; b; b = b->next)
        n += sizeof(*b) + b->cap;
    return n;
}

void gee_arena_reset(gee_arena *a) {
    while (a->head && (!GEE_POOLS || a->head->next || a->head->cap != FIRST))
        pop_block(a);
    a->left = 0;
    if (a->head)
        fill_from(a, a->head);
}

void gee_arena_free(gee_arena *a) {
    while (a->head)
        pop_block(a);
    a->left = 0;
}
