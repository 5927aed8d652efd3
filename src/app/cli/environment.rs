//! Reads the command line and the environment variables that are settings.
//!
//! The rule: a variable whose name begins with `CUSTOMS_` is a setting. If its name is similar to a
//! setting's, the start fails and names that setting: an ignored misspelling would leave the
//! default in force, which may allow more. If its name is not similar to any, such as
//! `CUSTOMS_VERSION`, a warning says that it is ignored. The known names come from the command line
//! itself, so there is no second list. One family is skipped without a warning, because no user
//! writes it: Kubernetes adds a Service's address to each container of its namespace as
//! `NAME_SERVICE_HOST`, `NAME_PORT` and so on, and a Service may be called `customs` or
//! `customs-...`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::ExitCode;

use super::{Cli, Command, command, try_parse};
use crate::app::settings::{PREFIX, SETTINGS, Written};
use crate::app::{BAD_SETTING, print_error};
use crate::ops::telemetry;
use customs_policy::printable;
use customs_policy::suggestion;

/// Reads the command line and the environment.
///
/// # Errors
/// Returns the exit code, after it has printed what is wrong, or the help or version that was
/// requested.
pub fn parse() -> Result<Cli, ExitCode> {
    // Checked first: a misspelt variable explains most other errors.
    let all = std::env::vars_os()
        .map(|(name, value)| (lossy(&name), lossy(&value)))
        .collect();
    let cli = try_parse().map_err(|wrong| print_clap_error(&wrong))?;
    let unknown = if reads_settings(&cli.command) {
        unknown(&all)
    } else {
        Vec::new()
    };
    unknown
        .iter()
        .for_each(|unknown| print_error(&unknown.to_string()));
    if unknown.iter().any(|unknown| unknown.meant.is_some()) {
        Err(BAD_SETTING.into())
    } else {
        Ok(cli)
    }
}

fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// Returns whether a command reads settings from the environment too.
fn reads_settings(command: &Command) -> bool {
    match command {
        Command::Serve(_)
        | Command::Lint(_)
        | Command::Test(_)
        | Command::Check(_)
        | Command::Diff(_)
        | Command::Replay(_)
        | Command::Suggest(_)
        | Command::Doctor(_)
        | Command::Prove(_)
        | Command::WhoCan(_)
        | Command::CanReach(_)
        | Command::Revision(_) => true,
        Command::Settings
        | Command::At(_)
        | Command::Status(_)
        | Command::Mesh { .. }
        | Command::Audit { .. }
        | Command::Schema { .. }
        | Command::Completions { .. }
        | Command::Explain(_)
        | Command::Man { .. } => false,
    }
}

/// Prints what is wrong with the command line, or its help, in clap's colours. clap repeats its
/// input, so text that is not printable is escaped and loses its colours.
fn print_clap_error(wrong: &clap::Error) -> ExitCode {
    let given = std::env::args_os().chain(std::env::vars_os().map(|(_, value)| value));
    if given
        .map(|text| lossy(&text))
        .all(|text| printable::is_printable(&text))
    {
        // An error here cannot be reported.
        let _ = wrong.print();
    } else {
        use std::io::Write;
        let text = wrong.render().to_string();
        let _ = std::io::stderr().write_all(printable::page(&text).as_bytes());
    }
    ExitCode::from(u8::try_from(wrong.exit_code()).unwrap_or(BAD_SETTING))
}

/// Returns every variable that is read.
fn known() -> BTreeSet<String> {
    fn of(command: &clap::Command) -> BTreeSet<String> {
        let own = command
            .get_arguments()
            .filter_map(|argument| argument.get_env())
            .map(lossy);
        own.chain(command.get_subcommands().flat_map(of)).collect()
    }
    let mut known = of(&command());
    known.insert(telemetry::VARIABLE.to_owned());
    known
}

/// A variable that has the prefix of settings and is not one.
#[derive(Debug)]
struct UnknownVariable {
    name: String,
    meant: Option<Suggestion>,
}

/// The setting that was meant.
#[derive(Debug)]
enum Suggestion {
    /// The setting of this variable.
    Variable(String),
    /// A setting without a variable.
    FileOnly(String),
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownVariable { name, meant } = self;
        let hint = match meant {
            None => {
                return write!(
                    f,
                    "warning: unknown setting `{name}` in the environment is ignored"
                );
            }
            Some(Suggestion::Variable(variable)) => format!("did you mean `{variable}`?"),
            Some(Suggestion::FileOnly(key)) => {
                format!("`{key}` can be set in the settings file only")
            }
        };
        write!(f, "unknown setting `{name}` in the environment: {hint}")
    }
}

