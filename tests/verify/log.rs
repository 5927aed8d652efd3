//! A log as customs writes it, made by other means: text, a hash and a signature, and none of the
//! code under test. It is for logs that no server writes; those that a server writes are in
//! [`real`](super::real).

use std::fmt::Write as _;
use std::ops::Range;

use customs_record::proto;
use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;
use sha2::{Digest, Sha256};

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Protobuf,
}

/// The position of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
    pub(crate) head: [u8; 32],
}

impl Place {
    pub(crate) const fn start() -> Place {
        Place {
            stream: String::new(),
            sequence: 0,
            head: [0; 32],
        }
    }
}

/// What is to be written: a kind, its fields as JSON without braces, and as a message.
pub(crate) struct Fact {
    kind: &'static str,
    text: String,
    message: proto::Record,
}

/// A file that grows.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
    /// The bytes of each record, with what delimits it.
    pub(crate) records: Vec<Range<usize>>,
    /// The position of the stream behind each of them.
    pub(crate) places: Vec<Place>,
    pub(crate) at: Place,
    /// The checkpoint file.
    pub(crate) checkpoints: String,
    pub(crate) key: Option<SigningKey>,
    pub(crate) clock: u64,
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn public_pem(key: &SigningKey) -> String {
    key.verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

const MIDNIGHT: i64 = 1_795_478_400;

fn time(clock: u64) -> String {
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("2026-11-24T{hour:02}:{minute:02}:{second:02}.000000000Z")
}

impl Log {
    /// The file of a stream without a stream before it.
    pub(crate) fn new(format: Format, stream: &str) -> Log {
        let mut log = Log::empty(format, 0);
        log.begin(stream, &Place::start(), 0);
        log
    }

    pub(crate) fn empty(format: Format, clock: u64) -> Log {
        let (bytes, records, places, checkpoints) =
            (Vec::new(), Vec::new(), Vec::new(), String::new());
        Log {
            format,
            bytes,
            records,
            places,
            at: Place::start(),
            checkpoints,
            key: Some(key(7)),
            clock,
        }
    }

    /// Another file of the same stream.
    pub(crate) fn rotated(&self) -> Log {
        let mut log = Log {
            at: self.at.clone(),
            ..Log::empty(self.format, self.clock)
        };
        log.checkpoints.clone_from(&self.checkpoints);
        log.write(link(&self.at, 0));
        log
    }

    /// Begins a stream.
    pub(crate) fn begin(&mut self, stream: &str, previous: &Place, torn_bytes: u64) {
        self.at = Place {
            stream: stream.to_owned(),
            sequence: 0,
            head: previous.head,
        };
        self.write(link(previous, torn_bytes));
    }

    /// Restarts the process, which appends to the same file.
    pub(crate) fn restart(&mut self, stream: &str) {
        let previous = self.at.clone();
        self.begin(stream, &previous, 0);
    }

    pub(crate) fn decisions(&mut self, count: usize) {
        (0..count).for_each(|_| self.write(decision("allow")));
    }

    /// Appends a decision whose path has `bytes` bytes.
    pub(crate) fn long_decision(&mut self, bytes: usize) {
        let path = "x".repeat(bytes);
        let mut fact = decision("allow");
        fact.text += &format!(",\"path\":\"{path}\"");
        fact.message.path = path;
        self.write(fact);
    }

    pub(crate) fn gap(&mut self, denials: u64, events: u64) {
        let lost = proto::Loss {
            denials,
            events,
            ..proto::Loss::default()
        };
        let text = format!("\"lost\":{{\"denials\":\"{denials}\",\"events\":\"{events}\"}}");
        self.write(Fact {
            kind: "gap",
            text,
            message: proto::Record {
                lost: Some(lost),
                ..proto::Record::default()
            },
        });
    }

    /// Appends a checkpoint, to the checkpoint file too.
    pub(crate) fn checkpoint(&mut self, is_final: bool) {
        let (sealed, head, moment) = (self.at.clone(), hex(&self.at.head), time(self.clock + 1));
        let (stream, records) = (&sealed.stream, sealed.sequence);
        let end = if is_final { "final" } else { "open" };
        let text =
            format!("customs audit checkpoint v1\n{stream}\n{records}\n{head}\n{moment}\n{end}\n");
        let (key, signature) = self.key.as_ref().map_or_else(Default::default, |key| {
            let id = hex(&Sha256::digest(key.verifying_key().as_bytes())[..8]);
            (id, hex(&key.sign(text.as_bytes()).to_bytes()))
        });
        let mut text =
            format!("\"sealedStream\":\"{stream}\",\"records\":\"{records}\",\"head\":\"{head}\"");
        if is_final {
            text += ",\"final\":true";
        }
        if !key.is_empty() {
            write!(text, ",\"key\":\"{key}\",\"signature\":\"{signature}\"").unwrap();
        }
        let sequence = records + 1;
        writeln!(
            self.checkpoints,
            "{{\"time\":\"{moment}\",\"kind\":\"checkpoint\",\"stream\":\"{stream}\",\"sequence\":\"{sequence}\",{text},\"sink\":\"file:a\"}}"
        )
        .unwrap();
        let (sealed_stream, r#final) = (stream.clone(), is_final);
        let message = proto::Record {
            sealed_stream,
            records,
            head,
            r#final,
            key,
            signature,
            ..proto::Record::default()
        };
        self.write(Fact {
            kind: "checkpoint",
            text,
            message,
        });
    }

    /// Appends a record.
    pub(crate) fn write(&mut self, fact: Fact) {
        self.clock += 1;
        let from = self.bytes.len();
        let (place, bytes) = framed(self.format, &self.at, fact, self.clock);
        self.at = place;
        self.bytes.extend(bytes);
        self.records.push(from..self.bytes.len());
        self.places.push(self.at.clone());
    }

    /// A forged record, with the right number and chain for this index.
    pub(crate) fn forged(&self, index: usize) -> Vec<u8> {
        let before = match index.checked_sub(1) {
            Some(before) => self.places[before].clone(),
            None => Place {
                stream: self.at.stream.clone(),
                ..Place::start()
            },
        };
        framed(self.format, &before, decision("forged"), index as u64).1
    }

    pub(crate) fn record(&self, index: usize) -> &[u8] {
        &self.bytes[self.records[index].clone()]
    }
}

fn link(previous: &Place, torn_bytes: u64) -> Fact {
    let mut text =
        "\"sink\":\"file:a\",\"filter\":\"all\",\"format\":\"x\",\"hash\":\"sha256\"".to_owned();
    let word = str::to_owned;
    let (sink, filter, format, hash) = (word("file:a"), word("all"), word("x"), word("sha256"));
    let mut message = proto::Record {
        sink,
        filter,
        format,
        hash,
        torn_bytes,
        ..proto::Record::default()
    };
    if !previous.stream.is_empty() {
        let (stream, sequence, chain) = (&previous.stream, previous.sequence, hex(&previous.head));
        write!(
            text,
            ",\"previousStream\":\"{stream}\",\"previousSequence\":\"{sequence}\",\"previousChain\":\"{chain}\""
        )
        .unwrap();
        (
            message.previous_stream,
            message.previous_sequence,
            message.previous_chain,
        ) = (stream.clone(), sequence, chain);
    }
    if torn_bytes > 0 {
        write!(text, ",\"tornBytes\":\"{torn_bytes}\"").unwrap();
    }
    Fact {
        kind: "stream",
        text,
        message,
    }
}

pub(crate) fn decision(reason: &str) -> Fact {
    let text = format!(
        "\"effect\":\"allow\",\"reason\":\"{reason}\",\"host\":\"www.example.com\",\"method\":\"GET\""
    );
    let word = str::to_owned;
    let (effect, reason, host, method) = (
        word("allow"),
        word(reason),
        word("www.example.com"),
        word("GET"),
    );
    Fact {
        kind: "decision",
        text,
        message: proto::Record {
            effect,
            reason,
            host,
            method,
            ..proto::Record::default()
        },
    }
}

fn framed(format: Format, at: &Place, fact: Fact, clock: u64) -> (Place, Vec<u8>) {
    let (stream, sequence, kind) = (at.stream.clone(), at.sequence + 1, fact.kind);
    let body = match format {
        Format::Json => {
            let (time, text) = (time(clock), fact.text);
            format!(
                "{{\"time\":\"{time}\",\"kind\":\"{kind}\",\"stream\":\"{stream}\",\"sequence\":\"{sequence}\",{text}"
            )
            .into_bytes()
        }
        Format::Protobuf => {
            let time = Some(prost_types::Timestamp {
                seconds: MIDNIGHT + clock as i64,
                nanos: 0,
            });
            let (stream, kind) = (stream.clone(), kind.to_owned());
            proto::Record {
                time,
                kind,
                stream,
                sequence,
                ..fact.message
            }
            .encode_to_vec()
        }
    };
    let head: [u8; 32] = Sha256::new()
        .chain_update(at.head)
        .chain_update(&body)
        .finalize()
        .into();
    let chain = hex(&head);
    let bytes = match format {
        Format::Json => [body, format!(",\"chain\":\"{chain}\"}}\n").into_bytes()].concat(),
        Format::Protobuf => {
            let end = proto::Record {
                chain,
                ..proto::Record::default()
            }
            .encode_to_vec();
            let message = [body, end].concat();
            let mut framed = Vec::new();
            prost::encode_length_delimiter(message.len(), &mut framed).unwrap();
            [framed, message].concat()
        }
    };
    (
        Place {
            stream,
            sequence,
            head,
        },
        bytes,
    )
}
