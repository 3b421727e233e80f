/*
 * The HTML of a template, as a browser's tokenizer will see it (WHATWG HTML, 13.2.5).
 *
 * A template's own text is trusted to be what its author wants, so nothing is repaired.
 * What matters is that this and the browser agree where a value lands; where that takes
 * guessing, the text is refused: a tag that goes on behind an action, a name that is
 * made conditionally, an attribute without quotes. All of a text is there at once, so a
 * construct that is cut at its end is one that an action cuts.
 */
#include "html/context.h"
#include <string.h>
#include <strings.h>

static const char cut[] = "an action inside of a tag's name, an entity or an opening <";

static bool space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool starts(const char *s, size_t n, const char *what) {
    size_t m = strlen(what);
    return n >= m && strncasecmp(s, what, m) == 0;
}

static void to_tag(html_context *c, html_state state) {
    c->state = (uint8_t)state;
    c->attr = c->url = c->quote = 0;
}

/* What follows when a tag's > was passed. */
static void leave_tag(html_context *c) {
    bool raw = !c->closing && c->element >= EL_SCRIPT && c->element <= EL_PLAINTEXT;
    uint8_t element = c->element, unknown = c->flags & HTML_TYPE_UNKNOWN;
    memset(c, 0, sizeof(*c));
    if (raw) {
        c->state = ST_RAW;
        c->element = element;
        c->flags = element == EL_SCRIPT ? unknown : 0;
    }
}

static const char *declaration(html_context *c, const char *s, size_t n, size_t *i) {
    if (starts(s + *i, n - *i, "<!--")) {
        c->state = ST_COMMENT;
        *i += 4;
        size_t left = n - *i; /* <!--> and <!---> are whole */
        if (starts(s + *i, left, ">") || starts(s + *i, left, "->"))
            *i -= 2;
        return left == 0 ? cut : NULL;
    }
    if (starts(s + *i, n - *i, "<!["))
        return "CDATA: not known to templates";
    c->state = ST_DECLARATION;
    *i += 2;
    return *i >= n || (s[*i] == '-' && *i + 1 >= n) ? cut : NULL;
}

static const char *in_text(html_context *c, const char *s, size_t n, size_t *i) {
    const char *lt = memchr(s + *i, '<', n - *i);
    if (lt == NULL) {
        *i = n;
        return NULL;
    }
    *i = (size_t)(lt - s);
    size_t name = *i + 1;
    if (name < n && s[name] == '/')
        name++;
    if (name >= n)
        return cut;
    if (!letter(s[name])) {
        if (s[name] == '!' || s[name] == '?' || name == *i + 2)
            return declaration(c, s, n, i);
        ++*i;
        return NULL;
    }
    size_t end = name;
    while (end < n && !space(s[end]) && s[end] != '/' && s[end] != '>')
        end++;
    memset(c, 0, sizeof(*c));
    c->closing = name == *i + 2;
    c->element = (uint8_t)html_element_of(s + name, end - name);
    c->state = end == n ? ST_TAG_MAYBE : ST_TAG;
    *i = end;
    return NULL;
}

/* From an attribute's name to its = or the next. */
static const char *in_tag(html_context *c, const char *s, size_t n, size_t *i) {
    if (space(s[*i]) || s[*i] == '/') {
        c->state = ST_TAG;
        ++*i;
        return NULL;
    }
    if (s[*i] == '>') {
        leave_tag(c);
        ++*i;
        return NULL;
    }
    if (c->state == ST_TAG_MAYBE)
        return "a name goes on behind an action: put a space between them";
    if (s[*i] == '=' || s[*i] == '"' || s[*i] == '\'' || s[*i] == '<')
        return "a character that cannot begin an attribute's name";
    size_t end = *i;
    while (end < n && !space(s[end]) && strchr("/>=", s[end]) == NULL)
        end++;
    if (memchr(s + *i, '"', end - *i) || memchr(s + *i, '\'', end - *i) ||
        memchr(s + *i, '<', end - *i))
        return "a quote or < in an attribute's name";
    c->attr = (uint8_t)html_attr_of((html_element)c->element, s + *i, end - *i);
    if (c->attr == AT_HTTP_EQUIV && (c->flags & HTML_CONTENT_DATA))
        return "http-equiv, where content has an action";
    if (c->attr == AT_HTTP_EQUIV)
        c->flags |= HTML_HTTP_EQUIV;
    if (c->attr == AT_TYPE)
        c->flags |= HTML_TYPE_UNKNOWN;
    c->state = ST_NAMED;
    *i = end;
    return NULL;
}

static const char *named(html_context *c, const char *s, size_t *i) {
    if (space(s[*i])) {
        ++*i;
    } else if (s[*i] == '=') {
        c->state = ST_EQUALS;
        ++*i;
    } else {
        to_tag(c, ST_TAG);
    }
    return NULL;
}

static const char *equals(html_context *c, const char *s, size_t *i) {
    if (space(s[*i])) {
        ++*i;
    } else if (s[*i] == '"' || s[*i] == '\'') {
        c->state = ST_VALUE;
        c->quote = (uint8_t)s[*i];
        c->url = URL_START;
        ++*i;
    } else if (s[*i] == '>') {
        to_tag(c, ST_TAG);
    } else {
        c->state = ST_UNQUOTED;
    }
    return NULL;
}

