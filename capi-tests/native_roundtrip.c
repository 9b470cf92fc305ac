/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Data and metadata go out with an application tag that the controller compares, and come back the same.
 * Tuples of the library's satisfy controller and kernel, and the kernel's own satisfy the library.
 */
#include "urx_test.h"

enum { BLOCKS = 8, AT = 16, APP = 0x1234 };

/* Writes and reads through the library. */
static void with_attribute(struct dev *dev, const char *label)
{
	struct urx_tags tags = tags_of(dev, APP, device_block(dev, AT));
	struct blocks out = blocks_with(dev, BLOCKS, 1, &tags), in = blocks_of(dev, BLOCKS, 9);
	const struct urx_pi_format *f = &dev->info.format;
	struct urx_pi pi = pi_of(f);
	struct urx_rw rw = rw_of(dev, URX_OP_WRITE, AT, out.data, BLOCKS, out.meta, tags);
	struct urx_result result;
	uint8_t *sent = pages(out.meta_len), tuple[16];

	memcpy(sent, out.meta, out.meta_len);
	CHECK_EQ(dev_run(dev, &rw, &result), (int)out.data_len);
	CHECK_EQ(result.res, (int)out.data_len);
	CHECK_EQ(result.path, URX_PATH_ATTR);
	CHECK_EQ(result.pi.check | result.pi.flags, 0);

	rw = rw_of(dev, URX_OP_READ, AT, in.data, BLOCKS, in.meta, tags);
	CHECK_EQ(dev_run(dev, &rw, &result), (int)in.data_len);
	CHECK_BYTES(in.data, out.data, in.data_len, label);
	CHECK_BYTES(in.meta, sent, in.meta_len, label);
	CHECK_EQ(urx_pi_verify(&pi, &tags, in.data, in.meta, BLOCKS, NULL), 0);
	for (size_t n = 0; n < BLOCKS; n++) {
		uint8_t *meta = in.meta + n * f->meta_size;

		oracle_block(f, &tags, n, in.data + n * f->interval, meta, tuple);
		CHECK_BYTES(meta + f->pi_offset, tuple, tuple_bytes(f->guard), label);
	}

	/* The controller did compare: another tag is refused, and of a read no more is known. */
	rw.tags.app = APP + 1;
	if (!on_ublk()) {
		CHECK_EQ(dev_run(dev, &rw, &result), -EILSEQ);
		CHECK_EQ(result.res, -EILSEQ);
		CHECK_EQ(result.pi.check | result.pi.flags, 0);
	}
	rw.tags.checks &= ~URX_CHECK_APP;
	CHECK_EQ(dev_run(dev, &rw, NULL), (int)in.data_len);
	blocks_free(&out);
	blocks_free(&in);
	free(sent);
}

/* What the library wrote passes the kernel's verification, what the kernel wrote passes the library's. */
static void with_the_kernel(struct dev *dev, const char *label)
{
	struct blocks out = blocks_of(dev, BLOCKS, 2), in = blocks_of(dev, BLOCKS, 3);
	struct urx_tags tags = tags_of(dev, 0, device_block(dev, AT));
	struct urx_rw rw = rw_of(dev, URX_OP_READ, AT, in.data, BLOCKS, in.meta, tags);
	struct urx_pi pi = pi_of(&dev->info.format);
	off_t offset = (off_t)AT * dev->info.format.interval;

	fill(out.data, out.data_len, 1);
	CHECK_EQ(pread(dev->info.fd, in.data, in.data_len, offset), (ssize_t)in.data_len);
	CHECK_BYTES(in.data, out.data, in.data_len, label);

	fill(out.data, out.data_len, 4);
	CHECK_EQ(pwrite(dev->info.fd, out.data, out.data_len, offset), (ssize_t)out.data_len);
	CHECK_EQ(dev_run(dev, &rw, NULL), (int)in.data_len);
	CHECK_BYTES(in.data, out.data, in.data_len, label);
	CHECK_EQ(urx_pi_verify(&pi, &tags, in.data, in.meta, BLOCKS, NULL), 0);
	blocks_free(&out);
	blocks_free(&in);
}

int main(void)
{
	need_attr();
	for (size_t n = 0; n < COUNT(protected_labels); n++) {
		struct dev dev;

		dev_open(&dev, protected_labels[n], 0);
		with_attribute(&dev, protected_labels[n]);
		with_the_kernel(&dev, protected_labels[n]);
		dev_close(&dev);
		rewrite(protected_labels[n], AT, BLOCKS, dev.info.format.interval);
	}
	return 0;
}
