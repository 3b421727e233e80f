/*
 * Notes over REST, kept in SQLite:
 *
 *   NOTES_DB=/tmp/notes.db PORT=8080 build/release/examples/rest
 *   curl -d '{"title":"milk","text":"two litres"}' localhost:8080/notes
 *   curl 'localhost:8080/notes?limit=20&after=0'      go on after the last one's id
 *   curl -X PUT -d '{"title":"milk","text":"one litre"}' localhost:8080/notes/1
 *   curl -X DELETE localhost:8080/notes/1
 *
 * SQLite blocks its thread, on the disk and on other writers, so every call of it runs
 * on the threadpool while the task is parked. A connection is used by one thread at a
 * time: the idle ones wait in a channel, where a request takes one or parks for one.
 */
#include "gee/gee.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As many connections as libuv has threads for this, unless told otherwise. */
enum { CONNS = 4, BUSY_MS = 2000, PAGE = 50, PAGE_MAX = 1000, TITLE_MAX = 200 };
enum statement { LIST, GET, ADD, PUT, DROP, STATEMENTS };
static const char *const sql[STATEMENTS] = {
    [LIST] = "SELECT id, title, text FROM notes WHERE id > ?1 ORDER BY id LIMIT ?2",
    [GET] = "SELECT id, title, text FROM notes WHERE id = ?1",
    [ADD] = "INSERT INTO notes (title, text) VALUES (?2, ?3) RETURNING id, title, text",
    [PUT] = "UPDATE notes SET title = ?2, text = ?3 WHERE id = ?1 RETURNING id, title, text",
    [DROP] = "DELETE FROM notes WHERE id = ?1 RETURNING id, title, text",
};
static const char schema[] = "PRAGMA journal_mode = WAL;"
                             "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY"
                             " AUTOINCREMENT, title TEXT NOT NULL, text TEXT NOT NULL)";

typedef struct conn {
    sqlite3 *db;
    sqlite3_stmt *prepared[STATEMENTS];
} conn;
static conn conns[CONNS];
static gee_chan *idle; /* of conn * */

static int conn_open(conn *c, const char *path) {
    int rc = sqlite3_open(path, &c->db);
    sqlite3_busy_timeout(c->db, BUSY_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->db, schema, NULL, NULL, NULL);
    for (int i = 0; rc == SQLITE_OK && i < STATEMENTS; i++)
        rc = sqlite3_prepare_v2(c->db, sql[i], -1, &c->prepared[i], NULL);
    if (rc != SQLITE_OK)
        fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(c->db));
    return rc == SQLITE_OK ? gee_chan_try_send(idle, &c) : -1;
}

static void conn_close(conn *c) {
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(c->prepared[i]);
    sqlite3_close(c->db);
}

typedef struct call {
    enum statement statement;
    int64_t id, limit;
    const char *title, *text;
    conn *conn;
    json_t *rows; /* what came of it: the notes, the caller's; */
    int rc;       /* and SQLITE_OK, or why not */
} call;

/* On the threadpool. */
static void perform(void *arg) {
    call *c = arg;
    sqlite3_stmt *s = c->conn->prepared[c->statement];
    sqlite3_bind_int64(s, 1, c->id);
    if (c->statement == LIST)
        sqlite3_bind_int64(s, 2, c->limit);
    if (c->title) {
        sqlite3_bind_text(s, 2, c->title, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, c->text, -1, SQLITE_STATIC);
    }
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        json_int_t id = sqlite3_column_int64(s, 0);
        json_t *note = json_pack("{s:I, s:s, s:s}", "id", id, "title", sqlite3_column_text(s, 1),
                                 "text", sqlite3_column_text(s, 2));
        if (json_array_append_new(c->rows, note) < 0)
            break;
    }
    c->rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    if (c->rc != SQLITE_OK)
        fprintf(stderr, "notes: %s\n", sqlite3_errstr(c->rc));
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
}

static void refuse(gee_req *req, int status, const char *why) {
    gee_json(req, status, "{s:s}", "error", why);
}

