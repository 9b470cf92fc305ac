//! What the fuzz targets do with their bytes: calls of the C API, and what must be true of the answers.
//!
//! Every piece of memory is an allocation of its own and just as long as it may be, so that a sanitizer
//! sees each step beyond.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use uring_ext as _; // the functions below

const EINVAL: c_int = -22;
const E2BIG: c_int = -7;
const EILSEQ: c_int = -84;
const EMSGSIZE: c_int = -90;

const GUARD: u32 = 1;
const REF: u32 = 2;
const APP: u32 = 4;
const STORAGE: u32 = 8;
const T10DIF: u8 = 1;
const IP: u8 = 2;
const CRC32C: u8 = 3;
const CRC64: u8 = 4;
const COUNT_ALL: u32 = 1;
const ESCAPE: u16 = 0xffff;

// The structs of include/liburing-ext.h.

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Format {
    size: u32,
    flags: u32,
    interval: u32,
    meta_size: u16,
    pi_offset: u16,
    guard: u8,
    pi_type: u8,
    storage_bits: u8,
    checks: u8,
    pi_size: u8,
    ref_bits: u8,
    reserved0: u16,
    reserved: [u32; 4],
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Tags {
    checks: u32,
    keep: u32,
    app: u16,
    app_ignore: u16,
    ref_hi: u16,
    reserved0: u16,
    reference: u64,
    storage: u64,
    reserved: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Failure {
    check: u32,
    flags: u32,
    block: u64,
    lba: u64,
    expected: u64,
    actual: u64,
    expected_hi: u16,
    actual_hi: u16,
    reserved: [u32; 3],
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Tuple {
    guard: u64,
    reference: u64,
    storage: u64,
    ref_hi: u16,
    app: u16,
    reserved: u32,
}

#[repr(C)]
struct Report {
    size: u32,
    flags: u32,
    first_block: u64,
    errors: *mut Failure,
    capacity: u32,
    stored: u32,
    failed: u64,
    blocks: u64,
    escaped: u64,
    reserved: [u64; 2],
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Pi([u64; 32]);

#[repr(C)]
struct Stream([u64; 64]);

#[repr(C)]
struct Iovec {
    base: *mut c_void,
    len: usize,
}

#[repr(C)]
struct PiVec {
    data: *const Iovec,
    meta: *const Iovec,
    data_cnt: u32,
    meta_cnt: u32,
    checks: *const u8,
}

unsafe extern "C" {
    fn urx_pi_init(pi: *mut Pi, format: *const c_void, why: *mut *const c_char) -> c_int;
    fn urx_pi_generate(
        pi: *const Pi,
        tags: *const Tags,
        data: *mut c_void,
        meta: *mut c_void,
        blocks: usize,
    ) -> c_int;
    fn urx_pi_verify(
        pi: *const Pi,
        tags: *const Tags,
        data: *const c_void,
        meta: *const c_void,
        blocks: usize,
        report: *mut Report,
    ) -> c_int;
    fn urx_pi_tuple_get(pi: *const Pi, meta: *const c_void, tuple: *mut Tuple) -> c_int;
    fn urx_pi_generatev(pi: *const Pi, tags: *const Tags, v: *const PiVec) -> c_int;
    fn urx_pi_verifyv(
        pi: *const Pi,
        tags: *const Tags,
        v: *const PiVec,
        report: *mut Report,
    ) -> c_int;
    fn urx_pi_copy_generatev(
        pi: *const Pi,
        tags: *const Tags,
        v: *const PiVec,
        bare: *const Iovec,
        bare_cnt: u32,
    ) -> c_int;
    fn urx_pi_copy_verifyv(
        pi: *const Pi,
        tags: *const Tags,
        v: *const PiVec,
        bare: *const Iovec,
        bare_cnt: u32,
        report: *mut Report,
    ) -> c_int;
    fn urx_pi_stream_init(stream: *mut Stream, pi: *const Pi, tags: *const Tags) -> c_int;
    fn urx_pi_stream_generate(stream: *mut Stream, piece: *const PiVec) -> c_int;
    fn urx_pi_stream_verify(stream: *mut Stream, piece: *const PiVec, report: *mut Report)
    -> c_int;
    fn urx_pi_stream_end(stream: *const Stream) -> c_int;
}

/// The input, eaten from the front; zeros when it is used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    fn below(&mut self, end: usize) -> usize {
        let value = usize::from(self.byte()) | usize::from(self.byte()) << 8;
        value % end
    }

    fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[usize::from(self.byte()) % choice.len()]
    }

    /// So many bytes, each different from its neighbours even when the input is used up.
    fn fill(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|i| self.byte() ^ (i as u8).wrapping_mul(37)).collect()
    }
}

