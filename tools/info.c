/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* urx info: format, limits, and the path of each operation. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "urx.h"

/* ------------------------------------------------------------------ rings */

/* The kernel's numbers (linux/io_uring.h), which older headers lack. */
#define SETUP_IOPOLL (1u << 0)
#define SETUP_SQPOLL (1u << 1)
#define SETUP_SQE128 (1u << 10)
#define SETUP_CQE32 (1u << 11)
#define SETUP_SINGLE_ISSUER (1u << 12)
#define SETUP_DEFER_TASKRUN (1u << 13)
#define SETUP_CQE_MIXED (1u << 18)
#define SETUP_SQE_MIXED (1u << 19)

static const struct ring_kind {
	const char *name, *what;
	unsigned flags;
} ring_kinds[] = {
	{ "plain", "no flags", 0 },
	{ "sqpoll", "SQPOLL", SETUP_SQPOLL },
	{ "defer", "SINGLE_ISSUER, DEFER_TASKRUN (6.1)", SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN },
	{ "big", "SQE128, CQE32 (5.19)", SETUP_SQE128 | SETUP_CQE32 },
	{ "mixed", "SQE_MIXED, CQE_MIXED (6.19)", SETUP_SQE_MIXED | SETUP_CQE_MIXED },
	{ "iopoll", "IOPOLL", SETUP_IOPOLL },
	{ "bigpoll", "SQE128, CQE32, IOPOLL", SETUP_SQE128 | SETUP_CQE32 | SETUP_IOPOLL },
};

/* A ring of that kind, if this kernel makes one. */
struct ring {
	int fd; /* or the negated errno */
	unsigned flags, features;
};

static struct ring ring_open(unsigned flags)
{
	/* struct io_uring_params: entries of both queues, flags, two words, features, then the offsets. */
	uint32_t params[30] = { [2] = flags };
	int fd = (int)syscall(__NR_io_uring_setup, 2, params);

	return (struct ring){ fd < 0 ? -errno : fd, flags, params[5] };
}

/* ------------------------------------------------------------------ urx info */

/* Requests to ask about: one block at the start of the target. */
enum when { ALWAYS, TAGGED, PROTECTED, INTERLEAVED, ZONED };

static const struct question {
	const char *name;
	uint32_t op, flags;
	enum when when;
	bool own_tags, both; /* reference tags other than the LBA; data and metadata in one buffer */
} questions[] = {
	{ "read", URX_OP_READ, 0, ALWAYS, false, false },
	{ "write", URX_OP_WRITE, 0, ALWAYS, false, false },
	{ "write, own ref", URX_OP_WRITE, 0, TAGGED, true, false },
	{ "write, linked", URX_OP_WRITE, URX_RW_LINKED, ALWAYS, false, false },
	{ "write, FUA", URX_OP_WRITE, URX_RW_FUA, ALWAYS, false, false },
	{ "write, PRACT", URX_OP_WRITE, URX_RW_PRACT, PROTECTED, false, false },
	{ "read, as laid", URX_OP_READ, 0, INTERLEAVED, false, true },
	{ "write, as laid", URX_OP_WRITE, 0, INTERLEAVED, false, true },
	{ "compare", URX_OP_COMPARE, 0, ALWAYS, false, false },
	{ "write zeroes", URX_OP_WRITE_ZEROES, 0, ALWAYS, false, false },
	{ "flush", URX_OP_FLUSH, 0, ALWAYS, false, false },
	{ "append", URX_OP_APPEND, 0, ZONED, false, false },
	{ "zone reset", URX_OP_ZONE_RESET, 0, ZONED, false, false },
};

static const uint32_t paths[] = { URX_PATH_ATTR, URX_PATH_URING_CMD, URX_PATH_IOCTL, URX_PATH_SOFTWARE };

/* Sentences that were given, each with the path that gave it: a letter stands for both. */
struct notes {
	struct {
		uint32_t path;
		const char *why;
	} list[52];
	unsigned count;
};

static char note(struct notes *notes, uint32_t path, const char *why)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	unsigned n = 0;

	while (n < notes->count &&
	       (notes->list[n].path != path || strcmp(notes->list[n].why, why) != 0))
		n++;
	if (n == COUNT(notes->list))
		return '?';
	notes->list[n].path = path;
	notes->list[n].why = why;
	if (n == notes->count)
		notes->count++;
	return letters[n];
}

/* What a column of the table holds: the best path, and the letters of the better ones that are none. */
static void cell(char text[16], const struct urx_queue *queue, const struct urx_target *target,
		 const struct urx_rw *rw, struct notes *notes)
{
	char letters[COUNT(paths) + 1] = "";
	const char *best = "none";

	for (size_t n = 0; n < COUNT(paths); n++) {
		const char *why = "";

		if (urx_explain(queue, target, rw, paths[n], &why) == 0) {
			best = urx_path_str(paths[n]);
			break;
		}
		letters[n] = note(notes, paths[n], why);
	}
	snprintf(text, 16, "%s%s%s", best, letters[0] ? " " : "", letters);
}

