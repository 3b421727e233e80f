/*
 * Symbols by elfutils. What it reads is opened for one traceback and closed behind it:
 * nothing stays, neither memory nor a descriptor, and a library that was loaded in
 * between is seen. That costs some 20 ms, which a traceback is worth and a loop is not.
 */
#include "base/symbol.h"
#include <elfutils/libdwfl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

struct walk {
    void **frames;
    int n, max;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *at, void *arg) {
    struct walk *w = arg;
    uintptr_t pc = _Unwind_GetIP(at);
    if (pc == 0 || w->n == w->max)
        return _URC_END_OF_STACK;
    w->frames[w->n++] = (void *)pc;
    return _URC_NO_REASON;
}

int gee_frames_take(void **frames, int max) {
    struct walk w = {frames, 0, max};
    _Unwind_Backtrace(on_frame, &w);
    return w.n;
}

gee_symbols *gee_symbols_open(void) {
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_linux_proc_find_elf,
        .find_debuginfo = dwfl_build_id_find_debuginfo, /* the standard one asks the network */
    };
    Dwfl *d = dwfl_begin(&callbacks);
    if (d && (dwfl_linux_proc_report(d, getpid()) != 0 || dwfl_report_end(d, NULL, NULL) != 0)) {
        dwfl_end(d);
        d = NULL;
    }
    return d;
}

const char *gee_symbol_name(gee_symbols *s, const void *at) {
    Dwfl_Module *m = s ? dwfl_addrmodule(s, (uintptr_t)at) : NULL;
    return m ? dwfl_module_addrname(m, (uintptr_t)at) : NULL;
}

void gee_symbols_close(gee_symbols *s) {
    if (s)
        dwfl_end(s);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A return address is that of the next instruction: the call is in front of it. */
static void describe(gee_buf *out, Dwfl *d, int index, uintptr_t pc) {
    Dwfl_Module *m = d ? dwfl_addrmodule(d, pc - 1) : NULL;
    const char *name = m ? dwfl_module_addrname(m, pc - 1) : NULL;
    Dwfl_Line *line = m ? dwfl_module_getsrc(m, pc - 1) : NULL;
    int number = 0;
    const char *file = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
    gee_buf_printf(out, "    #%-2d ", index);
    if (file)
        gee_buf_printf(out, "%s  %s:%d\n", name ? name : "?", file, number);
    else if (m) {
        Dwarf_Addr start;
        const char *module = dwfl_module_info(m, NULL, &start, NULL, NULL, NULL, NULL, NULL);
        gee_buf_printf(out, "%s  (%s+0x%zx)\n", name ? name : "?", base_name(module),
                       (size_t)(pc - start));
    } else {
        gee_buf_printf(out, "0x%zx\n", (size_t)pc);
    }
}

void gee_frames_describe(gee_buf *out, void *const *frames, int n) {
    Dwfl *d = gee_symbols_open();
    for (int i = 0; i < n; i++)
        describe(out, d, i, (uintptr_t)frames[i]);
    gee_symbols_close(d);
}
