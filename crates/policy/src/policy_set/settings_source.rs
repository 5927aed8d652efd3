//! The settings as a source of the set. New settings are tried in the same reload as the policies,
//! and accepted as a whole or not at all.
//!
//! The rule: with new settings every source is parsed again, because documents are read with them.
//! The settings are accepted if the set then compiles and no source that changed in the same reload
//! is refused. So a change of both at once never applies the new settings to the old policies.
//! Settings that are not accepted are tried again at every later change. Before the first good set
//! there is nothing to break, so they are accepted at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{PolicySet, SourceHealth, SourceId, SourceStatus};
use crate::compile::Compiled;
use crate::problem::{Code, Place, Problem};
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;

/// Parsed settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedSettings {
    /// The settings that the set is compiled with.
    pub settings: Settings,
    /// Warnings for changes that cannot take effect while running.
    pub warnings: Vec<Problem>,
}

/// The text of the settings, or the problems that prevented the read.
pub type SettingsBytes = Result<Vec<u8>, Vec<Problem>>;

/// One read of the settings that differs from the previous one.
#[derive(Debug)]
pub struct SettingsReading {
    /// What was read.
    pub bytes: SettingsBytes,
    /// The settings, or their problems.
    pub parsed: Result<ParsedSettings, Vec<Problem>>,
}

/// The source of the settings, and their state.
#[derive(Clone, Debug)]
pub(super) struct SettingsSource {
    id: SourceId,
    bytes: Option<SettingsBytes>,
    /// Settings that are not in force.
    pending: Option<Settings>,
    /// The sources that changed in the same reload.
    changed_along: Vec<SourceId>,
    refusal: Option<Vec<Problem>>,
    warnings: Vec<Problem>,
    /// The last change.
    news: Vec<Problem>,
    last_good_at: Option<UnixNanos>,
    /// When it was last read completely.
    last_read_at: Option<UnixNanos>,
}

impl SettingsSource {
    fn new(id: SourceId) -> SettingsSource {
        SettingsSource {
            id,
            bytes: None,
            pending: None,
            changed_along: Vec::new(),
            refusal: None,
            warnings: Vec::new(),
            news: Vec::new(),
            last_good_at: None,
            last_read_at: None,
        }
    }

    pub(super) fn id(&self) -> &SourceId {
        &self.id
    }

    pub(super) fn refusal(&self) -> &[Problem] {
        self.refusal.as_deref().unwrap_or_default()
    }

    pub(super) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Returns what was put in force in this reload.
    pub(super) fn news(&self) -> &[Problem] {
        &self.news
    }

    fn accept(
        &mut self,
        SettingsReading { bytes, parsed }: SettingsReading,
        changed_along: Vec<SourceId>,
    ) {
        self.bytes = Some(bytes);
        (self.pending, self.refusal) = match parsed {
            Ok(ParsedSettings { settings, warnings }) => {
                self.warnings = warnings;
                (Some(settings), None)
            }
            Err(problems) => (None, Some(problems)),
        };
        self.changed_along = changed_along;
    }

    pub(super) fn status(&self) -> SourceStatus {
        SourceStatus {
            name: self.id.to_string(),
            state: if self.refusal.is_some() {
                SourceHealth::Refused
            } else {
                SourceHealth::Good
            },
            files: Vec::new(),
            problems: self.refusal().to_vec(),
            last_good_at: self.last_good_at,
            last_read_at: self.last_read_at,
        }
    }
}

impl PolicySet {
    /// Adds settings that may change, which are reported as a source is.
    pub fn with_settings_source(self, id: impl Into<SourceId>) -> PolicySet {
        PolicySet {
            settings_source: Some(SettingsSource::new(id.into())),
            ..self
        }
    }

    /// Whether this equals the previous read of the settings.
    pub fn are_settings_unchanged(&self, bytes: &SettingsBytes) -> bool {
        self.settings_source
            .as_ref()
            .is_none_or(|source| source.bytes.as_ref() == Some(bytes))
    }

    /// Records when the settings were read completely.
    pub fn record_settings_read(&mut self, now: UnixNanos) {
        if let Some(source) = &mut self.settings_source {
            source.last_read_at = Some(now);
        }
    }

