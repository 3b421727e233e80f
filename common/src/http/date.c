/* HTTP-dates: the Date header, made once a second per worker (RFC 9110, 6.6.1), and reading them.
 */
#include "base/tools.h"
#include "http/http.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static char *put_digits(char *at, int n, int digits) {
    for (int i = digits - 1; i >= 0; i--, n /= 10)
        at[i] = (char)('0' + n % 10);
    return at + digits;
}

/* By hand: it is made for each file that is served, and snprintf takes twenty times as long. */
bool gee_date_text(int64_t s, char out[GEE_DATE_SIZE]) {
    time_t t = (time_t)s;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year >= 8100)
        return false;
    memcpy(out, "Sun, 01 Jan 1970 00:00:00 GMT", GEE_DATE_SIZE);
    memcpy(out, days + 3 * tm.tm_wday, 3);
    put_digits(out + 5, tm.tm_mday, 2);
    memcpy(out + 8, months + 3 * tm.tm_mon, 3);
    put_digits(out + 12, tm.tm_year + 1900, 4);
    put_digits(out + 17, tm.tm_hour, 2);
    put_digits(out + 20, tm.tm_min, 2);
    put_digits(out + 23, tm.tm_sec, 2);
    return true;
}

const char *gee_date_line(size_t *len) {
    static _Thread_local char line[] = "Date: Sun, 01 Jan 1970 00:00:00 GMT\r\n";
    static _Thread_local uint64_t for_ns = UINT64_MAX;
    gee_worker *w = gee_worker_self();
    uint64_t ns = w->now_ns / 1000000000;
    if (ns != for_ns) {
        char text[GEE_DATE_SIZE];
        gee_tsan_ignore_begin(); /* the worker's, whichever of its tasks comes first */
        if (gee_date_text((int64_t)(gee_wall_ms() / 1000), text))
            memcpy(line + 6, text, GEE_DATE_SIZE - 1);
        gee_tsan_ignore_end();
        for_ns = ns;
    }
    *len = sizeof(line) - 1;
    return line;
}

static bool month_of(const char *name, struct tm *tm) {
    const char *at = strlen(name) == 3 ? strstr(months, name) : NULL;
    tm->tm_mon = at ? (int)(at - months) / 3 : 0;
    return at && (at - months) % 3 == 0;
}

bool gee_date_parse(const char *text, int64_t *out) {
    struct tm tm = {0};
    char month[4];
    int end = 0, year;
    if (sscanf(text, "%*3[A-Za-z], %2d %3s %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month, &year,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) == 6 &&
        end > 0) {
        tm.tm_year = year - 1900;
    } else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm.tm_mday, month,
                      &year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) == 6 &&
               end > 0) {
        tm.tm_year = year < 70 ? year + 100 : year;
    } else if (sscanf(text, "%*3[A-Za-z] %3s %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday,
                      &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &year, &end) == 6 &&
               end > 0) {
        tm.tm_year = year - 1900;
    } else {
        return false;
    }
    if (text[end] != '\0' || !month_of(month, &tm))
        return false;
    *out = timegm(&tm);
    return true;
}
