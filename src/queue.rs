//! The ladder: one request, the best path that can carry it, one SQE, one completion, one result.

use std::fmt;
use std::fs::File;
use std::iter::once;
use std::mem::{MaybeUninit, replace};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi::{AttrPi, NvmePassthru, SETUP_CQE32, SETUP_SQE_MIXED, SETUP_SQE128, Sqe, SqeNvme};
use crate::command::{Extent, Flags, Op, Request, Span, nvme};
use crate::completion::{Diagnosis, Outcome, diagnose_write};
use crate::error::{Error, Result};
use crate::geometry::{Checks, Format, Tags};
use crate::memory::Buffer;
use crate::passthru::{self, Commands};
use crate::path::{Offer, Paths, Ring};
use crate::pi::{Pi, Wanted};
use crate::sqe;
use crate::store::{Refused, Store};
use crate::sys::flights::Ended;
use crate::sys::own_ring::{OwnRing, features, widened};
use crate::target::Target;
use crate::worker::{self, Done, Promise, Recv, Sharing, Workers};
use crate::zone::{Engine, Zones};

/// One ring, and the workers for what it cannot carry itself.
#[derive(Debug)]
pub struct Queue {
    ring: Ring,
    allow: Paths,
    workers: Workers<Outcome>,
    /// The thread that appends, and the one that passes commands through: many at a time.
    appends: Sharing<Outcome, Engine>,
    passes: Sharing<Outcome, Commands>,
    /// For [`Queue::run`], where the application has no ring.
    own: Option<Mutex<OwnRing>>,
}

/// A planned request.
pub(crate) struct Io {
    route: Route,
    carrier: Carrier,
    request: Request,
    format: Option<Format>,
    start: u64,
}

enum Carrier {
    Attr {
        fd: i32,
    },
    /// With the target where a zone's write pointer moves.
    UringCmd {
        fd: i32,
        mixed: bool,
        nsid: u32,
        moves: Option<Arc<Target>>,
    },
    Worker(worker::Request<Outcome>),
    /// Done with, or never under way: nothing to drop.
    None,
}

/// An SQE, as long as it is.
pub enum Filled {
    /// 64 bytes.
    Small(Sqe),
    /// 128 bytes.
    Big(SqeNvme),
}

/// What a CQE says.
#[derive(Debug, Clone, Copy)]
pub struct Completed {
    /// Its result.
    pub res: i32,
    /// The first word behind the usual 16 bytes, where there is one.
    pub value: u64,
}

impl Queue {
    /// `allow`: what may be used at all; `max_workers`, `max_waiting`: 0 for what is reasonable.
    pub fn new(ring: Ring, allow: Paths, max_workers: u32, max_waiting: u32) -> Self {
        let panicked = || Outcome::failed(libc::ENOTRECOVERABLE);
        let workers = Workers::new(max_workers, max_waiting, panicked);
        let appends = Sharing::new(max_waiting, panicked, Engine::default());
        let passes = Sharing::new(max_waiting, panicked, Commands::default());
        Queue { ring, allow, workers, appends, passes, own: None }
    }

    /// With a ring of its own.
    pub fn private(allow: Paths) -> Result<Self> {
        let own = OwnRing::new()?;
        let ring = Ring::new(own.flags(), features()?);
        Ok(Queue { own: Some(Mutex::new(own)), ..Queue::new(ring, allow, 0, 0) })
    }

    /// What matters of its ring.
    pub const fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Paths that it may use.
    pub const fn allow(&self) -> Paths {
        self.allow
    }

    /// Waits for the workers. What they have not begun is dropped.
    pub fn close(&self) {
        self.workers.close();
        self.appends.close();
        self.passes.close();
    }