static bool applies(const struct question *q, const struct urx_target_info *info)
{
	const struct urx_pi_format *format = &info->format;

	switch (q->when) {
	case TAGGED:
		return format->checks & URX_CHECK_REF;
	case PROTECTED:
		return format->guard != URX_GUARD_NONE;
	case INTERLEAVED:
		return format->flags & URX_PI_INTERLEAVED;
	case ZONED:
		return info->zone_bytes != 0;
	default:
		return true;
	}
}

/* The request of a question; `buffer` has room for a block and its metadata. */
static struct urx_rw request(const struct question *q, const struct urx_target_info *info, char *buffer)
{
	const struct urx_pi_format *format = &info->format;
	bool has_data = q->op == URX_OP_READ || q->op == URX_OP_WRITE || q->op == URX_OP_COMPARE ||
			q->op == URX_OP_APPEND;
	struct urx_rw rw = { .size = sizeof(rw), .op = q->op, .flags = q->flags };

	if (has_data || q->op == URX_OP_WRITE_ZEROES)
		rw.data_len = format->interval;
	if (!has_data)
		return rw;
	rw.data = buffer;
	rw.tags.checks = format->checks;
	rw.tags.ref = info->start / (format->interval ? format->interval : 1);
	if (format->ref_bits < 64)
		rw.tags.ref &= ((uint64_t)1 << format->ref_bits) - 1;
	rw.tags.ref += q->own_tags;
	if (q->both) {
		rw.data_len += format->meta_size;
	} else if (format->meta_size && !(q->flags & URX_RW_PRACT && format->meta_size == format->pi_size)) {
		rw.meta = buffer + format->interval;
		rw.meta_len = format->meta_size;
	}
	return rw;
}

static void print_paths(const struct urx_target *target, const struct urx_target_info *info)
{
	size_t room = (size_t)info->format.interval + info->format.meta_size;
	char *buffer = aligned_alloc(65536, (room / 65536 + 1) * 65536);
	struct urx_queue *queues[COUNT(ring_kinds)] = { NULL };
	struct ring rings[COUNT(ring_kinds)];
	struct notes notes = { .count = 0 };
	int pad;

	puts("\nRings of this kernel");
	for (size_t n = 0; n < COUNT(ring_kinds); n++) {
		const struct ring_kind *kind = &ring_kinds[n];
		struct ring *ring = &rings[n];
		int rc;

		*ring = ring_open(kind->flags);
		rc = ring->fd;
		if (rc >= 0)
			rc = urx_queue_open(&queues[n], ring->fd, ring->flags, ring->features, NULL);
		printf("  %-9s %-37s %s\n", kind->name, kind->what, rc < 0 ? strerror(-rc) : "yes");
	}

	puts("\nPath of one block at offset 0, all checks, by operation and ring; letters: why no better one");
	pad = 17; /* the first column, and a space; then 12 each, without spaces at the end of a line */
	for (size_t n = 0; n < COUNT(ring_kinds); n++)
		if (queues[n])
			pad = 12 - printf("%*s%s", pad, "", ring_kinds[n].name) + pad;
	putchar('\n');
	for (size_t n = 0; buffer && n < COUNT(questions); n++) {
		struct urx_rw rw = request(&questions[n], info, buffer);

		if (!applies(&questions[n], info))
			continue;
		pad = 17 - printf("  %s", questions[n].name);
		for (size_t ring = 0; ring < COUNT(ring_kinds); ring++) {
			char text[16];

			if (!queues[ring])
				continue;
			cell(text, queues[ring], target, &rw, &notes);
			pad = 12 - printf("%*s%s", pad, "", text) + pad;
		}
		putchar('\n');
	}
	if (notes.count)
		putchar('\n');
	for (unsigned n = 0; n < notes.count; n++)
		printf("  %c  no %s: %s\n", note(&notes, notes.list[n].path, notes.list[n].why),
		       urx_path_str(notes.list[n].path), notes.list[n].why);
	for (size_t n = 0; n < COUNT(ring_kinds); n++) {
		urx_queue_close(queues[n]);
		if (rings[n].fd >= 0)
			close(rings[n].fd);
	}
	free(buffer);
}

static void print_checks(uint32_t checks)
{
	bool first = true;

	for (uint32_t bit = 1; bit <= URX_CHECK_STORAGE; bit *= 2) {
		if (!(checks & bit))
			continue;
		printf("%s%s", first ? "" : ", ", urx_check_str(bit));
		first = false;
	}
	puts(first ? "none" : "");
}

