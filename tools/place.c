/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See place.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"

static int open_target(struct place *p, const struct options *o, bool write)
{
	const char *why = "";
	struct urx_target_opts opts = { .size = sizeof(opts), .side_path = o->side, .why = &why };
	bool make = write && o->side && (o->create || o->has_format);
	int rc;

	if (write)
		opts.flags = URX_TARGET_WRITE;
	if (make && o->create)
		opts.flags |= URX_TARGET_CREATE_SIDE;
	/* One that is there has its format; what was told must be right. */
	if (o->side && (o->has_format || (make && access(o->side, F_OK) != 0)))
		opts.side_format = &o->format;
	rc = urx_target_open(&p->target, o->name, &opts);
	return rc ? trouble("%s: %s (%s)", o->name, strerror(-rc), why) : OK;
}

int place_open(struct place *p, const struct options *o, bool write)
{
	const struct urx_pi_format *format = &p->info.format;
	const char *why = "";
	int rc;

	*p = (struct place){ .o = o, .info.size = sizeof(p->info) };
	if (open_target(p, o, write))
		return TROUBLE;
	urx_target_query(p->target, &p->info);
	if (p->info.flags & URX_INFO_HIDDEN)
		return trouble("%s: the kernel tells this user nothing of the metadata", o->name);
	if (format->interval == 0)
		return trouble("%s: has no metadata; see --side%s", o->name,
			       write ? "" : ", --meta-file, --interleaved");
	p->format = *format;
	p->format.flags &= ~URX_PI_INTERLEAVED;
	p->lba = p->info.start / format->interval;
	p->protected = format->guard != URX_GUARD_NONE;
	if (p->protected) {
		rc = urx_pi_init(&p->pi, &p->format, &why);
		if (rc)
			return trouble("%s: %s", o->name, why);
	}
	if (options_tags(o, format, p->lba, &p->tags))
		return TROUBLE;
	rc = urx_queue_open(&p->queue, -1, 0, 0, NULL);
	if (rc)
		return trouble("%s: no queue: %s", o->name, strerror(-rc));
	return options_range(o, format->interval, p->info.bytes / format->interval, &p->first, &p->count);
}

void place_close(struct place *p)
{
	urx_queue_close(p->queue);
	urx_target_close(p->target);
}

struct urx_rw place_request(const struct place *p, uint32_t op, uint64_t block, size_t count, void *data, void *meta)
{
	struct urx_rw rw = {
		.size = sizeof(rw),
		.op = op,
		.data = data,
		.data_len = (uint32_t)(count * p->format.interval),
		.offset = block * p->format.interval,
		.tags = tags_at(&p->tags, &p->format, block),
	};

	if (p->format.meta_size) {
		rw.meta = meta;
		rw.meta_len = (uint32_t)(count * p->format.meta_size);
	}
	return rw;
}

int place_run(struct place *p, const struct urx_rw *rw, struct urx_result *result)
{
	*result = (struct urx_result){ .size = sizeof(*result) };
	return urx_run(p->queue, p->target, rw, result);
}

int place_trouble(const struct place *p, const struct urx_rw *rw, int rc)
{
	const char *why;

	trouble("%s: at byte %llu: %s", p->o->name, (unsigned long long)rw->offset, strerror(-rc));
	if (rc != -EOPNOTSUPP && rc != -EINVAL)
		return TROUBLE;
	/* Each path has its reason. */
	for (uint32_t path = URX_PATH_ATTR; path <= URX_PATH_EMULATED; path *= 2)
		if (urx_explain(p->queue, p->target, rw, path, &why))
			trouble("no %s: %s", urx_path_str(path), why);
	return TROUBLE;
}

void *place_data(const struct place *p, size_t count)
{
	size_t align = p->info.data_align > 4096 ? p->info.data_align : 4096;
	size_t len = (count * p->format.interval + align - 1) / align * align;
	void *data = aligned_alloc(align, len);

	if (!data)
		trouble("no memory");
	return data;
}

void *place_meta(const struct place *p, size_t count)
{
	void *meta = calloc(count ? count : 1, p->format.meta_size ? p->format.meta_size : 1);

	if (!meta)
		trouble("no memory");
	return meta;
}
