/*
 * What the tools must be told: the one header with hooks for Valgrind, ASan
 * and TSan. In the release flavour every hook is empty.
 *
 * TSan. The library is compiled without instrumentation, except for the units
 * that the lessons look at, and a switch is announced with "no sync": it orders
 * nothing. Two tasks are therefore ordered by what they do to each other (spawn,
 * channel, mutex, waitgroup, ctx) and by nothing else, as in Go, and a race
 * between two tasks of one worker is reported although it never runs in
 * parallel. gee_race_release() and gee_race_acquire() are those edges.
 * The scheduler's own fiber only carries tasks, so it ignores everything it
 * does (gee_tsan_ignore_begin): otherwise its malloc, free and read would tie
 * together tasks that have nothing to do with each other.
 *
 * Helgrind and DRD see the same edges, and of the carriers every access: so a spin lock is
 * announced as a lock, and an atomic store is one that they know to be atomic
 * (gee_atomic_store). Two tasks of one worker are one thread to them.
 *
 * Pools. Under every tool memory and stacks come from malloc and mmap each time
 * (GEE_POOLS is 0): a pool hides a use after free from ASan and memcheck, and
 * orders strangers for TSan.
 */
#ifndef GEE_BASE_TOOLS_H
#define GEE_BASE_TOOLS_H

#include <stdatomic.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GEE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define GEE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(GEE_ASAN)
#define GEE_ASAN 1
#endif
/* GEE_TSAN also comes from the Makefile: the library itself is not instrumented there. */

#if defined(GEE_ASAN) || defined(GEE_TSAN) || defined(GEE_VALGRIND)
#define GEE_POOLS 0
#else
#define GEE_POOLS 1
#endif

/* In front of what is inline in a header: there too it carries tasks, and is not looked at. */
#define GEE_TSAN_CARRIER __attribute__((no_sanitize("thread")))

/* A thread's own that a handler of a signal reads. In a shared library too it is there from the
 * start: what is not might be allocated by the handler that asks first. */
#define GEE_TLS_OF_HANDLERS _Thread_local __attribute__((tls_model("initial-exec")))

#ifdef GEE_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_set_fiber_name(void *fiber, const char *name);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
void AnnotateIgnoreSyncBegin(const char *file, int line);
void AnnotateIgnoreSyncEnd(const char *file, int line);
enum { GEE_TSAN_NO_SYNC = 1 };
#define gee_race_acquire(addr) __tsan_acquire((void *)(addr))
#define gee_race_release(addr) __tsan_release((void *)(addr))
static inline void gee_tsan_ignore_begin(void) {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
}
static inline void gee_tsan_ignore_end(void) {
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}
#else
static inline void gee_tsan_ignore_begin(void) {
}
static inline void gee_tsan_ignore_end(void) {
}
#endif

#ifdef GEE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

#ifdef GEE_VALGRIND
#include <pthread.h>
#include <valgrind/drd.h>
#include <valgrind/helgrind.h>
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
static inline unsigned gee_vg_stack_register(void *lo, void *hi) {
    return VALGRIND_STACK_REGISTER(lo, hi);
}
/* DRD takes the stack that was registered last for the thread's own, and dies of it when the
 * thread ends. */
static inline void gee_vg_stack_of_thread(void) {
    pthread_attr_t attr;
    void *lo;
    size_t size;
    if (DRD_GET_DRD_THREADID == 0 || pthread_getattr_np(pthread_self(), &attr) != 0)
        return;
    if (pthread_attr_getstack(&attr, &lo, &size) == 0)
        (void)VALGRIND_STACK_REGISTER(lo, (char *)lo + size - 1);
    pthread_attr_destroy(&attr);
}
static inline void gee_vg_stack_deregister(unsigned id) {
    if (id)
        VALGRIND_STACK_DEREGISTER(id);
}
#define gee_vg_before(addr) ANNOTATE_HAPPENS_BEFORE(addr)
#define gee_vg_after(addr)  ANNOTATE_HAPPENS_AFTER(addr)
/* Beside the object's first byte, which may be its spin lock: DRD wants an address for each. */
#define gee_race_acquire(addr) ANNOTATE_HAPPENS_AFTER((const char *)(addr) + 1)
#define gee_race_release(addr) ANNOTATE_HAPPENS_BEFORE((const char *)(addr) + 1)
/* A locked instruction is what both take for atomic; a plain store would be a write like any. */
#define gee_atomic_store(p, v, order) ((void)atomic_exchange_explicit(p, v, order))
/*
 * Of the lock's own byte Helgrind keeps no history: the instruction that frees the lock comes
 * behind its announcement, and whose stack it is on may have left before the next one.
 */
#define gee_vg_lock_acquired(addr)             \
    do {                                       \
        VALGRIND_HG_DISABLE_CHECKING(addr, 1); \
        ANNOTATE_RWLOCK_ACQUIRED(addr, 1);     \
    } while (0)
#define gee_vg_lock_released(addr) ANNOTATE_RWLOCK_RELEASED(addr, 1)
/* It may never have been written; whoever reads it is prepared for anything. */
static inline void gee_vg_defined(void *addr, size_t size) {
    (void)VALGRIND_MAKE_MEM_DEFINED(addr, size);
}
/* What is there is no data that anyone should be careful with. */
static inline void gee_vg_overlook(void *addr, size_t size) {
    VALGRIND_HG_DISABLE_CHECKING(addr, size);
    VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_START_SUPPRESSION, addr, size, 0, 0, 0);
}
#else
static inline unsigned gee_vg_stack_register(void *lo, void *hi) {
    (void)lo;
    (void)hi;
    return 0;
}
static inline void gee_vg_stack_deregister(unsigned id) {
    (void)id;
}
static inline void gee_vg_stack_of_thread(void) {
}
static inline void gee_vg_defined(void *addr, size_t size) {
    (void)addr;
    (void)size;
}
static inline void gee_vg_overlook(void *addr, size_t size) {
    (void)addr;
    (void)size;
}
#define gee_vg_before(addr)           ((void)(addr))
#define gee_vg_after(addr)            ((void)(addr))
#define gee_vg_lock_acquired(addr)    ((void)(addr))
#define gee_vg_lock_released(addr)    ((void)(addr))
#define gee_atomic_store(p, v, order) atomic_store_explicit(p, v, order)
#endif

#if !defined(GEE_VALGRIND) && !defined(GEE_TSAN)
#define gee_race_acquire(addr) ((void)(addr))
#define gee_race_release(addr) ((void)(addr))
#endif

#endif
