# What the tests of this chapter need beside the rules of all (tests/tools/lessons.mk).

# They hold a thread in its malloc (hold.h).
$(B)/ch03-races/test_copy.% $(B)/ch03-races/test_keys.%: LDFLAGS += -Wl,--wrap=malloc
# It holds a thread that asks who sent its request.
$(B)/ch03-races/test_clientip.%: LDFLAGS += -Wl,--wrap=gee_ip_text
$(B)/ch03-races/work/test_keys.%: LDFLAGS += $(WRAP_keys)

# The stores, for their test and for the program of `make stores`.
STORES := $(patsubst %.c,$(B)/%.o,$(wildcard ch03-races/stores/*.c))
STORES_BENCH := $(B)/ch03-races/stores/bench.o $(B)/ch03-races/stores/common.o
$(patsubst %,$(B)/ch03-races/test_stores.%,fixed $(STATES)): $(filter-out $(STORES_BENCH),$(STORES))
$(B)/ch03-races/test_stores.%: LDFLAGS += -Wl,--wrap=malloc -Wl,--wrap=calloc
$(B)/ch03-races/stores/bench: $(STORES) $(LIB)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LIBS)
