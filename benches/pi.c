/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Times software protection information: the shared library through its C API, and others that do the
 * same work. benches/run compiles and runs this; docs/benchmarks.md says how and why.
 *
 *     pi [--quick] TIER PI_CSV LIMITS_CSV [PEER VERSION LIBRARY]...
 *
 * appends a row a pair to PI_CSV and one a case to LIMITS_CSV. PEER is isal or crc-fast.
 * Everybody's tuples are compared with the library's before anything is timed.
 */
#include <dlfcn.h>
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

#include <liburing-ext.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define INLINE static inline __attribute__((always_inline))
#define DIE(...) (fprintf(stderr, "benches/pi: "), fprintf(stderr, __VA_ARGS__), fputs("\n", stderr), exit(1))

enum { APP = 0x1234 };
static const uint64_t REF = 0x12345678;

/* What there is to do: some blocks, in memory. The rest is worked out from it. */
enum op { GENERATE, VERIFY, COPY, OPS };
struct job {
	uint32_t guard; /* URX_GUARD_ */
	enum op op;
	bool interleaved;
	size_t interval, tuple, stride, blocks;
	uint8_t *data, *meta, *bare; /* meta: that of the first block; bare: what is copied from */
	size_t meta_stride;
	struct urx_pi pi;
	struct urx_tags tags;
};

/* ------------------------------------------------------------------ the library */

static void must(const char *what, int rc)
{
	if (rc)
		DIE("%s: %s", what, strerror(-rc));
}

static void ours(const struct job *j)
{
	void *meta = j->interleaved ? NULL : j->meta;

	if (j->op == GENERATE) {
		must("urx_pi_generate", urx_pi_generate(&j->pi, &j->tags, j->data, meta, j->blocks));
	} else if (j->op == VERIFY) {
		must("urx_pi_verify",
		     urx_pi_verify(&j->pi, &j->tags, j->data, meta, j->blocks, NULL));
	} else {
		struct iovec bare = { j->bare, j->blocks * j->interval };
		struct iovec data = { j->data, j->blocks * j->stride };
		struct iovec apart = { meta, j->blocks * j->tuple };
		struct urx_pi_vec v = { .data = &data, .data_cnt = 1,
					.meta = j->interleaved ? NULL : &apart,
					.meta_cnt = !j->interleaved };

		must("urx_pi_copy_generatev", urx_pi_copy_generatev(&j->pi, &j->tags, &v, &bare, 1));
	}
}

/* ------------------------------------------------------------------ peers */

/* A peer brings a checksum; what it takes to make protection information of it is written here, once,
 * and compiled anew for each of them. */
enum sum { ISAL16, ISAL16_COPY, ISAL32, ISAL64, FAST16, FAST32, FAST64, PLAIN_IP };

union function {
	void *symbol;
	uint16_t (*isal16)(uint16_t, const uint8_t *, uint64_t);
	uint16_t (*isal16_copy)(uint16_t, uint8_t *, const uint8_t *, uint64_t);
	unsigned (*isal32)(const uint8_t *, int, unsigned);
	uint64_t (*isal64)(uint64_t, const uint8_t *, uint64_t);
	uint64_t (*fast)(const uint8_t *, size_t);
};

/* The Internet checksum as one writes it down: words of 32 bits into one of 64, the carries at the end. */
static uint16_t plain_ip(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += 4) {
		uint32_t word;

		memcpy(&word, p + i, 4);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return be16toh((uint16_t)~sum);
}

INLINE uint64_t checksum(enum sum sum, union function f, const uint8_t *p, size_t len)
{
	switch (sum) {
	case ISAL16:
	case ISAL16_COPY:
		return f.isal16(0, p, len);
	case ISAL32:
		return (uint32_t)~f.isal32(p, (int)len, ~0u);
	case ISAL64:
		return f.isal64(0, p, len);
	case FAST16:
	case FAST32:
	case FAST64:
		return f.fast(p, len);
	case PLAIN_IP:
		return plain_ip(p, len);
	}
	return 0;
}

