/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the programs here show of their work, so that tests/migration can compare it. No part of the idioms. */
#ifndef SHOW_H
#define SHOW_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Zeroed memory at an address that is the same in every program. */
static inline void *memory(size_t len)
{
	static uintptr_t next = 0x10000000;
	void *p = mmap((void *)next, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)next) {
		perror("mmap");
		exit(1);
	}
	next += 1 << 20;
	return p;
}

static inline void show_bytes(const char *what, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	printf("%s", what);
	for (size_t i = 0; i < len; i++)
		printf("%s%02x", i % 16 ? " " : "\n  ", b[i]);
	printf("\n");
}

/* An SQE with the name of its file, whose number is chance. */
static inline void show_sqe(const char *what, const void *sqe, size_t len)
{
	char link[64], name[256] = "none";
	uint8_t copy[128] = { 0 };
	int32_t fd;

	memcpy(&fd, (const uint8_t *)sqe + 4, sizeof(fd));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name) - 1) < 0)
		strcpy(name, "none");
	memcpy(copy, sqe, len);
	memset(copy + 4, 0, sizeof(fd));
	printf("%s on %s:", what, name);
	show_bytes("", copy, len);
}

#endif
