# Installing, for programs outside this tree: headers, libgee.a, libgee.so, gee.pc, man pages, what gdb
# needs to show tasks; and, where libcurl is, libgee-otlp.a with gee-otlp.pc.
#
# The shared library exports what the public headers declare and nothing else: the
# list is made from them (exports.map), so that no header needs a mark and no internal
# name, llhttp's included, can meet one of the program's. Its objects are a tree of
# their own, build/pic. Until the interface is frozen the soname stays at 0, which
# promises nothing.
#
# gdb looks for DATADIR/gdb/auto-load/<real path of libgee.so.0>-gdb.py when it meets the library. It
# does in its own prefix, so with PREFIX=/usr `gee tasks` is there unasked. Elsewhere, and for a program
# that has libgee.a in it, `source` loads DATADIR/gee/gee-gdb.py. All of it reads debug information,
# which is why nothing is stripped here; what a packager splits off, gdb finds by its build id.

GEE_VERSION := 0.1.0
GEE_SONAME  := libgee.so.0

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
INSTALL    ?= install

GDBDIR   := $(DATADIR)/gdb/auto-load$(LIBDIR)
HEADERS  := $(wildcard common/include/gee/*.h)
ifneq ($(OTLP_LIBS),)
INSTALL_OTLP := install-otlp
endif
PIC      := build/pic
PIC_OBJS := $(SRCS:%.c=$(PIC)/%.o) $(LLHTTP_OBJS:$(B)/%=$(PIC)/%)

# What the public headers include, a program needs as well; the rest of LIBS only when
# it links libgee.a.
# Under -std=c11 <uv.h> does not compile by itself: it wants POSIX to be visible.
PC_CFLAGS   := -D_DEFAULT_SOURCE
PC_REQUIRES := libuv jansson
PC_PRIVATE   = $(filter-out $(shell pkg-config --libs $(PC_REQUIRES)),$(LIBS))

.PHONY: install uninstall install-files install-otlp shared man
install:
	@$(DEPS) install
	@$(AGAIN) -j $(shell nproc) FLAVOUR=release install-files

shared: $(PIC)/$(GEE_SONAME)

man: build/man/man7/gee.7
build/man/man7/gee.7: $(HEADERS) common/otlp-curl/gee/otlp_curl.h tests/tools/man.py README.md common/examples/hello.c
	@echo "  MAN     build/man"
	@python3 tests/tools/man.py build/man

$(PIC)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -MMD -MP -c $< -o $@

$(PIC)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) -I/usr/share/include/llhttp -O2 -g -fno-omit-frame-pointer -fPIC -c $< -o $@

# Comments are gone after the preprocessor, and the macros with them: what is left of
# the form gee_x( is a declaration.
$(PIC)/exports.map: $(HEADERS)
	@mkdir -p $(@D)
	@{ echo '{ global:'; \
	   for h in $(HEADERS:common/include/%=%); do echo "#include <$$h>"; done | \
	       $(CC) $(CPPFLAGS) -E -P - | grep -o '\bgee_[A-Za-z0-9_]*(' | sort -u | tr '(' ';'; \
	   echo 'local: *; };'; } >$@.tmp
	@mv $@.tmp $@

$(PIC)/$(GEE_SONAME): $(PIC_OBJS) $(PIC)/exports.map
	@echo "  LD      $@"
	@$(CC) -shared $(LDFLAGS) -Wl,-soname,$(GEE_SONAME) -Wl,--version-script,$(PIC)/exports.map \
	    -Wl,-z,defs -Wl,--as-needed -o $@ $(PIC_OBJS) $(LIBS)

install-files: $(LIB) shared man $(INSTALL_OTLP)
	$(INSTALL) -d $(DESTDIR)$(INCLUDEDIR)/gee $(DESTDIR)$(LIBDIR)/pkgconfig \
	    $(DESTDIR)$(MANDIR)/man3 $(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(DATADIR)/gee $(DESTDIR)$(GDBDIR)
	$(INSTALL) -m 644 $(HEADERS) $(DESTDIR)$(INCLUDEDIR)/gee
	$(INSTALL) -m 644 $(LIB) $(DESTDIR)$(LIBDIR)/libgee.a
	$(INSTALL) -m 755 $(PIC)/$(GEE_SONAME) $(DESTDIR)$(LIBDIR)/$(GEE_SONAME)
	ln -sf $(GEE_SONAME) $(DESTDIR)$(LIBDIR)/libgee.so
	$(INSTALL) -m 644 common/gdb/gee-gdb.py $(DESTDIR)$(DATADIR)/gee/gee-gdb.py
	ln -sfr $(DESTDIR)$(DATADIR)/gee/gee-gdb.py $(DESTDIR)$(GDBDIR)/$(GEE_SONAME)-gdb.py
	@echo "man pages -> $(DESTDIR)$(MANDIR)"
	@$(INSTALL) -m 644 build/man/man3/*.3 $(DESTDIR)$(MANDIR)/man3
	@$(INSTALL) -m 644 build/man/man7/gee.7 $(DESTDIR)$(MANDIR)/man7
	@echo "gee.pc -> $(DESTDIR)$(LIBDIR)/pkgconfig/gee.pc"
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
	    'Name: gee' 'Description: Web framework in C with goroutine-like tasks' \
	    'Version: $(GEE_VERSION)' 'Requires: $(PC_REQUIRES)' 'Cflags: -I$${includedir} $(PC_CFLAGS)' \
	    'Libs: -L$${libdir} -lgee' 'Libs.private: $(strip $(PC_PRIVATE))' \
	    >$(DESTDIR)$(LIBDIR)/pkgconfig/gee.pc

# Static only: a few calls around libcurl, whose own library the program has shared.
install-otlp: $(LIB_OTLP)
	$(INSTALL) -d $(DESTDIR)$(INCLUDEDIR)/gee $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL) -m 644 common/otlp-curl/gee/otlp_curl.h $(DESTDIR)$(INCLUDEDIR)/gee
	$(INSTALL) -m 644 $(LIB_OTLP) $(DESTDIR)$(LIBDIR)/libgee-otlp.a
	@echo "gee-otlp.pc -> $(DESTDIR)$(LIBDIR)/pkgconfig/gee-otlp.pc"
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
	    'Name: gee-otlp' 'Description: OTLP export of gee by libcurl' \
	    'Version: $(GEE_VERSION)' 'Requires: gee libcurl' 'Cflags: -I$${includedir}' \
	    'Libs: -L$${libdir} -lgee-otlp' \
	    >$(DESTDIR)$(LIBDIR)/pkgconfig/gee-otlp.pc

# With the variables that were given to install.
uninstall:
	rm -rf $(DESTDIR)$(INCLUDEDIR)/gee $(DESTDIR)$(DATADIR)/gee
	rm -f $(DESTDIR)$(GDBDIR)/$(GEE_SONAME)-gdb.py
	rm -f $(DESTDIR)$(LIBDIR)/libgee.a $(DESTDIR)$(LIBDIR)/libgee.so \
	    $(DESTDIR)$(LIBDIR)/$(GEE_SONAME) $(DESTDIR)$(LIBDIR)/pkgconfig/gee.pc \
	    $(DESTDIR)$(LIBDIR)/libgee-otlp.a $(DESTDIR)$(LIBDIR)/pkgconfig/gee-otlp.pc
	rm -f $(DESTDIR)$(MANDIR)/man3/gee_*.3 $(DESTDIR)$(MANDIR)/man7/gee.7

-include $(shell find $(PIC) -name '*.d' 2>/dev/null)
