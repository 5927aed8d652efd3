//! A client that codes headers in every way that HPACK has, by a plain table of its own: the other
//! end of the one that is tested.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::super::entry::static_name;
use super::{CHECK, Headers, text, write_number};

/// How a field is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By index, if a table has it; otherwise as `Incremental`.
    Indexed,
    Incremental,
    Without,
    Never,
}

/// How the name of a field is coded. If the table does not have it, it is spelled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameForm {
    Spelled,
    Static,
    Dynamic,
}

/// A field to code.
#[derive(Clone, Debug)]
pub(super) struct PlannedField {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
    pub(super) form: Form,
    pub(super) name_form: NameForm,
    /// The codes of the name and the value.
    pub(super) is_huffman: (bool, bool),
}

/// A block to code.
#[derive(Clone, Debug)]
pub(super) struct PlannedBlock {
    /// The sizes that the table gets first.
    pub(super) sizes: Vec<usize>,
    pub(super) path: PlannedField,
    pub(super) fields: Vec<PlannedField>,
    /// Where the block is cut into frames.
    pub(super) cuts: Vec<usize>,
    pub(super) is_withheld: bool,
}

/// The client's table.
#[derive(Debug)]
pub(super) struct Encoder {
    entries: VecDeque<(String, Vec<u8>)>,
    most: usize,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder {
            entries: VecDeque::new(),
            most: 4_096,
        }
    }

    pub(super) fn contents(&self) -> Headers {
        self.entries.iter().cloned().collect()
    }

    pub(super) fn block(&mut self, planned: &PlannedBlock) -> Vec<u8> {
        let mut out = Vec::new();
        for size in &planned.sizes {
            write_number(*size, 5, 0x20, &mut out);
            self.most = *size;
            self.evict(0);
        }
        out.extend([0x83, 0x86]);
        self.field(&planned.path, &mut out);
        for field in &planned.fields {
            self.field(field, &mut out);
        }
        out
    }

    pub(super) fn field(&mut self, field: &PlannedField, out: &mut Vec<u8>) {
        let PlannedField {
            name,
            value,
            form,
            name_form,
            is_huffman,
        } = field;
        if *form == Form::Indexed
            && let Some(index) = self.index_of(name, value)
        {
            return write_number(index, 7, 0x80, out);
        }
        let (mark, bits) = match form {
            Form::Indexed | Form::Incremental => (0x40, 6),
            Form::Without => (0, 4),
            Form::Never => (0x10, 4),
        };
        let name_index = match name_form {
            NameForm::Spelled => None,
            NameForm::Static => (1..=61).find(|index| static_name(*index) == name),
            NameForm::Dynamic => self
                .entries
                .iter()
                .position(|(known, _)| known == name)
                .map(|place| 62 + place),
        };
        write_number(name_index.unwrap_or(0), bits, mark, out);
        if name_index.is_none() {
            out.extend(text(name, is_huffman.0));
        }
        out.extend(text(value, is_huffman.1));
        if mark == 0x40 {
            let size = name.len() + value.len() + 32;
            self.evict(size);
            if size <= self.most {
                self.entries.push_front((name.clone(), value.clone()));
            }
        }
    }

    fn index_of(&self, name: &str, value: &[u8]) -> Option<usize> {
        let entry = |(known, text): &(String, Vec<u8>)| known == name && text == value;
        match (name, value) {
            (":path", b"/") => Some(4),
            (":path", b"/index.html") => Some(5),
            ("accept-encoding", b"gzip, deflate") => Some(16),
            ("content-type", b"") => Some(31),
            _ => self.entries.iter().position(entry).map(|place| 62 + place),
        }
    }

    /// Evicts entries until there is room for so much.
    fn evict(&mut self, room: usize) {
        let size = |(name, value): &(String, Vec<u8>)| name.len() + value.len() + 32;
        while self.entries.iter().map(size).sum::<usize>() + room > self.most
            && self.entries.pop_back().is_some()
        {}
    }
}

/// Paths, the one to recognize among them, and some that differ from it at one end.
fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(CHECK.to_owned()),
        1 => Just("/".to_owned()),
        1 => Just("/index.html".to_owned()),
        1 => Just(format!("{CHECK}s")),
        1 => Just(CHECK[..CHECK.len() - 1].to_owned()),
    ]
}

const NAMES: [&str; 6] = [
    "x",
    "traceparent",
    "content-type",
    "accept-encoding",
    "cookie",
    "www-authenticate",
];

/// Few names, so that they are referred to: short, long, and some of the static table.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => (250..1_800_usize).prop_map(|length| "long-".repeat(length / 5) + "name"),
    ]
}

/// Values that repeat and others that do not, some that fill the table, and some that are longer
/// than it.
fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(&["", "a", "gzip, deflate", "application/grpc"][..])
            .prop_map(|value| value.as_bytes().to_vec()),
        4 => "[ -~]{0,60}".prop_map(String::into_bytes),
        2 => prop::collection::vec(0x80..=0xff_u8, 1..40),
        1 => (100..2_100_usize).prop_map(|length| vec![b'v'; length]),
        1 => (4_000..4_100_usize).prop_map(|length| vec![b'0'; length]),
    ]
}

fn field(
    name: impl Strategy<Value = String>,
    value: impl Strategy<Value = Vec<u8>>,
) -> impl Strategy<Value = PlannedField> {
    let form = prop_oneof![
        3 => Just(Form::Indexed),
        3 => Just(Form::Incremental),
        1 => Just(Form::Without),
        1 => Just(Form::Never),
    ];
    let name_form =
        prop::sample::select(&[NameForm::Spelled, NameForm::Static, NameForm::Dynamic][..]);
    (name, value, form, name_form, any::<(bool, bool)>()).prop_map(
        |(name, value, form, name_form, is_huffman)| PlannedField {
            name,
            value,
            form,
            name_form,
            is_huffman,
        },
    )
}

prop_compose! {
    fn block()(
        sizes in prop_oneof![
            8 => Just(vec![]),
            1 => prop::collection::vec(0..=4_096_usize, 1..3),
            1 => Just(vec![4_096]),
        ],
        path in field(Just(":path".to_owned()), paths().prop_map(String::into_bytes)),
        fields in prop::collection::vec(field(names(), values()), 0..8),
        cuts in prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(any::<usize>(), 1..4)],
        is_withheld in any::<bool>(),
    ) -> PlannedBlock {
        PlannedBlock { sizes, path, fields, cuts, is_withheld }
    }
}

/// The blocks of a connection.
pub(super) fn blocks() -> impl Strategy<Value = Vec<PlannedBlock>> {
    prop::collection::vec(block(), 1..10)
}
