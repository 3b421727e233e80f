/* Between the parser's halves: blocks (parse.c) and pipelines (expr.c). */
#ifndef GEE_HTML_PARSE_H
#define GEE_HTML_PARSE_H

#include "html/html.h"
#include "html/scan.h"

enum { HTML_VARS = 32 };

typedef struct html_parser {
    gee_html *h;
    const char *file;
    html_scan scan;
    html_lexer lx;            /* of the action that is parsed */
    html_template *t, *whole; /* that is parsed, and the file's own */
    int blocks;               /* open ones */
    struct {
        const char *name;
        size_t n;
        int slot;
    } vars[HTML_VARS]; /* visible ones, the latest last */
    int nvars;
} html_parser;

int html_parse_error(html_parser *p, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* To the end of the action, or of what is in parentheses. */
int html_parse_pipeline(html_parser *p, int depth, html_expr **out);
/* "$x :=" and "$i, $x :=", if they are there. */
int html_parse_declared(html_parser *p, bool two, int *key, int *var);
/* "…", with escapes; from the set's memory. */
int html_parse_string(html_parser *p, char **out, size_t *n);
int html_parse_end(html_parser *p); /* nothing more in this action */

#endif
