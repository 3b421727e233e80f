#include "runtime/stack.h"
#include "base/count.h"
#include "base/tools.h"
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

/*
 * Linux 6.13: a guard that is a mark in the page table and not a mapping of its
 * own. mprotect splits the mapping in two, and a process may have only
 * vm.max_map_count (65,530) of them: it ends at some 32,000 tasks.
 */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static size_t page_size(void) {
    static size_t page;
    if (page == 0)
        page = (size_t)sysconf(_SC_PAGESIZE);
    return page;
}

char *gee_stack_low(const gee_stack *s) {
    return s->base + page_size();
}

static void unmap(gee_stack *s) {
    gee_vg_stack_deregister(s->vg_id);
#ifdef GEE_ASAN
    __lsan_unregister_root_region(gee_stack_low(s), s->size - page_size());
    __asan_unpoison_memory_region(s->base, s->size);
#endif
    munmap(s->base, s->size);
    gee_count(GEE_COUNT_STACKS, -1);
    s->base = NULL;
}

int gee_stack_get(gee_stack_cache *c, size_t size, gee_stack *out) {
    if (c->n > 0) {
        *out = c->free[--c->n];
        return 0;
    }
    size_t page = page_size();
    size += page;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return UV_ENOMEM;
    madvise(base, size, MADV_NOHUGEPAGE); /* without such pages there is nothing to refuse */
    if (madvise(base, page, MADV_GUARD_INSTALL) != 0 && mprotect(base, page, PROT_NONE) != 0) {
        munmap(base, size);
        return UV_ENOMEM;
    }
    *out = (gee_stack){.base = base, .size = size};
    out->vg_id = gee_vg_stack_register(gee_stack_low(out), gee_stack_top(out) - 1);
#ifdef GEE_ASAN
    __lsan_register_root_region(gee_stack_low(out), size - page);
#endif
    gee_count(GEE_COUNT_STACKS, 1);
    return 0;
}

void gee_stack_put(gee_stack_cache *c, gee_stack *s) {
    if (GEE_POOLS && c->n < GEE_STACK_CACHE)
        c->free[c->n++] = *s;
    else
        unmap(s);
    s->base = NULL;
}

void gee_stack_cache_free(gee_stack_cache *c) {
    while (c->n > 0)
        unmap(&c->free[--c->n]);
}
