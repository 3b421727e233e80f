/*
 * What a complete request head must be, beyond what a parser can say of its bytes:
 * the target's form, one valid Host, and a body framed in exactly one way. Also whether the
 * connection goes on behind it.
 *
 * Whatever two readers could understand in two ways is refused, and the connection
 * with it (RFC 9112, 6.3 and 11.2). So Transfer-Encoding is "chunked" or nothing,
 * and Content-Length is one number.
 */
#include "base/tools.h"
#include "http/bytes.h"
#include "http/http.h"
#include <string.h>
#include <strings.h>

/* RFC 9110, 5.5: white space around a value is not part of it. llhttp skips what is in front. */
static void trim(gee_field *f) {
    size_t n = f->value_len;
    while (n > 0 && (f->value[n - 1] == ' ' || f->value[n - 1] == '\t'))
        n--;
    if (n < f->value_len)
        ((char *)f->value)[n] = '\0'; /* it is in the arena */
    f->value_len = n;
}

#define IS(f, literal) GEE_IS_TOKEN((f)->name, (f)->name_len, literal)

/* ":8080", or nothing; RFC 3986, 3.2.3: the colon alone is allowed there. */
static bool is_port(const char *s, size_t n) {
    unsigned port = 0;
    if (n == 0)
        return true;
    if (*s != ':' || n > 6)
        return false;
    for (size_t i = 1; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        port = 10 * port + (unsigned)(s[i] - '0');
    }
    return port <= 65535;
}

/*
 * host [":" port], RFC 9110, 7.2. A name is of letters, digits and "-._~": the other
 * bytes that RFC 3986 lets through are in no DNS name, and a comma would be a second
 * host that somebody has joined to the first.
 */
static bool look_at_host(const char *s, size_t n) {
    size_t host = 0;
    if (n > 0 && *s == '[') {
        char ip[48];
        struct in6_addr addr;
        const char *end = memchr(s, ']', n);
        host = end ? (size_t)(end - s) + 1 : 0;
        if (host < 2 || host - 2 >= sizeof(ip))
            return false;
        memcpy(ip, s + 1, host - 2);
        ip[host - 2] = '\0';
        /* libuv takes a zone too, which is of one machine and not of a URI */
        if (strchr(ip, '%') || uv_inet_pton(AF_INET6, ip, &addr) != 0)
            return false;
    } else {
        host = gee_prefix(s, n, GEE_HOST);
    }
    return host > 0 && is_port(s + host, n - host);
}

/* The clients of a server ask for one host, or a few: the worker keeps the latest that was right.
 */
static bool is_host(const char *s, size_t n) {
    static _Thread_local struct {
        uint32_t n;
        char text[60];
    } right;                 /* a line of the cache */
    gee_tsan_ignore_begin(); /* whichever of its tasks comes first */
    bool ok = n > 0 && n == right.n && memcmp(s, right.text, n) == 0;
    if (!ok && look_at_host(s, n)) {
        ok = true;
        right.n = n <= sizeof(right.text) ? (uint32_t)n : 0;
        memcpy(right.text, s, right.n);
    }
    gee_tsan_ignore_end();
    return ok;
}

/* RFC 9112, 3.2.2: the host of a target in absolute form is the one; Host's is ignored. */
static int take_authority(gee_exchange *x, gee_field *host) {
    const char *at = strstr(x->target, "://") + 3;
    size_t n = strcspn(at, "/?");
    if (!is_host(at, n))
        return 400;
    if (host == NULL && (host = gee_fields_push(&x->fields, x->arena)) != NULL) {
        host->name = "Host";
        host->name_len = 4;
    }
    char *copy = host ? gee_arena_strndup(x->arena, at, n) : NULL;
    if (copy == NULL)
        return 503;
    host->value = copy;
    host->value_len = n;
    return 0;
}

/* The four forms of a target, RFC 9112, 3.2. */
static int check_target(gee_exchange *x, gee_field *host) {
    const char *t = x->target;
    if (gee_same(x->method, "CONNECT"))
        return 501; /* no proxy is here */
    if (*t == '/')
        return 0;
    if (gee_same(t, "*"))
        return strcmp(x->method, "OPTIONS") == 0 ? 0 : 400;
    if (strncasecmp(t, "http://", 7) == 0 || strncasecmp(t, "https://", 8) == 0)
        return take_authority(x, host);
    return 400;
}

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/*
 * RFC 9112, 6.1: a coding that is not known is 501. What is no list of codings, or
 * has "chunked" in it other than once and last, is 400.
 */
static int check_codings(const char *s) {
    bool chunked = false;
    int known = 1;
    for (;;) {
        size_t n = strcspn(s, ", \t");
        if (n == 0 || chunked)
            return 400;
        for (size_t i = 0; i < n; i++)
            if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_' && s[i] != '.')
                return 400;
        chunked = n == 7 && strncasecmp(s, "chunked", 7) == 0;
        known &= chunked;
        s += n + strspn(s + n, " \t");
        if (*s == '\0')
            return known ? 0 : 501;
        if (*s++ != ',')
            return 400;
        s += strspn(s, " \t");
    }
}

enum { CLOSE = 1, KEEP_ALIVE = 2 };

/* Which of these are in a list; what stands between commas and white space is one of it. */
static unsigned connection_options(const char *s) {
    unsigned options = 0;
    while (*s) {
        size_t n = strcspn(s, ", \t");
        options |= GEE_IS_TOKEN(s, n, "close") ? CLOSE : 0;
        options |= GEE_IS_TOKEN(s, n, "keep-alive") ? KEEP_ALIVE : 0;
        s += n + strspn(s + n, ", \t");
    }
    return options;
}

/* RFC 9112, 9.3. */
static bool is_kept_alive(const gee_exchange *x, unsigned options) {
    return !(options & CLOSE) && (x->minor > 0 || options & KEEP_ALIVE);
}

static bool is_number(const gee_field *f) {
    return f->value_len > 0 && strspn(f->value, "0123456789") == f->value_len;
}

int gee_head_check(gee_exchange *x) {
    gee_field *host = NULL, *coding = NULL, *length = NULL;
    unsigned options = 0;
    int status = 0;
    for (size_t i = 0; i < x->fields.n; i++) {
        gee_field *f = &x->fields.at[i], **one = NULL;
        trim(f);
        if (IS(f, "host"))
            one = &host;
        else if (IS(f, "transfer-encoding"))
            one = &coding;
        else if (IS(f, "content-length"))
            one = &length;
        else if (IS(f, "connection"))
            options |= connection_options(f->value);
        else if (IS(f, "expect") && x->minor > 0) {
            /* RFC 9110, 10.1.1 */
            x->expect_continue = strcasecmp(f->value, "100-continue") == 0;
            status = x->expect_continue ? status : 417;
        }
        if (one && *one)
            return 400; /* twice */
        if (one)
            *one = f;
    }
    if (host ? !is_host(host->value, host->value_len) : x->minor > 0)
        return 400;
    if (coding && (length || x->minor == 0))
        return 400;
    if (length && !is_number(length))
        return 400;
    int rc = check_target(x, host);
    if (rc == 0 && coding)
        rc = check_codings(coding->value);
    x->chunked = coding != NULL; /* or it is refused */
    x->keep_alive = is_kept_alive(x, options);
    return rc ? rc : status;
}
