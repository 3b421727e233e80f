/*
 * Opening what a request names, and nothing beyond its directory. The kernel resolves the path
 * beneath a descriptor, in one call, so that a link or a rename in the middle of it
 * leads nowhere else. Whoever compares paths as text is one link, or one race, behind.
 */
#include "middleware/file.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_NONBLOCK: a FIFO that somebody put there must not keep a thread. */
enum { HOW = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* The descriptor, or what errno says: it is not kept, since tasks share their thread's. */
static int result(int fd) {
    return fd < 0 ? uv_translate_sys_error(errno) : fd;
}

/* Segment by segment, no link followed: for kernels that cannot resolve beneath. */
static int open_by_steps(int dir, const char *path) {
    char segment[256];
    int at = result(fcntl(dir, F_DUPFD_CLOEXEC, 0));
    for (bool last = false; at >= 0 && !last;) {
        size_t n = strcspn(path, "/");
        last = path[n] == '\0' || path[n + 1] == '\0';
        int next = n < sizeof(segment) ? UV_EXDEV : UV_ENAMETOOLONG;
        if (n < sizeof(segment) && !(n == 2 && memcmp(path, "..", 2) == 0)) {
            int how = last ? HOW | (path[n] ? O_DIRECTORY : 0) : O_PATH | O_DIRECTORY | O_CLOEXEC;
            snprintf(segment, sizeof(segment), "%.*s", (int)n, path);
            next = result(openat(at, segment, how | O_NOFOLLOW));
        }
        close(at);
        at = next;
        path += n + 1;
    }
    return at;
}

static int open_in_one(int dir, const char *path) {
    struct open_how how = {.flags = HOW, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd, tries = 3;
    do
        fd = result((int)syscall(SYS_openat2, dir, path, &how, sizeof(how)));
    while (fd == UV_EINTR || (fd == UV_EAGAIN && --tries > 0)); /* a rename meanwhile */
    return fd;
}

int gee_open_beneath(int dir, const char *path) {
    static atomic_bool cannot; /* this kernel, or this sandbox; it is not asked again */
    if (dir == AT_FDCWD)
        return result(open(path, HOW));
    if (!atomic_load_explicit(&cannot, memory_order_relaxed)) {
        int fd = open_in_one(dir, path);
        if (fd != UV_ENOSYS && fd != UV_EPERM)
            return fd;
        atomic_store_explicit(&cannot, true, memory_order_relaxed);
    }
    return open_by_steps(dir, path);
}
