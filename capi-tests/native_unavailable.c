/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Kernels that would drop the attribute, or cannot say what metadata they handle, are seen before a request. */
#include "urx_test.h"

int main(void)
{
	struct dev dev;
	struct urx_tags tags;
	struct blocks b;
	struct urx_rw rw;
	struct urx_attr_pi attr, attr_before;
	struct io_uring_sqe sqe, sqe_before;
	const char *why = NULL;
	bool available = kernel() >= 6017;
	int want = available ? 0 : -EOPNOTSUPP;

	need_vm();
	dev_open(&dev, "pi4k", 0);
	tags = tags_of(&dev, 1, 8);
	b = blocks_with(&dev, 1, 1, &tags);
	rw = rw_of(&dev, URX_OP_WRITE, 8, b.data, 1, b.meta, tags);
	CHECK_EQ(!!(dev.ring.features & URX_FEAT_RW_ATTR), kernel() >= 6014);
	CHECK_EQ(urx_attr_check(dev.target, dev.ring.flags, dev.ring.features, NULL, &why), want);
	CHECK_EQ(urx_attr_check(dev.target, dev.ring.flags, dev.ring.features, &rw, &why), want);
	if (kernel() < 6014 && !strstr(why, "IORING_FEAT_RW_ATTR"))
		FAIL("\"%s\" does not name IORING_FEAT_RW_ATTR", why);

	memset(&sqe, 0xa5, sizeof(sqe));
	memset(&attr, 0xa5, sizeof(attr));
	sqe_before = sqe, attr_before = attr;
	CHECK_EQ(urx_prep_attr(&sqe, &attr, dev.target, dev.ring.flags, dev.ring.features, &rw), want);
	if (!available) {
		CHECK_BYTES(&sqe, &sqe_before, sizeof(sqe), "SQE");
		CHECK_BYTES(&attr, &attr_before, sizeof(attr), "attribute");
	}
	blocks_free(&b);
	dev_close(&dev);
	return 0;
}
