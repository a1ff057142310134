# make            the five programs, small and static
# make demo       a container on the spot
# make check      the tests, as root (test/install gets what they need)
# make bench      what the tools cost, beside what else does the same
# make fuzz       the parsers, under clang's libFuzzer
# make install    PREFIX=/usr/local, DESTDIR=

TOOLS = pivot/pivot seal/seal nsjoin/nsjoin idmap/idmap safemount/safemount

all: $(TOOLS)

# What each program is made of. step.c (messages, options, exec) and proc.c
# (/proc, the mount table) are in all of them, once the other three follow.
pivot/pivot: pivot/pivot.c pivot/initramfs.c pivot/step.c pivot/proc.c
seal/seal: seal/seal.c pivot/step.c pivot/proc.c
idmap/idmap: idmap/idmap.c idmap/map.c idmap/namespaces.c idmap/wait.c \
  idmap/terminal.c pivot/step.c pivot/proc.c
nsjoin/nsjoin: $(addprefix nsjoin/,nsjoin.c target.c leave.c confinement.c) \
  idmap/namespaces.c idmap/wait.c idmap/terminal.c pivot/step.c pivot/proc.c
safemount/safemount: $(addprefix safemount/,safemount.c walk.c table.c userns.c) \
  idmap/map.c pivot/step.c pivot/proc.c

SCRIPTS = $(addprefix scripts/,contain contain-boot inject isolate pseudo)
MANUALS = $(wildcard */*.1)

PREFIX = /usr/local
BASH = $(or $(shell command -v bash),/bin/bash)
DESTDIR =
COMPLETIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
CFLAGS = $(SMALL)

# musl makes these programs a tenth of the size that glibc does.
ifeq ($(origin CC),default)
CC := $(if $(shell command -v musl-gcc),musl-gcc,cc)
endif

SMALL := $(shell $(CC) -Oz -E -xc /dev/null >/dev/null 2>&1 && echo -Oz || echo -Os)
BASE = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Wall -Wextra -Wshadow \
  -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections \
  -fno-asynchronous-unwind-tables
START = -static-pie

# Nothing is read-only after relocation: the start code of a static musl program
# does not call mprotect(2), so RELRO would be a header without effect.
LINK = -s -Wl,--gc-sections,-z,norelro,-z,noexecstack,-z,noseparate-code,-z,common-page-size=16

# Debian's musl-gcc is a script around gcc. It hides the kernel's headers, and
# its -static-pie makes a dynamic program: so the start files are named here.
MUSL := $(shell sed -n 's/.*"\(.*\)musl-gcc.specs".*/\1/p' \
  "$$(command -v $(lastword $(filter-out -%,$(CC))))" </dev/null 2>/dev/null)
ifneq ($(MUSL),)
BASE += -idirafter /usr/include -idirafter /usr/include/$(shell $(CC) -print-multiarch)
START = -nostartfiles -static -Wl,-pie,--no-dynamic-linker,-z,text \
  $(MUSL)rcrt1.o $(MUSL)crti.o
END = $(MUSL)crtn.o
endif

$(TOOLS): $(wildcard */*.h */*/*.h) Makefile
	$(CC) $(BASE) $(CPPFLAGS) $(CFLAGS) $(START) -o $@ $(filter %.c,$^) $(END) $(LINK) $(LDFLAGS)

# A container as root and as a user, on the host's own files.
demo: all
	test/demo

# As root, in namespaces of their own: T=test/pivot.bats for one file.
check: all
	test/run $(or $(T),test)

# As root. T=growth for what grows with what.
bench: all
	test/bench $(T)

# T=test/fuzz-map.c for one file, RUNS=1000 for so many runs of each.
fuzz:
	RUNS=$(RUNS) test/fuzz $(T)

SHELLS = $(SCRIPTS) scripts/completion.bash $(wildcard test/*.bash) .ci/run \
  $(addprefix test/,as_user bench demo fuzz install kernels machines run smoke suites toolchains)

lint:
	clang-format --dry-run --Werror $(wildcard */*.[ch] */*/*.h)
	shellcheck -x $(SHELLS)
	shellcheck -s bats $(wildcard test/*.bats)
	shfmt -d -i 2 -ci $(SHELLS)
	for page in $(MANUALS) scripts/nsteps.7; do mandoc -T lint -W warning $$page || exit; done

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(COMPLETIONS)
	install $(TOOLS) $(SCRIPTS) $(DESTDIR)$(PREFIX)/bin
	cd $(DESTDIR)$(PREFIX)/bin && sed -i '1s:.*:\#!$(BASH):' $(notdir $(SCRIPTS))
	install -m 644 $(MANUALS) $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 scripts/nsteps.7 $(DESTDIR)$(PREFIX)/share/man/man7/nsteps.7
	install -m 644 scripts/completion.bash $(COMPLETIONS)/nsteps
	cd $(COMPLETIONS) && \
	  for name in $(notdir $(TOOLS) $(SCRIPTS)); do ln -sf nsteps $$name || exit; done

uninstall:
	cd $(DESTDIR)$(PREFIX)/bin && rm -f $(notdir $(TOOLS) $(SCRIPTS))
	cd $(DESTDIR)$(PREFIX)/share/man/man1 && rm -f $(notdir $(MANUALS)) ../man7/nsteps.7
	cd $(COMPLETIONS) && rm -f nsteps $(notdir $(TOOLS) $(SCRIPTS))

clean:
	rm -f $(TOOLS)

.PHONY: all bench check demo fuzz lint install uninstall clean
