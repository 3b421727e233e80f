/*
 * Pipelines. a | f b is f with b and a: once parsed, there are only values and calls.
 */
#include "html/parse.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is(const html_token *t, char c) {
    return t->kind == TK_OTHER && t->s[0] == c;
}

static int unexpected(html_parser *p) {
    const html_token *t = &p->lx.now;
    if (t->kind == TK_END)
        return html_parse_error(p, t->line, "the action ends too early");
    if (t->kind == TK_BAD && (t->s[0] == '"' || t->s[0] == '`'))
        return html_parse_error(p, t->line, "a string without its end");
    return html_parse_error(p, t->line, "unexpected %.*s", (int)(t->n < 40 ? t->n : 40), t->s);
}

int html_parse_end(html_parser *p) {
    return p->lx.now.kind == TK_END ? 0 : unexpected(p);
}

static html_expr *expr(html_parser *p, html_expr_kind kind) {
    html_expr *e = gee_arena_calloc(&p->h->arena, sizeof(*e));
    if (e == NULL) {
        html_failed(p->h, UV_ENOMEM, p->file, p->lx.now.line, "no memory");
        return NULL;
    }
    e->kind = kind;
    e->line = p->lx.now.line;
    return e;
}

/* --- literals --- */

int html_parse_string(html_parser *p, char **out, size_t *n) {
    static const char from[] = "nrt\"\\'", to[] = "\n\r\t\"\\'";
    const html_token *t = &p->lx.now;
    if (t->kind != TK_STRING && t->kind != TK_RAW)
        return unexpected(p);
    char *s = gee_arena_strndup(&p->h->arena, t->s, t->n);
    if (s == NULL)
        return html_failed(p->h, UV_ENOMEM, p->file, t->line, "no memory");
    size_t len = 0;
    for (size_t i = 0; i < t->n; i++) {
        char c = t->s[i];
        if (c == '\\' && t->kind == TK_STRING) { /* the scanner has seen what it escapes */
            const char *escape = strchr(from, t->s[++i]);
            if (escape == NULL || *escape == '\0')
                return html_parse_error(p, t->line, "\\%c in a string", t->s[i]);
            c = to[escape - from];
        }
        s[len++] = c;
    }
    s[len] = '\0';
    *out = s;
    *n = len;
    return 0;
}

static json_t *number(const html_token *t) {
    char text[64], *end;
    if (t->n >= sizeof(text))
        return NULL;
    memcpy(text, t->s, t->n);
    text[t->n] = '\0';
    errno = 0;
    long long i = strtoll(text, &end, 10);
    if (*end == '\0' && errno == 0)
        return json_integer(i);
    return json_loads(text, JSON_DECODE_ANY, NULL); /* in no locale, and in no base but 10 */
}

static int literal(html_parser *p, json_t *value, html_expr **out) {
    const html_token *t = &p->lx.now;
    if (value == NULL)
        return html_parse_error(p, t->line, "%.*s is no value", (int)(t->n < 40 ? t->n : 40), t->s);
    html_expr *e = expr(p, EX_LITERAL);
    if (e == NULL) {
        json_decref(value);
        return UV_ENOMEM;
    }
    e->literal = html_keep(p->h, value);
    *out = e;
    html_lex(&p->lx);
    return e->literal ? 0 : UV_ENOMEM;
}

static int string(html_parser *p, html_expr **out) {
    char *s;
    size_t n;
    int rc = html_parse_string(p, &s, &n);
    return rc < 0 ? rc : literal(p, json_stringn(s, n), out);
}

/* --- variables --- */

static int variable(html_parser *p, html_expr **out) {
    const html_token *t = &p->lx.now;
    int slot = t->n == 0 ? 0 : -1;
    for (int i = p->nvars; i-- > 0 && slot < 0;)
        if (p->vars[i].n == t->n && memcmp(p->vars[i].name, t->s, t->n) == 0)
            slot = p->vars[i].slot;
    if (slot < 0)
        return html_parse_error(p, t->line, "there is no variable $%.*s", (int)t->n, t->s);
    html_expr *e = expr(p, EX_VAR);
    if (e == NULL)
        return UV_ENOMEM;
    e->var = slot;
    *out = e;
    html_lex(&p->lx);
    return 0;
}

static int declare(html_parser *p, const html_token *t, int *slot) {
    if (t->n == 0)
        return html_parse_error(p, t->line, "$ is not declared");
    if (p->nvars == HTML_VARS)
        return html_parse_error(p, t->line, "more than %d variables", HTML_VARS);
    *slot = p->t->nvars++;
    p->vars[p->nvars].name = t->s;
    p->vars[p->nvars].n = t->n;
    p->vars[p->nvars++].slot = *slot;
    return 0;
}