    /// Returns the settings in force.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Accepts a read of the settings. Returns whether there was one.
    pub(super) fn accept_settings(
        &mut self,
        reading: Option<SettingsReading>,
        changed: &BTreeSet<SourceId>,
    ) -> bool {
        // In the order of the set, so that the problem names the first refused one.
        let changed_along = self
            .sources
            .iter()
            .map(|source| source.id())
            .filter(|id| changed.contains(id));
        let changed_along = changed_along.cloned().collect();
        let Some(source) = &mut self.settings_source else {
            return false;
        };
        source.news.clear();
        reading
            .map(|reading| source.accept(reading, changed_along))
            .is_some()
    }

    /// Puts pending settings in force, if there are any. Returns the set that was compiled with
    /// them.
    pub(super) fn try_settings(&mut self, now: UnixNanos) -> Option<Compiled> {
        let pending = self
            .settings_source
            .as_ref()?
            .pending
            .clone()
            .filter(|pending| *pending != *self.settings)?;
        let mut next = self.with_settings(pending);
        let tried = if self.is_ready() {
            next.try_with_policies(now).map(Some)
        } else {
            Ok(next.try_policies(now))
        };
        match tried {
            Ok(compiled) => {
                next.record_new_settings(&self.settings, now);
                *self = next;
                compiled
            }
            Err(problems) => {
                self.refuse_settings(problems);
                None
            }
        }
    }

    /// Returns the same sources, parsed with other settings.
    fn with_settings(&self, settings: Settings) -> PolicySet {
        let mut next = PolicySet {
            settings: Arc::new(settings),
            ..self.clone()
        };
        let is_ready = next.is_ready();
        for source in &mut next.sources {
            source.reparse(&next.settings, is_ready, next.loader);
        }
        next
    }

    /// Tries every source with settings that are not in force yet.
    fn try_with_policies(&mut self, now: UnixNanos) -> Result<Compiled, Vec<Problem>> {
        let compiled = match self.try_policies(now) {
            Some(compiled) => compiled,
            None => self.compile_last_good(now)?,
        };
        let mut changed_along = self
            .settings_source
            .iter()
            .flat_map(|source| &source.changed_along);
        let is_refused = |id: &&SourceId| {
            self.sources
                .iter()
                .any(|s| s.id() == *id && s.refusal.is_some())
        };
        match changed_along.find(is_refused) {
            Some(id) => Err(vec![self.waits_for(id)]),
            None => Ok(compiled),
        }
    }

    fn refuse_settings(&mut self, mut problems: Vec<Problem>) {
        let broken = self.name_owners(&problems, None);
        let Some(source) = &mut self.settings_source else {
            return;
        };
        if !broken.is_empty() {
            let text = format!(
                "with these settings {} would not load; those in force stay",
                broken.join(", ")
            );
            let problem = Problem::error(Code::BadSetting, Place::whole(source.id.as_str()), text);
            problems.insert(0, problem.hint("change both at once, or undo this change"));
        }
        source.refusal = Some(problems);
    }

    fn waits_for(&self, source: &SourceId) -> Problem {
        let name = self
            .settings_source
            .as_ref()
            .map_or("", |settings| settings.id.as_str());
        let text = format!(
            "`{source}` changed at the same time and is refused, so the settings in force stay too"
        );
        Problem::error(Code::BadSetting, Place::whole(name), text).hint(
            "fix it; or, to apply these settings without it, change the settings file and save it",
        )
    }

    fn record_new_settings(&mut self, old: &Settings, now: UnixNanos) {
        let Some(source) = &mut self.settings_source else {
            return;
        };
        let (old, new) = (old.fingerprint(), self.settings.fingerprint());
        let lines = old.lines().zip(new.lines()).filter(|(old, new)| old != new);
        let differences: Vec<String> = lines
            .map(|(old, new)| format!("`{old}` is now `{new}`"))
            .collect();
        let text = format!("the settings changed: {}", differences.join(", "));
        source.news = vec![Problem::note(
            Code::SettingChanged,
            Place::whole(source.id.as_str()),
            text,
        )];
        (source.pending, source.refusal, source.last_good_at) = (None, None, Some(now));
    }
}
