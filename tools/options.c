/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Command lines: one table of options, which says who takes them. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "urx.h"

/* Options without a letter. */
enum { GUARD = 256, INTERVAL, META, PI_FIRST, PI_LAST, PI_OFFSET, TYPE, STORAGE_BITS, REF_START, APP, STORAGE,
       CHECK, CREATE, RECORD, PAD };

#define IMAGES (GENERATE | VERIFY)
#define FORMAT (GENERATE | VERIFY | WRITE)
#define TAGS (GENERATE | VERIFY | READ | WRITE | APPEND)
#define REQUESTS (VERIFY | READ | WRITE | APPEND)

static const struct row {
	const char *name;
	int key, commands;
	const char *argument, *help;
} rows[] = {
	{ "side", 's', INFO | TAGS, "FILE", "a target with its metadata in side file FILE" },
	{ "read-only", 'r', INFO, NULL, "do not open for writing" },
	{ "meta-file", 'm', TAGS & ~APPEND, "FILE", "metadata alone, block after block" },
	{ "interleaved", 'i', IMAGES, NULL, "an image with the metadata of each block behind its data" },
	{ "create", CREATE, WRITE, NULL, "make the side file, if there is none" },
	{ "guard", GUARD, FORMAT, "NAME", "crc16 (as without this), ip, crc32c or crc64" },
	{ "interval", INTERVAL, FORMAT, "BYTES", "data of a block; 4096" },
	{ "meta", META, FORMAT, "BYTES", "metadata of a block; the tuple alone" },
	{ "pi-first", PI_FIRST, FORMAT, NULL, "the tuple begins the metadata; so without these" },
	{ "pi-last", PI_LAST, FORMAT, NULL, "the tuple ends the metadata" },
	{ "pi-offset", PI_OFFSET, FORMAT, "BYTES", "the tuple lies there in the metadata" },
	{ "type", TYPE, FORMAT, "N", "protection type 1, 2 or 3; 1" },
	{ "storage-bits", STORAGE_BITS, FORMAT, "N", "width of the storage tag; 0" },
	{ "ref-start", REF_START, TAGS, "N", "reference tag of block 0; its LBA" },
	{ "app", APP, TAGS, "N", "application tag; compared only if given" },
	{ "storage", STORAGE, TAGS, "N", "storage tag; likewise" },
	{ "check", CHECK, REQUESTS, "LIST", "checks, of guard,ref,app,storage; all; none" },
	{ "offset", 'o', TAGS & ~APPEND, "BYTES", "where to start, in data; 0" },
	{ "length", 'l', TAGS & ~APPEND, "BYTES", "how much data; to the end" },
	{ "zone", 'z', APPEND, "N", "the zone to append to, from 0" },
	{ "record", RECORD, APPEND, "BYTES", "cut the data into records; one" },
	{ "pad", PAD, WRITE | APPEND, NULL, "fill the last block with zeros" },
	{ "first", '1', VERIFY, NULL, "stop at the first failed check" },
	{ "json", 'j', VERIFY, NULL, "print one JSON object" },
	{ "quiet", 'q', VERIFY, NULL, "print nothing: the exit status tells" },
	{ "depth", 'd', VERIFY | READ | WRITE, "N", "requests at a time; 32" },
	{ "help", 'h', INFO | TAGS, NULL, "print this" },
};

static const struct {
	const char *name;
	uint8_t guard, tuple;
} guards[] = {
	{ "crc16", URX_GUARD_T10DIF, 8 },
	{ "ip", URX_GUARD_IP, 8 },
	{ "crc32c", URX_GUARD_CRC32C, 16 },
	{ "crc64", URX_GUARD_CRC64, 16 },
};

void options_help(int command)
{
	for (size_t n = 0; n < COUNT(rows); n++) {
		const struct row *row = &rows[n];
		int width;

		if (!(row->commands & command))
			continue;
		width = row->key < 256 ? printf("  -%c, --%s", row->key, row->name) :
					 printf("      --%s", row->name);
		if (row->argument)
			width += printf(" %s", row->argument);
		printf("%*s%s\n", width < 27 ? 27 - width : 1, "", row->help);
	}
}

/* ------------------------------------------------------------------ values */

