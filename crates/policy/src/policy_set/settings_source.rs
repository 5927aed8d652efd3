//! The settings as a source of the set: new settings are tried in the same reload as the policies, and taken whole or not.
//!
//! The rule: with new settings every source is parsed again, since documents are read with them. They are taken if then a
//! set compiles, and if no source that changed in the same reload is refused: whoever changes both at once never gets
//! the new settings with the old policies. Settings that are not taken are tried again at every later change. Before the
//! first good set there is nothing to break, and they are taken at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{PolicySet, SourceHealth, SourceId, SourceStatus};
use crate::compile::Compiled;
use crate::problem::{Code, Place, Problem};
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;

/// What the text of the settings says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedSettings {
    /// The settings that the set is compiled with.
    pub settings: Settings,
    /// What of it cannot take effect while running.
    pub warnings: Vec<Problem>,
}

/// The text of the settings, or everything that kept it from being read.
pub type SettingsBytes = Result<Vec<u8>, Vec<Problem>>;

/// One read of the settings, which is otherwise than the last.
#[derive(Debug)]
pub struct SettingsReading {
    /// What was read.
    pub bytes: SettingsBytes,
    /// What it says, or what is wrong with it.
    pub parsed: Result<ParsedSettings, Vec<Problem>>,
}

/// Where the settings come from, and what became of them.
#[derive(Clone, Debug)]
pub(super) struct SettingsSource {
    id: SourceId,
    bytes: Option<SettingsBytes>,
    /// Settings that are not in force.
    wanted: Option<Settings>,
    /// The sources that changed in the same reload.
    changed_along: Vec<SourceId>,
    refusal: Option<Vec<Problem>>,
    warnings: Vec<Problem>,
    /// What just changed.
    news: Vec<Problem>,
    last_good_at: Option<UnixNanos>,
    /// When it was last read to the end.
    last_read_at: Option<UnixNanos>,
}

impl SettingsSource {
    fn new(id: SourceId) -> SettingsSource {
        SettingsSource {
            id,
            bytes: None,
            wanted: None,
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

    /// What was put in force in this reload.
    pub(super) fn news(&self) -> &[Problem] {
        &self.news
    }

    fn accept(
        &mut self,
        SettingsReading { bytes, parsed }: SettingsReading,
        changed_along: Vec<SourceId>,
    ) {
        self.bytes = Some(bytes);
        (self.wanted, self.refusal) = match parsed {
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
    /// The same set with settings that may change, which are told of as a source is.
    pub fn with_settings_source(self, id: impl Into<SourceId>) -> PolicySet {
        PolicySet {
            settings_source: Some(SettingsSource::new(id.into())),
            ..self
        }
    }

    /// Whether this is what was read of the settings before.
    pub fn are_settings_unchanged(&self, bytes: &SettingsBytes) -> bool {
        self.settings_source
            .as_ref()
            .is_none_or(|source| source.bytes.as_ref() == Some(bytes))
    }

    /// Notes when the settings were read to the end.
    pub fn record_settings_read(&mut self, now: UnixNanos) {
        if let Some(source) = &mut self.settings_source {
            source.last_read_at = Some(now);
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes in what the settings say; whether they changed.
    pub(super) fn accept_settings(
        &mut self,
        reading: Option<SettingsReading>,
        changed: &BTreeSet<SourceId>,
    ) -> bool {
        // In the order of the set, so that the first that is refused is named.
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

    /// Puts wanted settings in force, if there are some; the set that is compiled with them.
    pub(super) fn try_settings(&mut self, now: UnixNanos) -> Option<Compiled> {
        let wanted = self
            .settings_source
            .as_ref()?
            .wanted
            .clone()
            .filter(|wanted| *wanted != *self.settings)?;
        let mut next = self.with_settings(wanted);
        let tried = if self.published {
            next.try_with_policies(now).map(Some)
        } else {
            Ok(next.try_policies(now))
        };
        match tried {
            Ok(compiled) => {
                next.tell_new_settings(&self.settings, now);
                *self = next;
                compiled
            }
            Err(problems) => {
                self.refuse_settings(problems);
                None
            }
        }
    }

    /// The same sources as they are with other settings.
    fn with_settings(&self, settings: Settings) -> PolicySet {
        let mut next = PolicySet {
            settings: Arc::new(settings),
            ..self.clone()
        };
        for source in &mut next.sources {
            source.reparse(&next.settings, next.published, next.loader);
        }
        next
    }

    /// Tries everything with settings that are not in force yet.
    fn try_with_policies(&mut self, now: UnixNanos) -> Result<Compiled, Vec<Problem>> {
        let compiled = match self.try_policies(now) {
            Some(compiled) => compiled,
            None => self.compile_last_good()?,
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

    fn tell_new_settings(&mut self, old: &Settings, now: UnixNanos) {
        let Some(source) = &mut self.settings_source else {
            return;
        };
        let (old, new) = (old.fingerprint(), self.settings.fingerprint());
        let lines = old.lines().zip(new.lines()).filter(|(old, new)| old != new);
        let told: Vec<String> = lines
            .map(|(old, new)| format!("`{old}` is now `{new}`"))
            .collect();
        let text = format!("the settings changed: {}", told.join(", "));
        source.news = vec![Problem::note(
            Code::SettingChanged,
            Place::whole(source.id.as_str()),
            text,
        )];
        (source.wanted, source.refusal, source.last_good_at) = (None, None, Some(now));
    }
}
