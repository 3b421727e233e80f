/*
 * A page, made by walking the trees of its templates.
 *
 * The walk writes to the page alone, never to the set or to the data. It has three
 * bounds: how deep it goes, because it recurses on a task's stack; how many nodes it
 * passes, because nothing else runs on its worker meanwhile; and the page's size.
 */
#include "html/html.h"
#include <stdlib.h>

static int run(html_page *p, const html_frame *f, const html_node *list, html_value dot);

static html_value value(json_t *v) {
    return (html_value){v, false};
}

static int spend(html_page *p, const html_frame *f, int line) {
    if (++p->steps > p->h->max_steps)
        return html_page_failed(p, f, line, UV_E2BIG, "more than %zu steps", p->h->max_steps);
    return 0;
}

static void set(html_page *p, const html_frame *f, int slot, html_value v) {
    if (slot > 0)
        p->vars[f->vars + (size_t)slot] = v;
}

static int wrote(html_page *p, const html_frame *f, const html_node *n, int rc) {
    if (rc == 0 && p->out.len > p->h->max_bytes)
        return html_page_failed(p, f, n->line, UV_E2BIG, "the page has more than %zu bytes",
                                p->h->max_bytes);
    if (rc == UV_E2BIG)
        return html_page_failed(p, f, n->line, rc, "more than %d values inside one another",
                                GEE_HTML_DEPTH);
    return rc < 0 ? html_page_failed(p, f, n->line, rc, "no memory") : 0;
}

static int action(html_page *p, const html_frame *f, const html_node *n, html_value v) {
    if (n->var > 0) {
        set(p, f, n->var, v);
        return 0;
    }
    html_escape how = (html_escape)f->v->slots[n->index].escape;
    int rc = html_escape_value(&p->out, how, v);
    if (rc == UV_EINVAL)
        return html_page_failed(p, f, n->line, rc, "%s is no text", html_kind_of(v.json));
    return wrote(p, f, n, rc);
}

/* --- range --- */

static int turn(html_page *p, const html_frame *f, const html_node *n, json_t *key, json_t *v) {
    size_t mark = p->nmade;
    int rc = spend(p, f, n->line);
    if (n->key > 0) {
        json_t *held;
        int made = html_make(p, f, n->line, key, &held);
        rc = rc == 0 ? made : rc;
        if (rc == 0)
            set(p, f, n->key, value(held));
    }
    set(p, f, n->var, value(v));
    rc = rc == 0 ? run(p, f, n->body, value(v)) : rc;
    html_release(p, mark);
    return rc;
}

static int over_array(html_page *p, const html_frame *f, const html_node *n, json_t *v) {
    int rc = 0;
    for (size_t i = 0; i < json_array_size(v) && rc == 0; i++)
        rc = turn(p, f, n, n->key > 0 ? json_integer((json_int_t)i) : NULL, json_array_get(v, i));
    return rc;
}

static int over_object(html_page *p, const html_frame *f, const html_node *n, json_t *v) {
    int rc = 0;
    for (void *it = json_object_iter(v); it && rc == 0; it = json_object_iter_next(v, it))
        rc = turn(p, f, n, n->key > 0 ? json_string(json_object_iter_key(it)) : NULL,
                  json_object_iter_value(it));
    return rc;
}

static int range(html_page *p, const html_frame *f, const html_node *n, html_value v,
                 html_value dot) {
    if (!json_is_array(v.json) && !json_is_object(v.json) && !json_is_null(v.json))
        return html_page_failed(p, f, n->line, UV_EINVAL, "range over %s", html_kind_of(v.json));
    if (!html_true(v.json))
        return run(p, f, n->otherwise, dot);
    return json_is_array(v.json) ? over_array(p, f, n, v.json) : over_object(p, f, n, v.json);
}

/* --- templates --- */

static int enter(html_page *p, const html_frame *from, int line, const html_variant *v,
                 html_value data) {
    html_frame f = {v, p->nvars};
    const html_template *t = v->t;
    if (!v->done) /* one of those that are no page */
        return html_page_failed(p, from, line, UV_EINVAL, "\"%s\" has no place here", t->name);
    size_t need = p->nvars + (size_t)t->nvars;
    if (need > p->vars_cap) {
        html_value *more = realloc(p->vars, 2 * need * sizeof(*more));
        if (more == NULL)
            return html_page_failed(p, from, line, UV_ENOMEM, "no memory");
        p->vars = more;
        p->vars_cap = 2 * need;
    }
    for (size_t i = p->nvars; i < need; i++)
        p->vars[i] = value(json_null());
    p->nvars = need;
    p->vars[f.vars] = data;
    int rc = run(p, &f, t->body, data);
    p->nvars = f.vars;
    return rc;
}

/* --- nodes --- */

static int step(html_page *p, const html_frame *f, const html_node *n, html_value dot) {
    html_value v = value(json_null());
    if (n->kind == ND_TEXT)
        return wrote(p, f, n, gee_buf_append(&p->out, n->text, n->n));
    int rc = n->expr ? html_eval(p, f, n->expr, dot, &v) : 0;
    if (rc < 0)
        return rc;
    if (n->kind == ND_ACTION)
        return action(p, f, n, v);
    if (n->kind == ND_CALL)
        return enter(p, f, n->line, f->v->slots[n->index].callee, v);
    if (n->kind == ND_RANGE)
        return range(p, f, n, v, dot);
    set(p, f, n->var, v);
    if (!html_true(v.json))
        return run(p, f, n->otherwise, dot);
    return run(p, f, n->body, n->kind == ND_WITH ? v : dot);
}

static int run(html_page *p, const html_frame *f, const html_node *list, html_value dot) {
    size_t block = p->nmade;
    int rc = 0;
    if (list && p->depth == GEE_HTML_DEPTH)
        return html_page_failed(p, f, list->line, UV_E2BIG, "more than %d templates and blocks",
                                GEE_HTML_DEPTH);
    p->depth++;
    for (const html_node *n = list; n && rc == 0; n = n->next) {
        size_t mark = p->nmade;
        rc = spend(p, f, n->line);
        rc = rc == 0 ? step(p, f, n, dot) : rc;
        if (n->kind != ND_ACTION || n->var == 0) /* a variable stays */
            html_release(p, mark);
    }
    p->depth--;
    html_release(p, block);
    return rc;
}

int html_page_make(html_page *p, const html_template *t, json_t *data) {
    html_frame top = {t->page, 0};
    return enter(p, &top, t->line, t->page, value(data));
}

void html_page_free(void *arg) {
    html_page *p = arg;
    html_release(p, 0);
    free(p->made);
    free(p->vars);
    gee_buf_free(&p->out);
}
