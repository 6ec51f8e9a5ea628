//! Every form in which something is kept as bytes: the first byte chooses it, the others are the bytes.
//!
//! What is read can be written, and what was written says the same.

use alluvium::internals::{Form, again};

/// One input.
pub fn run(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let forms: Vec<Form> = Form::all().collect();
    let form = forms[usize::from(*choice) % forms.len()];
    if let Some(written) = again(form, bytes) {
        assert_eq!(again(form, &written), Some(written), "{form:?} written and read is not what it was");
    }
}

/// The first byte of an input of this form.
pub fn choice(form: Form) -> u8 {
    Form::all().position(|one| one == form).map_or(0, |place| place as u8)
}
