# What the tests of this chapter need beside the rules of all (tests/tools/lessons.mk).

# It has a malloc with a lock of its own, and finds a thread that waits for itself.
$(B)/ch04-pprof/test_sampler.%: LDFLAGS += -Wl,--wrap=malloc -Wl,--wrap=free -Wl,--wrap=pthread_mutex_lock
