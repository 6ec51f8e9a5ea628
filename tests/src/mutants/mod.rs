//! Mutants: one safeguard taken out at a time. Each must turn some test red.

use std::fs;
use std::path::Path;

/// One change to the sources.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// What it takes out.
    pub name: String,
    /// The file, from the root of the project.
    pub file: String,
    old: String,
    new: String,
}

impl Mutant {
    /// All of them, as `list.txt` has them: a line `== name`, a line `file path`, then lines to take out (`-`) and to put in
    /// their place (`+`).
    pub fn all() -> Vec<Mutant> {
        format!("\n{}", include_str!("list.txt")).split("\n== ").skip(1).map(Mutant::parse).collect()
    }

    fn parse(text: &str) -> Mutant {
        let mut lines = text.lines();
        let name = lines.next().expect("a name").to_owned();
        let file = lines.next().and_then(|line| line.strip_prefix("file ")).expect("a file").to_owned();
        let mut mutant = Mutant { name, file, old: String::new(), new: String::new() };
        for line in lines {
            let (side, line) = match line.split_at_checked(1) {
                Some(("-", line)) => (&mut mutant.old, line),
                Some(("+", line)) => (&mut mutant.new, line),
                _ => panic!("{}: {line:?} is neither old nor new", mutant.name),
            };
            side.push_str(line);
            side.push('\n');
        }
        mutant
    }

    /// The source with the change, or why it cannot be made: the list has to follow the sources.
    pub fn change(&self, source: &str) -> Result<String, String> {
        match source.matches(&self.old).count() {
            1 => Ok(source.replace(&self.old, &self.new)),
            found => Err(format!("{}: its lines are {found} times in {}, not once", self.name, self.file)),
        }
    }

    /// Makes the change in a copy of the project, and answers what stood there before.
    pub fn apply(&self, root: &Path) -> Result<String, String> {
        let path = root.join(&self.file);
        let before = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        fs::write(&path, self.change(&before)?).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_still_has_its_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
        let sources = |mutant: &Mutant| fs::read_to_string(root.join(&mutant.file)).expect("a source");
        let lost: Vec<_> = Mutant::all().iter().filter_map(|mutant| mutant.change(&sources(mutant)).err()).collect();
        assert_eq!(lost, [""; 0]);
        assert!(Mutant::all().len() > 30);
    }
}
