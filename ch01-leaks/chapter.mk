# What the chapter's programs need beside what every chapter's do.

# It sees what is freed while libuv still has it.
$(B)/ch01-leaks/test_signals.%: LDFLAGS += -Wl,--wrap=free
$(B)/ch01-leaks/work/test_signals.%: LDFLAGS += $(WRAP_signals)
