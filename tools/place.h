/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An open target, and what the commands that read or write it need to know of it. */
#ifndef URX_PLACE_H
#define URX_PLACE_H

#include "urx.h"

struct place {
	const struct options *o;
	struct urx_target *target;
	struct urx_queue *queue; /* for one request at once, without a ring */
	struct urx_target_info info;
	struct urx_pi_format format; /* as buffers of this tool have it: data and metadata apart */
	bool protected; /* it has tuples: pi and tags are set */
	struct urx_pi pi;
	struct urx_tags tags; /* of block 0 */
	uint64_t lba; /* of block 0 */
	uint64_t first, count; /* blocks that were asked for */
};

/* write: opens for writing, and makes the side file if the options say so. OK, or TROUBLE (told). */
int place_open(struct place *p, const struct options *o, bool write);
void place_close(struct place *p);

/* A request for blocks; its buffers have room for them. */
struct urx_rw place_request(const struct place *p, uint32_t op, uint64_t block, size_t count, void *data, void *meta);

/* A request at once: as urx_run() answers, and *result is set whatever that is. */
int place_run(struct place *p, const struct urx_rw *rw, struct urx_result *result);

/* Tells why a request was not even begun, or did not succeed; TROUBLE. */
int place_trouble(const struct place *p, const struct urx_rw *rw, int rc);

/* Memory for blocks, data as aligned as the target wants it; NULL: none (told). */
void *place_data(const struct place *p, size_t count);
void *place_meta(const struct place *p, size_t count);

#endif