/* The template's own part of an URL. */
static void url_advance(html_context *c, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool open = c->url == URL_START || c->url == URL_OPEN;
        if ((open || c->url == URL_PATH) && (s[i] == '?' || s[i] == '#')) {
            c->url = URL_QUERY;
        } else if (open && s[i] == '/') {
            c->url = URL_PATH;
        } else if (open && s[i] == ':') { /* whole, unless something came before */
            bool whole = c->url == URL_START;
            c->url = whole && html_scheme_is_safe(s, i) ? URL_PATH : URL_SCHEME;
        } else if (open && s[i] == '&') {
            c->url = URL_SCHEME; /* it may spell one */
        }
    }
    if (c->url == URL_START && n > 0)
        c->url = URL_OPEN;
}

/* "&#", digits: what follows would be a part of it. */
static bool cuts_entity(const char *s, size_t n) {
    while (n > 0 && (letter(s[n - 1]) || (s[n - 1] >= '0' && s[n - 1] <= '9')))
        n--;
    return n >= 2 && s[n - 1] == '#' && s[n - 2] == '&';
}

static const char *in_value(html_context *c, const char *s, size_t n, size_t *i) {
    const char *end = memchr(s + *i, c->quote, n - *i);
    size_t len = end ? (size_t)(end - s) - *i : n - *i;
    if (end == NULL && cuts_entity(s + *i, len)) {
        *i = n - 1;
        return cut;
    }
    if (c->attr == AT_URL)
        url_advance(c, s + *i, len);
    if (c->attr == AT_TYPE && end && *i > 0 && s[*i - 1] == (char)c->quote &&
        html_type_is_script(s + *i, len)) /* all of it is here */
        c->flags &= (uint8_t)~HTML_TYPE_UNKNOWN;
    *i += len;
    if (end) {
        to_tag(c, ST_TAG);
        ++*i;
    }
    return NULL;
}

static const char *unquoted(html_context *c, const char *s, size_t n, size_t *i) {
    size_t start = *i;
    while (*i < n && !space(s[*i]) && s[*i] != '>')
        ++*i;
    if (c->attr == AT_TYPE && *i < n && html_type_is_script(s + start, *i - start) && start > 0 &&
        (s[start - 1] == '=' || space(s[start - 1])))
        c->flags &= (uint8_t)~HTML_TYPE_UNKNOWN;
    if (*i < n)
        to_tag(c, ST_TAG);
    return NULL;
}

static const char *in_comment(html_context *c, const char *s, size_t n, size_t *i) {
    for (; *i < n; ++*i) {
        if (starts(s + *i, n - *i, "-->") || starts(s + *i, n - *i, "--!>")) {
            *i += s[*i + 2] == '>' ? 3 : 4;
            c->state = ST_TEXT;
            return NULL;
        }
    }
    return s[n - 1] == '-' || (n > 1 && s[n - 1] == '!' && s[n - 2] == '-') ? cut : NULL;
}

/* Up to the end tag, or the end. */
static const char *in_raw(html_context *c, const char *s, size_t n, size_t *i) {
    html_element element = (html_element)c->element;
    size_t start = *i, end = start, len = 0;
    for (; end < n && (len = html_end_tag(element, s + end, n - end)) == 0; end++) {
        *i = end;
        if (element == EL_SCRIPT && starts(s + end, n - end, "<!--"))
            return "<!-- in a script, in which browsers do not find its end";
    }
    *i = start;
    const char *bad = NULL;
    if (element == EL_SCRIPT && !(c->flags & HTML_TYPE_UNKNOWN)) {
        size_t at = 0;
        bad = html_js_advance(c, s + *i, end - *i, &at);
        if (bad) {
            *i += at;
            return bad;
        }
    }
    *i = end;
    if (end == n) { /* "</scr" and an action could make an end tag of it */
        size_t back = n;
        while (back > 0 && letter(s[back - 1]))
            back--;
        bool opened = back >= 2 && s[back - 1] == '/' && s[back - 2] == '<';
        return opened || (s[n - 1] == '<' && element != EL_SCRIPT) ? cut : NULL;
    }
    memset(c, 0, sizeof(*c));
    c->closing = 1;
    c->state = end + len == n ? ST_TAG_MAYBE : ST_TAG;
    *i = end + len;
    return NULL;
}

static const char *step(html_context *c, const char *s, size_t n, size_t *i) {
    switch ((html_state)c->state) {
    case ST_TEXT:
        return in_text(c, s, n, i);
    case ST_TAG:
    case ST_TAG_MAYBE:
        return in_tag(c, s, n, i);
    case ST_NAMED:
        return named(c, s, i);
    case ST_EQUALS:
        return equals(c, s, i);
    case ST_VALUE:
        return in_value(c, s, n, i);
    case ST_UNQUOTED:
        return unquoted(c, s, n, i);
    case ST_COMMENT:
        return in_comment(c, s, n, i);
    case ST_RAW:
        return in_raw(c, s, n, i);
    case ST_DECLARATION:
        break;
    }
    const char *end = memchr(s + *i, '>', n - *i);
    c->state = end ? ST_TEXT : ST_DECLARATION;
    *i = end ? (size_t)(end - s) + 1 : n;
    return NULL;
}

const char *html_advance(html_context *c, const char *s, size_t n, size_t *at) {
    const char *bad = NULL;
    *at = 0;
    while (*at < n && bad == NULL)
        bad = step(c, s, n, at);
    if (bad == NULL && c->state == ST_TEXT && cuts_entity(s, n))
        bad = cut;
    if (c->state == ST_NAMED) /* what follows may go on with the name */
        to_tag(c, space(s[n - 1]) ? ST_TAG : ST_TAG_MAYBE);
    return bad;
}
