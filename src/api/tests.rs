//! What a Rust program sees: on a file with a side file anywhere, in the test machine (`vm/`) on its NVMe namespaces
//! too.
#![allow(unsafe_code, reason = "SQEs are pushed; memory that counts its drops")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::*;
use crate::error::Error;
use crate::geometry::{Checks, Format, Guard, Tags};
use crate::path::Paths;
use crate::pi::{Blocks, BlocksMut, Pi};

type Small = IoUring<squeue::Entry, cqueue::Entry>;
type Large = IoUring<squeue::Entry128, cqueue::Entry32>;

/// A directory with a file of 1 MiB.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("urx-api-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::File::create(dir.join("data")).unwrap().set_len(1 << 20).unwrap();
        Dir(dir)
    }

    fn target(&self) -> Target {
        self.open(Target::options())
    }

    fn open(&self, options: OpenOptions) -> Target {
        let format = Format::builder(4096).guard(Guard::T10Dif).build().unwrap();
        let side = self.0.join("data.pi");
        let options = options.write().side_file(side).create(format);
        options.open(self.0.join("data")).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The file, and what namespaces there are.
fn each_target(name: &str, test: impl Fn(&Target)) {
    let dir = Dir::new(name);
    test(&dir.target());
    for device in ["/dev/urx/pi4k", "/dev/urx/pi64"] {
        if Path::new(device).exists() {
            let target = Target::options().write().open(device).unwrap();
            if target.format().is_ok_and(|format| format.protection().is_some()) {
                test(&target);
            }
        }
    }
}

/// 8 blocks at block 16, protected.
fn protected(target: &Target, app: u16) -> (Buffer, Buffer, Tags, u64) {
    let format = target.format().unwrap();
    let (interval, meta_size) = (format.interval() as usize, usize::from(format.meta_size()));
    let (mut data, mut meta) = (Buffer::new(8 * interval), Buffer::new(8 * meta_size));
    data.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n * 7 + n / 512) as u8);
    let reference = u128::from(target.info().start) / interval as u128 + 16;
    let tags = Tags { checks: format.checks(), app, reference, ..Tags::default() };
    let blocks = BlocksMut::Separate { data: &data, meta: &mut meta };
    Pi::new(&format).unwrap().generate(&tags, blocks).unwrap();
    (data, meta, tags, 16 * interval as u64)
}

fn wait<S: RingSqe, C: RingCqe>(ring: &mut IoUring<S, C>) -> C {
    loop {
        if let Some(cqe) = ring.completion().next() {
            return cqe;
        }
        let _ = ring.submit_and_wait(1);
    }
}

#[test]
fn one_at_a_time() {
    each_target("run", |target| {
        let queue = Queue::new().unwrap();
        let (mut data, mut meta, tags, offset) = protected(target, 1);
        let was = data.to_vec();
        let mut write = Request::write(offset, &mut data).meta(&mut meta).tags(tags).durable();
        let done = queue.run(target, &mut write).unwrap();
        assert_eq!((done.bytes, done.location), (was.len(), None));
        let (data, meta) = write.into_parts();
        data.fill(0);
        meta.fill(0);
        queue
            .run(target, &mut Request::read(offset, &mut data[..]).meta(&mut meta[..]).tags(tags))
            .unwrap();
        assert!(was == data[..]);
        let pi = Pi::new(&target.format().unwrap()).unwrap();
        let blocks = Blocks::Separate { data, meta };
        assert_eq!(pi.check(&tags, blocks).unwrap().into_result().unwrap().blocks, 8);

        let wrong = Tags { app: 2, ..tags };
        let mut read = Request::read(offset, data).meta(meta).tags(wrong);
        let mut failed = queue.run(target, &mut read).unwrap_err();
        assert_eq!((failed.errno(), failed.error()), (libc::EILSEQ, Error::Check));
        if failed.failure().is_none() {
            failed = queue.diagnose(target, &mut read);
        }
        let failure = failed.failure().unwrap();
        assert_eq!((failure.check, failure.block), (Checks::APP, 0));
        assert_eq!((failure.expected, failure.actual), (2, 1));
        assert_eq!(failed.lba().map(u128::from), Some(tags.reference));
        assert!(failed.to_string().contains("application tag is 0x1, should be 0x2"), "{failed}");
        queue.run(target, &mut Request::flush()).unwrap();
        target.flush().unwrap();
    });
}