fn tuple_size(guard: u8) -> u16 {
    if guard == T10DIF || guard == IP { 8 } else { 16 }
}

fn is_storage_width(guard: u8, bits: u8) -> bool {
    match guard {
        T10DIF => bits <= 32,
        CRC32C => bits == 0 || (16..=64).contains(&bits),
        CRC64 => bits <= 48,
        _ => bits == 0,
    }
}

/// What the header says of a format, said again.
fn is_sound(f: &Format) -> bool {
    f.flags <= 1
        && (8..=65536).contains(&f.interval)
        && f.interval.is_multiple_of(8)
        && (T10DIF..=CRC64).contains(&f.guard)
        && (1..=3).contains(&f.pi_type)
        && f.meta_size >= tuple_size(f.guard)
        && (f.pi_offset == 0 || f.pi_offset == f.meta_size - tuple_size(f.guard))
        && is_storage_width(f.guard, f.storage_bits)
        && (f.reserved0, f.reserved) == (0, [0; 4])
}

fn sound_format(bytes: &mut Bytes) -> Format {
    let guard = bytes.one_of(&[T10DIF, IP, CRC32C, CRC64]);
    let tuple = tuple_size(guard);
    let meta_size = tuple + bytes.one_of(&[0, 0, 1, 2, 7, 8, 16, 48]);
    let storage_bits = bytes.byte() % 65;
    Format {
        size: size_of::<Format>() as u32,
        flags: u32::from(bytes.byte() & 1),
        interval: bytes.one_of(&[8, 16, 24, 64, 72, 200, 512, 520, 1024, 4096]),
        meta_size,
        pi_offset: bytes.one_of(&[0, meta_size - tuple]),
        guard,
        pi_type: bytes.one_of(&[1, 2, 3]),
        storage_bits: if is_storage_width(guard, storage_bits) { storage_bits } else { 0 },
        checks: bytes.byte(),
        pi_size: bytes.byte(),
        ref_bits: bytes.byte(),
        ..Format::default()
    }
}

fn ones(bits: u8) -> u64 {
    1u64.checked_shl(bits.into()).map_or(!0, |over| over - 1)
}

/// A format, tags and that many blocks in one piece.
#[derive(Clone)]
struct Case {
    format: Format,
    pi: Pi,
    tags: Tags,
    blocks: usize,
    data: Vec<u8>,
    meta: Vec<u8>,
}

impl Case {
    fn new(bytes: &mut Bytes) -> Case {
        let format = sound_format(bytes);
        let most = if format.interval > 1024 { 3 } else { 40 };
        let blocks = bytes.below(most);
        let mut case = Case {
            format,
            pi: Pi([0; 32]),
            tags: Tags::default(),
            blocks,
            data: Vec::new(),
            meta: Vec::new(),
        };
        let rc = init_pi(&mut case.pi, &format, &mut null());
        assert_eq!(rc, 0, "{format:?}");
        case.tags = Tags {
            checks: u32::from(bytes.byte()) & case.checks(),
            keep: u32::from(bytes.one_of(&[0, 0, 0, bytes.0.len() as u8 & 15])),
            app: bytes.one_of(&[0, 0x1234, ESCAPE]),
            app_ignore: bytes.one_of(&[0, 0, 0xff00, 0xffff]),
            reference: bytes.word(),
            storage: bytes.word() & ones(format.storage_bits),
            ..Tags::default()
        };
        case.data = bytes.fill(blocks * case.stride());
        if !case.is_interleaved() {
            case.meta = bytes.fill(blocks * case.meta_size());
        }
        case
    }

    fn is_interleaved(&self) -> bool {
        self.format.flags == 1
    }

    fn interval(&self) -> usize {
        self.format.interval as usize
    }

    fn meta_size(&self) -> usize {
        self.format.meta_size.into()
    }

    fn stride(&self) -> usize {
        self.interval() + if self.is_interleaved() { self.meta_size() } else { 0 }
    }

