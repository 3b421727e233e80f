/*
 * What clients send: a form with files, and JSON.
 *
 *   $ mkdir -p uploads && build/release/examples/upload &
 *   $ curl -F title=Hills -F photo=@hills.jpg localhost:8080/photos
 *   $ curl --json '{"name": "ada", "age": "x"}' localhost:8080/people
 *   {"error":"age: expected integer, got string"}
 *
 * The server's limit for a body is 8 MiB (gee_limits.body_bytes): beyond it, 413.
 */
#include "gee/gee.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PHOTO_BYTES = 4 * 1024 * 1024 };

static int save(gee_multipart *mp) {
    char path[300];
    const char *name = gee_part_basename(mp);
    if (name == NULL)
        return 0; /* no file was chosen */
    snprintf(path, sizeof(path), "uploads/%s", name);
    return gee_part_save(mp, AT_FDCWD, path, PHOTO_BYTES);
}

static void photos(gee_req *req) {
    gee_multipart *mp;
    const gee_part *part;
    const char *title = "";
    size_t n;
    int files = 0, rc = gee_multipart_open(req, NULL, &mp);
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        rc = part->filename ? save(mp) : gee_part_text(mp, 1000, &title, &n);
        files += rc == 0 && part->filename;
    }
    if (rc == 0)
        rc = gee_json(req, 201, "{s:s, s:i}", "title", title, "files", files);
    if (rc < 0)
        gee_fail(req, rc == UV_EEXIST ? 409 : gee_body_status(rc));
}

/* Goes on after the answer, with a copy of the request. */
static void welcome(gee_ctx *ctx, void *arg) {
    gee_req *copy = arg;
    if (gee_sleep(ctx, 1000) == 0)
        printf("a letter to %s, who came from %s\n", (const char *)gee_get(copy, "name"),
               gee_remote(copy));
    gee_req_release(copy);
}

static void people(gee_req *req) {
    const char *name;
    int age = 0;
    if (gee_json_bind(req, "{s:s, s?i}", "name", &name, "age", &age) < 0)
        return;
    char *own = strdup(name);
    if (own == NULL || gee_set(req, "name", own, free) < 0)
        free(own);
    gee_req *copy = gee_req_copy(req);
    if (copy && gee_go(gee_req_ctx(copy), welcome, copy) < 0)
        gee_req_release(copy);
    gee_json(req, 201, "{s:s, s:i}", "name", name, "age", age);
}

int main(void) {
    gee_engine *e = gee_engine_new();
    gee_POST(gee_root(e), "/photos", photos);
    gee_POST(gee_root(e), "/people", people);
    int rc = gee_engine_run(e, "127.0.0.1", 8080);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
