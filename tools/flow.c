/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See flow.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

#define PIECE (128u << 10) /* bytes of data: little enough for one command of most devices */

/* The ring that most requests can go through: with large entries, if the kernel has them (5.19). */
static int open_ring(struct flow *f)
{
	int rc = io_uring_queue_init(f->depth, &f->ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);

	return rc == -EINVAL ? io_uring_queue_init(f->depth, &f->ring, 0) : rc;
}

int flow_open(struct flow *f, struct place *place, unsigned depth)
{
	uint32_t interval = place->format.interval;
	uint32_t bytes = place->info.max_command && place->info.max_command < PIECE ? place->info.max_command : PIECE;
	int rc;

	*f = (struct flow){ .place = place, .depth = depth, .most = bytes / interval };
	if (!f->most)
		f->most = 1;
	f->pieces = calloc(f->depth, sizeof(*f->pieces));
	if (!f->pieces)
		return trouble("no memory");
	for (unsigned n = 0; n < f->depth; n++) {
		f->pieces[n].data = place_data(place, f->most);
		f->pieces[n].meta = place_meta(place, f->most);
		if (!f->pieces[n].data || !f->pieces[n].meta)
			return TROUBLE;
	}
	rc = open_ring(f);
	if (!rc) {
		rc = urx_queue_open(&f->queue, URX_RING(&f->ring), NULL);
		if (rc)
			io_uring_queue_exit(&f->ring);
	}
	return rc ? trouble("io_uring: %s", strerror(-rc)) : OK;
}

struct piece *flow_free(struct flow *f)
{
	return f->busy == f->depth ? NULL : &f->pieces[(f->oldest + f->busy) % f->depth];
}

/* Takes one CQE. Signals do not matter: a request is over when its CQE has come. */
static void reap(struct flow *f)
{
	struct io_uring_cqe *cqe;
	struct piece *piece;

	while (io_uring_wait_cqe(&f->ring, &cqe))
		;
	piece = io_uring_cqe_get_data(cqe);
	piece->rc = urx_io_result(&piece->io, cqe, &piece->result);
	piece->done = true;
	io_uring_cqe_seen(&f->ring, cqe);
}

int flow_start(struct flow *f, struct piece *piece, uint32_t op)
{
	unsigned waited = 0;
	struct io_uring_sqe *sqe;
	int rc;

	piece->rw = place_request(f->place, op, piece->block, piece->count, piece->data, piece->meta);
	piece->result = (struct urx_result){ .size = sizeof(piece->result) };
	piece->done = false;
	/* As many as there are may wait for workers. */
	for (;;) {
		rc = urx_plan(f->queue, f->place->target, &piece->rw, &piece->io);
		if (rc != -EAGAIN)
			break;
		while (waited < f->busy && f->pieces[(f->oldest + waited) % f->depth].done)
			waited++;
		if (waited == f->busy)
			break;
		reap(f);
	}
	if (rc) { /* as if it had been tried */
		piece->rc = rc;
		piece->done = true;
		f->busy++;
		return OK;
	}
	sqe = io_uring_get_sqe(&f->ring);
	urx_prep(sqe, &piece->io);
	io_uring_sqe_set_data(sqe, piece);
	do
		rc = io_uring_submit(&f->ring);
	while (rc == -EINTR || rc == -EAGAIN || rc == -EBUSY);
	if (rc < 0) {
		urx_io_drop(&piece->io);
		return trouble("io_uring: %s", strerror(-rc));
	}
	f->busy++;
	return OK;
}

struct piece *flow_next(struct flow *f)
{
	struct piece *piece = &f->pieces[f->oldest];

	if (!f->busy)
		return NULL;
	while (!piece->done)
		reap(f);
	return piece;
}

void flow_done(struct flow *f)
{
	f->oldest = (f->oldest + 1) % f->depth;
	f->busy--;
}

void flow_close(struct flow *f)
{
	if (!f->pieces)
		return;
	while (flow_next(f))
		flow_done(f);
	if (f->queue) {
		urx_queue_close(f->queue);
		io_uring_queue_exit(&f->ring);
	}
	for (unsigned n = 0; n < f->depth; n++) {
		free(f->pieces[n].data);
		free(f->pieces[n].meta);
	}
	free(f->pieces);
}
