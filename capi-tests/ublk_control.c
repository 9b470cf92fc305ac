/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ublk's control plane: devices are added, described, looked at and deleted; what cannot be is refused, in a limited
 * time, with a sentence; a kernel without the driver says so.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include "urx_test.h"

#define CMD_GET_DEV_INFO 0x80207502u /* UBLK_U_CMD_GET_DEV_INFO */
#define CMD_START_DEV    0xc0207506u /* UBLK_U_CMD_START_DEV */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pure(void)
{
	CHECK_EQ(urx_ublk_copy_offset(0, 0, 0, 0), 0x80000000);
	CHECK_EQ(urx_ublk_copy_offset(0, 1, 512, 0), 0x80000000 + (1ull << 25) + 512);
	CHECK_EQ(urx_ublk_copy_offset(3, 0, 0, 1), 0x80000000 + (3ull << 41) + (1ull << 62));
	CHECK_EQ(offsetof(struct urx_ublk_desc, start_sector), 8);
	CHECK_EQ(offsetof(struct urx_ublk_desc, addr), 16);
}

static void wrong_arguments(void)
{
	struct urx_ublk_device device = { .size = sizeof(device) - 1, .dev_id = URX_UBLK_ANY };
	struct urx_ublk_params params = { .size = sizeof(params), .bytes = 1 << 20, .block = 512 };
	struct {
		struct urx_ublk_device known;
		uint64_t newer;
	} tail = { { .size = sizeof(tail), .dev_id = URX_UBLK_ANY }, 1 };
	const char *why = NULL;

	CHECK_EQ(urx_ublk_features(NULL, &why), -EINVAL);
	CHECK(begins(why, "features: "));
	CHECK_EQ(urx_ublk_add(&device, &why), -EINVAL);
	CHECK(begins(why, "size: "));
	CHECK_EQ(urx_ublk_info(0, &device), -EINVAL);
	CHECK_EQ(urx_ublk_add(&tail.known, &why), -E2BIG);
	CHECK(begins(why, "size: "));
	params.reserved[2] = 1;
	CHECK_EQ(urx_ublk_set_params(0, &params, &why), -EINVAL);
	CHECK(begins(why, "reserved: "));
	params.reserved[2] = 0;
	params.format.meta_size = 8;
	CHECK_EQ(urx_ublk_set_params(0, &params, &why), -EINVAL);
	CHECK(begins(why, "format.size: "));
	params.format = (struct urx_pi_format){ .size = sizeof(params.format), .meta_size = 8, .interval = 4096,
						.guard = 9, .pi_type = 1 };
	CHECK_EQ(urx_ublk_set_params(0, &params, &why), -EINVAL);
	CHECK(begins(why, "guard: "));
	params.size = 0;
	CHECK_EQ(urx_ublk_get_params(0, &params), -EINVAL);
	CHECK_EQ(urx_ublk_add(NULL, &why), -EINVAL);
	CHECK(why && *why);
	CHECK_EQ(urx_ublk_info(0, NULL), -EINVAL);
	CHECK_EQ(urx_ublk_set_params(0, NULL, NULL), -EINVAL);
	CHECK_EQ(urx_ublk_get_params(0, NULL), -EINVAL);
	CHECK_EQ(urx_ublk_map(0, 0, 1, NULL), -EINVAL);
	urx_ublk_unmap(NULL, 1);
}

/* Every call has the same errno for it, and the first ones a sentence. */
static void without_driver(void)
{
	struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY };
	struct urx_ublk_params params = { .size = sizeof(params), .bytes = 1 << 20, .block = 512 };
	const char *why = NULL;
	uint64_t features = 7;

	CHECK_EQ(urx_ublk_features(&features, &why), -EOPNOTSUPP);
	CHECK(begins(why, "driver: no /dev/ublk-control"));
	CHECK_EQ(features, 7);
	why = NULL;
	CHECK_EQ(urx_ublk_add(&device, &why), -EOPNOTSUPP);
	CHECK(begins(why, "driver: "));
	CHECK_EQ(urx_ublk_features(&features, NULL), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_set_params(0, &params, &why), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_get_params(0, &params), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_info(0, &device), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_start(0), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_stop(0), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_delete(0), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_begin_recovery(0), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_end_recovery(0), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_quiesce(0, 1), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_resize(0, 512), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_control(CMD_GET_DEV_INFO, 0, 0, NULL, 0, 0), -EOPNOTSUPP);
	printf("%s\n", why);
}