    /// Checks that the format can make.
    fn checks(&self) -> u32 {
        let f = &self.format;
        let space = [0, 32, 32, 80, 48][usize::from(f.guard)];
        let reference = f.pi_type != 3 && space > f.storage_bits;
        GUARD | APP | if reference { REF } else { 0 } | if f.storage_bits > 0 { STORAGE } else { 0 }
    }

    /// The data alone.
    fn bare(&self) -> Vec<u8> {
        let blocks = self.data.chunks(self.stride());
        blocks.flat_map(|b| &b[..self.interval()]).copied().collect()
    }

    /// The same with other data: metadata beside a tuple is input, data that is copied over is not.
    fn with_blank_data(mut self) -> Case {
        let (stride, interval) = (self.stride(), self.interval());
        for block in self.data.chunks_mut(stride) {
            block[..interval].fill(0xee);
        }
        self
    }

    fn meta_of(&self, block: usize) -> &[u8] {
        if self.is_interleaved() {
            &self.data[block * self.stride()..][self.interval()..self.stride()]
        } else {
            &self.meta[block * self.meta_size()..][..self.meta_size()]
        }
    }

    fn generate(&mut self) -> c_int {
        let data = self.data.as_mut_ptr().cast();
        let meta = if self.is_interleaved() { null_mut() } else { self.meta.as_mut_ptr().cast() };
        // SAFETY: both are as long as that many blocks of this format.
        unsafe { urx_pi_generate(&self.pi, &self.tags, data, meta, self.blocks) }
    }

    fn verify(&self, book: Option<&mut Book>) -> c_int {
        let report = book.map_or(null_mut(), |book| book.report());
        let meta = if self.is_interleaved() { null() } else { self.meta.as_ptr().cast() };
        let data = self.data.as_ptr().cast();
        // SAFETY: both are as long as that many blocks of this format; a book's report is sound.
        unsafe { urx_pi_verify(&self.pi, &self.tags, data, meta, self.blocks, report) }
    }

    fn buffers(&self) -> (&[u8], &[u8]) {
        (&self.data, &self.meta)
    }

    /// Calls with these pieces in place of the buffers.
    fn with<T>(
        &self,
        data: &mut Pieces,
        meta: &mut Pieces,
        call: impl FnOnce(&Pi, &Tags, &PiVec) -> T,
    ) -> T {
        let (data, meta) = (data.iovecs(), meta.iovecs());
        let v = PiVec {
            data: data.as_ptr(),
            meta: if self.is_interleaved() { null() } else { meta.as_ptr() },
            data_cnt: data.len() as u32,
            meta_cnt: if self.is_interleaved() { 0 } else { meta.len() as u32 },
            checks: null(),
        };
        call(&self.pi, &self.tags, &v)
    }

    fn app_of(&self, block: usize) -> u16 {
        let mut tuple = Tuple::default();
        let meta = self.meta_of(block).as_ptr().cast();
        // SAFETY: the metadata of one block.
        assert_eq!(unsafe { urx_pi_tuple_get(&self.pi, meta, &mut tuple) }, 0);
        tuple.app
    }

    /// Mostly right blocks with some bytes wrong, or arbitrary ones.
    fn damage(&mut self, bytes: &mut Bytes) {
        if bytes.byte() & 1 == 0 {
            return;
        }
        assert_eq!(self.generate(), 0);
        for _ in 0..bytes.byte() % 4 {
            let buffer = match bytes.byte() & 1 {
                0 => &mut self.data,
                _ => &mut self.meta,
            };
            if !buffer.is_empty() {
                let at = bytes.below(buffer.len());
                buffer[at] ^= bytes.byte();
            }
        }
    }
}

/// Memory cut into allocations of their own, some of them empty.
struct Pieces(Vec<Box<[u8]>>);

impl Pieces {
    fn cut(whole: &[u8], bytes: &mut Bytes) -> Pieces {
        let mut pieces = Vec::new();
        let mut rest = whole;
        while !rest.is_empty() && pieces.len() < 24 {
            let len = match bytes.byte() {
                0..=29 => 0,
                n @ 30..=199 => (usize::from(n) - 29).min(rest.len()),
                _ => 1 + bytes.below(rest.len()),
            };
            let (piece, after) = rest.split_at(len);
            pieces.push(piece.into());
            rest = after;
        }
        pieces.push(rest.into());
        Pieces(pieces)
    }

