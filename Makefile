# Gee in C. `make help` lists what there is to say.

.DEFAULT_GOAL := all

include tests/tools/flavours.mk

LIB      := $(B)/libgee.a
SRCS     := $(wildcard common/src/*/*.c)
OBJS     := $(SRCS:%.c=$(B)/%.o)

# What needs libcurl is a library of its own.
LIB_OTLP  := $(B)/libgee-otlp.a
OTLP_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard common/otlp-curl/*.c))
OTLP_LIBS := $(shell pkg-config --libs libcurl 2>/dev/null)

# --- what people call ---
#
# On a fresh machine nothing that a target needs may be there yet, and this file
# has been read without it. So each of these first lets deps.sh install what its
# group names (silent when all is there), and then starts make again.

AGAIN  := $(MAKE) --no-print-directory
DEPS   := sh tests/tools/deps.sh
# What a flavour needs and gcc is not.
GROUP_clang    := clang
GROUP_tsan     := clang
GROUP_fuzz     := clang
GROUP_valgrind := valgrind
LESSON := python3 tests/tools/lesson.py
SELECT := $(if $(CH),$(CH)) $(if $(CASE),--case $(CASE))

.PHONY: all test check-broken check-fixed serve-broken serve-fixed diff bench test-browser \
        clean-room deps help clean repairs stores transcripts onion staircase matrix soak builds storm flame
all:
	@$(DEPS) build $(GROUP_$(FLAVOUR))
	@$(AGAIN) -j $(shell nproc) build

test:
	@$(DEPS) test pprof
	@python3 tests/tools/suite.py $(PART)

check-broken:
	@$(DEPS) check
	@$(LESSON) broken $(SELECT)

check-fixed:
	@$(DEPS) check
	@$(LESSON) fixed $(SELECT)

serve-broken serve-fixed:
	@$(DEPS) check
	@$(LESSON) serve $(patsubst serve-%,%,$@) $(SELECT)

diff:
	@$(DEPS) check
	@$(LESSON) diff $(SELECT)

.PHONY: census
census:
	@$(DEPS) check
	@python3 tests/tools/census.py $(SELECT)

bench: bench_args = $(if $(ONLY),--only '$(ONLY)') $(if $(ROUNDS),--rounds '$(ROUNDS)')
bench:
	@$(DEPS) bench
	@python3 tests/bench/bench.py $(bench_args) --check
	@$(AGAIN) -j $(shell nproc) FLAVOUR=release bench-programs
	@python3 tests/bench/bench.py $(bench_args)
	@$(if $(ONLY),,python3 tests/bench/cpuprof.py)

.PHONY: leaks test-readers
leaks:
	@$(if $(URL),,echo "which server? make leaks URL=http://localhost:8080" >&2; exit 2)
	@python3 tests/tools/trace_join.py '$(URL)' $(if $(SECONDS),--seconds $(SECONDS)) || [ $$? -eq 1 ]

test-readers:
	@$(DEPS) check readers
	@$(AGAIN) -j $(shell nproc) FLAVOUR=debug build/debug/ch04-pprof/server.fixed
	@npm install --prefix build/readers --no-audit --no-fund --ignore-scripts --silent speedscope@1.25.0
	@python3 tests/tools/trace.py --readers

test-browser:
	@$(DEPS) check browser
	@$(AGAIN) -j $(shell nproc) examples
	@python3 tests/tools/browser.py

.PHONY: hunt hunt-check
hunt:
	@$(DEPS) check
	@python3 tests/tools/hunt.py run $(if $(SEED),--seed $(SEED)) $(if $(HUNT_S),--seconds $(HUNT_S))

hunt-check:
	@$(DEPS) check
	@python3 tests/tools/hunt.py check $(if $(SEED),--seed $(SEED)) --answer "$(ANSWER)"

stores:
	@$(DEPS) stores
	@python3 tests/tools/stores.py

STORM_S ?= 60
storm:
	@$(DEPS) check clang valgrind
	@python3 tests/tools/storm.py --seconds $(STORM_S)

# A chapter's perf.sh draws it: CH=04, ch04 or ch04-pprof.
FLAME := $(firstword $(wildcard ch$(patsubst ch%,%,$(CH))*/perf.sh))
flame:
	@$(DEPS) flame
	@$(if $(FLAME),sh $(FLAME),echo "make flame CH=04: which chapter has a perf.sh? $(wildcard ch*/perf.sh)" >&2; false)