#[test]
fn a_refusal_tells_of_every_path() {
    let dir = Dir::new("refused");
    let (target, queue) = (dir.target(), Queue::new().unwrap());
    let (mut data, mut meta, tags, offset) = protected(&target, 1);
    let mut compare = Request::compare(offset, &mut data).meta(&mut meta).tags(tags);
    let told = queue.explain(&target, &mut compare).unwrap();
    assert_eq!(
        told.iter().map(|(path, _)| *path).collect::<Vec<_>>(),
        Paths::all().iter().collect::<Vec<_>>()
    );
    let failed = queue.run(&target, &mut compare).unwrap_err();
    assert_eq!((failed.errno(), failed.path()), (libc::EOPNOTSUPP, Paths::empty()));
    let (ours, theirs) = (failed.reasons().iter(), told.iter());
    assert!(ours.copied().eq(theirs.map(|(path, why)| (*path, why.unwrap()))));
    let said = failed.to_string();
    assert!(said.starts_with("no path can carry it; attr: "), "{said}");
    assert!(said.contains("; ioctl: target is not an NVMe namespace"), "{said}");

    let mut beyond = Request::read(1 << 20, compare.into_parts().0).by(Paths::SOFTWARE);
    let failed = queue.run(&target, &mut beyond).unwrap_err();
    assert_eq!((failed.errno(), failed.reasons().len()), (libc::EINVAL, 0), "{failed}");
    assert!(failed.to_string().starts_with("meta"), "{failed}");
    let error: Box<dyn std::error::Error + Send + Sync> = failed.into();
    assert!(std::io::Error::other(error).to_string().starts_with("meta"));
}

#[test]
fn options_must_agree() {
    let dir = Dir::new("options");
    let format = Format::builder(4096).guard(Guard::T10Dif).build().unwrap();
    let data = dir.0.join("data");
    let refused = |options: OpenOptions| options.open(&data).unwrap_err();
    let error = refused(Target::options().write().create(format));
    assert!(error.to_string().starts_with("side_path"), "{error}");
    let error = refused(Target::options().side_file(dir.0.join("data.pi")).create(format));
    assert!(error.to_string().starts_with("write"), "{error}");
    assert_eq!(refused(Target::options().side_file(dir.0.join("none"))).errno(), libc::ENOENT);
    assert_eq!(Target::open(dir.0.join("none")).unwrap_err().errno(), libc::ENOENT);
    let plain = Target::options().open_fd(fs::File::open(&data).unwrap()).unwrap();
    assert_eq!((plain.info().bytes, plain.info().format), (1 << 20, None));
    assert_eq!(plain.format().unwrap_err().errno(), libc::EOPNOTSUPP);
}

#[test]
fn in_pieces() {
    let dir = Dir::new("pieces");
    let target = dir.open(Target::options().buffered()); // pieces of any alignment
    let queue = Queue::new().unwrap();
    let (mut data, mut meta, tags, offset) = protected(&target, 1);
    let was = data.to_vec();
    {
        let mut pieces: Vec<_> = data.chunks_mut(512).map(std::io::IoSliceMut::new).collect();
        let write = Request::write(offset, &mut pieces[..]).meta(&mut meta);
        queue.run(&target, &mut write.tags(tags)).unwrap();
    }
    data.fill(0);
    queue.run(&target, &mut Request::read(offset, &mut data).meta(&mut meta).tags(tags)).unwrap();
    assert!(was == data[..]);
    let (mut bytes, mut none) = ([0; 1025], [0; 0]);
    let mut pieces: Vec<_> = bytes.chunks_mut(1).map(std::io::IoSliceMut::new).collect();
    let mut many = Request::read(0, &mut pieces[..]).meta(&mut none);
    assert_eq!(queue.run(&target, &mut many).unwrap_err().errno(), libc::EINVAL);
}

