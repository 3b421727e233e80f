/*
 * Answering with a file. The descriptor is closed by a cleanup, so that it goes with the task
 * however that ends, by a panic too.
 */
#include "middleware/file.h"
#include "gee/panic.h"
#include "gee/static.h"
#include "sync/pool.h"
#include "web/web.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int gee_file_status(int err) {
    switch (err) {
    case UV_ENOENT:
    case UV_ENOTDIR:
    case UV_EISDIR:
    case UV_ELOOP:
    case UV_EXDEV:
    case UV_ENXIO: /* a socket */
    case UV_ENODEV:
    case UV_ENAMETOOLONG:
        return 404;
    case UV_EACCES:
    case UV_EPERM:
        return 403;
    case UV_EMFILE:
    case UV_ENFILE:
    case UV_ENOMEM:
    case UV_EAGAIN:
    case UV_ECANCELED:
    case UV_ETIMEDOUT:
        return 503;
    default:
        return 500;
    }
}

static int send_part(gee_req *req, int fd, int status, uint64_t first, uint64_t n) {
    gee_status(req, status);
    int rc = gee_content_length(req, n);
    bool has_body = n > 0 && strcmp(gee_method(req), "HEAD") != 0;
    if (rc < 0)
        return rc;
    return has_body ? gee_send_bytes(req, fd, first, n) : gee_write(req, "", 0);
}

/* Right, and there for as long as the request: it is neither looked at nor copied. */
static int own_header(gee_req *req, const char *name, const char *value) {
    return gee_exchange_set_own(&req->x, &(gee_field){.name = name,
                                                      .value = value,
                                                      .name_len = (uint32_t)strlen(name),
                                                      .value_len = (uint32_t)strlen(value)});
}

static int default_header(gee_req *req, const char *name, const char *value) {
    return gee_response_header(req, name) ? 0 : own_header(req, name, value);
}

/* Of which a part, or all, is sent. */
static int send_headers(gee_req *req, const gee_file_open *f) {
    int rc = default_header(req, "Content-Type", gee_media_type(f->name));
    if (rc == 0)
        rc = default_header(req, "X-Content-Type-Options", "nosniff");
    if (rc == 0 && f->cache_control)
        rc = gee_set_header(req, "Cache-Control", f->cache_control);
    return rc;
}

static int say_range(gee_req *req, int status, uint64_t first, uint64_t last, uint64_t size) {
    char range[80];
    if (status == 416)
        snprintf(range, sizeof(range), "bytes */%" PRIu64, size);
    else
        snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last, size);
    return gee_set_header(req, "Content-Range", range);
}

static int send_range(gee_req *req, const gee_file_open *f, const gee_version *v) {
    uint64_t first = 0, last = 0;
    int status = gee_range(req, v, &first, &last);
    int rc = own_header(req, "Accept-Ranges", "bytes");
    if (rc == 0 && status != 200)
        rc = say_range(req, status, first, last, v->size);
    if (rc == 0 && status == 416)
        return gee_fail(req, 416);
    if (rc == 0)
        rc = send_headers(req, f);
    if (rc < 0)
        return rc;
    return status == 200 ? send_part(req, f->fd, 200, 0, v->size)
                         : send_part(req, f->fd, 206, first, last - first + 1);
}

static int send_version(gee_req *req, const gee_file_open *f, const gee_version *v) {
    int status = gee_precondition(req, v);
    if (status == 412)
        return gee_fail(req, 412);
    int rc = own_header(req, "ETag", v->etag);
    if (rc == 0 && *v->modified)
        rc = own_header(req, "Last-Modified", v->modified);
    if (rc == 0 && status == 304 && f->cache_control)
        rc = gee_set_header(req, "Cache-Control", f->cache_control);
    if (rc < 0)
        return rc;
    return status == 304 ? gee_abort_status(req, 304) : send_range(req, f, v);
}

static void close_fd(void *arg) {
    close(*(int *)arg);
}

/* The version is in the request's memory, as its headers point to it. */
static int send_open(gee_req *req, const gee_file_open *f) {
    gee_version *v = gee_alloc(req, sizeof(*v));
    if (v == NULL)
        return UV_ENOMEM;
    gee_version_of(&f->st, v);
    return send_version(req, f, v);
}

int gee_send_file(gee_req *req, const gee_file_open *f) {
    gee_cleanup closing;
    int fd = f->fd;
    size_t fields = req->x.out_fields.n;
    gee_cleanup_push(&closing, close_fd, &fd);
    int rc = send_open(req, f);
    gee_cleanup_pop(&closing, true);
    if (rc == 0 || rc == UV_EALREADY)
        return rc;
    if (gee_exchange_retract(&req->x, fields)) /* nobody has seen that it was to be a 200 */
        gee_fail(req, gee_file_status(rc));
    else
        gee_hang_up(req);
    return rc;
}

/* --- one file --- */

static void open_file(void *arg) {
    gee_file_open *f = arg;
    f->fd = gee_open_beneath(AT_FDCWD, f->name);
    if (f->fd >= 0 && fstat(f->fd, &f->st) == 0 && S_ISREG(f->st.st_mode))
        return;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = f->fd < 0 ? f->fd : UV_ENOENT;
}

int gee_file(gee_req *req, const char *path) {
    gee_file_open f = {.name = path, .fd = UV_ECANCELED};
    gee_blocking_in(&gee_framework_lane, gee_req_ctx(req), open_file, &f);
    if (f.fd >= 0)
        return gee_send_file(req, &f);
    int answered = gee_fail(req, gee_file_status(f.fd));
    return answered == UV_EALREADY ? UV_EALREADY : f.fd;
}
