/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Copies a device or file to another at queue depth, with protection information from end to end: every block is
 * verified after it was read and checked where it is written, and its guard goes along if both ends have the same
 * format. Either end may be a device with protection information, a file (or device) with a side file, or plain.
 *
 *     uring_pi_copy [-q DEPTH] [-b BYTES] [-s SIDE] [-d SIDE] [-g GUARD] [-a TAG] [-t TAG] [-r STATE] [-c BYTES]
 *                   [-l BYTES] [-S PATHS] [-D PATHS] [-B] [-p] SOURCE DESTINATION
 *
 *     -s, -d SIDE    side file of the source, of the destination; the latter is made if there is none, in the format
 *                    of the source, or with -g t10dif|ip|crc32c|crc64
 *     -a TAG         application tag that every block of the source must have
 *     -t TAG         application tag that every block of the destination gets
 *     -r STATE       keeps in this file how much is durable, every -c BYTES (64 MiB); goes on there if it exists
 *     -l BYTES       no more than so many a second
 *     -S, -D PATHS   ways that may be taken, by name: attr,uring_cmd,ioctl,software
 *     -B             through the page cache
 *     -p             progress bar, also if stderr is no terminal
 *
 * Ends with 0; 1: stopped at what it says on stderr, nothing wrong was written; 130: interrupted. After both of the latter
 * -r goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <liburing.h>
#include <liburing-ext.h>

typedef unsigned long long ull;

/* Source or destination. */
struct end {
	const char *path, *side;
	uint32_t allow; /* URX_PATH_ */
	uint32_t taken; /* URX_PATH_ that were */
	struct urx_target *target;
	struct urx_target_info info;
	bool has_pi;
	bool plain; /* read and written by SQEs of our own */
	struct urx_pi pi; /* of blocks apart from their metadata, as our buffers have them */
	struct urx_tags tags; /* of block 0 */
};

enum step { IDLE, TO_READ, READING, TO_WRITE, WRITING, FAILED };

/* One chunk on its way. */
struct slot {
	struct urx_io io;
	struct urx_rw rw;
	enum step step;
	uint64_t offset;
	uint32_t bytes;
	unsigned char *data, *meta;
};

