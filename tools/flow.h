/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many requests to one target through one ring. They end in any order and are handed back in that of their start. */
#ifndef URX_FLOW_H
#define URX_FLOW_H

#include <liburing.h>

#include "place.h"

struct piece {
	uint64_t block;
	size_t count; /* blocks */
	unsigned char *data, *meta;
	struct urx_rw rw;
	int rc; /* bytes, or -errno */
	struct urx_result result;
	struct urx_io io; /* the flow's, as what follows */
	bool done;
};

struct flow {
	struct place *place;
	struct io_uring ring;
	struct urx_queue *queue;
	size_t most; /* blocks of a piece */
	struct piece *pieces;
	unsigned depth, oldest, busy; /* the busy ones begin at the oldest, around the end */
};

int flow_open(struct flow *f, struct place *place, unsigned depth);

/* A piece that may be filled, with its buffers; NULL: all are busy. */
struct piece *flow_free(struct flow *f);

/* Starts the piece that flow_free() gave; its block and count are set. */
int flow_start(struct flow *f, struct piece *piece, uint32_t op);

/* The oldest one, ended: rc and result are set; NULL: none is under way. */
struct piece *flow_next(struct flow *f);

/* Done with the piece that flow_next() gave. */
void flow_done(struct flow *f);

/* Waits for what is under way. */
void flow_close(struct flow *f);

#endif