    /// Chooses the path for a request, and reserves a worker's attention where it needs one. The plan is made
    /// where it is to stay.
    #[inline(always)] // on every request's way
    pub(crate) fn plan<'p>(
        &self,
        target: &Arc<Target>,
        request: &Request,
        allow: Paths,
        place: &'p mut MaybeUninit<Io>,
    ) -> Result<&'p mut Io> {
        if self.own.is_some() {
            return Err(Error::Invalid(c"queue: its own ring is for urx_run() alone"));
        }
        let route = self.route(target, request, allow)?;
        let carrier = match route.path {
            Paths::ATTR => attr(target, request),
            Paths::URING_CMD => self.uring_cmd(target, request),
            path => {
                let work = Work::new(target, request, &route);
                let waiting = match (path, request.op) {
                    (Paths::EMULATED, Op::Append) => {
                        self.appends.arm(|promise, engine| work.append(promise, engine))
                    }
                    (Paths::EMULATED, _) => {
                        self.workers.arm_long(Box::new(|promise| work.manage(promise)))
                    }
                    (Paths::IOCTL, _) if self.passes(target, request, &route) => {
                        self.passes.arm(|promise, commands| work.pass(promise, commands))
                    }
                    _ => self.workers.arm(Box::new(move || work.done())),
                }?;
                Carrier::Worker(waiting)
            }
        };
        let io = place.write(Io::new(target, request, &route));
        io.carrier = carrier;
        Ok(io)
    }

    #[inline(always)]
    fn route(&self, target: &Target, request: &Request, allow: Paths) -> Result<Route> {
        let offer = target.offer();
        let extent = offer.check(request)?;
        let path = offer.choose(&self.ring, allow & self.allow, request, &extent)?;
        Ok(Route { path, extent, lba: offer.lba(request.offset) })
    }

    /// Whether a request for an ioctl can be one command in a ring of the library's own.
    fn passes(&self, target: &Target, request: &Request, route: &Route) -> bool {
        let ring = Ring::new(SETUP_SQE128 | SETUP_CQE32, self.ring.features);
        let request = Request { flags: request.flags - Flags::LINKED, buffer: None, ..*request };
        let carried = target.offer().carries(Paths::URING_CMD, &ring, &request, &route.extent);
        carried.is_ok() && self.passes.afterwork().can_be()
    }

    /// As a command.
    #[inline(always)]
    fn uring_cmd(&self, target: &Arc<Target>, request: &Request) -> Carrier {
        prepare_memory(request);
        let Offer { facts, access, .. } = target.offer();
        Carrier::UringCmd {
            fd: access.char_fd.unwrap_or(-1),
            mixed: self.ring.is_mixed(),
            nsid: facts.nsid.value,
            moves: request.op.in_zone().then(|| Arc::clone(target)),
        }
    }

    /// All of it at once, on a ring of the queue's own or in the caller's thread.
    pub(crate) fn run(
        &self,
        target: &Arc<Target>,
        request: &Request,
        allow: Paths,
    ) -> Result<Finished> {
        let own = self.own.as_ref();
        let own = own.ok_or(Error::Invalid(c"queue: urx_run() wants one with its own ring"))?;
        let route = self.route(target, request, allow)?;
        let mut io = Io::new(target, request, &route);
        io.carrier = match route.path {
            Paths::ATTR => attr(target, request),
            Paths::URING_CMD => self.uring_cmd(target, request),
            _ => return Ok(io.conclude(Work::new(target, request, &route).run())),
        };
        let attr = io.attr();
        let sqe = match io.fill(std::ptr::from_ref(&attr).addr() as u64, 0) {
            Filled::Small(sqe) => widened(&sqe),
            Filled::Big(sqe) => sqe,
        };
        let (res, value) = own.lock().unwrap_or_else(PoisonError::into_inner).submit(&sqe)?;
        Ok(io.finish(&Completed { res, value }))
    }
}

/// With the PI attribute.
#[inline(always)]
fn attr(target: &Target, request: &Request) -> Carrier {
    prepare_memory(request);
    Carrier::Attr { fd: target.as_raw_fd() }
}

/// What the kernel is about to be given, as a read by ioctl has it done in `passthru`.
fn prepare_memory(request: &Request) {
    if request.op == Op::Read {
        request.meta.own_pages();
    }
}

