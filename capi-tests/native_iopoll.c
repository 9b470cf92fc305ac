/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A ring that polls gets no PI attribute, whatever kernel: some have crashed. Nothing is submitted. */
#include "urx_test.h"

int main(void)
{
	struct dev dev;
	struct urx_rw rw;
	struct urx_tags tags;
	struct urx_attr_pi attr;
	struct io_uring_sqe sqe;
	struct blocks b;
	const char *why = NULL;

	need_attr();
	dev_open(&dev, "pi4k", IORING_SETUP_IOPOLL);
	CHECK(dev.ring.flags & IORING_SETUP_IOPOLL);
	tags = tags_of(&dev, 1, 8);
	b = blocks_with(&dev, 1, 1, &tags);
	rw = rw_of(&dev, URX_OP_READ, 8, b.data, 1, b.meta, tags);
	CHECK_EQ(urx_attr_check(dev.target, dev.ring.flags, dev.ring.features, NULL, &why), -EOPNOTSUPP);
	CHECK(strstr(why, "IORING_SETUP_IOPOLL"));
	CHECK_EQ(urx_attr_check(dev.target, dev.ring.flags, dev.ring.features, &rw, &why), -EOPNOTSUPP);
	CHECK_EQ(urx_prep_attr(&sqe, &attr, dev.target, dev.ring.flags, dev.ring.features, &rw),
		 -EOPNOTSUPP);
	CHECK_EQ(urx_attr_check(dev.target, 0, dev.ring.features, &rw, NULL), 0);
	blocks_free(&b);
	dev_close(&dev);
	return 0;
}
