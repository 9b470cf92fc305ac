/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Other rings and ways to submit: SQE128 with the attribute inline, SQPOLL, IOSQE_ASYNC. */
#include "urx_test.h"

enum { BLOCKS = 4, AT = 96 };

/* Writes and reads with the raw prep functions, and a wrong write. `ways` goes to each SQE's flags. */
static void modes(unsigned ring_flags, unsigned char ways)
{
	struct dev dev;
	struct urx_tags tags;
	struct blocks out, in;
	bool is_inline = ring_flags & IORING_SETUP_SQE128;

	dev_open(&dev, "pi4k", ring_flags);
	tags = tags_of(&dev, 9, AT);
	out = blocks_with(&dev, BLOCKS, 1, &tags);
	in = blocks_of(&dev, BLOCKS, 2);
	/* More rounds than the ring has entries: entries are used again. */
	for (int round = 0; round < 24; round++) {
		bool write = round % 2 == 0, wrong = round % 3 == 2 && !on_ublk();
		struct blocks *b = write ? &out : &in;
		struct urx_attr_pi attr = { .flags = 7, .app_tag = wrong ? 8 : 9, .seed = AT,
					    .len = (uint32_t)b->meta_len, .addr = (uintptr_t)b->meta };
		struct io_uring_sqe *sqe = io_uring_get_sqe(&dev.ring);
		unsigned len = (unsigned)b->data_len;

		CHECK(sqe);
		if (write)
			urx_prep_write_meta(sqe, dev.info.fd, b->data, len, AT * 4096, &attr);
		else
			urx_prep_read_meta(sqe, dev.info.fd, b->data, len, AT * 4096, &attr);
		if (is_inline) {
			urx_prep_rw_attr_pi_inline(sqe, &attr);
			memset(&attr, 0xff, sizeof(attr)); /* no longer looked at */
		}
		sqe->flags |= ways;
		CHECK_EQ(finish(&dev.ring, NULL), wrong ? -EILSEQ : (int)len);
		if (!write && !wrong) {
			CHECK_BYTES(in.data, out.data, in.data_len, "data");
			CHECK_BYTES(in.meta, out.meta, in.meta_len, "metadata");
			fill(in.data, in.data_len, 3);
		}
	}
	rewrite("pi4k", AT, BLOCKS, 4096);
	blocks_free(&out);
	blocks_free(&in);
	dev_close(&dev);
}

int main(void)
{
	need_attr();
	modes(0, 0);
	modes(0, IOSQE_ASYNC);
	modes(IORING_SETUP_SQE128, 0);
	modes(IORING_SETUP_SQE128, IOSQE_ASYNC);
	modes(IORING_SETUP_CQE32, 0);
	modes(IORING_SETUP_SQPOLL, 0);
	modes(IORING_SETUP_SQPOLL | IORING_SETUP_SQE128, 0);
	modes(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, 0);
	return 0;
}
