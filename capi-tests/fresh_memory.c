/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reads into memory that nobody has touched, or only read, so that it is the kernel's one page of zeros: on every path
 * data and metadata arrive, and that page stays what it is.
 */
#include <sys/mman.h>
#include "urx_test.h"

enum { BLOCKS = 8, AT = 300 };

static unsigned char *fresh(size_t len)
{
	unsigned char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static unsigned read_through(const unsigned char *p, size_t len)
{
	unsigned sum = 0;

	for (size_t n = 0; n < len; n++)
		sum |= ((const volatile unsigned char *)p)[n];
	return sum;
}

static void zeros_are_zero(const char *path, bool seen)
{
	unsigned char *zeros = fresh(4096);

	if (read_through(zeros, 4096))
		FAIL("%s, %s memory: the page of zeros holds %02x %02x %02x %02x", path, seen ? "seen" : "fresh", zeros[0],
		     zeros[1], zeros[2], zeros[3]);
	munmap(zeros, 4096);
}

static void reads(struct dev *dev, uint32_t path, bool seen)
{
	const size_t data_len = (size_t)BLOCKS * dev->info.format.interval, meta_len = BLOCKS * dev->info.format.meta_size;
	struct urx_tags tags = tags_of(dev, 9, device_block(dev, AT));
	struct blocks out = blocks_with(dev, BLOCKS, path, &tags);
	struct urx_rw rw = rw_of(dev, URX_OP_WRITE, AT, out.data, BLOCKS, out.meta, tags);
	unsigned char *data = fresh(data_len), *meta = fresh(4096);
	unsigned char kept[4096];
	struct urx_queue *queue;

	memcpy(kept, out.meta, meta_len);
	CHECK_EQ(urx_queue_open(&queue, -1, 0, 0, NULL), 0);
	rw.allow = URX_PATH_IOCTL;
	CHECK_EQ(urx_run(queue, dev->target, &rw, NULL), (int)data_len);
	if (seen) {
		CHECK_EQ(read_through(data, data_len), 0);
		CHECK_EQ(read_through(meta, 4096), 0);
	}
	rw = rw_of(dev, URX_OP_READ, AT, data, BLOCKS, meta, tags);
	rw.allow = path;
	if (!urx_explain(NULL, dev->target, &rw, path, NULL)) {
		CHECK_EQ(urx_run(queue, dev->target, &rw, NULL), (int)data_len);
		zeros_are_zero(urx_path_str(path), seen);
		CHECK_BYTES(data, out.data, data_len, urx_path_str(path));
		CHECK_BYTES(meta, kept, meta_len, urx_path_str(path));
	}
	munmap(data, data_len);
	munmap(meta, 4096);
	urx_queue_close(queue);
	blocks_free(&out);
}

int main(void)
{
	static const char *const labels[] = { "pi4k", "pi512", "pi64", "ms64last" };

	need_vm();
	for (size_t n = 0; n < COUNT(labels); n++) {
		struct dev dev;

		dev_open(&dev, labels[n], 0);
		if (dev.info.format.guard != URX_GUARD_NONE)
			for (uint32_t path = URX_PATH_ATTR; path <= URX_PATH_IOCTL; path *= 2) {
				reads(&dev, path, false);
				reads(&dev, path, true);
			}
		dev_close(&dev);
	}
	return 0;
}
