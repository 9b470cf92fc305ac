/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* urx verify: every block of an image or a target that fails a check, in order, in one pass. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "image.h"
#include "look.h"
#include "progress.h"

/* ------------------------------------------------------------------ images */

static int verify_blocks(struct image *image, struct findings *f, uint64_t first, uint64_t count)
{
	size_t most = image_piece(image), piece;
	unsigned char *data = malloc(most * image->data_size), *meta = malloc(most * image->meta_size + 1);
	int status = data && meta ? OK : trouble("no memory");

	progress_start("verify", count * image->format.interval);
	for (uint64_t at = 0; at < count && status == OK && !findings_enough(f); at += piece) {
		piece = count - at < most ? (size_t)(count - at) : most;
		status = image_load(image, first + at, piece, data, meta, false);
		if (status == OK)
			findings_verify(f, first + at, piece, data, image->meta_size ? meta : NULL);
		progress_at((at + piece) * image->format.interval);
	}
	free(data);
	free(meta);
	return status;
}

static int verify_image(const struct options *o)
{
	struct findings f = { .o = o, .to = stdout };
	struct image image;
	uint64_t first, count;
	int status = image_open(&image, o, false);

	f.pi = &image.pi;
	f.format = &image.format;
	if (status == OK)
		status = options_range(o, image.format.interval, image.blocks, &first, &count);
	if (status == OK)
		status = options_tags(o, &image.format, 0, &f.tags);
	if (status == OK && !f.tags.checks)
		status = trouble("--check: leaves nothing to verify");
	if (status == OK)
		status = findings_open(&f, image_piece(&image));
	if (status == OK)
		status = findings_close(&f, verify_blocks(&image, &f, first, count));
	image_close(&image);
	return status;
}

/* ------------------------------------------------------------------ targets */

/*
 * The next piece to read from *at, which moves to it: *count blocks, 0 after the last. Of a zoned device only what
 * has been written, and never across the end of a zone. OK, or TROUBLE (told).
 */
static int next_piece(struct flow *f, uint64_t *at, uint64_t end, struct urx_zone *zone, size_t *count)
{
	struct place *p = f->place;
	uint32_t interval = p->format.interval;
	uint64_t stop = end;

	while (*at < end && p->info.zone_bytes) {
		uint32_t one = 1;

		if (*at * interval >= zone->start + zone->len) {
			int rc = urx_zone_report(p->target, *at * interval, zone, &one);

			if (rc || !one)
				return trouble("%s: zones: %s", p->o->name, strerror(-rc));
		}
		stop = (zone->type == URX_ZONE_CONVENTIONAL ? zone->start + zone->len : zone->wp) / interval;
		if (*at < stop)
			break;
		*at = (zone->start + zone->len) / interval;
	}
	if (stop > end)
		stop = end;
	*count = *at >= stop ? 0 : stop - *at < f->most ? (size_t)(stop - *at) : f->most;
	return OK;
}

/* The oldest piece: what software makes of it if it could be read, what there is to say if not. */
static int settle(struct flow *flow, struct findings *f, const struct piece *piece)
{
	if (piece->rc == -EOPNOTSUPP || piece->rc == -EINVAL || piece->rc == -EACCES || piece->rc == -EPERM)
		return place_trouble(flow->place, &piece->rw, piece->rc);
	if (piece->rc < 0)
		look(flow->place, f, piece->block, piece->count, piece->data, piece->meta, piece->rc);
	else
		findings_verify(f, piece->block, piece->count, piece->data, piece->meta);
	return OK;
}

static int verify_pieces(struct flow *flow, struct findings *f)
{
	const struct place *p = flow->place;
	uint64_t at = p->first, end = p->first + p->count;
	struct urx_zone zone = { .len = 0 };
	struct piece *piece;
	int status = OK;

	progress_start("verify", p->count * p->format.interval);
	while (status == OK && !findings_enough(f)) {
		while (status == OK && (piece = flow_free(flow)) != NULL) {
			status = next_piece(flow, &at, end, &zone, &piece->count);
			piece->block = at;
			if (status != OK || !piece->count)
				break;
			at += piece->count;
			status = flow_start(flow, piece, URX_OP_READ);
		}
		piece = flow_next(flow);
		if (!piece)
			break;
		if (status == OK)
			status = settle(flow, f, piece);
		progress_at((piece->block + piece->count - p->first) * p->format.interval);
		flow_done(flow);
	}
	return status;
}

static int verify_target(const struct options *o)
{
	struct findings f = { .o = o, .to = stdout };
	struct flow flow = { .pieces = NULL };
	struct place place;
	int status = place_open(&place, o, false);

	if (status == OK && !place.protected)
		status = trouble("%s: has no protection information", o->name);
	findings_at(&f, &place);
	if (status == OK && !f.tags.checks)
		status = trouble("--check: leaves nothing to verify");
	if (status == OK)
		status = flow_open(&flow, &place, o->depth);
	if (status == OK)
		status = findings_open(&f, flow.most);
	if (status == OK)
		status = findings_close(&f, verify_pieces(&flow, &f));
	flow_close(&flow);
	place_close(&place);
	return status;
}

int verify(const struct options *o)
{
	return is_image(o) ? verify_image(o) : verify_target(o);
}
