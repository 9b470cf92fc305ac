/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "urx_test.h"

static int run(struct urx_queue *q, struct io_uring *ring, struct urx_target *t, struct urx_rw *rw,
	       struct urx_result *result)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct urx_io io;
	int rc = urx_plan(q, t, rw, &io);

	if (rc)
		return rc;
	sqe = io_uring_get_sqe(ring);
	urx_prep(sqe, &io);
	CHECK_EQ(io_uring_submit(ring), 1);
	CHECK_EQ(io_uring_wait_cqe(ring, &cqe), 0);
	rc = urx_io_result(&io, cqe, result);
	io_uring_cqe_seen(ring, cqe);
	return rc;
}

int main(void)
{
	static const char *labels[] = { "pi512", "pi4k", "type2", "type3", "pi64", "ms64first", "ms64last",
					"ms8nopi", "ext4k", "extnopi", "plain", "part1" };
	need_vm();
	for (unsigned n = 0; n < COUNT(labels); n++) {
		for (int big = 0; big < 2; big++) {
			struct dev dev;
			struct urx_queue *q;
			int rc = io_uring_queue_init(8, &dev.ring, big ? 3u << 10 : 0);
			if (rc) {
				printf("%s: ring %d\n", labels[n], rc);
				continue;
			}
			dev_target(&dev, labels[n]);
			CHECK_EQ(urx_queue_open(&q, URX_RING(&dev.ring), NULL), 0);
			for (uint32_t path = 1; path <= 8; path *= 2) {
				struct urx_tags tags = tags_of(&dev, 0x1234, 1000);
				struct blocks b = blocks_of(&dev, 4, n);
				struct urx_rw rw;
				struct urx_result r = { .size = sizeof(r) };
				const char *why;
				struct urx_pi pi;
				struct urx_pi_format f = dev.info.format;

				if (tags.checks) {
					f.flags = 0;
					pi = pi_of(&f);
					CHECK_EQ(urx_pi_generate(&pi, &tags, b.data, b.meta, 4), 0);
				}
				rw = rw_of(&dev, URX_OP_WRITE, 8, b.data, 4, b.meta, tags);
				if (!b.meta_len)
					rw.meta = NULL;
				rw.allow = path;
				rc = urx_explain(q, dev.target, &rw, path, &why);
				printf("%s big %d path %u: explain %d %s\n", labels[n], big, path, rc, why);
				if (rc)
					continue;
				printf("  write %d\n", run(q, &dev.ring, dev.target, &rw, &r));
				memset(b.data, 0, b.data_len);
				rw.op = URX_OP_READ;
				rc = run(q, &dev.ring, dev.target, &rw, &r);
				printf("  read %d %s status %x\n", rc, urx_path_str(r.path), r.status);
				if (tags.checks) {
					tags.checks &= 0xf;
					printf("  verify %d\n", urx_pi_verify(&pi, &tags, b.data, b.meta, 4, NULL));
					b.data[4097] ^= 1;
					rw.op = URX_OP_WRITE;
					rc = run(q, &dev.ring, dev.target, &rw, &r);
					printf("  bad write %d check %u block %d status %x\n", rc, r.pi.check, (int)r.pi.block, r.status);
				}
			}
			urx_queue_close(q);
			dev_close(&dev);
		}
	}
	return 0;
}
