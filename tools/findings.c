/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See findings.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "progress.h"

#define CHECKS 4 /* that one block can fail */

/* ------------------------------------------------------------------ text and JSON */

/* Bytes of the UTF-8 character there, 0 if it is none. */
static size_t character(const unsigned char *text)
{
	size_t len = *text < 0x80 ? 1 : *text < 0xc2 ? 0 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : *text < 0xf5 ? 4 : 0;

	for (size_t n = 1; n < len; n++)
		if ((text[n] & 0xc0) != 0x80)
			return 0;
	/* Too long forms, surrogates, and what is beyond Unicode. */
	if ((*text == 0xe0 && text[1] < 0xa0) || (*text == 0xed && text[1] >= 0xa0) ||
	    (*text == 0xf0 && text[1] < 0x90) || (*text == 0xf4 && text[1] >= 0x90))
		return 0;
	return len;
}

/* As a JSON string. Bytes of a file's name that are no UTF-8 become the code points of their values. */
static void print_string(FILE *to, const char *string)
{
	const unsigned char *text = (const unsigned char *)string;

	fputc('"', to);
	while (*text) {
		size_t len = character(text);

		if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else if (*text < 0x20 || !len)
			fprintf(to, "\\u%04x", *text);
		else
			fwrite(text, 1, len, to);
		text += len ? len : 1;
	}
	fputc('"', to);
}

static void print_value(FILE *to, uint64_t low, uint16_t high)
{
	if (high)
		fprintf(to, "0x%x%016" PRIx64, high, low);
	else
		fprintf(to, "0x%" PRIx64, low);
}

static void print_head(const struct findings *f)
{
	const struct urx_pi_format *format = f->format;

	fputs("{\"name\": ", f->to);
	print_string(f->to, f->o->name);
	fprintf(f->to, ", \"interval\": %u, \"meta_size\": %u, \"guard\": ", format->interval, format->meta_size);
	print_string(f->to, urx_guard_str(format->guard));
	fprintf(f->to, ", \"type\": %u, \"checks\": [", format->pi_type);
	for (uint32_t bit = 1, first = 1; bit <= URX_CHECK_STORAGE; bit *= 2) {
		if (!(f->tags.checks & bit))
			continue;
		fputs(first ? "" : ", ", f->to);
		print_string(f->to, urx_check_str(bit));
		first = 0;
	}
	fputs("],\n\"errors\": [", f->to);
}

/* The beginning of every finding: which block. `found` is how many there were before. */
static void print_block(const struct findings *f, uint64_t block, uint64_t count, uint64_t found)
{
	progress_hide();
	if (f->o->json) {
		fprintf(f->to, "%s\n{\"block\": %" PRIu64 ", \"lba\": %" PRIu64, found ? "," : "", block,
			f->lba + block);
		if (count > 1)
			fprintf(f->to, ", \"count\": %" PRIu64, count);
		return;
	}
	if (count > 1)
		fprintf(f->to, "blocks %" PRIu64 " to %" PRIu64, block, block + count - 1);
	else
		fprintf(f->to, "block %" PRIu64, block);
	if (f->lba)
		fprintf(f->to, " (LBA %" PRIu64 ")", f->lba + block);
	fputs(": ", f->to);
}

static void print_check(const struct findings *f, const struct urx_pi_error *e, uint64_t block, uint64_t found)
{
	/* Of a record in a side file that is torn, the value may be the right one. */
	bool known = e->flags & URX_ERROR_VALUES &&
		     (e->expected != e->actual || e->expected_hi != e->actual_hi);

	print_block(f, block, 1, found);
	if (f->o->json) {
		fputs(", \"check\": ", f->to);
		print_string(f->to, urx_check_str(e->check));
		if (known) {
			fputs(", \"expected\": \"", f->to);
			print_value(f->to, e->expected, e->expected_hi);
			fputs("\", \"actual\": \"", f->to);
			print_value(f->to, e->actual, e->actual_hi);
			fputc('"', f->to);
		} else {
			fputs(", \"error\": \"its metadata is not whole\"", f->to);
		}
		fputc('}', f->to);
		return;
	}
	if (!known) {
		fprintf(f->to, "%s is wrong: its metadata is not whole\n", urx_check_str(e->check));
		return;
	}
	fprintf(f->to, "%s is ", urx_check_str(e->check));
	print_value(f->to, e->actual, e->actual_hi);
	fputs(", should be ", f->to);
	print_value(f->to, e->expected, e->expected_hi);
	fputc('\n', f->to);
}

