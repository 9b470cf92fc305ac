/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is wrong with blocks: found by software or told by a path, printed as text or JSON, counted. */
#ifndef URX_FINDINGS_H
#define URX_FINDINGS_H

#include <stdio.h>

#include "place.h"

struct findings {
	const struct options *o;
	FILE *to;
	const struct urx_pi *pi;
	const struct urx_pi_format *format;
	struct urx_tags tags; /* of block 0 */
	uint64_t lba; /* of block 0; requests only */
	struct urx_pi_error *room; /* for `most` blocks */
	size_t most;
	/* what there was */
	uint64_t blocks, escaped; /* looked at by software; exempt by an escape value */
	uint64_t failed; /* checks, and blocks that a path refused */
	uint64_t unreadable;
	uint64_t first_bad; /* block; UINT64_MAX: none so far */
};

/* The blocks are those of a place, which stays open. */
void findings_at(struct findings *f, const struct place *place);

/* For pieces of at most `most` blocks: OK, or TROUBLE (told). The members above it in the struct are set already. */
int findings_open(struct findings *f, size_t most);

/* Verifies a piece in software and tells what fails; how many checks did. With --first at most one. */
uint64_t findings_verify(struct findings *f, uint64_t block, size_t count, const void *data, const void *meta);

/* A failed check that somebody else found; `block` counts from the start of all. */
void findings_check(struct findings *f, const struct urx_pi_error *error, uint64_t block);

/* Blocks that a path refused although software finds nothing, or that cannot be read at all. */
void findings_refused(struct findings *f, uint64_t block, uint64_t count, const char *what);
void findings_unreadable(struct findings *f, uint64_t block, int error); /* a positive errno */

/* Whether no more are wanted. */
bool findings_enough(const struct findings *f);

/* The last line, or the end of the object. status: what the command ends with if nothing was found. */
int findings_close(struct findings *f, int status);

#endif
