//! The JSON documents that commands print with `--format json`, field by field. The reference follows
//! from this table, and a test compares it with what the commands print.

mod authors;
mod operators;

/// A document.
#[derive(Clone, Copy, Debug)]
pub struct JsonOutput {
    /// The command that prints it.
    pub command: &'static str,
    /// The version of its format.
    pub version: u32,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its fields with their meanings: `problems[].code` is a field of each of `problems`. A field
    /// that ends with `.*` is described elsewhere.
    pub fields: &'static [(&'static str, &'static str)],
}

const fn document(
    command: &'static str,
    about: &'static str,
    fields: &'static [(&'static str, &'static str)],
) -> JsonOutput {
    JsonOutput {
        command,
        version: 1,
        about,
        fields,
    }
}

/// Returns every document, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static JsonOutput> {
    authors::DOCUMENTS.iter().chain(operators::DOCUMENTS)
}
