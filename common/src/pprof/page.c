/*
 * A profile as a page: which form, and of which time. The worker of the request takes it; what
 * reads files and compresses is done on a thread, so that nobody's request waits for it.
 */
#include "pprof/pprof.h"
#include "runtime/worker.h"
#include "sync/pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- making it --- */

struct making {
    gee_prof *p;
    const gee_prof *minus;     /* NULL: all of p */
    const gee_prof_kind *kind; /* NULL: as profile.proto */
    gee_buf out;
    int rc;
};

static void make(void *arg) {
    struct making *m = arg;
    if (m->minus)
        gee_prof_merge(m->p, m->minus, -1);
    gee_prof_resolve(m->p);
    m->rc = m->kind ? gee_prof_text(m->p, m->kind->title ? m->kind->title : m->kind->name,
                                    m->kind->form, &m->out)
                    : gee_prof_encode(m->p, &m->out);
}

/* Into out: what p says, less `minus`; text, if a kind is given. Frees both; p NULL: there was no
 * memory for it. */
static int made(gee_prof *p, gee_prof *minus, const gee_prof_kind *text, gee_buf *out) {
    struct making m = {.p = p, .minus = minus, .kind = text, .rc = UV_ENOMEM};
    int rc = p ? gee_blocking_in(&gee_framework_lane, NULL, make, &m) : UV_ENOMEM;
    gee_prof_free(p);
    gee_prof_free(minus);
    *out = m.out;
    return rc < 0 ? rc : m.rc;
}

static gee_prof *take(const gee_prof_kind *k) {
    gee_prof *p = k->take();
    if (p)
        p->time_ns = (int64_t)gee_wall_ms() * 1000000;
    return p;
}

static int make_of(const gee_prof_kind *k, uint64_t debug, gee_buf *out) {
    if (debug == 2 && k->traces)
        return k->traces(out);
    return made(take(k), NULL, debug ? k : NULL, out);
}

/* --- the page --- */

bool gee_prof_number(gee_req *req, const char *name, uint64_t most, uint64_t *value) {
    const char *text = gee_query(req, name), *at = text;
    uint64_t n = 0;
    if (text == NULL)
        return true;
    for (; *at >= '0' && *at <= '9' && n <= most; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    if (at > text && *at == '\0' && n <= most) {
        *value = n;
        return true;
    }
    gee_string(req, 400, "%s is a number from 0 to %llu, not \"%.40s\"\n", name,
               (unsigned long long)most, text);
    return false;
}

static void answer(gee_req *req, const char *name, bool text, int rc, gee_buf *b) {
    char disposition[96];
    if (rc < 0) {
        gee_fail(req, 503);
    } else {
        snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", name);
        gee_set_header(req, "X-Content-Type-Options", "nosniff");
        if (!text)
            gee_set_header(req, "Content-Disposition", disposition);
        gee_data(req, 200, text ? "text/plain; charset=utf-8" : "application/octet-stream",
                 gee_buf_size(b) ? gee_buf_head(b) : "", gee_buf_size(b));
    }
    gee_buf_free(b);
}

void gee_prof_answer(gee_req *req, const char *name, gee_prof *p) {
    gee_buf b;
    int rc = made(p, NULL, NULL, &b);
    answer(req, name, false, rc, &b);
}

void gee_prof_answer_text(gee_req *req, const gee_prof_kind *k, gee_prof *p) {
    gee_buf b;
    int rc = made(p, NULL, k, &b);
    answer(req, k->name, true, rc, &b);
}

/* What has changed in so many seconds; if the client has gone, there is nobody to tell. */
static void delta(gee_req *req, const gee_prof_kind *k, uint64_t seconds) {
    if (k->watch && k->watch(true) < 0) {
        gee_fail(req, 503);
        return;
    }
    gee_prof *before = take(k);
    uint64_t start_ns = gee_now_ns();
    int rc = gee_prof_wait(req, seconds);
    gee_prof *after = rc == 0 ? take(k) : NULL;
    if (k->watch)
        k->watch(false);
    if (rc < 0 || before == NULL || after == NULL) {
        gee_prof_free(before);
        gee_prof_free(after);
        gee_fail(req, 503);
        return;
    }
    after->duration_ns = (int64_t)(gee_now_ns() - start_ns);
    gee_buf b;
    rc = made(after, before, NULL, &b);
    answer(req, k->name, false, rc, &b);
}

enum { MOST_SECONDS = 24 * 60 * 60 };

void gee_prof_page(gee_req *req) {
    const gee_prof_kind *k = gee_arg(req);
    uint64_t debug = 0, seconds = 0;
    gee_buf b = {0};
    if (!gee_prof_number(req, "debug", 2, &debug) ||
        !gee_prof_number(req, "seconds", MOST_SECONDS, &seconds))
        return;
    if (seconds > 0 && debug > 0) {
        gee_string(req, 400, "seconds and debug do not go together: text is of one moment\n");
    } else if (seconds > 0) {
        delta(req, k, seconds);
    } else {
        int rc = make_of(k, debug, &b);
        answer(req, k->name, debug > 0, rc, &b);
    }
}

/* --- a file --- */

struct saving {
    const char *path;
    const gee_buf *b;
    int rc;
};

static void save(void *arg) {
    struct saving *s = arg;
    size_t n = gee_buf_size(s->b);
    FILE *f = fopen(s->path, "wb");
    if (f == NULL) {
        s->rc = -errno;
        return;
    }
    bool whole = n == 0 || fwrite(gee_buf_head(s->b), 1, n, f) == n;
    s->rc = whole ? 0 : -errno;
    if (fclose(f) != 0 && s->rc == 0)
        s->rc = -errno;
}

int gee_pprof_save(const char *name, int debug, const char *path) {
    const gee_prof_kind *k = gee_prof_kind_find(name);
    gee_buf b = {0};
    struct saving s = {path, &b, 0};
    if (k == NULL)
        return UV_ENOENT;
    if (debug < 0 || debug > 2)
        return UV_EINVAL;
    int rc = make_of(k, (uint64_t)debug, &b);
    if (rc == 0)
        rc = gee_blocking_in(&gee_framework_lane, NULL, save, &s);
    gee_buf_free(&b);
    return rc < 0 ? rc : s.rc;
}
