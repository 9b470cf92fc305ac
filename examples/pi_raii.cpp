/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The library in C++17: handles that close themselves, errors that are exceptions, a request that cannot outlive its
 * memory. Writes protected blocks, reads them back, and catches a wrong bit. Overwrites the first blocks.
 *
 *     pi_raii FILE      any file: metadata beside it in FILE.pi, checked by software
 */
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <liburing.h>
#include <liburing-ext.h>

/* A failed check, with what is known of it; other errors are plain std::system_error. */
struct check_error : std::system_error {
	urx_pi_error pi;

	explicit check_error(const urx_pi_error &error)
		: std::system_error(EILSEQ, std::generic_category(),
				    "block " + std::to_string(error.block) + ": wrong " + urx_check_str(error.check)),
		  pi(error)
	{
	}
};

static int checked(int rc, const char *what)
{
	if (rc < 0)
		throw std::system_error(-rc, std::generic_category(), what);
	return rc;
}

/* What frees a handle, as its type: costs no memory. */
template <auto Close> struct closer {
	template <class T> void operator()(T *handle) const noexcept
	{
		Close(handle);
	}
};
using target_ptr = std::unique_ptr<urx_target, closer<urx_target_close>>;
using queue_ptr = std::unique_ptr<urx_queue, closer<urx_queue_close>>;

static target_ptr open_target(const std::string &name, const urx_pi_format &format)
{
	const std::string side = name + ".pi";
	const char *why = name.c_str();
	urx_target *target = nullptr;
	urx_target_opts opts{};

	opts.size = sizeof(opts);
	opts.flags = URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE;
	opts.side_path = side.c_str();
	opts.side_format = &format;
	opts.why = &why;
	const int rc = urx_target_open(&target, name.c_str(), &opts);
	checked(rc, why);
	return target_ptr(target);
}

/* A ring and its queue. Members are destroyed from the last: the queue closes before its ring does. */
class storage {
	struct ring_owner {
		io_uring ring{};

		ring_owner()
		{
			checked(io_uring_queue_init(8, &ring, 0), "io_uring");
		}
		~ring_owner()
		{
			io_uring_queue_exit(&ring);
		}
		ring_owner(const ring_owner &) = delete;
		ring_owner &operator=(const ring_owner &) = delete;
	} owner;
	queue_ptr queue;

public:
	storage()
	{
		urx_queue *opened = nullptr;

		checked(urx_queue_open(&opened, URX_RING(&owner.ring), nullptr), "queue");
		queue.reset(opened);
	}

	/* One request, to its end: bytes. Whatever is thrown, none is under way any more. */
	int run(urx_target *target, const urx_rw &rw)
	{
		urx_io io;
		io_uring_cqe *cqe = nullptr;
		urx_result result{};

		result.size = sizeof(result);
		checked(urx_plan(queue.get(), target, &rw, &io), "plan");
		urx_prep(io_uring_get_sqe(&owner.ring), &io);
		int rc;
		do
			rc = io_uring_submit(&owner.ring);
		while (rc == -EINTR);
		if (rc < 0)
			urx_io_drop(&io);
		checked(rc, "submit");
		while (io_uring_wait_cqe(&owner.ring, &cqe) != 0)
			; /* a signal: io stays in use until its CQE has come */
		rc = urx_io_result(&io, cqe, &result);
		io_uring_cqe_seen(&owner.ring, cqe);
		if (rc == -EILSEQ)
			throw check_error(result.pi);
		return checked(rc, "request");
	}
};

/* Memory for O_DIRECT. */
struct unaligned_delete {
	void operator()(std::byte *memory) const noexcept
	{
		::operator delete[](memory, std::align_val_t{ 4096 });
	}
};

static int roundtrip(const std::string &name)
{
	constexpr std::size_t blocks = 8;
	urx_pi_format format{};
	urx_pi pi;
	urx_rw rw{};

	format.size = sizeof(format);
	format.interval = 4096;
	format.meta_size = 16;
	format.guard = URX_GUARD_CRC64;
	format.pi_type = 1;
	const target_ptr target = open_target(name, format);
	storage storage;
	const std::unique_ptr<std::byte[], unaligned_delete> data(new (std::align_val_t{ 4096 })
									   std::byte[blocks * 4096]{});
	std::vector<std::byte> meta(blocks * 16);

	rw.size = sizeof(rw);
	rw.op = URX_OP_WRITE;
	rw.data = data.get();
	rw.data_len = blocks * 4096;
	rw.meta = meta.data();
	rw.meta_len = static_cast<uint32_t>(meta.size());
	rw.tags.checks = URX_CHECK_GUARD | URX_CHECK_REF;
	checked(urx_pi_init(&pi, &format, nullptr), "format");
	checked(urx_pi_generate(&pi, &rw.tags, data.get(), meta.data(), blocks), "tags");
	std::printf("%d bytes written\n", storage.run(target.get(), rw));
	rw.op = URX_OP_READ;
	std::printf("%d bytes read\n", storage.run(target.get(), rw));
	data[5 * 4096 + 100] ^= std::byte{ 0x10 };
	rw.op = URX_OP_WRITE;
	try {
		storage.run(target.get(), rw);
	} catch (const check_error &error) {
		std::printf("refused: block %llu: %s is %#llx, should be %#llx\n",
			    static_cast<unsigned long long>(error.pi.block), urx_check_str(error.pi.check),
			    static_cast<unsigned long long>(error.pi.actual),
			    static_cast<unsigned long long>(error.pi.expected));
		return error.pi.block == 5 ? 0 : 1;
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		std::fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	try {
		return roundtrip(argv[1]);
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
		return 1;
	}
}
