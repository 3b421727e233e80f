/*
 * What an action may do in a context, and whether two contexts are one.
 *
 * A place has an escaping only where a value, whatever is in it, can be no more than a
 * value. Two branches may end differently where what follows can be read the same way
 * behind both; what it then must not depend on becomes unknown, and is refused if it is
 * needed.
 */
#include "html/context.h"
#include <string.h>

static const char *in_url(html_context *c, html_escape *how) {
    switch ((html_url)c->url) {
    case URL_START:
        *how = ESC_URL_START;
        c->url = URL_OPEN;
        return NULL;
    case URL_OPEN:
        *how = ESC_URL_OPEN;
        return NULL;
    case URL_PATH:
        *how = ESC_URL_PATH;
        return NULL;
    case URL_QUERY:
        *how = ESC_URL_QUERY;
        return NULL;
    case URL_UNKNOWN:
        return "in an URL, behind a condition after which its path may have ended or not";
    case URL_SCHEME:
        break;
    }
    return "in an URL whose scheme is not http, https, mailto or tel, or not known";
}

static const char *in_value(html_context *c, html_escape *how) {
    *how = ESC_ATTR;
    switch ((html_attr)c->attr) {
    case AT_URL:
        return in_url(c, how);
    case AT_URLS:
        *how = ESC_URLS;
        return NULL;
    case AT_STYLE:
        *how = ESC_CSS;
        return NULL;
    case AT_REFUSED:
        return "in an event handler, srcdoc or an animation: use a data- attribute or a script";
    case AT_HTTP_EQUIV:
        return "in http-equiv";
    case AT_CONTENT:
        if (c->flags & HTML_HTTP_EQUIV)
            return "in the content of an http-equiv";
        c->flags |= HTML_CONTENT_DATA;
        return NULL;
    case AT_TYPE:
        return "in the type of a script";
    case AT_PLAIN:
        break;
    }
    return NULL;
}

static const char *in_script(html_context *c, html_escape *how) {
    if (c->flags & HTML_TYPE_UNKNOWN)
        return "in a script of a type that is not JavaScript or JSON";
    switch ((html_js)c->js) {
    case JS_CODE:
        *how = ESC_JS;
        c->slash = SLASH_DIVIDES;
        return NULL;
    case JS_DOUBLE:
    case JS_SINGLE:
        *how = ESC_JS_STRING;
        return NULL;
    case JS_LITERAL:
        return "in a template literal: put the value into a variable";
    case JS_REGEX:
        return "in a regular expression";
    case JS_LINE_COMMENT:
    case JS_BLOCK_COMMENT:
        break;
    }
    return "in a comment of a script";
}

static const char *in_raw(html_context *c, html_escape *how) {
    switch ((html_element)c->element) {
    case EL_SCRIPT:
        return in_script(c, how);
    case EL_STYLE:
        *how = ESC_CSS;
        return NULL;
    case EL_TEXTAREA:
    case EL_TITLE:
        *how = ESC_ATTR;
        return NULL;
    default:
        return "in an element whose content is taken as it is";
    }
}

const char *html_place(html_context *c, html_escape *how) {
    *how = ESC_HTML;
    switch ((html_state)c->state) {
    case ST_TEXT:
        return NULL;
    case ST_VALUE:
        return in_value(c, how);
    case ST_RAW:
        return in_raw(c, how);
    case ST_EQUALS:
    case ST_UNQUOTED:
        return "in an attribute without quotes";
    case ST_COMMENT:
        return "in an HTML comment";
    case ST_DECLARATION:
        return "in a declaration";
    case ST_TAG:
    case ST_TAG_MAYBE:
    case ST_NAMED:
        break;
    }
    return "in a tag, outside of an attribute's value";
}

static bool in_a_tag(const html_context *c) {
    return c->state == ST_TAG || c->state == ST_TAG_MAYBE;
}

bool html_join(html_context *a, const html_context *b) {
    html_context to = *b;
    if (in_a_tag(a) && in_a_tag(b) && a->state != b->state)
        a->state = to.state = ST_TAG_MAYBE;
    if (in_a_tag(a) || a->state == ST_VALUE)
        a->flags = to.flags = a->flags | b->flags;
    if (a->state == ST_VALUE && a->url != b->url)
        a->url = to.url = URL_UNKNOWN;
    if (a->state == ST_RAW && a->js == JS_CODE && a->slash != b->slash)
        a->slash = to.slash = SLASH_UNKNOWN;
    return memcmp(a, &to, sizeof(to)) == 0;
}

const char *html_where(const html_context *c) {
    static const char *const states[] = {
        [ST_TEXT] = "text",
        [ST_TAG] = "a tag",
        [ST_TAG_MAYBE] = "a tag",
        [ST_EQUALS] = "a tag, behind =",
        [ST_NAMED] = "a tag",
        [ST_VALUE] = "an attribute's value",
        [ST_UNQUOTED] = "an attribute's value without quotes",
        [ST_COMMENT] = "an HTML comment",
        [ST_DECLARATION] = "a declaration",
        [ST_RAW] = "an element such as <title>",
    };
    if (c->state == ST_RAW && c->element == EL_SCRIPT)
        return "a <script>";
    return c->state == ST_RAW && c->element == EL_STYLE ? "a <style>" : states[c->state];
}
