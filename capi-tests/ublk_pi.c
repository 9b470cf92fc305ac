/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The server of examples/ublk_pi.c: a write with a wrong guard or reference tag is answered -EILSEQ and changes
 * nothing, not a block of it; what is damaged in its files is found by who reads; writes without metadata get some.
 */
#define main ublk_pi
#include "../examples/ublk_pi.c"
#undef main
#include <poll.h>
#include <sys/wait.h>
#include "urx_test.h"

enum { BLOCKS = 24, AT = 100, BAD = 17 };

static const char *data_path, *side_path;

/* Starts the server as a child: the path of its block device, or NULL and its status and first line of stderr. */
static const char *start(char *const *args, int nr, pid_t *child, int *status, char error[200])
{
	static char line[64];
	int out[2], err[2];
	ssize_t n;

	CHECK_EQ(pipe(out), 0);
	CHECK_EQ(pipe(err), 0);
	fflush(stdout);
	*child = fork();
	CHECK(*child >= 0);
	if (!*child) {
		dup2(out[1], 1);
		dup2(err[1], 2);
		close(out[0]), close(out[1]), close(err[0]), close(err[1]);
		exit(ublk_pi(nr, (char **)(uintptr_t)args));
	}
	close(out[1]), close(err[1]);
	n = read(out[0], line, sizeof(line) - 1);
	if (n > 0) {
		line[n] = 0;
		line[strcspn(line, "\n")] = 0;
		return line; /* the pipe stays: the server has more to say */
	}
	n = read(err[0], error, 199);
	error[n > 0 ? n : 0] = 0;
	CHECK_EQ(waitpid(*child, status, 0), *child);
	close(out[0]), close(err[0]);
	return NULL;
}

