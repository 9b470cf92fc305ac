/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One zone, many who append: threads on one target never meet; processes interleave natively, and where appends
 * are emulated each hears of the other. Killed in the middle, nothing that was answered is lost.
 */
#include "zones.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

enum { LEN = 4096, EACH = 100, CROWD = 4, DEPTH = 8 };

/* Where records went: index is who * EACH + n. Shared with children. */
static struct shared {
	uint64_t offset[CROWD * EACH];
	uint32_t landed[CROWD * EACH];
	uint32_t stale;
	uint32_t cut; /* by a reset of the emulated controller, which happens: nobody knows whether they landed */
} *shared;

static void record(uint8_t *data, uint32_t index)
{
	fill(data, LEN, index + 1);
	memcpy(data, &index, sizeof(index));
}

struct member {
	const struct zone_ref *zone;
	uint32_t who, path;
};

/* Appends its records, DEPTH at a time; one that went stale goes again. */
static void *contribute(void *arg)
{
	const struct member *m = arg;
	struct urx_io io[DEPTH];
	uint8_t *data = pages(DEPTH * LEN);
	struct carrier c;

	carrier_open(&c, DEPTH);
	for (uint32_t n = 0; n < EACH;) {
		uint32_t first = m->who * EACH + n, flying = 0;
		struct io_uring_cqe *cqe;

		for (uint32_t k = 0; k < DEPTH && n + k < EACH; k++) {
			struct urx_rw rw = append_of(m->zone, data + k * LEN, LEN, m->path);
			struct io_uring_sqe *sqe;

			if (shared->landed[first + k])
				continue;
			record(data + k * LEN, first + k);
			CHECK_EQ(urx_plan(c.queue, m->zone->target, &rw, &io[k]), 0);
			sqe = io_uring_get_sqe(&c.ring);
			urx_prep(sqe, &io[k]);
			io_uring_sqe_set_data64(sqe, k);
			flying++;
		}
		if (!flying)
			n += DEPTH;
		CHECK_EQ(io_uring_submit(&c.ring), flying);
		for (; flying; flying--) {
			struct urx_result result = { .size = sizeof(result) };
			uint64_t k;
			int ret;

			CHECK_EQ(io_uring_wait_cqe(&c.ring, &cqe), 0);
			k = cqe->user_data;
			ret = urx_io_result(&io[k], cqe, &result);
			io_uring_cqe_seen(&c.ring, cqe);
			if (ret == -ESTALE) {
				__atomic_fetch_add(&shared->stale, 1, __ATOMIC_RELAXED);
				continue;
			}
			if (ret == -EINTR && m->path != URX_PATH_EMULATED) {
				CHECK(__atomic_add_fetch(&shared->cut, 1, __ATOMIC_RELAXED) < 100);
				usleep(100000);
				continue;
			}
			CHECK_EQ(ret, LEN);
			shared->offset[first + k] = result.append_offset;
			__atomic_store_n(&shared->landed[first + k], 1, __ATOMIC_RELEASE);
		}
	}
	carrier_close(&c);
	free(data);
	return NULL;
}

/* Every answered record is where it was said to be, and no other is there. `dense`: nothing else is in the zone. */
static void judge(const struct zone_ref *zone, uint32_t count, bool dense)
{
	uint32_t blocks = (uint32_t)((look(zone).wp - zone->start) / LEN), seen = 0;
	uint8_t *found = pages(LEN), *wanted = pages(LEN), *taken = calloc(blocks + 1, 1);
	int fd = open_plain(zone, O_RDONLY);

	for (uint32_t n = 0; n < count; n++) {
		uint64_t block = (shared->offset[n] - zone->start) / LEN;

		if (!shared->landed[n])
			continue;
		CHECK(block < blocks);
		CHECK_EQ(taken[block]++, 0);
		record(wanted, n);
		CHECK_EQ(pread(fd, found, LEN, (off_t)shared->offset[n]), LEN);
		CHECK_BYTES(found, wanted, LEN, zone->path);
		seen++;
	}
	if (dense && !shared->cut)
		CHECK_EQ(seen, blocks);
	close(fd);
	free(found);
	free(wanted);
	free(taken);
}

