/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* urx write: standard input to a target, with tuples made on the way or metadata from a file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "findings.h"
#include "flow.h"
#include "progress.h"
#include "stream.h"

/* What is still to come. */
struct input {
	uint64_t at, end; /* blocks */
	int meta_fd;
	bool over;
};

/* Fills a piece: its count is 0 if nothing is left. OK, or TROUBLE (told); then the piece may be written, too. */
static int fill(const struct place *p, struct piece *piece, struct input *in, size_t most)
{
	size_t interval = p->format.interval, wanted, rest;
	int status = OK;
	long got;

	wanted = in->end - in->at < most ? (size_t)(in->end - in->at) : most;
	piece->block = in->at;
	piece->count = 0;
	got = stream_in(STDIN_FILENO, "standard input", piece->data, wanted * interval);
	if (got < 0)
		return TROUBLE;
	in->over = (size_t)got < wanted * interval;
	piece->count = (size_t)got / interval;
	rest = (size_t)got % interval;
	if (rest && p->o->pad)
		memset(piece->data + (size_t)got, 0, interval - rest);
	else if (rest)
		status = trouble("standard input: ends with %zu bytes, not a block of %zu; see --pad", rest, interval);
	if (rest && p->o->pad)
		piece->count++;
	in->at += piece->count;
	return status;
}

/* The metadata of a piece: from the file, or made. */
static int protect(const struct place *p, struct piece *piece, const struct input *in)
{
	struct urx_tags tags = tags_at(&p->tags, &p->format, piece->block);
	size_t len = piece->count * p->format.meta_size;
	int rc;

	if (in->meta_fd >= 0) {
		long got = stream_in(in->meta_fd, p->o->meta_file, piece->meta, len);

		if (got < 0)
			return TROUBLE;
		return (size_t)got == len ? OK : trouble("%s: ends before the data does", p->o->meta_file);
	}
	memset(piece->meta, 0, len);
	if (!p->protected)
		return OK;
	rc = urx_pi_generate(&p->pi, &tags, piece->data, piece->meta, piece->count);
	return rc ? trouble("tags: %s", strerror(-rc)) : OK;
}

/* How the oldest piece went. */
static int settle(struct place *p, struct findings *f, const struct piece *piece)
{
	const struct urx_pi_error *e = &piece->result.pi;

	if (piece->rc >= 0)
		return OK;
	if (piece->rc != -EILSEQ)
		return place_trouble(p, &piece->rw, piece->rc);
	if (e->flags & URX_ERROR_IN_TRANSIT)
		findings_refused(f, piece->block, piece->count, "refused, but right in memory: damaged on the way");
	else if (e->flags & URX_ERROR_BLOCK)
		findings_check(f, e, piece->block + e->block);
	else
		findings_refused(f, piece->block, piece->count, "refused: a check failed");
	return OK;
}

static int write_pieces(struct flow *flow, struct findings *f, struct input *in)
{
	struct place *p = flow->place;
	uint64_t start = in->at;
	struct piece *piece;
	int status = OK, last = OK;

	progress_start("write", p->o->has_length ? p->count * p->format.interval : 0);
	for (;;) {
		while (status == OK && last == OK && !findings_enough(f) && !in->over && in->at < in->end &&
		       (piece = flow_free(flow)) != NULL) {
			last = fill(p, piece, in, flow->most);
			if (!piece->count)
				break;
			status = protect(p, piece, in);
			if (status == OK)
				status = flow_start(flow, piece, URX_OP_WRITE);
			progress_at((in->at - start) * p->format.interval);
		}
		piece = flow_next(flow);
		if (!piece)
			break;
		if (status == OK)
			status = settle(p, f, piece);
		flow_done(flow);
	}
	return status == OK ? last : status;
}

/* Whether all that was to be written has been. */
static int complete(const struct place *p, const struct input *in)
{
	char more;

	if (in->at < in->end)
		return p->o->has_length ? trouble("standard input: ends before --length") : OK;
	if (p->o->has_length)
		return OK;
	switch (stream_in(STDIN_FILENO, "standard input", &more, 1)) {
	case 0:
		return OK;
	case 1:
		return trouble("%s: is full, standard input goes on", p->o->name);
	default:
		return TROUBLE;
	}
}

int write_data(const struct options *o)
{
	struct options one = *o; /* the first finding is the last */
	struct findings f = { .o = &one, .to = stderr };
	struct flow flow = { .pieces = NULL };
	struct input in = { .meta_fd = -1 };
	struct place place;
	int status, rc;

	one.first = true;
	status = place_open(&place, &one, true);
	findings_at(&f, &place);
	in.at = place.first;
	in.end = place.first + place.count;
	if (status == OK && o->meta_file && !place.format.meta_size)
		status = trouble("%s: has no metadata for --meta-file", o->name);
	if (status == OK)
		status = stream_meta(&in.meta_fd, o->meta_file, O_RDONLY);
	if (status == OK) /* a zone is written in order */
		status = flow_open(&flow, &place, place.info.zone_bytes ? 1 : o->depth);
	if (status == OK)
		status = findings_open(&f, flow.most);
	if (status == OK)
		status = findings_close(&f, write_pieces(&flow, &f, &in));
	if (status == OK)
		status = complete(&place, &in);
	flow_close(&flow);
	if (status == OK) {
		rc = urx_target_flush(place.target);
		if (rc)
			status = trouble("%s: flush: %s", o->name, strerror(-rc));
	}
	place_close(&place);
	if (in.meta_fd >= 0)
		close(in.meta_fd);
	return status;
}
