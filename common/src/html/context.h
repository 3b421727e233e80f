/*
 * Where in an HTML page the end of a piece of text is: what decides how a value there is
 * escaped.
 *
 * Only bytes, so that two contexts are the same when memcmp says so.
 */
#ifndef GEE_HTML_CONTEXT_H
#define GEE_HTML_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum html_state {
    ST_TEXT,
    ST_TAG,       /* between attributes */
    ST_TAG_MAYBE, /* behind a name, and something conditional: no name goes on here */
    ST_EQUALS,    /* behind an attribute's =, before its value */
    ST_NAMED,     /* behind an attribute's name */
    ST_VALUE,     /* in quotes */
    ST_UNQUOTED,
    ST_COMMENT,
    ST_DECLARATION, /* <!doctype …>, and what a browser takes for a comment */
    ST_RAW,         /* what is in an element without markup of its own, such as script */
} html_state;

/* Those without markup come first, in the order of html_raw_names. */
typedef enum html_element {
    EL_NONE,
    EL_SCRIPT,
    EL_STYLE,
    EL_TEXTAREA,
    EL_TITLE,
    EL_XMP,
    EL_IFRAME,
    EL_NOEMBED,
    EL_NOFRAMES,
    EL_PLAINTEXT,
    EL_META,
    EL_ANIMATE, /* SVG: its attributes are values of others */
} html_element;

typedef enum html_attr {
    AT_PLAIN,
    AT_URL,
    AT_URLS,
    AT_STYLE,
    AT_REFUSED,    /* on…, srcdoc */
    AT_TYPE,       /* of a script */
    AT_CONTENT,    /* of a meta */
    AT_HTTP_EQUIV, /* of a meta */
} html_attr;

typedef enum html_url {
    URL_START,
    URL_OPEN,  /* a scheme may still come */
    URL_PATH,  /* none can */
    URL_QUERY, /* behind ? or # */
    URL_UNKNOWN,
    URL_SCHEME, /* it has one in which no value is safe */
} html_url;

typedef enum html_js {
    JS_CODE,
    JS_DOUBLE,
    JS_SINGLE,
    JS_LITERAL,
    JS_REGEX,
    JS_LINE_COMMENT,
    JS_BLOCK_COMMENT,
} html_js;

/* What a / in JavaScript begins. */
typedef enum html_slash {
    SLASH_REGEX,
    SLASH_DIVIDES,
    SLASH_UNKNOWN,
    SLASH_CONTROL, /* behind if, for, while, with */
} html_slash;

enum {
    HTML_HTTP_EQUIV = 1,
    HTML_CONTENT_DATA = 2,
    HTML_TYPE_UNKNOWN = 4,
    JS_LEVELS = 4,
    JS_PARENS = 32
};

typedef struct html_context {
    uint8_t state, element, attr, quote;
    uint8_t closing; /* the tag is an end tag */
    uint8_t url;
    uint8_t js, slash, js_class; /* js_class: in [] of a regular expression */
    uint8_t level;               /* of ${} in JavaScript */
    uint8_t braces[JS_LEVELS];
    uint8_t parens, control[JS_PARENS / 8]; /* open ones; a bit for each: of an if, … */
    uint8_t flags;                          /* of the tag, and of the script */
} html_context;

typedef enum html_escape {
    ESC_HTML, /* text */
    ESC_ATTR, /* the same, and no safe value is taken as it is */
    ESC_URL_START,
    ESC_URL_OPEN,
    ESC_URL_PATH,
    ESC_URL_QUERY,
    ESC_URLS,
    ESC_JS,
    ESC_JS_STRING,
    ESC_CSS,
} html_escape;

/* attr.c */
html_element html_element_of(const char *name, size_t n);
html_attr html_attr_of(html_element element, const char *name, size_t n);
bool html_type_is_script(const char *type, size_t n);
bool html_scheme_is_safe(const char *scheme, size_t n);
/* Whether s begins with "</" and the name of element, in any case; its length, or 0. */
size_t html_end_tag(html_element element, const char *s, size_t n);

/*
 * context.c: goes over the whole of a text between two actions. NULL, or what is wrong, with
 * *at where.
 */
const char *html_advance(html_context *c, const char *s, size_t n, size_t *at);
/* script.c: up to n, of one script. The same. */
const char *html_js_advance(html_context *c, const char *s, size_t n, size_t *at);

/* place.c */
/* An action follows: its escaping, and the context behind it. NULL, or why it cannot be there. */
const char *html_place(html_context *c, html_escape *how);
/* Two branches end here: *a is where the page is then. False: that is not known. */
bool html_join(html_context *a, const html_context *b);
/* What is behind this context, in words. */
const char *html_where(const html_context *c);

#endif
