//! The settings of the audit log: `audit`, `audit_durability` and `audit_log`, and the only
//! conversion from their text to what the audit log runs with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::durations::positive_duration;
use super::settings::{SettingValueError, SettingsError, section};
use super::terminal;
use customs_audit::checkpoint::Every;
use customs_audit::config::{self, SinkConfig, Target};
use customs_audit::redact::{self, RedactConfig};
use customs_audit::sink_queue::{Limits, MOST};
use customs_audit::start::{self, AuditLogConfig, AuditLogConfigError};
use customs_audit::writer::Durability;
use customs_net::{Address, ParseAddressError};
use customs_record::entry::headers::SECRET;

/// When audit records reach the disk.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuditDurability {
    /// When the operating system writes them back
    None,
    /// Within the sync interval
    Interval,
    /// Before the answer is given
    Always,
}

section! {
    /// The limits, checkpoints and redaction of the audit log.
    AuditLogSettings;

    /// How often files are synced under `audit_durability: interval`.
    sync_interval: String = "500ms".into();
    /// The most records that may wait for a sink, up to 8,388,608. The last quarter is reserved for
    /// denials, answers that differ in the dry run, and events.
    queue_records: u64 = 16_384;
    /// About the most memory that the records waiting for a sink may use. The last quarter is
    /// reserved for the same records.
    queue_size: String = "64MiB".into();
    /// How long a check waits for sinks with `on_full=block` before its answer is withheld. Keep it
    /// below the proxy's timeout.
    block_deadline: String = "100ms".into();
    /// The most checks that wait for a sink at the same time.
    waiting_checks: u64 = 1024;
    /// The number of records after which a stream gets a checkpoint.
    checkpoint_records: u64 = 10_000;
    /// The time after which a stream gets a checkpoint, if there was a record.
    checkpoint_interval: String = "60s".into();
    /// A file to which the checkpoints of file sinks are also appended; none by default.
    checkpoint_file: Option<PathBuf> = None;
    /// The Ed25519 private key (PKCS#8, PEM) that signs checkpoints; unsigned by default.
    signing_key: Option<PathBuf> = None;
    /// Headers whose values are recorded if a policy asks for them. For other headers, the record
    /// says only whether they matched.
    header_values: Vec<String> = Vec::new();
    /// What is hashed or left out of records.
    redact: Redact = Redact::default();
}

/// What is hashed or left out of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redact {
    /// The principal, as sent and as parsed: `keep`, `hash` or `drop`. Its namespace and trust
    /// domain are always recorded.
    pub principal: Redaction,
    /// The path: `keep`, `hash` or `drop`.
    pub path: Redaction,
    /// Every address of a client: `keep`, `hash` or `drop`.
    pub address: Redaction,
    /// A file with the secret key of the hashes; by default each process generates its own.
    pub key: Option<PathBuf>,
}

/// What happens to a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Redaction {
    /// It is recorded.
    #[default]
    Keep,
    /// Its keyed hash is recorded.
    Hash,
    /// It is left out.
    Drop,
}

