//! Requests of every class at one level: each attribute with a value for everything that the clauses
//! ask of it.
//!
//! What is here must be complete: a class without a candidate is a class that is never asked. It need
//! not be minimal, because candidates with equal answers become one class.

use std::collections::BTreeSet;

use super::cell::{DestinationKind, Hosts, LeftReason, Witness};
use super::clause::Clause;
use super::hosts::bracketed;
use super::level::Level;
use super::sample_request::{SampleRequest, SampleTarget};
use super::text_atoms::Expression;
use super::text_cache::TextCache;
use customs_engine::condition::Condition;
use customs_engine::field::Field;
use customs_engine::host::{Authority, Host};
use customs_engine::pattern::{PortPattern, TextPattern};
use customs_engine::settings::Settings;

mod address;
mod closure;
mod header;
mod path;
mod port;
mod sni;
mod text;

/// A request that represents a class.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub witness: Witness,
    /// The attribute, in words.
    pub words: String,
}

impl Candidate {
    /// Returns it with the readings of the path that were chosen before.
    pub(super) fn after(self, before: &Witness) -> Candidate {
        match (self.witness, before) {
            (Witness::Real(sample), Witness::WithReadings(_, readings)) => Candidate {
                witness: Witness::WithReadings(sample, readings.clone()),
                words: self.words,
            },
            (witness, _) => Candidate {
                witness,
                words: self.words,
            },
        }
    }

    fn of(sample: SampleRequest, words: impl Into<String>) -> Candidate {
        Candidate {
            witness: Witness::Real(sample),
            words: words.into(),
        }
    }
}

/// What the candidates of a level are made of.
#[derive(Debug)]
pub(super) struct Question<'q, 'f> {
    pub settings: &'q Settings,
    pub level: &'q Level,
    /// The clauses that ask something at this level.
    pub clauses: Vec<&'q Clause<'f>>,
    pub hosts: &'q Hosts<'f>,
    /// The request so far.
    pub sample: &'q SampleRequest,
    pub texts: &'q TextCache,
}

impl<'f> Question<'_, 'f> {
    /// Returns requests of every class.
    ///
    /// # Errors
    /// Returns why some class may be missing.
    pub(super) fn candidates(&self) -> Result<Vec<Candidate>, LeftReason> {
        match self.level {
            Level::Port => self.ports(),
            Level::Method => self.methods(),
            Level::Path => self.paths(),
            Level::Address => self.addresses(),
            Level::Sni => self.snis(),
            Level::Header(name) => self.header(name),
        }
    }

    /// The conditions of the clauses that this level asks.
    fn conditions(&self) -> impl Iterator<Item = &'f Condition> {
        let clauses = self.clauses.iter();
        clauses.flat_map(|clause| self.level.conditions(clause))
    }

    /// The patterns of conditions on a header that this level asks.
    fn header_patterns(&self) -> impl Iterator<Item = &'f TextPattern> {
        let values = self.conditions().filter_map(|condition| match condition {
            Condition::Header { values, .. } => Some(values),
            _ => None,
        });
        values.flat_map(both)
    }
}

/// The values of both lists of a field.
fn both<T>(field: &Field<T>) -> impl Iterator<Item = &T> {
    field.any_of().iter().chain(field.none_of())
}
