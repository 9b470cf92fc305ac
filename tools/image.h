/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Files whose format nobody but the user knows: data with its metadata in a second file, or interleaved. */
#ifndef URX_IMAGE_H
#define URX_IMAGE_H

#include "urx.h"

struct image {
	const char *names[2]; /* data, metadata */
	int fds[2]; /* the second is -1 of an interleaved image */
	struct urx_pi_format format;
	struct urx_pi pi;
	uint64_t blocks;
	uint32_t data_size, meta_size; /* bytes of a block in each file */
};

/* Whether the options ask for one. */
bool is_image(const struct options *o);

/* write: the tuples are to be written; a missing metadata file is made. OK, or TROUBLE (told). */
int image_open(struct image *i, const struct options *o, bool write);
int image_close(struct image *i);

/* Blocks into memory: data_size and meta_size bytes each. `holes`: metadata that is not there yet is zero. */
int image_load(const struct image *i, uint64_t block, size_t count, void *data, void *meta, bool holes);

/* Tuples back to where they are kept. */
int image_store(const struct image *i, uint64_t block, size_t count, const void *data, const void *meta);

/* Blocks to take at a time: what a cache holds. */
size_t image_piece(const struct image *i);

#endif
