/*
 * Opening what a request names, and nothing beyond its directory. The kernel resolves the path
 * beneath a descriptor, in one call, so that a link or a rename in the middle of it
 * leads nowhere else. Whoever compares paths as text is one link, or one race, behind.
 *
 * A path that the kernel has looked up before is opened by the worker itself: it is in memory,
 * and two hops between threads cost more than all the rest of a small file. What may wait, for a
 * disk or for another machine, is a thread's.
 */
#include "middleware/file.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
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

static int open_in_one(int dir, const char *path, uint64_t flags, uint64_t resolve) {
    struct open_how how = {.flags = flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    how.resolve |= resolve;
    return result((int)syscall(SYS_openat2, dir, path, &how, sizeof(how)));
}

/*
 * The call is not there, or a sandbox refuses it. EPERM may also be of one file alone: so answers
 * who watches what is opened (fanotify(7)), and is never asked where nothing is opened.
 */
static bool is_no_call(int err, int dir, uint64_t resolve) {
    if (err != UV_EPERM)
        return err == UV_ENOSYS;
    int fd = open_in_one(dir, ".", O_PATH | O_CLOEXEC, resolve);
    if (fd >= 0)
        close(fd);
    return fd == UV_EPERM;
}

int gee_open_beneath(int dir, const char *path) {
    static atomic_bool cannot; /* this kernel, or this sandbox; it is not asked again */
    int fd, tries = 3;
    if (dir == AT_FDCWD)
        return result(open(path, HOW));
    if (atomic_load_explicit(&cannot, memory_order_relaxed))
        return open_by_steps(dir, path);
    do
        fd = open_in_one(dir, path, HOW, 0);
    while (fd == UV_EINTR || (fd == UV_EAGAIN && --tries > 0)); /* a rename meanwhile */
    if (!is_no_call(fd, dir, 0))
        return fd;
    atomic_store_explicit(&cannot, true, memory_order_relaxed);
    return open_by_steps(dir, path);
}

/* --- at once --- */

#ifndef RESOLVE_CACHED /* Linux 5.12 */
#define RESOLVE_CACHED 0x20
#endif

/* Where an open, or a look at what was opened, asks somebody else. */
bool gee_dir_may_hang(int dir) {
    struct statfs fs;
    if (fstatfs(dir, &fs) < 0)
        return true;
    switch ((uint32_t)fs.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case 0xff534d42: /* CIFS */
    case 0xfe534d42: /* SMB 2 */
    case V9FS_MAGIC:
    case 0x65735546: /* FUSE */
    case 0x00c36400: /* Ceph */
    case AFS_SUPER_MAGIC:
    case 0x6b414653: /* the kernel's own AFS */
    case CODA_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

/* RESOLVE_NO_XDEV: what is mounted beneath dir may be of another kind. */
int gee_open_cached(int dir, const char *path) {
    static atomic_bool cannot;
    if (atomic_load_explicit(&cannot, memory_order_relaxed))
        return UV_EAGAIN;
    const uint64_t at_once = RESOLVE_CACHED | RESOLVE_NO_XDEV;
    int fd = open_in_one(dir, path, HOW, at_once);
    if (fd == UV_EINVAL || is_no_call(fd, dir, at_once))
        atomic_store_explicit(&cannot, true, memory_order_relaxed);
    else if (fd != UV_EXDEV && fd != UV_EINTR)
        return fd;
    return UV_EAGAIN;
}
