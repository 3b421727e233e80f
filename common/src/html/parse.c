/*
 * The parser: a file's text into a template, and those that are defined in it. What
 * it names, templates apart, is looked up here; templates may come later (check.c).
 */
#include "html/parse.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How a list of nodes ended. */
typedef enum ending { BY_END_OF_FILE, BY_END, BY_ELSE, BY_ELSE_IF } ending;

static int list(html_parser *p, html_node **out, ending *how);

int html_parse_error(html_parser *p, int line, const char *fmt, ...) {
    char text[HTML_ERROR];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return html_failed(p->h, UV_EINVAL, p->file, line, "%s", text);
}

static html_node *node(html_parser *p, html_kind kind, int line) {
    html_node *n = gee_arena_calloc(&p->h->arena, sizeof(*n));
    if (n == NULL) {
        html_failed(p->h, UV_ENOMEM, p->file, line, "no memory");
        return NULL;
    }
    n->kind = kind;
    n->line = line;
    if (kind == ND_ACTION || kind == ND_CALL)
        n->index = p->t->nindex++;
    return n;
}

/* Texts that only a comment parts are one: a tag may go on there. */
static int text(html_parser *p, const html_piece *piece, html_node *last, html_node **out) {
    size_t before = last && last->kind == ND_TEXT ? last->n : 0;
    *out = before ? last : node(p, ND_TEXT, piece->line);
    gee_arena *a = &p->h->arena;
    char *s = NULL;
    if (*out)
        s = before ? gee_arena_grow(a, (char *)last->text, before, before + piece->n)
                   : gee_arena_alloc(a, piece->n);
    if (s == NULL)
        return html_failed(p->h, UV_ENOMEM, p->file, piece->line, "no memory");
    memcpy(s + before, piece->s, piece->n);
    (*out)->text = s;
    (*out)->n = before + piece->n;
    return 0;
}

static bool keyword(html_parser *p, const char *word) {
    const html_token *t = &p->lx.now;
    if (t->kind != TK_NAME || t->n != strlen(word) || memcmp(t->s, word, t->n) != 0)
        return false;
    html_lex(&p->lx);
    return true;
}

static int pipeline(html_parser *p, html_node *n, bool declares, bool two) {
    int rc = declares ? html_parse_declared(p, two, &n->key, &n->var) : 0;
    /* What is declared is not seen by its own value. */
    int hidden = (n->key > 0) + (n->var > 0);
    p->nvars -= hidden;
    rc = rc == 0 ? html_parse_pipeline(p, 0, &n->expr) : rc;
    p->nvars += hidden;
    return rc == 0 ? html_parse_end(p) : rc;
}

static int end_of(html_parser *p, const html_node *n, ending how) {
    if (how == BY_END)
        return 0;
    if (how == BY_END_OF_FILE)
        return html_parse_error(p, n->line, "no {{end}} for what begins here");
    return html_parse_error(p, p->lx.now.line, "{{else}} out of place");
}

/* if, range, with: from their pipeline to their end. */
static int block(html_parser *p, html_node *n) {
    int vars = p->nvars, rc;
    ending how = BY_END;
    if (++p->blocks > HTML_BLOCKS)
        return html_parse_error(p, n->line, "more than %d blocks inside one another", HTML_BLOCKS);
    rc = pipeline(p, n, true, n->kind == ND_RANGE);
    rc = rc == 0 ? list(p, &n->body, &how) : rc;
    if (rc == 0 && how == BY_ELSE_IF) {
        if (n->kind != ND_IF)
            return html_parse_error(p, n->line, "{{else if}} without an {{if}}");
        n->otherwise = node(p, ND_IF, p->lx.now.line);
        rc = n->otherwise ? block(p, n->otherwise) : UV_ENOMEM;
        how = BY_END; /* one for both */
    } else if (rc == 0 && how == BY_ELSE) {
        rc = html_parse_end(p);
        rc = rc == 0 ? list(p, &n->otherwise, &how) : rc;
    }
    p->blocks--;
    p->nvars = vars;
    return rc == 0 ? end_of(p, n, how) : rc;
}

/* --- templates --- */

static html_template *template(html_parser *p, const char *name, int line, bool by_default) {
    html_template *t = html_find(p->h, name);
    if (t && t->by_default == by_default) {
        html_failed(p->h, UV_EEXIST, p->file, line, "\"%s\" is defined already, at %s:%d", name,
                    t->file, t->line);
        return NULL;
    }
    if (t && by_default) /* what a block has is not needed, but must be parsed */
        t = NULL;
    else if (t == NULL && (t = gee_arena_calloc(&p->h->arena, sizeof(*t))) != NULL) {
        t->next = p->h->templates;
        p->h->templates = t;
    }
    if (t == NULL && (t = gee_arena_calloc(&p->h->arena, sizeof(*t))) == NULL) {
        html_failed(p->h, UV_ENOMEM, p->file, line, "no memory");
        return NULL;
    }
    *t = (html_template){.next = t->next, .name = name, .file = p->file, .line = line, .nvars = 1};
    t->by_default = by_default;
    return t;
}

