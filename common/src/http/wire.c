/*
 * The bytes of a message's framing, looked at before llhttp sees them.
 *
 * Where a line ends and which bytes may stand in it is what request smuggling is
 * made of, and what differs from one llhttp to the next. So it is decided here:
 * llhttp is fed nothing but a head whose lines end with CRLF, have no folded and
 * no control bytes, and whose version is HTTP/1.x (RFC 9112, 2.2, 3, 5, 7.1), and
 * it is not shown what means nothing to us: empty lines in front of a request,
 * chunk extensions, and trailers.
 *
 * The scanner is fed each byte of a connection once, in order, and its state is
 * all that it knows, so it does not matter how the bytes were cut into reads. A short
 * cut for whole lines leaves it in the state in which their bytes, one by one, would.
 */
#include "http/bytes.h"
#include "http/http.h"
#include <string.h>

enum state {
    START, /* in front of a request: empty lines */
    START_LF,
    METHOD,
    TARGET,
    VERSION,
    LINE_LF,
    FIELD, /* the beginning of a line: a field, or the end */
    NAME,
    VALUE,
    VALUE_LF,
    END_LF,
    DONE,    /* the head, or the trailer; what follows is for the parser's callbacks to say */
    COUNTED, /* a body with a length: llhttp counts */
    SIZE,
    EXTENSION,
    SIZE_LF,
    LAST, /* behind the last chunk's line: FIELD, of a trailer */
    DATA,
    DATA_CR,
    DATA_LF,
};

/* In these a state is left by another byte only. */
static const uint8_t stays[DATA_LF + 1] = {
    [METHOD] = GEE_TOKEN, [TARGET] = GEE_VISIBLE, [NAME] = GEE_TOKEN,
    [VALUE] = GEE_TEXT,   [EXTENSION] = GEE_TEXT,
};

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int go(gee_wire *w, enum state to) {
    w->state = to;
    w->n = 0;
    return 0;
}

static int expect(gee_wire *w, char got, char want, enum state to) {
    return got == want ? go(w, to) : 400;
}

/* "HTTP/1.1\r"; RFC 9112, 2.3. */
static int version(gee_wire *w, char c) {
    static const char form[] = "HTTP/1.d\r";
    char want = form[w->n];
    if (want == '1' && c != '1')
        return c >= '0' && c <= '9' ? 505 : 400;
    if (want == 'd' ? c < '0' || c > '9' : c != want)
        return 400;
    w->n++;
    return want == '\r' ? go(w, LINE_LF) : 0;
}

/* RFC 9112, 7.1. */
static int chunk_size(gee_wire *w, char c) {
    int digit = hex(c);
    if (digit >= 0 && w->n < 16) {
        w->n++;
        w->left = w->left << 4 | (unsigned)digit;
        return 0;
    }
    if (w->n == 0 || digit >= 0)
        return 400;
    if (c == ';')
        return go(w, EXTENSION);
    return expect(w, c, '\r', SIZE_LF);
}

/* Behind a chunk's line. */
static int chunk_begins(gee_wire *w, char c) {
    w->trailer = w->left == 0;
    return expect(w, c, '\n', w->trailer ? LAST : DATA);
}

static int field_begins(gee_wire *w, char c) {
    if (c == '\r')
        return go(w, END_LF);
    return gee_bytes[(uint8_t)c] & GEE_TOKEN ? go(w, NAME) : 400; /* a folded line too */
}

static int next_chunk(gee_wire *w, char c) {
    w->left = 0;
    return expect(w, c, '\n', SIZE);
}

/* One byte, which the state it is in does not just go over. 0, or a status. */
static int step(gee_wire *w, char c) {
    switch ((enum state)w->state) {
    case START:
        if (c == '\r')
            return go(w, START_LF);
        return gee_bytes[(uint8_t)c] & GEE_TOKEN ? go(w, METHOD) : 400;
    case START_LF:
        return expect(w, c, '\n', START);
    case METHOD:
        return expect(w, c, ' ', TARGET);
    case TARGET:
        return w->n > 0 ? expect(w, c, ' ', VERSION) : 400;
    case VERSION:
        return version(w, c);
    case LINE_LF:
        w->line_done = true;
        return expect(w, c, '\n', FIELD);
    case FIELD:
    case LAST:
        return field_begins(w, c);
    case NAME:
        return expect(w, c, ':', VALUE);
    case VALUE:
        return expect(w, c, '\r', VALUE_LF);
    case VALUE_LF:
        return expect(w, c, '\n', FIELD);
    case END_LF:
        return expect(w, c, '\n', DONE);
    case SIZE:
        return chunk_size(w, c);
    case EXTENSION:
        return expect(w, c, '\r', SIZE_LF);
    case SIZE_LF:
        return chunk_begins(w, c);
    case DATA_CR:
        return expect(w, c, '\r', DATA_LF);
    case DATA_LF:
        return next_chunk(w, c);
    default:
        return 400;
    }
}

