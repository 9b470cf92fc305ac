/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ublk_pi [-b BLOCK] [-m META] [-g none|t10dif|ip|crc64] [-t TYPE] [-l] [-z] FILE SIDE: a block device with protection
 * information, from any file and one beside it that is made if there is none: -m bytes of metadata a block, the tuple
 * first in them or (-l) last. A write is checked, guard and reference tag, before anything of it is stored: -EILSEQ.
 * A read has the tuples as they were stored, for the kernel or the program to check.
 *
 * Data goes between file and request without a copy where that is faster, or (-z) always. The check of a write reads
 * it, through a copy that goes no further. Metadata the kernel lends to nobody: it is copied.
 */
#include <sys/stat.h>
#include "ublk_server.h"

static struct urx_pi_format format = { .size = sizeof(format), .interval = 4096, .meta_size = 8,
				       .guard = URX_GUARD_T10DIF, .pi_type = 1 };
static struct urx_pi pi;
static int file, side;
static uint8_t data[MOST], meta[MOST / 512 * 255];

/* The whole of it, or -errno. */
static int whole(ssize_t ret, size_t len)
{
	return ret < 0 ? -errno : (size_t)ret == len ? 0 : -EIO;
}

/* A write's metadata: looked at, or made if there is none, and stored. */
static int check_write(struct server *s, uint16_t tag, const struct urx_ublk_desc *desc, uint64_t block, size_t blocks)
{
	struct urx_tags tags = { .checks = format.checks & (URX_CHECK_GUARD | URX_CHECK_REF), .ref = block };
	size_t len = blocks * format.interval, meta_len = blocks * format.meta_size;
	bool given = desc->op_flags & URX_UBLK_IO_INTEGRITY;
	int ret = 0;

	memset(meta, 0, meta_len);
	if (given)
		ret = whole(pread(s->fd, meta, meta_len, (off_t)urx_ublk_copy_offset(0, tag, 0, 1)), meta_len);
	if (!ret && tags.checks) {
		ret = whole(pread(s->fd, data, len, (off_t)urx_ublk_copy_offset(0, tag, 0, 0)), len);
		if (!ret)
			ret = given ? urx_pi_verify(&pi, &tags, data, meta, blocks, NULL) :
				      urx_pi_generate(&pi, &tags, data, meta, blocks);
	}
	/* Before the data: what a crash leaves is old, new, or fails its check. */
	return ret ? ret : whole(pwrite(side, meta, meta_len, (off_t)(block * format.meta_size)), meta_len);
}

static void serve(struct server *s, uint16_t tag, const struct urx_ublk_desc *desc)
{
	uint64_t start = desc->start_sector * 512;
	uint32_t op = desc->op_flags & 255, len = desc->nr_sectors * 512;
	struct io_uring_sqe sqe;
	int ret;

	memset(&sqe, 0, sizeof(sqe));
	switch (op) {
	case URX_UBLK_OP_FLUSH:
		other(s, tag, datasync, side);
		other(s, tag, datasync, file);
		return;
	case URX_UBLK_OP_READ:
		io_uring_prep_read(&sqe, file, NULL, len, start);
		break;
	case URX_UBLK_OP_WRITE:
		ret = check_write(s, tag, desc, start / format.interval, len / format.interval);
		if (ret) {
			commit(s, tag, ret);
			return;
		}
		io_uring_prep_write(&sqe, file, NULL, len, start);
		break;
	default:
		commit(s, tag, -EOPNOTSUPP);
		return;
	}
	lend(s, tag, &sqe, 1);
}

/* The data is where it belongs; a read's metadata is still to come. */
static int32_t done(struct server *s, uint16_t tag, const struct urx_ublk_desc *desc, int32_t res)
{
	uint64_t block = desc->start_sector * 512 / format.interval;
	size_t len = desc->nr_sectors * 512u, meta_len = len / format.interval * format.meta_size;
	int ret;

	if ((desc->op_flags & 255) != URX_UBLK_OP_READ || !(desc->op_flags & URX_UBLK_IO_INTEGRITY) ||
	    res != (int32_t)len)
		return res;
	ret = whole(pread(side, meta, meta_len, (off_t)(block * format.meta_size)), meta_len);
	if (!ret)
		ret = whole(pwrite(s->fd, meta, meta_len, (off_t)urx_ublk_copy_offset(0, tag, 0, 1)), meta_len);
	return ret ? ret : res;
}

/* Blocks that were never written have a tuple that switches the checks off: all ones. */
static int make_side(const char *path, uint64_t len)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		perror(path);
		exit(1);
	}
	memset(data, 0xff, sizeof(data));
	for (uint64_t at = (uint64_t)st.st_size; at < len; at += sizeof(data)) {
		size_t part = len - at < sizeof(data) ? len - at : sizeof(data);

		check(whole(pwrite(fd, data, part, (off_t)at), part), path);
	}
	return fd;
}

static uint8_t guard_of(const char *name)
{
	return (uint8_t)(!strcmp(name, "none") ? URX_GUARD_NONE : !strcmp(name, "ip") ? URX_GUARD_IP :
			 !strcmp(name, "crc64") ? URX_GUARD_CRC64 : URX_GUARD_T10DIF);
}

int main(int argc, char **argv)
{
	static struct server server;
	struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY, .depth = DEPTH,
					  .max_request = MOST,
					  .flags = URX_UBLK_F_USER_COPY | URX_UBLK_F_INTEGRITY };
	struct urx_ublk_params params = { .size = sizeof(params), .attrs = URX_UBLK_ATTR_CACHE };
	uint64_t features = 0;
	const char *why = "";
	bool last = false;
	struct stat st;
	int option;

	while ((option = getopt(argc, argv, "b:m:g:t:lz")) != -1) {
		switch (option) {
		case 'b':
			format.interval = (uint32_t)atoi(optarg);
			break;
		case 'm':
			format.meta_size = (uint16_t)atoi(optarg);
			break;
		case 'g':
			format.guard = guard_of(optarg);
			break;
		case 't':
			format.pi_type = (uint8_t)atoi(optarg);
			break;
		case 'l':
			last = true;
			break;
		case 'z':
			server.copy_most = 1;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: ublk_pi [-b BLOCK] [-m META] [-g GUARD] [-t TYPE] [-l] [-z] FILE SIDE\n");
		return 2;
	}
	if (format.guard == URX_GUARD_NONE)
		format.pi_type = 0;
	if (last)
		format.pi_offset = format.meta_size - (format.guard == URX_GUARD_CRC64 ? 16 : 8);
	option = urx_pi_init(&pi, &format, &why);
	check(format.guard ? option : 0, why);

	option = urx_ublk_features(&features, &why);
	check(option, why);
	file = open(argv[optind], O_RDWR | O_CLOEXEC);
	if (file < 0 || fstat(file, &st)) {
		perror(argv[optind]);
		return 1;
	}
	params.block = format.interval;
	params.bytes = (uint64_t)st.st_size / format.interval * format.interval;
	params.format = format;
	device.flags |= features & (URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG);
	server_open(&server, &device, &params);
	check(urx_ublk_get_params(server.device.dev_id, &params), "parameters");
	format = params.format; /* with the checks that it has */
	side = make_side(argv[optind + 1], params.bytes / format.interval * format.meta_size);
	return server_run(&server);
}
