/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A bar on standard error, if that is a terminal and the work is long. */
#ifndef URX_PROGRESS_H
#define URX_PROGRESS_H

#include <stdint.h>

/* Bytes to do; 0: nobody knows. */
void progress_start(const char *what, uint64_t total);

/* Bytes done; draws now and then. */
void progress_at(uint64_t done);

/* Takes the bar away: before anything else is printed, and at the end. It comes back by itself. */
void progress_hide(void);

#endif
