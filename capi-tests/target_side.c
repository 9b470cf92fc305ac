/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Side files: made, opened again, and everything that can be wrong with them, each with its errno. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "urx_test.h"

static char dir[128], data[160], side[160], other[160];

static const struct urx_pi_format t10 = { .size = sizeof(t10), .interval = 512, .meta_size = 8,
					  .guard = URX_GUARD_T10DIF, .pi_type = 1 };
static const struct urx_pi_format crc64 = { .size = sizeof(crc64), .interval = 4096, .meta_size = 64,
					    .pi_offset = 48, .guard = URX_GUARD_CRC64,
					    .pi_type = 2, .storage_bits = 16 };

/* Opens `data` with `path` at its side. `word` is the first of the sentence. */
static int try(const char *path, const struct urx_pi_format *format, uint32_t flags, const char *word,
	       struct urx_target **target)
{
	const char *why = NULL;
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = flags, .side_path = path,
					.side_format = format, .why = &why };
	int ret = urx_target_open(target, data, &opts);

	CHECK(why && *why);
	CHECK((ret == 0) == (*target != NULL));
	if (!begins(why, word))
		FAIL("%d: \"%s\" does not begin with \"%s\"", ret, why, word);
	return ret;
}

/* The same, closed at once. */
static int attempt(const char *path, const struct urx_pi_format *format, uint32_t flags, const char *word)
{
	struct urx_target *target;
	int ret = try(path, format, flags, word, &target);

	urx_target_close(target);
	return ret;
}

#define WRITE URX_TARGET_WRITE
#define CREATE (URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE)

static void resize(const char *path, off_t bytes)
{
	CHECK_EQ(truncate(path, bytes), 0);
}

static off_t size_of(const char *path)
{
	struct stat stat_;

	CHECK_EQ(stat(path, &stat_), 0);
	return stat_.st_size;
}

/* Changes one byte. */
static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	char byte;

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void options(void)
{
	struct urx_pi_format bad = t10;

	CHECK_EQ(attempt(NULL, &t10, WRITE, "side_path"), -EINVAL);
	CHECK_EQ(attempt(NULL, NULL, CREATE, "side_path"), -EINVAL);
	CHECK_EQ(attempt(side, &t10, URX_TARGET_CREATE_SIDE, "flags"), -EINVAL);
	CHECK_EQ(attempt(side, &t10, CREATE | 8, "flags"), -EINVAL);
	CHECK_EQ(attempt(side, NULL, CREATE, "side_format"), -EINVAL);
	CHECK_EQ(attempt(data, &t10, CREATE, "side_path"), -EINVAL);
	bad.interval = 513;
	CHECK_EQ(attempt(side, &bad, CREATE, "interval"), -EINVAL);
	bad.interval = 65536; /* longer than the data */
	CHECK_EQ(attempt(side, &bad, CREATE | URX_TARGET_BUFFERED, "side_format"), -EINVAL);
	bad = t10, bad.guard = URX_GUARD_NONE, bad.pi_type = 0;
	CHECK_EQ(attempt(side, &bad, CREATE, "side_format"), -EINVAL);
	bad = t10, bad.flags = URX_PI_INTERLEAVED;
	CHECK_EQ(attempt(side, &bad, CREATE, "side_format"), -EOPNOTSUPP);
	bad = t10, bad.size = 3;
	CHECK_EQ(attempt(side, &bad, CREATE, "size"), -EINVAL);
	CHECK_EQ(attempt(other, &t10, WRITE, ""), -ENOENT);
	CHECK_EQ(attempt("", &t10, CREATE, ""), -ENOENT);
	CHECK_EQ(attempt("/nowhere/side", &t10, CREATE, ""), -ENOENT);
	CHECK_EQ(attempt(dir, &t10, 0, "side file"), -EMEDIUMTYPE);
	CHECK_EQ(access(side, F_OK), -1); /* and none of these has made one */
}

