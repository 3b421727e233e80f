/*
 * JavaScript, as far as it must be known to tell code from strings.
 *
 * The one difficulty is the slash: it divides, or begins a regular expression, in which
 * a quote is no quote. What came before it decides; where that would take a parser, the
 * text is refused. JSON is a part of JavaScript here.
 */
#include "html/context.h"
#include <string.h>

static const char cut[] = "an action inside of a token of a script";

static bool word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '\\' || (unsigned char)c >= 0x80;
}

static bool among(const char *s, size_t n, const char *const *list) {
    for (; *list; list++)
        if (strlen(*list) == n && memcmp(s, *list, n) == 0)
            return true;
    return false;
}

/* U+2028 and U+2029 end a line too. */
static size_t line_end(const char *s, size_t n) {
    if (*s == '\n' || *s == '\r')
        return 1;
    return n >= 3 && memcmp(s, "\xe2\x80", 2) == 0 && (s[2] == '\xa8' || s[2] == '\xa9') ? 3 : 0;
}

static void word(html_context *c, const char *s, size_t n, size_t *i) {
    static const char *const before_regex[] = {"return", "typeof", "instanceof", "in",    "of",
                                               "new",    "delete", "void",       "throw", "case",
                                               "do",     "else",   "yield",      "await", NULL};
    static const char *const control[] = {"if", "while", "for", "with", NULL};
    size_t start = *i;
    while (*i < n && word_char(s[*i]))
        ++*i;
    bool goes_on = start == 0 && c->slash == SLASH_UNKNOWN;
    if (*i == n || goes_on) /* a condition may make another word of it */
        c->slash = SLASH_UNKNOWN;
    else if (start > 0 && s[start - 1] == '.')
        c->slash = SLASH_DIVIDES;
    else if (among(s + start, *i - start, control))
        c->slash = SLASH_CONTROL;
    else
        c->slash = among(s + start, *i - start, before_regex) ? SLASH_REGEX : SLASH_DIVIDES;
}

static const char *slash(html_context *c, const char *s, size_t n, size_t *i) {
    if (*i + 1 == n)
        return cut;
    if (s[*i + 1] == '/' || s[*i + 1] == '*') {
        c->js = s[*i + 1] == '/' ? JS_LINE_COMMENT : JS_BLOCK_COMMENT;
        *i += 2;
        return NULL;
    }
    if (c->slash == SLASH_UNKNOWN || c->slash == SLASH_CONTROL)
        return "a / that may divide or begin a regular expression: use parentheses";
    if (c->slash == SLASH_REGEX)
        c->js = JS_REGEX;
    c->slash = SLASH_REGEX;
    ++*i;
    return NULL;
}

static void paren(html_context *c, char which) {
    if (which == '(') {
        if (c->parens < JS_PARENS && c->slash == SLASH_CONTROL)
            c->control[c->parens / 8] |= (uint8_t)(1 << c->parens % 8);
        c->parens += c->parens < UINT8_MAX;
        c->slash = SLASH_REGEX;
    } else if (c->parens == 0 || --c->parens >= JS_PARENS) {
        c->slash = SLASH_UNKNOWN;
    } else {
        uint8_t bit = (uint8_t)(1 << c->parens % 8);
        c->slash = c->control[c->parens / 8] & bit ? SLASH_REGEX : SLASH_DIVIDES;
        c->control[c->parens / 8] &= (uint8_t)~bit;
    }
}

static const char *brace(html_context *c, char which) {
    c->slash = which == '{' ? SLASH_REGEX : SLASH_UNKNOWN;
    if (c->level == 0)
        return NULL;
    uint8_t *open = &c->braces[c->level - 1];
    if (which == '{') {
        if (*open == UINT8_MAX)
            return "too many braces";
        ++*open;
    } else if (*open > 0) {
        --*open;
    } else { /* of ${ */
        c->level--;
        c->js = JS_LITERAL;
    }
    return NULL;
}

