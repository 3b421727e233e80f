/* The records of gee/audit.h as lines. */
#ifndef GEE_MIDDLEWARE_RECORD_H
#define GEE_MIDDLEWARE_RECORD_H

#include "gee/audit.h"

/* r as JSON, with a line end, into buf of GEE_AUDIT_LINE bytes; how many. */
size_t gee_audit_line(const gee_audit_record *r, char *buf);

#endif
