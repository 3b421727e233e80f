/* The pages that are no profiles: what there is, the command line, and names of addresses. */
#include "base/symbol.h"
#include "pprof/pprof.h"
#include "sync/pool.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<title>/debug/pprof/</title>\n<style>body { font-family: sans-serif; margin: 2em }\n"
    "td { padding: .2em 1.5em .2em 0; vertical-align: top } code { white-space: nowrap }\n"
    "</style>\n</head>\n<body>\n<h1>/debug/pprof/</h1>\n<table>\n";

static const char tail[] =
    "</table>\n<p>Without <code>?debug=</code> each profile is a file for tools:</p>\n"
    "<pre>go tool pprof -http=: http://localhost:PORT/debug/pprof/goroutine</pre>\n"
    "<p><code>?seconds=30</code> is what changes in that time; it is for tools only.</p>\n"
    "</body>\n</html>\n";

static void row(gee_buf *b, const gee_prof_row *r) {
    gee_buf_printf(b, "<tr><td><a href=\"/debug/pprof/%s%s\">%s</a></td><td>%s</td><td>", r->name,
                   r->kind ? "?debug=1" : "", r->name, r->about);
    if (r->kind && r->kind->traces)
        gee_buf_printf(b, "<a href=\"/debug/pprof/%s?debug=2\">each</a>", r->name);
    gee_buf_printf(b, "</td></tr>\n");
}

void gee_prof_index_page(gee_req *req) {
    gee_buf b = {0};
    gee_buf_printf(&b, "%s", head);
    for (const gee_prof_row *r = gee_prof_rows; r->name; r++)
        row(&b, r);
    gee_buf_printf(&b, "%s", tail);
    gee_data(req, 200, "text/html; charset=utf-8", gee_buf_head(&b), gee_buf_size(&b));
    gee_buf_free(&b);
}

/* Its arguments, with a zero between two of them, as Go has it. */
static void read_cmdline(void *arg) {
    gee_buf *b = arg;
    FILE *f = fopen("/proc/self/cmdline", "rb");
    char piece[4096];
    for (size_t n; f && (n = fread(piece, 1, sizeof(piece), f)) > 0;)
        gee_buf_append(b, piece, n);
    if (f)
        fclose(f);
    if (b->len > 0 && b->data[b->len - 1] == '\0')
        b->len--;
}

void gee_prof_cmdline_page(gee_req *req) {
    gee_buf b = {0};
    if (gee_blocking_in(&gee_framework_lane, NULL, read_cmdline, &b) < 0 || b.len == 0)
        gee_fail(req, 503);
    else
        gee_data(req, 200, "text/plain; charset=utf-8", gee_buf_head(&b), gee_buf_size(&b));
    gee_buf_free(&b);
}

/* --- addresses, as "0x401234+0x401250", in the query or the body --- */

struct names {
    const char *addresses;
    gee_buf out;
};

static void look_up(void *arg) {
    struct names *n = arg;
    gee_symbols *s = gee_symbols_open();
    /* So many are known: pprof asks for nothing when it is 0. */
    gee_buf_printf(&n->out, "num_symbols: %d\n", s ? 1 : 0);
    for (const char *at = n->addresses; *at;) {
        char *end;
        uintptr_t pc = (uintptr_t)strtoull(at, &end, 0);
        const char *name = end != at && pc ? gee_symbol_name(s, (const void *)pc) : NULL;
        if (name)
            gee_buf_printf(&n->out, "%#" PRIxPTR " %s\n", pc, name);
        if (*end != '+' && *end != ' ')
            break;
        at = end + 1;
    }
    gee_symbols_close(s);
}

void gee_prof_symbol_page(gee_req *req) {
    const char *target = strchr(gee_target(req), '?');
    struct names n = {.addresses = target ? target + 1 : ""};
    size_t size;
    int rc = 0;
    if (strcmp(gee_method(req), "POST") == 0)
        rc = gee_body(req, &n.addresses, &size);
    if (rc < 0) {
        gee_fail(req, gee_body_status(rc));
        return;
    }
    if (gee_blocking_in(&gee_framework_lane, NULL, look_up, &n) < 0)
        gee_fail(req, 503);
    else
        gee_data(req, 200, "text/plain; charset=utf-8", gee_buf_head(&n.out), gee_buf_size(&n.out));
    gee_buf_free(&n.out);
}
