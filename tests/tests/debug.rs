use alluvium_tests::campaign::workload::{self, Recording};
use alluvium_tests::sim::*;
#[test]
fn debug() {
    let cut: usize = std::env::var("CUT").unwrap().parse().unwrap();
    let recording = Recording::make(1, workload::steps(1, 260), None).unwrap();
    for (i, c) in recording.journal.iter().enumerate().take(cut+2).skip(cut.saturating_sub(40)) {
        let text = match c { Change::Write(ino, at, data) => format!("Write({ino}, {at}, {} bytes)", data.len()), other => format!("{other:?}") };
        println!("{i}: {text}");
    }
    let a = recording.allowed(cut);
    for s in a.step.saturating_sub(6)..=a.step { println!("step {s}: {}", &format!("{:?}", recording.steps[s]).chars().take(200).collect::<String>()); }
    let image = recording.device(cut).after_power_cut(&mut fastrand::Rng::with_seed(1 ^ (cut as u64) << 20));
    for (p, c) in &image.files { println!("{} {}", p.display(), c.len()); }
    let m = Machine::from_image(&image, 1);
    let db = m.open(small_settings()).unwrap();
    println!("{:#?}", db.inspect().unwrap().receipts);
    println!("{:?}", db.verify(&mut |_, _| {}));
}
