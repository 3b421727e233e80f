# What the tests of this chapter need beside the rules of all (tests/tools/lessons.mk).

# They hold a thread in its malloc (hold.h).
$(B)/ch03-races/test_copy.% $(B)/ch03-races/test_keys.%: LDFLAGS += -Wl,--wrap=malloc
