/*
 * HTML templates: a subset of Go's html/template, over jansson's values.
 *
 *   gee_html *h = gee_html_new(NULL);
 *   gee_html_func(h, "upper", upper, NULL, 0);
 *   gee_html_glob(h, "templates/?*");
 *   gee_engine_html(e, h);                       (before gee_listen)
 *   ...
 *   gee_html_pack(req, 200, "list.tmpl", "{s:s, s:o}", "title", "Notes", "notes", array);
 *
 * Files are read and parsed once, at start; what is wrong with them is found there, with
 * file and line. From then on the set is constant: any task of any worker renders from it,
 * and no request reads a file. A page is made in memory and sent when it is whole.
 *
 * The language. In {{ and }}; "{{- " and " -}}" also drop the white space outside of them.
 *   {{/ * a comment * /}}                (without these spaces)
 *   {{pipeline}}                         its value, escaped for where it stands
 *   {{$x := pipeline}}                   a variable, to the end of its block
 *   {{if pipeline}} {{else if pipeline}} {{else}} {{end}}
 *   {{range pipeline}} {{else}} {{end}}  an array, or an object in its own order;
 *   {{range $v := …}} {{range $i, $v := …}}      else: it has nothing. null has nothing.
 *   {{with pipeline}} {{else}} {{end}}   . is the value; else: it is not true
 *   {{define "x"}} {{end}}               a template, at the top of a file
 *   {{template "x" pipeline}}            renders x; its . and $ are the value (or null)
 *   {{block "x" pipeline}} {{end}}       both, unless x is defined elsewhere
 * A pipeline is a value, or a function with arguments, or several with | between them: the
 * value on the left is the last argument of the function on the right. Values: . and .a.b,
 * $ (the template's data) and $.a, $x.a, "text\n", `text`, 1, -1.5, true, false, nil,
 * and (a pipeline). A field that an object or null does not have is null; what has no
 * fields is an error. False are: false, 0, "", null, an empty array or object.
 * null is no text. An array or object is text nowhere but in a script.
 * Functions that are always there:
 *   and or not             as in Go: one of the arguments; the first that decides
 *   eq ne lt le gt ge      numbers with numbers, strings by their bytes; eq: with any of
 *   len                    of a string (bytes), array or object;  index value key...
 *
 * Escaping. Each place of a template is found in the HTML around it, when it is loaded:
 *   text, <title>, <textarea>, "quoted" or 'quoted' attributes      as HTML
 *   href, src, action, ... and each attribute with url, uri or src in its name: as an URL.
 *     One that does not begin with http:, https:, mailto: or tel:, and is not relative,
 *     becomes #unsafe. Behind a ? or # of the template's it is a part of a query.
 *   <script> (JavaScript or JSON): as a JSON value; inside of '' or "" there: as text
 *   <style>, style="": only letters, digits, spaces and _.%#,+- ; otherwise it is "unsafe"
 * and what is nowhere safe is refused at load: in a tag's or attribute's name, an attribute
 * without quotes, on... attributes, srcdoc, HTML comments, a regular expression, template
 * literal or comment of a script, a type of script that is not known; and a condition
 * after which it is not known where the page is.
 *
 * Nothing that is in the data can turn this off. Only a function that the program has
 * registered with GEE_HTML_SAFE does, for HTML text, as the last one of a pipeline.
 */
#ifndef GEE_HTML_H
#define GEE_HTML_H

#include "gee/req.h"

typedef struct gee_html gee_html;

typedef struct gee_html_options {
    size_t max_bytes; /* of a page; 0: 4 MiB */
    size_t max_steps; /* texts, actions and turns that a page is made of; 0: 1000000 */
} gee_html_options;

/* Templates and blocks inside one another, and values inside one another in a script. */
enum { GEE_HTML_DEPTH = 64 };

/* NULL: no memory; all calls take that for a set that has failed with UV_ENOMEM. */
gee_html *gee_html_new(const gee_html_options *opt);
/* Not of a set that an engine has. */
void gee_html_free(gee_html *h);

/*
 * A function for templates. It returns a new reference, or NULL: the page fails, and
 * call->error, a string that stays, says why. It runs in the task that renders, on any
 * worker, and must not change its arguments.
 */
typedef struct gee_html_call {
    json_t *const *args; /* borrowed; never NULL */
    size_t n;
    void *arg; /* of gee_html_func */
    const char *error;
} gee_html_call;
typedef json_t *(*gee_html_fn)(gee_html_call *call);

/* What it returns is HTML, and goes into HTML text as it is. */
enum { GEE_HTML_SAFE = 1 };

/*
 * Each of these is 0 or an error; the first one is said on stderr, stays with the set, and
 * is returned by gee_html_compile too: a program may check it there, once. From one task.
 *   UV_EINVAL  a template is wrong, or the name of a function
 *   UV_EEXIST  that name is taken: by a template, or by a function
 *   UV_ENOENT  the pattern matches no file; UV_EFBIG  a file has more than 1 MiB
 *   UV_EBUSY   compiled already;  UV_ENOMEM;  what reading a file returns
 */
/* Before the templates that use it. flags: 0 or GEE_HTML_SAFE. */
int gee_html_func(gee_html *h, const char *name, gee_html_fn fn, void *arg, int flags);
/* All files that match (glob(7)); a template has the name of its file, without the
 * directory. Blocks: call it at start. */
int gee_html_glob(gee_html *h, const char *pattern);
int gee_html_parse(gee_html *h, const char *name, const char *text);
/* When all are there: what they call must exist, and each place has an escaping. */
int gee_html_compile(gee_html *h);
/* "page.tmpl:12: ...", or "". */
const char *gee_html_error(const gee_html *h);

/*
 * Compiles h and gives it to the engine, which frees it, also after an error. The error is
 * the engine's too, for gee_listen. Once for an engine, before gee_listen.
 */
int gee_engine_html(gee_engine *e, gee_html *h);

/*
 * Answers with a template of the engine's set, as text/html. Takes over the reference on
 * data, which nobody may change meanwhile. What goes wrong on the way is said on stderr,
 * and the client gets a 500:
 *   UV_ENOENT  there is no such template, or no set
 *   UV_EINVAL  data is NULL; a function failed, a value is not of the kind that is needed
 *   UV_E2BIG   more than max_bytes, max_steps or GEE_HTML_DEPTH
 *   UV_ENOMEM; and what gee_data returns
 */
int gee_html_render(gee_req *req, int status, const char *name, json_t *data);
/* The same with the data of jansson's json_pack. */
int gee_html_pack(gee_req *req, int status, const char *name, const char *fmt, ...);

/*
 * The page itself, for what is not an answer. *out is zero-terminated, and the caller's to
 * free(). Errors as above, in err in words, "page.tmpl:3: ...", if it is not NULL. data stays
 * the caller's. Anywhere; from any task or thread.
 */
int gee_html_execute(const gee_html *h, const char *name, const json_t *data, char **out, size_t *n,
                     char *err, size_t err_size);

#endif