/// Memory that says when it is freed.
struct Counted(Buffer, #[allow(dead_code, reason = "counts")] Arc<()>);

// SAFETY: that of a Buffer.
unsafe impl Memory for Counted {
    fn area(&mut self) -> Area {
        self.0.area()
    }
}

/// A ring and requests in all states of their lives.
fn lives<S: RingSqe, C: RingCqe>(target: &Target, mut ring: IoUring<S, C>) {
    let queue = RingQueue::new(&ring).unwrap();
    let freed = Arc::new(());
    let counted = || {
        let (data, meta, tags, offset) = protected(target, 1);
        let (data, meta) = (Counted(data, freed.clone()), Counted(meta, freed.clone()));
        Request::write(offset, data).meta(meta).tags(tags)
    };
    let alive = || (Arc::strong_count(&freed) - 1) / 2;

    drop(queue.plan(target, counted()).unwrap());
    assert_eq!(alive(), 0, "never had an SQE");
    let request = queue.plan(target, counted()).unwrap().cancel().unwrap();
    assert_eq!(alive(), 1);

    let mut plan = queue.plan(target, request).unwrap();
    let (sqe, path) = (plan.sqe(), plan.path());
    let plan = plan.cancel().unwrap_err();
    // SAFETY: `plan` owns the memory, and its CQE is waited for.
    unsafe { ring.submission().push(&sqe) }.unwrap();
    let cqe = wait(&mut ring);
    let (result, request) = plan.finish(&cqe);
    let done = result.unwrap();
    assert_eq!((done.path, done.bytes), (path, request.data().0.len()));
    drop(request);
    assert_eq!(alive(), 0);

    // Dropped while the kernel may have it.
    let mut plan = queue.plan(target, counted()).unwrap();
    let sqe = plan.sqe();
    // SAFETY: `plan` owns the memory.
    unsafe { ring.submission().push(&sqe) }.unwrap();
    drop(plan);
    let native = path == Paths::ATTR || path == Paths::URING_CMD;
    assert_eq!(alive(), usize::from(native), "{}", path.name());
    wait(&mut ring);

    // After its queue.
    let mut plan = queue.plan(target, counted()).unwrap();
    drop(queue);
    let sqe = plan.sqe();
    // SAFETY: `plan` owns the memory, and its CQE is waited for.
    unsafe { ring.submission().push(&sqe) }.unwrap();
    let cqe = wait(&mut ring);
    plan.finish(&cqe).0.unwrap();
}

#[test]
fn memory_lives_as_long_as_its_request() {
    each_target("lives", |target| {
        let small: Small = IoUring::builder().build(4).unwrap();
        lives(target, small);
        let large: std::io::Result<Large> = IoUring::builder().build(4);
        if let Ok(large) = large {
            lives(target, large);
        }
    });
}

#[test]
fn limits_of_a_queue() {
    let dir = Dir::new("limits");
    let ring: Small = IoUring::builder().build(4).unwrap();
    let options = RingOptions { max_waiting: 1, ..RingOptions::default() };
    let (target, queue) = (dir.target(), RingQueue::with(&ring, &options).unwrap());
    let (data, meta, tags, offset) = protected(&target, 1);
    let first = queue.plan(&target, Request::write(offset, data).meta(meta).tags(tags)).unwrap();
    let (data, meta, tags, offset) = protected(&target, 1);
    let second = Request::write(offset, data).meta(meta).tags(tags);
    let refused = queue.plan(&target, second).unwrap_err();
    assert_eq!(refused.failed.errno(), libc::EAGAIN);
    drop(first);
    drop(queue.plan(&target, refused.request).unwrap());

    let options = RingOptions { paths: Paths::ATTR, ..RingOptions::default() };
    let queue = RingQueue::with(&ring, &options).unwrap();
    let (data, meta, tags, offset) = protected(&target, 1);
    let mut request = Request::write(offset, data).meta(meta).tags(tags);
    assert_eq!(queue.explain(&target, &mut request).unwrap().len(), 1);
    let refused = queue.plan(&target, request).unwrap_err();
    assert_eq!(refused.failed.reasons().len(), 1);
}

#[test]
fn an_attribute_is_all_that_is_added() {
    let mut meta = [0u8; 64];
    let tags =
        Tags { checks: Checks::GUARD | Checks::REF, app: 9, reference: 1 << 33, ..Tags::default() };
    let attr = prep::Attr::new(&mut meta, &tags).unwrap();
    let plain = opcode::Read::new(types::Fd(5), std::ptr::null_mut(), 4096).offset(8192).build();
    let plain = plain.user_data(77);
    let (with, plain) = (prep::with_attr(plain.clone(), &attr), crate::sys::entry::sqe(plain));
    let with = crate::sys::entry::sqe(with);
    assert_eq!((plain.opcode, plain.off, plain.len, plain.user_data), (22, 8192, 4096, 77));
    assert_eq!((with.attr_type_mask, with.attr_ptr), (1, (&raw const attr).addr() as u64));
    assert_eq!(crate::abi::Sqe { attr_ptr: 0, attr_type_mask: 0, ..with }, plain);
    let words: [u64; 4] = [3 | 9 << 16 | 64 << 32, meta.as_ptr().addr() as u64, 1 << 33, 0];
    // SAFETY: the 32 bytes of the kernel's struct.
    assert_eq!(unsafe { (&raw const attr).cast::<[u64; 4]>().read() }, words);
    let storage = Tags { checks: Checks::STORAGE, ..tags };
    assert!(prep::Attr::new(&mut meta, &storage).is_err());
    assert!(prep::Attr::new(&mut meta, &Tags { app_ignore: 1, ..tags }).is_err());
}

#[test]
fn prepared_alone() {
    each_target("prep", |target| {
        let (mut data, mut meta, tags, offset) = protected(target, 1);
        let Ok(mut ring): std::io::Result<Large> = IoUring::builder().build(4) else { return };
        let mut write = Request::write(offset, &mut data).meta(&mut meta).tags(tags);
        if target.info().nsid == 0 {
            let error = prep::nvme(target, &mut write).unwrap_err();
            assert_eq!(error.to_string(), "target is not an NVMe namespace");
            return;
        }
        let sqe = prep::nvme(target, &mut write).unwrap();
        // SAFETY: `write` borrows the memory, and the CQE is waited for.
        unsafe { ring.submission().push(&sqe) }.unwrap();
        assert_eq!(wait(&mut ring).result(), 0);
        let elsewhere = Tags { reference: 1, ..tags };
        write = write.tags(elsewhere);
        assert_eq!(prep::nvme(target, &mut write).unwrap_err().errno(), libc::EINVAL);

        let (queue, was) = (RingQueue::new(&ring).unwrap(), data.to_vec());
        let mut read = Request::read(offset, &mut data).meta(&mut meta).tags(tags).by(Paths::ATTR);
        if queue.explain(target, &mut read).unwrap()[0].1.is_some() {
            return; // before 6.14
        }
        data.fill(0);
        let attr = prep::Attr::new(&mut meta, &tags).unwrap();
        let fd = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(target)));
        let read = opcode::Read::new(fd, data.as_mut_ptr(), data.len() as u32).offset(offset);
        let sqe = squeue::Entry128::from(prep::with_attr(read.build(), &attr));
        // SAFETY: memory and attribute live until the CQE has come.
        unsafe { ring.submission().push(&sqe) }.unwrap();
        assert_eq!(wait(&mut ring).result(), was.len() as i32);
        assert!(was == data[..]);
    });
}

