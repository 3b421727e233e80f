#include "base/arena.h"
#include "base/count.h"
#include "base/tools.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A request with its head and its response head fits the first block. */
enum { BLOCK = 2048 };

struct gee_arena_block {
    struct gee_arena_block *next;
    size_t cap;
    alignas(max_align_t) char data[];
};

static size_t aligned(size_t n) {
    return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

/* First blocks that are not in use, of this thread: an idle connection holds none. */
enum { FREE_BLOCKS = 64, FIRST_CAP = BLOCK - sizeof(struct gee_arena_block) };
static _Thread_local struct free_blocks {
    struct gee_arena_block *head;
    int n, max;
} free_blocks;

void gee_arena_keep_blocks(bool on) {
    struct free_blocks *f = &free_blocks;
    f->max = on && GEE_POOLS ? FREE_BLOCKS : 0;
    for (struct gee_arena_block *b; f->n > f->max; f->n--) {
        b = f->head;
        f->head = b->next;
        free(b);
    }
}

static struct gee_arena_block *get_block(size_t cap) {
    struct free_blocks *f = &free_blocks;
    struct gee_arena_block *b = f->head;
    if (cap != FIRST_CAP || b == NULL)
        return malloc(sizeof(*b) + cap);
    f->head = b->next;
    f->n--;
    return b;
}

static void put_block(struct gee_arena_block *b) {
    struct free_blocks *f = &free_blocks;
    if (b->cap != FIRST_CAP || f->n >= f->max) {
        free(b);
        return;
    }
    b->next = f->head;
    f->head = b;
    f->n++;
}

static int push_block(gee_arena *a, size_t need) {
    size_t cap = need > FIRST_CAP ? need : FIRST_CAP;
    struct gee_arena_block *b = get_block(cap);
    if (b == NULL)
        return -1;
    gee_count(GEE_COUNT_BYTES, (int64_t)(sizeof(*b) + cap));
    b->cap = cap;
    b->next = a->head;
    a->head = b;
    a->used = 0;
    return 0;
}

static void pop_block(gee_arena *a) {
    struct gee_arena_block *b = a->head;
    a->head = b->next;
    gee_count(GEE_COUNT_BYTES, -(int64_t)(sizeof(*b) + b->cap));
    put_block(b);
}

void *gee_arena_alloc(gee_arena *a, size_t n) {
    if (n > SIZE_MAX / 2)
        return NULL;
    n = aligned(n ? n : 1);
    if ((a->head == NULL || a->head->cap - a->used < n) && push_block(a, n) < 0)
        return NULL;
    void *p = a->head->data + a->used;
    a->used += n;
    return p;
}

void *gee_arena_calloc(gee_arena *a, size_t n) {
    void *p = gee_arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

void *gee_arena_grow(gee_arena *a, void *p, size_t n, size_t more) {
    if (p == NULL)
        return gee_arena_alloc(a, more);
    if (aligned(more) == aligned(n))
        return p;
    if (a->head && (char *)p + aligned(n) == a->head->data + a->used &&
        a->head->cap - a->used >= aligned(more) - aligned(n)) {
        a->used += aligned(more) - aligned(n);
        return p;
    }
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

void gee_arena_reset(gee_arena *a) {
    while (a->head && (!GEE_POOLS || a->head->next || a->head->cap > BLOCK))
        pop_block(a);
    a->used = 0;
}

void gee_arena_free(gee_arena *a) {
    while (a->head)
        pop_block(a);
    a->used = 0;
}
