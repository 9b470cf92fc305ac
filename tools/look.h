/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is wrong with blocks whose read failed. */
#ifndef URX_LOOK_H
#define URX_LOOK_H

#include "findings.h"
#include "place.h"

/*
 * Reads the blocks again, one after the other where it must, and tells findings. What could be read is in the buffers
 * afterwards, whatever its checks say. rc is the read's error: one that is no failed check, and that none of the blocks has
 * alone, was a neighbour's, which the kernel had read together with them.
 */
void look(struct place *p, struct findings *f, uint64_t block, size_t count, unsigned char *data, unsigned char *meta,
	  int rc);

#endif