repairs:
	@$(DEPS) check
	@python3 tests/tools/repairs.py $(CH)

transcripts:
	@$(DEPS) check
	@python3 tests/tools/transcripts.py --renew

onion:
	@$(DEPS) check
	@python3 tests/tools/onion.py --renew

staircase:
	@$(DEPS) check
	@python3 tests/tools/staircase.py $(if $(STATE),--state $(STATE))

matrix:
	@$(DEPS) check matrix
	@python3 tests/tools/matrix.py $(if $(CH),--chapter $(CH)) $(if $(CASE),--case $(CASE)) $(if $(TOOL),--tool $(TOOL)) $(if $(WRITE),--write)

soak:
	@$(DEPS) check
	@python3 tests/tools/soak.py $(if $(TIMES),--times $(TIMES))

builds:
	@$(DEPS) check clang
	@python3 tests/tools/builds.py

# For tools that read a source by themselves.
.PHONY: flags
flags:
	@echo '$(CPPFLAGS)'

.PHONY: timeline
timeline:
	@$(DEPS) check
	@python3 tests/tools/timeline.py --renew

clean-room:
	@sh tests/tools/clean-room.sh $(RELEASE)

deps:
	@$(DEPS) test pprof bench

help:
	@echo 'make                build the library and the examples (installs what is missing)'
	@echo 'make check-broken   each case of the broken chapters must fail, for its own reason'
	@echo 'make check-fixed    the same tests over the repaired framework must all pass'
	@echo '                      CH=01 or CH=ch01-leaks: one chapter; CASE=sse-disconnect: one case'
	@echo 'make serve-broken CH=01     the server of a chapter, to look at with curl; PORT=8080;'
	@echo '                      CASE=sse-disconnect: with this defect alone'
	@echo 'make serve-fixed CH=01      the same over the repaired framework'
	@echo 'make diff CH=01             what the repair changes'
	@echo 'make staircase      each state of the framework, S0 to the last: it fails exactly what it should'
	@echo 'make matrix         what each of ten tools sees of each case (an hour; CASE=, TOOL=: some cells)'
	@echo 'make soak TIMES=20  both checks over and over, with other seeds and busy cores'
	@echo 'make builds         gcc and clang, llhttp as sources and as a library: what builds and serves'
	@echo 'make census CH=01           what 100 visitors leave behind, broken against fixed, as a table'
	@echo 'make test           everything that a change must pass; PART="debug tsan": some of it'
	@echo 'make repairs CH=01   waitgroup, cancellation, recover: each against every leak, from runs'
	@echo 'make stores         mutex, rwmutex, sync.Map, snapshot, ctx: ns an operation, a table and a plot'
	@echo 'make storm STORM_S=60   all of /debug in loops under load: release, TSan, memcheck'
	@echo 'make flame CH=04    broken beside fixed under load, as flame graphs (perf), under build/flame'
	@echo 'make hunt           a server with three faults, under load: find them with /debug/pprof; SEED=7'
	@echo 'make hunt-check SEED=7 ANSWER="vans scale"   whether it is they'
	@echo 'make transcripts    what the lessons show of a terminal, renewed from runs'
	@echo 'make onion          the picture of a chain, drawn anew from a request'
	@echo 'make timeline       the picture of a trace, drawn anew from one'
	@echo 'make fuzz FUZZ_S=60     libFuzzer over the parser and over a server in simulation, so many seconds each'
	@echo 'make bench          what a request, a stream, a task cost, beside nginx, h2o, Go and others:'
	@echo '                      docs/performance.md; ONLY=hello,micro ROUNDS=3: some of it'
	@echo 'make test-browser   an EventSource in headless Chromium (installs Chromium)'
	@echo 'make leaks URL=http://localhost:8080     the tasks that start and do not finish, in a trace of'
	@echo '                      SECONDS=5 joined with a snapshot, and the paths of their creation'
	@echo 'make test-readers   speedscope, in headless Chromium, opens a trace (installs both)'
	@echo 'make install        headers, libgee.a, libgee.so, gee.pc, man pages, gdb; DESTDIR, PREFIX=/usr/local'
	@echo 'make man            the reference as man pages, under build/man: man -M build/man gee'
	@echo 'make uninstall      the same variables as install was given'
	@echo 'make clean-room RELEASE=bookworm   the checks in a Debian tree of their own (root)'
	@$(AGAIN) workshop-help
	@echo 'make deps           install all that the above needs; make clean'

