/*
 * A record is a cache line, and has one to itself. Who writes a page for the first time waits for
 * the kernel, which finds one and clears it: of small pages that is every twentieth request, of
 * huge ones every ten thousandth.
 */
#include "trace/room.h"
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 2 * 1024 * 1024 };

void *gee_room_new(size_t n, size_t size) {
    if (n > (SIZE_MAX - HUGE_PAGE) / size)
        return NULL;
    size_t bytes = n * size, align = bytes < HUGE_PAGE ? LINE : HUGE_PAGE;
    bytes = (bytes + align - 1) / align * align;
    void *room = aligned_alloc(align, bytes);
    if (room && align == HUGE_PAGE)
        madvise(room, bytes, MADV_HUGEPAGE); /* without such pages it takes a little longer */
    return room;
}