/* A tuple as one or two big-endian words. */
struct words {
	uint64_t first, second;
};

INLINE struct words encode(enum sum sum, uint64_t guard, uint64_t ref)
{
	switch (sum) {
	case ISAL32:
	case FAST32: /* guard, app, 80 bits of ref */
		return (struct words){ htobe64(guard << 32 | APP << 16), htobe64(ref) };
	case ISAL64:
	case FAST64: /* guard, app, 48 bits of ref */
		return (struct words){ htobe64(guard), htobe64((uint64_t)APP << 48 | ref) };
	default: /* guard, app, 32 bits of ref */
		return (struct words){ htobe64(guard << 48 | (uint64_t)APP << 32 | ref), 0 };
	}
}

INLINE size_t width(enum sum sum)
{
	return sum == ISAL32 || sum == FAST32 || sum == ISAL64 || sum == FAST64 ? 16 : 8;
}

INLINE void peer(const struct job *j, enum sum sum, union function f)
{
	size_t wrong = 0;

	for (size_t i = 0; i < j->blocks; i++) {
		uint8_t *data = j->data + i * j->stride, *meta = j->meta + i * j->meta_stride;
		struct words words, found;
		uint64_t guard;

		if (j->op == COPY && sum == ISAL16_COPY) {
			guard = f.isal16_copy(0, data, j->bare + i * j->interval, j->interval);
		} else {
			if (j->op == COPY)
				memcpy(data, j->bare + i * j->interval, j->interval);
			guard = checksum(sum, f, data, j->interval);
		}
		words = encode(sum, guard, REF + i);
		if (j->op == VERIFY) {
			memcpy(&found, meta, width(sum));
			wrong += found.first != words.first ||
				 (width(sum) > 8 && found.second != words.second);
		} else {
			memcpy(meta, &words, width(sum));
		}
	}
	if (wrong)
		DIE("a peer finds %zu wrong blocks", wrong);
}

#define PEER(name, sum) \
	static void name(const struct job *j, union function f) { peer(j, sum, f); }
PEER(isal16, ISAL16)
PEER(isal16_copy, ISAL16_COPY)
PEER(isal32, ISAL32)
PEER(isal64, ISAL64)
PEER(fast16, FAST16)
PEER(fast32, FAST32)
PEER(fast64, FAST64)
PEER(ip, PLAIN_IP)

/* Kinds of peers, in the order of their rows. */
static const struct kind {
	const char *peer, *symbol; /* "": in this file */
	uint32_t guard;
	void (*run)(const struct job *, union function);
	const char *name, *copy; /* in the CSV; NULL: does not do that */
} kinds[] = {
	{ "isal", "crc16_t10dif", URX_GUARD_T10DIF, isal16, "isal", NULL },
	{ "isal", "crc16_t10dif_copy", URX_GUARD_T10DIF, isal16_copy, NULL, "isal-copy" },
	{ "isal", "crc16_t10dif", URX_GUARD_T10DIF, isal16, NULL, "memcpy+isal" },
	{ "isal", "crc32_iscsi", URX_GUARD_CRC32C, isal32, "isal", "memcpy+isal" },
	{ "isal", "crc64_rocksoft_refl", URX_GUARD_CRC64, isal64, "isal", "memcpy+isal" },
	/* What ISA-L takes on a CPU without VPCLMULQDQ, and without AVX: the peers of lesser tiers. */
	{ "isal", "crc16_t10dif_02", URX_GUARD_T10DIF, isal16, "isal-avx", NULL },
	{ "isal", "crc32_iscsi_01", URX_GUARD_CRC32C, isal32, "isal-avx", NULL },
	{ "isal", "crc64_rocksoft_refl_by8", URX_GUARD_CRC64, isal64, "isal-avx", NULL },
	{ "isal", "crc16_t10dif_01", URX_GUARD_T10DIF, isal16, "isal-sse", NULL },
	{ "crc-fast", "bench_crc16_t10dif", URX_GUARD_T10DIF, fast16, "crc-fast", "memcpy+crc-fast" },
	{ "crc-fast", "bench_crc32c", URX_GUARD_CRC32C, fast32, "crc-fast", "memcpy+crc-fast" },
	{ "crc-fast", "bench_crc64_nvme", URX_GUARD_CRC64, fast64, "crc-fast", "memcpy+crc-fast" },
	{ "plain-c", "", URX_GUARD_IP, ip, "plain-c", "memcpy+plain-c" },
};

