/*
 * Pipelines, evaluated. Values are borrowed: from the data, from the set, and from what
 * functions have made, which the page holds until the node that asked for it is through.
 */
#include "html/html.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int html_page_failed(html_page *p, const html_frame *f, int line, int rc, const char *fmt, ...) {
    va_list ap;
    if (p->err[0])
        return rc;
    int n = snprintf(p->err, HTML_ERROR, "%s:%d: ", f->v->t->file, line);
    if (n >= 0 && n < HTML_ERROR) {
        va_start(ap, fmt);
        vsnprintf(p->err + n, HTML_ERROR - (size_t)n, fmt, ap);
        va_end(ap);
    }
    return rc;
}

void html_release(html_page *p, size_t mark) {
    while (p->nmade > mark)
        json_decref(p->made[--p->nmade]);
}

/* Takes over v, also when there is no memory. */
static int hold(html_page *p, json_t *v) {
    if (p->nmade == p->made_cap) {
        size_t cap = p->made_cap ? 2 * p->made_cap : 16;
        json_t **more = realloc(p->made, cap * sizeof(json_t *));
        if (more == NULL) {
            json_decref(v);
            return UV_ENOMEM;
        }
        p->made = more;
        p->made_cap = cap;
    }
    p->made[p->nmade++] = v;
    return 0;
}

int html_make(html_page *p, const html_frame *f, int line, json_t *v, json_t **out) {
    *out = v;
    int rc = v ? hold(p, v) : UV_ENOMEM;
    return rc < 0 ? html_page_failed(p, f, line, rc, "no memory") : 0;
}

const char *html_kind_of(const json_t *v) {
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    return kinds[json_typeof(v)];
}

static int field(html_page *p, const html_frame *f, const html_expr *e, html_value dot,
                 html_value *out) {
    html_value of;
    int rc = html_eval(p, f, e->arg[0], dot, &of);
    if (rc < 0)
        return rc;
    if (!json_is_object(of.json) && !json_is_null(of.json))
        return html_page_failed(p, f, e->line, UV_EINVAL, ".%s of %s", e->name,
                                html_kind_of(of.json));
    json_t *v = json_object_get(of.json, e->name);
    *out = (html_value){v ? v : json_null(), false};
    return 0;
}

/* and, or: the first that decides, or the last. */
static int decide(html_page *p, const html_frame *f, const html_expr *e, html_value dot,
                  html_value *out) {
    if (e->n == 0)
        return html_page_failed(p, f, e->line, UV_EINVAL, "%s: has an argument", e->func->name);
    for (size_t i = 0; i < e->n; i++) {
        int rc = html_eval(p, f, e->arg[i], dot, out);
        if (rc < 0)
            return rc;
        if (html_true(out->json) == (e->func->decides == '|'))
            break;
    }
    out->safe = false;
    return 0;
}

static int call(html_page *p, const html_frame *f, const html_expr *e, html_value dot,
                html_value *out) {
    json_t *args[HTML_ARGS];
    for (size_t i = 0; i < e->n; i++) {
        html_value v;
        int rc = html_eval(p, f, e->arg[i], dot, &v);
        if (rc < 0)
            return rc;
        args[i] = v.json;
    }
    gee_html_call c = {.args = args, .n = e->n, .arg = e->func->arg};
    json_t *v = e->func->fn(&c);
    if (v == NULL)
        return html_page_failed(p, f, e->line, UV_EINVAL, "%s: %s", e->func->name,
                                c.error ? c.error : "failed");
    *out = (html_value){v, e->func->safe};
    return html_make(p, f, e->line, v, &out->json);
}

int html_eval(html_page *p, const html_frame *f, const html_expr *e, html_value dot,
              html_value *out) {
    switch (e->kind) {
    case EX_DOT:
        *out = dot;
        return 0;
    case EX_VAR:
        *out = p->vars[f->vars + (size_t)e->var];
        return 0;
    case EX_LITERAL:
        *out = (html_value){e->literal, false};
        return 0;
    case EX_FIELD:
        return field(p, f, e, dot, out);
    case EX_CALL:
        break;
    }
    return e->func->decides ? decide(p, f, e, dot, out) : call(p, f, e, dot, out);
}