/* "-->" where a line begins is a comment up to its end. */
static bool closes_html(const char *s, size_t n, size_t i) {
    if (n - i < 3 || memcmp(s + i, "-->", 3) != 0)
        return false;
    while (i > 0 && (s[i - 1] == ' ' || s[i - 1] == '\t'))
        i--;
    return i == 0 || s[i - 1] == '\n' || s[i - 1] == '\r' || s[i - 1] == '/' ||
           (unsigned char)s[i - 1] >= 0x80;
}

static const char *code(html_context *c, const char *s, size_t n, size_t *i) {
    char at = s[*i];
    if (word_char(at)) {
        word(c, s, n, i);
        return NULL;
    }
    if (at == '/')
        return slash(c, s, n, i);
    if (closes_html(s, n, *i))
        return "--> in a script";
    if (at == '(' || at == ')') {
        paren(c, at);
    } else if (at == '{' || at == '}') {
        ++*i;
        return brace(c, at);
    } else if (at == '"' || at == '\'' || at == '`') {
        c->js = at == '"' ? JS_DOUBLE : at == '\'' ? JS_SINGLE : JS_LITERAL;
    } else if (at == ']') {
        c->slash = SLASH_DIVIDES;
    } else if (at == '.' || ((at == '+' || at == '-') && *i > 0 && s[*i - 1] == at)) {
        c->slash = SLASH_UNKNOWN;
    } else if (at != ' ' && at != '\t' && at != '\n' && at != '\r' && at != '\f' && at != '\v') {
        c->slash = SLASH_REGEX;
    }
    ++*i;
    return NULL;
}

/* In something that ends with a character: a string, a template literal, a regular expression. */
static const char *quoted(html_context *c, const char *s, size_t n, size_t *i) {
    static const char ends[] = {
        [JS_DOUBLE] = '"', [JS_SINGLE] = '\'', [JS_LITERAL] = '`', [JS_REGEX] = '/'};
    char at = s[*i];
    if (at == '\\') {
        *i += 2;
        return *i > n ? cut : NULL;
    }
    if (at == '$' && c->js == JS_LITERAL) {
        if (*i + 1 == n)
            return cut;
        if (s[*i + 1] == '{') {
            if (c->level == JS_LEVELS)
                return "too many template literals inside one another";
            c->braces[c->level++] = 0;
            c->js = JS_CODE;
            c->slash = SLASH_REGEX;
            ++*i;
        }
    } else if ((at == '\n' || at == '\r') && c->js != JS_LITERAL) {
        return "a line that ends in a string or regular expression";
    } else if (c->js == JS_REGEX && (at == '[' || at == ']')) {
        c->js_class = at == '[';
    } else if (at == ends[c->js] && !c->js_class) {
        c->js = JS_CODE;
        c->slash = SLASH_DIVIDES;
    }
    ++*i;
    return NULL;
}

static const char *comment(html_context *c, const char *s, size_t n, size_t *i) {
    if (c->js == JS_LINE_COMMENT) {
        size_t end = line_end(s + *i, n - *i);
        if (end)
            c->js = JS_CODE;
        *i += end ? end : 1;
        return NULL;
    }
    if (s[*i] == '*') {
        if (*i + 1 == n)
            return cut;
        if (s[*i + 1] == '/') {
            c->js = JS_CODE;
            ++*i;
        }
    }
    ++*i;
    return NULL;
}

const char *html_js_advance(html_context *c, const char *s, size_t n, size_t *at) {
    const char *bad = NULL;
    while (*at < n && bad == NULL) {
        size_t before = *at;
        if (c->js == JS_CODE)
            bad = code(c, s, n, at);
        else if (c->js == JS_LINE_COMMENT || c->js == JS_BLOCK_COMMENT)
            bad = comment(c, s, n, at);
        else
            bad = quoted(c, s, n, at);
        if (bad)
            *at = before;
    }
    return bad;
}