/* ------------------------------------------------------------------ limits */

typedef uint64_t vector __attribute__((vector_size(32), aligned(1)));
static volatile uint64_t sink;

INLINE void read_all(const uint8_t *p, size_t len)
{
	vector a = { 0 }, b = a, c = a, d = a;

	for (size_t i = 0; i + 128 <= len; i += 128) {
		a ^= *(const vector *)(p + i);
		b ^= *(const vector *)(p + i + 32);
		c ^= *(const vector *)(p + i + 64);
		d ^= *(const vector *)(p + i + 96);
	}
	a ^= b ^ c ^ d;
	sink = a[0] ^ a[1] ^ a[2] ^ a[3];
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void read_avx2(const uint8_t *p, size_t len)
{
	read_all(p, len);
}
#endif

static void read_plain(const uint8_t *p, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) {
		read_avx2(p, len);
		return;
	}
#endif
	read_all(p, len);
}

/* Nothing but the reading, or the copying, of as many bytes. */
static void limit(const struct job *j)
{
	if (j->op == COPY)
		memcpy(j->data, j->bare, j->blocks * j->interval);
	else
		read_plain(j->data, j->blocks * j->stride);
}

/* ------------------------------------------------------------------ measuring */

#define MAX_CONTESTANTS 12
#define MAX_ROUNDS 101

/* The library, a limit or a peer. */
struct contestant {
	const char *name, *version;
	void (*plain)(const struct job *); /* or: */
	void (*run)(const struct job *, union function);
	union function function;
	size_t times; /* runs in a sample */
	double ns[MAX_ROUNDS]; /* a block */
};

static void once(const struct contestant *c, const struct job *j)
{
	if (c->plain)
		c->plain(j);
	else
		c->run(j, c->function);
}

/* What this thread spent, so that other programs do not count. */
static double thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double timed(const struct contestant *c, const struct job *j, size_t times)
{
	double start = thread_ns();

	for (size_t i = 0; i < times; i++)
		once(c, j);
	return thread_ns() - start;
}

/* About a millisecond of scalar code: the clock recovers from whatever ran before. */
static void pause_scalar(void)
{
	double end = thread_ns() + 1e6;
	uint64_t x = 1;

	do {
		for (int i = 0; i < 2000; i++)
			x = x * 6364136223846793005u + 1;
		sink = x;
	} while (thread_ns() < end);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, size_t n)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), ascending);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Rounds in which everyone takes a sample; who begins changes from round to round. */
static void measure(struct contestant *c, size_t n, const struct job *j, size_t rounds, double sample)
{
	for (size_t i = 0; i < n; i++) {
		double ns;

		c[i].times = 1;
		once(&c[i], j);
		while ((ns = timed(&c[i], j, c[i].times)) < sample / 8)
			c[i].times *= 2;
		c[i].times = (size_t)((double)c[i].times * sample / ns) + 1;
	}
	for (size_t round = 0; round < rounds; round++) {
		for (size_t k = 0; k < n; k++) {
			struct contestant *now = &c[(round + k) % n];

			pause_scalar();
			if (now->times > 1)
				timed(now, j, now->times / 8 + 1); /* brings data and code into the caches */
			now->ns[round] = timed(now, j, now->times) / (double)(now->times * j->blocks);
		}
	}
}

/* ------------------------------------------------------------------ cases */