/* The body of one that is defined inside of another: it sees none of its variables. */
static int inner(html_parser *p, const char *name, int line, bool by_default) {
    html_template *outer = p->t;
    int vars = p->nvars, blocks = p->blocks;
    ending how = BY_END;
    html_node at = {.line = line};
    if ((p->t = template(p, name, line, by_default)) == NULL)
        return p->h->error;
    p->nvars = 0;
    p->blocks = blocks + 1;
    int rc = p->blocks > HTML_BLOCKS
                 ? html_parse_error(p, line, "more than %d blocks inside one another", HTML_BLOCKS)
                 : list(p, &p->t->body, &how);
    p->t = outer;
    p->nvars = vars;
    p->blocks = blocks;
    return rc == 0 ? end_of(p, &at, how) : rc;
}

static int name_of(html_parser *p, char **name) {
    size_t n;
    int line = p->lx.now.line, rc = html_parse_string(p, name, &n);
    if (rc == 0 && n == 0)
        return html_parse_error(p, line, "a template without a name");
    if (rc == 0)
        html_lex(&p->lx);
    return rc;
}

static int define(html_parser *p, int line) {
    char *name;
    int rc = name_of(p, &name);
    rc = rc == 0 ? html_parse_end(p) : rc;
    if (rc == 0 && (p->blocks > 0 || p->t != p->whole))
        return html_parse_error(p, line, "{{define}} inside of something");
    return rc == 0 ? inner(p, name, line, false) : rc;
}

/* {{template "x" pipeline}}, and the first half of {{block "x" pipeline}}. */
static int call(html_parser *p, html_node *n, bool defines) {
    char *name;
    int rc = name_of(p, &name);
    if (rc < 0)
        return rc;
    n->text = name;
    if (p->lx.now.kind != TK_END || defines)
        rc = pipeline(p, n, false, false);
    return rc == 0 && defines ? inner(p, name, n->line, true) : rc;
}

/* --- lists --- */

static int action(html_parser *p, int line, html_node **out) {
    html_kind kind = ND_ACTION;
    bool calls = false, defines = false;
    if (keyword(p, "if"))
        kind = ND_IF;
    else if (keyword(p, "range"))
        kind = ND_RANGE;
    else if (keyword(p, "with"))
        kind = ND_WITH;
    else if ((calls = keyword(p, "template")) || (defines = keyword(p, "block")))
        kind = ND_CALL;
    else if (keyword(p, "define"))
        return define(p, line);
    if ((*out = node(p, kind, line)) == NULL)
        return UV_ENOMEM;
    if (kind == ND_ACTION)
        return pipeline(p, *out, true, false);
    return calls || defines ? call(p, *out, defines) : block(p, *out);
}

/* Whether the action ends the list that it is in. */
static bool ends(html_parser *p, ending *how) {
    if (keyword(p, "end"))
        *how = BY_END;
    else if (keyword(p, "else"))
        *how = keyword(p, "if") ? BY_ELSE_IF : BY_ELSE;
    else
        return false;
    return true;
}

static int list(html_parser *p, html_node **out, ending *how) {
    html_node **tail = out, *last = NULL;
    int rc = 0, vars = p->nvars;
    for (html_piece piece; rc == 0;) {
        piece = html_scan_next(&p->scan);
        html_node *n = NULL;
        if (piece.kind == PC_BAD)
            return html_parse_error(p, piece.line, "%s", piece.s);
        if (piece.kind == PC_END) {
            *how = BY_END_OF_FILE;
            break;
        }
        if (piece.kind == PC_ACTION) {
            p->lx = (html_lexer){.s = piece.s, .n = piece.n, .line = piece.line};
            html_lex(&p->lx);
            if (ends(p, how)) {
                rc = *how == BY_END ? html_parse_end(p) : 0;
                break;
            }
            rc = action(p, piece.line, &n);
        } else if (piece.n > 0) {
            rc = text(p, &piece, last, &n);
        }
        if (n && n != last) {
            *tail = last = n;
            tail = &n->next;
        }
    }
    p->nvars = vars;
    return rc;
}

int html_parse(gee_html *h, const char *name, const char *file, const char *text, size_t n) {
    html_parser p = {.h = h, .file = file, .scan = {.s = text, .n = n, .line = 1}};
    ending how = BY_END;
    if ((p.t = p.whole = template(&p, name, 1, false)) == NULL)
        return h->error;
    int rc = list(&p, &p.t->body, &how);
    if (rc == 0 && how != BY_END_OF_FILE)
        return html_parse_error(&p, p.lx.now.line, "{{%s}} out of place",
                                how == BY_END ? "end" : "else");
    return rc;
}
