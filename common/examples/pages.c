/*
 * A guest book: pages from templates, a form, and a redirect after it.
 *
 *   PORT=8080 build/release/examples/pages       (from the top of this tree)
 *   PAGES=my/templates build/release/examples/pages
 *
 * What a guest writes is data, and stays data wherever a template puts it.
 */
#include "gee/gee.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 100, TEXT_MAX = 500 };

static gee_mutex lock;
static json_t *entries; /* the latest last; each is constant once it is in */

/* {{.text | short 40}} */
static json_t *shortened(gee_html_call *call) {
    const char *s = call->n == 2 ? json_string_value(call->args[1]) : NULL;
    if (s == NULL || !json_is_integer(call->args[0])) {
        call->error = "wants a length and a string";
        return NULL;
    }
    json_int_t max = json_integer_value(call->args[0]);
    size_t n = 0;
    while (s[n] && max > 0) {
        n++;
        while ((s[n] & 0xc0) == 0x80) /* not inside of a character */
            n++;
        max--;
    }
    return json_sprintf("%.*s%s", (int)n, s, s[n] ? "…" : "");
}

static void book(gee_req *req) {
    gee_mutex_lock(NULL, &lock);
    json_t *now = json_copy(entries);
    gee_mutex_unlock(&lock);
    gee_html_pack(req, 200, "book.tmpl", "{s:s, s:o}", "title", "Guest book", "entries", now);
}

static void keep(json_t *entry) {
    gee_mutex_lock(NULL, &lock);
    json_array_append_new(entries, entry);
    if (json_array_size(entries) > KEPT)
        json_array_remove(entries, 0);
    gee_mutex_unlock(&lock);
}

static void sign(gee_req *req) {
    const char *name = gee_form(req, "name"), *site = gee_form(req, "site"),
               *text = gee_form(req, "text");
    json_t *entry = NULL;
    if (name && *name && site && text && strlen(text) <= TEXT_MAX)
        entry = json_pack("{s:s, s:s, s:s}", "name", name, "site", site, "text", text);
    if (entry == NULL) { /* something is missing, or no UTF-8 */
        gee_html_pack(req, 400, "error.tmpl", "{s:s, s:i}", "title", "Not signed", "max", TEXT_MAX);
        return;
    }
    keep(entry);
    gee_redirect(req, 303, "/");
}

int main(void) {
    const char *port = getenv("PORT"), *dir = getenv("PAGES");
    char pattern[512];
    gee_engine *e = gee_engine_new();
    gee_html *h = gee_html_new(NULL);
    if (e == NULL || (entries = json_array()) == NULL)
        return 1;
    snprintf(pattern, sizeof(pattern), "%s/*.tmpl", dir ? dir : "common/examples/pages");
    gee_html_func(h, "short", shortened, NULL, 0);
    gee_html_glob(h, pattern);
    gee_engine_html(e, h); /* an error of these is gee_engine_run's too */
    gee_GET(gee_root(e), "/", book);
    gee_POST(gee_root(e), "/", sign);
    int rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    gee_engine_free(e);
    json_decref(entries);
    return rc ? 1 : 0;
}