/// The best ring that this kernel could have.
pub(crate) fn best_ring() -> Result<Ring> {
    Ok(Ring::new(OwnRing::new()?.flags(), features()?))
}

/// Reads again what failed a check, without checks and into other memory, and verifies it.
pub(crate) fn diagnose_read(
    target: &Arc<Target>,
    request: &Request,
    allow: Paths,
) -> Result<Finished> {
    let offer = target.offer();
    let extent = offer.check(request)?;
    let format = *offer.format()?;
    if request.op != Op::Read {
        return Err(Error::Invalid(c"op: only a read is diagnosed by reading again"));
    }
    let pi = Pi::new(&extent.lent(&format))?;
    let (interval, meta_size) = (u64::from(format.interval()), u64::from(format.meta_size()));
    let stride = interval + if extent.interleaved { meta_size } else { 0 };
    let apart = if extent.interleaved { 0 } else { extent.blocks * meta_size };
    let mut data = Buffer::new(extent.blocks * stride);
    let mut meta = Buffer::new(apart);
    let again = Request {
        flags: Flags::empty(),
        length: extent.blocks * stride,
        data: data.lend(),
        meta: meta.lend(),
        buffer: None,
        tags: Tags { checks: Checks::empty(), ..request.tags },
        ..*request
    };
    let finished = Queue::private(allow)?.run(target, &again, allow)?;
    if finished.outcome.res < 0 {
        return Err(Error::Os(-finished.outcome.res));
    }
    let wanted = Wanted::of(&request.tags);
    let mut diagnosis = Diagnosis::Unknown;
    let first = |failure| {
        diagnosis = Diagnosis::Wrong(failure);
        ControlFlow::Break(())
    };
    let (data, meta) = (once(data.bytes()), once(meta.bytes()));
    pi.verify_scattered(&wanted, extent.blocks, data, meta, first)?;
    match diagnosis {
        Diagnosis::Unknown => Err(Error::Os(libc::EAGAIN)),
        _ => Ok(Finished {
            outcome: Outcome { diagnosis, ..Outcome::failed(libc::EILSEQ) },
            ..finished
        }),
    }
}

/// The command that carries a whole request, with its buffers.
#[inline]
fn command(request: &Request, format: &Format, span: &Span) -> NvmePassthru {
    let reference = request.device_reference(format, span.lba);
    let apart = !format.interleaved() && request.has_meta();
    let meta = if apart { span.blocks * u32::from(format.meta_size()) } else { 0 };
    let mut command = nvme(request, span, format, reference);
    sqe::add_buffers(&mut command, request, meta);
    command
}

/// A request as one NVMe command in an SQE, for a ring of which nothing else is known. Nobody will remap its
/// reference tags.
pub(crate) fn passthrough(
    target: &Target,
    request: &Request,
    mixed: bool,
    user_data: u64,
) -> Result<SqeNvme> {
    let sqes = if mixed { SETUP_SQE_MIXED } else { SETUP_SQE128 };
    let ring = Ring::new(sqes | SETUP_CQE32, u32::MAX);
    let offer = target.offer();
    offer.offers(Paths::URING_CMD, &ring)?;
    let extent = offer.check(request)?;
    let (format, lba) = (offer.format()?, offer.lba(request.offset));
    if request.needs_remap(format, lba) {
        return Err(Error::Invalid(c"tags: ref is not the LBA, and nobody would remap it"));
    }
    offer.carries(Paths::URING_CMD, &ring, request, &extent)?;
    prepare_memory(request);
    let span = Span { nsid: offer.facts.nsid.value, lba, blocks: extent.blocks as u32 };
    let command = command(request, format, &span);
    Ok(sqe::uring_cmd(request, command, offer.access.char_fd.unwrap_or(-1), mixed, user_data))
}

