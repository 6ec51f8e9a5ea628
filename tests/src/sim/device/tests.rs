//! What the simulated device may and may not take away.

use super::*;

fn path(name: &str) -> PathBuf {
    Path::new("/").join(name)
}

/// A device with directory `/d` and file `/d/f` of 1,024 bytes `a`, all durable.
fn prepared() -> Device {
    let mut device = Device::default();
    for change in [
        Change::CreateDir(path("d")),
        Change::SyncDir(path("")),
        Change::Create(path("d/f")),
        Change::Write(0, 0, vec![b'a'; 1024].into()),
        Change::Sync(0),
        Change::SyncDir(path("d")),
    ] {
        device.apply(&change);
    }
    device
}

/// Everything that many power cuts leave.
fn outcomes<T: Ord>(device: &Device, of: impl Fn(&Image) -> T) -> BTreeSet<T> {
    let mut rng = Rng::with_seed(crate::seed(1));
    (0..2_000).map(|_| of(&device.after_power_cut(&mut rng))).collect()
}

fn bytes(image: &Image, name: &str) -> Option<Vec<u8>> {
    image.files.get(&path(name)).map(Content::to_vec)
}

#[test]
fn what_is_synced_stays() {
    assert_eq!(outcomes(&prepared(), |image| bytes(image, "d/f")), BTreeSet::from([Some(vec![b'a'; 1024])]));
}

#[test]
fn unsynced_writes_are_kept_lost_torn_and_reordered() {
    let mut device = prepared();
    device.apply(&Change::Write(0, 0, vec![b'b'; 1024].into()));
    device.apply(&Change::Write(0, 0, vec![b'c'; 1024].into()));
    let firsts = outcomes(&device, |image| bytes(image, "d/f").map(|bytes| (bytes[0], bytes[512])));
    assert_eq!(firsts.len(), 9, "each of two sectors keeps any of three versions: {firsts:?}");
    device.apply(&Change::Sync(0));
    assert_eq!(outcomes(&device, |image| bytes(image, "d/f")), BTreeSet::from([Some(vec![b'c'; 1024])]));
}

#[test]
fn growth_may_arrive_without_its_bytes() {
    let mut device = prepared();
    device.apply(&Change::Write(0, 1024, vec![b'b'; 512].into()));
    let ends = outcomes(&device, |image| bytes(image, "d/f").map(|bytes| bytes[1024..].to_vec()));
    assert_eq!(ends, BTreeSet::from([Some(vec![]), Some(vec![0; 512]), Some(vec![b'b'; 512])]));
}

#[test]
fn a_failed_sync_forgets_what_it_was_to_write() {
    let mut device = prepared();
    device.apply(&Change::Write(0, 0, vec![b'b'; 1024].into()));
    device.apply(&Change::SyncFailed(0));
    assert_eq!(device.content(0).to_vec(), vec![b'b'; 1024], "the page cache shows it all the same");
    device.apply(&Change::Sync(0));
    assert!(outcomes(&device, |image| bytes(image, "d/f")).contains(&Some(vec![b'a'; 1024])), "and it can still be lost");
    device.apply(&Change::Write(0, 0, vec![b'c'; 1024].into()));
    device.apply(&Change::Sync(0));
    assert_eq!(outcomes(&device, |image| bytes(image, "d/f")), BTreeSet::from([Some(vec![b'c'; 1024])]));
}

#[test]
fn names_wait_for_their_directory() {
    let mut device = prepared();
    device.apply(&Change::Rename(path("d/f"), path("d/g")));
    device.apply(&Change::Create(path("d/h")));
    let names = |image: &Image| image.files.keys().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let seen = outcomes(&device, names);
    assert_eq!(seen, ["/d/f", "/d/f /d/h", "/d/g", "/d/g /d/h"].map(str::to_owned).into());
    device.apply(&Change::SyncDir(path("d")));
    assert_eq!(outcomes(&device, names), BTreeSet::from(["/d/g /d/h".to_owned()]));
    device.apply(&Change::Remove(path("d/g")));
    assert_eq!(outcomes(&device, names), ["/d/h", "/d/g /d/h"].map(str::to_owned).into());
}

#[test]
fn a_rename_across_directories_may_leave_both_names_but_never_none() {
    let mut device = prepared();
    device.apply(&Change::CreateDir(path("e")));
    device.apply(&Change::SyncDir(path("")));
    device.apply(&Change::Rename(path("d/f"), path("e/f")));
    device.apply(&Change::SyncDir(path("e")));
    let names = outcomes(&device, |image| (image.files.contains_key(&path("d/f")), image.files.contains_key(&path("e/f"))));
    assert_eq!(names, BTreeSet::from([(false, true), (true, true)]));
}

#[test]
fn files_go_with_a_directory_that_was_never_synced() {
    let mut device = prepared();
    device.apply(&Change::CreateDir(path("d/e")));
    device.apply(&Change::Create(path("d/e/f")));
    device.apply(&Change::SyncDir(path("d/e")));
    assert_eq!(outcomes(&device, |image| bytes(image, "d/e/f").is_some()), BTreeSet::from([false, true]));
    device.apply(&Change::SyncDir(path("d")));
    assert_eq!(outcomes(&device, |image| bytes(image, "d/e/f").is_some()), BTreeSet::from([true]));
}
