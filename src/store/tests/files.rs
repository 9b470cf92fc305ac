//! Side files as files: made by one, whole or not at all.

use std::thread::scope;

use super::*;

#[test]
fn of_many_who_make_it_one_does() {
    let dir = Dir::new();
    let f = format(512, 8, Guard::T10Dif, PiType::Type1, false, 0);
    let data = dir.file("data", 51200, 0);
    let path = dir.path("side");
    for _ in 0..30 {
        let open = || {
            let file = DataFile { file: &data, bytes: 51200, direct: false, writable: true };
            let side = Side { path: &path, create: true, format: Some(&f) };
            Store::open(&file, &side)
        };
        let mut all: Vec<Result<Store>> = scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let won = all.iter().filter(|opened| opened.is_ok()).count();
        assert_eq!(won, 1, "{all:?}");
        let lost = all.iter().filter_map(|opened| opened.as_ref().err());
        assert!(lost.into_iter().all(|error| error.errno() == libc::EBUSY), "{all:?}");
        all.clear();
        let mut names: Vec<_> =
            std::fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["data", "side"]);
        std::fs::remove_file(&path).unwrap();
    }
}

/// Any bytes in place of a side file are refused or served, and nothing else happens.
#[test]
fn any_bytes_are_no_danger() {
    let dir = Dir::new();
    let f = format(512, 8, Guard::T10Dif, PiType::Type1, false, 0);
    let data = dir.file("data", 5120, 0);
    let path = dir.path("side");
    let file = DataFile { file: &data, bytes: 5120, direct: false, writable: true };
    drop(Store::open(&file, &Side { path: &path, create: true, format: Some(&f) }).unwrap());
    let good = std::fs::read(&path).unwrap();
    let mut dice = Dice(1);
    for _ in 0..300 {
        let mut bad = good.clone();
        for _ in 0..1 + dice.below(3) {
            let at = [dice.below(64), dice.below(bad.len())][dice.below(2)];
            bad[at] = dice.below(256) as u8;
        }
        bad.truncate([bad.len(), dice.below(bad.len())][dice.below(2)]);
        std::fs::write(&path, &bad).unwrap();
        let side = Side { path: &path, create: false, format: None };
        let Ok(store) = Store::open(&file, &side) else { continue };
        let (mut into, mut meta) = ([0; 5120], [0; 80]);
        let tags = all_checks(&f, 0);
        let pieces = std::iter::once(&mut into[..]);
        match store.read(&data, 0, 5120, &tags, pieces, &mut meta) {
            Ok(_) => assert!(into == [0; 5120]),
            Err(Refused::Check(failure)) => assert_eq!(failure.check, Checks::GUARD),
            Err(other) => panic!("{other:?}"),
        }
    }
}