    fn two(whole: &[u8], at: usize) -> Pieces {
        let (a, b) = whole.split_at(at);
        Pieces(vec![a.into(), b.into()])
    }

    fn iovecs(&mut self) -> Vec<Iovec> {
        let iovec =
            |piece: &mut Box<[u8]>| Iovec { base: piece.as_mut_ptr().cast(), len: piece.len() };
        self.0.iter_mut().map(iovec).collect()
    }

    fn whole(&self) -> Vec<u8> {
        self.0.concat()
    }
}

/// A report and its room for errors.
struct Book {
    errors: Vec<Failure>,
    report: Report,
}

impl Book {
    fn new(flags: u32, capacity: usize, first_block: u64) -> Book {
        Book {
            errors: vec![Failure::default(); capacity],
            report: Report {
                size: size_of::<Report>() as u32,
                flags,
                first_block,
                errors: null_mut(),
                capacity: capacity as u32,
                stored: 0,
                failed: 0,
                blocks: 0,
                escaped: 0,
                reserved: [0; 2],
            },
        }
    }

    fn report(&mut self) -> &mut Report {
        self.report.errors = match self.errors.is_empty() {
            true => null_mut(),
            false => self.errors.as_mut_ptr(),
        };
        &mut self.report
    }

    fn content(&self) -> (u64, u64, u64, &[Failure]) {
        let r = &self.report;
        (r.failed, r.blocks, r.escaped, &self.errors[..r.stored as usize])
    }
}

fn init_pi(pi: &mut Pi, format: &Format, why: &mut *const c_char) -> c_int {
    // SAFETY: a whole struct, and room for the answers.
    unsafe { urx_pi_init(pi, std::ptr::from_ref(format).cast(), why) }
}

/// Formats of any content and size: accepted just when they are sound; a reason when not.
pub fn init(input: &[u8]) {
    const LEN: usize = size_of::<Format>();
    let mut bytes = Bytes(input);
    let format = sound_format(&mut bytes);
    let mut memory = [0u8; 64];
    // SAFETY: integers without padding.
    let start: [u8; LEN] = unsafe { std::mem::transmute(format) };
    memory[..LEN].copy_from_slice(&start);
    if bytes.byte() & 1 == 1 {
        let size = bytes.below(memory.len() + 1) as u32;
        memory[..4].copy_from_slice(&size.to_le_bytes());
    }
    for _ in 0..bytes.byte() % 6 {
        // The size has been chosen: nothing lies beyond 64 bytes.
        let at = 4 + bytes.below(memory.len() - 4);
        memory[at] = bytes.byte();
    }
    let [a, b, c, d, ..] = memory;
    let size = u32::from_le_bytes([a, b, c, d]) as usize;
    // Just as long as it says, and long enough to say it.
    let exact: Box<[u8]> = memory[..size.max(4)].into();
    let mut pi = Pi([bytes.word(); 32]);
    let mut why = null();
    // SAFETY: `size` bytes, and room for the answers.
    let rc = unsafe { urx_pi_init(&mut pi, exact.as_ptr().cast(), &mut why) };

    let mut start = [0; LEN];
    start.copy_from_slice(&memory[..LEN]);
    // SAFETY: integers, of any value.
    let format: Format = unsafe { std::mem::transmute(start) };
    let excess = memory.get(LEN..size).unwrap_or_default();
    if size >= LEN && is_sound(&format) && excess.iter().all(|byte| *byte == 0) {
        assert_eq!(rc, 0, "{format:?}");
        let meta_size = usize::from(format.meta_size);
        let mut data = vec![bytes.byte(); format.interval as usize + meta_size].into_boxed_slice();
        let (data, meta) = data.split_at_mut(format.interval as usize);
        let (data, meta): (&mut [u8], _) = if format.flags == 1 {
            (&mut [data, meta].concat(), null_mut())
        } else {
            (data, meta.as_mut_ptr().cast())
        };
        let tags = Tags::default();
        // SAFETY: one block and its metadata.
        let rc = unsafe { urx_pi_generate(&pi, &tags, data.as_mut_ptr().cast(), meta, 1) };
        assert_eq!(rc, 0, "{format:?}");
    } else {
        assert!(rc == EINVAL || rc == E2BIG, "{rc} for {format:?}");
        assert!(!why.is_null());
        // SAFETY: static text.
        assert!(!unsafe { CStr::from_ptr(why) }.is_empty());
    }

    // Any words in a struct urx_pi are harmless.
    pi.0[bytes.below(4)] ^= 1 << (bytes.byte() % 64);
    let tags = Tags::default();
    // SAFETY: no blocks, so no memory.
    let rc = unsafe { urx_pi_generate(&pi, &tags, null_mut(), null_mut(), 0) };
    assert!(rc == 0 || rc == EINVAL, "{rc}");
}

