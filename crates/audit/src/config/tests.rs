//! Tests of the sinks as in the settings.

use super::*;

fn wrong(text: &str) -> String {
    text.parse::<SinkConfig>().unwrap_err().to_string()
}

#[test]
fn a_sink_is_read_with_its_options() {
    assert_eq!("stdout".parse(), Ok(SinkConfig::to(Target::Stdout)));
    let read: SinkConfig =
        "file:/a/b:c?filter=denies&format=protobuf&on_full=drop&rotate_size=10MiB&rotate_age=24h&keep=3&gzip=true"
            .parse()
            .unwrap();
    let rotation = Rotation {
        size: Some(10 << 20),
        age: Some(Duration::from_secs(86_400)),
        keep: Some(3),
        gzip: true,
    };
    let target = Target::File("/a/b:c".into());
    let (filter, format, on_full) = (Filter::Denies, Format::Protobuf, OnFull::Drop);
    assert_eq!(
        read,
        SinkConfig {
            target,
            filter,
            format,
            pretty: None,
            on_full,
            rotation,
            otlp: OtlpOptions::default(),
            tail: TailOptions::default(),
        }
    );
    assert_eq!(read.name(), "file:/a/b:c");
    assert_eq!(
        SinkConfig::to(Target::Tail("127.0.0.1:9193".into())).format,
        Format::Protobuf
    );
    assert_eq!(
        "tail:unix:/run/x".parse::<SinkConfig>().unwrap().target,
        Target::Tail("unix:/run/x".into())
    );
}

#[test]
fn lines_for_people_are_for_stdout_and_stop_no_request() {
    for (text, on_full) in [
        ("stdout?format=pretty", OnFull::Drop),
        ("stdout?on_full=block&format=pretty", OnFull::Block),
        ("stdout?format=pretty&on_full=deny", OnFull::Deny),
    ] {
        let sink: SinkConfig = text.parse().unwrap();
        assert!(sink.pretty.is_some(), "{text}");
        assert_eq!(
            (sink.on_full, sink.format),
            (on_full, Format::Json),
            "{text}"
        );
    }
    let plain: SinkConfig = "stdout?format=json".parse().unwrap();
    assert_eq!((plain.pretty, plain.on_full), (None, OnFull::Block));
    for text in ["file:x?format=pretty", "otlp:http://x:1?format=pretty"] {
        assert!(wrong(text).contains("is for `stdout` only"), "{text}");
    }
}

#[test]
fn a_tail_has_the_options_of_its_unix_socket() {
    let text = "tail:unix:/run/x?mode=0660&on_full=drop&peers=7";
    let sink: SinkConfig = text.parse().unwrap();
    assert_eq!(
        sink.target,
        Target::Tail("unix:/run/x?mode=0660&peers=7".into())
    );
    assert_eq!(
        (sink.name().as_str(), sink.on_full),
        ("tail:unix:/run/x", OnFull::Drop)
    );
}

#[test]
fn a_build_without_network_sinks_says_so() {
    let error = SinkConfigError::NoNetworkSinks("otlp:http://x:1".into());
    assert_eq!(
        error.to_string(),
        "this build has no network sinks, so the audit log cannot go to `otlp:http://x:1`; write `stdout` or `file:PATH`, \
         or build with the feature `network-sinks`"
    );
}

#[test]
fn a_bad_sink_is_reported_with_what_to_write() {
    for (text, expected) in [
        ("", "expected `stdout`, `file:PATH`"),
        ("/tmp/x", "expected `stdout`, `file:PATH`"),
        ("file:", "`file:` needs a path"),
        ("otlp:collector:4317", "needs the URL"),
        ("tail:", "needs an address"),
        ("stdout?colour=red", "unknown option `colour`"),
        (
            "tail:127.0.0.1:1?mode=0600",
            "`mode` is for `tail:unix:PATH` only",
        ),
        ("stdout?peers=1", "`peers` is for `tail:unix:PATH` only"),
        ("stdout?keep=1", "`keep` is for files only"),
        ("otlp:http://x:1?format=json", "`format` is for files only"),
        ("file:x?rotate_size=0", "rotate_size: expected a size"),
        ("file:x?rotate_size=10MB", "rotate_size: expected a size"),
        ("file:x?rotate_age=1", "rotate_age: expected an age"),
        ("file:x?on_full=wait", "on_full: expected `block`"),
        ("file:x?filter=sample 1/0", "filter: "),
    ] {
        assert!(wrong(text).contains(expected), "{text}: {}", wrong(text));
    }
}