/* A number, which may have a unit if it counts bytes; false: it is none, or more than most. */
static bool number(const char *text, bool bytes, uint64_t most, uint64_t *value)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || end == text || strchr(text, '-'))
		return false;
	unit = bytes && *end ? strchr(units, *end) : NULL;
	if (unit) {
		unsigned shift = 10 * (unsigned)(unit - units + 1);

		if (*value > UINT64_MAX >> shift)
			return false;
		*value <<= shift;
		end++;
	}
	return !*end && *value <= most;
}

/* A reference tag, which may be wider than a word: then in hexadecimal. */
static bool reference(const char *text, struct urx_tags *tags)
{
	size_t len = strlen(text);
	uint64_t high = 0;

	if (len > 18 && !strncmp(text, "0x", 2)) {
		char digits[8] = "0x";

		if (len > 22)
			return false;
		memcpy(digits + 2, text + 2, len - 18);
		if (!number(digits, false, UINT16_MAX, &high))
			return false;
		char low[19] = "0x";

		memcpy(low + 2, text + len - 16, 16);
		tags->ref_hi = (uint16_t)high;
		return number(low, false, UINT64_MAX, &tags->ref);
	}
	return number(text, false, UINT64_MAX, &tags->ref);
}

static bool checks(const char *list, uint32_t *bits)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} names[] = {
		{ "guard", URX_CHECK_GUARD }, { "ref", URX_CHECK_REF }, { "app", URX_CHECK_APP },
		{ "storage", URX_CHECK_STORAGE }, { "none", 0 },
		{ "all", URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP | URX_CHECK_STORAGE },
	};

	*bits = 0;
	for (;;) {
		size_t len = strcspn(list, ",");
		size_t n = 0;

		while (n < COUNT(names) && (strlen(names[n].name) != len || strncmp(names[n].name, list, len) != 0))
			n++;
		if (n == COUNT(names))
			return false;
		*bits |= names[n].bits;
		if (!list[len])
			return true;
		list += len + 1;
	}
}

/* ------------------------------------------------------------------ command lines */

struct parser {
	struct options *o;
	uint64_t meta, pi_offset; /* UINT64_MAX: not told */
	bool pi_last;
};

/* One option; false: its value makes no sense. */
static bool take(struct parser *p, int key, const char *text)
{
	struct options *o = p->o;
	struct urx_pi_format *format = &o->format;
	uint64_t value = 0;
	size_t n = 0;
	bool sound = true;

	o->has_format |= key >= GUARD && key <= STORAGE_BITS;
	switch (key) {
	case 's':
		o->side = text;
		break;
	case 'r':
		o->read_only = true;
		break;
	case 'm':
		o->meta_file = text;
		break;
	case 'i':
		o->interleaved = true;
		break;
	case CREATE:
		o->create = true;
		break;
	case GUARD:
		while (n < COUNT(guards) && strcmp(guards[n].name, text) != 0)
			n++;
		if (n == COUNT(guards))
			return false;
		format->guard = guards[n].guard;
		break;
	case INTERVAL:
		sound = number(text, true, UINT32_MAX, &value);
		format->interval = (uint32_t)value;
		break;
	case META:
		sound = number(text, true, UINT16_MAX, &p->meta);
		break;
	case PI_FIRST:
		p->pi_offset = 0;
		p->pi_last = false;
		break;
	case PI_LAST:
		p->pi_last = true;
		break;
	case PI_OFFSET:
		p->pi_last = false;
		sound = number(text, true, UINT16_MAX, &p->pi_offset);
		break;
	case TYPE:
		sound = number(text, false, 3, &value) && value;
		format->pi_type = (uint8_t)value;
		break;
	case STORAGE_BITS:
		sound = number(text, false, UINT8_MAX, &value);
		format->storage_bits = (uint8_t)value;
		break;
	case REF_START:
		sound = reference(text, &o->tags);
		o->given |= URX_CHECK_REF;
		break;
	case APP:
		sound = number(text, false, UINT16_MAX, &value);
		o->tags.app = (uint16_t)value;
		o->given |= URX_CHECK_APP;
		break;
	case STORAGE:
		sound = number(text, false, UINT64_MAX, &o->tags.storage);
		o->given |= URX_CHECK_STORAGE;
		break;
	case CHECK:
		sound = checks(text, &o->tags.checks);
		o->has_checks = true;
		break;
	case 'o':
		sound = number(text, true, UINT64_MAX, &o->offset);
		break;
	case 'l':
		sound = number(text, true, UINT64_MAX, &o->length);
		o->has_length = true;
		break;
	case 'z':
		sound = number(text, false, UINT32_MAX, &o->zone);
		o->has_zone = true;
		break;
	case RECORD:
		sound = number(text, true, UINT32_MAX, &o->record) && o->record;
		break;
	case PAD:
		o->pad = true;
		break;
	case '1':
		o->first = true;
		break;
	case 'j':
		o->json = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'd':
		sound = number(text, false, 1024, &value) && value;
		o->depth = (unsigned)value;
		break;
	}
	return sound;
}

