/*
 * The text of a short answer. Most formats have no conversions but %s, %d and %%, and printf, which
 * knows many more, takes longer for those than all the rest of an answer does.
 */
#include "web/web.h"
#include <string.h>

typedef struct text {
    char *at;
    size_t left;
} text;

static bool put(text *t, const char *s, size_t n) {
    if (n > t->left)
        return false;
    memcpy(t->at, s, n);
    t->at += n;
    t->left -= n;
    return true;
}

static bool put_string(text *t, const char *s) {
    return s && put(t, s, strlen(s)); /* what NULL is, printf says */
}

static bool put_number(text *t, int number) {
    char digits[12];
    size_t at = sizeof(digits);
    unsigned n = number < 0 ? 0U - (unsigned)number : (unsigned)number;
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    if (number < 0)
        digits[--at] = '-';
    return put(t, digits + at, sizeof(digits) - at);
}

int gee_text_plain(char *to, size_t room, const char *fmt, va_list ap) {
    text t = {to, room};
    for (;;) {
        size_t n = (size_t)(strchrnul(fmt, '%') - fmt);
        if (!put(&t, fmt, n))
            return -1;
        fmt += n;
        if (*fmt == '\0')
            return (int)(t.at - to);
        bool fits = fmt[1] == 's'   ? put_string(&t, va_arg(ap, const char *))
                    : fmt[1] == 'd' ? put_number(&t, va_arg(ap, int))
                                    : fmt[1] == '%' && put(&t, fmt, 1);
        if (!fits)
            return -1;
        fmt += 2;
    }
}