/* After this byte: was it one that llhttp is not shown? */
static bool is_hidden(const gee_wire *w) {
    switch ((enum state)w->state) {
    case START:
    case START_LF:
    case EXTENSION:
        return true;
    case FIELD:
    case NAME:
    case VALUE:
    case VALUE_LF:
        return w->trailer;
    default:
        return false;
    }
}

/* One byte more is too much: of the head; or of extensions and trailers, all together. */
static int too_large(const gee_wire *w) {
    if (w->in_body || w->state == START || w->state == START_LF)
        return 400;
    /* RFC 9112, 3: a method longer than any is an unknown one */
    return w->state == METHOD ? 501 : w->state == TARGET ? 414 : 431;
}

static bool is_counted(const gee_wire *w) {
    return !w->in_body || w->trailer || w->state == EXTENSION;
}

/* Bytes at `at` that the state goes over. */
static size_t stretch(gee_wire *w, const char *at, size_t n, const gee_limits *limits) {
    if (w->state == COUNTED || w->state == DATA) {
        size_t i = w->state == DATA && w->left < n ? (size_t)w->left : n;
        w->left -= w->state == DATA ? i : 0;
        if (w->state == DATA && w->left == 0)
            go(w, DATA_CR);
        return i;
    }
    size_t room = limits->head_bytes - w->total;
    if (w->state == TARGET && room > limits->uri_bytes - w->n)
        room = limits->uri_bytes - w->n;
    size_t i = gee_prefix(at, n < room ? n : room, stays[w->state]);
    w->n += i;
    w->total += i;
    return i;
}

size_t gee_wire_target_line(const char *s, size_t n, size_t *target) {
    static const char version[] = " HTTP/1.1\r\n";
    const size_t len = sizeof(version) - 1;
    size_t at = *target = gee_prefix(s, n, GEE_VISIBLE);
    bool right = at > 0 && n - at >= len && memcmp(s + at, version, len) == 0;
    return right ? at + len : 0;
}

/* "GET /path HTTP/1.1" and CRLF, all there and right: its length; else 0. */
static size_t request_line(const char *s, size_t n, size_t *target) {
    size_t at = gee_prefix(s, n, GEE_TOKEN);
    if (at == 0 || at == n || s[at++] != ' ')
        return 0;
    size_t rest = gee_wire_target_line(s + at, n - at, target);
    return rest ? at + rest : 0;
}

size_t gee_wire_field_line(const char *s, size_t n, size_t *name) {
    size_t at = *name = gee_prefix(s, n, GEE_TOKEN);
    if (at > 0) {
        if (at == n || s[at++] != ':')
            return 0;
        at += gee_text_prefix(s + at, n - at);
    }
    return n - at >= 2 && s[at] == '\r' && s[at + 1] == '\n' ? at + 2 : 0;
}

/*
 * A line of a head that is all there, right and within the limits, as most are, is taken at
 * once. Any other is left to the states, from its first byte on: only they refuse.
 */
static size_t whole_line(gee_wire *w, const char *at, size_t n, const gee_limits *limits) {
    size_t name, target = 0, len = 0, room = limits->head_bytes - w->total;
    if (n > room)
        n = room;
    if (w->state == START)
        len = request_line(at, n, &target);
    else if (w->state == FIELD && !w->trailer)
        len = gee_wire_field_line(at, n, &name);
    if (len == 0 || target > limits->uri_bytes)
        return 0;
    w->total += len;
    w->line_done = true;
    go(w, len == 2 ? DONE : FIELD);
    return len;
}

static size_t whole_lines(gee_wire *w, const char *at, size_t n, const gee_limits *limits) {
    size_t i = 0;
    for (size_t len; (len = whole_line(w, at + i, n - i, limits)) > 0;)
        i += len;
    return i;
}

/* A byte that the state does not go over: the next state, or a status. */
static int next(gee_wire *w, char c, const gee_limits *limits) {
    if (is_counted(w) && w->total++ >= limits->head_bytes)
        return too_large(w);
    if (w->state == TARGET && w->n >= limits->uri_bytes && c != ' ')
        return 414;
    return step(w, c);
}

size_t gee_wire_scan(gee_wire *w, const char *data, size_t n, const gee_limits *limits,
                     gee_piece *show) {
    *show = (gee_piece){0, 0};
    for (size_t i = 0; i < n;) {
        size_t over = whole_lines(w, data + i, n - i, limits);
        if (over == 0)
            over = stretch(w, data + i, n - i, limits);
        i += over;
        if (over == 0) {
            w->status = (uint16_t)next(w, data[i], limits);
            if (w->status)
                return i;
            i++;
        }
        if (!is_hidden(w))
            show->n = i - show->at;
        else if (show->n > 0)
            return i; /* what was shown ends in front of this */
        else
            show->at = i;
        if (w->state == DONE)
            return i;
    }
    return n;
}

void gee_wire_begin(gee_wire *w) {
    *w = (gee_wire){.state = START};
}

void gee_wire_body(gee_wire *w, bool chunked) {
    *w = (gee_wire){.state = chunked ? SIZE : COUNTED, .in_body = true, .line_done = true};
}
