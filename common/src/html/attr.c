/*
 * What elements and attributes mean for escaping.
 *
 * An attribute that is not known is plain text, unless its name says that it is an URL
 * or code: so a new one of HTML's is more often refused than let through.
 */
#include "html/context.h"
#include <string.h>
#include <strings.h>

static const char *const raw_names[] = {"",         "script",    "style",  "textarea",
                                        "title",    "xmp",       "iframe", "noembed",
                                        "noframes", "plaintext", "meta"};

static bool same(const char *s, size_t n, const char *name) {
    return strlen(name) == n && strncasecmp(s, name, n) == 0;
}

static bool listed(const char *s, size_t n, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (same(s, n, list[i]))
            return true;
    return false;
}

#define LISTED(s, n, list) listed(s, n, list, sizeof(list) / sizeof(*(list)))

static bool contains(const char *s, size_t n, const char *what) {
    size_t m = strlen(what);
    for (size_t i = 0; i + m <= n; i++)
        if (strncasecmp(s + i, what, m) == 0)
            return true;
    return false;
}

html_element html_element_of(const char *name, size_t n) {
    static const char *const animated[] = {"animate", "animatemotion", "animatetransform", "set"};
    for (size_t i = 1; i < sizeof(raw_names) / sizeof(*raw_names); i++)
        if (same(name, n, raw_names[i]))
            return (html_element)i;
    return LISTED(name, n, animated) ? EL_ANIMATE : EL_NONE;
}

static html_attr of_element(html_element element, const char *name, size_t n) {
    if (element == EL_ANIMATE)
        return AT_REFUSED;
    if (element == EL_SCRIPT && same(name, n, "type"))
        return AT_TYPE;
    if (element == EL_META && same(name, n, "content"))
        return AT_CONTENT;
    if (element == EL_META && same(name, n, "http-equiv"))
        return AT_HTTP_EQUIV;
    return AT_PLAIN;
}

html_attr html_attr_of(html_element element, const char *name, size_t n) {
    static const char *const urls[] = {"action",   "archive",  "background", "cite",   "classid",
                                       "codebase", "data",     "formaction", "href",   "icon",
                                       "longdesc", "manifest", "ping",       "poster", "profile",
                                       "src",      "usemap",   "dynsrc",     "lowsrc"};
    static const char *const lists[] = {"srcset", "imagesrcset"};
    html_attr a = of_element(element, name, n);
    if (a != AT_PLAIN)
        return a;
    const char *colon = memchr(name, ':', n); /* xlink:href is one too */
    if (colon) {
        n -= (size_t)(colon + 1 - name);
        if (strncasecmp(name, "xmlns", 5) == 0)
            return AT_URL;
        name = colon + 1;
    }
    if ((n >= 2 && strncasecmp(name, "on", 2) == 0) || same(name, n, "srcdoc"))
        return AT_REFUSED;
    if (same(name, n, "style"))
        return AT_STYLE;
    if (LISTED(name, n, lists))
        return AT_URLS;
    bool sounds = contains(name, n, "url") || contains(name, n, "uri") ||
                  contains(name, n, "src") || contains(name, n, "href");
    return sounds || LISTED(name, n, urls) ? AT_URL : AT_PLAIN;
}

bool html_type_is_script(const char *type, size_t n) {
    static const char *const types[] = {
        "",
        "module",
        "importmap",
        "speculationrules",
        "text/javascript",
        "application/javascript",
        "application/x-javascript",
        "text/ecmascript",
        "application/ecmascript",
        "application/json",
        "application/ld+json",
    };
    return LISTED(type, n, types);
}

bool html_scheme_is_safe(const char *scheme, size_t n) {
    static const char *const schemes[] = {"http", "https", "mailto", "tel"};
    return LISTED(scheme, n, schemes);
}

size_t html_end_tag(html_element element, const char *s, size_t n) {
    size_t m = strlen(raw_names[element]);
    if (element == EL_PLAINTEXT || n < 2 + m || s[0] != '<' || s[1] != '/')
        return 0;
    if (strncasecmp(s + 2, raw_names[element], m) != 0)
        return 0;
    return n == 2 + m || strchr(" \t\n\f\r/>", s[2 + m]) ? 2 + m : 0;
}