/// How a request goes, and what it covers.
#[derive(Debug, Clone, Copy)]
struct Route {
    path: Paths,
    extent: Extent,
    /// Its first block, counted on the whole device.
    lba: u64,
}

/// What a worker does.
struct Work {
    route: Route,
    target: Arc<Target>,
    request: Request,
}

impl Work {
    fn new(target: &Arc<Target>, request: &Request, route: &Route) -> Self {
        Work { route: *route, target: Arc::clone(target), request: *request }
    }

    fn run(&mut self) -> Outcome {
        let Route { path, extent, lba } = self.route;
        match path {
            Paths::IOCTL => match self.target.device(self.request.op.writes()) {
                Ok(device) => {
                    let outcome = passthru::run(&device, &mut self.request, &extent, lba);
                    if self.request.op.in_zone() {
                        self.target.forget_zone(self.request.offset);
                    }
                    outcome
                }
                Err(error) => Outcome::failed(error.errno()),
            },
            Paths::EMULATED if self.request.op == Op::Append => {
                Zones::append_now(&self.target, &self.request)
            }
            Paths::EMULATED => {
                let done = self.target.manage_zone(self.request.op, self.request.offset);
                managed(done)
            }
            _ => match self.target.store() {
                Some(store) => stored(store, self.target.file(), &mut self.request),
                None => Outcome::failed(libc::EOPNOTSUPP),
            },
        }
    }

    /// By the thread that appends, which may end it later, or by another one.
    fn append(self, promise: Promise<Outcome>, engine: &Engine) {
        engine.append(self.target, &self.request, Box::new(|outcome| promise.keep(done(outcome))));
    }

    /// By ioctl, between two appends.
    fn manage(self, promise: Promise<Outcome>) {
        let Request { op, offset, .. } = self.request;
        Zones::manage(self.target, op, offset, |result| promise.keep(done(managed(result))));
    }

    /// As a command, when it ends.
    fn pass(self, promise: Promise<Outcome>, commands: &Commands) {
        let Work { route, target, request } = self;
        let request = Request { buffer: None, ..request }; // registered in another ring
        prepare_memory(&request);
        let Offer { facts, access, .. } = target.offer();
        let mut io = Io::new(&target, &request, &route);
        let (command, fd) = (io.command(facts.nsid.value), access.char_fd.unwrap_or(-1));
        let sqe = sqe::uring_cmd(&request, command, fd, false, 0);
        let then = move |ended: Ended| {
            let outcome = io.commanded(ended.res, ended.value);
            if request.op.in_zone() {
                target.forget_zone(request.offset);
            }
            drop(target); // Who has seen the last CQE finds nobody else at the target.
            promise.keep(done(outcome));
        };
        commands.issue(sqe, Box::new(then));
    }

    fn done(mut self) -> Done<Outcome> {
        done(self.run())
    }
}

fn done(outcome: Outcome) -> Done<Outcome> {
    Done { outcome, failed: outcome.res < 0 }
}

fn managed(result: Result<()>) -> Outcome {
    result.map_or_else(|error| Outcome::failed(error.errno()), |()| Outcome::done(0))
}

/// In the data file and its side file.
fn stored(store: &Store, file: &File, request: &mut Request) -> Outcome {
    let Request { op, flags, offset, length, tags, .. } = *request;
    let Request { data, meta, .. } = request;
    let flushed = || match store.flush(file) {
        Ok(()) => Ok(0),
        Err(error) => Err(Refused::Error(error)),
    };
    let answer = match op {
        Op::Read => {
            let meta = meta.slices_mut().next().unwrap_or(&mut []);
            store.read(file, offset, length, &tags, data.slices_mut(), meta)
        }
        Op::Write => {
            let meta = meta.slices().next().unwrap_or(&[]);
            store.write(file, offset, length, &tags, data.slices(), meta)
        }
        Op::WriteZeroes => store.write_zeroes(file, offset, length),
        _ => flushed(),
    };
    let durable = |bytes| match flags.contains(Flags::FUA) {
        true => flushed().map(|_| bytes),
        false => Ok(bytes),
    };
    match answer.and_then(durable) {
        Ok(bytes) => Outcome::done(bytes as u32),
        Err(Refused::Check(failure)) => {
            let diagnosis = Diagnosis::Wrong(failure);
            Outcome { diagnosis, ..Outcome::failed(libc::EILSEQ) }
        }
        Err(Refused::Error(error)) => Outcome::failed(error.errno()),
    }
}

