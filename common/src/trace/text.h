/*
 * Appending to a buffer that is known to have room: a trace has millions of numbers, and printf
 * would take ten times as long for them.
 */
#ifndef GEE_TRACE_TEXT_H
#define GEE_TRACE_TEXT_H

#include <stdint.h>
#include <string.h>

enum { GEE_TEXT_MOST = 480 }; /* bytes of a string in JSON */

#define gee_put_lit(at, text) (memcpy(at, text, sizeof(text) - 1), (at) + sizeof(text) - 1)

char *gee_put_number(char *at, uint64_t n);
char *gee_put_hex(char *at, uint64_t n); /* 0x1f */
char *gee_put_us(char *at, uint64_t ns); /* 1.500: microseconds */
/* What stands between quotes in JSON (RFC 8259, 7); what is no UTF-8 is a '?'. Cut if need be. */
char *gee_put_text(char *at, const char *text);

#endif
