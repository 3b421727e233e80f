# How everything is compiled, and what it is linked with: in this tree and in a pack for a workshop.

# Of the rules that make has of its own none is used, and it would try them all on each header.
MAKEFLAGS += --no-builtin-rules

comma := ,

FLAVOUR ?= release
B       := build/$(FLAVOUR)

# --- flavours: one tree each under build/ ---

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wpointer-arith -Werror
CPPFLAGS += -D_GNU_SOURCE -Icommon/include -Icommon/src -Icommon/otlp-curl
CFLAGS_common := -std=c11 -g -fno-omit-frame-pointer -fstack-clash-protection $(WARN)

CC_release  := gcc
CC_clang    := clang
CC_debug    := gcc
CC_asan     := gcc
CC_tsan     := clang
CC_valgrind := gcc
CC_fuzz     := clang

# Without the table of addresses, which gcc makes unasked, a symbol costs a look at each unit.
OPT_release  := -O2 -fno-plt
OPT_clang    := -O2 -gdwarf-aranges
OPT_debug    := -O0
OPT_asan     := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
OPT_tsan     := -O1 -gdwarf-aranges -fsanitize=thread
OPT_valgrind := -O1 -DGEE_VALGRIND
OPT_fuzz     := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

FLAVOURS := release clang debug asan tsan valgrind fuzz
ifeq ($(filter $(FLAVOUR),$(FLAVOURS)),)
$(error FLAVOUR=$(FLAVOUR): it is one of $(FLAVOURS))
endif

# For who packages it: hardening, -ffile-prefix-map, -Wno-error for a compiler that is newer than we.
EXTRA_CFLAGS  ?=
EXTRA_LDFLAGS ?=

# For programs: a call in tail position keeps the caller's frame, and a profile shows it.
WHOLE_STACKS := -fno-optimize-sibling-calls

CC      := $(CC_$(FLAVOUR))
CFLAGS  := $(CFLAGS_common) $(OPT_$(FLAVOUR)) $(EXTRA_CFLAGS)
LDFLAGS := $(filter -fsanitize=%,$(OPT_$(FLAVOUR))) $(EXTRA_LDFLAGS)

# What carries tasks is not instrumented for TSan: see common/src/base/tools.h.
TSAN_CARRIERS := base runtime ctx sync http trace
ifeq ($(FLAVOUR),tsan)
CPPFLAGS += -DGEE_TSAN
$(foreach l,$(TSAN_CARRIERS),$(eval $(B)/common/src/$(l)/%.o: CFLAGS += -fno-sanitize=thread))
endif

# --- libraries ---

PKG := $(shell pkg-config --exists libuv 2>/dev/null && echo yes)
ifeq ($(PKG),yes)
CPPFLAGS += $(shell pkg-config --cflags libuv jansson libdw zlib)
LIBS     := $(shell pkg-config --libs libuv jansson libdw zlib) -lm -lboost_context -lpthread
LLHTTP_PKG := $(shell pkg-config --exists libllhttp 2>/dev/null && echo yes)
ifeq ($(LLHTTP_PKG),yes)
CPPFLAGS += $(shell pkg-config --cflags libllhttp)
LIBS     += $(shell pkg-config --libs libllhttp)
else
CPPFLAGS    += -isystem /usr/share/include/llhttp
LLHTTP_OBJS := $(patsubst /usr/share/llhttp/%.c,$(B)/llhttp/%.o,$(wildcard /usr/share/llhttp/*.c))
endif
TEST_LIBS := -Wl,--as-needed $(shell pkg-config --libs cmocka libcurl 2>/dev/null)
endif

# Tests in which memory and libuv are made to fail, or a thread is held in an allocation.
WRAP_signals := -Wl,--wrap=calloc -Wl,--wrap=uv_signal_start
WRAP_keys    := -Wl,--wrap=malloc -Wl,--wrap=realloc -Wl,--wrap=sched_yield
