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

#endif
