/* Answering with a file: what static.c, file.c and precondition.c know of it. */
#ifndef GEE_MIDDLEWARE_FILE_H
#define GEE_MIDDLEWARE_FILE_H

#include "gee/req.h"
#include "http/http.h"
#include <sys/stat.h>

/* What a client can know of a file. */
typedef struct gee_version {
    char etag[56];
    char modified[GEE_DATE_SIZE]; /* "": its year has not four digits */
    int64_t modified_s;
    uint64_t size;
} gee_version;

void gee_version_of(const struct stat *st, gee_version *out);

/* precondition.c: RFC 9110, 13. The status that the request's conditions lead to: 200, 304, 412. */
int gee_precondition(gee_req *req, const gee_version *v);

/* Of a 200, what the Range header leaves: 200, all; 206, from *first to *last; or 416. */
int gee_range(gee_req *req, const gee_version *v, uint64_t *first, uint64_t *last);

/* By the extension of the name. */
const char *gee_media_type(const char *name);

/*
 * Opens on a thread of the pool. Returns the descriptor or a negative UV_E* code.
 * dir, path: as openat(2), but not beyond dir, unless it is AT_FDCWD.
 */
int gee_open_beneath(int dir, const char *path);

/* The same on a worker, for a dir that may not hang: UV_EAGAIN, a thread has to see. */
int gee_open_cached(int dir, const char *path);
bool gee_dir_may_hang(int dir);

/* send.c: of an open file; the rest of a body that was announced. 0 or an error. */
int gee_send_bytes(gee_req *req, int fd, uint64_t at, uint64_t n);

typedef struct gee_file_open {
    int fd; /* or a negative UV_E* code */
    struct stat st;
    const char *name;          /* for the media type */
    const char *cache_control; /* NULL: none */
} gee_file_open;

/* Answers with what is open, and closes it, whatever happens. 0, or as gee_file. */
int gee_send_file(gee_req *req, const gee_file_open *f);

/* The status for an error of opening. */
int gee_file_status(int err);

#endif
