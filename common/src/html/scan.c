/* The scanner: what is text, what an action, and of what tokens an action is made. */
#include "html/scan.h"
#include <string.h>

static bool space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t find(const char *s, size_t n, size_t from, const char *what) {
    const char *at = from < n ? memmem(s + from, n - from, what, strlen(what)) : NULL;
    return at ? (size_t)(at - s) : n;
}

static void pass(html_scan *scan, size_t to) {
    for (; scan->at < to; scan->at++)
        scan->line += scan->s[scan->at] == '\n';
}

static html_piece text(html_scan *scan, size_t end) {
    html_piece p = {PC_TEXT, NULL, 0, scan->line};
    size_t from = scan->at, to = end;
    const char *s = scan->s;
    if (scan->trim)
        while (from < to && space(s[from]))
            from++;
    bool trims = end + 3 < scan->n && s[end + 2] == '-' && space(s[end + 3]);
    if (trims)
        while (to > from && space(s[to - 1]))
            to--;
    scan->trim = false;
    pass(scan, from);
    p.line = scan->line;
    pass(scan, end);
    p.s = s + from;
    p.n = to - from;
    return p;
}

/* Where }} is, with strings passed over; n: nowhere. */
static size_t action_end(const char *s, size_t n, size_t at) {
    while (at + 1 < n && (s[at] != '}' || s[at + 1] != '}')) {
        char quote = s[at++];
        if (quote != '"' && quote != '`')
            continue;
        while (at < n && s[at] != quote)
            at += s[at] == '\\' && quote == '"' ? 2 : 1;
        at++;
    }
    return at + 1 < n ? at : n;
}

static html_piece bad(const html_scan *scan, const char *what) {
    return (html_piece){PC_BAD, what, 0, scan->line};
}

/* Behind {{ and what trims. */
static html_piece action(html_scan *scan) {
    const char *s = scan->s;
    size_t from = scan->at + 2, end;
    if (from + 1 < scan->n && s[from] == '-' && space(s[from + 1]))
        from += 2;
    bool comment = from + 1 < scan->n && s[from] == '/' && s[from + 1] == '*';
    if (comment) {
        size_t close = find(s, scan->n, from + 2, "*/");
        end = close < scan->n ? close + 2 : scan->n;
        while (end < scan->n && space(s[end]))
            end++;
        if (end < scan->n && s[end] == '-' && space(s[end - 1]))
            end++;
        if (end + 1 >= scan->n || s[end] != '}' || s[end + 1] != '}')
            return bad(scan, "a comment that does not end with */}}");
    } else {
        end = action_end(s, scan->n, from);
        if (end == scan->n)
            return bad(scan, "{{ without }}");
    }
    size_t to = end;
    if (to >= from + 2 && s[to - 1] == '-' && space(s[to - 2])) {
        scan->trim = true;
        to -= 2;
    }
    html_piece p = {comment ? PC_TEXT : PC_ACTION, s + from, comment ? 0 : to - from, scan->line};
    pass(scan, end + 2);
    return p;
}

html_piece html_scan_next(html_scan *scan) {
    size_t open = find(scan->s, scan->n, scan->at, "{{");
    if (scan->at == scan->n)
        return (html_piece){PC_END, NULL, 0, scan->line};
    return open > scan->at ? text(scan, open) : action(scan);
}

/* --- tokens --- */

static void take(html_lexer *lx, html_token_kind kind, size_t from, size_t to, size_t next) {
    lx->now.kind = kind;
    lx->now.s = lx->s + from;
    lx->now.n = to - from;
    for (; lx->at < next; lx->at++)
        lx->line += lx->s[lx->at] == '\n';
}

static size_t names(const html_lexer *lx, size_t at) {
    while (at < lx->n && name_char(lx->s[at]))
        at++;
    return at;
}

static void quoted(html_lexer *lx) {
    size_t from = lx->at + 1, end = from;
    char quote = lx->s[lx->at];
    while (end < lx->n && lx->s[end] != quote && (quote == '`' || lx->s[end] != '\n'))
        end += lx->s[end] == '\\' && quote == '"' ? 2 : 1;
    if (end >= lx->n || lx->s[end] != quote)
        take(lx, TK_BAD, lx->at, lx->n, lx->n);
    else
        take(lx, quote == '"' ? TK_STRING : TK_RAW, from, end, end + 1);
}

static void number(html_lexer *lx) {
    size_t end = lx->at + 1;
    while (end < lx->n && (name_char(lx->s[end]) || lx->s[end] == '.' ||
                           ((lx->s[end] == '-' || lx->s[end] == '+') &&
                            (lx->s[end - 1] == 'e' || lx->s[end - 1] == 'E'))))
        end++;
    take(lx, TK_NUMBER, lx->at, end, end);
}

void html_lex(html_lexer *lx) {
    size_t before = lx->at, at = before;
    while (at < lx->n && space(lx->s[at]))
        at++;
    take(lx, TK_END, at, at, at);
    lx->now.line = lx->line;
    lx->now.joined = at == before;
    if (at == lx->n)
        return;
    char c = lx->s[at];
    bool digit_next = at + 1 < lx->n && digit(lx->s[at + 1]);
    if (c == '"' || c == '`')
        quoted(lx);
    else if (digit(c) || (c == '-' && digit_next))
        number(lx);
    else if (c == '.' && names(lx, at + 1) > at + 1)
        take(lx, TK_FIELD, at + 1, names(lx, at + 1), names(lx, at + 1));
    else if (c == '.')
        take(lx, TK_DOT, at, at + 1, at + 1);
    else if (c == '$')
        take(lx, TK_VAR, at + 1, names(lx, at + 1), names(lx, at + 1));
    else if (name_char(c))
        take(lx, TK_NAME, at, names(lx, at), names(lx, at));
    else if (c == ':' && at + 1 < lx->n && lx->s[at + 1] == '=')
        take(lx, TK_DECLARE, at, at + 2, at + 2);
    else
        take(lx, strchr("|(),", c) && c ? TK_OTHER : TK_BAD, at, at + 1, at + 1);
}
