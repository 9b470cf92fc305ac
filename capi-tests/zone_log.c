/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* examples/zone_log.c, as it is: appends, recovers, and finds the end of a log that was torn. */
#define main zone_log_main
#include "../examples/zone_log.c"
#undef main

#include "zones.h"

static char said[1 << 16];

/* Its exit status; what it printed is kept. */
static int run(const char *device, const char *zone, const char *count)
{
	char *argv[] = { (char *)"zone_log", (char *)device, (char *)zone, (char *)count, NULL };
	int pipes[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	CHECK_EQ(pipe(pipes), 0);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(pipes[1], 1);
		close(pipes[0]);
		close(pipes[1]);
		exit(zone_log_main(4, argv));
	}
	close(pipes[1]);
	while ((n = read(pipes[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = 0;
	close(pipes[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void tries(const char *device)
{
	struct zone_ref zone = { .target = target_at(device) };
	struct urx_target_info info = { .size = sizeof(info) };
	struct carrier c;
	uint8_t *data = pages(8192);

	CHECK_EQ(run(device, "3", "-30"), 0);
	CHECK(begins(said, "0 records, 0 bytes of none\nat "));
	CHECK_EQ(run(device, "3", "5"), 0);
	CHECK(begins(said, "30 records, 0 bytes of none\nat "));
	CHECK_EQ(run(device, "3", "0"), 0);
	CHECK_STR(said, "35 records, 0 bytes of none\n");

	/* Not one of its records: as if torn. */
	CHECK_EQ(urx_target_query(zone.target, &info), 0);
	zone.start = 3 * info.zone_bytes;
	carrier_open(&c, 8);
	if (info.format.meta_size) {
		struct urx_rw rw = append_of(&zone, data, info.format.interval, 0);
		struct urx_result result;

		rw.flags = URX_RW_PRACT; /* another application tag */
		CHECK_EQ(carry(&c, zone.target, &rw, &result), info.format.interval);
	} else {
		CHECK_EQ(append(&c, &zone, data, info.format.interval, 0, NULL), info.format.interval);
	}
	carrier_close(&c);
	CHECK_EQ(run(device, "3", "1"), 3);
	snprintf((char *)data, 100, "35 records, %u bytes of none\n", info.format.interval);
	CHECK_STR(said, (char *)data);
	CHECK_EQ(urx_zone_manage(zone.target, URX_OP_ZONE_RESET, zone.start), 0);
	CHECK_EQ(run(device, "3", "0"), 0);
	CHECK_STR(said, "0 records, 0 bytes of none\n");
	urx_target_close(zone.target);
	free(data);
	puts(device);
}

int main(void)
{
	need_vm();
	tries(node("zns"));
	tries(node("znspi"));
	if (!access(node("znspi.ng"), F_OK))
		tries(node("znspi.ng"));
	return 0;
}
