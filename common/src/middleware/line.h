/* The lines of logs, in the manner of Apache's. */
#ifndef GEE_MIDDLEWARE_LINE_H
#define GEE_MIDDLEWARE_LINE_H

#include "base/buf.h"

/* What comes from a client: \" \\ and \xhh. A line stays a line. */
void gee_log_escaped(gee_buf *out, const char *s);
/* " [25/Dec/2026:18:00:00 +0000]": now. */
void gee_log_time(gee_buf *out);
/* In one write, so that workers and processes do not mix theirs; frees line. */
void gee_log_write(int fd, gee_buf *line);

#endif