impl Redact {
    /// Converts the text. The key file is read when the audit log starts, and not when settings are
    /// only checked.
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

/// Checks every setting of the audit log, and adds each problem.
pub(super) fn resolve(
    sinks: &[String],
    durability: AuditDurability,
    audit_log: &AuditLogSettings,
    wrong: &mut SettingsError,
) -> AuditLogConfig {
    let sync_interval =
        positive_duration("audit_log.sync_interval", &audit_log.sync_interval, wrong);
    let (sinks, numbers) = sink_configs(sinks, wrong);
    let config = AuditLogConfig {
        sinks,
        durability: match durability {
            AuditDurability::None => Durability::None,
            AuditDurability::Interval => Durability::Interval(sync_interval),
            AuditDurability::Always => Durability::Always,
        },
        limits: limits(audit_log, wrong),
        checkpoints: checkpoints(audit_log, wrong),
        redact: audit_log.redact.config(),
        checkpoint_file: audit_log.checkpoint_file.clone(),
        signing_key: audit_log.signing_key.clone(),
    };
    for (at, name) in audit_log.header_values.iter().enumerate() {
        if SECRET.contains(&name.to_ascii_lowercase().as_str()) {
            let path = format!("audit_log.header_values[{at}]");
            wrong.add(path, name, SettingValueError::SecretHeader);
        }
    }
    for error in start::check(&config) {
        let path = match &error {
            AuditLogConfigError::SameTarget { index, .. } => {
                let number = numbers.get(*index).copied().unwrap_or_default();
                format!("audit[{number}]")
            }
            AuditLogConfigError::NothingDurable => "audit_durability".to_owned(),
            _ => "audit".to_owned(),
        };
        match &error {
            AuditLogConfigError::SameTarget { sink, .. } => {
                let sink = sink.clone();
                wrong.add(path, sink, SettingValueError::AuditLog(error));
            }
            _ => wrong.add_whole(path, SettingValueError::AuditLog(error)),
        }
    }
    config
}

fn limits(audit_log: &AuditLogSettings, wrong: &mut SettingsError) -> Limits {
    let (most_records, most_bytes) = MOST;
    let bytes = match config::bytes(&audit_log.queue_size) {
        Ok(bytes) => bytes,
        Err(why) => {
            let problem = SettingValueError::Size(why);
            wrong.add("audit_log.queue_size", &audit_log.queue_size, problem);
            1
        }
    };
    if bytes > most_bytes {
        let problem = SettingValueError::OutOfRange(format!("at most {most_bytes} bytes"));
        wrong.add("audit_log.queue_size", &audit_log.queue_size, problem);
    }
    if !(1..=most_records).contains(&audit_log.queue_records) {
        let problem = SettingValueError::OutOfRange(format!("1 to {most_records}"));
        wrong.add("audit_log.queue_records", audit_log.queue_records, problem);
    }
    let deadline = &audit_log.block_deadline;
    Limits {
        records: audit_log.queue_records,
        bytes,
        waiting: audit_log.waiting_checks,
        deadline: positive_duration("audit_log.block_deadline", deadline, wrong),
    }
}

fn checkpoints(audit_log: &AuditLogSettings, wrong: &mut SettingsError) -> Every {
    let records = audit_log.checkpoint_records;
    if records == 0 {
        let problem = SettingValueError::OutOfRange("a number above 0".into());
        wrong.add("audit_log.checkpoint_records", records, problem);
    }
    let interval = &audit_log.checkpoint_interval;
    Every {
        records,
        time: positive_duration("audit_log.checkpoint_interval", interval, wrong),
    }
}

/// Returns the sinks, each with its index in the list of the settings.
fn sink_configs(texts: &[String], wrong: &mut SettingsError) -> (Vec<SinkConfig>, Vec<usize>) {
    if texts.is_empty() {
        let problem =
            SettingValueError::Empty("at least one sink, or `off` for no audit log at all");
        wrong.add_whole("audit", problem);
    }
    let is_off = |text: &&String| *text == "off";
    let other = texts.iter().find(|text| !is_off(text));
    if let (Some(at), Some(other)) = (texts.iter().position(|text| text == "off"), other) {
        let other = config::without_secrets(other);
        let what = format!("`off` must be alone; remove `off` or `{other}`");
        let path = format!("audit[{at}]");
        wrong.add(path, "off", SettingValueError::Conflict(what));
    }
    let (mut sinks, mut numbers) = (Vec::new(), Vec::new());
    for (at, text) in texts.iter().enumerate().filter(|(_, text)| !is_off(text)) {
        match sink(text) {
            Ok(sink) => {
                sinks.push(sink);
                numbers.push(at);
            }
            Err(problem) => {
                let shown = config::without_secrets(text);
                wrong.add(format!("audit[{at}]"), shown, problem);
            }
        }
    }
    (sinks, numbers)
}

fn sink(text: &str) -> Result<SinkConfig, SettingValueError> {
    let mut sink: SinkConfig = text.parse().map_err(SettingValueError::Sink)?;
    if let Some(pretty) = &mut sink.pretty {
        pretty.is_coloured = terminal::takes_colours(&std::io::stdout());
    }
    if let Target::Tail(address) = &sink.target {
        let expected = "`tail:HOST:PORT` or `tail:unix:PATH`";
        match address.parse::<Address>() {
            Ok(_) => {}
            Err(ParseAddressError::UnixOption(why)) => {
                return Err(SettingValueError::UnixOption(why));
            }
            Err(cause) => return Err(SettingValueError::Address { expected, cause }),
        }
    }
    Ok(sink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::settings::SettingsDocument;

    fn wrong(
        sinks: &[&str],
        durability: AuditDurability,
        audit_log: AuditLogSettings,
    ) -> Vec<String> {
        let sinks: Vec<String> = sinks.iter().map(ToString::to_string).collect();
        let mut wrong = SettingsError::default();
        resolve(&sinks, durability, &audit_log, &mut wrong);
        wrong.errors().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn off_means_no_sink() {
        let mut wrong = SettingsError::default();
        let config = resolve(
            &["off".into()],
            AuditDurability::None,
            &AuditLogSettings::default(),
            &mut wrong,
        );
        assert!(wrong.errors().is_empty() && config.sinks.is_empty());
    }

    #[test]
    fn sinks_that_exclude_each_other_are_refused() {
        let none = AuditDurability::None;
        for (sinks, expected) in [
            (
                &["off", "stdout"][..],
                "invalid audit[0] `off`: `off` must be alone; remove `off` or `stdout`",
            ),
            (
                &["stderr", "stdout", "stdout?filter=denies"],
                "invalid audit[2] `stdout`: this sink is named twice",
            ),
            (&[], "invalid audit: the list is empty"),
            (&["stderr"], "invalid audit[0] `stderr`: expected `stdout`"),
            (
                &["tail:9193"],
                "invalid audit[0] `tail:9193`: expected `tail:HOST:PORT`",
            ),
        ] {
            let wrong = wrong(sinks, none, AuditLogSettings::default());
            assert!(
                wrong.iter().any(|why| why.contains(expected)),
                "{sinks:?}: {wrong:?}"
            );
        }
    }

    #[test]
    fn no_message_shows_the_value_of_a_header() {
        let sinks = [
            "off",
            "otlp:https://x:1?header=authorization:s3cret&keep=1",
            "otlp:https://x:1?header=a b:s3cret",
            "otlp:https://u:s3cret@x:1",
        ];
        let wrong = wrong(&sinks, AuditDurability::None, AuditLogSettings::default());
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        for why in wrong {
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[test]
    fn always_needs_a_file_without_a_filter() {
        let always = AuditDurability::Always;
        assert!(wrong(&["stdout", "file:x"], always, AuditLogSettings::default()).is_empty());
        for sinks in [
            &["off"][..],
            &["stdout"],
            &["file:x?filter=denies"],
            &["file:x?on_full=drop"],
            &["otlp:http://x:1"],
        ] {
            let wrong = wrong(sinks, always, AuditLogSettings::default());
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
            "audit_log: {redact: {principal: hash, path: drop, key: /etc/customs/redact.key}}\n";
        let document = SettingsDocument::parse("c.yaml", text).unwrap();
        let audit_log = document.settings.audit_log;
        let mut wrong = SettingsError::default();
        let config = resolve(
            &["stdout".into()],
            AuditDurability::None,
            &audit_log,
            &mut wrong,
        );
        let (principal, path, address) = (
            redact::Redaction::Hash,
            redact::Redaction::Drop,
            redact::Redaction::Keep,
        );
        let key = Some("/etc/customs/redact.key".into());
        assert_eq!(
            (config.redact, wrong.errors().len()),
            (
                RedactConfig {
                    principal,
                    path,
                    address,
                    key
                },
                0
            )
        );
    }

    #[test]
    fn bad_bounds_are_all_reported() {
        let audit_log = AuditLogSettings {
            sync_interval: "0".into(),
            queue_records: 0,
            queue_size: "much".into(),
            block_deadline: "5".into(),
            checkpoint_records: 0,
            header_values: vec!["Cookie".into()],
            ..AuditLogSettings::default()
        };
        let wrong = wrong(&["stdout"], AuditDurability::None, audit_log);
        for key in [
            "sync_interval",
            "queue_records",
            "queue_size",
            "block_deadline",
            "checkpoint_records",
            "header_values[0] `Cookie`",
        ] {
            assert!(
                wrong
                    .iter()
                    .any(|why| why.starts_with(&format!("invalid audit_log.{key}"))),
                "{key}: {wrong:?}"
            );
        }
    }
}
