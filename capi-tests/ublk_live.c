/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A started ublk device: what can be asked of it and done to it, and a server that leaves while the block device stays:
 * requests wait for the next, or fail, as the flags say.
 */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "ublk.h"

#define CMD_START_DEV 0xc0207506u /* UBLK_U_CMD_START_DEV */

static struct urx_ublk_device told(const struct server *s)
{
	struct urx_ublk_device device = { .size = sizeof(device) };

	CHECK_EQ(urx_ublk_info(s->dev.dev_id, &device), 0);
	return device;
}

static void started(struct server *s)
{
	struct urx_ublk_params params = { .size = sizeof(params) };
	uint32_t id = s->dev.dev_id;
	uint64_t bytes;
	struct stat st;

	CHECK_EQ(told(s).state, URX_UBLK_LIVE);
	CHECK_EQ(told(s).server_pid, getpid());
	CHECK_EQ(urx_ublk_start(id), -EEXIST);
	CHECK_EQ(urx_ublk_begin_recovery(id), -EBUSY);
	CHECK_EQ(urx_ublk_get_params(id, &params), 0);
	CHECK_EQ(fstat(s->disk, &st), 0);
	CHECK_EQ(params.disk_major, major(st.st_rdev));
	CHECK_EQ(params.disk_minor, minor(st.st_rdev));
	CHECK_EQ(params.bytes, DEV_BYTES);
	CHECK_EQ(urx_ublk_set_params(id, &params, NULL), -EACCES);

	if (!(s->dev.flags & URX_UBLK_F_UPDATE_SIZE)) {
		CHECK_EQ(urx_ublk_resize(id, DEV_BYTES / 2), -EOPNOTSUPP);
		return;
	}
	CHECK_EQ(urx_ublk_resize(id, 0), -EINVAL);
	CHECK_EQ(urx_ublk_resize(id, DEV_BYTES / 2 + 100), -EINVAL);
	CHECK_EQ(urx_ublk_resize(id, DEV_BYTES / 2), 0);
	CHECK_EQ(ioctl(s->disk, BLKGETSIZE64, &bytes), 0);
	CHECK_EQ(bytes, DEV_BYTES / 2);
	CHECK_EQ(urx_ublk_resize(id, DEV_BYTES), 0);
	CHECK_EQ(ioctl(s->disk, BLKGETSIZE64, &bytes), 0);
	CHECK_EQ(bytes, DEV_BYTES);
}

/* The server goes on purpose. */
static void leave(struct server *s)
{
	CHECK_EQ(urx_ublk_quiesce(s->dev.dev_id, 5000), 0);
	server_rest(s);
	urx_ublk_close(s->ublk);
	urx_queue_close(s->queue);
	io_uring_queue_exit(&s->ring);
	urx_ublk_unmap(s->descs, s->dev.depth);
	close(s->fd);
	s->gone = 0;
}

static void *end_main(void *arg)
{
	struct starter *e = arg;

	e->ret = urx_ublk_end_recovery(e->dev_id);
	e->done = true;
	return NULL;
}