static void print_sentence(const struct findings *f, uint64_t block, uint64_t count, const char *what)
{
	if (f->o->quiet)
		return;
	print_block(f, block, count, f->failed + f->unreadable);
	if (f->o->json) {
		fputs(", \"error\": ", f->to);
		print_string(f->to, what);
		fputc('}', f->to);
	} else {
		fprintf(f->to, "%s\n", what);
	}
}

/* ------------------------------------------------------------------ findings */

void findings_at(struct findings *f, const struct place *place)
{
	f->pi = &place->pi;
	f->format = &place->format;
	f->tags = place->tags;
	f->lba = place->lba;
}

int findings_open(struct findings *f, size_t most)
{
	f->most = most;
	f->first_bad = UINT64_MAX;
	f->room = calloc(most * CHECKS, sizeof(*f->room));
	if (!f->room)
		return trouble("no memory");
	if (f->o->json)
		print_head(f);
	return OK;
}

bool findings_enough(const struct findings *f)
{
	return f->o->first && f->failed + f->unreadable;
}

uint64_t findings_verify(struct findings *f, uint64_t block, size_t count, const void *data, const void *meta)
{
	struct urx_tags tags = tags_at(&f->tags, f->format, block);
	struct urx_pi_report report = {
		.size = sizeof(report),
		.first_block = block,
		.errors = f->room,
		.capacity = f->o->first ? 1 : (uint32_t)(f->most * CHECKS),
	};

	int rc;

	if (!tags.checks)
		return 0;
	rc = urx_pi_verify(f->pi, &tags, data, meta, count, &report);
	if (rc && rc != -EILSEQ)
		findings_unreadable(f, block, -rc);
	f->blocks += report.blocks;
	f->escaped += report.escaped;
	for (uint32_t n = 0; n < report.stored; n++)
		findings_check(f, &f->room[n], f->room[n].block);
	return report.stored;
}

static void found(struct findings *f, uint64_t block)
{
	if (f->first_bad == UINT64_MAX)
		f->first_bad = block;
}

void findings_check(struct findings *f, const struct urx_pi_error *error, uint64_t block)
{
	if (!f->o->quiet)
		print_check(f, error, block, f->failed + f->unreadable);
	found(f, block);
	f->failed++;
}

void findings_refused(struct findings *f, uint64_t block, uint64_t count, const char *what)
{
	print_sentence(f, block, count, what);
	found(f, block);
	f->failed++;
}

void findings_unreadable(struct findings *f, uint64_t block, int error)
{
	char what[100];

	snprintf(what, sizeof(what), "cannot be read: %s", strerror(error));
	print_sentence(f, block, 1, what);
	found(f, block);
	f->unreadable++;
}

int findings_close(struct findings *f, int status)
{
	progress_hide();
	if (f->o->json)
		fprintf(f->to,
			"%s],\n\"blocks\": %" PRIu64 ", \"escaped\": %" PRIu64 ", \"failed\": %" PRIu64
			", \"unreadable\": %" PRIu64 ", \"complete\": %s}\n",
			f->failed + f->unreadable ? "\n" : "", f->blocks, f->escaped, f->failed, f->unreadable,
			status == OK && !findings_enough(f) ? "true" : "false");
	else if (!f->o->quiet && f->to == stdout && status == OK) {
		fprintf(f->to, "%" PRIu64 " blocks, %" PRIu64 " failed checks", f->blocks, f->failed);
		if (f->unreadable)
			fprintf(f->to, ", %" PRIu64 " unreadable blocks", f->unreadable);
		if (f->escaped)
			fprintf(f->to, ", %" PRIu64 " blocks exempt", f->escaped);
		fputs(findings_enough(f) ? ", stopped there\n" : "\n", f->to);
	}
	free(f->room);
	f->room = NULL;
	if (f->unreadable && status == OK)
		return TROUBLE;
	return f->failed && status == OK ? WRONG : status;
}
