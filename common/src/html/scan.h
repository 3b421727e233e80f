/* A template's text, taken apart: into pieces, and an action into tokens. */
#ifndef GEE_HTML_SCAN_H
#define GEE_HTML_SCAN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct html_scan {
    const char *s;
    size_t n, at;
    int line;
    bool trim; /* the action before says so */
} html_scan;

typedef enum html_piece_kind { PC_END, PC_TEXT, PC_ACTION, PC_BAD } html_piece_kind;

/* A text may be empty; a comment is none of these. */
typedef struct html_piece {
    html_piece_kind kind;
    const char *s; /* PC_BAD: what is wrong */
    size_t n;
    int line;
} html_piece;

html_piece html_scan_next(html_scan *scan);

typedef enum html_token_kind {
    TK_END,
    TK_NAME,
    TK_FIELD, /* .name: s is the name */
    TK_DOT,
    TK_VAR, /* $name: s is the name; $: empty */
    TK_STRING,
    TK_RAW, /* `…` */
    TK_NUMBER,
    TK_DECLARE, /* := */
    TK_OTHER,   /* one of | ( ) and , */
    TK_BAD,
} html_token_kind;

typedef struct html_token {
    html_token_kind kind;
    const char *s; /* strings: without their quotes, not unescaped */
    size_t n;
    int line;
    bool joined; /* no space before it */
} html_token;

typedef struct html_lexer {
    const char *s;
    size_t n, at;
    int line;
    html_token now;
} html_lexer;

/* The next one is in lx->now. */
void html_lex(html_lexer *lx);

#endif
