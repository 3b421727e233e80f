#include "web/net.h"
#include "base/decimal.h"
#include <string.h>

/* Without brackets and without a port. */
static bool parse_bare(const char *s, size_t n, struct in6_addr *ip) {
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    if (n >= sizeof(text) || memchr(s, '\0', n))
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, &v4) != 1)
        return inet_pton(AF_INET6, text, ip) == 1;
    *ip = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&ip->s6_addr[12], &v4, sizeof(v4));
    return true;
}

/* Not isdigit: its table is of the locale, and of the thread. */
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_port(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_digit(s[i]))
            return false;
    return n > 0 && n <= 5;
}

bool gee_ip_parse(const char *s, size_t n, struct in6_addr *ip) {
    const char *close = n > 1 && *s == '[' ? memchr(s, ']', n) : NULL;
    const char *colon = close || n == 0 ? NULL : memchr(s, ':', n);
    if (close) {
        size_t inner = (size_t)(close - s) - 1, rest = n - inner - 2;
        return (rest == 0 || (close[1] == ':' && is_port(close + 2, rest - 1))) &&
               memchr(s + 1, ':', inner) && parse_bare(s + 1, inner, ip);
    }
    if (colon && memchr(colon + 1, ':', n - (size_t)(colon - s) - 1) == NULL) {
        size_t host = (size_t)(colon - s); /* one colon: an IPv4 address and a port */
        return is_port(colon + 1, n - host - 1) && parse_bare(s, host, ip);
    }
    return n > 0 && parse_bare(s, n, ip);
}

void gee_ip_text(const struct in6_addr *ip, char *buf) {
    if (IN6_IS_ADDR_V4MAPPED(ip))
        gee_ip4_put(buf, &ip->s6_addr[12]);
    else
        inet_ntop(AF_INET6, ip, buf, INET6_ADDRSTRLEN);
}

static unsigned bit(const struct in6_addr *ip, unsigned i) {
    return (unsigned)ip->s6_addr[i / 8] >> (7 - i % 8) & 1;
}

static bool prefix_length(const char *s, size_t n, unsigned most, unsigned *bits) {
    *bits = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s[i]))
            return false;
        *bits = 10 * *bits + (unsigned)(s[i] - '0');
    }
    return n > 0 && n <= 3 && *bits <= most;
}

bool gee_net_parse(const char *s, size_t n, gee_net *net) {
    const char *slash = n ? memchr(s, '/', n) : NULL;
    size_t host = slash ? (size_t)(slash - s) : n;
    if (!parse_bare(s, host, &net->ip))
        return false;
    bool v4 = memchr(s, ':', host) == NULL;
    net->bits = v4 ? 32 : 128;
    if (slash && !prefix_length(slash + 1, n - host - 1, net->bits, &net->bits))
        return false;
    net->bits += v4 ? 96 : 0;
    for (unsigned i = net->bits; i < 128; i++)
        if (bit(&net->ip, i))
            return false;
    return true;
}

bool gee_net_has(const gee_net *net, const struct in6_addr *ip) {
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(&net->ip, ip, whole) != 0)
        return false;
    return rest == 0 || (net->ip.s6_addr[whole] ^ ip->s6_addr[whole]) >> (8 - rest) == 0;
}
