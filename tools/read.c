/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* urx read: data of a target to standard output, up to the first block that fails a check. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "flow.h"
#include "look.h"
#include "progress.h"
#include "stream.h"

/* Blocks from the buffers to where they go. */
static int put(const struct place *p, const struct piece *piece, size_t count, int meta_fd)
{
	int status = stream_out(STDOUT_FILENO, "standard output", piece->data, count * p->format.interval);

	if (status == OK && meta_fd >= 0)
		status = stream_out(meta_fd, p->o->meta_file, piece->meta, count * p->format.meta_size);
	return status;
}

/* The oldest piece: all of its blocks, or those before the first bad one. */
static int settle(struct flow *flow, struct findings *f, const struct piece *piece, int meta_fd)
{
	struct place *p = flow->place;
	uint64_t good = piece->count;

	if (piece->rc < 0 && (piece->rc != -EILSEQ || !p->protected))
		return place_trouble(p, &piece->rw, piece->rc);
	if (piece->rc < 0)
		look(p, f, piece->block, piece->count, piece->data, piece->meta, piece->rc);
	else if (p->protected && f->tags.checks) /* nor may anything have happened on the way here */
		findings_verify(f, piece->block, piece->count, piece->data, piece->meta);
	if (f->first_bad != UINT64_MAX)
		good = f->first_bad - piece->block;
	return put(p, piece, (size_t)good, meta_fd);
}

static int read_pieces(struct flow *flow, struct findings *f, int meta_fd)
{
	const struct place *p = flow->place;
	uint64_t at = p->first, end = p->first + p->count;
	struct piece *piece;
	int status = OK;

	progress_start("read", p->count * p->format.interval);
	while (status == OK && !findings_enough(f)) {
		while (status == OK && at < end && (piece = flow_free(flow)) != NULL) {
			piece->block = at;
			piece->count = end - at < flow->most ? (size_t)(end - at) : flow->most;
			at += piece->count;
			status = flow_start(flow, piece, URX_OP_READ);
		}
		piece = flow_next(flow);
		if (!piece)
			break;
		if (status == OK)
			status = settle(flow, f, piece, meta_fd);
		progress_at((piece->block + piece->count - p->first) * p->format.interval);
		flow_done(flow);
	}
	return status;
}

int read_data(const struct options *o)
{
	struct options one = *o; /* the first finding is the last */
	struct findings f = { .o = &one, .to = stderr };
	struct flow flow = { .pieces = NULL };
	struct place place;
	int status, meta_fd = -1;

	one.first = true;
	status = place_open(&place, &one, false);
	findings_at(&f, &place);
	if (status == OK && o->meta_file && !place.format.meta_size)
		status = trouble("%s: has no metadata for --meta-file", o->name);
	if (status == OK)
		status = stream_meta(&meta_fd, o->meta_file, O_WRONLY | O_CREAT | O_TRUNC);
	if (status == OK)
		status = flow_open(&flow, &place, o->depth);
	if (status == OK)
		status = findings_open(&f, flow.most);
	if (status == OK)
		status = findings_close(&f, read_pieces(&flow, &f, meta_fd));
	flow_close(&flow);
	place_close(&place);
	if (meta_fd >= 0 && close(meta_fd) && status == OK)
		status = trouble("%s: cannot be written", o->meta_file);
	return status;
}
