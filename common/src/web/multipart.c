/*
 * A multipart body, from bytes to events.
 *
 * A part ends at "\r\n--boundary", and that may come in any number of pieces, so
 * bytes that may be its beginning are held back. They need not be kept: they are
 * what the delimiter begins with, and if they turn out to be content, they are
 * given out from there. And a mismatch never has to look at them again: '\r'
 * stands only at the delimiter's beginning, so no other one can have begun inside
 * of what matched. Each byte is therefore looked at once, or twice where it is
 * itself the mismatch, whatever the content and however it is cut.
 *
 * The first delimiter may stand at the very beginning, and the one behind an empty
 * part shares its line end with the empty line before it: there "\r\n" counts as
 * matched already, and is not given out (`ours`).
 */
#include "web/multipart.h"
#include <string.h>
#include <uv.h>

/* RFC 2046, 5.1.1: bchars; a space is one, but not the last. */
static bool is_boundary(const char *s, size_t n) {
    static const char chars[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "'()+_,-./:=? ";
    return n > 0 && n <= GEE_BOUNDARY_MAX && strspn(s, chars) == n && s[n - 1] != ' ';
}

int gee_mp_init(gee_mp *p, const char *boundary, char *head, size_t head_cap) {
    size_t n = strlen(boundary);
    if (!is_boundary(boundary, n))
        return UV_EINVAL;
    *p = (gee_mp){.head = head, .head_cap = head_cap};
    memcpy(p->delimiter, "\r\n--", 4);
    memcpy(p->delimiter + 4, boundary, n);
    p->delimiter[4 + n] = '-';
    p->delimiter_len = 4 + n;
    p->state = GEE_MP_PREAMBLE;
    p->matched = p->ours = 2;
    return 0;
}

/* What was held back is content. True: there is some. */
static bool give_back(gee_mp *p, gee_slice *data) {
    *data = (gee_slice){p->delimiter + p->ours, p->matched - p->ours};
    p->matched = p->ours = 0;
    return data->n > 0 && p->in_part;
}

/*
 * "--boundary" has matched. It is a delimiter if the line goes on as one does (RFC 2046,
 * 5.1.1: "--", white space or a line end); "--boundaryX" is somebody else's line.
 */
static int after_delimiter(gee_mp *p, char c, size_t *i, gee_slice *data) {
    bool dash = p->matched > p->delimiter_len;
    if (c == '-') {
        ++*i;
        p->matched++;
        if (dash)
            p->state = GEE_MP_CLOSED;
    } else if (!dash && (c == ' ' || c == '\t' || c == '\r')) {
        p->state = GEE_MP_PADDING;
    } else {
        return give_back(p, data) ? GEE_MP_DATA : GEE_MP_MORE;
    }
    if (p->state != GEE_MP_CLOSED && p->state != GEE_MP_PADDING)
        return GEE_MP_MORE;
    p->matched = p->ours = 0;
    bool was = p->in_part;
    p->in_part = false;
    return was ? GEE_MP_PART_END : GEE_MP_MORE;
}

/* One run of content, or one step towards the delimiter. */
static int content(gee_mp *p, const char *in, size_t n, size_t *i, gee_slice *data) {
    if (p->matched >= p->delimiter_len)
        return after_delimiter(p, in[*i], i, data);
    if (p->matched == 0 && in[*i] != '\r') {
        const char *from = in + *i, *cr = memchr(from, '\r', n - *i);
        *data = (gee_slice){from, cr ? (size_t)(cr - from) : n - *i};
        *i += data->n;
        return p->in_part ? GEE_MP_DATA : GEE_MP_MORE;
    }
    while (*i < n && p->matched < p->delimiter_len && in[*i] == p->delimiter[p->matched]) {
        p->matched++;
        ++*i;
    }
    if (*i == n || p->matched == p->delimiter_len)
        return GEE_MP_MORE;
    return give_back(p, data) ? GEE_MP_DATA : GEE_MP_MORE;
}

/* One byte of a part's head. Lines end with \r\n, and those two stand nowhere else. */
static int head(gee_mp *p, char c) {
    bool after_cr = p->head_len > p->line && p->head[p->head_len - 1] == '\r';
    if (c == '\0' || after_cr != (c == '\n'))
        return UV_EPROTO;
    if (p->head_len == p->head_cap)
        return UV_E2BIG;
    p->head[p->head_len++] = c;
    if (c != '\n')
        return GEE_MP_MORE;
    bool empty = p->head_len - p->line == 2;
    p->line = p->head_len;
    if (!empty)
        return GEE_MP_MORE;
    p->head_len -= 2;
    p->state = GEE_MP_CONTENT;
    p->matched = p->ours = 2;
    p->in_part = true;
    return GEE_MP_PART;
}

/* One byte behind a delimiter, up to its line end. */
static int padding(gee_mp *p, char c) {
    if (p->state == GEE_MP_PADDING && (c == ' ' || c == '\t'))
        return GEE_MP_MORE;
    if (c != (p->state == GEE_MP_PADDING ? '\r' : '\n'))
        return UV_EPROTO;
    p->state = p->state == GEE_MP_PADDING ? GEE_MP_LINE_END : GEE_MP_HEAD;
    p->head_len = p->line = 0;
    return GEE_MP_MORE;
}

int gee_mp_step(gee_mp *p, const char *in, size_t n, size_t *used, gee_slice *data) {
    size_t i = 0;
    int event = GEE_MP_MORE;
    if (p->state == GEE_MP_CLOSED) {
        p->state = GEE_MP_EPILOGUE;
        *used = 0;
        return GEE_MP_END;
    }
    while (event == GEE_MP_MORE && i < n && p->state != GEE_MP_CLOSED) {
        switch (p->state) {
        case GEE_MP_PREAMBLE:
        case GEE_MP_CONTENT:
            event = content(p, in, n, &i, data);
            break;
        case GEE_MP_PADDING:
        case GEE_MP_LINE_END:
            event = padding(p, in[i++]);
            break;
        case GEE_MP_HEAD:
            event = head(p, in[i++]);
            break;
        default:
            i = n;
        }
    }
    *used = i;
    if (event == GEE_MP_MORE && p->state == GEE_MP_CLOSED) { /* no part was open */
        p->state = GEE_MP_EPILOGUE;
        event = GEE_MP_END;
    }
    return event;
}