static void stop(pid_t child)
{
	int status;

	CHECK_EQ(kill(child, SIGTERM), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

/* One byte of a file, on the disk and in the page cache. */
static void damage(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &byte, 1, at), 1);
	byte ^= 0x40;
	CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void expect(struct dev *dev, const struct blocks *want, const struct urx_tags *tags, const char *when)
{
	struct blocks in = blocks_of(dev, want->count, 77);
	struct urx_rw rw = rw_of(dev, URX_OP_READ, AT, in.data, in.count, in.meta, *tags);
	uint8_t *plain = pages(in.data_len);

	CHECK_EQ(dev_run(dev, &rw, NULL), (int)in.data_len);
	CHECK_BYTES(in.data, want->data, in.data_len, when);
	CHECK_BYTES(in.meta, want->meta, in.meta_len, when);
	/* The kernel verifies it, too. */
	if (pread(dev->info.fd, plain, in.data_len, (off_t)AT * dev->info.format.interval) != (ssize_t)in.data_len)
		FAIL("%s: %s", when, strerror(errno));
	CHECK_BYTES(plain, want->data, in.data_len, when);
	free(plain);
	blocks_free(&in);
}

/* Writes with one wrong tag, whatever the request asks for, leave all as it was. */
static void wrong_writes(struct dev *dev, const struct blocks *old, const struct urx_tags *tags)
{
	struct urx_pi lib = pi_of(&dev->info.format);

	for (uint32_t check = URX_CHECK_GUARD; check <= URX_CHECK_REF; check <<= 1) {
		for (int asked = 0; asked < 2; asked++) {
			struct blocks new = blocks_with(dev, BLOCKS, 50 + check, tags);
			uint8_t *at = new.meta + BAD * dev->info.format.meta_size;
			struct urx_rw rw = rw_of(dev, URX_OP_WRITE, AT, new.data, BLOCKS, new.meta, *tags);
			struct urx_result result;
			struct urx_pi_tuple tuple;

			CHECK_EQ(urx_pi_tuple_get(&lib, at, &tuple), 0);
			*(check == URX_CHECK_GUARD ? &tuple.guard : &tuple.ref) ^= 0x100;
			CHECK_EQ(urx_pi_tuple_set(&lib, at, &tuple), 0);
			rw.tags.checks = asked ? rw.tags.checks : 0;
			if (!(tags->checks & check)) { /* type 3: stored as it is, and put back */
				CHECK_EQ(dev_run(dev, &rw, &result), (int)new.data_len);
				rw = rw_of(dev, URX_OP_WRITE, AT, old->data, BLOCKS, old->meta, *tags);
				CHECK_EQ(dev_run(dev, &rw, &result), (int)old->data_len);
			} else {
				CHECK_EQ(dev_run(dev, &rw, &result), -EILSEQ);
				if (asked) {
					CHECK_EQ(result.pi.check, check);
					CHECK_EQ(result.pi.block, BAD);
				}
			}
			expect(dev, old, tags, "after a wrong write");
			blocks_free(&new);
		}
	}
}

/* What is stored is damaged: nobody reads it as good. */
static void damaged(struct dev *dev, const struct urx_tags *tags)
{
	const struct urx_pi_format *f = &dev->info.format;
	struct blocks in = blocks_of(dev, BLOCKS, 77);
	struct urx_rw rw = rw_of(dev, URX_OP_READ, AT, in.data, BLOCKS, in.meta, *tags);
	struct urx_pi_error error;
	struct urx_pi_report report = { .size = sizeof(report), .errors = &error, .capacity = 1 };
	struct urx_pi lib = pi_of(f);
	uint8_t *plain = pages(f->interval);
	const struct {
		const char *path;
		off_t at;
	} places[] = {
		{ data_path, (off_t)(AT + BAD) * f->interval + 77 },
		{ side_path, (off_t)(AT + BAD) * f->meta_size + f->pi_offset },
	};

	for (size_t n = 0; n < COUNT(places); n++) {
		off_t at = (off_t)(AT + BAD) * f->interval;

		damage(places[n].path, places[n].at);
		/* By the kernel, for who reads without metadata. */
		CHECK_EQ(pread(dev->info.fd, plain, f->interval, at), -1);
		CHECK_EQ(errno, EILSEQ);
		CHECK_EQ(pread(dev->info.fd, plain, f->interval, at - f->interval), f->interval);
		/* By the library, for who has it. */
		CHECK_EQ(dev_run(dev, &rw, NULL), (int)in.data_len);
		report.stored = 0;
		CHECK_EQ(urx_pi_verify(&lib, tags, in.data, in.meta, BLOCKS, &report), -EILSEQ);
		CHECK_EQ(report.stored, 1);
		CHECK_EQ(error.block, BAD);
		CHECK_EQ(error.check, URX_CHECK_GUARD);
		damage(places[n].path, places[n].at); /* undone */
		CHECK_EQ(pread(dev->info.fd, plain, f->interval, at), f->interval);
	}
	free(plain);
	blocks_free(&in);
}

/*
 * A kernel that is told not to make tuples sends no metadata; or, where there is more of it than tuples, zeros, which
 * are as wrong as any.
 */
static void without_metadata(struct dev *dev, const char *disk, const struct urx_tags *tags)
{
	struct blocks new = blocks_with(dev, BLOCKS, 90, tags);
	bool zeros = dev->info.format.meta_size > tuple_bytes(dev->info.format.guard);
	off_t at = (off_t)AT * dev->info.format.interval;
	char path[128];
	FILE *knob;

	for (int on = 0; on < 2; on++) {
		snprintf(path, sizeof(path), "/sys/block/%s/integrity/write_generate", disk + strlen("/dev/"));
		knob = fopen(path, "w");
		CHECK(knob);
		fprintf(knob, "%d\n", on);
		CHECK_EQ(fclose(knob), 0);
		if (on)
			break;
		CHECK_EQ(pwrite(dev->info.fd, new.data, new.data_len, at), zeros ? -1 : (ssize_t)new.data_len);
		CHECK(!zeros || errno == EILSEQ);
	}
	/* With tuples of the kernel's; what else there is it makes zeros. */
	if (zeros)
		CHECK_EQ(pwrite(dev->info.fd, new.data, new.data_len, at), (ssize_t)new.data_len);
	memset(new.meta, 0, new.meta_len);
	struct urx_pi lib = pi_of(&dev->info.format);
	CHECK_EQ(urx_pi_generate(&lib, tags, new.data, new.meta, BLOCKS), 0);
	expect(dev, &new, tags, "without metadata");
	blocks_free(&new);
}

static void open_disk(struct dev *dev, const char *disk)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };

	ring_setup(&dev->ring, 0);
	CHECK_EQ(urx_target_open(&dev->target, disk, &opts), 0);
	dev->info = (struct urx_target_info){ .size = sizeof(dev->info) };
	CHECK_EQ(urx_target_query(dev->target, &dev->info), 0);
	CHECK_EQ(dev->info.bytes, 8 << 20);
}

