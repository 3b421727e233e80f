/*
 * From addresses to functions and lines, by elfutils. An optimiser has put functions into
 * others; the debug information says which, and where they were called, so a location has a line
 * for each of them, the innermost first.
 *
 * A frame that is no address has a site, "server.c:41". Where its name ends with a space, what
 * is missing is the function in which that line is: "created by " and "chat".
 */
#include "base/symbol.h"
#include "pprof/profile.h"
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

struct resolver {
    gee_prof *p;
    Dwfl *dwfl; /* NULL: nothing is known */
};

static void add_line(gee_prof *p, gee_prof_location *l, const char *name, const char *file,
                     int number) {
    if (!GEE_PROF_ROOM(p, p->lines))
        return;
    uint32_t f = gee_prof_function_at(p, gee_prof_string(p, name), gee_prof_string(p, file));
    if (l->nlines++ == 0)
        l->line_at = (uint32_t)p->lines.n;
    p->lines.at[p->lines.n++] = (gee_prof_line){f, number};
}

/* The unit of an address. clang leaves out the table of addresses: then each unit is asked. */
static Dwarf_Die *unit_of(Dwfl_Module *m, Dwarf_Addr at, Dwarf_Addr *bias) {
    Dwarf_Die *cu = dwfl_module_addrdie(m, at, bias);
    if (cu == NULL)
        while ((cu = dwfl_module_nextcu(m, cu, bias)) != NULL && dwarf_haspc(cu, at - *bias) <= 0)
            ;
    return cu;
}

/* --- mappings --- */

