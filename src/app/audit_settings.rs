//! The settings of the record: `audit`, `audit_durability` and `audit_trail`, and the one way from their text to what the
//! record runs with.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::durations::duration;
use customs_audit::checkpoint::Every;
use customs_audit::config::{self, SinkConfig, Target};
use customs_audit::redact::{self, RedactConfig};
use customs_audit::sink_queue::{Limits, MOST};
use customs_audit::start::{self, TrailConfig};
use customs_audit::writer::Durability;
use customs_net::Address;
use customs_record::entry::headers::SECRET;

/// When audit records reach the disk.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum AuditDurability {
    /// Whenever the system writes them back
    None,
    /// Within the sync interval
    Interval,
    /// Before the answer is given
    Always,
}

/// What bounds the record, what seals it, and what is left out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditTrail {
    /// How often files are synced under `audit_durability: interval`.
    pub sync_interval: String,
    /// The most records that wait for a sink; the last quarter is for denials, differing answers and events.
    pub queue_records: u64,
    /// The most memory that they hold.
    pub queue_size: String,
    /// How long a check waits for a sink that blocks, before its answer is withheld. Stay below the proxy's timeout.
    pub block_deadline: String,
    /// The most checks that wait so at the same time.
    pub waiting_checks: u64,
    /// After how many records a stream gets a checkpoint.
    pub checkpoint_records: u64,
    /// After how much time it gets one, if there was a record.
    pub checkpoint_interval: String,
    /// A file to which the checkpoints of files are appended as well; null is none.
    pub checkpoint_file: Option<PathBuf>,
    /// The Ed25519 private key (PKCS#8, PEM) that signs checkpoints; null leaves them unsigned.
    pub signing_key: Option<PathBuf>,
    /// Headers whose values are recorded where a policy asks for them; of others only whether they matched.
    pub header_values: Vec<String>,
    /// What is hashed or left out of records: `keep`, `hash` or `drop` for `principal`, `path` and `address`.
    pub redact: Redact,
}

/// What is hashed or left out of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// The principal, as sent and as read; its namespace and trust domain stay.
    pub principal: Redaction,
    /// The path.
    pub path: Redaction,
    /// Every address of a client.
    pub address: Redaction,
    /// A file with the secret that hashes are made with; without it each process draws its own.
    pub key: Option<PathBuf>,
}

/// What happens to a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Redaction {
    /// It is recorded.
    #[default]
    Keep,
    /// Its keyed hash is recorded.
    Hash,
    /// It is left out.
    Drop,
}

impl Redact {
    /// The key is read where the record starts, and not where settings are only looked at.
    fn config(&self) -> RedactConfig {
        let way = |redaction| match redaction {
            Redaction::Keep => redact::Redaction::Keep,
            Redaction::Hash => redact::Redaction::Hash,
            Redaction::Drop => redact::Redaction::Drop,
        };
        let Redact {
            principal,
            path,
            address,
            key,
        } = self;
        RedactConfig {
            principal: way(*principal),
            path: way(*path),
            address: way(*address),
            key: key.clone(),
        }
    }
}

impl Default for AuditTrail {
    fn default() -> AuditTrail {
        AuditTrail {
            sync_interval: "500ms".into(),
            queue_records: 16_384,
            queue_size: "64MiB".into(),
            block_deadline: "100ms".into(),
            waiting_checks: 1024,
            checkpoint_records: 10_000,
            checkpoint_interval: "60s".into(),
            checkpoint_file: None,
            signing_key: None,
            header_values: Vec::new(),
            redact: Redact::default(),
        }
    }
}

/// Checks every setting of the record; what is wrong is added, a sentence each.
pub fn resolve(
    sinks: &[String],
    durability: AuditDurability,
    trail: &AuditTrail,
    wrong: &mut Vec<String>,
) -> TrailConfig {
    let time = |knob: &str, text: &str, wrong: &mut Vec<String>| positive(knob, text, wrong);
    let sync_interval = time("audit_trail.sync_interval", &trail.sync_interval, wrong);
    let bytes = config::bytes(&trail.queue_size);
    let bytes = bytes
        .map_err(|why| wrong.push(format!("audit_trail.queue_size: {why}")))
        .unwrap_or_default();
    for (knob, number) in [
        ("queue_records", trail.queue_records),
        ("checkpoint_records", trail.checkpoint_records),
    ] {
        if number == 0 {
            wrong.push(format!("audit_trail.{knob}: write a number above 0"));
        }
    }
    if trail.queue_records > MOST.0 || bytes > MOST.1 {
        wrong.push(format!(
            "audit_trail: a queue holds at most {} records and {} bytes",
            MOST.0, MOST.1
        ));
    }
    for name in &trail.header_values {
        if SECRET.contains(&name.to_ascii_lowercase().as_str()) {
            wrong.push(format!(
                "audit_trail.header_values: the value of `{name}` is a secret and is never recorded"
            ));
        }
    }
    let config = TrailConfig {
        sinks: places(sinks, wrong),
        durability: match durability {
            AuditDurability::None => Durability::None,
            AuditDurability::Interval => Durability::Interval(sync_interval),
            AuditDurability::Always => Durability::Always,
        },
        limits: Limits {
            records: trail.queue_records,
            bytes,
            waiting: trail.waiting_checks,
            deadline: time("audit_trail.block_deadline", &trail.block_deadline, wrong),
        },
        checkpoints: Every {
            records: trail.checkpoint_records,
            time: time(
                "audit_trail.checkpoint_interval",
                &trail.checkpoint_interval,
                wrong,
            ),
        },
        redact: trail.redact.config(),
        checkpoint_file: trail.checkpoint_file.clone(),
        signing_key: trail.signing_key.clone(),
    };
    wrong.extend(
        start::check(&config)
            .into_iter()
            .map(|why| format!("audit: {why}")),
    );
    config
}