/* True: it was done, and c->rows are to be answered with. Otherwise req was answered. */
static bool ask(gee_req *req, call *c) {
    gee_ctx *ctx = gee_req_ctx(req);
    c->rc = SQLITE_INTERRUPT; /* unless perform has run */
    c->rows = json_array();
    if (c->rows && gee_chan_recv(ctx, idle, &c->conn) == 0) {
        gee_blocking(ctx, perform, c);
        gee_chan_try_send(idle, &c->conn); /* it has room for all of them */
    }
    bool busy = c->rc == SQLITE_BUSY || c->rc == SQLITE_INTERRUPT;
    if (c->rc != SQLITE_OK)
        refuse(req, busy ? 503 : 500, busy ? "busy, try again" : "the database failed");
    else if (c->statement != LIST && json_array_size(c->rows) == 0)
        refuse(req, 404, "no such note");
    else
        return true;
    json_decref(c->rows);
    return false;
}

static void answer_note(gee_req *req, int status, call *c) {
    json_t *note = json_incref(json_array_get(c->rows, 0));
    json_decref(c->rows);
    gee_json_value(req, status, note);
}

/* A number in decimal, of at most 18 digits; NULL stands for otherwise. */
static bool number(const char *s, int64_t otherwise, int64_t *n) {
    size_t len = s ? strspn(s, "0123456789") : 0;
    *n = s ? strtoll(s, NULL, 10) : otherwise;
    return s == NULL || (len > 0 && len <= 18 && s[len] == '\0');
}

static void list(gee_req *req) {
    call c = {.statement = LIST};
    if (!number(gee_query(req, "after"), 0, &c.id))
        refuse(req, 400, "after is an id");
    else if (!number(gee_query(req, "limit"), PAGE, &c.limit) || c.limit < 1 || c.limit > PAGE_MAX)
        refuse(req, 400, "limit is a number from 1 to 1000");
    else if (ask(req, &c))
        gee_json_value(req, 200, json_pack("{s:o}", "notes", c.rows));
}

/* GET and DELETE of one note. */
static void one(gee_req *req) {
    call c = {.statement = strcmp(gee_method(req), "DELETE") == 0 ? DROP : GET};
    if (!number(gee_param(req, "id"), 0, &c.id))
        refuse(req, 404, "no such note");
    else if (ask(req, &c))
        answer_note(req, 200, &c);
}

/* POST of a new note, and PUT over an old one: {"title": "...", "text": "..."} */
static void write_note(gee_req *req) {
    const char *body;
    size_t n;
    json_error_t error;
    char place[48];
    call c = {.statement = gee_param(req, "id") ? PUT : ADD};
    int rc = gee_body(req, &body, &n);
    if (rc < 0) {
        refuse(req, gee_body_status(rc), "the body cannot be read");
        return;
    }
    json_t *note = json_loadb(body, n, 0, &error);
    if (note == NULL ||
        json_unpack_ex(note, &error, JSON_STRICT, "{s:s, s:s}", "title", &c.title, "text", &c.text))
        refuse(req, 400, error.text);
    else if (*c.title == '\0' || strlen(c.title) > TITLE_MAX)
        refuse(req, 400, "title has 1 to 200 bytes");
    else if (!number(gee_param(req, "id"), 0, &c.id))
        refuse(req, 404, "no such note");
    else if (ask(req, &c)) {
        json_t *id = json_object_get(json_array_get(c.rows, 0), "id");
        snprintf(place, sizeof(place), "/notes/%lld", (long long)json_integer_value(id));
        gee_set_header(req, "Location", place);
        answer_note(req, c.statement == ADD ? 201 : 200, &c);
    }
    json_decref(note);
}

int main(void) {
    const char *port = getenv("PORT"), *path = getenv("NOTES_DB");
    gee_engine *e = gee_engine_new();
    idle = gee_chan_new(sizeof(conn *), CONNS);
    int rc = e && idle ? 0 : UV_ENOMEM;
    for (int i = 0; rc == 0 && i < CONNS; i++)
        rc = conn_open(&conns[i], path ? path : "notes.db");
    if (rc == 0) {
        gee_GET(gee_root(e), "/notes", list);
        gee_POST(gee_root(e), "/notes", write_note);
        gee_GET(gee_root(e), "/notes/:id", one);
        gee_PUT(gee_root(e), "/notes/:id", write_note);
        gee_DELETE(gee_root(e), "/notes/:id", one);
        rc = gee_engine_run(e, "127.0.0.1", port ? atoi(port) : 8080);
    }
    for (int i = 0; i < CONNS; i++) /* no request is left to use them */
        conn_close(&conns[i]);
    gee_chan_unref(idle);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
