/*
 * The escaping of each action, before anything is rendered.
 *
 * A template is gone over once for each context in which it is called, as its caller's
 * text would be; what comes out is a variant. One that calls itself is taken to end where
 * it began until that is known. Those that no other one calls are pages, and must begin
 * and end in text; one that others call is a page if it can be one.
 */
#include "html/html.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct check {
    gee_html *h;
    int depth, rc;
    const html_template *at; /* of the error */
    int line;
    char text[HTML_ERROR];
} check;

static int walk(check *k, html_variant *v, const html_node *list, html_context *c);

static int failed(check *k, const html_template *t, int line, int rc, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
static int failed(check *k, const html_template *t, int line, int rc, const char *fmt, ...) {
    va_list ap;
    k->at = t;
    k->line = line;
    va_start(ap, fmt);
    vsnprintf(k->text, sizeof(k->text), fmt, ap);
    va_end(ap);
    return k->rc = rc;
}

/* --- what is called --- */

static int resolve(gee_html *h, const html_template *t, html_node *list) {
    int rc = 0;
    for (html_node *n = list; n && rc == 0; n = n->next) {
        rc = resolve(h, t, n->body);
        rc = rc == 0 ? resolve(h, t, n->otherwise) : rc;
        if (rc < 0 || n->kind != ND_CALL)
            continue;
        if ((n->callee = html_find(h, n->text)) == NULL)
            return html_failed(h, UV_EINVAL, t->file, n->line, "there is no template \"%s\"",
                               n->text);
        n->callee->called |= n->callee != t;
    }
    return rc;
}

/* --- variants --- */

static html_variant *new_variant(check *k, html_template *t, const html_context *start) {
    html_variant *v = gee_arena_calloc(&k->h->arena, sizeof(*v));
    html_slot *slots = gee_arena_calloc(&k->h->arena, sizeof(*slots) * (size_t)(t->nindex + 1));
    if (v == NULL || slots == NULL) {
        failed(k, t, t->line, UV_ENOMEM, "no memory");
        return NULL;
    }
    v->t = t;
    v->slots = slots;
    v->start = v->end = *start;
    v->next = t->variants;
    t->variants = v;
    return v;
}

static const html_variant *variant(check *k, html_template *t, const html_context *start) {
    html_context end = *start;
    for (html_variant *v = t->variants; v; v = v->next)
        if (memcmp(&v->start, start, sizeof(*start)) == 0)
            return v;
    html_variant *v = new_variant(k, t, start);
    if (v == NULL || walk(k, v, t->body, &end) < 0)
        return NULL;
    if (v->assumed && memcmp(&end, start, sizeof(end)) != 0) {
        failed(k, t, t->line, UV_EINVAL, "\"%s\" calls itself, and ends in %s but begins in %s",
               t->name, html_where(&end), html_where(start));
        return NULL;
    }
    v->end = end;
    v->done = true;
    return v;
}

/* --- nodes --- */

static int text(check *k, const html_template *t, const html_node *n, html_context *c) {
    size_t at;
    const char *bad = html_advance(c, n->text, n->n, &at);
    int line = n->line;
    if (bad == NULL)
        return 0;
    for (size_t i = 0; i < at && i < n->n; i++)
        line += n->text[i] == '\n';
    return failed(k, t, line, UV_EINVAL, "%s", bad);
}

static int join(check *k, const html_template *t, const html_node *n, html_context *a,
                const html_context *b) {
    html_context one = *a;
    if (html_join(a, b))
        return 0;
    const char *x = html_where(&one), *y = html_where(b);
    if (strcmp(x, y) == 0)
        return failed(k, t, n->line, UV_EINVAL, "what follows is in two kinds of %s", x);
    return failed(k, t, n->line, UV_EINVAL, "what follows may be in %s or in %s", x, y);
}

static int branches(check *k, html_variant *v, const html_node *n, html_context *c) {
    html_context other = *c;
    int rc = walk(k, v, n->body, c);
    rc = rc == 0 ? walk(k, v, n->otherwise, &other) : rc;
    return rc == 0 ? join(k, v->t, n, c, &other) : rc;
}

/* The body comes also behind itself. */
static int loop(check *k, html_variant *v, const html_node *n, html_context *c) {
    html_context otherwise = *c, before;
    int rc = walk(k, v, n->otherwise, &otherwise);
    do {
        before = *c;
        html_context end = before;
        rc = rc == 0 ? walk(k, v, n->body, &end) : rc;
        rc = rc == 0 ? join(k, v->t, n, c, &end) : rc;
    } while (rc == 0 && memcmp(&before, c, sizeof(before)) != 0); /* each step knows less */
    return rc == 0 ? join(k, v->t, n, c, &otherwise) : rc;
}

static int call(check *k, html_variant *v, const html_node *n, html_context *c) {
    const html_variant *callee = variant(k, n->callee, c);
    if (callee == NULL)
        return k->rc;
    if (!callee->done)
        ((html_variant *)callee)->assumed = true;
    v->slots[n->index].callee = callee;
    *c = callee->end;
    return 0;
}

static int action(check *k, html_variant *v, const html_node *n, html_context *c) {
    html_escape how;
    if (n->var > 0) /* writes nothing */
        return 0;
    const char *why = html_place(c, &how);
    if (why)
        return failed(k, v->t, n->line, UV_EINVAL, "an action %s", why);
    v->slots[n->index].escape = (uint8_t)how;
    return 0;
}

static int walk(check *k, html_variant *v, const html_node *list, html_context *c) {
    int rc = 0;
    if (list && k->depth == GEE_HTML_DEPTH)
        return failed(k, v->t, list->line, UV_EINVAL, "more than %d templates and blocks",
                      GEE_HTML_DEPTH);
    k->depth++;
    for (const html_node *n = list; n && rc == 0; n = n->next) {
        if (n->kind == ND_TEXT)
            rc = text(k, v->t, n, c);
        else if (n->kind == ND_ACTION)
            rc = action(k, v, n, c);
        else if (n->kind == ND_RANGE)
            rc = loop(k, v, n, c);
        else
            rc = n->kind == ND_CALL ? call(k, v, n, c) : branches(k, v, n, c);
    }
    k->depth--;
    return rc;
}

/* --- pages --- */

static int page(check *k, html_template *t) {
    static const html_context start = {.state = ST_TEXT};
    k->depth = 0;
    const html_variant *v = variant(k, t, &start);
    if (v && v->done && v->end.state == ST_TEXT) {
        t->page = v;
        return 0;
    }
    if (v && v->done)
        return failed(k, t, t->line, UV_EINVAL, "\"%s\" ends in %s", t->name, html_where(&v->end));
    if (v) /* it was tried before, by another one */
        return failed(k, t, t->line, UV_EINVAL, "\"%s\" is no page", t->name);
    return k->rc;
}

static bool has_place(const html_template *t) {
    for (const html_variant *v = t->variants; v; v = v->next)
        if (v->done)
            return true;
    return false;
}

/* One that is only a part of others: why it is no page is said when it is asked for. */
static int part(check *k, html_template *t) {
    char why[2 * HTML_ERROR];
    if (page(k, t) == 0)
        return 0;
    if (k->rc == UV_ENOMEM || !has_place(t))
        return k->rc;
    int n = snprintf(why, sizeof(why), "%s:%d: %s", k->at->file, k->line, k->text);
    t->why = n > 0 ? gee_arena_strndup(&k->h->arena, why, strlen(why)) : NULL;
    return t->why ? 0 : failed(k, t, t->line, UV_ENOMEM, "no memory");
}

int html_check(gee_html *h) {
    check k = {.h = h};
    int rc = 0;
    for (html_template *t = h->templates; t && rc == 0; t = t->next)
        rc = resolve(h, t, t->body);
    if (rc < 0)
        return rc;
    for (html_template *t = h->templates; t && rc == 0; t = t->next)
        rc = t->called ? 0 : page(&k, t);
    for (html_template *t = h->templates; t && rc == 0; t = t->next)
        rc = t->called ? part(&k, t) : 0;
    return rc == 0 ? 0 : html_failed(h, rc, k.at->file, k.line, "%s", k.text);
}
