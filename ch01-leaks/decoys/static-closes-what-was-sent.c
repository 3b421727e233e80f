/*
 * DECOY, a repair that is wrong: the probe is closed where the file has been sent. That is
 * the path which everybody tries, and one of many: a HEAD, a 304, a redirect, a client
 * that leaves in the middle still keep a descriptor each.
 */
#include "gee/static.h"
#include "middleware/file.h"
#include "middleware/own.h"
#include "sync/pool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

typedef struct site {
    int dir;
    bool dotfiles, may_hang;
    char *index, *cache_control; /* NULL: none */
} site;

/* What a path turned out to be; the file's descriptor, when it is one. */
struct found {
    const site *site;
    bool on_thread;     /* and so it may wait; else it finds UV_EAGAIN where it would */
    char *path;         /* with room for the index */
    gee_file_open file; /* its fd may be UV_EISDIR: a directory whose path has no slash */
    int there;          /* the probe */
};

static int open_and_stat(struct found *f) {
    const char *path = *f->path ? f->path : ".";
    int fd =
        f->on_thread ? gee_open_beneath(f->site->dir, path) : gee_open_cached(f->site->dir, path);
    if (fd >= 0 && fstat(fd, &f->file.st) < 0) {
        int err = uv_translate_sys_error(errno);
        close(fd);
        return err;
    }
    return fd;
}

static void find(void *arg) {
    struct found *f = arg;
    size_t n = strlen(f->path);
    bool slash = n == 0 || f->path[n - 1] == '/';
    /* Is it there at all? If not, there is nothing more to find out. */
    f->there = open_and_stat(f);
    if (f->there < 0) {
        f->file.fd = f->there;
        return;
    }
    f->file.fd = open_and_stat(f);
    if (f->file.fd >= 0 && S_ISDIR(f->file.st.st_mode) && f->site->index) {
        close(f->file.fd);
        f->file.fd = UV_EISDIR;
        if (!slash)
            return;
        strcpy(f->path + n, f->site->index);
        f->file.fd = open_and_stat(f);
        if (f->file.fd == UV_EAGAIN)
            f->path[n] = '\0'; /* a thread begins again */
    }
    if (f->file.fd >= 0 && !S_ISREG(f->file.st.st_mode)) {
        close(f->file.fd);
        f->file.fd = UV_ENOENT;
    }
}

/* --- serving --- */

/* A decoded slash would go around the middlewares of a deeper route. */
static bool has_encoded_slash(const char *target) {
    for (; *target && *target != '?'; target++)
        if (strncasecmp(target, "%2f", 3) == 0)
            return true;
    return false;
}

static bool is_servable(const site *s, const char *path) {
    if (*path == '/' || strstr(path, "//") || strchr(path, '\\'))
        return false;
    return s->dotfiles || (*path != '.' && strstr(path, "/.") == NULL);
}

/*
 * To the same path with a slash. Relative, and behind "./", so that whatever the path looks
 * like it leads neither to another host nor to another scheme.
 */
static void add_slash(gee_req *req) {
    const char *target = gee_target(req), *query = strchr(target, '?');
    size_t n = query ? (size_t)(query - target) : strlen(target);
    const char *last = target + n;
    while (last > target && last[-1] != '/')
        last--;
    size_t size = strlen(target) + 8;
    char *location = gee_alloc(req, size);
    if (location == NULL) {
        gee_fail(req, 503);
        return;
    }
    snprintf(location, size, "./%.*s/%s", (int)(target + n - last), last, query ? query : "");
    gee_redirect(req, 301, location);
}

static bool sent_all(gee_req *req) {
    return gee_status_of(req) == 200 && strcmp(gee_method(req), "HEAD") != 0;
}

static void serve(gee_req *req) {
    const site *s = gee_arg(req);
    const char *path = gee_param(req, "filepath");
    if (path == NULL) { /* the prefix itself */
        add_slash(req);
        return;
    }
    if (!is_servable(s, path) || has_encoded_slash(gee_target(req))) {
        gee_fail(req, 404);
        return;
    }
    struct found f = {.site = s, .file = {.fd = UV_EAGAIN}};
    f.path = gee_alloc(req, strlen(path) + (s->index ? strlen(s->index) : 0) + 1);
    if (f.path == NULL) {
        gee_fail(req, 503);
        return;
    }
    strcpy(f.path, path);
    if (!s->may_hang)
        find(&f);
    if (f.file.fd == UV_EAGAIN) {
        f.on_thread = true;
        gee_blocking_in(&gee_framework_lane, gee_req_ctx(req), find, &f);
    }
    f.file.name = f.path;
    f.file.cache_control = s->cache_control;
    if (f.file.fd == UV_EISDIR)
        add_slash(req);
    else if (f.file.fd < 0)
        gee_fail(req, gee_file_status(f.file.fd));
    else if (gee_send_file(req, &f.file) == 0 && sent_all(req))
        close(f.there);
}

static void site_free(void *p) {
    site *s = p;
    if (s->dir >= 0)
        close(s->dir);
    free(s->index);
    free(s->cache_control);
    free(s);
}

static int site_new(const char *dir, const gee_static_options *opt, site **out) {
    const char *index = opt && opt->index ? opt->index : "index.html";
    site *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return UV_ENOMEM;
    s->dotfiles = opt && opt->dotfiles;
    s->index = *index ? strdup(index) : NULL;
    s->cache_control = opt && opt->cache_control ? strdup(opt->cache_control) : NULL;
    s->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = s->dir < 0 ? uv_translate_sys_error(errno) : 0;
    s->may_hang = rc == 0 && gee_dir_may_hang(s->dir);
    if ((*index && s->index == NULL) || (opt && opt->cache_control && s->cache_control == NULL))
        rc = UV_ENOMEM;
    *out = s;
    if (rc < 0)
        site_free(s);
    return rc;
}

int gee_static(gee_group *g, const char *prefix, const char *dir, const gee_static_options *opt) {
    char pattern[256];
    site *s;
    if (strcmp(prefix, "/") == 0)
        prefix = "";
    int n = snprintf(pattern, sizeof(pattern), "%s/*filepath", prefix);
    int rc = n < (int)sizeof(pattern) ? site_new(dir, opt, &s) : UV_ENAMETOOLONG;
    if (rc < 0)
        return gee_own_failed(g, rc, dir);
    if ((rc = gee_engine_own(gee_engine_of(g), s, site_free)) < 0) {
        site_free(s);
        return gee_own_failed(g, rc, dir);
    }
    if (*prefix && (rc = gee_handle(g, "GET", prefix, serve, s)) < 0)
        return rc;
    return gee_handle(g, "GET", pattern, serve, s);
}
