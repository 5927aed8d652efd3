//! The settings file in the judgement: new settings are judged in the same round as the policies, and taken whole or not.
//!
//! The rule: with new settings every source is read anew, since documents are read with them. They are taken if then a
//! set compiles, and if no source that changed in the same round as the file is refused: whoever changes both at once
//! never gets the new settings with the old policies. Settings that are not taken are tried again at every later change.
//! Before the first good set there is nothing to break, and they are taken at once.

use super::*;

/// What a settings file means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// The settings that the set is compiled with.
    pub settings: Settings,
    /// What of it cannot take effect while running.
    pub warnings: Vec<Problem>,
}

/// The settings file as it was read.
pub type SettingsRead = Result<Vec<u8>, Vec<Problem>>;

/// What the reader found of the settings file, where that is something else than before.
#[derive(Debug)]
pub struct SettingsReading {
    /// The file.
    pub read: SettingsRead,
    /// What it means, or what is wrong with it.
    pub meaning: Result<Meant, Vec<Problem>>,
}

/// The settings file.
#[derive(Clone, Debug)]
pub(super) struct SettingsFile {
    name: String,
    read: Option<SettingsRead>,
    /// Settings that are not in force.
    wanted: Option<Settings>,
    /// The sources that changed in the same round.
    along: Vec<String>,
    refusal: Option<Vec<Problem>>,
    warnings: Vec<Problem>,
    /// What just changed.
    news: Vec<Problem>,
    good_since: Option<UnixNanos>,
    /// When it was last read to the end.
    pub(super) read_at: Option<UnixNanos>,
}

impl SettingsFile {
    fn new(name: String) -> SettingsFile {
        SettingsFile {
            name,
            read: None,
            wanted: None,
            along: Vec::new(),
            refusal: None,
            warnings: Vec::new(),
            news: Vec::new(),
            good_since: None,
            read_at: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn refusal(&self) -> &[Problem] {
        self.refusal.as_deref().unwrap_or_default()
    }

    pub(super) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What was put in force in this round.
    pub(super) fn news(&self) -> &[Problem] {
        &self.news
    }

    fn take_in(&mut self, SettingsReading { read, meaning }: SettingsReading, along: Vec<String>) {
        self.read = Some(read);
        (self.wanted, self.refusal) = match meaning {
            Ok(Meant { settings, warnings }) => {
                self.warnings = warnings;
                (Some(settings), None)
            }
            Err(problems) => (None, Some(problems)),
        };
        self.along = along;
    }

    pub(super) fn status(&self) -> SourceStatus {
        SourceStatus {
            name: self.name.clone(),
            state: if self.refusal.is_some() { SourceState::Refused } else { SourceState::Good },
            files: Vec::new(),
            problems: self.refusal().to_vec(),
            last_good_at: self.good_since,
            last_read_at: self.read_at,
        }
    }
}

impl Sources {
    /// The same sources with a settings file, which is told of as a source is.
    pub fn with_settings_file(self, name: String) -> Sources {
        Sources { file: Some(SettingsFile::new(name)), ..self }
    }

    /// Whether the settings file was found like this before.
    pub fn knows_settings(&self, read: &SettingsRead) -> bool {
        self.file.as_ref().is_none_or(|file| file.read.as_ref() == Some(read))
    }

    /// The settings in force.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes in what the settings file says; whether it changed.
    pub(super) fn take_in_settings(&mut self, reading: Option<SettingsReading>, changed: &BTreeSet<usize>) -> bool {
        let along = changed.iter().filter_map(|index| self.sources.get(*index)).map(|source| source.name.clone());
        let along = along.collect();
        let Some(file) = &mut self.file else { return false };
        file.news.clear();
        reading.map(|reading| file.take_in(reading, along)).is_some()
    }

    /// Puts wanted settings in force, if there are some; the set that is compiled with them.
    pub(super) fn renew_settings(&mut self, now: UnixNanos) -> Option<Compiled> {
        let wanted = self.file.as_ref()?.wanted.clone().filter(|wanted| *wanted != *self.settings)?;
        let mut next = self.with_settings(wanted);
        let judged = if self.published { next.judge_settings(now).map(Some) } else { Ok(next.judge_policies(now)) };
        match judged {
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
    fn with_settings(&self, settings: Settings) -> Sources {
        let mut next = Sources { settings: Arc::new(settings), ..self.clone() };
        for source in &mut next.sources {
            source.reload(&next.settings, next.published);
        }
        next
    }

    /// Judges everything with settings that are not in force yet.
    fn judge_settings(&mut self, now: UnixNanos) -> Result<Compiled, Vec<Problem>> {
        let compiled = match self.judge_policies(now) {
            Some(compiled) => compiled,
            None => self.compile(&[])?,
        };
        let along = self.file.iter().flat_map(|file| &file.along);
        let is_refused = |name: &&String| self.sources.iter().any(|s| s.name == **name && s.refusal.is_some());
        match along.clone().find(is_refused) {
            Some(name) => Err(vec![self.waits_for(name)]),
            None => Ok(compiled),
        }
    }

    fn refuse_settings(&mut self, mut problems: Vec<Problem>) {
        let broken: BTreeSet<usize> = problems.iter().filter_map(|p| owner(&self.sources, &p.place)).collect();
        let broken: Vec<String> =
            broken.iter().filter_map(|index| self.sources.get(*index)).map(|s| format!("`{}`", s.name)).collect();
        let Some(file) = &mut self.file else { return };
        if !broken.is_empty() {
            let text = format!("with these settings {} would not load; those in force stay", broken.join(", "));
            let problem = Problem::error(Code::BadSetting, Place::whole(file.name.as_str()), text);
            problems.insert(0, problem.hint("change both at once, or undo this change"));
        }
        file.refusal = Some(problems);
    }

    fn waits_for(&self, source: &str) -> Problem {
        let name = self.file.as_ref().map_or("", SettingsFile::name);
        let text = format!("`{source}` changed at the same time and is refused, so the settings in force stay too");
        Problem::error(Code::BadSetting, Place::whole(name), text)
            .hint("repair it; or to have these settings without it, save the settings file once more, changed")
    }

    fn tell_new_settings(&mut self, old: &Settings, now: UnixNanos) {
        let Some(file) = &mut self.file else { return };
        let (old, new) = (old.fingerprint(), self.settings.fingerprint());
        let lines = old.lines().zip(new.lines()).filter(|(old, new)| old != new);
        let told: Vec<String> = lines.map(|(old, new)| format!("`{old}` is now `{new}`")).collect();
        let text = format!("the settings changed: {}", told.join(", "));
        file.news = vec![Problem::note(Code::SettingChanged, Place::whole(file.name.as_str()), text)];
        (file.wanted, file.refusal, file.good_since) = (None, None, Some(now));
    }
}
