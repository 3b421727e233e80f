/*
 * The head of a part: its header fields, and the parameters of Content-Disposition
 * (RFC 7578, 4.2).
 *
 * Who checks an upload and who stores it must read the same names in it. So what
 * can be read in two ways is refused: a parameter or a Content-Disposition that
 * comes twice, a quote that is not closed, text behind one. filename* is not read
 * at all: RFC 7578 forbids it.
 */
#include "web/multipart.h"
#include <string.h>
#include <strings.h>
#include <uv.h>

static const char *skip_space(const char *s) {
    return s + strspn(s, " \t");
}

/* A quoted string or a token, into out (NULL: only passed). Its length, or an error. */
static ssize_t take_value(const char **at, char *out, size_t size) {
    const char *s = *at;
    bool quoted = *s == '"';
    size_t n = 0;
    for (s += quoted; *s && (quoted ? *s != '"' : strchr("; \t\"", *s) == NULL); s++) {
        /* Only these two are escaped: old browsers send C:\dir\file as it is. */
        if (quoted && s[0] == '\\' && (s[1] == '"' || s[1] == '\\'))
            s++;
        if (out && n + 1 >= size)
            return UV_E2BIG;
        if (out)
            out[n] = *s;
        n++;
    }
    if (quoted ? *s != '"' : n == 0)
        return UV_EPROTO;
    *at = s + quoted;
    if (out)
        out[n] = '\0';
    return (ssize_t)n;
}

ssize_t gee_mime_param(const char *value, const char *name, char *out, size_t size) {
    const char *s = value + strcspn(value, ";");
    ssize_t found = UV_ENOENT;
    while (*s == ';') {
        s = skip_space(s + 1);
        if (*s == '\0')
            break; /* "form-data;" */
        size_t n = strcspn(s, "=;\" \t");
        bool wanted = n == strlen(name) && strncasecmp(s, name, n) == 0;
        s = skip_space(s + n);
        if (n == 0 || *s != '=' || (wanted && found >= 0))
            return UV_EPROTO;
        s = skip_space(s + 1);
        ssize_t len = take_value(&s, wanted ? out : NULL, size);
        if (len < 0)
            return len;
        if (wanted)
            found = len;
        s = skip_space(s);
    }
    return *s ? UV_EPROTO : found;
}

static bool is_token(const char *s, size_t n) {
    static const char chars[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "!#$%&'*+-.^_`|~";
    return n > 0 && strspn(s, chars) >= n;
}

/* One line, without its end, zero-terminated in place. */
static int take_line(gee_part_head *h, char *line, size_t n) {
    char *colon = memchr(line, ':', n);
    if (colon == NULL || !is_token(line, (size_t)(colon - line)))
        return UV_EPROTO;
    if (h->nfields == GEE_PART_HEADERS_MAX)
        return UV_E2BIG;
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    line[n] = '\0';
    *colon = '\0';
    h->fields[h->nfields].name = line;
    h->fields[h->nfields++].value = skip_space(colon + 1);
    return 0;
}

/* RFC 5322, 2.2.3: a line that begins with white space goes on with the one before. */
static void unfold(char *s, size_t len) {
    for (size_t i = 0; i + 2 < len; i++)
        if (s[i] == '\r' && (s[i + 2] == ' ' || s[i + 2] == '\t'))
            s[i] = s[i + 1] = ' ';
}

static int take_lines(gee_part_head *h, char *head, size_t len) {
    int rc = 0;
    unfold(head, len);
    for (char *line = head, *end = head + len; rc == 0 && line < end;) {
        char *cr = memchr(line, '\r', (size_t)(end - line));
        if (cr == NULL)
            return UV_EPROTO;
        rc = take_line(h, line, (size_t)(cr - line));
        line = cr + 2;
    }
    return rc;
}

static int field(const gee_part_head *h, const char *name, const char **value) {
    *value = NULL;
    for (size_t i = 0; i < h->nfields; i++) {
        if (strcasecmp(h->fields[i].name, name) != 0)
            continue;
        if (*value)
            return UV_EPROTO;
        *value = h->fields[i].value;
    }
    return 0;
}

static bool is_plain(const char *encoding) {
    return encoding == NULL || strcasecmp(encoding, "binary") == 0 ||
           strcasecmp(encoding, "8bit") == 0 || strcasecmp(encoding, "7bit") == 0;
}

int gee_part_head_parse(gee_part_head *h, char *head, size_t len, char *text) {
    const char *disposition, *encoding;
    *h = (gee_part_head){.nfields = 0};
    int rc = take_lines(h, head, len);
    if (rc == 0)
        rc = field(h, "content-disposition", &disposition);
    if (rc == 0)
        rc = field(h, "content-type", &h->content_type);
    if (rc == 0)
        rc = field(h, "content-transfer-encoding", &encoding);
    if (rc < 0)
        return rc;
    if (!is_plain(encoding))
        return UV_ENOTSUP;
    if (disposition == NULL || strcspn(disposition, "; \t") != 9 ||
        strncasecmp(disposition, "form-data", 9) != 0 || *skip_space(disposition + 9) != ';')
        return UV_EPROTO;
    ssize_t n = gee_mime_param(disposition, "name", text, len);
    if (n < 0)
        return UV_EPROTO; /* RFC 7578, 4.2: a name there must be */
    h->name = text;
    text += n + 1;
    n = gee_mime_param(disposition, "filename", text, len - (size_t)n - 1);
    if (n >= 0)
        h->filename = text;
    return n >= 0 || n == UV_ENOENT ? 0 : UV_EPROTO;
}
