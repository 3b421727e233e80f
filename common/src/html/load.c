/*
 * A set of templates: made, filled from files, and freed.
 *
 * All of it is in one arena, and once html_check has passed nobody writes to it: that
 * is why any worker may render from it without a lock.
 */
#include "html/html.h"
#include "web/web.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024, PAGE_MAX = 4 * 1024 * 1024, STEPS_MAX = 1000000 };

int html_failed(gee_html *h, int rc, const char *file, int line, const char *fmt, ...) {
    va_list ap;
    if (h == NULL || h->error < 0)
        return rc;
    h->error = rc;
    int at = line ? snprintf(h->text, sizeof(h->text), "%s:%d: ", file, line)
                  : snprintf(h->text, sizeof(h->text), "%s: ", file);
    if (at >= 0 && (size_t)at < sizeof(h->text)) {
        va_start(ap, fmt);
        vsnprintf(h->text + at, sizeof(h->text) - (size_t)at, fmt, ap);
        va_end(ap);
    }
    fprintf(stderr, "gee: %s\n", h->text);
    return rc;
}

html_template *html_find(const gee_html *h, const char *name) {
    html_template *t = h->templates;
    while (t && strcmp(t->name, name) != 0)
        t = t->next;
    return t;
}

json_t *html_keep(gee_html *h, json_t *value) {
    html_literal *l = gee_arena_alloc(&h->arena, sizeof(*l));
    if (l == NULL) {
        json_decref(value);
        return NULL;
    }
    *l = (html_literal){h->literals, value};
    h->literals = l;
    return value;
}

gee_html *gee_html_new(const gee_html_options *opt) {
    gee_html *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->max_steps = opt && opt->max_steps ? opt->max_steps : STEPS_MAX;
    h->max_bytes = opt && opt->max_bytes ? opt->max_bytes : PAGE_MAX;
    if (html_builtins(h) < 0) {
        gee_html_free(h);
        return NULL;
    }
    return h;
}

void gee_html_free(gee_html *h) {
    if (h == NULL)
        return;
    for (html_literal *l = h->literals; l; l = l->next)
        json_decref(l->value);
    gee_arena_free(&h->arena);
    free(h);
}

const char *gee_html_error(const gee_html *h) {
    return h ? h->text : "no memory";
}

/* What each call that fills the set begins with. */
static int may_fill(gee_html *h, const char *what) {
    if (h == NULL)
        return UV_ENOMEM;
    return h->compiled ? html_failed(h, UV_EBUSY, what, 0, "the set is compiled already") : 0;
}