/// Any bytes as blocks: the same answer in one piece, in many, and while copying.
pub fn verify(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut case = Case::new(&mut bytes);
    case.damage(&mut bytes);
    let flags = u32::from(bytes.byte() & 1);
    let (capacity, first) = (bytes.below(6), bytes.word() >> 1);
    let book = || Book::new(flags, capacity, first);
    let (mut one, mut many, mut copied) = (book(), book(), book());

    let rc = case.verify(Some(&mut one));
    if case.tags.checks == 0 {
        assert_eq!(rc, EINVAL);
        return;
    }
    let (failed, blocks, _, errors) = one.content();
    assert_eq!(rc, if failed == 0 { 0 } else { EILSEQ });
    assert_eq!(rc, case.verify(None));
    assert!(flags != COUNT_ALL || blocks == case.blocks as u64);
    assert!(errors.len() as u64 <= failed && errors.is_sorted_by_key(|e| e.block));
    for e in errors {
        assert!(e.check & case.tags.checks != 0 && e.check.is_power_of_two());
        assert!((first..first + case.blocks as u64).contains(&e.block));
    }

    let (mut data, mut meta) =
        (Pieces::cut(&case.data, &mut bytes), Pieces::cut(&case.meta, &mut bytes));
    let again = case.with(&mut data, &mut meta, |pi, tags, v| {
        // SAFETY: pieces of whole blocks, none of them written.
        unsafe { urx_pi_verifyv(pi, tags, v, many.report()) }
    });
    assert_eq!((again, many.content()), (rc, one.content()));

    let mut bare = Pieces::cut(&vec![0; case.blocks * case.interval()], &mut bytes);
    let to = bare.iovecs();
    let again = case.with(&mut data, &mut meta, |pi, tags, v| {
        // SAFETY: as above; as much bare memory as data, and it is elsewhere.
        unsafe { urx_pi_copy_verifyv(pi, tags, v, to.as_ptr(), to.len() as u32, copied.report()) }
    });
    assert_eq!((again, copied.content()), (rc, one.content()));
    assert_eq!(bare.whole(), case.bare());
    assert_eq!((&*data.whole(), &*meta.whole()), case.buffers());
}

/// What is generated verifies, is the same for every split and while copying; a wrong bit is found.
pub fn roundtrip(input: &[u8]) {
    let mut bytes = Bytes(input);
    let before = Case::new(&mut bytes);
    let mut case = before.clone();
    assert_eq!(case.generate(), 0);
    assert_eq!(case.bare(), before.bare());
    let kept = case.tags.keep;
    case.tags.checks &= !kept;
    if case.tags.checks != 0 {
        assert_eq!(case.verify(None), 0);
    }

    let scattered = |data: &mut Pieces, meta: &mut Pieces| {
        let rc = case.with(data, meta, |pi, tags, v| {
            // SAFETY: pieces of whole blocks, each of them memory of its own.
            unsafe { urx_pi_generatev(pi, tags, v) }
        });
        assert_eq!(rc, 0);
        assert_eq!((&*data.whole(), &*meta.whole()), case.buffers());
    };
    let (data, meta) = before.buffers();
    let every = if data.len() <= 700 { 1 } else { 1 + data.len() / 24 };
    for at in (0..=data.len()).step_by(every) {
        let two = &mut Pieces::two(meta, at % (meta.len() + 1));
        scattered(&mut Pieces::two(data, at), two);
    }
    let many = &mut Pieces::cut(meta, &mut bytes);
    scattered(&mut Pieces::cut(data, &mut bytes), many);

    let blank = before.clone().with_blank_data();
    let (mut data, mut meta) =
        (Pieces::cut(&blank.data, &mut bytes), Pieces::cut(&blank.meta, &mut bytes));
    let mut bare = Pieces::cut(&before.bare(), &mut bytes);
    let from = bare.iovecs();
    let rc = case.with(&mut data, &mut meta, |pi, tags, v| {
        // SAFETY: as above; as much bare data as there is room for.
        unsafe { urx_pi_copy_generatev(pi, tags, v, from.as_ptr(), from.len() as u32) }
    });
    assert_eq!(rc, 0);
    assert_eq!((&*data.whole(), &*meta.whole()), case.buffers());

    if case.blocks == 0 || kept & GUARD != 0 {
        return;
    }
    let block = bytes.below(case.blocks);
    let at = block * case.stride() + bytes.below(case.interval());
    case.data[at] ^= 1 << (bytes.byte() % 8);
    case.tags.checks = GUARD;
    let mut book = Book::new(0, 1, 0);
    let rc = case.verify(Some(&mut book));
    if case.app_of(block) != ESCAPE {
        assert_eq!(rc, EILSEQ);
        assert!(
            matches!(book.content(), (1, _, _, [e]) if e.check == GUARD && e.block == block as u64)
        );
    }
}