static const struct {
	uint32_t guard;
	const char *name;
	size_t tuple;
} guards[] = {
	{ URX_GUARD_T10DIF, "crc16", 8 },
	{ URX_GUARD_CRC32C, "crc32c", 16 },
	{ URX_GUARD_CRC64, "crc64", 16 },
	{ URX_GUARD_IP, "ip", 8 },
};
static const char *const op_names[OPS] = { "generate", "verify", "copy" };
static const size_t intervals[] = { 512, 4096 };
static const struct set {
	const char *name;
	size_t bytes; /* of data; 0: one block */
	size_t rounds;
	double sample; /* ns */
} sets[] = {
	{ "L2", 128 << 10, 31, 5e5 },
	{ "block", 0, 31, 3e5 },
	{ "L3", 4 << 20, 21, 1e6 },
	{ "DRAM", 256 << 20, 5, 1e6 },
};

static struct {
	const char *name, *version;
	void *handle;
} libraries[8];
static size_t nr_libraries = 1; /* the first is this program */
static const char *tier;
static bool lesser; /* measure the peers of lesser tiers too */
static FILE *pi_csv, *limits_csv;
static uint8_t *data_memory, *meta_memory, *bare_memory;

static void wipe_tuples(const struct job *j)
{
	for (size_t i = 0; i < j->blocks; i++)
		memset(j->meta + i * j->meta_stride, 0xa5, j->tuple);
}

/* Whether a peer makes the bytes that the library makes. */
static void compare(const struct contestant *c, const struct job *j)
{
	static uint8_t expected[16 << 20];
	struct job fresh = *j;

	if (fresh.op == VERIFY)
		fresh.op = GENERATE;
	if (fresh.blocks * fresh.tuple > sizeof(expected))
		fresh.blocks = sizeof(expected) / fresh.tuple;
	wipe_tuples(&fresh);
	ours(&fresh);
	for (size_t i = 0; i < fresh.blocks; i++)
		memcpy(expected + i * fresh.tuple, fresh.meta + i * fresh.meta_stride, fresh.tuple);
	wipe_tuples(&fresh);
	once(c, &fresh);
	for (size_t i = 0; i < fresh.blocks; i++)
		if (memcmp(expected + i * fresh.tuple, fresh.meta + i * fresh.meta_stride, fresh.tuple))
			DIE("%s %s: not the library's tuple in block %zu of %zu bytes", c->name, c->version,
			    i, fresh.interval);
}

static void run_case(size_t guard, enum op op, bool interleaved, size_t interval, const struct set *set,
		     bool quick)
{
	static struct contestant contestants[MAX_CONTESTANTS];
	struct urx_pi_format format = { .size = sizeof(format), .interval = (uint32_t)interval,
					.flags = interleaved ? URX_PI_INTERLEAVED : 0,
					.meta_size = (uint16_t)guards[guard].tuple,
					.guard = (uint8_t)guards[guard].guard, .pi_type = 1 };
	struct job j = { .guard = guards[guard].guard, .op = op, .interleaved = interleaved,
			 .interval = interval, .tuple = guards[guard].tuple,
			 .blocks = set->bytes ? set->bytes / interval : 1, .bare = bare_memory,
			 .data = data_memory,
			 .tags = { .checks = URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP,
				   .app = APP, .ref = REF } };
	const char *layout = interleaved ? "interleaved" : "separate", *why = "";
	size_t n = 0, rounds = quick ? MAX_ROUNDS : set->rounds;
	double mine;

	j.stride = interval + (interleaved ? j.tuple : 0);
	j.meta = interleaved ? j.data + interval : meta_memory;
	j.meta_stride = interleaved ? j.stride : j.tuple;
	if (urx_pi_init(&j.pi, &format, &why))
		DIE("urx_pi_init: %s", why);
	contestants[n++] = (struct contestant){ .name = "ours", .plain = ours };
	contestants[n++] = (struct contestant){ .name = op == COPY ? "memcpy" : "read",
						.plain = limit };
	for (size_t k = 0; k < COUNT(kinds); k++) {
		const char *name = op == COPY ? kinds[k].copy : kinds[k].name;

		for (size_t l = 0; name && kinds[k].guard == j.guard && l < nr_libraries; l++) {
			struct contestant *c = &contestants[n];

			if (strcmp(kinds[k].peer, libraries[l].name))
				continue;
			if (!strncmp(name, "isal-", 5) && op != COPY && !lesser)
				continue;
			if (n == MAX_CONTESTANTS)
				DIE("too many peers");
			*c = (struct contestant){ .name = name, .version = libraries[l].version,
						  .run = kinds[k].run };
			if (*kinds[k].symbol)
				c->function.symbol = dlsym(libraries[l].handle, kinds[k].symbol);
			if (*kinds[k].symbol && !c->function.symbol)
				continue; /* open_peers() has said so */
			compare(c, &j);
			n++;
		}
	}
	if (op == VERIFY) {
		struct job fresh = j;

		fresh.op = GENERATE;
		ours(&fresh);
	}
	measure(contestants, n, &j, rounds, set->sample);
	mine = median(contestants[0].ns, rounds);
	for (size_t i = 1; i < n; i++) {
		double ns = median(contestants[i].ns, rounds);

		if (contestants[i].plain)
			fprintf(limits_csv, "%s,%s,%s,%zu,%s,%s,%.2f,%s,%.2f,%.3f\n", guards[guard].name,
				op_names[op], layout, interval, set->name, tier,
				(double)interval / mine, contestants[i].name, (double)interval / ns,
				ns / mine);
		else
			fprintf(pi_csv, "%s,%s,%s,%zu,%s,%s,%.2f,%s,%s,%.2f,%.3f\n",
				guards[guard].name, op_names[op], layout, interval, set->name, tier,
				mine, contestants[i].name, contestants[i].version, ns, ns / mine);
	}
	fflush(pi_csv);
}

