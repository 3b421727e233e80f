/*
 * Files: a directory of them under a prefix, or one that a handler names.
 *
 * Each is sent with its length, a media type by its name's extension, an ETag and
 * Last-Modified, and is answered as RFC 9110 has it:
 *   304  If-None-Match, If-Modified-Since: the client has it
 *   412  If-Match, If-Unmodified-Since: it is not the one that the client means
 *   206  Range, with If-Range: one range of bytes. Several in one request are not served
 *        as parts: the whole file is the answer, as the standard allows.
 *   416  a range behind its end
 * The ETag is strong, made of size and modification time in ns: a file that is changed in
 * place while somebody reads it has a new one; put new content beside it and rename it.
 * A file that became shorter while it was sent breaks the connection.
 *
 * What the kernel has in memory, the worker opens and sends itself, a large file by sendfile(2),
 * without a copy. What may wait, for a disk or for another machine's file system, is opened
 * and read on libuv's threadpool. A client that takes nothing costs one descriptor and a buffer of
 * 64 KiB at most; the request's deadline, write_ms and its own end end that.
 */
#ifndef GEE_STATIC_H
#define GEE_STATIC_H

#include "gee/req.h"

typedef struct gee_static_options {
    const char *index;         /* of a directory; NULL: "index.html"; "": none */
    const char *cache_control; /* the header's value; NULL: no such header */
    bool dotfiles;             /* also those whose name, or a directory's, begins with a dot */
} gee_static_options;

/*
 * GET and HEAD of prefix/… are the files below dir, which is opened now and stays the same
 * when it is renamed, or the working directory changes. opt may be NULL; all is copied.
 *
 * No request leads out of dir: paths are resolved by openat2(2) beneath it, so that neither
 * dots nor symbolic links do; links within it are followed. On a kernel without that call
 * (before Linux 5.6, or a sandbox) no link is followed at all; before 5.12 a thread opens
 * every file. A path with an encoded slash, an empty segment or a dotfile is 404, and so is what is
 * no regular file. There are no listings: a directory is its index, or 404. A directory's path
 * without its slash is redirected to the one with it, since links in its page would lead elsewhere.
 *
 * 0, an error of gee_handle, or that of opening dir (UV_ENOENT, UV_ENOTDIR, …).
 */
int gee_static(gee_group *g, const char *prefix, const char *dir, const gee_static_options *opt);

/*
 * Answers with this one file; path is the program's, and may lead anywhere: a thread of the pool
 * opens it. Headers that were set stay, Content-Type also. 0, or an error after which the answer
 * was 404, 403, 500 or 503, or was cut. UV_EALREADY: an answer is on its way.
 */
int gee_file(gee_req *req, const char *path);

#endif