fn positive(knob: &str, text: &str, wrong: &mut Vec<String>) -> Duration {
    let before = wrong.len();
    let time = duration(knob, text, wrong);
    if time.is_zero() && wrong.len() == before {
        wrong.push(format!(
            "{knob}: `{text}` is no time at all; write `100ms` or `60s`"
        ));
    }
    time
}

fn places(texts: &[String], wrong: &mut Vec<String>) -> Vec<SinkConfig> {
    if texts.is_empty() {
        wrong.push("audit: the list is empty; write `off` for no record at all".into());
    }
    let is_off = texts.iter().any(|text| text == "off");
    if let Some(other) = texts.iter().find(|text| is_off && *text != "off") {
        wrong.push(format!(
            "audit: `off` stands alone; leave it out, or leave out `{other}`"
        ));
    }
    let parse = |text: &String| {
        text.parse()
            .map_err(|why| wrong.push(format!("audit: {why}")))
            .ok()
    };
    let sinks: Vec<SinkConfig> = texts
        .iter()
        .filter(|text| *text != "off")
        .filter_map(parse)
        .collect();
    for sink in &sinks {
        let Target::Tail(address) = &sink.target else {
            continue;
        };
        if let Err(why) = address.parse::<Address>() {
            wrong.push(format!("audit: `{sink}`: {why}"));
        }
    }
    sinks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(sinks: &[&str], durability: AuditDurability, trail: AuditTrail) -> Vec<String> {
        let sinks: Vec<String> = sinks.iter().map(ToString::to_string).collect();
        let mut wrong = Vec::new();
        resolve(&sinks, durability, &trail, &mut wrong);
        wrong
    }

    #[test]
    fn off_means_no_sink() {
        let mut wrong = Vec::new();
        let config = resolve(
            &["off".into()],
            AuditDurability::None,
            &AuditTrail::default(),
            &mut wrong,
        );
        assert!(wrong.is_empty() && config.sinks.is_empty());
    }

    #[test]
    fn sinks_that_exclude_each_other_are_refused() {
        let none = AuditDurability::None;
        for (sinks, expected) in [
            (
                &["off", "stdout"][..],
                "`off` stands alone; leave it out, or leave out `stdout`",
            ),
            (&["stdout", "stdout?filter=denies"], "to `stdout` twice"),
            (&[], "the list is empty"),
            (&["stderr"], "`stderr` is no place"),
            (&["tail:9193"], "`tail:9193`: invalid address `9193`"),
        ] {
            let wrong = wrong(sinks, none, AuditTrail::default());
            assert!(
                wrong.iter().any(|why| why.contains(expected)),
                "{sinks:?}: {wrong:?}"
            );
        }
    }

    #[test]
    fn always_needs_a_file_without_a_filter() {
        let always = AuditDurability::Always;
        assert!(wrong(&["stdout", "file:x"], always, AuditTrail::default()).is_empty());
        for sinks in [
            &["off"][..],
            &["stdout"],
            &["file:x?filter=denies"],
            &["file:x?on_full=drop"],
            &["otlp:http://x:1"],
        ] {
            let wrong = wrong(sinks, always, AuditTrail::default());
            assert!(
                wrong
                    .iter()
                    .any(|why| why.contains("needs a file without a filter")),
                "{sinks:?}: {wrong:?}"
            );
        }
    }

    #[test]
    fn what_is_taken_out_is_said_for_each_field() {
        let text =
            "audit_trail: {redact: {principal: hash, path: drop, key: /etc/customs/redact.key}}\n";
        let trail = super::super::settings::Settings::parse("c.yaml", text)
            .unwrap()
            .audit_trail;
        let mut wrong = Vec::new();
        let config = resolve(
            &["stdout".into()],
            AuditDurability::None,
            &trail,
            &mut wrong,
        );
        let (principal, path, address) = (
            redact::Redaction::Hash,
            redact::Redaction::Drop,
            redact::Redaction::Keep,
        );
        let key = Some("/etc/customs/redact.key".into());
        assert_eq!(
            (config.redact, wrong),
            (
                RedactConfig {
                    principal,
                    path,
                    address,
                    key
                },
                vec![]
            )
        );
    }

    #[test]
    fn bad_bounds_are_all_told() {
        let trail = AuditTrail {
            sync_interval: "0".into(),
            queue_records: 0,
            queue_size: "much".into(),
            block_deadline: "5".into(),
            checkpoint_records: 0,
            header_values: vec!["Cookie".into()],
            ..AuditTrail::default()
        };
        let wrong = wrong(&["stdout"], AuditDurability::None, trail);
        for knob in [
            "sync_interval",
            "queue_records",
            "queue_size",
            "block_deadline",
            "checkpoint_records",
            "`Cookie`",
        ] {
            assert!(
                wrong.iter().any(|why| why.contains(knob)),
                "{knob}: {wrong:?}"
            );
        }
    }
}