static void build_id(gee_prof *p, gee_prof_mapping *m, Dwfl_Module *module) {
    const unsigned char *bits;
    GElf_Addr at;
    char hex[81] = "";
    int n = dwfl_module_build_id(module, &bits, &at);
    for (int i = 0; i < n && i < 40; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", bits[i]);
    m->build_id = gee_prof_string(p, hex);
}

static uint32_t mapping(gee_prof *p, Dwfl_Module *module) {
    Dwarf_Addr start, end;
    GElf_Addr bias;
    const char *name, *main_file = NULL;
    name = dwfl_module_info(module, NULL, &start, &end, NULL, NULL, &main_file, NULL);
    for (size_t i = 0; i < p->mappings.n; i++)
        if (p->mappings.at[i].start == start)
            return (uint32_t)i + 1;
    if (!GEE_PROF_ROOM(p, p->mappings))
        return 0;
    gee_prof_mapping m = {.start = start, .limit = end};
    m.file = gee_prof_string(p, main_file ? main_file : name);
    if (dwfl_module_getelf(module, &bias)) /* it reads the id, too */
        build_id(p, &m, module);
    p->mappings.at[p->mappings.n++] = m;
    return (uint32_t)p->mappings.n;
}

/* --- an address --- */

static int number_of(Dwarf_Die *die, unsigned attribute) {
    Dwarf_Attribute attr;
    Dwarf_Word value;
    return dwarf_formudata(dwarf_attr(die, attribute, &attr), &value) == 0 ? (int)value : 0;
}

/* Where the inlined function `die` was called. */
static const char *call_file(Dwarf_Die *cu, Dwarf_Die *die) {
    Dwarf_Files *files;
    size_t n;
    size_t i = (size_t)number_of(die, DW_AT_call_file);
    if (dwarf_getsrcfiles(cu, &files, &n) != 0 || i >= n)
        return "";
    return dwarf_filesrc(files, i, NULL, NULL);
}

/* The functions around the address, as far as some are inlined. */
static void functions(gee_prof *p, gee_prof_location *l, Dwarf_Die *cu, Dwarf_Addr at,
                      const char *file, int line) {
    Dwarf_Die *around = NULL, *outer = NULL;
    int n = dwarf_getscopes(cu, at, &around);
    n = n > 0 ? dwarf_getscopes_die(&around[0], &outer) : 0;
    for (int i = 0; i < n; i++) {
        int tag = dwarf_tag(&outer[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        add_line(p, l, dwarf_diename(&outer[i]), file, line);
        if (tag == DW_TAG_subprogram)
            break;
        file = call_file(cu, &outer[i]);
        line = number_of(&outer[i], DW_AT_call_line);
    }
    free(around);
    free(outer);
}

static void address(struct resolver *r, gee_prof_location *l) {
    Dwarf_Addr bias;
    GElf_Sym sym;
    Dwfl_Module *m = r->dwfl ? dwfl_addrmodule(r->dwfl, l->pc) : NULL;
    if (m == NULL)
        return;
    l->mapping = mapping(r->p, m);
    const char *name = dwfl_module_addrinfo(m, l->pc, &l->offset, &sym, NULL, NULL, NULL);
    Dwarf_Die *cu = unit_of(m, l->pc, &bias);
    Dwarf_Line *at = cu ? dwarf_getsrc_die(cu, l->pc - bias) : NULL;
    const char *file = at ? dwarf_linesrc(at, NULL, NULL) : NULL;
    int line = 0;
    if (file && dwarf_lineno(at, &line) == 0)
        functions(r->p, l, cu, l->pc - bias, file, line);
    if (l->nlines == 0 && name)
        add_line(r->p, l, name, file, line);
}

/* --- a site --- */

static bool ends_with(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

/* The innermost function around the address that begins in that file, in front of that line. To
 * clang the unit's own file is number 0, of which libdw knows nothing. */
static const char *function_around(Dwarf_Die *cu, Dwarf_Addr at, const char *in, int line) {
    Dwarf_Die *around = NULL, *outer = NULL;
    int n = dwarf_getscopes(cu, at, &around);
    const char *name = NULL;
    n = n > 0 ? dwarf_getscopes_die(&around[0], &outer) : 0;
    for (int i = 0; i < n && name == NULL; i++) {
        int tag = dwarf_tag(&outer[i]), first = 0;
        const char *file = dwarf_decl_file(&outer[i]);
        if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram) &&
            (file == NULL || ends_with(file, in)) && dwarf_decl_line(&outer[i], &first) == 0 &&
            first <= line)
            name = dwarf_diename(&outer[i]);
    }
    free(around);
    free(outer);
    return name;
}

static const char *function_in_unit(Dwarf_Die *cu, const char *in, int line) {
    Dwarf_Lines *lines;
    size_t n;
    const char *name = NULL;
    if (dwarf_getsrclines(cu, &lines, &n) != 0)
        return NULL;
    for (size_t i = 0; i < n && name == NULL; i++) {
        Dwarf_Line *l = dwarf_onesrcline(lines, i);
        Dwarf_Addr at;
        int number = 0;
        const char *file = dwarf_linesrc(l, NULL, NULL);
        if (dwarf_lineno(l, &number) == 0 && number == line && file && ends_with(file, in) &&
            dwarf_lineaddr(l, &at) == 0)
            name = function_around(cu, at, in, line);
    }
    return name;
}

struct search {
    const char *file, *name;
    int line;
};

/* A site is a line of the source that its unit is called after, or it is in a header: not found. */
static int look_in(Dwfl_Module *m, void **data, const char *module, Dwarf_Addr start, void *arg) {
    struct search *s = arg;
    Dwarf_Addr bias;
    (void)data;
    (void)module;
    (void)start;
    for (Dwarf_Die *cu = NULL;
         s->name == NULL && (cu = dwfl_module_nextcu(m, cu, &bias)) != NULL;) {
        const char *unit = dwarf_diename(cu);
        if (unit && ends_with(unit, s->file))
            s->name = function_in_unit(cu, s->file, s->line);
    }
    return s->name ? DWARF_CB_ABORT : DWARF_CB_OK;
}

static void site(struct resolver *r, gee_prof_location *l) {
    const char *name = r->p->strings.at[l->name], *at = r->p->strings.at[l->site];
    const char *colon = strrchr(at, ':');
    char file[256], whole[320];
    snprintf(file, sizeof(file), "%.*s", colon ? (int)(colon - at) : 0, at);
    struct search s = {.file = file, .line = colon ? atoi(colon + 1) : 0};
    if (!ends_with(name, " ")) {
        add_line(r->p, l, name, file, s.line);
        return;
    }
    if (r->dwfl && s.line > 0)
        dwfl_getmodules(r->dwfl, look_in, &s, 0);
    snprintf(whole, sizeof(whole), "%s%s", name, s.name ? s.name : at);
    add_line(r->p, l, whole, file, s.line);
}

void gee_prof_resolve(gee_prof *p) {
    struct resolver r = {p, gee_symbols_open()};
    Dwfl_Module *program = r.dwfl ? dwfl_addrmodule(r.dwfl, getauxval(AT_ENTRY)) : NULL;
    if (program)
        mapping(p, program); /* the first one is what a profile is of, to its readers */
    for (size_t i = 0; i < p->locations.n; i++) {
        gee_prof_location *l = &p->locations.at[i];
        if (l->nlines > 0) /* of an earlier call */
            continue;
        if (l->pc)
            address(&r, l);
        else
            site(&r, l);
    }
    gee_symbols_close(r.dwfl);
}
