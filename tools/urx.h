/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of the tool share: its commands, how they end, and what they were asked for. */
#ifndef URX_TOOL_H
#define URX_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include <liburing-ext.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Exit statuses, like those of cmp and grep; trouble outranks what was found. USAGE ends as TROUBLE does. */
enum { OK = 0, WRONG = 1, TROUBLE = 2, USAGE = 3 };

/* A bit for each command: which of them take an option. */
enum { INFO = 1, GENERATE = 2, VERIFY = 4, READ = 8, WRITE = 16, APPEND = 32 };

struct options {
	const char *name; /* what the command is about */
	const char *side, *meta_file;
	bool interleaved, create, read_only, first, quiet, json, pad;
	struct urx_pi_format format; /* as far as it was told; the rest by default */
	bool has_format;
	struct urx_tags tags; /* of block 0; checks: those asked for */
	uint32_t given; /* URX_CHECK_ of the tags that were told */
	bool has_checks, has_length, has_zone;
	uint64_t offset, length, zone, record; /* bytes; zone: a number */
	unsigned depth;
};

/* A command line for one command: OK, TROUBLE (told) or USAGE. */
int options_parse(struct options *o, int command, int argc, char **argv);

/* The options of a command, for its users. */
void options_help(int command);

int info(const struct options *o);
int generate(const struct options *o);
int verify(const struct options *o);
int read_data(const struct options *o);
int write_data(const struct options *o);
int append(const struct options *o);

/* Tells it on standard error; TROUBLE. */
int trouble(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The range that was asked for, as blocks of something that has `blocks` of them: OK, or TROUBLE (told). */
int options_range(const struct options *o, uint32_t interval, uint64_t blocks, uint64_t *first, uint64_t *count);

/*
 * Completes the tags of block 0: `lba` is its reference tag unless another was told. What is checked is what was asked
 * for, else everything whose value is known: guard, reference tag (type 3: if told), other tags if told.
 */
int options_tags(const struct options *o, const struct urx_pi_format *format, uint64_t lba, struct urx_tags *tags);

/* The tags of a later block. */
struct urx_tags tags_at(const struct urx_tags *tags, const struct urx_pi_format *format, uint64_t block);

#endif
