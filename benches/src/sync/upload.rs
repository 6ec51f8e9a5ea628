//! Uploads: as the worker puts segments, beside plain object_store with as many on their way, in turn.
//!
//! Plain object_store only puts; the worker looks before whether the object is there, hashes what it reads, and makes sure that the store
//! has it: by its checksum, or by reading it back, as from a folder. In a folder both sync each file and its folder.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use alluvium_sync::objects::{Settings, Source, Target, Upload};
use alluvium_sync::remote::{Hash, Incarnation};
use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tokio::runtime::Runtime;

use super::emulator::{BUCKET, Emulator, KEY};
use super::{Options, spread};
use crate::fresh_directory;

/// Objects, and their bytes.
const OBJECTS: usize = 64;
const BYTES: usize = 8 << 20;
/// Objects on their way at the same time, as a worker has them.
const PARALLEL: usize = 4;
/// Objects that are put one way before as many are put the other way: enough for the wait for the last of them not to be what is measured.
const TOGETHER: usize = 4 * PARALLEL;
/// What has to be reached of plain object_store.
const REQUIRED: f64 = 0.8;

/// A file that is to be an object.
#[derive(Debug, Clone)]
struct File {
    path: PathBuf,
    hash: Hash,
}

/// Where both put.
struct Beside {
    ours: Target,
    plain: Arc<dyn ObjectStore>,
}

/// Measures and prints.
pub(super) fn measure(directory: &Path, options: &Options) -> Result<()> {
    let directory = fresh_directory(directory, "upload")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let files = files(&fresh_directory(&directory, "files")?)?;
    let folder = fresh_directory(&directory, "folder")?;
    measure_beside("a folder, synced", &runtime, &in_folder(&folder)?, &files, options)?;
    let emulator = Emulator::start(options.emulator, &fresh_directory(&directory, "emulator")?)?;
    let beside = in_s3(&runtime, &emulator, &directory)?;
    measure_beside(&format!("S3 ({})", options.emulator.name()), &runtime, &beside, &files, options)?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<File>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let file = |number: usize| {
        let mut bytes = vec![0; BYTES];
        random.fill(&mut bytes[..]);
        let path = folder.join(number.to_string());
        std::fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(File { path, hash: Hash::of(&bytes) })
    };
    (0..OBJECTS).map(file).collect()
}

fn in_folder(folder: &Path) -> Result<Beside> {
    let (ours, plain) = (folder.join("ours"), folder.join("plain"));
    std::fs::create_dir(&plain)?;
    let ours = Target::open(&Settings::new(ours.to_str().context("a folder of no name")?))?;
    Ok(Beside { ours, plain: Arc::new(LocalFileSystem::new_with_prefix(&plain)?.with_fsync(true)) })
}

fn in_s3(runtime: &Runtime, emulator: &Emulator, directory: &Path) -> Result<Beside> {
    let endpoint = format!("http://{}", emulator.at);
    let credentials = directory.join("credentials");
    std::fs::write(&credentials, format!("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n", KEY.0, KEY.1))?;
    let settings = Settings {
        endpoint: Some(endpoint.clone()),
        credentials_file: Some(credentials),
        allow_http: true,
        ..Settings::new(format!("s3://{BUCKET}/ours"))
    };
    // Its client takes the cryptography that the process has.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plain = AmazonS3Builder::new()
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_access_key_id(KEY.0)
        .with_secret_access_key(KEY.1)
        .build()?;
    let ours = Target::open(&settings)?;
    runtime.block_on(ours.learn_sums(Incarnation([0; 16])))?;
    Ok(Beside { ours, plain: Arc::new(plain) })
}

/// Puts all files both ways, as often as asked for: some of them one way, then the other, and of the next ones the other way first, so that
/// a disk that is fast until its buffers are full is so for both.
fn measure_beside(place: &str, runtime: &Runtime, beside: &Beside, files: &[File], options: &Options) -> Result<()> {
    let (mut ratios, mut ours, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=options.rounds {
        let prefix = format!("round-{round}");
        let (mut by_us, mut plainly) = (0.0, 0.0);
        for (number, some) in files.chunks(TOGETHER).enumerate() {
            for is_ours in [number % 2 == 0, number % 2 == 1] {
                match is_ours {
                    true => by_us += runtime.block_on(timed(some, |file| put(beside.ours.clone(), prefix.clone(), file)))?,
                    false => {
                        plainly +=
                            runtime.block_on(timed(some, |file| put_plainly(beside.plain.clone(), prefix.clone(), file)))?
                    }
                }
            }
        }
        runtime.block_on(remove(beside, &prefix, files))?;
        if round > 0 {
            ratios.push(plainly / by_us);
            ours.push(by_us);
            plain.push(plainly);
        }
    }
    let rate = |seconds: &[f64]| (OBJECTS * BYTES) as f64 / 1e6 / super::median(seconds.to_vec());
    println!(
        "{OBJECTS} objects of {} MiB into {place}, {PARALLEL} at a time: {:.0} MB/s, plain object_store {:.0} MB/s; ratio {} over {} rounds, \
         {REQUIRED} required",
        BYTES >> 20,
        rate(&ours),
        rate(&plain),
        spread(&ratios),
        options.rounds
    );
    Ok(())
}

/// The seconds that it takes to put all files.
async fn timed<F>(files: &[File], put: impl Fn(File) -> F) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let began = Instant::now();
    let putting = stream::iter(files.iter().cloned()).map(|file| tokio::spawn(put(file)));
    let mut putting = std::pin::pin!(putting.buffer_unordered(PARALLEL));
    while let Some(done) = putting.next().await {
        done??;
    }
    Ok(began.elapsed().as_secs_f64())
}

async fn put(target: Target, prefix: String, file: File) -> Result<()> {
    let key = format!("{prefix}/{}", file.hash);
    let mut progress = |_: &_| {};
    let mut upload = Upload::new(&mut progress);
    let delivered = target.put_object(&key, &Source::File(&file.path), file.hash, BYTES as u64, &mut upload).await?;
    ensure!(!delivered.already_there, "{key} was there before");
    Ok(())
}

async fn put_plainly(store: Arc<dyn ObjectStore>, prefix: String, file: File) -> Result<()> {
    let bytes = tokio::fs::read(&file.path).await?;
    store.put(&format!("{prefix}/{}", file.hash).into(), PutPayload::from(bytes)).await?;
    Ok(())
}

/// Makes room.
async fn remove(beside: &Beside, prefix: &str, files: &[File]) -> Result<()> {
    for file in files {
        let key = format!("{prefix}/{}", file.hash);
        beside.ours.delete(&key).await?;
        beside.plain.delete(&key.into()).await?;
    }
    Ok(())
}