static bool is_name(const char *s) {
    static const char chars[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char *const taken[] = {"if",    "else",     "end",  "range", "with", "define",
                                        "block", "template", "true", "false", "nil"};
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
        if (strcmp(s, taken[i]) == 0)
            return false;
    return *s && strchr(chars + 10, *s) && s[strspn(s, chars)] == '\0';
}

int gee_html_func(gee_html *h, const char *name, gee_html_fn fn, void *arg, int flags) {
    int rc = may_fill(h, name);
    if (rc < 0)
        return rc;
    if (!is_name(name) || fn == NULL || (flags & ~GEE_HTML_SAFE))
        return html_failed(h, UV_EINVAL, name, 0, "is no name for a function");
    if (html_func_find(h, name, strlen(name)))
        return html_failed(h, UV_EEXIST, name, 0, "there is a function of that name");
    html_func *f = gee_arena_calloc(&h->arena, sizeof(*f));
    if (f == NULL || (f->name = gee_arena_strndup(&h->arena, name, strlen(name))) == NULL)
        return html_failed(h, UV_ENOMEM, name, 0, "no memory");
    f->fn = fn;
    f->arg = arg;
    f->safe = flags & GEE_HTML_SAFE;
    f->next = h->funcs;
    h->funcs = f;
    return 0;
}

/* path and text are needed as long as the set. */
static int add(gee_html *h, const char *path, const char *text, size_t n) {
    char *kept = gee_arena_strndup(&h->arena, path, strlen(path));
    char *copy = gee_arena_strndup(&h->arena, text, n);
    if (kept == NULL || copy == NULL)
        return html_failed(h, UV_ENOMEM, path, 0, "no memory");
    const char *slash = strrchr(kept, '/');
    return html_parse(h, slash ? slash + 1 : kept, kept, copy, n);
}

int gee_html_parse(gee_html *h, const char *name, const char *text) {
    int rc = may_fill(h, name);
    if (rc == 0 && (*name == '\0' || strchr(name, '/')))
        return html_failed(h, UV_EINVAL, name, 0, "is no name for a template");
    return rc < 0 ? rc : add(h, name, text, strlen(text));
}

/* --- files --- */

static int read_file(gee_html *h, const char *path, gee_buf *to) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0) {
        if (gee_buf_reserve(to, 65536) < 0) {
            close(fd);
            return html_failed(h, UV_ENOMEM, path, 0, "no memory");
        }
        n = read(fd, to->data + to->len, 65536);
        to->len += n > 0 ? (size_t)n : 0;
        if (gee_buf_size(to) > FILE_MAX) {
            close(fd);
            return html_failed(h, UV_EFBIG, path, 0, "more than %d bytes", FILE_MAX);
        }
    }
    int rc = n < 0 ? uv_translate_sys_error(errno) : 0;
    if (fd >= 0)
        close(fd);
    return rc == 0 ? 0 : html_failed(h, rc, path, 0, "%s", uv_strerror(rc));
}

static int load(gee_html *h, const char *path) {
    gee_buf text = {0};
    int rc = read_file(h, path, &text);
    size_t n = gee_buf_size(&text);
    if (rc == 0 && n > 0 && memchr(gee_buf_head(&text), '\0', n))
        rc = html_failed(h, UV_EINVAL, path, 0, "a zero byte");
    if (rc == 0)
        rc = add(h, path, n > 0 ? gee_buf_head(&text) : "", n);
    gee_buf_free(&text);
    return rc;
}

int gee_html_glob(gee_html *h, const char *pattern) {
    glob_t found;
    int rc = may_fill(h, pattern);
    if (rc < 0)
        return rc;
    errno = 0;
    int none = glob(pattern, GLOB_ERR | GLOB_MARK, NULL, &found);
    if (none == GLOB_ABORTED) /* a directory cannot be read */
        rc = uv_translate_sys_error(errno ? errno : EIO);
    else if (none == GLOB_NOSPACE)
        rc = UV_ENOMEM;
    if (rc < 0)
        html_failed(h, rc, pattern, 0, "%s", uv_strerror(rc));
    size_t files = 0;
    for (size_t i = 0; none == 0 && i < found.gl_pathc && rc == 0; i++) {
        const char *path = found.gl_pathv[i];
        if (path[strlen(path) - 1] == '/')
            continue;
        files++;
        rc = load(h, path);
    }
    globfree(&found);
    if (rc == 0 && files == 0)
        return html_failed(h, UV_ENOENT, pattern, 0, "no file matches");
    return rc;
}

/* --- the end of filling --- */

int gee_html_compile(gee_html *h) {
    if (h == NULL)
        return UV_ENOMEM;
    if (h->error == 0 && !h->compiled) {
        h->compiled = true;
        html_check(h);
    }
    return h->error;
}

static void release(void *h) {
    gee_html_free(h);
}

int gee_engine_html(gee_engine *e, gee_html *h) {
    int rc = e->html ? UV_EEXIST : gee_html_compile(h);
    if (h && gee_engine_own(e, h, release) < 0) {
        gee_html_free(h);
        rc = UV_ENOMEM;
    } else if (rc == 0) {
        e->html = h;
    }
    return gee_engine_failed(e, rc, "templates of", "the engine");
}