impl Io {
    /// Without a carrier yet.
    #[inline(always)] // so that it is made where it is to stay
    fn new(target: &Target, request: &Request, route: &Route) -> Self {
        let facts = target.facts();
        let format = match route.path {
            Paths::ATTR => facts.layout.attribute,
            _ => facts.layout.format.value,
        };
        let (carrier, start) = (Carrier::None, facts.start.value);
        Io { route: *route, carrier, request: *request, format, start }
    }

    pub(crate) const fn path(&self) -> Paths {
        self.route.path
    }

    /// Bytes of its SQE.
    pub(crate) fn sqe_size(&self) -> u32 {
        if self.route.path == Paths::URING_CMD { 128 } else { 64 }
    }

    #[inline]
    pub(crate) fn attr(&self) -> AttrPi {
        sqe::attr_pi(&self.request)
    }

    /// Its SQE. `attr` is where the attribute lies.
    #[inline(always)] // it is made where it goes
    pub(crate) fn fill(&self, attr: u64, user_data: u64) -> Filled {
        match &self.carrier {
            Carrier::Attr { fd } => Filled::Small(sqe::native(&self.request, *fd, attr, user_data)),
            Carrier::UringCmd { fd, mixed, nsid, .. } => Filled::Big(sqe::uring_cmd(
                &self.request,
                self.command(*nsid),
                *fd,
                *mixed,
                user_data,
            )),
            Carrier::Worker(waiting) => {
                let Recv { fd, address } = waiting.recv();
                Filled::Small(sqe::recv(fd, address, Recv::LEN, user_data))
            }
            Carrier::None => Filled::Small(sqe::refused(user_data)),
        }
    }

    #[inline(always)]
    fn command(&self, nsid: u32) -> NvmePassthru {
        let Route { extent, lba, .. } = &self.route;
        let span = Span { nsid, lba: *lba, blocks: extent.blocks as u32 };
        match &self.format {
            Some(format) => command(&self.request, format, &span),
            // Without a format no command carries a request.
            None => NvmePassthru::default(),
        }
    }

    /// Whether its CQE has more than the usual 16 bytes to tell.
    pub(crate) fn has_value(&self) -> bool {
        matches!(self.carrier, Carrier::UringCmd { .. })
    }

    /// What a worker has of it. Without that it needs no drop.
    fn leave(&mut self) -> Option<worker::Request<Outcome>> {
        match replace(&mut self.carrier, Carrier::None) {
            Carrier::Worker(waiting) => Some(waiting),
            _ => None,
        }
    }

    /// Gives it up without a CQE. Waits for a worker that has begun. Then it needs no drop.
    pub(crate) fn abandon(&mut self) {
        if let Some(waiting) = self.leave() {
            waiting.abandon();
        }
    }

    /// What became of it. Then it needs no drop.
    #[inline(always)] // its callers look at little of what it returns
    pub(crate) fn finish(&mut self, completed: &Completed) -> Finished {
        let outcome = match &mut self.carrier {
            Carrier::Attr { .. } => native_outcome(completed.res, &self.request),
            Carrier::UringCmd { moves, .. } => {
                if let Some(target) = moves.take() {
                    target.forget_zone(self.request.offset);
                }
                self.commanded(completed.res, completed.value)
            }
            Carrier::Worker(_) => {
                // Not begun: cancelled, which some kernels call interrupted (5.10: or EAGAIN), or never will be.
                let not_begun = match completed.res.saturating_neg() {
                    ..=0 | libc::EINTR | libc::EAGAIN => libc::ECANCELED,
                    errno => errno,
                };
                let done = self.leave().and_then(|waiting| waiting.finish_received(completed.res));
                done.unwrap_or(Outcome::failed(not_begun))
            }
            Carrier::None => Outcome::failed(libc::EINVAL),
        };
        self.conclude(outcome)
    }

