/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ublk_loop [-u] [-k] [-r N | -d N] FILE FILE: a block device whose stripes lie in two files in turn. Each request lends its
 * buffer, in parts, to reads or writes of the files: nothing is copied where the kernel has zero copy.
 *
 *   -u    by user copy even so
 *   -k    the device is kept if this server dies: requests wait for the next
 *   -r N  which is this one, for device N
 *   -d N  deletes device N, whose server has died
 */
#include <sys/stat.h>
#include "ublk_server.h"

enum { FILES = 2, STRIPE = 64 << 10 };

static int files[FILES];

static void serve(struct server *s, uint16_t tag, const struct urx_ublk_desc *desc)
{
	uint64_t start = desc->start_sector * 512, end = start + desc->nr_sectors * 512ull, at, next;
	uint32_t op = desc->op_flags & 255, nr = 0;
	struct io_uring_sqe pieces[MOST / STRIPE + 1];

	if (op == URX_UBLK_OP_FLUSH) {
		for (int n = 0; n < FILES; n++)
			other(s, tag, datasync, files[n]);
		return;
	}
	if (op != URX_UBLK_OP_READ && op != URX_UBLK_OP_WRITE) {
		commit(s, tag, -EOPNOTSUPP);
		return;
	}
	memset(pieces, 0, sizeof(pieces));
	for (at = start; at < end; at = next) {
		uint64_t stripe = at / STRIPE, place = stripe / FILES * STRIPE + at % STRIPE;
		void *offset = (void *)(uintptr_t)(at - start); /* in the request's buffer */
		int fd = files[stripe % FILES];

		next = (stripe + 1) * STRIPE < end ? (stripe + 1) * STRIPE : end;
		if (op == URX_UBLK_OP_READ)
			io_uring_prep_read(&pieces[nr++], fd, offset, (unsigned)(next - at), place);
		else
			io_uring_prep_write(&pieces[nr++], fd, offset, (unsigned)(next - at), place);
	}
	lend(s, tag, pieces, nr);
}

static int32_t done(struct server *s, uint16_t tag, const struct urx_ublk_desc *desc, int32_t res)
{
	(void)s, (void)tag, (void)desc;
	return res;
}

int main(int argc, char **argv)
{
	static struct server server;
	struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY, .depth = DEPTH,
					  .max_request = MOST, .flags = URX_UBLK_F_USER_COPY };
	struct urx_ublk_params params = { .size = sizeof(params), .block = 4096, .io_opt = STRIPE,
					  .attrs = URX_UBLK_ATTR_CACHE };
	uint64_t size = UINT64_MAX, features = 0;
	bool copy = false, keep = false;
	const char *why = "";
	int option;

	while ((option = getopt(argc, argv, "ukr:d:")) != -1) {
		copy |= option == 'u';
		keep |= option == 'k';
		if (option == 'r')
			server.recover = true, device.dev_id = (uint32_t)atoi(optarg);
		if (option == 'd') {
			check(urx_ublk_delete((uint32_t)atoi(optarg)), "delete");
			return 0;
		}
		if (option == '?')
			return 2;
	}
	if (argc - optind != FILES) {
		fprintf(stderr, "usage: ublk_loop [-u] [-k] [-r N | -d N] FILE FILE\n");
		return 2;
	}
	for (int n = 0; n < FILES; n++) {
		struct stat st;

		files[n] = open(argv[optind + n], O_RDWR | O_CLOEXEC);
		if (files[n] < 0 || fstat(files[n], &st)) {
			perror(argv[optind + n]);
			return 1;
		}
		if ((uint64_t)st.st_size < size)
			size = (uint64_t)st.st_size;
	}
	params.bytes = size / STRIPE * STRIPE * FILES;

	option = urx_ublk_features(&features, &why);
	check(option, why);
	if (!copy)
		device.flags |= features & (URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG);
	if (keep)
		device.flags |= URX_UBLK_F_RECOVERY | URX_UBLK_F_RECOVERY_REISSUE;
	server_open(&server, &device, &params);
	return server_run(&server);
}