struct copy {
	struct end from, to;
	struct io_uring ring;
	struct urx_queue *queue;
	struct slot *slots;
	unsigned depth, in_flight;
	uint32_t chunk;
	uint64_t bytes, next, done; /* all; first not begun; completed this time */
	uint64_t start; /* where this time began */
	uint64_t saved, save_every, limit;
	uint64_t escaped; /* blocks protected anew that could not be verified */
	const char *state;
	int app, retag; /* -1: none */
	uint8_t guard;
	bool same_format, buffered, bar, failed;
	struct timespec begun;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static int complain(const char *who, const char *what)
{
	fprintf(stderr, "%s: %s\n", who, what);
	return 1;
}

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* ------------------------------------------------------------------ both ends */

static int open_end(struct copy *c, struct end *e, bool write)
{
	struct urx_pi_format format = c->from.info.format;
	const char *why = "";
	struct urx_target_opts opts = { .size = sizeof(opts), .side_path = e->side, .why = &why };

	if (write)
		opts.flags |= URX_TARGET_WRITE;
	if (c->buffered)
		opts.flags |= URX_TARGET_BUFFERED;
	if (write && e->side && access(e->side, F_OK)) {
		if (c->guard || !c->from.has_pi) {
			uint8_t guard = c->guard ? c->guard : URX_GUARD_T10DIF;

			format = (struct urx_pi_format){ .size = sizeof(format), .interval = 4096,
							 .meta_size = guard >= URX_GUARD_CRC32C ? 16 : 8,
							 .guard = guard, .pi_type = 1 };
		}
		format.flags = 0;
		opts.flags |= URX_TARGET_CREATE_SIDE;
		opts.side_format = &format;
	}
	if (urx_target_open(&e->target, e->path, &opts))
		return complain(e->path, why);
	e->info.size = sizeof(e->info);
	urx_target_query(e->target, &e->info);
	if (e->info.flags & URX_INFO_HIDDEN)
		return complain(e->path, "nobody here may know how its metadata looks");
	format = e->info.format;
	e->has_pi = format.guard != URX_GUARD_NONE;
	e->plain = !e->has_pi && e->info.kind != URX_KIND_NVME_CHAR;
	if (!e->has_pi)
		return 0;
	format.flags &= ~URX_PI_INTERLEAVED;
	if (urx_pi_init(&e->pi, &format, &why))
		return complain(e->path, why);
	/* Storage tags are whatever they are. Reference tags count the blocks of the device. */
	e->tags.checks = format.checks & (URX_CHECK_GUARD | URX_CHECK_REF);
	e->tags.ref = e->info.start / format.interval;
	return 0;
}

/* Types 1 and 2 have the same tuples. */
static bool same_format(const struct urx_pi_format *a, const struct urx_pi_format *b)
{
	return a->interval == b->interval && a->meta_size == b->meta_size && a->pi_offset == b->pi_offset &&
	       a->guard == b->guard && (a->pi_type == 3) == (b->pi_type == 3) && a->storage_bits == b->storage_bits;
}

/* A file is made as long as the source. */
static int make_destination(struct copy *c)
{
	struct stat st;
	int fd, rc = 0;

	if (stat(c->to.path, &st) == 0 && !S_ISREG(st.st_mode))
		return 0;
	fd = open(c->to.path, O_RDWR | O_CREAT, 0666);
	if (fd < 0 || fstat(fd, &st) || ((uint64_t)st.st_size < c->bytes && ftruncate(fd, (off_t)c->bytes)))
		rc = complain(c->to.path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static int open_ends(struct copy *c)
{
	const struct urx_pi_format *from = &c->from.info.format, *to = &c->to.info.format;

	if (open_end(c, &c->from, false))
		return 1;
	c->bytes = c->from.info.bytes;
	if (make_destination(c) || open_end(c, &c->to, true))
		return 1;
	if (c->to.info.bytes < c->bytes)
		return complain(c->to.path, "smaller than the source");
	if ((from->interval && c->chunk % from->interval) || (to->interval && c->chunk % to->interval))
		return complain("-b", "not a multiple of the blocks of both ends");
	if (to->interval && c->bytes % to->interval)
		return complain(c->from.path, "no whole number of the destination's blocks");
	c->same_format = c->from.has_pi && c->to.has_pi && same_format(from, to);
	if (c->app >= 0 && !c->from.has_pi)
		return complain("-a", "the source has no tags");
	if (c->retag >= 0 && !c->to.has_pi)
		return complain("-t", "the destination has no tags");
	if (c->app >= 0) {
		c->from.tags.app = (uint16_t)c->app;
		c->from.tags.checks |= URX_CHECK_APP;
	}
	/* Known if it was checked at the source, or is made here. */
	if (c->to.has_pi && (c->retag >= 0 || c->app >= 0 || !c->same_format)) {
		c->to.tags.app = (uint16_t)(c->retag >= 0 ? c->retag : c->app >= 0 ? c->app : 0);
		c->to.tags.checks |= URX_CHECK_APP;
	}
	return 0;
}

/* ------------------------------------------------------------------ how far */

static uint64_t identity(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return 0;
	return S_ISREG(st.st_mode) ? (uint64_t)st.st_ino : (uint64_t)st.st_rdev;
}

/* Goes on where a former run says that everything before is durable. */
static int load_state(struct copy *c)
{
	ull from, to, bytes, done;
	FILE *file = c->state ? fopen(c->state, "r") : NULL;
	int fields;

	if (!file)
		return 0;
	fields = fscanf(file, "uring_pi_copy %llu %llu %llu %llu", &from, &to, &bytes, &done);
	fclose(file);
	if (fields != 4 || from != identity(c->from.path) || to != identity(c->to.path) || bytes != c->bytes ||
	    done > bytes || done % c->chunk)
		return complain(c->state, "the state of another copy");
	c->start = c->next = c->saved = done;
	return 0;
}

/* Everything before is durable: nothing that is under way, nothing that failed. */
static int save_state(struct copy *c)
{
	uint64_t low = c->next;
	char name[4096];
	FILE *file;
	int rc = 0;

	if (!c->state)
		return 0;
	for (unsigned i = 0; i < c->depth; i++)
		if (c->slots[i].step != IDLE && c->slots[i].offset < low)
			low = c->slots[i].offset;
	if (c->to.plain)
		rc = fdatasync(c->to.info.fd) ? -errno : 0;
	else
		rc = urx_target_flush(c->to.target);
	if (rc)
		return complain(c->to.path, strerror(-rc));
	snprintf(name, sizeof(name), "%s.new", c->state);
	file = fopen(name, "w");
	if (!file || fprintf(file, "uring_pi_copy %llu %llu %llu %llu\n", (ull)identity(c->from.path),
			     (ull)identity(c->to.path), (ull)c->bytes, (ull)(low - low % c->chunk)) < 0 ||
	    fflush(file) || fsync(fileno(file)) || fclose(file) || rename(name, c->state))
		return complain(name, strerror(errno));
	c->saved = low;
	return 0;
}

static void show_progress(struct copy *c, bool last)
{
	static double shown = -1;
	double now = seconds_since(&c->begun), rate = now > 0 ? (double)c->done / now : 0;
	uint64_t at = c->start + c->done, left = c->bytes - at;
	int part = c->bytes ? (int)(at * 40 / c->bytes) : 40;

	if (!c->bar || (!last && now - shown < 0.1))
		return;
	shown = now;
	fprintf(stderr, "\r[%.*s%*s] %3llu%% %7.1f MiB/s %5.0f s left ", part,
		"########################################", 40 - part, "",
		(ull)(c->bytes ? at * 100 / c->bytes : 100), rate / (1 << 20), rate > 0 ? (double)left / rate : 0);
	if (last)
		fputc('\n', stderr);
}

/* ------------------------------------------------------------------ one chunk */

/* An end's tags of the first block of a chunk. Type 3 does not count. */
static struct urx_tags tags_at(const struct end *e, uint64_t offset)
{
	struct urx_tags tags = e->tags;

	if (e->info.format.pi_type != 3 && e->info.format.interval)
		tags.ref += offset / e->info.format.interval;
	return tags;
}

/* Gets a request under way: 0, or -errno; -EAGAIN: later. */
static int start(struct copy *c, struct slot *s, struct end *e, bool write)
{
	struct io_uring_sqe *sqe;
	int rc;

	if (e->plain) {
		sqe = io_uring_get_sqe(&c->ring);
		if (write)
			io_uring_prep_write(sqe, e->info.fd, s->data, s->bytes, s->offset);
		else
			io_uring_prep_read(sqe, e->info.fd, s->data, s->bytes, s->offset);
	} else {
		s->rw = (struct urx_rw){ .size = sizeof(s->rw), .op = write ? URX_OP_WRITE : URX_OP_READ,
					 .data = s->data, .data_len = s->bytes, .offset = s->offset,
					 .tags = tags_at(e, s->offset), .allow = e->allow };
		if (e->info.format.meta_size) {
			s->rw.meta = s->meta;
			s->rw.meta_len = s->bytes / e->info.format.interval * e->info.format.meta_size;
		}
		rc = urx_plan(c->queue, e->target, &s->rw, &s->io);
		if (rc)
			return rc;
		e->taken |= s->io.path;
		sqe = io_uring_get_sqe(&c->ring); /* there is one for each slot */
		urx_prep(sqe, &s->io);
	}
	io_uring_sqe_set_data(sqe, s);
	c->in_flight++;
	return 0;
}

static void show_wrong(const struct end *e, const struct slot *s, const struct urx_pi_error *wrong, const char *by)
{
	fprintf(stderr, "%s: block %llu: %s is %#llx, should be %#llx, found by %s\n", e->path,
		(ull)(s->offset / e->info.format.interval + wrong->block), urx_check_str(wrong->check),
		(ull)wrong->actual, (ull)wrong->expected, by);
}

/* A request that failed: says where and why, and keeps the place. */
static void fail(struct copy *c, struct slot *s, struct end *e, bool write, int rc, struct urx_result *result)
{
	const char *by = result && result->path ? urx_path_str(result->path) : "the kernel", *why;

	s->step = FAILED;
	c->failed = true;
	if (rc == -EILSEQ && !write && !(result->pi.flags & URX_ERROR_BLOCK))
		urx_diagnose(c->queue, e->target, &s->rw, result); /* reads again; by may not find it again */
	if (rc == -EILSEQ && result->pi.flags & URX_ERROR_BLOCK) {
		show_wrong(e, s, &result->pi, by);
		return;
	}
	fprintf(stderr, "%s: %s of %u bytes at byte %llu, by %s: %s%s\n", e->path, write ? "write" : "read", s->bytes,
		(ull)s->offset, by, strerror(-rc),
		rc == -EILSEQ && result->pi.flags & URX_ERROR_IN_TRANSIT ? ", damaged on its way" : "");
	for (uint32_t path = 1; rc == -EOPNOTSUPP && !e->plain && path <= URX_PATH_SOFTWARE; path *= 2)
		if ((!e->allow || e->allow & path) && urx_explain(c->queue, e->target, &s->rw, path, &why))
			fprintf(stderr, "    %s: %s\n", urx_path_str(path), why);
}

/* What was read becomes what is to be written: verified here too, with the destination's tags, or protected anew. */
static int transform(struct copy *c, struct slot *s, bool verified)
{
	const struct urx_tags from = tags_at(&c->from, s->offset);
	struct urx_tags to = tags_at(&c->to, s->offset);
	struct urx_pi_error wrong;
	struct urx_pi_report report = { .size = sizeof(report), .errors = &wrong, .capacity = 1 };
	size_t blocks = c->from.has_pi ? s->bytes / c->from.info.format.interval : 0;
	int rc = 0;

	if (c->from.has_pi && !(verified && c->same_format))
		rc = urx_pi_verify(&c->from.pi, &from, s->data, s->meta, blocks, &report);
	if (!rc && c->to.has_pi && !c->same_format) {
		c->escaped += report.escaped;
		memset(s->meta, 0, (size_t)s->bytes / c->to.info.format.interval * c->to.info.format.meta_size);
		return urx_pi_generate(&c->to.pi, &to, s->data, s->meta, s->bytes / c->to.info.format.interval);
	}
	if (!rc && c->same_format && (c->retag >= 0 || to.ref != from.ref)) {
		const struct iovec meta = { s->meta, blocks * c->from.info.format.meta_size };
		const struct urx_pi_vec v = { .meta = &meta, .meta_cnt = 1 };
		struct urx_tags passes = from;

		passes.checks &= ~URX_CHECK_GUARD; /* which stays what it is */
		to.keep = URX_CHECK_STORAGE | (c->retag >= 0 ? 0 : URX_CHECK_APP);
		rc = urx_pi_retagv(&c->from.pi, &passes, &to, &v, &report);
	}
	if (rc == -EILSEQ)
		show_wrong(&c->from, s, &wrong, "software");
	return rc;
}

/* A step that could not be begun before. */
static void go_on(struct copy *c, struct slot *s)
{
	bool write = s->step == TO_WRITE;
	struct end *e = write ? &c->to : &c->from;
	struct urx_result none = { .size = sizeof(none) };
	int rc = start(c, s, e, write);

	if (!rc)
		s->step = write ? WRITING : READING;
	else if (rc != -EAGAIN || !c->in_flight)
		fail(c, s, e, write, rc, &none);
}

static void completed(struct copy *c, struct io_uring_cqe *cqe)
{
	struct slot *s = io_uring_cqe_get_data(cqe);
	bool write = s->step == WRITING;
	struct end *e = write ? &c->to : &c->from;
	struct urx_result result = { .size = sizeof(result) };
	int rc = e->plain ? cqe->res : urx_io_result(&s->io, cqe, &result);

	io_uring_cqe_seen(&c->ring, cqe);
	c->in_flight--;
	if (rc >= 0 && (uint32_t)rc != s->bytes)
		rc = -EIO; /* short */
	if (rc < 0) {
		fail(c, s, e, write, rc, &result);
		return;
	}
	if (write) {
		s->step = IDLE;
		c->done += s->bytes;
		return;
	}
	rc = transform(c, s, result.path == URX_PATH_SOFTWARE);
	if (rc) {
		s->step = FAILED;
		c->failed = true;
		return;
	}
	s->step = TO_WRITE;
}

/* ------------------------------------------------------------------ all of it */

/* Whether the next chunk may begin, or how long to wait for that. */
static bool may_begin(const struct copy *c, double *wait)
{
	double ahead = c->limit ? (double)(c->next - c->start) / (double)c->limit - seconds_since(&c->begun) : 0;

	*wait = ahead > 0 ? ahead : 0;
	return c->next < c->bytes && !c->failed && !interrupted && ahead <= 0;
}

static void nap(double seconds)
{
	struct timespec time = { .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };

	nanosleep(&time, NULL);
}

static int run(struct copy *c)
{
	struct io_uring_cqe *cqe;
	double wait;

	clock_gettime(CLOCK_MONOTONIC, &c->begun);
	for (;;) {
		for (unsigned i = 0; i < c->depth; i++) {
			struct slot *s = &c->slots[i];

			if (s->step == IDLE && may_begin(c, &wait)) {
				s->offset = c->next;
				s->bytes = c->bytes - c->next < c->chunk ? (uint32_t)(c->bytes - c->next) : c->chunk;
				s->step = TO_READ;
				c->next += s->bytes;
			}
			/* After a failure what was read is not written any more. */
			if ((s->step == TO_READ || s->step == TO_WRITE) && !c->failed)
				go_on(c, s);
		}
		may_begin(c, &wait);
		if (!c->in_flight && wait > 0 && !c->failed && !interrupted && c->next < c->bytes) {
			nap(wait);
			continue;
		}
		if (!c->in_flight)
			break;
		io_uring_submit(&c->ring);
		if (io_uring_wait_cqe(&c->ring, &cqe))
			continue; /* a signal */
		do
			completed(c, cqe);
		while (!io_uring_peek_cqe(&c->ring, &cqe));
		show_progress(c, false);
		if (c->start + c->done >= c->saved + c->save_every && save_state(c))
			c->failed = true;
	}
	show_progress(c, true);
	if (save_state(c) || c->failed)
		return 1;
	if (interrupted)
		return 130;
	if (c->state)
		unlink(c->state);
	return 0;
}

static int prepare(struct copy *c)
{
	const struct urx_pi_format *from = &c->from.info.format, *to = &c->to.info.format;
	size_t meta = 4096; /* the larger of both ends' */
	int rc = io_uring_queue_init(c->depth, &c->ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);

	if (rc == -EINVAL) /* before 5.19 */
		rc = io_uring_queue_init(c->depth, &c->ring, 0);
	if (!rc)
		rc = urx_queue_open(&c->queue, URX_RING(&c->ring), NULL);
	if (rc)
		return complain("ring", strerror(-rc));
	if (from->meta_size)
		meta += (size_t)c->chunk / from->interval * from->meta_size;
	if (to->meta_size)
		meta += (size_t)c->chunk / to->interval * to->meta_size;
	c->slots = calloc(c->depth, sizeof(*c->slots));
	for (unsigned i = 0; c->slots && i < c->depth; i++) {
		c->slots[i].data = aligned_alloc(4096, (c->chunk + 4095u) / 4096 * 4096);
		c->slots[i].meta = aligned_alloc(4096, (meta + 4095) / 4096 * 4096);
		if (!c->slots[i].data || !c->slots[i].meta)
			return complain("memory", strerror(ENOMEM));
	}
	return c->slots ? 0 : complain("memory", strerror(ENOMEM));
}

static const char *by(const struct end *e)
{
	static char text[2][80];
	static int turn;
	char *names = text[turn++ % 2];

	names[0] = 0;
	for (uint32_t path = 1; path <= URX_PATH_SOFTWARE; path *= 2)
		if (e->taken & path)
			sprintf(names + strlen(names), "%s%s", *names ? "," : "", urx_path_str(path));
	return e->plain ? "plain I/O" : names;
}

static uint32_t paths(char *list)
{
	uint32_t mask = 0;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ","))
		for (uint32_t path = 1; path <= URX_PATH_SOFTWARE; path *= 2)
			if (!strcmp(name, urx_path_str(path)))
				mask |= path;
	return mask;
}

static uint8_t guard_named(const char *name)
{
	static const char *const names[] = { "none", "t10dif", "ip", "crc32c", "crc64" };

	for (uint8_t guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		if (!strcmp(name, names[guard]))
			return guard;
	return 0;
}

/* A number with K, M or G behind it. */
static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	return n << (*end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0);
}

static int parse(struct copy *c, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "q:b:s:d:g:a:t:r:c:l:S:D:Bp")) != -1) {
		switch (option) {
		case 'q': c->depth = (unsigned)number(optarg); break;
		case 'b': c->chunk = (uint32_t)number(optarg); break;
		case 's': c->from.side = optarg; break;
		case 'd': c->to.side = optarg; break;
		case 'g': c->guard = guard_named(optarg); break;
		case 'a': c->app = (uint16_t)number(optarg); break;
		case 't': c->retag = (uint16_t)number(optarg); break;
		case 'r': c->state = optarg; break;
		case 'c': c->save_every = number(optarg); break;
		case 'l': c->limit = number(optarg); break;
		case 'S': c->from.allow = paths(optarg); break;
		case 'D': c->to.allow = paths(optarg); break;
		case 'B': c->buffered = true; break;
		case 'p': c->bar = true; break;
		default: return 1;
		}
	}
	c->from.path = argv[optind];
	c->to.path = argc - optind == 2 ? argv[optind + 1] : NULL;
	return !c->to.path || !c->depth || c->depth > 4096 || !c->chunk || c->chunk > 1 << 30;
}