clean:
	rm -rf build

# --- the library ---

.PHONY: build
build: $(LIB) examples

# A file asked for by its name, on a machine where nothing was installed.
ifneq ($(PKG),yes)
.PHONY: libuv-is-missing
libuv-is-missing:
	@echo "libuv is not installed (or pkg-config): make deps" >&2; false
$(OBJS): libuv-is-missing
endif

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) -I/usr/share/include/llhttp -O2 -g -fno-omit-frame-pointer -c $< -o $@

$(LIB): $(OBJS) $(LLHTTP_OBJS)
	@echo "  AR      $@"
	@rm -f $@
	@ar rcs $@ $^

$(LIB_OTLP): $(OTLP_OBJS)
	@echo "  AR      $@"
	@rm -f $@
	@ar rcs $@ $^

# --- tests of common ---

TESTLIB_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/lib/*.c))
TESTS        := $(patsubst tests/common/%.c,$(B)/tests/common/%,$(wildcard tests/common/test_*.c))
CPPFLAGS_tests := -Itests/lib
# These flavours are about the library; a test itself is optimised, and warned about, in release.
UNOPTIMISED := $(if $(filter clang asan tsan valgrind,$(FLAVOUR)),-O0)
$(B)/tests/%.o: CPPFLAGS += $(CPPFLAGS_tests)
$(B)/tests/common/%.o: CFLAGS += $(WHOLE_STACKS) $(UNOPTIMISED)

$(B)/tests/common/test_%: $(B)/tests/common/test_%.o $(TESTLIB_OBJS) $(LIB)
	$(link)

$(B)/tests/common/test_otlp_curl: $(B)/tests/common/test_otlp_curl.o $(TESTLIB_OBJS) $(LIB_OTLP) $(LIB)
	$(link)

$(B)/tests/common/test_signals $(B)/tests/common/test_signals.%: LDFLAGS += $(WRAP_signals)
$(B)/tests/common/test_keys $(B)/tests/common/test_keys.%: LDFLAGS += $(WRAP_keys)

.PHONY: tests
tests: $(TESTS)

# A program that prints what a document shows: tests/tools/onion.py.
$(B)/tests/tools/%: $(B)/tests/tools/%.o $(TESTLIB_OBJS) $(LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LIBS) $(TEST_LIBS)

# --- examples ---

$(B)/common/examples/%.o: CFLAGS += $(WHOLE_STACKS)

# The library knows nothing of SQLite: one example does.
EXAMPLES := $(patsubst common/examples/%.c,$(B)/examples/%,$(wildcard common/examples/*.c))
ifneq ($(shell pkg-config --exists sqlite3 2>/dev/null && echo yes),yes)
NO_SQLITE := $(B)/examples/rest
endif
$(B)/common/examples/rest.o: CPPFLAGS += $(shell pkg-config --cflags sqlite3 2>/dev/null)
$(B)/examples/rest: LIBS += $(shell pkg-config --libs sqlite3 2>/dev/null)
.PHONY: examples
examples: $(filter-out $(NO_SQLITE),$(EXAMPLES))
	$(if $(NO_SQLITE),@echo "  skipped: $(NO_SQLITE): libsqlite3-dev is not installed")
$(B)/examples/%: $(B)/common/examples/%.o $(LIB)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

include tests/tools/lessons.mk
include tests/tools/workshop.mk

# What participants get: a chapter without its answers.
.PHONY: workshop-pack
workshop-pack:
	@$(DEPS) check clang valgrind
	@python3 tests/tools/pack.py $(CH)
$(filter-out %/test_otlp_curl,$(call on_each_state,test_otlp_curl)): $(OTLP_OBJS)
include tests/bench/bench.mk
include tests/fuzz/fuzz.mk
include common/install.mk

-include $(shell find build/$(FLAVOUR) -name '*.d' 2>/dev/null)
.SECONDARY:
