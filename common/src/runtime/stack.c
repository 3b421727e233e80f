#include "runtime/stack.h"
#include "base/count.h"
#include "base/tools.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uv.h>

/*
 * Linux 6.13: a guard that is a mark in the page table and not a mapping of its
 * own. mprotect splits the mapping in two, and a process may have only
 * vm.max_map_count (65,530) of them: it ends at some 32,000 tasks.
 */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/*
 * A frame larger than the guard could step over it, into the neighbour: so it is
 * larger than most frames, and the library itself is compiled to probe each page.
 * 64 KiB is a multiple of any page size that Linux has.
 */
enum { GUARD = 64 * 1024 };

char *gee_stack_low(const gee_stack *s) {
    return s->base + GUARD;
}

bool gee_stack_is_guard(const gee_stack *s, const void *addr) {
    const char *at = addr;
    return s->base && at >= s->base && at < s->base + GUARD;
}

static int by_address(const void *a, const void *b) {
    const gee_stack *x = a, *y = b;
    return (x->base > y->base) - (x->base < y->base);
}

/*
 * Neighbours go in one munmap: each one flushes the TLB, and when ten thousand
 * streams end at once that is what the time goes into.
 */
static void unmap(gee_stack *s, int n) {
    qsort(s, (size_t)n, sizeof(*s), by_address);
    for (int i = 0; i < n;) {
        char *base = s[i].base, *end = base;
        for (; i < n && s[i].base == end; end += s[i++].size) {
            gee_vg_stack_deregister(s[i].vg_id);
#ifdef GEE_ASAN
            __lsan_unregister_root_region(gee_stack_low(&s[i]), s[i].size - GUARD);
            __asan_unpoison_memory_region(s[i].base, s[i].size);
#endif
        }
        munmap(base, (size_t)(end - base));
    }
    gee_count(GEE_COUNT_STACKS, -n);
}

int gee_stack_get(gee_stack_cache *c, size_t size, gee_stack *out) {
    if (c->n > 0) {
        *out = c->free[--c->n];
        return 0;
    }
    size += GUARD;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return UV_ENOMEM;
    madvise(base, size, MADV_NOHUGEPAGE); /* without such pages there is nothing to refuse */
    if (madvise(base, GUARD, MADV_GUARD_INSTALL) != 0 && mprotect(base, GUARD, PROT_NONE) != 0) {
        munmap(base, size);
        return UV_ENOMEM;
    }
    *out = (gee_stack){.base = base, .size = (uint32_t)size};
    out->vg_id = gee_vg_stack_register(gee_stack_low(out), gee_stack_top(out) - 1);
#ifdef GEE_ASAN
    __lsan_register_root_region(gee_stack_low(out), size - GUARD);
#endif
    gee_count(GEE_COUNT_STACKS, 1);
    return 0;
}

void gee_stack_put(gee_stack_cache *c, gee_stack *s) {
    if (!GEE_POOLS) {
        unmap(s, 1);
    } else {
        if (c->n == GEE_STACKS_FULL) {
            unmap(c->free, GEE_STACKS_FULL - GEE_STACKS_KEPT);
            c->n = GEE_STACKS_KEPT;
            memmove(c->free, c->free + GEE_STACKS_FULL - c->n, (size_t)c->n * sizeof(*s));
        }
        c->free[c->n++] = *s;
    }
    s->base = NULL;
}

void gee_stack_cache_free(gee_stack_cache *c) {
    unmap(c->free, c->n);
    c->n = 0;
}
