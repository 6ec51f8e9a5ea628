//! What a folder holds after a power cut.

use std::process::Command;

use alluvium_sync::objects::{NewObject, Settings, Target};
use bytes::Bytes;

use crate::support::{MIB, bytes, key, put};

/// In which folder [`puts_into_a_folder`] puts; it does so only when it is told.
const FOLDER: &str = "ALLUVIUM_TEST_FOLDER";

/// What is watched from outside.
#[tokio::test]
async fn puts_into_a_folder() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let target = Target::open(&Settings::new(folder.as_str())).unwrap();
    put(&target, &bytes(1, 1_000)).await.unwrap();
    put(&target, &bytes(2, 9 * MIB)).await.unwrap();
    // Made by another, who has not synced it.
    std::fs::create_dir(std::path::Path::new(&folder).join("gateways")).unwrap();
    assert_eq!(target.put_new("gateways/new", &Bytes::from_static(b"new")).await, Ok(NewObject::Created));
}

/// A call of the system: its name, and the files it is of.
type Call = (String, Vec<String>);

/// What the system was asked for, in order, with the files that it was asked of by their paths.
fn calls(folder: &std::path::Path) -> Vec<Call> {
    let traced = tempfile::NamedTempFile::new().unwrap();
    let done = Command::new("strace")
        .args(["-f", "-y", "-s", "4096", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat", "-o"])
        .arg(traced.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "folder::puts_into_a_folder"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let text = std::fs::read_to_string(traced.path()).unwrap();
    let mut calls = Vec::new();
    for line in text.lines().filter(|line| !line.contains("resumed>") && !line.contains(" = -1 ")) {
        let Some((before, arguments)) = line.split_once('(') else { continue };
        let name = before.split_whitespace().last().unwrap_or_default().to_owned();
        let files =
            if name.ends_with("sync") { arguments.split(['<', '>']).nth(1).into_iter().collect() } else { quoted(arguments) };
        calls.push((name, files.into_iter().map(str::to_owned).collect()));
    }
    calls
}

fn quoted(arguments: &str) -> Vec<&str> {
    arguments.split('"').skip(1).step_by(2).collect()
}

#[test]
fn what_is_said_to_be_done_is_synced_with_every_folder_above_it() {
    let within = tempfile::tempdir().unwrap();
    let root = within.path().canonicalize().unwrap().join("new/archive");
    let calls = calls(&root);
    let place = |wanted: &str, of: &str| {
        calls.iter().rposition(|(name, files)| name.contains(wanted) && files.iter().any(|file| file == of))
    };
    for name in ["gateways/new".to_owned(), key(&bytes(1, 1_000)), key(&bytes(2, 9 * MIB))] {
        // As it is in the file system, where a % of a name is itself.
        let file = root.join(&name).to_str().unwrap().to_owned();
        let named =
            place("link", &file).or_else(|| place("rename", &file)).unwrap_or_else(|| panic!("{file} was not made: {calls:?}"));
        let (_, files) = &calls[named];
        let staged = files.iter().find(|other| **other != file).unwrap();
        let synced = calls.iter().position(|(name, files)| name == "fsync" && files.contains(staged));
        assert!(synced.is_some_and(|synced| synced < named), "{file} has its name before it is synced: {calls:?}");
        let own = root.join(&name).parent().unwrap().to_owned();
        let synced = place("fsync", own.to_str().unwrap());
        assert!(synced.is_some_and(|synced| synced > named), "{own:?} is not synced after {file} is in it: {calls:?}");
        // What is above it has nothing new once it is there.
        for folder in own.ancestors().take_while(|folder| *folder != root) {
            let made = place("mkdir", folder.to_str().unwrap()).unwrap_or_else(|| panic!("{folder:?} was not made: {calls:?}"));
            let above = folder.parent().unwrap();
            let synced = place("fsync", above.to_str().unwrap());
            assert!(synced.is_some_and(|synced| synced > made), "{above:?} is not synced after {folder:?} is in it: {calls:?}");
        }
    }
    // The folder itself and what is above it, when it is made.
    for above in [within.path().canonicalize().unwrap(), root.parent().unwrap().to_owned()] {
        assert!(place("fsync", above.to_str().unwrap()).is_some(), "{above:?} is not synced: {calls:?}");
    }
}

#[tokio::test]
async fn what_a_power_cut_left_beside_an_object_goes_with_its_next_upload() {
    let within = tempfile::tempdir().unwrap();
    let target = Target::open(&Settings::new(within.path().to_str().unwrap())).unwrap();
    let object = bytes(3, 9 * MIB);
    let file = within.path().join(key(&object));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let left = file.with_extension("parquet#1");
    std::fs::write(&left, b"half of it").unwrap();
    put(&target, &object).await.unwrap();
    assert!(!left.exists());
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(std::fs::read(&file).unwrap(), object);
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_refused_by_name() {
    let within = tempfile::tempdir().unwrap();
    let file = within.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = Target::open(&Settings::new(file.join("below").to_str().unwrap())).unwrap_err().to_string();
    assert!(
        refused.starts_with("url of the target ") && refused.ends_with("; give a folder that can be made and written to"),
        "{refused}"
    );
}
