/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A user without privilege: what the kernel lets pass goes, the rest is refused with a sentence before anything is
 * submitted. Before 6.2 nobody tells such a user how the metadata looks; from then on the effects log decides.
 */
#include <sys/wait.h>
#include "urx_ladder.h"

#define LEN 4096u

/* As nobody, everything that this kernel has. */
static void goes(uint32_t path)
{
	struct way way;

	doing("as nobody");
	if (!way_open(&way, path, 16, 0, NULL))
		return;
	put(&way, 30, 4, 3);
	holds(&way, 30, 4, 3);
	way_close(&way);
}

/* A path refuses any request and says why. */
static void refuses(const char *label, uint32_t path, const char *word)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	unsigned setup = path == URX_PATH_URING_CMD ? IORING_SETUP_SQE128 | IORING_SETUP_CQE32 : 0;
	const char *why = "";
	struct urx_queue *queue;
	struct io_uring ring;
	struct dev dev;

	doing("refused to nobody");
	doing_where = label;
	CHECK_EQ(urx_target_open(&dev.target, node(label), &opts), 0);
	CHECK(kind_of_ring(&ring, 8, setup));
	CHECK_EQ(urx_queue_open(&queue, URX_RING(&ring), NULL), 0);
	CHECK_EQ(urx_explain(queue, dev.target, NULL, path, &why), -EOPNOTSUPP);
	if (!strstr(why, word))
		FAIL("%s, %s: \"%s\" does not say \"%s\"", label, urx_path_str(path), why, word);
	urx_queue_close(queue);
	io_uring_queue_exit(&ring);
	urx_target_close(dev.target);
}

/* Opened with privilege and used without: the kernel asks each command anew (6.2: and lets these pass). */
static void privilege_lost(struct way *way)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, 30, 4, 4);
	int ret;

	doing("privilege lost");
	doing_where = "ioctl";
	ret = ask_run(way, ask);
	if (kernel() < 6002) {
		CHECK_EQ(ret, -EACCES);
		CHECK_EQ(urx_target_refresh(way->dev.target), 0);
		CHECK_EQ(urx_plan(way->queue, way->dev.target, &ask->rw, &ask->io), -EOPNOTSUPP);
	} else {
		CHECK_EQ(ret, 4 * LEN);
		CHECK_EQ(urx_target_refresh(way->dev.target), 0);
		CHECK_EQ(ask_run(way, ask), 4 * LEN);
	}
	ask_free(ask);
}

static void as_nobody(struct way *rooted)
{
	privilege_lost(rooted);
	goes(URX_PATH_SOFTWARE);
	goes(URX_PATH_ATTR);
	if (kernel() < 6002) {
		refuses("pi4k", URX_PATH_IOCTL, "nobody may tell");
		refuses("plain", URX_PATH_IOCTL, "nobody may tell");
		if (kernel() >= 5019)
			refuses("pi4k", URX_PATH_URING_CMD, "");
		return;
	}
	goes(URX_PATH_IOCTL);
	goes(URX_PATH_URING_CMD);
	/* IO64_CMD and SUBMIT_IO are refused on a partition, IO_CMD was forgotten (nvme_user_cmd). */
	way_node = "part1";
	goes(URX_PATH_IOCTL);
	/* Its character device stayed root's. */
	refuses("type2", URX_PATH_URING_CMD, "character device");
}

static void modes(mode_t mode)
{
	static const char *const labels[] = { "pi4k", "pi4k.ng", "plain", "part1", "type2" };

	for (unsigned n = 0; n < COUNT(labels); n++)
		if (!access(node(labels[n]), F_OK))
			CHECK_EQ(chmod(node(labels[n]), mode), 0);
}

int main(void)
{
	struct way way;
	int status;
	pid_t child;

	need_vm();
	modes(0666);
	child = fork();
	if (!child) {
		doing("as root");
		CHECK(way_open(&way, URX_PATH_IOCTL, 16, 0, NULL));
		put(&way, 30, 4, 1);
		CHECK_EQ(setuid(65534), 0);
		as_nobody(&way);
		way_close(&way);
		fflush(stdout);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	modes(0600);
	return status != 0;
}
