/*
 * A part, saved to a file.
 *
 * The directory is opened once and everything happens in it: under a name of its
 * own (O_EXCL, so that nothing that was put there is followed or written to) the
 * content is written; when all of it is there, it gets the name that was asked for, by
 * link(2), which never replaces anything. Whatever ends the save before, that other
 * name is removed and both descriptors are closed; this is not under the request's
 * ctx, which has ended when the client has left.
 *
 * All that may wait for a disk runs on the threadpool, one piece at a time; the task
 * is parked meanwhile, and the connection's loop reads on, as far as its buffer goes.
 */
#include "gee/multipart.h"
#include "sync/pool.h"
#include "web/web.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { PIECE = 64 * 1024 };

/* Used by one thread at a time: the task's, or the pool's while the task is parked. */
typedef struct saving {
    int at; /* what path is relative to */
    const char *path, *name;
    int dir, file; /* -1: not open */
    char temp[32]; /* "": there is none */
    gee_buf buf;
    int rc;
} saving;

/* "a/b/c" is c in "a/b". */
static int open_dir(saving *s) {
    const char *slash = strrchr(s->path, '/');
    char dir[4096] = ".";
    s->name = slash ? slash + 1 : s->path;
    if (*s->name == '\0' || strcmp(s->name, ".") == 0 || strcmp(s->name, "..") == 0)
        return UV_EINVAL;
    if (slash) {
        size_t n = slash == s->path ? 1 : (size_t)(slash - s->path);
        if (n >= sizeof(dir))
            return UV_ENAMETOOLONG;
        memcpy(dir, s->path, n);
        dir[n] = '\0';
    }
    s->dir = openat(s->at, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return s->dir < 0 ? -errno : 0;
}

static void begin(void *arg) {
    saving *s = arg;
    uint64_t random = 0;
    s->rc = open_dir(s);
    if (s->rc < 0)
        return;
    if (getrandom(&random, sizeof(random), 0) < 0) {
        s->rc = -errno;
        return;
    }
    snprintf(s->temp, sizeof(s->temp), ".gee-%016llx.part", (unsigned long long)random);
    s->file = openat(s->dir, s->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (s->file < 0) {
        s->rc = -errno;
        s->temp[0] = '\0';
    }
}

static void write_piece(void *arg) {
    saving *s = arg;
    while (s->rc == 0 && gee_buf_size(&s->buf) > 0) {
        ssize_t n = write(s->file, gee_buf_head(&s->buf), gee_buf_size(&s->buf));
        if (n > 0)
            gee_buf_consume(&s->buf, (size_t)n);
        else if (n == 0 || errno != EINTR)
            s->rc = n == 0 ? UV_EIO : -errno;
    }
}

static void publish(void *arg) {
    saving *s = arg;
    int file = s->file;
    s->file = -1;
    if (close(file) < 0 && errno != EINTR) /* a file system may say only now that it is full */
        s->rc = -errno;
    else if (linkat(s->dir, s->temp, s->dir, s->name, 0) < 0)
        s->rc = -errno;
}

static void finish(void *arg) {
    saving *s = arg;
    if (s->file >= 0)
        close(s->file);
    if (s->temp[0])
        unlinkat(s->dir, s->temp, 0);
    if (s->dir >= 0)
        close(s->dir);
}

static int on_pool(gee_ctx *ctx, saving *s, void (*fn)(void *)) {
    int rc = gee_blocking_in(&gee_framework_lane, ctx, fn, s);
    return rc < 0 ? rc : s->rc;
}

static int copy_content(gee_multipart *mp, gee_ctx *ctx, saving *s, uint64_t limit) {
    int rc = gee_buf_reserve(&s->buf, PIECE);
    while (rc == 0) {
        size_t room = PIECE - s->buf.len;
        ssize_t n = room ? gee_part_read(mp, s->buf.data + s->buf.len, room) : 0;
        if (n < 0)
            return (int)n;
        if ((uint64_t)n > limit)
            return UV_E2BIG;
        limit -= (uint64_t)n;
        s->buf.len += (size_t)n;
        if (n > 0)
            continue;
        bool last = room > 0;
        if (gee_buf_size(&s->buf) > 0)
            rc = on_pool(ctx, s, write_piece);
        if (last)
            break;
    }
    return rc;
}

int gee_part_save(gee_multipart *mp, int dirfd, const char *path, uint64_t limit) {
    gee_ctx *ctx = gee_req_ctx(gee_multipart_req(mp));
    saving s = {.at = dirfd, .path = path, .dir = -1, .file = -1};
    int rc = on_pool(ctx, &s, begin);
    if (rc == 0)
        rc = copy_content(mp, ctx, &s, limit ? limit : UINT64_MAX);
    if (rc == 0)
        rc = on_pool(ctx, &s, publish);
    if (gee_blocking_in(&gee_framework_lane, NULL, finish, &s) < 0)
        finish(&s); /* no pool: better here than not at all */
    gee_buf_free(&s.buf);
    return rc;
}
