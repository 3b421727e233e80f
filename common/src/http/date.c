/* HTTP-dates: the Date header, made once a second per worker (RFC 9110, 6.6.1), and reading them.
 */
#include "base/tools.h"
#include "http/http.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

const char *gee_date_line(size_t *len) {
    static _Thread_local char line[64];
    static _Thread_local int line_len;
    static _Thread_local uint64_t for_ns = UINT64_MAX;
    gee_worker *w = gee_worker_self();
    uint64_t ns = w->now_ns / 1000000000;
    if (ns != for_ns) {
        time_t now = (time_t)(gee_wall_ms() / 1000);
        struct tm tm;
        gee_tsan_ignore_begin(); /* the worker's, whichever of its tasks comes first */
        gmtime_r(&now, &tm);
        line_len = snprintf(line, sizeof(line), "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
                            days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
                            tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        gee_tsan_ignore_end();
        for_ns = ns;
    }
    *len = (size_t)line_len;
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