static uint8_t *memory(size_t bytes)
{
	uint64_t x = 88172645463325252u;
	uint8_t *p;

	if (posix_memalign((void **)&p, 2 << 20, bytes))
		DIE("no memory");
	madvise(p, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i + 8 <= bytes; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p + i, &x, 8);
	}
	return p;
}

static void open_peers(int count, char **argv)
{
	libraries[0].name = "plain-c";
	libraries[0].version = "gcc-" __VERSION__;
	for (; count >= 3; count -= 3, argv += 3) {
		const char *name = argv[0], *version = argv[1];
		void *handle = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);

		if (!handle) {
			fprintf(stderr, "benches/pi: left out: %s\n", dlerror());
			continue;
		}
		if (nr_libraries == COUNT(libraries))
			DIE("too many peers");
		libraries[nr_libraries].name = name;
		libraries[nr_libraries].version = version;
		libraries[nr_libraries++].handle = handle;
		for (size_t k = 0; k < COUNT(kinds); k++)
			if (!strcmp(kinds[k].peer, name) && !dlsym(handle, kinds[k].symbol))
				fprintf(stderr, "benches/pi: left out: %s %s has no %s\n", name,
					version, kinds[k].symbol);
	}
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && !strcmp(argv[1], "--quick");
	size_t largest = quick ? sets[0].bytes : sets[COUNT(sets) - 1].bytes;

	argv += 1 + quick;
	argc -= 1 + quick;
	if (argc < 3 || argc % 3)
		DIE("usage: pi [--quick] TIER PI_CSV LIMITS_CSV [PEER VERSION LIBRARY]...");
	tier = argv[0];
	lesser = !quick || strcmp(tier, "auto");
	pi_csv = fopen(argv[1], "a");
	limits_csv = fopen(argv[2], "a");
	if (!pi_csv || !limits_csv)
		DIE("cannot write to %s or %s", argv[1], argv[2]);
	open_peers(argc - 3, argv + 3);
	data_memory = memory(largest + largest / 512 * 16);
	meta_memory = memory(largest / 512 * 16);
	bare_memory = memory(largest);
	for (size_t s = 0; s < (quick ? 1 : COUNT(sets)); s++)
		for (size_t g = 0; g < COUNT(guards) - quick; g++)
			for (size_t i = 0; i < COUNT(intervals); i++)
				for (enum op op = 0; op < (quick ? 1 : OPS); op++)
					for (int layout = 0; layout < 2 - quick; layout++)
						run_case(g, op, layout, intervals[i], &sets[s], quick);
	return fclose(pi_csv) || fclose(limits_csv);
}