/* Somebody else is told apart from no driver. */
static void as_nobody(void)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY };
		const char *why = NULL;

		CHECK_EQ(setgid(65534), 0);
		CHECK_EQ(setuid(65534), 0);
		CHECK_EQ(urx_ublk_add(&device, &why), -EACCES);
		CHECK(begins(why, "permission: "));
		exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	/* One who may open it, and is not root. */
	CHECK_EQ(chmod("/dev/ublk-control", 0666), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY };
		const char *why = NULL;

		CHECK_EQ(setgid(65534), 0);
		CHECK_EQ(setuid(65534), 0);
		CHECK_EQ(urx_ublk_add(&device, &why), -EPERM);
		CHECK(begins(why, "permission: "));
		exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(chmod("/dev/ublk-control", 0600), 0);
}

/* Nor is a process without io_uring. */
static void without_uring(void)
{
	FILE *knob = fopen("/proc/sys/kernel/io_uring_disabled", "w");
	const char *why = NULL;
	uint64_t features;

	CHECK(knob);
	CHECK(fputs("2", knob) >= 0);
	CHECK_EQ(fclose(knob), 0);
	CHECK_EQ(urx_ublk_features(&features, &why), -EPERM);
	CHECK(begins(why, "permission: io_uring"));
	knob = fopen("/proc/sys/kernel/io_uring_disabled", "w");
	CHECK(knob);
	CHECK(fputs("0", knob) >= 0);
	CHECK_EQ(fclose(knob), 0);
}

static void refusals(uint64_t features)
{
	struct urx_ublk_device device;
	const char *why;

#define REFUSED(errno_, word, ...)                                                                  \
	do {                                                                                        \
		device = (struct urx_ublk_device){ .size = sizeof(device), .dev_id = 5, __VA_ARGS__ }; \
		CHECK_EQ(urx_ublk_add(&device, &why), -(errno_));                                   \
		CHECK(begins(why, word));                                                           \
		CHECK_EQ(urx_ublk_info(5, &device), -ENODEV);                                       \
	} while (0)
	REFUSED(EINVAL, "depth: ", .depth = 4097);
	REFUSED(EINVAL, "nr_queues: ", .nr_queues = 4097);
	REFUSED(EINVAL, "max_request: ", .max_request = (32 << 20) + 4096);
	REFUSED(EINVAL, "reserved: ", .reserved = { 0, 0, 0, 1 });
	REFUSED(EINVAL, "flags: ", .flags = URX_UBLK_F_INTEGRITY);
	REFUSED(EOPNOTSUPP, "flags: ", .flags = 1ull << 60);
	for (int bit = 0; bit < 20; bit++)
		if (!(features >> bit & 1))
			REFUSED(EOPNOTSUPP, "flags: ",
				.flags = 1ull << bit | URX_UBLK_F_USER_COPY | URX_UBLK_F_RECOVERY);
	REFUSED(EINVAL, "flags: ", .flags = URX_UBLK_F_RECOVERY_REISSUE); /* without RECOVERY */
	REFUSED(EINVAL, "flags: ", .flags = URX_UBLK_F_QUIESCE);
	CHECK_EQ(urx_ublk_start(5), -ENODEV);
	CHECK_EQ(urx_ublk_stop(5), -ENODEV);
	CHECK_EQ(urx_ublk_delete(5), -ENODEV);
	CHECK_EQ(urx_ublk_begin_recovery(5), -ENODEV);
	CHECK_EQ(urx_ublk_end_recovery(5), -ENODEV);
	CHECK_EQ(urx_ublk_quiesce(5, 1), -ENODEV);
	CHECK_EQ(urx_ublk_resize(5, 512), -ENODEV);
}

/* Zero copy, automatic registration and user copy in any mixture. */
static void mixtures(uint64_t features)
{
	static const uint64_t parts[] = { URX_UBLK_F_ZERO_COPY, URX_UBLK_F_AUTO_BUF_REG, URX_UBLK_F_USER_COPY };

	for (unsigned mask = 0; mask < 8; mask++) {
		struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY };

		for (unsigned n = 0; n < COUNT(parts); n++)
			device.flags |= mask >> n & 1 ? parts[n] : 0;
		if (device.flags & URX_UBLK_F_USER_COPY)
			device.flags |= features & URX_UBLK_F_INTEGRITY;
		if (device.flags & ~features)
			continue;
		uint64_t wanted = device.flags;
		CHECK_EQ(urx_ublk_add(&device, NULL), 0);
		CHECK_EQ(device.flags & wanted, wanted);
		CHECK_EQ(urx_ublk_delete(device.dev_id), 0);
	}
}