static void made_and_found(void)
{
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_target *target;
	struct stat stat_;

	CHECK_EQ(try(side, &t10, CREATE | URX_TARGET_BUFFERED, "", &target), 0);
	CHECK_EQ(urx_target_query(target, &info), 0);
	urx_target_close(target);
	CHECK_EQ(info.kind, URX_KIND_FILE);
	CHECK_EQ(info.flags, URX_INFO_WRITABLE);
	CHECK_EQ(info.bytes, 100 * 512); /* of 100.5 */
	CHECK_EQ(info.source[URX_FACT_FORMAT], URX_SOURCE_SIDEFILE);
	CHECK_EQ(info.source[URX_FACT_TYPE], URX_SOURCE_SIDEFILE);
	CHECK_EQ(info.source[URX_FACT_BYTES], URX_SOURCE_STAT);
	CHECK_EQ(info.format.interval, 512);
	CHECK_EQ(info.format.meta_size, 8);
	CHECK_EQ(info.format.guard, URX_GUARD_T10DIF);
	CHECK_EQ(info.format.pi_type, 1);
	CHECK_EQ(info.format.checks, URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP);
	CHECK_EQ(stat(side, &stat_), 0);
	CHECK_EQ(stat_.st_mode & 07777, 0600);
	CHECK_EQ(stat_.st_size, 4096 + 3 * 512);
	CHECK(stat_.st_blocks * 512 >= stat_.st_size); /* its space is there */

	/* Found again, by those who ask for it as it is and those who do not ask. */
	CHECK_EQ(attempt(side, NULL, 0, ""), 0);
	CHECK_EQ(attempt(side, &t10, WRITE, ""), 0);
	CHECK_EQ(attempt(side, &t10, CREATE, ""), 0);
	CHECK_EQ(attempt(side, NULL, CREATE, ""), 0);
	CHECK_EQ(attempt(side, &crc64, CREATE, "side file"), -EEXIST);
	CHECK_EQ(attempt(side, &crc64, 0, "side file"), -EEXIST);
}

static void damaged(void)
{
	off_t whole = size_of(side);
	FILE *file;

	flip(side, 0);
	CHECK_EQ(attempt(side, NULL, 0, "side file"), -EMEDIUMTYPE);
	flip(side, 0);
	flip(side, 8);
	CHECK_EQ(attempt(side, NULL, 0, "side file"), -EBADMSG);
	flip(side, 8);
	flip(side, 500);
	CHECK_EQ(attempt(side, NULL, 0, "side file"), -EBADMSG);
	flip(side, 500);
	resize(side, whole - 1);
	CHECK_EQ(attempt(side, NULL, WRITE, "side file"), -ENODATA);
	resize(side, 511);
	CHECK_EQ(attempt(side, NULL, 0, "side file"), -EMEDIUMTYPE);
	resize(side, 0);
	CHECK_EQ(attempt(side, &t10, CREATE, "side file"), -EMEDIUMTYPE);
	CHECK_EQ(unlink(side), 0);
	file = fopen(side, "w");
	CHECK(file && fputs("some file of the user's, longer than a header\n", file) >= 0);
	CHECK_EQ(fclose(file), 0);
	CHECK_EQ(attempt(side, &t10, CREATE, "side file"), -EMEDIUMTYPE);
	CHECK_EQ(unlink(side), 0);
	CHECK_EQ(mkfifo(side, 0600), 0);
	CHECK_EQ(attempt(side, &t10, CREATE, "side file"), -EMEDIUMTYPE); /* and nobody waits */
	CHECK_EQ(unlink(side), 0);
	CHECK_EQ(symlink("nothing", side), 0);
	CHECK_EQ(attempt(side, &t10, CREATE, ""), -ENOENT);
	CHECK_EQ(unlink(side), 0);
}

static void sizes(void)
{
	off_t bytes = size_of(data);
	struct urx_target *target;
	struct urx_target_info info = { .size = sizeof(info) };

	CHECK_EQ(try(side, &t10, CREATE | URX_TARGET_BUFFERED, "", &target), 0);
	CHECK_EQ(urx_target_refresh(target), 0);
	resize(data, bytes + 512);
	CHECK_EQ(urx_target_refresh(target), -ESTALE);
	CHECK_EQ(urx_target_query(target, &info), 0);
	CHECK_EQ(info.bytes, 100 * 512);
	urx_target_close(target);
	CHECK_EQ(attempt(side, NULL, 0, "side file: the data is longer"), -ESTALE);
	resize(data, 100 * 512 - 1);
	CHECK_EQ(attempt(side, NULL, 0, "side file: the data is shorter"), -ESTALE);
	resize(data, bytes + 255); /* no whole block more */
	CHECK_EQ(attempt(side, NULL, 0, ""), 0);
	resize(data, bytes);
	CHECK_EQ(unlink(side), 0);
}