/// Blocks in one piece and the same as a stream of pieces: the same tuples and the same answers.
pub fn stream(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut case = Case::new(&mut bytes);
    case.damage(&mut bytes);

    let mut made = case.clone();
    assert_eq!(made.generate(), 0);
    let pieces = Pieces::cut(&case.data, &mut bytes);
    let answers = flow(&case, &pieces, bytes.byte(), |stream, v| {
        // SAFETY: a stream, and pieces of its blocks.
        unsafe { urx_pi_stream_generate(stream, v) }
    });
    let (mut data, mut meta) = (Vec::new(), Vec::new());
    for answer in answers {
        assert_eq!(answer.rc, 0);
        data.extend(answer.data);
        meta.extend(answer.meta);
    }
    assert_eq!((&*data, &*meta), made.buffers());

    if case.tags.checks == 0 {
        return;
    }
    let (capacity, first) = (bytes.below(6), bytes.word() >> 1);
    let mut one = Book::new(COUNT_ALL, capacity, first);
    let mut many = Book::new(COUNT_ALL, capacity, first);
    let rc = case.verify(Some(&mut one));
    let pieces = Pieces::cut(&case.data, &mut bytes);
    let answers = flow(&case, &pieces, bytes.byte(), |stream, v| {
        // SAFETY: as above; a book's report is sound.
        unsafe { urx_pi_stream_verify(stream, v, many.report()) }
    });
    let worst = answers.iter().map(|answer| answer.rc).min().unwrap_or(0);
    assert_eq!((worst, many.content()), (rc, one.content()));
}

/// What a call answered, and the memory that it left.
struct Answer {
    rc: c_int,
    data: Vec<u8>,
    meta: Vec<u8>,
}

/// Sends the pieces through a new stream. At the piece `spoilt` there is a wrong call first, which must change nothing.
fn flow(
    case: &Case,
    pieces: &Pieces,
    spoilt: u8,
    mut call: impl FnMut(&mut Stream, &PiVec) -> c_int,
) -> Vec<Answer> {
    let mut stream = Stream([0xa5; 64]);
    // SAFETY: room for a stream, a sound struct urx_pi, tags.
    let rc = unsafe { urx_pi_stream_init(&mut stream, &case.pi, &case.tags) };
    assert_eq!(rc, 0);
    let (mut at, mut answers) = (0, Vec::new());
    for (n, piece) in pieces.0.iter().enumerate() {
        let from = at / case.stride() * case.meta_size();
        at += piece.len();
        let to = at / case.stride() * case.meta_size();
        let of_ended = case.meta.get(from..to).unwrap_or_default();
        let mut data = Pieces(vec![piece.clone()]);
        if let (true, [_, short @ ..]) = (n == usize::from(spoilt % 8), of_ended) {
            let mut short = Pieces(vec![short.into()]);
            let rc = case.with(&mut data, &mut short, |_, _, v| call(&mut stream, v));
            assert_eq!(rc, EINVAL);
        }
        let mut meta = Pieces(vec![of_ended.into()]);
        let rc = case.with(&mut data, &mut meta, |_, _, v| call(&mut stream, v));
        answers.push(Answer { rc, data: data.whole(), meta: meta.whole() });
        // SAFETY: a stream.
        let end = unsafe { urx_pi_stream_end(&stream) };
        let between = at % case.stride() == 0;
        assert_eq!(end, if between { 0 } else { EMSGSIZE });
    }
    answers
}