    /// What the caller is to see of an outcome.
    fn conclude(&self, mut outcome: Outcome) -> Finished {
        let Io { route: Route { path, lba, .. }, request, format, start, .. } = self;
        if outcome.res == -libc::EILSEQ {
            self.verify_again(&mut outcome);
        }
        let (mut append_lba, mut append_offset) = (0, 0);
        if request.op.in_zone() {
            outcome = outcome.in_zone();
            if request.op == Op::Append && outcome.res >= 0 {
                let interval = format.map_or(1, |f| u64::from(f.interval()));
                append_lba = outcome.value;
                append_offset = append_lba.saturating_mul(interval).saturating_sub(*start);
            }
        }
        Finished { path: *path, outcome, lba: *lba, append_lba, append_offset }
    }

    /// Finds out what was wrong with a write that was refused, unless who refused it has told.
    #[cold]
    fn verify_again(&self, outcome: &mut Outcome) {
        let Io { route: Route { path, extent, lba }, request, format, .. } = self;
        let knows = matches!(*path, Paths::SOFTWARE | Paths::EMULATED);
        let wrote = matches!(request.op, Op::Write | Op::Append);
        if let Some(format) = format.as_ref().filter(|_| wrote && !knows) {
            outcome.diagnosis = diagnose(request, extent, format, *lba);
        }
    }

    /// What came of its command.
    fn commanded(&mut self, res: i32, value: u64) -> Outcome {
        let outcome = match res {
            0.. => Outcome::nvme(res as u32, value, self.request.length as u32),
            errno => Outcome::failed(-errno),
        };
        if outcome.res >= 0 && self.request.op == Op::Read {
            self.remap_read();
        }
        outcome
    }

    /// What the kernel does after a read with the attribute: the device's reference tags become the caller's.
    fn remap_read(&mut self) {
        let Io { route: Route { extent, lba, .. }, request, format: Some(format), .. } = self
        else {
            return;
        };
        if !request.needs_remap(format, *lba) {
            return;
        }
        let (from, to) = (request.device_reference(format, *lba), request.tags.reference);
        let memory = if extent.interleaved { &mut request.data } else { &mut request.meta };
        if let Ok(pi) = Pi::new(&extent.lent(format)) {
            // Its only error is memory that is too short, which was checked.
            let _ = pi.remap_scattered(from, to, extent.blocks, memory.slices_mut());
        }
    }
}

/// A result and where it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) path: Paths,
    pub(crate) outcome: Outcome,
    /// Of its first block.
    pub(crate) lba: u64,
    pub(crate) append_lba: u64,
    pub(crate) append_offset: u64,
}

/// The kernel's own answer. A request was checked to lie inside its target: what ends short met a device that
/// has shrunk, or failed half-way.
fn native_outcome(res: i32, request: &Request) -> Outcome {
    match u32::try_from(res) {
        Err(_) => Outcome::failed(-res),
        Ok(_) if request.op == Op::Flush => Outcome::done(0),
        Ok(bytes) if u64::from(bytes) < request.length => Outcome::failed(libc::EIO),
        Ok(bytes) => Outcome::done(bytes),
    }
}

/// What was wrong with a write that the device refused.
pub(crate) fn diagnose(request: &Request, extent: &Extent, format: &Format, lba: u64) -> Diagnosis {
    let meta = request.meta.slices().next().unwrap_or(&[]);
    let data = request.data.slices();
    // Its only error is memory that is too short, which was checked.
    diagnose_write(&extent.lent(format), &request.tags, lba, extent.blocks, data, meta)
        .unwrap_or_default()
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("path", &self.path()).finish_non_exhaustive()
    }
}