#[test]
fn threads_may_have_them() {
    fn send<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    shared::<Target>();
    shared::<Queue>();
    shared::<Failed>();
    send::<RingQueue<squeue::Entry, cqueue::Entry>>();
    send::<Planned<squeue::Entry128, cqueue::Entry32, Buffer, Vec<u8>>>();
}

/// Where there are zones: appends tell where they went, one behind the other.
#[test]
fn appends_go_on_where_the_zone_does() {
    for device in ["/dev/urx/zns", "/dev/urx/znspi"] {
        let Ok(target) = Target::options().write().open(device) else { continue };
        let (info, queue) = (target.info(), Queue::new().unwrap());
        let zone = 2 * info.zone_bytes;
        target.reset_zone(zone).unwrap();
        let told = target.zones(zone, 1).unwrap()[0];
        assert_eq!((told.start, told.wp, told.full, told.sequential), (zone, zone, false, true));
        assert_eq!((told.len, told.capacity), (info.zone_bytes, 3 << 20));
        let format = info.format.unwrap();
        let (mut data, mut meta) =
            (Buffer::new(8192), Buffer::new(2 * usize::from(format.meta_size())));
        data.fill(0x5a);
        if let Ok(pi) = Pi::new(&format) {
            pi.generate(&Tags::NONE, BlocksMut::Separate { data: &data, meta: &mut meta }).unwrap();
        }
        for n in 0..3 {
            let mut append = Request::append(zone, &mut data).meta(&mut meta);
            let done = queue.run(&target, &mut append).unwrap();
            let offset = zone + n * 8192;
            assert_eq!(done.location, Some(Location { offset, lba: offset / 4096 }), "{done}");
        }
        assert_eq!(target.zones(zone, 1).unwrap()[0].wp, zone + 3 * 8192);
        target.finish_zone(zone).unwrap();
        let full =
            queue.run(&target, &mut Request::append(zone, &mut data).meta(&mut meta)).unwrap_err();
        assert_eq!(full.errno(), libc::ENOSPC, "{full}");
        target.reset_zone(zone).unwrap();
    }
}
