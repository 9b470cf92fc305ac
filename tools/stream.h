/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Standard input, standard output, and metadata in a file beside them. */
#ifndef URX_STREAM_H
#define URX_STREAM_H

#include <stddef.h>

/* As much as there is, at most len: the bytes, or -1 (told). */
long stream_in(int fd, const char *name, void *to, size_t len);

/* All of it: OK, or TROUBLE (told). */
int stream_out(int fd, const char *name, const void *from, size_t len);

/* Opens the metadata file, if there is one: *fd is -1 without. OK, or TROUBLE (told). */
int stream_meta(int *fd, const char *name, int flags);

#endif