static void locked(void)
{
	struct urx_target *one, *two;

	CHECK_EQ(try(side, &t10, CREATE, "", &one), 0);
	CHECK_EQ(attempt(side, NULL, WRITE, "side file"), -EBUSY);
	CHECK_EQ(attempt(side, &t10, CREATE, "side file"), -EBUSY);
	CHECK_EQ(attempt(side, NULL, 0, "side file"), -EBUSY);
	urx_target_close(one);
	CHECK_EQ(try(side, NULL, 0, "", &one), 0);
	CHECK_EQ(try(side, NULL, 0, "", &two), 0);
	CHECK_EQ(attempt(side, NULL, WRITE, "side file"), -EBUSY);
	urx_target_close(one);
	urx_target_close(two);
	CHECK_EQ(attempt(side, NULL, WRITE, ""), 0);
}

static void read_only(void)
{
	int expected = geteuid() ? -EACCES : 0; /* root may write all the same */

	CHECK_EQ(chmod(side, 0400), 0);
	CHECK_EQ(attempt(side, NULL, 0, ""), 0);
	CHECK_EQ(attempt(side, NULL, WRITE, ""), expected);
	CHECK_EQ(chmod(side, 0600), 0);
	CHECK_EQ(unlink(side), 0);
}

/* A limit of the process stands for a disk that is full: nothing is left behind. */
static void no_space(void)
{
	struct urx_pi_format wide = t10;
	struct rlimit limit, low;

	wide.meta_size = 60000;
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
	low = limit, low.rlim_cur = 1 << 20;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
	CHECK_EQ(attempt(side, &wide, CREATE | URX_TARGET_BUFFERED, ""), -EFBIG);
	CHECK_EQ(access(side, F_OK), -1);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	CHECK_EQ(attempt(side, &wide, CREATE | URX_TARGET_BUFFERED, ""), 0);
	CHECK_EQ(size_of(side), 4096 + 100 * 60416);
	CHECK_EQ(unlink(side), 0);
}

static void adopt_flush_refresh(void)
{
	struct urx_tags tags = { .app = 7 };
	struct urx_target *target;
	struct urx_target_info info = { .size = sizeof(info) };
	uint8_t record[12], block[512], expected[8];
	int fd, file;

	CHECK_EQ(try(NULL, NULL, WRITE, "", &target), 0);
	CHECK_EQ(urx_target_flush(target), 0);
	CHECK_EQ(urx_target_adopt(target, &tags), -EOPNOTSUPP);
	resize(data, 100 * 512 + 512);
	CHECK_EQ(urx_target_refresh(target), 0);
	CHECK_EQ(urx_target_query(target, &info), 0);
	CHECK_EQ(info.bytes, 101 * 512);
	resize(data, 100 * 512 + 256);
	urx_target_close(target);

	CHECK_EQ(try(side, &t10, CREATE | URX_TARGET_BUFFERED, "", &target), 0);
	tags.keep = URX_CHECK_APP;
	CHECK_EQ(urx_target_adopt(target, &tags), -EINVAL);
	tags.keep = 0, tags.storage = 1;
	CHECK_EQ(urx_target_adopt(target, &tags), -EINVAL);
	tags.storage = 0, tags.reserved = 1;
	CHECK_EQ(urx_target_adopt(target, &tags), -EINVAL);
	tags.reserved = 0;
	CHECK_EQ(urx_target_adopt(target, NULL), -EINVAL);
	CHECK_EQ(urx_target_adopt(target, &tags), 0);
	CHECK_EQ(urx_target_flush(target), 0);

	/* Block 50 is the ninth of the second sector of records. */
	fd = open(side, O_RDONLY);
	CHECK_EQ(pread(fd, record, 12, 4096 + 512 + 8 * 12), 12);
	file = open(data, O_RDONLY);
	CHECK_EQ(pread(file, block, 512, 50 * 512), 512);
	oracle_tuple(&t10, &tags, 50, oracle_guard(t10.guard, block, 512), expected);
	CHECK_BYTES(record, expected, 8, "adopted");

	resize(data, 512);
	CHECK_EQ(urx_target_adopt(target, &tags), -EIO);
	CHECK_EQ(size_of(data), 512);
	resize(data, 100 * 512 + 256);
	resize(side, 4096 + 512);
	CHECK_EQ(urx_target_adopt(target, &tags), -EIO);
	urx_target_close(target);
	close(fd), close(file);
	CHECK_EQ(unlink(side), 0);

	CHECK_EQ(attempt(side, &t10, CREATE | URX_TARGET_BUFFERED, ""), 0);
	CHECK_EQ(try(side, NULL, 0, "", &target), 0);
	CHECK_EQ(urx_target_adopt(target, &tags), -EINVAL);
	CHECK_EQ(urx_target_flush(target), 0);
	urx_target_close(target);
	CHECK_EQ(unlink(side), 0);

	CHECK_EQ(urx_target_flush(NULL), -EINVAL);
	CHECK_EQ(urx_target_refresh(NULL), -EINVAL);
	CHECK_EQ(urx_target_adopt(NULL, &tags), -EINVAL);
}

