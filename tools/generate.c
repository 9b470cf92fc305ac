/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* urx generate: tuples for data that is there: into an image's metadata, or a side file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "place.h"
#include "progress.h"

static int generate_blocks(struct image *image, const struct urx_tags *tags, uint64_t first, uint64_t count)
{
	size_t most = image_piece(image), piece;
	unsigned char *data = malloc(most * image->data_size), *meta = malloc(most * image->meta_size + 1);
	int status = data && meta ? OK : trouble("no memory");

	progress_start("generate", count * image->format.interval);
	for (uint64_t at = 0; at < count && status == OK; at += piece) {
		struct urx_tags there = tags_at(tags, &image->format, first + at);
		int rc;

		piece = count - at < most ? (size_t)(count - at) : most;
		status = image_load(image, first + at, piece, data, meta, true);
		if (status != OK)
			break;
		rc = urx_pi_generate(&image->pi, &there, data, image->meta_size ? meta : NULL, piece);
		status = rc ? trouble("tags: %s", strerror(-rc)) :
			      image_store(image, first + at, piece, data, meta);
		progress_at((at + piece) * image->format.interval);
	}
	progress_hide();
	free(data);
	free(meta);
	return status;
}

static int generate_image(const struct options *o)
{
	struct urx_tags tags;
	struct image image;
	uint64_t first, count;
	int status = image_open(&image, o, true), closed;

	if (status == OK)
		status = options_range(o, image.format.interval, image.blocks, &first, &count);
	if (status == OK)
		status = options_tags(o, &image.format, 0, &tags);
	if (status == OK)
		status = generate_blocks(&image, &tags, first, count);
	closed = image_close(&image);
	return status == OK ? closed : status;
}

/* The library does it in one go. */
static int generate_side(const struct options *o)
{
	struct options with = *o;
	struct place place;
	int status, rc;

	if (o->offset || o->has_length)
		return trouble("--side: a side file is generated as a whole, without --offset and --length");
	with.create = true;
	status = place_open(&place, &with, true);
	if (status == OK) {
		rc = urx_target_adopt(place.target, &place.tags);
		if (rc)
			status = trouble("%s: %s", o->name, strerror(-rc));
	}
	place_close(&place);
	return status;
}

int generate(const struct options *o)
{
	if (is_image(o))
		return generate_image(o);
	if (o->side)
		return generate_side(o);
	return trouble("%s: where does the metadata go: --meta-file, --interleaved or --side?", o->name);
}
