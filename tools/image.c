/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See image.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

/* Read and verified while it is still in the second level cache. */
#define PIECE (128u << 10)

bool is_image(const struct options *o)
{
	return o->interleaved || o->meta_file;
}

/* Bytes of a file or a block device. */
static int size_of(int fd, const char *name, uint64_t *size)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return trouble("%s: %s", name, strerror(errno));
	*size = (uint64_t)end;
	return OK;
}

/* How many blocks there are in the data, and that there is metadata for them. */
static int measure(struct image *i, bool write)
{
	uint64_t size = 0, metadata = 0;

	if (size_of(i->fds[0], i->names[0], &size))
		return TROUBLE;
	i->blocks = size / i->data_size;
	if (size % i->data_size)
		return trouble("%s: %llu bytes are not whole blocks of %u", i->names[0], (unsigned long long)size,
			       i->data_size);
	if (i->fds[1] < 0)
		return OK;
	if (size_of(i->fds[1], i->names[1], &metadata))
		return TROUBLE;
	if (write && metadata < i->blocks * i->meta_size)
		return OK; /* it grows */
	if (metadata / i->meta_size != i->blocks || metadata % i->meta_size)
		return trouble("%s: %llu bytes are not %u for each of %llu blocks", i->names[1],
			       (unsigned long long)metadata, i->meta_size, (unsigned long long)i->blocks);
	return OK;
}

/* What a target would tell of its format. */
static void complete(struct urx_pi_format *format)
{
	uint8_t space = format->guard == URX_GUARD_CRC32C ? 80 : format->guard == URX_GUARD_CRC64 ? 48 : 32;

	format->pi_size = format->guard == URX_GUARD_T10DIF || format->guard == URX_GUARD_IP ? 8 : 16;
	format->ref_bits = space - format->storage_bits;
	format->checks = URX_CHECK_GUARD | URX_CHECK_APP;
	if (format->pi_type != 3 && format->ref_bits)
		format->checks |= URX_CHECK_REF;
	if (format->storage_bits)
		format->checks |= URX_CHECK_STORAGE;
}

int image_open(struct image *i, const struct options *o, bool write)
{
	const char *why = "";
	int rc;

	*i = (struct image){ .names = { o->name, o->meta_file }, .fds = { -1, -1 }, .format = o->format };
	rc = urx_pi_init(&i->pi, &i->format, &why);
	if (rc)
		return trouble("%s", why);
	complete(&i->format);
	i->data_size = o->format.interval + (o->interleaved ? o->format.meta_size : 0u);
	i->meta_size = o->interleaved ? 0 : o->format.meta_size;
	i->fds[0] = open(o->name, write && o->interleaved ? O_RDWR : O_RDONLY);
	if (i->fds[0] < 0)
		return trouble("%s: %s", o->name, strerror(errno));
	if (o->meta_file) {
		i->fds[1] = open(o->meta_file, write ? O_RDWR | O_CREAT : O_RDONLY, 0666);
		if (i->fds[1] < 0)
			return trouble("%s: %s", o->meta_file, strerror(errno));
	}
	posix_fadvise(i->fds[0], 0, 0, POSIX_FADV_SEQUENTIAL);
	return measure(i, write);
}

int image_close(struct image *i)
{
	int status = OK;

	for (int n = 0; n < 2; n++)
		if (i->fds[n] >= 0 && close(i->fds[n]))
			status = trouble("%s: %s", i->names[n], strerror(errno));
	return status;
}

size_t image_piece(const struct image *i)
{
	size_t count = PIECE / (i->data_size + i->meta_size);

	return count ? count : 1;
}

/* All of it, or TROUBLE (told). holes: zeros stand for what is beyond the end. */
static int load(int fd, const char *name, char *to, size_t len, uint64_t offset, bool holes)
{
	while (len) {
		ssize_t got = pread(fd, to, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return trouble("%s: at byte %llu: %s", name, (unsigned long long)offset, strerror(errno));
		if (got == 0 && !holes)
			return trouble("%s: has become shorter", name);
		if (got == 0) {
			memset(to, 0, len);
			return OK;
		}
		to += got;
		len -= (size_t)got;
		offset += (uint64_t)got;
	}
	return OK;
}

static int store(int fd, const char *name, const char *from, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t put = pwrite(fd, from, len, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return trouble("%s: at byte %llu: %s", name, (unsigned long long)offset, strerror(errno));
		from += put;
		len -= (size_t)put;
		offset += (uint64_t)put;
	}
	return OK;
}

int image_load(const struct image *i, uint64_t block, size_t count, void *data, void *meta, bool holes)
{
	int rc = load(i->fds[0], i->names[0], data, count * i->data_size, block * i->data_size, false);

	if (rc == OK && i->meta_size)
		rc = load(i->fds[1], i->names[1], meta, count * i->meta_size, block * i->meta_size, holes);
	return rc;
}

int image_store(const struct image *i, uint64_t block, size_t count, const void *data, const void *meta)
{
	if (i->meta_size)
		return store(i->fds[1], i->names[1], meta, count * i->meta_size, block * i->meta_size);
	return store(i->fds[0], i->names[0], data, count * i->data_size, block * i->data_size);
}