/* Where the tuple lies, once its size is known. */
static void settle_format(const struct parser *p)
{
	struct urx_pi_format *format = &p->o->format;
	uint16_t tuple = 0;

	for (size_t n = 0; n < COUNT(guards); n++)
		if (guards[n].guard == format->guard)
			tuple = guards[n].tuple;
	format->meta_size = p->meta == UINT64_MAX ? tuple : (uint16_t)p->meta;
	format->pi_offset = p->pi_offset == UINT64_MAX ? 0 : (uint16_t)p->pi_offset;
	if (p->pi_last && format->meta_size >= tuple)
		format->pi_offset = format->meta_size - tuple;
	if (p->o->interleaved)
		format->flags = URX_PI_INTERLEAVED;
}

int options_parse(struct options *o, int command, int argc, char **argv)
{
	struct parser parser = { .o = o, .meta = UINT64_MAX, .pi_offset = UINT64_MAX };
	struct option list[COUNT(rows) + 1] = { { 0 } };
	char letters[2 * COUNT(rows) + 1] = "";
	size_t count = 0, used = 0;
	int key, which = 0;

	*o = (struct options){
		.format = { .size = sizeof(o->format), .interval = 4096, .guard = URX_GUARD_T10DIF, .pi_type = 1 },
		.depth = 32,
	};
	for (size_t n = 0; n < COUNT(rows); n++) {
		const struct row *row = &rows[n];

		if (!(row->commands & command))
			continue;
		list[count++] = (struct option){ row->name, row->argument ? required_argument : no_argument, NULL,
						 row->key };
		if (row->key < 256) {
			letters[used++] = (char)row->key;
			if (row->argument)
				letters[used++] = ':';
		}
	}
	while ((key = getopt_long(argc, argv, letters, list, &which)) != -1) {
		size_t n = 0;

		if (key == '?' || key == 'h')
			return USAGE;
		if (take(&parser, key, optarg))
			continue;
		while (rows[n].key != key)
			n++;
		return trouble("--%s %s: no such value", rows[n].name, optarg);
	}
	if (argc - optind != 1)
		return USAGE;
	o->name = argv[optind];
	settle_format(&parser);
	if (!!o->side + (o->meta_file && command & IMAGES) + o->interleaved > 1)
		return trouble("metadata is in one place: --side, --meta-file or --interleaved");
	if (o->json && o->quiet)
		return trouble("--json prints, --quiet does not");
	return OK;
}

/* ------------------------------------------------------------------ what was asked for, of what there is */

int options_range(const struct options *o, uint32_t interval, uint64_t blocks, uint64_t *first, uint64_t *count)
{
	*first = o->offset / interval;
	*count = o->length / interval;
	if (o->offset % interval || o->length % interval)
		return trouble("--offset, --length: not multiples of a block of %u bytes", interval);
	if (*first > blocks || (o->has_length && *count > blocks - *first))
		return trouble("%s: ends before that, after %llu blocks", o->name, (unsigned long long)blocks);
	if (!o->has_length)
		*count = blocks - *first;
	return OK;
}

int options_tags(const struct options *o, const struct urx_pi_format *format, uint64_t lba, struct urx_tags *tags)
{
	uint32_t known = URX_CHECK_GUARD | o->given | (format->pi_type == 3 ? 0 : URX_CHECK_REF);

	*tags = o->tags;
	if (!(o->given & URX_CHECK_REF) && format->pi_type != 3)
		tags->ref = lba;
	tags->checks = (o->has_checks ? o->tags.checks : known) & format->checks;
	if ((o->given & ~URX_CHECK_REF) & ~format->checks)
		return trouble("%s: has no %s", o->name, urx_check_str(o->given & ~URX_CHECK_REF & ~format->checks));
	return OK;
}

struct urx_tags tags_at(const struct urx_tags *tags, const struct urx_pi_format *format, uint64_t block)
{
	struct urx_tags there = *tags;

	if (format->pi_type != 3) {
		there.ref += block;
		there.ref_hi += there.ref < block;
	}
	return there; /* the library takes as many bits as the field has */
}
