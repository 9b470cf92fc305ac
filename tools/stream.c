/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See stream.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"
#include "urx.h"

long stream_in(int fd, const char *name, void *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = read(fd, (char *)to + done, len - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			trouble("%s: %s", name, strerror(errno));
			return -1;
		}
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (long)done;
}

int stream_out(int fd, const char *name, const void *from, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t put = write(fd, (const char *)from + done, len - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return trouble("%s: %s", name, strerror(errno));
		done += (size_t)put;
	}
	return OK;
}

int stream_meta(int *fd, const char *name, int flags)
{
	*fd = -1;
	if (!name)
		return OK;
	*fd = open(name, flags, 0666);
	return *fd < 0 ? trouble("%s: %s", name, strerror(errno)) : OK;
}