/// Returns the variables that have the prefix of settings and are not settings.
fn unknown(all: &BTreeMap<String, String>) -> Vec<UnknownVariable> {
    let known = known();
    // Shell variables are often in lower case, so a lower-case name is reported only if it is
    // similar to a setting's.
    let is_ours = |name: &str| name.starts_with(PREFIX) || known.contains(&name.to_uppercase());
    let candidates = all
        .iter()
        .filter(|(name, value)| is_ours(name) && !is_service_link(name, value, all));
    let unknown = candidates.filter(|(name, _)| !known.contains(*name));
    let unknown = unknown.map(|(name, _)| {
        let upper = name.to_uppercase();
        let meant = meant(upper.strip_prefix(PREFIX).unwrap_or_default(), &known);
        let name = name.clone();
        UnknownVariable { name, meant }
    });
    unknown.collect()
}

/// Returns the setting that was probably meant by a name without its prefix.
fn meant(own: &str, known: &BTreeSet<String>) -> Option<Suggestion> {
    let names: Vec<&str> = known
        .iter()
        .filter_map(|name| name.strip_prefix(PREFIX))
        .collect();
    let in_file: Vec<&str> = SETTINGS
        .iter()
        .filter(|setting| setting.written == Written::FileOnly)
        .map(|setting| setting.name)
        .collect();
    let variable = |name: &str| Suggestion::Variable(format!("{PREFIX}{name}"));
    let near = |word: &str| {
        let named = suggestion::nearest(word, &names).map(variable);
        let key = || suggestion::nearest(&word.to_lowercase(), &in_file);
        named.or_else(|| key().map(|key| Suggestion::FileOnly(key.to_owned())))
    };
    // A name that extends a setting's name (`LISTEN_PORT`), or that ends within a word of it
    // (`ENFORCE`).
    let mut beginnings = own
        .rmatch_indices('_')
        .filter_map(|(at, _)| own.get(..at))
        .filter(|word| !word.is_empty());
    let is_cut = |name: &&&str| {
        name.strip_prefix(own)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('_'))
    };
    let cut = || names.iter().find(is_cut).filter(|_| own.len() >= SHORTEST);
    near(own)
        .or_else(|| beginnings.find_map(near))
        .or_else(|| cut().map(|name| variable(name)))
}

/// The fewest letters of a setting's name that identify it.
const SHORTEST: usize = 3;

/// Returns whether Kubernetes added a variable for a Service whose name begins with `customs`. For
/// names other than `customs` itself, all variables of the Service must exist, because
/// `CUSTOMS_LISTEN_PORT` may be a mistake.
fn is_service_link(name: &str, value: &str, all: &BTreeMap<String, String>) -> bool {
    let address = |value: &str| {
        ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
    };
    let ends = name.match_indices('_').map(|(at, _)| name.split_at(at));
    ends.filter(|(service, _)| {
        *service == "CUSTOMS" || all.contains_key(&format!("{service}_SERVICE_HOST"))
    })
    .any(|(_, rest)| match rest {
        "_SERVICE_HOST" | "_SERVICE_PORT" => true,
        "_PORT" => address(value),
        rest => {
            let is_named = |rest: &str| !rest.is_empty();
            rest.strip_prefix("_SERVICE_PORT_").is_some_and(is_named)
                || rest.strip_prefix("_PORT_").is_some_and(is_port_of_link)
        }
    })
}

