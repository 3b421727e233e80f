/*
 * Values as text of a page.
 *
 * Each escaper leaves nothing that ends the place it writes to, whatever the value is.
 * What a client may have put into a value is no error: an URL or CSS that is not safe
 * becomes a harmless word. A value that is no text at all, an object in a sentence, is a
 * mistake of the program's.
 */
#include "html/html.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct text {
    const char *s;
    size_t n;
    char number[40];
} text;

static int put(gee_buf *out, const char *s) {
    return gee_buf_append(out, s, strlen(s));
}

/* The shortest of the usual precisions that reads back as the same. */
static int real(char *to, size_t size, double x) {
    int n = snprintf(to, size, "%.15g", x);
    if (strtod(to, NULL) != x)
        n = snprintf(to, size, "%.17g", x);
    for (char *c = to; *c; c++) /* a locale may have a comma */
        if (*c == ',')
            *c = '.';
    return n;
}

static int text_of(const json_t *v, text *t) {
    t->s = t->number;
    t->n = 0;
    switch (json_typeof(v)) {
    case JSON_STRING:
        t->s = json_string_value(v);
        t->n = json_string_length(v);
        return 0;
    case JSON_INTEGER:
        t->n = (size_t)snprintf(t->number, sizeof(t->number), "%" JSON_INTEGER_FORMAT,
                                json_integer_value(v));
        return 0;
    case JSON_REAL:
        t->n = (size_t)real(t->number, sizeof(t->number), json_real_value(v));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        t->s = json_is_true(v) ? "true" : "false";
        t->n = strlen(t->s);
        return 0;
    case JSON_NULL:
        return 0;
    default:
        return UV_EINVAL;
    }
}

/* --- HTML --- */

static const char *entity(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&#34;";
    case '\'':
        return "&#39;";
    case '`':
        return "&#96;";
    case '\0':
        return "\xef\xbf\xbd"; /* U+FFFD */
    default:
        return NULL;
    }
}

static int html(gee_buf *out, const char *s, size_t n) {
    size_t from = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const char *e = entity(s[i]);
        if (e) {
            rc = gee_buf_append(out, s + from, i - from);
            rc = rc == 0 ? put(out, e) : rc;
            from = i + 1;
        }
    }
    return rc == 0 ? gee_buf_append(out, s + from, n - from) : rc;
}

/* --- URLs (RFC 3986) --- */

static bool hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

/* Relative, or of a scheme that only leads somewhere. */
static bool leads_somewhere(const char *s, size_t n) {
    size_t i = 0;
    while (i < n && s[i] != ':' && s[i] != '/' && s[i] != '?' && s[i] != '#')
        i++;
    return i == n || s[i] != ':' || html_scheme_is_safe(s, i);
}

static bool as_it_is(html_escape how, const char *s, size_t n, size_t i) {
    if (unreserved(s[i]))
        return true;
    if (how == ESC_URL_QUERY || s[i] == '\0')
        return false;
    if (s[i] == '%')
        return n - i > 2 && hex(s[i + 1]) && hex(s[i + 2]);
    if ((how == ESC_URL_OPEN && s[i] == ':') || (how == ESC_URLS && s[i] == ','))
        return false;
    return strchr("!#$&*+,/:;=?@[]", s[i]) != NULL;
}

static int url(gee_buf *out, html_escape how, const char *s, size_t n) {
    int rc = 0;
    if ((how == ESC_URL_START || how == ESC_URLS) && !leads_somewhere(s, n))
        return put(out, "#unsafe");
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!as_it_is(how, s, n, i))
            rc = gee_buf_printf(out, "%%%02X", (unsigned char)s[i]);
        else
            rc = s[i] == '&' ? put(out, "&amp;") : gee_buf_append(out, s + i, 1);
    }
    return rc;
}

/* --- CSS --- */

