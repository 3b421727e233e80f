/* Responses as a strict client reads them (RFC 9112, 6.3): by their framing alone. */
#include "fuzz.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
    const char *at, *end;
    bool whole;
    const char *wrong;
};

struct head {
    int status, lengths, codings, dates;
    size_t length;
    bool close, head; /* "Connection: close"; it answers a HEAD */
};

static bool is(const char *name, size_t n, const char *want) {
    return strlen(want) == n && strncasecmp(name, want, n) == 0;
}

static bool is_token(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("!#$%&'*+-.^_`|~", s[i]))
            return false;
    return n > 0;
}

static bool is_value(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)s[i] < 32 && s[i] != '\t') || s[i] == 127)
            return false;
    return true;
}

/* A line without its end, or NULL: the bytes end before. */
static const char *take_line(struct reader *r, size_t *n) {
    const char *line = r->at, *lf = memchr(line, '\n', (size_t)(r->end - line));
    if (lf == NULL)
        return NULL;
    if (lf == line || lf[-1] != '\r')
        r->wrong = "a line that does not end with CR LF";
    *n = (size_t)(lf - line) - (lf > line);
    r->at = lf + 1;
    return line;
}

static const char *take_field(struct head *h, const char *line, size_t n) {
    const char *colon = memchr(line, ':', n);
    if (colon == NULL || !is_token(line, (size_t)(colon - line)))
        return "a header field without a name";
    size_t name = (size_t)(colon - line), value = n - name - 1;
    if (value == 0 || colon[1] != ' ' || !is_value(colon + 1, value))
        return "a header field with a bad value";
    if (is(line, name, "content-length")) {
        h->lengths++;
        h->length = strtoul(colon + 2, NULL, 10);
    }
    h->codings += is(line, name, "transfer-encoding");
    h->dates += is(line, name, "date");
    h->head |= is(line, name, "x-head");
    h->close |= is(line, name, "connection") && is(colon + 2, value - 1, "close");
    return NULL;
}

static bool status_line(struct head *h, const char *line, size_t n) {
    return n >= 13 && strncmp(line, "HTTP/1.1 ", 9) == 0 && line[12] == ' ' &&
           (h->status = atoi(line + 9)) >= 100 && h->status < 600 && is_value(line, n);
}

static const char *judge(const struct head *h) {
    bool none = h->status < 200 || h->status == 204;
    if (h->lengths + h->codings > 1)
        return "a length twice, or beside a coding";
    if (none && h->lengths + h->codings > 0)
        return "framing of what has no body";
    if (h->status == 100)
        return h->dates ? "a date in an interim response" : NULL;
    if (h->dates != 1)
        return "not one date";
    if (!none && h->lengths + h->codings == 0 && !h->close)
        return "a body without an end";
    return NULL;
}

/* False: the bytes end in it, or something is wrong. */
static bool take_head(struct reader *r, struct head *h) {
    size_t n;
    const char *line = take_line(r, &n);
    *h = (struct head){.status = 0};
    if (line && !status_line(h, line, n))
        r->wrong = "a status line that is none";
    while (line && !r->wrong) {
        line = take_line(r, &n);
        if (line && n == 0) {
            r->wrong = r->wrong ? r->wrong : judge(h);
            return r->wrong == NULL;
        }
        if (line && !r->wrong)
            r->wrong = take_field(h, line, n);
    }
    if (r->whole && !r->wrong)
        r->wrong = "the connection ends in a head";
    return false;
}

/* False: it ends before its last chunk, as a stream does that was given up. */
static bool take_chunks(struct reader *r) {
    for (size_t n, size = 1; size > 0;) {
        const char *line = take_line(r, &n);
        char *end;
        if (line == NULL || r->wrong)
            return false;
        size = strtoul(line, &end, 16);
        if (!isxdigit((unsigned char)*line) || end != line + n) {
            r->wrong = "a chunk size that is none";
            return false;
        }
        if ((size_t)(r->end - r->at) < size + 2)
            return false;
        r->at += size + 2;
        if (memcmp(r->at - 2, "\r\n", 2) != 0)
            r->wrong = "a chunk that does not end where it says";
    }
    return true;
}

static bool take_body(struct reader *r, const struct head *h) {
    size_t left = (size_t)(r->end - r->at);
    /* To a HEAD that no route has seen: its answer does not say so, and is an error. */
    bool next = left > 7 && memcmp(r->at, "HTTP/1.", 7) == 0;
    bool answers_head = h->head || (h->status >= 400 && h->lengths && (left == 0 || next));
    if (h->status < 200 || h->status == 204 || h->status == 304 || (h->lengths && answers_head))
        return true;
    if (h->codings)
        return h->head ? true : take_chunks(r);
    size_t n = h->lengths ? h->length : left;
    if (n > left && r->whole)
        r->wrong = "the connection ends in a body";
    r->at += n < left ? n : left;
    return n <= left;
}

const char *fuzz_check(const char *text, size_t n, size_t most, bool whole) {
    struct reader r = {.at = text, .end = text + n, .whole = whole};
    struct head h = {.status = 0};
    size_t answers = 0, interim = 0;
    while (r.at < r.end && take_head(&r, &h) && take_body(&r, &h)) {
        if (h.status == 100)
            interim++;
        else
            answers++;
        if (h.close && r.at < r.end)
            return "something after the last response";
    }
    if (r.wrong)
        return r.wrong;
    return answers > most || interim > most ? "more responses than requests" : NULL;
}