static void threads(const struct zone_ref *zone, uint32_t path)
{
	struct member members[CROWD];
	pthread_t ids[CROWD];

	memset(shared, 0, sizeof(*shared));
	reset(zone);
	for (uint32_t n = 0; n < CROWD; n++) {
		members[n] = (struct member){ zone, n, path };
		CHECK_EQ(pthread_create(&ids[n], NULL, contribute, &members[n]), 0);
	}
	for (uint32_t n = 0; n < CROWD; n++)
		CHECK_EQ(pthread_join(ids[n], NULL), 0);
	CHECK_EQ(shared->stale, 0);
	judge(zone, CROWD * EACH, true);
}

/* A child has its own target. */
static pid_t child(const struct zone_ref *zone, uint32_t who, uint32_t path)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		struct zone_ref own = *zone;
		struct member member = { &own, who, path };

		own.target = target_at(zone->path);
		contribute(&member);
		urx_target_close(own.target);
		exit(0);
	}
	return pid;
}

static void processes(const struct zone_ref *zone, uint32_t path)
{
	pid_t pids[2];
	int status;

	memset(shared, 0, sizeof(*shared));
	reset(zone);
	for (uint32_t n = 0; n < COUNT(pids); n++)
		pids[n] = child(zone, n, path);
	for (uint32_t n = 0; n < COUNT(pids); n++) {
		CHECK_EQ(waitpid(pids[n], &status, 0), pids[n]);
		CHECK_EQ(status, 0);
	}
	for (uint32_t n = 0; n < COUNT(pids) * EACH; n++)
		CHECK_EQ(shared->landed[n], 1);
	judge(zone, COUNT(pids) * EACH, true);
	if (path != URX_PATH_EMULATED)
		CHECK_EQ(shared->stale, 0);
	printf("    two processes: %u went stale\n", shared->stale);
}

static void killed(const struct zone_ref *zone, uint32_t path)
{
	uint32_t landed = 0;
	uint8_t *data = pages(LEN);
	struct zone_ref own = *zone;
	struct carrier c;
	uint64_t at, wp;
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	reset(zone);
	pid = child(zone, 0, path);
	while (!__atomic_load_n(&shared->landed[EACH / 3], __ATOMIC_ACQUIRE))
		usleep(100);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);

	own.target = target_at(zone->path);
	wp = look(&own).wp;
	for (uint32_t n = 0; n < EACH; n++)
		landed += shared->landed[n];
	judge(&own, EACH, false);
	carrier_open(&c, 8);
	fill(data, LEN, 12345);
	/* What the process had under way when it was killed may land a little later. */
	do
		status = append(&c, &own, data, LEN, path, &at);
	while (status == -ESTALE);
	CHECK_EQ(status, LEN);
	CHECK(at >= wp && at <= wp + DEPTH * LEN);
	judge(&own, EACH, false);
	carrier_close(&c);
	urx_target_close(own.target);
	printf("    killed after %u of %u\n", landed, EACH);
	free(data);
}

static void test(struct place *place)
{
	const struct zone_ref *zone = &place->zones[2];
	uint8_t *data = pages(LEN);
	struct urx_rw rw = append_of(zone, data, LEN, 0);
	struct carrier c;
	bool has[3];

	if (place->meta_size)
		return; /* zone_append looks at these */
	carrier_open(&c, 8);
	has[0] = carries(&c, zone, &rw, URX_PATH_URING_CMD);
	has[1] = carries(&c, zone, &rw, URX_PATH_IOCTL);
	has[2] = carries(&c, zone, &rw, URX_PATH_EMULATED);
	carrier_close(&c);
	for (uint32_t n = 0; n < COUNT(has); n++) {
		static const uint32_t paths[] = { URX_PATH_URING_CMD, URX_PATH_IOCTL, URX_PATH_EMULATED };

		if (!has[n])
			continue;
		printf("%s: %s\n", place->name, urx_path_str(paths[n]));
		fflush(stdout);
		threads(zone, paths[n]);
		processes(zone, paths[n]);
		killed(zone, paths[n]);
	}
	free(data);
}

int main(void)
{
	need_vm();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	each_place(test);
	return 0;
}