/// Returns whether the name ends like `9191_TCP` or `9191_TCP_ADDR`.
fn is_port_of_link(rest: &str) -> bool {
    let mut parts = rest.split('_');
    let number = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
    let protocol = parts
        .next()
        .is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part));
    let what = parts
        .next()
        .is_none_or(|part| ["PROTO", "PORT", "ADDR"].contains(&part));
    number && protocol && what && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Vec<UnknownVariable> {
        unknown(
            &variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    fn reported(variables: &[(&str, &str)]) -> Vec<String> {
        let unknown = found(variables);
        unknown.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_variable_is_reported_with_the_setting_that_was_meant() {
        for (name, expected) in [
            ("CUSTOMS_DEFUALT", "did you mean `CUSTOMS_DEFAULT`?"),
            ("customs_default", "did you mean `CUSTOMS_DEFAULT`?"),
            ("CUSTOMS_DEFAULTS", "did you mean `CUSTOMS_DEFAULT`?"),
            ("CUSTOMS_DEFAULT_EFFECT", "did you mean `CUSTOMS_DEFAULT`?"),
            ("CUSTOMS_DEFUALT_EFFECT", "did you mean `CUSTOMS_DEFAULT`?"),
            ("CUSTOMS_POLICES", "did you mean `CUSTOMS_POLICIES`?"),
            ("CUSTOMS_POLICY", "did you mean `CUSTOMS_POLICIES`?"),
            ("CUSTOMS_POLICY_DIR", "did you mean `CUSTOMS_POLICIES`?"),
            (
                "CUSTOMS_REQUIRE_POLICIES",
                "did you mean `CUSTOMS_REQUIRE_POLICY`?",
            ),
            ("CUSTOMS_ENFORCE", "did you mean `CUSTOMS_ENFORCEMENT`?"),
            (
                "CUSTOMS_ENFORCEMENT_MODE",
                "did you mean `CUSTOMS_ENFORCEMENT`?",
            ),
            (
                "CUSTOMS_TRUST_DOMAIN",
                "did you mean `CUSTOMS_TRUST_DOMAINS`?",
            ),
            ("CUSTOMS_LOGS", "did you mean `CUSTOMS_LOG`?"),
            ("CUSTOMS_LOG_LEVEL", "did you mean `CUSTOMS_LOG`?"),
            (
                "CUSTOMS_GATEWAY",
                "`gateway` can be set in the settings file only",
            ),
            (
                "CUSTOMS_GATEWAY_NAME",
                "`gateway` can be set in the settings file only",
            ),
            (
                "CUSTOMS_AUDIT_LOG",
                "`audit_log` can be set in the settings file only",
            ),
            ("CUSTOMS_LISTEN_PORT", "CUSTOMS_LISTEN`?"),
        ] {
            let all = found(&[(name, "deny")]);
            assert!(all.len() == 1 && all[0].meant.is_some(), "{name}");
            let sentence = all[0].to_string();
            assert!(sentence.contains(expected), "{name}: {sentence}");
        }
    }

    #[test]
    fn a_foreign_variable_is_reported_and_ignored() {
        let names = [
            "NAMESPACE",
            "VERSION",
            "POD_NAME",
            "BINARY",
            "BIN",
            "ISTIO_CASES",
            "PORT",
            "CLUSTER",
            "IMAGE",
            "",
        ];
        for name in names.map(|name| format!("{PREFIX}{name}")) {
            let all = found(&[(&name, "x")]);
            assert!(all.len() == 1 && all[0].meant.is_none(), "{name}");
            let expected =
                format!("warning: unknown setting `{name}` in the environment is ignored");
            assert_eq!(all[0].to_string(), expected);
        }
    }

    #[test]
    fn settings_and_what_is_not_ours_are_left_alone() {
        let all: Vec<(String, String)> = known()
            .into_iter()
            .map(|name| (name, "x".to_owned()))
            .collect();
        for setting in SETTINGS {
            let variable = setting.variable().into_iter();
            let mut missing = variable.filter(|name| !all.iter().any(|(known, _)| known == name));
            assert_eq!(missing.next(), None);
        }
        assert!(unknown(&all.into_iter().collect()).is_empty());
        let others = [
            ("CUSTOMER_NAME", "x"),
            ("customs_dir", "x"),
            ("PATH", "x"),
            ("RUST_LOG", "x"),
        ];
        assert_eq!(reported(&others), [""; 0]);
    }

    #[test]
    fn the_links_of_a_service_of_this_name_are_no_settings() {
        let links = [
            ("CUSTOMS_SERVICE_HOST", "10.96.0.7"),
            ("CUSTOMS_SERVICE_PORT", "9191"),
            ("CUSTOMS_SERVICE_PORT_GRPC", "9191"),
            ("CUSTOMS_SERVICE_PORT_GRPC_EXT_AUTHZ", "9191"),
            ("CUSTOMS_PORT", "tcp://10.96.0.7:9191"),
            ("CUSTOMS_PORT_9191_TCP", "tcp://10.96.0.7:9191"),
            ("CUSTOMS_PORT_9191_TCP_PROTO", "tcp"),
            ("CUSTOMS_PORT_9191_TCP_PORT", "9191"),
            ("CUSTOMS_PORT_9191_TCP_ADDR", "10.96.0.7"),
            ("CUSTOMS_TAIL_SERVICE_HOST", "10.96.0.8"),
            ("CUSTOMS_TAIL_SERVICE_PORT", "9193"),
            ("CUSTOMS_TAIL_PORT", "tcp://10.96.0.8:9193"),
            ("CUSTOMS_TAIL_PORT_9193_TCP_ADDR", "10.96.0.8"),
        ];
        assert_eq!(reported(&links), [""; 0]);
        for (name, value) in [
            ("CUSTOMS_PORT", "9191"),
            ("CUSTOMS_PORTS", "tcp://10.96.0.7:9191"),
            ("CUSTOMS_PORT_9191", "tcp://10.96.0.7:9191"),
            ("CUSTOMS_PORT_X_TCP", "tcp://10.96.0.7:9191"),
            ("CUSTOMS_PORT_9191_TCP_HOST", "10.96.0.7"),
            ("CUSTOMS_PORT_9191_TCP_ADDR_X", "10.96.0.7"),
            ("CUSTOMS_SERVICE_PORT_", "9191"),
            ("CUSTOMS_SERVICE", "x"),
            ("CUSTOMS_OTHER_PORT", "tcp://10.96.0.7:9191"),
        ] {
            assert_eq!(reported(&[(name, value)]).len(), 1, "{name}");
        }
    }
}
