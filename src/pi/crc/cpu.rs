//! Which kernels this CPU runs: chosen once, looked up once a call.
#![expect(unsafe_code, reason = "kernels need CPU features that only this file knows to be there")]

use std::sync::OnceLock;

use super::run::Run;
use super::{crc16_t10dif, crc32c, crc64_nvme, ip};
use crate::geometry::Guard;

/// The kernels of one checksum. They may be called only on a CPU with the features of their tier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    /// Goes on from a checksum with bytes of any number.
    pub(super) update: unsafe fn(u64, &[u8]) -> u64,
    /// Checksums of the blocks of a run that does not copy; as many as it has.
    pub(super) guards: unsafe fn(&mut Run<'_>, &mut [u64]),
    /// The same of a run that copies.
    pub(super) copy_guards: unsafe fn(&mut Run<'_>, &mut [u64]),
}

/// One kernel for each guard.
#[derive(Debug)]
pub(super) struct Kernels {
    pub(super) name: &'static str,
    pub(super) t10dif: Kernel,
    pub(super) ip: Kernel,
    pub(super) crc32c: Kernel,
    pub(super) crc64: Kernel,
}

pub(super) static PORTABLE: Kernels = Kernels {
    name: "portable",
    t10dif: Kernel {
        update: |crc, bytes| crc16_t10dif::update(crc as u16, bytes).into(),
        guards: |run, out| each(Guard::T10Dif, run, out),
        copy_guards: |run, out| each(Guard::T10Dif, run, out),
    },
    ip: Kernel {
        update: |sum, bytes| ip::update(sum as u16, bytes).into(),
        guards: |run, out| each(Guard::Ip, run, out),
        copy_guards: |run, out| each(Guard::Ip, run, out),
    },
    crc32c: Kernel {
        update: |crc, bytes| crc32c::update(crc as u32, bytes).into(),
        guards: |run, out| each(Guard::Crc32c, run, out),
        copy_guards: |run, out| each(Guard::Crc32c, run, out),
    },
    crc64: Kernel {
        update: crc64_nvme::update,
        guards: |run, out| each(Guard::Crc64, run, out),
        copy_guards: |run, out| each(Guard::Crc64, run, out),
    },
};

/// Block after block by tables.
fn each(guard: Guard, run: &mut Run<'_>, out: &mut [u64]) {
    for (i, out) in (0..run.count()).zip(out) {
        *out = Cpu::PORTABLE.update(guard, start(guard), run.bytes(i));
    }
}

/// The checksum of nothing.
pub const fn start(guard: Guard) -> u64 {
    match guard {
        Guard::T10Dif | Guard::Crc32c | Guard::Crc64 => 0,
        Guard::Ip => 0xffff,
    }
}

/// A set of kernels that this CPU can run.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// Of a tier whose features this CPU has: the constructors see to it.
    kernels: &'static Kernels,
    far: bool,
}

/// Bytes that a nearer cache does not hold on any machine, not with what else there is.
const FAR: u64 = 2 << 20;

impl Cpu {
    /// No CPU features: tables.
    pub const PORTABLE: Cpu = Cpu { kernels: &PORTABLE, far: false };

    /// What this CPU can run, slowest first.
    pub fn all() -> impl Iterator<Item = Cpu> {
        #[cfg(target_arch = "x86_64")]
        let fast = super::x86::available();
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        let fast = super::aarch64::available();
        #[cfg(not(any(
            target_arch = "x86_64",
            all(target_arch = "aarch64", target_endian = "little")
        )))]
        let fast = std::iter::empty();
        std::iter::once(&PORTABLE).chain(fast).map(|kernels| Cpu { kernels, far: false })
    }

    /// The fastest that this CPU can run. For tests the environment variable `URX_CPU`, read once, can
    /// name a slower one; a name that is unknown or asks for more than the CPU has changes nothing.
    pub fn get() -> Cpu {
        static CHOSEN: OnceLock<Cpu> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let asked = std::env::var_os("URX_CPU");
            let named = |cpu: &Cpu| asked.as_deref().is_some_and(|name| name == cpu.name());
            Cpu::all().find(named).or_else(|| Cpu::all().last()).unwrap_or(Cpu::PORTABLE)
        })
    }

    /// `portable`; on x86-64 `sse`, `avx2`, `avx512` or `vpclmul`; on aarch64 `crc` or `pmull`.
    pub fn name(self) -> &'static str {
        self.kernels.name
    }

    /// For a request of so many bytes: where they come from decides in which order they are best read.
    pub fn over(self, bytes: u64) -> Cpu {
        Cpu { far: bytes >= FAR, ..self }
    }

    fn kernel(self, guard: Guard) -> &'static Kernel {
        match guard {
            Guard::T10Dif => &self.kernels.t10dif,
            Guard::Ip => &self.kernels.ip,
            Guard::Crc32c => &self.kernels.crc32c,
            Guard::Crc64 => &self.kernels.crc64,
        }
    }

    /// A kernel for whole blocks. No format has others than of a multiple of 8 bytes, so only tables know them.
    fn blocks_kernel(self, guard: Guard, interval: usize) -> &'static Kernel {
        match interval % 8 {
            0 if interval > 0 => self.kernel(guard),
            _ => Cpu::PORTABLE.kernel(guard),
        }
    }

    /// Goes on from a checksum; begin with [`start`]. An Internet checksum goes on only from an even number of bytes.
    pub fn update(self, guard: Guard, sum: u64, bytes: &[u8]) -> u64 {
        // SAFETY: a `Cpu` has only kernels whose features were found (`all`) or that need none.
        unsafe { (self.kernel(guard).update)(sum, bytes) }
    }

    /// Checksums of blocks of `interval` bytes of which one starts every `stride` bytes, and how many of
    /// them: as many as `out` takes, fewer if `data` holds fewer.
    pub fn guards(
        self,
        guard: Guard,
        data: &[u8],
        interval: usize,
        stride: usize,
        out: &mut [u64],
    ) -> usize {
        let mut run = Run::new(data, stride, None, interval, out.len());
        run.far = self.far;
        // SAFETY: as in `update`.
        unsafe { (self.blocks_kernel(guard, interval).guards)(&mut run, out) };
        run.count()
    }

    /// The same while copying the blocks to `to`, where one starts every `to_stride` bytes. What lies
    /// between blocks there stays as it is.
    #[expect(clippy::too_many_arguments, reason = "two strided buffers, and what to do with them")]
    pub fn copy_guards(
        self,
        guard: Guard,
        data: &[u8],
        stride: usize,
        to: &mut [u8],
        to_stride: usize,
        interval: usize,
        out: &mut [u64],
    ) -> usize {
        let mut run = Run::new(data, stride, Some((to, to_stride)), interval, out.len());
        run.far = self.far;
        // SAFETY: as in `update`.
        unsafe { (self.blocks_kernel(guard, interval).copy_guards)(&mut run, out) };
        run.count()
    }
}
