/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Says no, with a sentence, to rings and targets that cannot carry a PI attribute, and asks nobody. */
#include "urx_test.h"

static struct urx_target *target;

static void no(unsigned flags, unsigned features, const char *sentence)
{
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_READ };
	struct urx_attr_pi attr, attr_before;
	struct io_uring_sqe sqe, sqe_before;
	const char *why = NULL;

	memset(&sqe, 0xa5, sizeof(sqe));
	memset(&attr, 0xa5, sizeof(attr));
	sqe_before = sqe, attr_before = attr;
	CHECK_EQ(urx_attr_check(target, flags, features, NULL, NULL), -EOPNOTSUPP);
	CHECK_EQ(urx_attr_check(target, flags, features, NULL, &why), -EOPNOTSUPP);
	if (!why || !strstr(why, sentence))
		FAIL("\"%s\" does not say \"%s\"", why, sentence);
	CHECK_EQ(urx_attr_check(target, flags, features, &rw, &why), -EOPNOTSUPP);
	CHECK(strstr(why, sentence));
	CHECK_EQ(urx_prep_attr(&sqe, &attr, target, flags, features, &rw), -EOPNOTSUPP);
	CHECK_BYTES(&sqe, &sqe_before, sizeof(sqe), "SQE");
	CHECK_BYTES(&attr, &attr_before, sizeof(attr), "attribute");
}

/* A request that is wrong by itself. */
static void bad(struct urx_rw rw, const char *member)
{
	const char *why = NULL;

	CHECK_EQ(urx_attr_check(target, 0, URX_FEAT_RW_ATTR, &rw, &why), -EINVAL);
	if (!begins(why, member))
		FAIL("\"%s\" does not begin with %s", why, member);
}

int main(void)
{
	struct urx_rw good = { .size = sizeof(good), .op = URX_OP_READ }, rw;

	CHECK_EQ(urx_target_open(&target, "/proc/self/exe", NULL), 0);
	no(0, 0, "IORING_FEAT_RW_ATTR");
	no(0, ~URX_FEAT_RW_ATTR, "IORING_FEAT_RW_ATTR");
	no(IORING_SETUP_IOPOLL, URX_FEAT_RW_ATTR, "IORING_SETUP_IOPOLL");
	no(UINT32_MAX, UINT32_MAX, "IORING_SETUP_IOPOLL");
	no(0, URX_FEAT_RW_ATTR, "not a block device");

	rw = good, rw.size = 0;
	bad(rw, "size");
	rw = good, rw.size = sizeof(rw) - 8;
	bad(rw, "size");
	rw = good, rw.op = 0;
	bad(rw, "op");
	rw = good, rw.op = 11;
	bad(rw, "op");
	rw = good, rw.flags = 1u << 31;
	bad(rw, "flags");
	rw = good, rw.reserved0 = 1;
	bad(rw, "reserved");
	rw = good, rw.reserved[3] = 1;
	bad(rw, "reserved");
	rw = good, rw.reserved1 = 1;
	bad(rw, "reserved");
	rw = good, rw.allow = 1u << 31;
	bad(rw, "allow");
	rw = good, rw.tags.reserved = 1;
	bad(rw, "");
	rw = good, rw.tags.checks = 16;
	bad(rw, "");
	rw = good, rw.flags = URX_RW_IOVEC, rw.data_len = 1025, rw.data = &rw;
	bad(rw, "data_len");
	rw = good, rw.data_len = 512;
	bad(rw, "a pointer");
	urx_target_close(target);
	return 0;
}
