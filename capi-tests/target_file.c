/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is a target and what is not; regular files; descriptors. */
#include <sys/stat.h>
#include "urx_test.h"

static int try(const char *path, uint32_t flags)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = flags };
	struct urx_target *target = (void *)1;
	int ret = urx_target_open(&target, path, &opts);

	CHECK((ret == 0) == (target != NULL));
	urx_target_close(target);
	return ret;
}

static struct urx_target_info query(const struct urx_target *target)
{
	struct urx_target_info info;

	memset(&info, 0xa5, sizeof(info));
	info.size = sizeof(info);
	CHECK_EQ(urx_target_query(target, &info), 0);
	CHECK_EQ(info.kind, URX_KIND_FILE);
	CHECK_EQ(info.bytes, 12345);
	CHECK_EQ(info.nsid | info.start | info.nr_zones | info.zone_bytes | info.reserved0, 0);
	CHECK_EQ(info.format.interval | info.format.meta_size | info.format.guard, 0);
	CHECK_EQ(info.flags & (URX_INFO_ATTR | URX_INFO_HIDDEN), 0);
	CHECK_EQ(info.source[URX_FACT_BYTES], URX_SOURCE_STAT);
	CHECK_EQ(info.source[URX_FACT_NSID] | info.source[URX_FACT_ZONES] | info.source[7], 0);
	CHECK(info.data_align != 0);
	for (size_t n = 0; n < COUNT(info.reserved); n++)
		CHECK_EQ(info.reserved[n], 0);
	return info;
}

static void options(const char *path)
{
	struct urx_target_opts opts = { .size = sizeof(opts) };
	struct urx_target *target = NULL;

	opts.flags = 8;
	CHECK_EQ(urx_target_open(&target, path, &opts), -EINVAL);
	opts.flags = 0, opts.reserved[3] = 1;
	CHECK_EQ(urx_target_open(&target, path, &opts), -EINVAL);
	opts.reserved[3] = 0, opts.size = sizeof(opts) - 1;
	CHECK_EQ(urx_target_open(&target, path, &opts), -EINVAL);
	opts.size = 0;
	CHECK_EQ(urx_target_open(&target, path, &opts), -EINVAL);
	CHECK(target == NULL);
	CHECK_EQ(try(path, URX_TARGET_WRITE | URX_TARGET_BUFFERED), 0);
}

int main(void)
{
	char dir[] = "/tmp/urx-target-XXXXXX", path[64], fifo[64], missing[64];
	struct urx_target *target;
	struct urx_target_info info;
	struct stat mine, its;
	int fd;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	snprintf(missing, sizeof(missing), "%s/missing", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, 12345), 0);
	CHECK_EQ(mkfifo(fifo, 0600), 0);

	CHECK_EQ(try(dir, 0), -EOPNOTSUPP);
	CHECK_EQ(try(fifo, 0), -EOPNOTSUPP); /* and does not wait for a writer */
	CHECK_EQ(try("/dev/null", 0), -EOPNOTSUPP);
	CHECK_EQ(try(missing, 0), -ENOENT);
	CHECK_EQ(try("", 0), -ENOENT);
	CHECK_EQ(try("/proc/self/exe/x", 0), -ENOTDIR);
	options(path);

	CHECK_EQ(urx_target_open(&target, path, NULL), 0);
	info = query(target);
	CHECK_EQ(info.flags & URX_INFO_WRITABLE, 0);
	CHECK(fcntl(info.fd, F_GETFD) & FD_CLOEXEC);
	urx_target_close(target);
	CHECK_EQ(fcntl(info.fd, F_GETFD), -1);

	/* The caller's descriptor may go; it is the same open file. */
	CHECK_EQ(urx_target_from_fd(&target, fd, NULL), 0);
	CHECK_EQ(fstat(fd, &mine), 0);
	close(fd);
	info = query(target);
	CHECK_EQ(info.flags & (URX_INFO_WRITABLE | URX_INFO_DIRECT), URX_INFO_WRITABLE);
	CHECK(info.fd != fd);
	CHECK_EQ(fstat(info.fd, &its), 0);
	CHECK_EQ(its.st_ino, mine.st_ino);
	urx_target_close(target);

	CHECK_EQ(urx_target_from_fd(&target, fd, NULL), -EBADF);
	CHECK_EQ(urx_target_from_fd(&target, -1, NULL), -EBADF);
	CHECK(target == NULL);
	CHECK_EQ(unlink(path) | unlink(fifo) | rmdir(dir), 0);
	return 0;
}