int main(int argc, char **argv)
{
	struct copy c = { .depth = 32, .chunk = 128 << 10, .save_every = 64 << 20, .app = -1, .retag = -1 };
	const struct sigaction action = { .sa_handler = on_signal };
	double seconds;
	int status;

	c.bar = isatty(2);
	if (parse(&c, argc, argv)) {
		fprintf(stderr, "usage: %s [OPTIONS] SOURCE DESTINATION; the source says which\n", argv[0]);
		return 2;
	}
	if (open_ends(&c) || prepare(&c) || load_state(&c))
		return 1;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = run(&c);
	seconds = seconds_since(&c.begun);
	printf("%s: %llu of %llu bytes, %llu before, %.1f MiB/s, read by %s, written by %s%s%s\n",
	       status ? "stopped" : "copied", (ull)c.done, (ull)c.bytes, (ull)c.start,
	       seconds > 0 ? (double)c.done / seconds / (1 << 20) : 0, by(&c.from), by(&c.to),
	       c.same_format ? ", guards kept" : "", c.retag >= 0 ? ", tagged anew" : "");
	if (c.escaped)
		printf("%llu blocks that nobody could verify are protected from here on\n", (ull)c.escaped);
	urx_queue_close(c.queue);
	for (unsigned i = 0; i < c.depth; i++) {
		free(c.slots[i].data);
		free(c.slots[i].meta);
	}
	free(c.slots);
	urx_target_close(c.from.target);
	urx_target_close(c.to.target);
	io_uring_queue_exit(&c.ring);
	return status;
}