static bool has(const char *s, size_t n, const char *what) {
    for (size_t m = strlen(what), i = 0; i + m <= n; i++)
        if (strncasecmp(s + i, what, m) == 0)
            return true;
    return false;
}

static int css(gee_buf *out, const char *s, size_t n) {
    bool safe = !has(s, n, "expression") && !has(s, n, "moz-binding");
    for (size_t i = 0; i < n && safe; i++)
        safe = unreserved(s[i]) ? s[i] != '~' : s[i] && strchr(" %#,+", s[i]);
    return safe ? gee_buf_append(out, s, n) : put(out, "unsafe");
}

/* --- JavaScript and JSON --- */

/* Nothing that HTML or JavaScript gives a meaning to: U+2028 and U+2029 are line ends there. */
static int js_text(gee_buf *out, const char *s, size_t n, const char *special) {
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == 0xe2 && n - i > 2 && s[i + 1] == '\x80' &&
            (s[i + 2] == '\xa8' || s[i + 2] == '\xa9')) {
            rc = put(out, s[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
            i += 2;
        } else if (c < ' ' || c == 0x7f || strchr(special, c)) {
            rc = gee_buf_printf(out, "\\u%04x", c);
        } else {
            rc = gee_buf_append(out, s + i, 1);
        }
    }
    return rc;
}

static int js_string(gee_buf *out, const char *s, size_t n) {
    int rc = put(out, "\"");
    rc = rc == 0 ? js_text(out, s, n, "\"\\<>&'`") : rc;
    return rc == 0 ? put(out, "\"") : rc;
}

static int js(gee_buf *out, json_t *v, int depth);

static int js_array(gee_buf *out, json_t *v, int depth) {
    int rc = put(out, "[");
    for (size_t i = 0; i < json_array_size(v) && rc == 0; i++) {
        rc = i ? put(out, ",") : 0;
        rc = rc == 0 ? js(out, json_array_get(v, i), depth) : rc;
    }
    return rc == 0 ? put(out, "]") : rc;
}

static int js_object(gee_buf *out, json_t *v, int depth) {
    int rc = put(out, "{");
    bool first = true;
    for (void *it = json_object_iter(v); it && rc == 0; it = json_object_iter_next(v, it)) {
        const char *key = json_object_iter_key(it);
        rc = first ? 0 : put(out, ",");
        first = false;
        rc = rc == 0 ? js_string(out, key, strlen(key)) : rc;
        rc = rc == 0 ? put(out, ":") : rc;
        rc = rc == 0 ? js(out, json_object_iter_value(it), depth) : rc;
    }
    return rc == 0 ? put(out, "}") : rc;
}

/* Numbers and words have spaces around, so that they stay what they are between others. */
static int js(gee_buf *out, json_t *v, int depth) {
    text t;
    if (depth == GEE_HTML_DEPTH)
        return UV_E2BIG;
    if (json_is_array(v))
        return js_array(out, v, depth + 1);
    if (json_is_object(v))
        return js_object(out, v, depth + 1);
    text_of(v, &t);
    if (json_is_string(v))
        return js_string(out, t.s, t.n);
    return gee_buf_printf(out, depth ? "%s" : " %s ", json_is_null(v) ? "null" : t.s);
}

int html_escape_value(gee_buf *out, html_escape how, html_value v) {
    text t;
    if (how == ESC_JS)
        return js(out, v.json, 0);
    int rc = text_of(v.json, &t);
    if (rc < 0)
        return rc;
    switch (how) {
    case ESC_HTML:
        return v.safe ? gee_buf_append(out, t.s, t.n) : html(out, t.s, t.n);
    case ESC_ATTR:
        return html(out, t.s, t.n);
    case ESC_CSS:
        return css(out, t.s, t.n);
    case ESC_JS_STRING:
        return js_text(out, t.s, t.n, "\"\\<>&'`/=+-(){}[]:;");
    default:
        return url(out, how, t.s, t.n);
    }
}
