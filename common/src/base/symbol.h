/* Code addresses as functions and lines, from the debug information of this process. */
#ifndef GEE_BASE_SYMBOL_H
#define GEE_BASE_SYMBOL_H

#include "base/buf.h"

/* The return addresses of the calling task or thread, innermost first; how many. */
int gee_frames_take(void **frames, int max);

/*
 * Appends a line for each return address: "    #0  name  file.c:12". Where there is
 * no debug information a frame is the name of its function, or its module and offset.
 */
void gee_frames_describe(gee_buf *out, void *const *frames, int n);

/*
 * The name of the function at an address, valid until `s` is closed; NULL: it is not known.
 * Opening reads files, and takes milliseconds; if it fails it is NULL, which the others take.
 */
typedef struct Dwfl gee_symbols;
gee_symbols *gee_symbols_open(void);
const char *gee_symbol_name(gee_symbols *s, const void *at);
void gee_symbols_close(gee_symbols *s);

#endif
