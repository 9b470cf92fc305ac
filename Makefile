# make            build the library and the tool urx
# make install    PREFIX, DESTDIR, BINDIR, LIBDIR, INCLUDEDIR, MANDIR as usual; COMPLETIONDIR, PYTHONDIR, CRATEDIR
# make wheel      a Python wheel with the library inside, in target/wheel
# make demo       the main job, from a bare checkout: installs what is missing, builds, shows
# make check      every test there is, the kernels in the VM included
# make check-host all but the VM
# make check-vm   KERNEL="5.10 6.1 6.12 6.18 latest", TEST=name: one piece
# make bench      ratios to ISA-L, crc-fast, memcpy and code by hand in one run; make bench-quick: the short of it
# make bench-vm   the same for requests to emulated NVMe, KERNEL=latest
# make tsan       workers and zones under ThreadSanitizer: minutes
# make fuzz       the fuzz targets, SECONDS=60 each
# make header     include/liburing-ext.h anew, from src/capi/
# make clean

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
# Where the Python of this PREFIX looks, else where Debian's does
PYTHONDIR ?= $(or $(shell python3 -c 'import site; print(next(d for d in site.getsitepackages() \
	if d.startswith("$(PREFIX)/lib/")))' 2>/dev/null),$(PREFIX)/lib/python3/dist-packages)
CRATEDIR ?= $(PREFIX)/share/cargo/registry/liburing-ext-$(VERSION)
CARGO ?= cargo
KERNEL ?= 5.10 6.1 6.12 6.18 latest
TEST ?=

BUILT = $(or $(CARGO_TARGET_DIR),target)/release
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SONAME = liburing-ext.so.$(firstword $(subst ., ,$(VERSION)))
INSTALL = install -D -m 644

all: lib
	@$(MAKE) --no-print-directory $(BUILT)/urx

lib:
	$(CARGO) build --release --locked

# Not linked again while nothing has changed: several checks install at the same time.
$(BUILT)/urx: $(wildcard tools/*.[ch]) include/liburing-ext.h $(BUILT)/liburing_ext.so
	$(CC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra $(CFLAGS) -Iinclude $(filter %.c,$^) -o $@ \
		$(BUILT)/liburing_ext.so -luring $(LDFLAGS)

install: all
	install -D -m 755 $(BUILT)/urx $(DESTDIR)$(BINDIR)/urx
	install -D -m 755 $(BUILT)/liburing_ext.so $(DESTDIR)$(LIBDIR)/liburing-ext.so.$(VERSION)
	ln -sf liburing-ext.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/liburing-ext.so
	$(INSTALL) $(BUILT)/liburing_ext.a $(DESTDIR)$(LIBDIR)/liburing-ext.a
	$(INSTALL) include/liburing-ext.h $(DESTDIR)$(INCLUDEDIR)/liburing-ext.h
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(addprefix $(DESTDIR)$(MANDIR)/man,1 3 7)
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' pkgconfig/liburing-ext.pc.in \
		> $(DESTDIR)$(LIBDIR)/pkgconfig/liburing-ext.pc
	install -m 644 man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 man/*.3 $(DESTDIR)$(MANDIR)/man3
	install -m 644 man/*.7 $(DESTDIR)$(MANDIR)/man7
	install -d $(DESTDIR)$(PYTHONDIR)/liburing_ext $(DESTDIR)$(CRATEDIR)
	install -m 644 python/liburing_ext/*.py python/liburing_ext/py.typed $(DESTDIR)$(PYTHONDIR)/liburing_ext
	cp -R Cargo.toml build.rs README.md LICENSE-MIT LICENSE-APACHE src $(DESTDIR)$(CRATEDIR)
	$(INSTALL) tools/completion.bash $(DESTDIR)$(COMPLETIONDIR)/urx

wheel: all
	mkdir -p $(BUILT)/../wheel
	python3 python/backend.py $(BUILT)/liburing_ext.so $(BUILT)/../wheel

demo:
	tests/deps build
	examples/demo

check:
	tests/deps build check vm
	tests/check host $(addprefix vm-,$(KERNEL))

check-host:
	tests/deps build check
	tests/check host

check-vm:
	tests/deps build vm
	TEST="$(TEST)" tests/check $(addprefix vm-,$(KERNEL))

bench:
	tests/deps build bench
	benches/run

bench-quick:
	tests/deps build bench
	benches/run --quick

bench-vm:
	tests/deps build bench vm
	KERNEL="$(lastword $(KERNEL))" benches/run --vm

tsan:
	tests/tsan

fuzz:
	fuzz/run $(or $(SECONDS),60)

header:
	BLESS=1 $(CARGO) test --quiet --test header

clean:
	$(CARGO) clean

.PHONY: all lib install wheel demo check check-host check-vm bench bench-quick bench-vm tsan fuzz header clean