/* What descriptors have to be. */
static void descriptors(void)
{
	const char *why = NULL;
	struct urx_target_opts opts = { .size = sizeof(opts), .why = &why };
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_target *target;
	int rw = open(data, O_RDWR), ro = open(data, O_RDONLY), wo = open(data, O_WRONLY);
	int append = open(data, O_RDWR | O_APPEND), direct = open(data, O_RDWR | O_DIRECT);

	CHECK_EQ(urx_target_from_fd(&target, rw, &opts), 0);
	CHECK_EQ(urx_target_query(target, &info), 0);
	CHECK_EQ(info.flags & URX_INFO_WRITABLE, 0); /* it was not asked for */
	urx_target_close(target);
	opts.flags = URX_TARGET_WRITE;
	CHECK_EQ(urx_target_from_fd(&target, ro, &opts), -EINVAL);
	CHECK(begins(why, "flags") && !target);
	CHECK_EQ(urx_target_from_fd(&target, wo, &opts), 0);
	urx_target_close(target);
	opts.flags = URX_TARGET_BUFFERED;
	if (direct >= 0) {
		CHECK_EQ(urx_target_from_fd(&target, direct, &opts), -EINVAL);
		CHECK(begins(why, "flags"));
	}
	opts.flags = CREATE, opts.side_path = side, opts.side_format = &t10;
	CHECK_EQ(urx_target_from_fd(&target, append, &opts), -EINVAL);
	CHECK(begins(why, "fd"));
	CHECK_EQ(urx_target_from_fd(&target, wo, &opts), -EINVAL);
	CHECK(begins(why, "fd"));
	CHECK_EQ(access(side, F_OK), -1);
	CHECK_EQ(urx_target_from_fd(&target, rw, &opts), 0);
	CHECK_EQ(urx_target_query(target, &info), 0);
	CHECK_EQ(info.flags & URX_INFO_WRITABLE, URX_INFO_WRITABLE);
	CHECK_EQ(info.bytes, 100 * 512);
	urx_target_close(target);
	close(rw), close(ro), close(wo), close(append), close(direct);
	CHECK_EQ(unlink(side), 0);
}

/* The interval that direct I/O allows. */
static void direct(void)
{
	struct urx_pi_format odd = t10;
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_target *target;
	int ret;

	CHECK_EQ(try(NULL, NULL, 0, "", &target), 0);
	CHECK_EQ(urx_target_query(target, &info), 0);
	urx_target_close(target);
	odd.interval = 520;
	ret = attempt(side, &odd, CREATE, "");
	CHECK_EQ(ret, info.flags & URX_INFO_DIRECT ? -EOPNOTSUPP : 0);
	if (ret == 0)
		CHECK_EQ(unlink(side), 0);
	/* A side file that buffered data can use. */
	CHECK_EQ(attempt(side, &odd, CREATE | URX_TARGET_BUFFERED, ""), 0);
	CHECK_EQ(attempt(side, NULL, WRITE, ""), ret);
	CHECK_EQ(unlink(side), 0);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	uint8_t bytes[100 * 512 + 256];
	int fd;

	snprintf(dir, sizeof(dir), "%s/urx-side-XXXXXX", tmp ? tmp : "/var/tmp");
	if (!mkdtemp(dir)) {
		strcpy(dir, "/tmp/urx-side-XXXXXX");
		CHECK(mkdtemp(dir));
	}
	snprintf(data, sizeof(data), "%s/data", dir);
	snprintf(side, sizeof(side), "%s/side", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	fd = open(data, O_RDWR | O_CREAT, 0600);
	fill(bytes, sizeof(bytes), 1);
	CHECK_EQ(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);

	options();
	made_and_found();
	damaged();
	sizes();
	locked();
	read_only();
	no_space();
	adopt_flush_refresh();
	descriptors();
	direct();

	CHECK_EQ(unlink(data), 0);
	CHECK_EQ(rmdir(dir), 0); /* nothing else was left there */
	return 0;
}
