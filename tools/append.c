/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* urx append: standard input to where a zone goes on, record by record, and where each went. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "findings.h"
#include "place.h"
#include "progress.h"
#include "stream.h"

/* A record in the buffers, of whole blocks. OK, WRONG or TROUBLE (told). */
static int append_record(struct place *p, size_t blocks, unsigned char *data, unsigned char *meta)
{
	uint64_t zone = p->o->zone * p->info.zone_bytes / p->format.interval;
	struct urx_rw rw = place_request(p, URX_OP_APPEND, zone, blocks, data, meta);
	struct urx_result result;
	int rc;

	memset(meta, 0, blocks * p->format.meta_size);
	rc = p->protected ? urx_pi_generate(&p->pi, &rw.tags, data, meta, blocks) : 0;
	if (rc)
		return trouble("tags: %s", strerror(-rc));
	rc = place_run(p, &rw, &result);
	if (rc == -EILSEQ) {
		trouble("%s: the device refuses the record: %s is wrong", p->o->name,
			result.pi.check ? urx_check_str(result.pi.check) : "a check");
		return WRONG;
	}
	if (rc < 0)
		return place_trouble(p, &rw, rc);
	printf("%d bytes at byte %" PRIu64 ", LBA %" PRIu64 "\n", rc, result.append_offset, result.append_lba);
	/* Whoever reads this may rely on it. */
	return fflush(stdout) ? TROUBLE : OK;
}

static int append_all(struct place *p, size_t most, unsigned char *data, unsigned char *meta)
{
	size_t interval = p->format.interval;
	int status = OK;

	while (status == OK) {
		long got = stream_in(STDIN_FILENO, "standard input", data, most * interval);
		size_t rest = got > 0 ? (size_t)got % interval : 0;
		char more;

		if (got < 0)
			return TROUBLE;
		if (got == 0)
			break;
		if (rest && !p->o->pad)
			return trouble("standard input: ends with %zu bytes, not a block of %zu; see --pad", rest,
				       interval);
		memset(data + (size_t)got, 0, rest ? interval - rest : 0);
		if (!p->o->record && (size_t)got == most * interval &&
		    stream_in(STDIN_FILENO, "standard input", &more, 1) != 0)
			return trouble("standard input: more than the %zu bytes of an append; see --record",
				       most * interval);
		status = append_record(p, ((size_t)got + interval - 1) / interval, data, meta);
	}
	return status;
}

int append(const struct options *o)
{
	unsigned char *data = NULL, *meta = NULL;
	struct place place;
	size_t most = 0;
	int status;

	if (!o->has_zone)
		return USAGE;
	status = place_open(&place, o, true);
	if (status == OK && !place.info.zone_bytes)
		status = trouble("%s: has no zones", o->name);
	if (status == OK && o->zone >= place.info.nr_zones)
		status = trouble("%s: has zones 0 to %u", o->name, place.info.nr_zones - 1);
	if (status == OK && o->record % place.format.interval)
		status = trouble("--record: not a multiple of a block of %u bytes", place.format.interval);
	if (status == OK && o->record > place.info.max_append)
		status = trouble("--record: an append takes %u bytes at most", place.info.max_append);
	if (status == OK) {
		most = (o->record ? o->record : place.info.max_append) / place.format.interval;
		data = place_data(&place, most);
		meta = place_meta(&place, most);
		status = data && meta ? append_all(&place, most, data, meta) : TROUBLE;
	}
	free(data);
	free(meta);
	place_close(&place);
	return status;
}
