/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reference tags of one's own: remapped to the device's on the way out and back again on the way in. */
#include "urx_test.h"

enum { BLOCKS = 4, AT = 40, SEED = 70000 };

/* Reads with a seed and expects tuples that count from `first` (type 3: all the same). */
static void tags_read(struct dev *dev, const char *label, uint64_t seed, uint64_t first)
{
	const struct urx_pi_format *f = &dev->info.format;
	struct urx_tags tags = tags_of(dev, 3, seed);
	struct blocks in = blocks_of(dev, BLOCKS, 1);
	struct urx_rw rw = rw_of(dev, URX_OP_READ, AT, in.data, BLOCKS, in.meta, tags);
	struct urx_pi pi = pi_of(f);
	struct urx_pi_tuple tuple;

	CHECK_EQ(dev_run(dev, &rw, NULL), (int)in.data_len);
	for (uint64_t n = 0; n < BLOCKS; n++) {
		uint64_t want = f->pi_type == 3 ? SEED : first + n;

		CHECK_EQ(urx_pi_tuple_get(&pi, in.meta + n * f->meta_size, &tuple), 0);
		if (tuple.ref != want)
			FAIL("%s, seed %" PRIu64 ": block %" PRIu64 " has tag %" PRIu64 ", not %" PRIu64,
			     label, seed, n, tuple.ref, want);
	}
	blocks_free(&in);
}

int main(void)
{
	need_attr();
	for (size_t n = 0; n < COUNT(protected_labels); n++) {
		const char *label = protected_labels[n];
		struct dev dev;
		struct urx_tags tags;
		struct blocks out;
		struct urx_rw rw;

		dev_open(&dev, label, 0);
		tags = tags_of(&dev, 3, SEED);
		out = blocks_with(&dev, BLOCKS, 1, &tags);
		rw = rw_of(&dev, URX_OP_WRITE, AT, out.data, BLOCKS, out.meta, tags);
		CHECK_EQ(dev_run(&dev, &rw, NULL), (int)out.data_len);
		tags_read(&dev, label, SEED, SEED);
		tags_read(&dev, label, device_block(&dev, AT), device_block(&dev, AT));
		tags_read(&dev, label, 5, 5);

		/* Again with the buffer that the kernel may have changed: both forms are right. */
		CHECK_EQ(dev_run(&dev, &rw, NULL), (int)out.data_len);
		tags_read(&dev, label, SEED, SEED);
		rewrite(label, AT, BLOCKS, dev.info.format.interval);
		blocks_free(&out);
		dev_close(&dev);
	}
	return 0;
}