static void served(char *const *args, int nr, const char *name)
{
	char error[200];
	const char *disk;
	struct dev dev;
	struct blocks out;
	struct urx_tags tags, plain;
	struct urx_rw rw;
	pid_t child;
	int status, fd = open(data_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, 8 << 20), 0);
	close(fd);
	unlink(side_path);
	disk = start(args, nr, &child, &status, error);
	if (!disk)
		FAIL("%s: %s", name, error);
	printf("%s: %s\n", name, disk);
	open_disk(&dev, disk);
	tags = tags_of(&dev, 5, AT);
	out = blocks_with(&dev, BLOCKS, 1, &tags);
	rw = rw_of(&dev, URX_OP_WRITE, AT, out.data, BLOCKS, out.meta, tags);
	CHECK_EQ(dev_run(&dev, &rw, NULL), (int)out.data_len);
	expect(&dev, &out, &tags, "written");
	wrong_writes(&dev, &out, &tags);
	damaged(&dev, &tags);
	plain = tags_of(&dev, 0, AT);
	without_metadata(&dev, disk, &plain);
	dev_close(&dev);
	stop(child);

	/* The same files, another server. */
	disk = start(args, nr, &child, &status, error);
	CHECK(disk);
	open_disk(&dev, disk);
	blocks_free(&out);
	out = blocks_with(&dev, BLOCKS, 90, &plain);
	memset(out.meta, 0, out.meta_len);
	struct urx_pi lib = pi_of(&dev.info.format);
	CHECK_EQ(urx_pi_generate(&lib, &plain, out.data, out.meta, BLOCKS), 0);
	expect(&dev, &out, &plain, "after a restart");
	blocks_free(&out);
	dev_close(&dev);
	stop(child);
}

int main(void)
{
	static char data_name[160], side_name[160];
	char error[200];
	pid_t child;
	int status;

	need_vm();
	snprintf(data_name, sizeof(data_name), "%s", scratch("data"));
	snprintf(side_name, sizeof(side_name), "%s", scratch("side"));
	data_path = data_name, side_path = side_name;
#define ARGS(...) ((char *const[]){ __VA_ARGS__, data_name, side_name, NULL })
#define SERVED(name, ...) served(ARGS(__VA_ARGS__), (int)COUNT(ARGS(__VA_ARGS__)) - 1, name)
	CHECK_EQ(close(open(data_path, O_RDWR | O_CREAT, 0600)), 0);
	CHECK_EQ(truncate(data_path, 8 << 20), 0);
	if (kernel() < 7000) {
		if (system("modprobe -r ublk_drv 2>&1")) /* another test may have loaded it */
			puts("no ublk_drv loaded");
		CHECK(!start(ARGS("ublk_pi"), 3, &child, &status, error));
		CHECK_EQ(status, 1 << 8);
		CHECK(begins(error, "driver: ")); /* not loaded, or none */
		if (kernel() > 6002) {
			CHECK_EQ(system("urx-modprobe ublk_drv"), 0);
			CHECK(!start(ARGS("ublk_pi"), 3, &child, &status, error));
			CHECK_EQ(status, 1 << 8);
			CHECK(begins(error, "flags: "));
		}
		return 0;
	}
	CHECK_EQ(system("urx-modprobe ublk_drv"), 0);
	SERVED("4096, CRC-16", "ublk_pi");
	SERVED("512, CRC-16, never copied", "ublk_pi", "-z", "-b", "512");
	SERVED("tuple last in 64 bytes", "ublk_pi", "-m", "64", "-l");
	SERVED("CRC-64", "ublk_pi", "-g", "crc64", "-m", "16");
	SERVED("IP checksum", "ublk_pi", "-g", "ip");
	SERVED("type 3", "ublk_pi", "-t", "3");
	unlink(data_path);
	unlink(side_path);
	return 0;
}