static void round_trip(uint64_t features)
{
	struct urx_ublk_device device = { .size = sizeof(device), .dev_id = 3, .depth = 32, .nr_queues = 2,
					  .max_request = 1 << 20, .server_word = 0x1234,
					  .flags = URX_UBLK_F_USER_COPY | URX_UBLK_F_RECOVERY };
	struct urx_ublk_params params = { .size = sizeof(params), .bytes = 40 << 20, .block = 4096,
					  .physical_block = 16384, .io_min = 4096, .io_opt = 65536,
					  .attrs = URX_UBLK_ATTR_CACHE | URX_UBLK_ATTR_FUA,
					  .max_request = 1 << 19, .dma_align = 512, .max_discard = 1 << 30,
					  .max_write_zeroes = 1 << 21 };
	struct urx_ublk_params told = { .size = sizeof(told) };
	struct urx_ublk_device info = { .size = sizeof(info) }, kernel[2] = { { 0 } };
	const struct urx_ublk_desc *descs;
	const char *why;
	struct stat st;
	double before;
	int fd;

	if (features & URX_UBLK_F_INTEGRITY) {
		device.flags |= URX_UBLK_F_INTEGRITY;
		params.format = (struct urx_pi_format){ .size = sizeof(params.format), .interval = 4096,
							.meta_size = 64, .pi_offset = 56,
							.guard = URX_GUARD_T10DIF, .pi_type = 1 };
	}
	CHECK_EQ(urx_ublk_add(&device, &why), 0);
	CHECK_EQ(device.dev_id, 3);
	CHECK_EQ(device.depth, 32);
	CHECK_EQ(device.nr_queues, 2);
	CHECK_EQ(device.max_request, 1 << 20);
	CHECK_EQ(device.state, URX_UBLK_DEAD);
	CHECK_EQ(device.server_pid, -1);
	CHECK(device.flags & URX_UBLK_F_USER_COPY && device.flags & URX_UBLK_F_RECOVERY);
	CHECK_EQ(urx_ublk_info(3, &info), 0);
	CHECK_BYTES(&info, &device, sizeof(info), "info");
	CHECK_EQ(info.server_word, 0x1234);
	CHECK_EQ(info.owner_uid, 0);
	/* The kernel's own struct, by number: 64 bytes, queues first. */
	CHECK_EQ(urx_ublk_control(CMD_GET_DEV_INFO, 3, 0, kernel, 64, 0), 0);
	CHECK_EQ(*(uint16_t *)kernel, 2);
	CHECK_EQ(((uint16_t *)kernel)[1], 32);
	CHECK_EQ(urx_ublk_control(CMD_GET_DEV_INFO, 3, 0, kernel, 63, 0), -EINVAL);
	CHECK_EQ(urx_ublk_control(0xc02075ff, 3, 0, NULL, 0, 0), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_control(CMD_GET_DEV_INFO, 3, 0, kernel, 65536, 0), -EINVAL);
	info.dev_id = 3;
	CHECK_EQ(urx_ublk_add(&info, &why), -EEXIST);
	CHECK(begins(why, "dev_id: "));

	params.block = 1000;
	CHECK_EQ(urx_ublk_set_params(3, &params, &why), -EINVAL);
	CHECK(begins(why, "block: "));
	params.block = 4096;
	params.max_append = 4096;
	CHECK_EQ(urx_ublk_set_params(3, &params, &why), -EINVAL);
	CHECK(begins(why, "max_append: "));
	params.max_append = 0;
	if (!(features & URX_UBLK_F_INTEGRITY)) {
		params.format = (struct urx_pi_format){ .size = sizeof(params.format), .interval = 4096,
							.meta_size = 8, .guard = URX_GUARD_T10DIF, .pi_type = 1 };
		CHECK_EQ(urx_ublk_set_params(3, &params, &why), -EOPNOTSUPP);
		CHECK(begins(why, "format: "));
		params.format = (struct urx_pi_format){ 0 };
	}
	if (!(features & URX_UBLK_F_AUTO_BUF_REG)) { /* a driver before that drops what it does not know */
		CHECK_EQ(urx_ublk_set_params(3, &params, &why), -EOPNOTSUPP);
		CHECK(begins(why, "dma_align: "));
		params.dma_align = 0;
	}
	CHECK_EQ(urx_ublk_set_params(3, &params, &why), 0);
	CHECK_EQ(urx_ublk_get_params(3, &told), 0);
	CHECK_EQ(stat("/dev/ublkc3", &st), 0);
	CHECK_EQ(told.char_major, major(st.st_rdev));
	CHECK_EQ(told.char_minor, minor(st.st_rdev));
	CHECK_EQ(told.disk_major, 0);
	CHECK_EQ(told.discard_granularity, 4096);
	told.char_major = told.char_minor = told.discard_granularity = 0;
	CHECK_EQ(told.format.meta_size, params.format.meta_size);
	CHECK_EQ(told.format.pi_offset, params.format.pi_offset);
	CHECK_EQ(told.format.guard, params.format.guard);
	CHECK_EQ(told.format.pi_type, params.format.pi_type);
	told.format = params.format;
	CHECK_BYTES(&told, &params, sizeof(told), "params");

	/* No server has died. */
	CHECK_EQ(urx_ublk_begin_recovery(3), features & URX_UBLK_F_AUTO_BUF_REG ? -EBUSY : -EINVAL);
	CHECK_EQ(urx_ublk_resize(3, 1 << 20), -EOPNOTSUPP);
	CHECK_EQ(urx_ublk_stop(3), 0);

	/* Nobody has fetched: the command is given up. */
	before = now();
	CHECK_EQ(urx_ublk_control(CMD_START_DEV, 3, (uint64_t)getpid(), NULL, 0, 300), -ETIMEDOUT);
	CHECK(now() - before >= 0.3 && now() - before < 5);
	before = now();
	CHECK_EQ(urx_ublk_start(3), -ETIMEDOUT);
	CHECK(now() - before >= 10 && now() - before < 15);
	CHECK_EQ(urx_ublk_info(3, &info), 0);
	CHECK_EQ(info.state, URX_UBLK_DEAD);

	fd = open("/dev/ublkc3", O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(urx_ublk_map(-1, 0, 32, &descs), -EBADF);
	CHECK(!descs);
	CHECK_EQ(urx_ublk_map(fd, 2, 32, &descs), -EINVAL); /* the third queue */
	CHECK_EQ(urx_ublk_map(fd, 1, 0, &descs), -EINVAL);
	CHECK_EQ(urx_ublk_map(fd, 1, 32, &descs), 0);
	CHECK_EQ(descs[31].op_flags, 0);
	urx_ublk_unmap(descs, 32);
	close(fd);
	CHECK_EQ(urx_ublk_delete(3), 0);
	CHECK_EQ(urx_ublk_info(3, &info), -ENODEV);
	CHECK_EQ(urx_ublk_delete(3), -ENODEV);
}

/* A device that is held open is deleted in the end. */
static void held_open(void)
{
	struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY };
	double before = now();
	char path[32];
	int fd;

	CHECK_EQ(urx_ublk_add(&device, NULL), 0);
	CHECK_EQ(device.depth, 64);
	CHECK_EQ(device.nr_queues, 1);
	CHECK_EQ(device.max_request, 512 << 10);
	snprintf(path, sizeof(path), "/dev/ublkc%u", device.dev_id);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(urx_ublk_delete(device.dev_id), -ETIMEDOUT);
	CHECK(now() - before >= 10);
	close(fd);
	for (before = now(); urx_ublk_info(device.dev_id, &device) != -ENODEV; usleep(10000))
		CHECK(now() - before < 10);
}

int main(void)
{
	const char *kernel = getenv("URX_KERNEL"), *why = NULL;
	uint64_t features = 0;

	pure();
	wrong_arguments();
	if (!kernel && !access("/dev/ublk-control", F_OK))
		skip("needs a machine of its own: vm/check");
	if (kernel && system("modprobe -r ublk_drv 2>&1")) /* another test may have loaded it */
		puts("no ublk_drv loaded");
	without_driver();
	if (!kernel || !strcmp(kernel, "5.10") || !strcmp(kernel, "6.1"))
		return 0;
	CHECK_EQ(system("urx-modprobe ublk_drv"), 0);
	CHECK_EQ(urx_ublk_features(&features, &why), 0);
	printf("features %#llx\n", (unsigned long long)features);
	fflush(stdout);
	CHECK(features & URX_UBLK_F_USER_COPY);
	CHECK_EQ(!!(features & URX_UBLK_F_AUTO_BUF_REG), strcmp(kernel, "6.12") != 0);
	as_nobody();
	without_uring();
	refusals(features);
	mixtures(features);
	round_trip(features);
	held_open();
	return 0;
}
