# What the chapter's programs need beside what every chapter's do.

# It sees what is freed while libuv still has it.
$(B)/ch01-leaks/test_signals.%: LDFLAGS += -Wl,--wrap=free
# And what is used behind its free, closed twice, done too early, printed of a panic.
$(B)/ch01-leaks/test_idle.%: LDFLAGS += -Wl,--wrap=free
$(B)/ch01-leaks/test_static.%: LDFLAGS += -Wl,--wrap=close
$(B)/ch01-leaks/test_fanout.%: LDFLAGS += -Wl,--wrap=gee_waitgroup_done -Wl,--wrap=gee_panic_print

$(B)/ch01-leaks/work/test_signals.%: LDFLAGS += $(WRAP_signals)
