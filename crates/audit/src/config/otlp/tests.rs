//! Tests of the options of an OTLP sink, and that no value of a header is shown.

use super::*;
use crate::config::{SinkConfig, without_secrets};

const SECRET: &str = "Bearer s3cret";

fn parse(text: &str) -> Result<SinkConfig, String> {
    text.parse()
        .map_err(|why: crate::config::SinkConfigError| why.to_string())
}

#[test]
fn options_are_read() {
    let text = format!(
        "otlp:https://collector.example:4317?ca=/etc/ca.pem&certificate=/etc/tls.pem&private_key=/etc/tls.key\
         &server_name=other.example&header=Authorization: {SECRET}&header=x-tenant:a=b:c&headers_file=/etc/headers&on_full=drop"
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.name(), "otlp:https://collector.example:4317");
    let options = &config.otlp;
    assert_eq!(options.server_name.as_deref(), Some("other.example"));
    assert_eq!(
        options.headers_file.as_deref(),
        Some("/etc/headers".as_ref())
    );
    let files = options.files();
    assert_eq!(files.authorities.as_deref(), Some("/etc/ca.pem".as_ref()));
    let identity = files.identity.unwrap();
    assert_eq!(identity.certificate, PathBuf::from("/etc/tls.pem"));
    assert_eq!(identity.private_key, PathBuf::from("/etc/tls.key"));
    let metadata = options.headers.metadata();
    assert_eq!(metadata.get("authorization").unwrap(), SECRET);
    assert_eq!(metadata.get("x-tenant").unwrap(), "a=b:c");
    assert!(metadata.get("authorization").unwrap().is_sensitive());
}

#[test]
fn without_files_the_authorities_of_the_system_are_trusted() {
    let config = parse("otlp:https://collector.example").unwrap();
    assert_eq!(config.otlp, OtlpOptions::default());
    assert_eq!(config.otlp.files(), ClientFiles::default());
}

#[test]
fn bad_options_are_reported_with_what_to_write() {
    for (options, expected) in [
        (
            "http://x:1?ca=a",
            "`ca` needs TLS: write `otlp:https://HOST:PORT`",
        ),
        (
            "http://x:1?certificate=a&private_key=b",
            "`certificate` needs TLS",
        ),
        ("http://x:1?server_name=a", "`server_name` needs TLS"),
        (
            "https://x:1?certificate=a",
            "`certificate` needs the option `private_key`",
        ),
        (
            "https://x:1?private_key=a",
            "`private_key` needs the option `certificate`",
        ),
        ("https://x:1?ca=", "ca: expected a path"),
        ("https://x:1?headers_file=", "headers_file: expected a path"),
        (
            "https://x:1?server_name=a b",
            "server_name: expected a name or an IP address",
        ),
        ("https://x:1?header=a", "header: expected `NAME:VALUE`"),
        (
            "https://x:1?header=a b:c",
            "header: the name `a b` cannot be sent",
        ),
        (
            "https://x:1?header=:c",
            "header: the name `` cannot be sent",
        ),
        (
            "https://x:1?header=x-bin:c",
            "header: the name `x-bin` cannot be sent",
        ),
        (
            "https://x:1?header=grpc-timeout:1S",
            "`grpc-timeout` belongs to the protocol",
        ),
        ("https://x:1?header=TE:x", "`te` belongs to the protocol"),
        ("https://x:1?header=a:b&header=A:c", "`a` is given twice"),
        ("https://user:password@x:1", "needs the URL"),
        ("https://", "needs the URL"),
        ("ftp://x:1", "needs the URL"),
    ] {
        let why = parse(&format!("otlp:{options}")).unwrap_err();
        assert!(why.contains(expected), "{options}: {why}");
    }
    for text in [
        "stdout?header=a:b",
        "file:x?ca=a",
        "tail:127.0.0.1:1?server_name=a",
    ] {
        let why = parse(text).unwrap_err();
        assert!(
            why.contains("is for `otlp:` only: remove it"),
            "{text}: {why}"
        );
    }
}

#[test]
fn no_value_of_a_header_is_shown() {
    let secret = "s3cret\u{e9}";
    for text in [
        format!("otlp:https://x:1?header=a:{secret}"),
        format!("otlp:https://x:1?header=a b:{secret}"),
        format!("otlp:https://x:1?header=te:{secret}"),
        format!("otlp:https://x:1?header=a:1&header=a:{secret}"),
        format!("otlp:https://x:1?header={secret}"),
        format!("stdout?header=a:{secret}"),
        "otlp:https://x:1?header=a:s3cret&header=b:s3cret".to_owned(),
    ] {
        let read = text.parse::<SinkConfig>();
        let shown = format!("{read:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        if let Err(why) = read {
            assert!(!why.to_string().contains("s3cret"), "{why}");
        }
        let masked = without_secrets(&text);
        assert!(!masked.contains("s3cret"), "{masked}");
    }
    assert_eq!(
        without_secrets("otlp:https://x:1?header=a:secret&on_full=drop&header=b"),
        "otlp:https://x:1?header=a:***&on_full=drop&header=***"
    );
    assert_eq!(without_secrets("file:x?keep=1"), "file:x?keep=1");
    assert_eq!(
        without_secrets("otlp:https://user:password@x:1/?a=b"),
        "otlp:https://***@x:1/?a=b"
    );
}