/* The next server, which is this process again. */
static void take_over(struct server *s)
{
	struct urx_ublk_opts opts = { .size = sizeof(opts), .depth = s->dev.depth, .features = s->dev.flags };
	struct starter end = { .dev_id = s->dev.dev_id };
	pthread_t thread;
	char path[32];
	int ret;

	for (int n = 0; (ret = urx_ublk_begin_recovery(s->dev.dev_id)) == -EBUSY && n < 1000; n++)
		usleep(10000);
	CHECK_EQ(ret, 0);
	snprintf(path, sizeof(path), "/dev/ublkc%u", s->dev.dev_id);
	s->fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(s->fd >= 0);
	CHECK_EQ(urx_ublk_map(s->fd, 0, s->dev.depth, &s->descs), 0);
	CHECK_EQ(io_uring_queue_init(64, &s->ring, 0), 0);
	CHECK_EQ(urx_queue_open(&s->queue, URX_RING(&s->ring), NULL), 0);
	opts.char_fd = s->fd;
	opts.descs = s->descs;
	CHECK_EQ(urx_ublk_open(&s->ublk, s->queue, &opts, NULL), 0);
	for (int tag = 0; tag < s->dev.depth; tag++)
		CHECK_EQ(urx_prep_ublk_fetch(server_sqe(s, WORD_FETCH | (unsigned)tag), s->ublk, (uint16_t)tag,
					     NULL), 0);
	CHECK_EQ(io_uring_submit(&s->ring), s->dev.depth);
	CHECK_EQ(pthread_create(&thread, NULL, end_main, &end), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(end.ret, 0);
}

static void recovered(uint64_t features, uint64_t recovery)
{
	uint64_t more = features & (URX_UBLK_F_UPDATE_SIZE | URX_UBLK_F_QUIESCE);
	bool fails = recovery & URX_UBLK_F_RECOVERY_FAIL_IO;
	uint8_t *buf;
	struct server s;
	struct user u;
	int tag;

	if (recovery & ~features)
		return;
	server_up(&s, URX_UBLK_F_USER_COPY | more | recovery, 0, 0);
	printf("flags %#llx\n", (unsigned long long)s.dev.flags);
	fflush(stdout);
	fill(s.image, DEV_BYTES, recovery);
	started(&s);
	if (!(more & URX_UBLK_F_QUIESCE)) {
		/* Older drivers warn of a server that lives when it is followed: tests/ublk kills one. */
		CHECK_EQ(urx_ublk_quiesce(s.dev.dev_id, 5000), -EOPNOTSUPP);
		server_down(&s);
		return;
	}
	buf = pages(8192);
	leave(&s);
	for (int n = 0; told(&s).state != (fails ? URX_UBLK_FAIL_IO : URX_UBLK_QUIESCED) && n < 1000; n++)
		usleep(10000);
	CHECK_EQ(told(&s).state, fails ? URX_UBLK_FAIL_IO : URX_UBLK_QUIESCED);
	user_begin(&s, &u, false, buf, 8192, 4096);
	if (fails) {
		CHECK_EQ(user_end(&u), -EREMOTEIO);
	} else {
		usleep(300000);
		CHECK(!u.done);
	}
	take_over(&s);
	CHECK_EQ(told(&s).state, URX_UBLK_LIVE);
	if (fails)
		user_begin(&s, &u, false, buf, 8192, 4096);
	while ((tag = server_take(&s, &u.done)) >= 0)
		server_plain(&s, tag);
	CHECK_EQ(user_end(&u), 8192);
	CHECK_BYTES(buf, s.image + 4096, 8192, "read after the recovery");
	server_down(&s);
	free(buf);
}

/* The driver takes its time: open(2) works when it has started the device and looked for partitions. */
static void *open_main(void *arg)
{
	struct starter *o = arg;
	char path[32];

	snprintf(path, sizeof(path), "/dev/ublkb%u", o->dev_id);
	for (int n = 0; (o->disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC)) < 0 && n < 1000; n++)
		usleep(10000);
	o->done = true;
	return NULL;
}

/*
 * Started by the thread that serves. Linux 6.12 reads partitions in START: nobody serves that, START is given up and
 * cannot be cancelled, and goes on when it is served after all. Later kernels read them later.
 */
static void started_alone(void)
{
	uint8_t *buf = pages(4096);
	struct starter opener;
	pthread_t thread;
	struct server s;
	int tag;

	server_add(&s, URX_UBLK_F_USER_COPY, 0, (struct urx_ublk_opts){ 0 });
	fill(s.image, DEV_BYTES, 4);
	CHECK_EQ(urx_ublk_control(CMD_START_DEV, s.dev.dev_id, (uint64_t)getpid(), NULL, 0, 500),
		 kernel() < 6013 ? -ETIMEDOUT : 0);
	opener = (struct starter){ .dev_id = s.dev.dev_id };
	CHECK_EQ(pthread_create(&thread, NULL, open_main, &opener), 0);
	while ((tag = server_take(&s, &opener.done)) >= 0)
		server_plain(&s, tag);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	s.disk = opener.disk;
	CHECK(s.disk >= 0);
	CHECK_EQ(told(&s).state, URX_UBLK_LIVE);
	CHECK_EQ(user_plain(&s, false, buf, 4096, 8192), 4096);
	CHECK_BYTES(buf, s.image + 8192, 4096, "read");
	server_down(&s);
	free(buf);
}

int main(void)
{
	uint64_t features = ublk_features();

	started_alone();

	recovered(features, URX_UBLK_F_RECOVERY);
	recovered(features, URX_UBLK_F_RECOVERY | URX_UBLK_F_RECOVERY_REISSUE);
	recovered(features, URX_UBLK_F_RECOVERY | URX_UBLK_F_RECOVERY_FAIL_IO);
	return 0;
}
