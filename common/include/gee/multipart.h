/*
 * Uploads: bodies of multipart/form-data (RFC 7578), part by part, as they come.
 *
 *   gee_multipart *mp;
 *   const gee_part *part;
 *   int rc = gee_multipart_open(req, NULL, &mp);
 *   while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0)
 *       rc = part->filename ? gee_part_save(mp, dirfd, path, 0) : take(mp, part);
 *   if (rc < 0)
 *       gee_fail(req, gee_body_status(rc));
 *
 * Nothing is held but one piece of the body: a part that is not read is read over
 * by the next gee_multipart_next. It all belongs to the request's task and goes with
 * the request; there is nothing to close. The server's body_bytes bounds the whole
 * body, so a server for large files has to raise it (gee/http.h).
 *
 * Every call but gee_part_header and gee_part_basename may park, under
 * gee_req_ctx(req), and returns an error of gee_body_read, or
 *   UV_EPROTO  malformed, or it ended before its last boundary
 *   UV_E2BIG   beyond one of the limits
 * Such an error is final: all further calls return it. gee_body_status knows them.
 */
#ifndef GEE_MULTIPART_H
#define GEE_MULTIPART_H

#include "gee/req.h"

typedef struct gee_multipart gee_multipart;

/* 0 anywhere stands for the default; UV_E2BIG beyond. */
typedef struct gee_multipart_options {
    size_t parts;        /* how many; 1000 */
    size_t header_bytes; /* of one part; 8 KiB, at most 64 KiB */
    uint64_t part_bytes; /* of the content of one part, also when it is read over; no limit */
} gee_multipart_options;

/* Strings are zero-terminated bytes as the client sent them, until the next gee_multipart_next. */
typedef struct gee_part {
    const char *name;         /* of the form's field */
    const char *filename;     /* NULL: not a file; "": a file field in which none was chosen */
    const char *content_type; /* NULL: none was given */
    uint64_t size;            /* of its content, so far; all of it once it was read to its end */
} gee_part;

/*
 * Begins to read the body. 0, or
 *   UV_ENOTSUP   it is not multipart/form-data
 *   UV_EPROTO    its boundary is none (RFC 2046, 5.1.1)
 *   UV_EALREADY  it was opened before, or gee_form has read it
 *   UV_EINVAL    req is a copy;  UV_ENOMEM
 */
int gee_multipart_open(gee_req *req, const gee_multipart_options *opt, gee_multipart **out);

/*
 * 1: *part is the next one; 0: there are no more, or an error; UV_ENOTSUP: the part has
 * a Content-Transfer-Encoding. What follows the last boundary is not read.
 */
int gee_multipart_next(gee_multipart *mp, const gee_part **part);

/* Up to n bytes of the part's content: > 0, 0 at its end, or an error. */
ssize_t gee_part_read(gee_multipart *mp, void *buf, size_t n);

/*
 * All that is left of it, zero-terminated, in the request's memory; for small fields.
 * limit: bytes; 0: 64 KiB. 0, or an error. UV_E2BIG for limit and UV_ENOMEM are not
 * final: the rest of the part can be read over.
 */
int gee_part_text(gee_multipart *mp, size_t limit, const char **text, size_t *n);

/*
 * Writes all that is left of it to a new file, path, relative to the directory dirfd
 * (AT_FDCWD: the working directory), on the threadpool and in pieces of 64 KiB.
 * limit: bytes; 0: none but part_bytes. The file is complete when it appears: it is
 * written as ".gee-*.part" beside and then linked, in mode 0666 without the umask, and is
 * not synced. On every error nothing is left of it; only a process that is killed
 * leaves the ".gee-*.part".
 *   UV_EEXIST  there is such a file, or any other thing of that name: never replaced
 *   UV_EINVAL  path has no last component, or that is "." or ".."
 *   UV_ENOSPC, UV_EDQUOT, UV_ENOENT, UV_EACCES, …: as the system says. These, and
 *   UV_E2BIG for limit, are not final: the rest of the part can be read over.
 * path is the program's: a name that a client chose goes through gee_part_basename.
 */
int gee_part_save(gee_multipart *mp, int dirfd, const char *path, uint64_t limit);

/* A header field of the part, any case; NULL: not there. */
const char *gee_part_header(const gee_multipart *mp, const char *name);

/*
 * The last component of its filename, of either kind of slash, as a name that is safe
 * within one directory: control bytes and a leading dot have become "_". Whether its
 * extension is one to store, and bytes beyond ASCII, are the program's to judge.
 * NULL: there is no filename, nothing of it is left, or it is longer than 255 bytes.
 * In the request's memory.
 */
const char *gee_part_basename(const gee_multipart *mp);

#endif
