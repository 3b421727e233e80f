/*
 * Inside of the html layer: the parsed set.
 *
 * A template is a tree of nodes, made once and then constant. What escaping an action
 * needs depends on where its template is called from: so escapings are not in the nodes
 * but in variants, one for each context in which a template is called.
 */
#ifndef GEE_HTML_HTML_H
#define GEE_HTML_HTML_H

#include "base/arena.h"
#include "base/buf.h"
#include "gee/html.h"
#include "html/context.h"

enum { HTML_ARGS = 8, HTML_EXPR_DEPTH = 16, HTML_BLOCKS = 32, HTML_ERROR = 256 };

typedef struct html_func {
    struct html_func *next;
    const char *name;
    gee_html_fn fn;
    void *arg;
    bool safe;
    char decides; /* '&' and '|': and, or, whose arguments are evaluated as needed */
} html_func;

typedef enum html_expr_kind { EX_VAR, EX_DOT, EX_LITERAL, EX_FIELD, EX_CALL } html_expr_kind;

typedef struct html_expr {
    html_expr_kind kind;
    int line;
    int var;          /* EX_VAR: the slot; 0 is $ */
    json_t *literal;  /* the set's */
    const char *name; /* EX_FIELD */
    const html_func *func;
    size_t n;
    struct html_expr *arg[HTML_ARGS]; /* EX_FIELD: of the first */
} html_expr;

typedef enum html_kind { ND_TEXT, ND_ACTION, ND_IF, ND_RANGE, ND_WITH, ND_CALL } html_kind;

typedef struct html_node {
    struct html_node *next;
    html_kind kind;
    int line;
    int index;        /* in its template: of the escaping, or of the variant called */
    const char *text; /* ND_TEXT; ND_CALL: the name */
    size_t n;
    html_expr *expr;
    int var, key; /* slots that are set; 0: none */
    struct html_node *body, *otherwise;
    struct html_template *callee;
} html_node;

typedef struct html_template {
    struct html_template *next;
    const char *name, *file;
    int line;
    html_node *body;
    int nindex, nvars;
    bool by_default; /* of a block: a define takes its place */
    bool called;     /* by another one */
    struct html_variant *variants;
    const struct html_variant *page; /* the one from the beginning of a page; NULL: see why */
    const char *why;
} html_template;

typedef union html_slot {
    uint8_t escape; /* html_escape, of an action */
    const struct html_variant *callee;
} html_slot;

typedef struct html_variant {
    struct html_variant *next;
    const html_template *t;
    html_context start, end;
    bool done, assumed; /* assumed: by itself, to end where it begins */
    html_slot *slots;
} html_variant;

/* What was allocated for the set and is not in its arena. */
typedef struct html_literal {
    struct html_literal *next;
    json_t *value;
} html_literal;

struct gee_html {
    gee_arena arena;
    html_func *funcs;
    html_template *templates;
    html_literal *literals;
    size_t max_bytes, max_steps;
    bool compiled;
    int error;
    char text[HTML_ERROR];
};

/* load.c: the first error is kept and said; returns rc. */
int html_failed(gee_html *h, int rc, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
html_template *html_find(const gee_html *h, const char *name);
/* Takes over value. NULL: no memory. */
json_t *html_keep(gee_html *h, json_t *value);

/* func.c */
int html_builtins(gee_html *h);
const html_func *html_func_find(const gee_html *h, const char *name, size_t n);
bool html_true(const json_t *v);

/* parse.c: the file's own template and those that it defines. */
int html_parse(gee_html *h, const char *name, const char *file, const char *text, size_t n);

/* check.c */
int html_check(gee_html *h);

/* eval.c: a page that is being made. */
typedef struct html_value {
    json_t *json; /* borrowed from the data, the set, or `made` */
    bool safe;
} html_value;

typedef struct html_page {
    const gee_html *h;
    gee_buf out;
    json_t **made; /* by functions: freed at the end of the block */
    size_t nmade, made_cap;
    html_value *vars; /* of all templates that run */
    size_t nvars, vars_cap;
    size_t steps;
    int depth;
    char *err; /* HTML_ERROR bytes */
} html_page;

/* Where in the set the page is. */
typedef struct html_frame {
    const html_variant *v;
    size_t vars; /* where its own begin */
} html_frame;

int html_page_failed(html_page *p, const html_frame *f, int line, int rc, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
int html_eval(html_page *p, const html_frame *f, const html_expr *e, html_value dot,
              html_value *out);
void html_release(html_page *p, size_t mark);
/* v (NULL: there was no memory) is the page's from now on. */
int html_make(html_page *p, const html_frame *f, int line, json_t *v, json_t **out);
const char *html_kind_of(const json_t *v); /* "an object" */

/* exec.c */
int html_page_make(html_page *p, const html_template *t, json_t *data);
void html_page_free(void *p);

/* escape.c: 0, UV_ENOMEM, UV_E2BIG (too deep), or UV_EINVAL: not a text. */
int html_escape_value(gee_buf *out, html_escape how, html_value v);

#endif