static void print_format(const struct urx_target_info *info)
{
	const struct urx_pi_format *f = &info->format;

	printf("  format    ");
	if (info->flags & URX_INFO_HIDDEN) {
		puts("hidden: the kernel tells this user nothing of the metadata");
		return;
	}
	if (f->interval == 0) {
		puts("no blocks: give it metadata with --side");
		return;
	}
	printf("%u + %u bytes a block", f->interval, f->meta_size);
	if (f->flags & URX_PI_INTERLEAVED)
		printf(", interleaved");
	printf("; told by %s\n", urx_source_str(info->source[URX_FACT_FORMAT]));
	if (f->guard == URX_GUARD_NONE) {
		printf("  checks    none: %s\n",
		       f->meta_size ? "the metadata has no protection information" : "no metadata");
		return;
	}
	printf("  guard     %s, at byte %u of the metadata\n", urx_guard_str(f->guard), f->pi_offset);
	printf("  type      %u; told by %s\n", f->pi_type, urx_source_str(info->source[URX_FACT_TYPE]));
	printf("  tags      reference %u bits, application 16 bits, storage %u bits\n", f->ref_bits,
	       f->storage_bits);
	printf("  checks    ");
	print_checks(f->checks);
	if (info->source[URX_FACT_FORMAT] != URX_SOURCE_SIDEFILE)
		printf("  attribute %s\n", info->flags & URX_INFO_ATTR ?
						  "could carry it: the kernel handles this metadata" :
						  "none: the kernel does not tell that it handles this metadata");
}

static void print_target(const char *name, const struct urx_target_info *info)
{
	struct ring ring = ring_open(0);
	struct utsname host;

	printf("%s\n", name);
	printf("  kind      %s", urx_kind_str(info->kind));
	if (info->nsid)
		printf(", namespace %u", info->nsid);
	printf("\n  size      %" PRIu64 " bytes; told by %s\n", info->bytes,
	       urx_source_str(info->source[URX_FACT_BYTES]));
	if (info->start)
		printf("  starts    at byte %" PRIu64 " of its device; told by %s\n", info->start,
		       urx_source_str(info->source[URX_FACT_START]));
	printf("  open      for %s%s\n", info->flags & URX_INFO_WRITABLE ? "reading and writing" : "reading",
	       info->flags & URX_INFO_DIRECT ? ", O_DIRECT" : "");
	print_format(info);
	printf("  limits    data aligned to %u", info->data_align);
	if (info->max_command)
		printf(", %u bytes a command", info->max_command);
	printf("; told by %s\n", urx_source_str(info->source[URX_FACT_LIMITS]));
	if (info->zone_bytes)
		printf("  zones     %u of %" PRIu64 " bytes, appends of %u bytes at most; told by %s\n",
		       info->nr_zones, info->zone_bytes, info->max_append,
		       urx_source_str(info->source[URX_FACT_ZONES]));

	puts("\nKernel");
	if (uname(&host) == 0)
		printf("  release   %s\n", host.release);
	if (ring.fd < 0) {
		printf("  io_uring  %s\n", strerror(-ring.fd));
		return;
	}
	close(ring.fd);
	printf("  io_uring  features %#x; PI attribute (IORING_FEAT_RW_ATTR): %s\n", ring.features,
	       ring.features & URX_FEAT_RW_ATTR ? "yes" : "no");
}

/* Opens for writing if that can be, so that the answers are about writes too. */
static int open_target(struct urx_target **target, const char *name, const char *side, bool read_only)
{
	const char *why = "";
	struct urx_target_opts opts = { .size = sizeof(opts), .side_path = side, .why = &why };
	int rc = -EACCES;

	if (!read_only) {
		opts.flags = URX_TARGET_WRITE;
		rc = urx_target_open(target, name, &opts);
	}
	if (rc == -EACCES || rc == -EPERM || rc == -EROFS || rc == -EBUSY || rc == -ETXTBSY) {
		opts.flags = 0;
		rc = urx_target_open(target, name, &opts);
	}
	if (rc == 0)
		return OK;
	return trouble("%s: %s (%s)", name, strerror(-rc), why);
}

int info(const struct options *o)
{
	struct urx_target_info what = { .size = sizeof(what) };
	struct urx_target *target;
	int rc;

	if (open_target(&target, o->name, o->side, o->read_only))
		return TROUBLE;
	rc = urx_target_query(target, &what);
	if (rc == 0) {
		print_target(o->name, &what);
		print_paths(target, &what);
	}
	urx_target_close(target);
	return rc == 0 ? OK : trouble("%s: %s", o->name, strerror(-rc));
}
