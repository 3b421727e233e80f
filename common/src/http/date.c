/* The Date header, made once a second per worker (RFC 9110, 6.6.1). */
#include "base/tools.h"
#include "http/http.h"
#include <stdio.h>
#include <time.h>

const char *gee_date_line(size_t *len) {
    static _Thread_local char line[64];
    static _Thread_local int line_len;
    static _Thread_local uint64_t for_ns = UINT64_MAX;
    gee_worker *w = gee_worker_self();
    uint64_t ns = w->now_ns / 1000000000;
    if (ns != for_ns) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
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
