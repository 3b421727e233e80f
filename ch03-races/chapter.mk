# What the tests of this chapter need beside the rules of all (tests/tools/lessons.mk).

# They hold a thread in its malloc (hold.h).
$(B)/ch03-races/test_copy.% $(B)/ch03-races/test_keys.%: LDFLAGS += -Wl,--wrap=malloc

# The stores, and the program that compares what they cost.
STORES := $(patsubst %.c,$(B)/%.o,$(wildcard ch03-races/stores/*.c))
BENCH_STORES := $(B)/ch03-races/stores/bench.o
$(B)/ch03-races/test_stores.fixed: $(filter-out $(BENCH_STORES),$(STORES))
$(B)/ch03-races/test_stores.%: LDFLAGS += -Wl,--wrap=malloc -Wl,--wrap=calloc