int html_parse_declared(html_parser *p, bool two, int *key, int *var) {
    html_lexer before = p->lx;
    html_token first = p->lx.now, second = first;
    if (first.kind != TK_VAR)
        return 0;
    html_lex(&p->lx);
    bool pair = is(&p->lx.now, ',');
    if (pair && !two)
        return unexpected(p);
    if (pair) {
        html_lex(&p->lx);
        second = p->lx.now;
        if (second.kind != TK_VAR)
            return unexpected(p);
        html_lex(&p->lx);
    }
    if (p->lx.now.kind != TK_DECLARE) {
        if (pair)
            return unexpected(p);
        p->lx = before;
        return 0;
    }
    html_lex(&p->lx);
    int rc = pair ? declare(p, &first, key) : 0;
    return rc < 0 ? rc : declare(p, &second, var);
}

/* --- values and calls --- */

static int word(html_parser *p, html_expr **out) {
    const html_token *t = &p->lx.now;
    if (t->n == 4 && memcmp(t->s, "true", 4) == 0)
        return literal(p, json_true(), out);
    if (t->n == 5 && memcmp(t->s, "false", 5) == 0)
        return literal(p, json_false(), out);
    if (t->n == 3 && memcmp(t->s, "nil", 3) == 0)
        return literal(p, json_null(), out);
    const html_func *f = html_func_find(p->h, t->s, t->n);
    if (f == NULL)
        return html_parse_error(p, t->line, "there is no function %.*s", (int)t->n, t->s);
    html_expr *e = expr(p, EX_CALL);
    if (e == NULL)
        return UV_ENOMEM;
    e->func = f;
    *out = e;
    html_lex(&p->lx);
    return 0;
}

static int primary(html_parser *p, int depth, html_expr **out) {
    const html_token *t = &p->lx.now;
    if (t->kind == TK_STRING || t->kind == TK_RAW)
        return string(p, out);
    if (t->kind == TK_NUMBER)
        return literal(p, number(t), out);
    if (t->kind == TK_VAR)
        return variable(p, out);
    if (t->kind == TK_NAME)
        return word(p, out);
    if (is(t, '(')) {
        html_lex(&p->lx);
        int rc = html_parse_pipeline(p, depth + 1, out);
        if (rc < 0)
            return rc;
        if (!is(&p->lx.now, ')'))
            return unexpected(p);
        html_lex(&p->lx);
        return 0;
    }
    if (t->kind != TK_DOT && t->kind != TK_FIELD)
        return unexpected(p);
    *out = expr(p, EX_DOT);
    if (*out && t->kind == TK_DOT)
        html_lex(&p->lx);
    else
        p->lx.now.joined = true; /* the field is of . */
    return *out ? 0 : UV_ENOMEM;
}

/* A value and the fields of it. */
static int operand(html_parser *p, int depth, html_expr **out) {
    int rc = primary(p, depth, out);
    for (int n = 0; rc == 0 && p->lx.now.kind == TK_FIELD && p->lx.now.joined; n++) {
        html_expr *e = expr(p, EX_FIELD);
        if (e == NULL)
            return UV_ENOMEM;
        if (n == HTML_EXPR_DEPTH)
            return html_parse_error(p, e->line, "more than %d fields", HTML_EXPR_DEPTH);
        e->name = gee_arena_strndup(&p->h->arena, p->lx.now.s, p->lx.now.n);
        e->arg[e->n++] = *out;
        *out = e;
        html_lex(&p->lx);
        rc = e->name ? 0 : UV_ENOMEM;
    }
    return rc;
}

static int command(html_parser *p, int depth, html_expr *last, html_expr **out) {
    int line = p->lx.now.line;
    bool named = p->lx.now.kind == TK_NAME;
    int rc = operand(p, depth, out);
    if (rc < 0)
        return rc;
    html_expr *e = *out;
    bool call = named && e->kind == EX_CALL;
    if (last && !call)
        return html_parse_error(p, line, "what follows | is no function");
    while (p->lx.now.kind != TK_END && !is(&p->lx.now, '|') && !is(&p->lx.now, ')')) {
        if (!call)
            return unexpected(p);
        if (e->n == HTML_ARGS)
            return html_parse_error(p, line, "more than %d arguments", HTML_ARGS);
        rc = operand(p, depth + 1, &e->arg[e->n++]);
        if (rc < 0)
            return rc;
    }
    if (last && e->n == HTML_ARGS)
        return html_parse_error(p, line, "more than %d arguments", HTML_ARGS);
    if (last)
        e->arg[e->n++] = last;
    return 0;
}

int html_parse_pipeline(html_parser *p, int depth, html_expr **out) {
    int rc = 0;
    *out = NULL;
    for (bool more = true; rc == 0 && more; depth++) {
        if (depth >= HTML_EXPR_DEPTH)
            return html_parse_error(p, p->lx.now.line, "more than %d calls inside one another",
                                    HTML_EXPR_DEPTH);
        html_expr *last = *out;
        rc = command(p, depth, last, out);
        more = rc == 0 && is(&p->lx.now, '|');
        if (more)
            html_lex(&p->lx);
    }
    return rc;
}
