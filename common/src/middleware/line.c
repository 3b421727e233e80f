#include "middleware/line.h"
#include "runtime/worker.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void gee_log_escaped(gee_buf *out, const char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            gee_buf_printf(out, "\\%c", c);
        else if (c < ' ' || c >= 0x7f)
            gee_buf_printf(out, "\\x%02x", c);
        else
            gee_buf_append(out, s, 1);
    }
}

void gee_log_time(gee_buf *out) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(gee_wall_ms() / 1000);
    struct tm tm;
    gmtime_r(&now, &tm);
    gee_buf_printf(out, " [%02d/%.3s/%04d:%02d:%02d:%02d +0000]", tm.tm_mday,
                   months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void gee_log_write(int fd, gee_buf *line) {
    if (gee_buf_size(line) > 0 && write(fd, gee_buf_head(line), gee_buf_size(line)) < 0)
        perror("gee: log");
    gee_buf_free(line);
}
