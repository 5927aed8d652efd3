//! The exit codes of each command, with their meanings. The reference follows from this table, and a
//! test holds its commands to the command line.

/// The exit codes of a command.
#[derive(Clone, Copy, Debug)]
pub struct ExitCodes {
    /// The words of the command, without `customs`.
    pub command: &'static str,
    /// Each code with its meaning.
    pub codes: &'static [(u8, &'static str)],
}

const INVALID: (u8, &str) = (2, "A flag, a variable or a setting is invalid.");
const NO_ANSWER: (u8, &str) = (
    2,
    "There is no answer: a flag or a setting is invalid, or the policies do not load.",
);
const PRINTED: (u8, &str) = (0, "It is printed.");
const VERIFIED: [(u8, &str); 4] = [
    (
        0,
        "`intact`: every record is what was written, and a checkpoint that counts seals the last one.",
    ),
    (1, "`bad`: the first error is printed."),
    (
        2,
        "There is no answer: a flag is invalid, or a file cannot be read or is not an audit log.",
    ),
    (
        3,
        "`unsealed`: the log is right as far as it is sealed. For a bundle, `not proven`: nothing is \
         known to be wrong, and something is not proven.",
    ),
];

const fn of_command(command: &'static str, codes: &'static [(u8, &'static str)]) -> ExitCodes {
    ExitCodes { command, codes }
}

/// Every command, in the order of the help.
pub const ALL: &[ExitCodes] = &[
    of_command(
        "serve",
        &[
            (0, "It stopped as requested."),
            (
                1,
                "It could not start (an address in use, an audit file that cannot be opened), \
                 something failed while it ran, or a time limit passed at the end: checks were cut \
                 off or records lost.",
            ),
            INVALID,
            (
                3,
                "`require_policy` is set and the policies do not load. No address for checks was \
                 open until then.",
            ),
        ],
    ),
    of_command("settings", &[PRINTED, INVALID]),
    of_command(
        "lint",
        &[
            (
                0,
                "There is no error, and with `--deny-warnings` no warning.",
            ),
            (1, "There is one."),
            INVALID,
        ],
    ),
    of_command(
        "test",
        &[
            (0, "Every case holds."),
            (
                1,
                "A case fails, the policies or the cases have an error, or there are no cases.",
            ),
            INVALID,
        ],
    ),
    of_command("check", &[(0, "Allow."), (1, "Deny."), NO_ANSWER]),
    of_command(
        "diff",
        &[
            (0, "No request gets another verdict: `equivalent: proved`."),
            (1, "Some requests do, or a case does."),
            (2, "A set or its cases do not load, or a flag is invalid."),
            (
                3,
                "No difference was found, and some regions were not compared: `equivalent: not \
                 proved`.",
            ),
        ],
    ),
    of_command(
        "at",
        &[
            (0, "Allow."),
            (1, "Deny."),
            (
                2,
                "There is no answer: no record covers the moment, records around it are missing, or \
                 the archive lacks the revision or is damaged.",
            ),
            (
                3,
                "The servers had different policies, and their answers differ.",
            ),
        ],
    ),
    of_command(
        "replay",
        &[
            (0, "Only expected verdicts change."),
            (1, "Other verdicts change, or an expectation does not hold."),
            (
                2,
                "There is no answer, or a file could not be read to its end.",
            ),
            (3, "Some decisions cannot be answered."),
        ],
    ),
    of_command(
        "prove",
        &[
            (0, "Every guard is proved."),
            (1, "A guard is broken."),
            (
                2,
                "The policies or the guards do not load, there is no guard, or a flag is invalid.",
            ),
            (3, "No guard is broken, and one is not proved."),
        ],
    ),
    of_command(
        "who-can",
        &[
            (0, "The answer is complete."),
            NO_ANSWER,
            (3, "The answer says that something is left out."),
        ],
    ),
    of_command(
        "can-reach",
        &[
            (0, "The answer is complete."),
            NO_ANSWER,
            (3, "The answer says that something is left out."),
        ],
    ),
    of_command(
        "suggest",
        &[
            (
                0,
                "Policies were written. With `--tighten`, every grant is needed.",
            ),
            (
                1,
                "A file cannot be written. With `--tighten`, some grants are not needed.",
            ),
            (
                2,
                "There is no answer, or a file could not be read to its end.",
            ),
        ],
    ),
    of_command(
        "revision",
        &[
            (
                0,
                "It is printed. With `--from-archive`, every revision is whole.",
            ),
            (
                1,
                "The policies do not load. With `--from-archive`, something is damaged.",
            ),
            (
                2,
                "A flag or a setting is invalid, or the directory is not an archive.",
            ),
        ],
    ),
    of_command(
        "status",
        &[
            (0, "Every replica answers and is ready, and all agree."),
            (1, "One does not, or `--timeout` passed."),
            INVALID,
        ],
    ),
    of_command(
        "doctor",
        &[
            (0, "Nothing is wrong."),
            (1, "There is an error or a warning."),
            (2, "A flag is invalid, or a document cannot be read."),
        ],
    ),
    of_command("mesh istio", &[PRINTED, INVALID]),
    of_command("mesh gateway-api", &[PRINTED, INVALID]),
    of_command("mesh envoy", &[PRINTED, INVALID]),
    of_command("mesh envoy-gateway", &[PRINTED, INVALID]),
    of_command("audit verify", &VERIFIED),
    of_command("audit extract", &VERIFIED),
    of_command(
        "audit tail",
        &[
            (
                0,
                "The records ended, or as many as asked for were printed.",
            ),
            (1, "A file cannot be read, or the server does not answer."),
            INVALID,
        ],
    ),
    of_command(
        "audit stats",
        &[
            (0, "Every file was read."),
            (
                1,
                "A file could not be read to its end, or has content and no record.",
            ),
            INVALID,
        ],
    ),
    of_command(
        "audit export",
        &[
            (0, "Every file was read."),
            (
                1,
                "A file could not be read to its end or has content and no record, or a file cannot be \
                 written.",
            ),
            (2, "A flag is invalid, or this build cannot write Parquet."),
        ],
    ),
    of_command(
        "audit search",
        &[
            (0, "There are such records."),
            (1, "There are none."),
            (2, "A file could not be searched, or a flag is invalid."),
        ],
    ),
    of_command("schema", &[PRINTED, INVALID]),
    of_command("completions", &[PRINTED, INVALID]),
    of_command(
        "man",
        &[
            PRINTED,
            (1, "It cannot be written."),
            (2, "There is no such command."),
        ],
    ),
];

/// Returns the exit codes of a command.
pub fn of(command: &str) -> Option<&'static [(u8, &'static str)]> {
    let found = ALL.iter().find(|codes| codes.command == command);
    found.map(|codes| codes.codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let below: Vec<_> = command.get_subcommands().collect();
        if below.is_empty() {
            found.push(path.to_owned());
        }
        for sub in below {
            leaves(sub, format!("{path} {}", sub.get_name()).trim(), found);
        }
    }

    #[test]
    fn every_command_has_its_exit_codes() {
        let mut commands = Vec::new();
        leaves(&crate::app::cli::command(), "", &mut commands);
        let mut listed: Vec<_> = ALL.iter().map(|codes| codes.command.to_owned()).collect();
        commands.sort();
        listed.sort();
        assert_eq!(listed, commands);
        for ExitCodes { command, codes } in ALL {
            assert!(codes.is_sorted_by_key(|(code, _)| *code), "{command}");
        }
    }
}
