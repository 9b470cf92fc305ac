/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See look.h. */
#include <errno.h>

#include "look.h"

/* Reads; with the place's checks, or with none. */
static int again(struct place *p, bool checked, uint64_t block, size_t count, void *data, void *meta,
		 struct urx_result *result)
{
	struct urx_rw rw = place_request(p, URX_OP_READ, block, count, data, meta);

	if (!checked)
		rw.tags.checks = 0;
	return place_run(p, &rw, result);
}

/* How much is wrong with one block. */
static uint64_t look_at_one(struct place *p, struct findings *f, uint64_t block, void *data, void *meta)
{
	uint64_t before = f->failed + f->unreadable;
	struct urx_result result;
	int rc = again(p, true, block, 1, data, meta, &result);

	if (rc >= 0)
		findings_verify(f, block, 1, data, meta);
	else if (rc != -EILSEQ)
		findings_unreadable(f, block, -rc);
	else if (again(p, false, block, 1, data, meta, &result) < 0 && !(result.pi.flags & URX_ERROR_BLOCK))
		findings_unreadable(f, block, -result.res);
	else if (result.pi.flags & URX_ERROR_BLOCK) { /* a side file: the metadata itself is torn */
		findings_check(f, &result.pi, block);
		f->blocks++;
	} else if (!findings_verify(f, block, 1, data, meta))
		findings_refused(f, block, 1, "the device refuses it, software finds nothing wrong");
	return f->failed + f->unreadable - before;
}

void look(struct place *p, struct findings *f, uint64_t block, size_t count, unsigned char *data, unsigned char *meta,
	  int rc)
{
	uint64_t blocks = f->blocks, escaped = f->escaped, found = 0;
	struct urx_result result;

	if (count > 1 && again(p, false, block, count, data, meta, &result) >= 0 &&
	    findings_verify(f, block, count, data, meta))
		return;
	/* Refused, though software finds nothing; or it cannot be read in one piece. Counted one by one. */
	f->blocks = blocks;
	f->escaped = escaped;
	for (size_t n = 0; n < count && !findings_enough(f); n++)
		found += look_at_one(p, f, block + n, data + n * p->format.interval, meta + n * p->format.meta_size);
	if (!found && rc == -EILSEQ)
		findings_refused(f, block, count, "refused once, right when read again");
}
