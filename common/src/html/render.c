/*
 * Pages for requests. A page is whole before any of it is sent: what goes wrong on the
 * way is a 500, and nothing of the page is seen.
 */
#include "html/html.h"
#include "web/web.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct answer {
    html_page page;
    json_t *data;
    char err[HTML_ERROR];
} answer;

static int make(html_page *p, const gee_html *h, const char *name, json_t *data) {
    const html_template *t = h && h->compiled && h->error == 0 ? html_find(h, name) : NULL;
    p->h = h;
    if (t && t->page && data)
        return html_page_make(p, t, data);
    if (t && t->page)
        snprintf(p->err, HTML_ERROR, "%s: no data", name);
    else if (t)
        snprintf(p->err, HTML_ERROR, "%s: is no page: %s", name, t->why);
    else
        snprintf(p->err, HTML_ERROR, "%s: there is no such template", name);
    return t ? UV_EINVAL : UV_ENOENT;
}

int gee_html_execute(const gee_html *h, const char *name, const json_t *data, char **out, size_t *n,
                     char *err, size_t err_size) {
    char text[HTML_ERROR] = "";
    html_page p = {.err = text};
    int rc = make(&p, h, name, (json_t *)data); /* it is only read */
    char *page = rc == 0 ? malloc(p.out.len + 1) : NULL;
    if (page) {
        if (p.out.len > 0)
            memcpy(page, p.out.data, p.out.len);
        page[p.out.len] = '\0';
        *out = page;
        if (n)
            *n = p.out.len;
    } else if (rc == 0) {
        rc = UV_ENOMEM;
    }
    if (err && err_size > 0)
        snprintf(err, err_size, "%s", text);
    html_page_free(&p);
    return rc;
}

static void forget(void *arg) {
    answer *a = arg;
    html_page_free(&a->page);
    json_decref(a->data);
}

int gee_html_render(gee_req *req, int status, const char *name, json_t *data) {
    answer a = {.data = data, .err = ""};
    gee_cleanup panics;
    a.page.err = a.err;
    if (req->x.head_sent) {
        json_decref(data);
        return UV_EALREADY;
    }
    gee_cleanup_push(&panics, forget, &a);
    int rc = make(&a.page, req->engine->html, name, data);
    if (rc == 0) {
        const gee_buf *out = &a.page.out;
        rc = gee_data(req, status, "text/html; charset=utf-8", out->len ? out->data : "", out->len);
    } else {
        fprintf(stderr, "gee: %s %s: %s\n", gee_method(req), gee_route(req) ? gee_route(req) : "-",
                a.err);
        gee_fail(req, 500);
    }
    gee_cleanup_pop(&panics, true);
    return rc;
}

int gee_html_pack(gee_req *req, int status, const char *name, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    json_t *data = json_vpack_ex(NULL, 0, fmt, ap);
    va_end(ap);
    return gee_html_render(req, status, name, data);
}
