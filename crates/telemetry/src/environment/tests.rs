//! What the variables mean, and what is said of those that cannot be followed.

use super::*;

const URL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
const TLS: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317");

fn read(variables: &[(&str, &str)]) -> Result<Option<TelemetryConfig>, TelemetryVariablesError> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    TelemetryConfig::read(&variables.collect())
}

fn good(variables: &[(&str, &str)]) -> TelemetryConfig {
    read(variables).unwrap().expect("telemetry is on")
}

#[test]
fn telemetry_is_off_unless_an_endpoint_is_set() {
    for variables in [
        &[][..],
        &[("OTEL_SERVICE_NAME", "x")],
        &[("OTEL_TRACES_SAMPLER", "always_on")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[URL, ("OTEL_SDK_DISABLED", "true")],
        &[URL, ("OTEL_SDK_DISABLED", "TRUE")],
        &[
            URL,
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
    ] {
        assert!(read(variables).unwrap().is_none(), "{variables:?}");
    }
    let config = good(&[URL, ("OTEL_SDK_DISABLED", "false")]);
    assert!(config.traces.is_some() && config.metrics.is_some() && config.logs.is_some());
}

#[test]
fn a_variable_of_a_signal_counts_before_the_common_one() {
    let config = good(&[
        URL,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t:443"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "x-tenant=shop, authorization=Bearer%20a%2Cb",
        ),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-logs=1"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ]);
    let [traces, metrics, logs] = [config.traces, config.metrics, config.logs].map(Option::unwrap);
    assert_eq!(traces.endpoint, "https://t:443/");
    assert_eq!(metrics.endpoint, "http://c:4317/");
    assert_eq!(traces.timeout, Duration::from_millis(300));
    assert_eq!(logs.timeout, Duration::from_secs(2));
    assert_eq!(traces.headers.get("authorization").unwrap(), "Bearer a,b");
    assert_eq!(traces.headers.get("x-tenant").unwrap(), "shop");
    assert_eq!(logs.headers.get("x-logs").unwrap(), "1");
    assert_eq!(logs.headers.len(), 1);
    assert_eq!((traces.gzip, metrics.gzip), (false, true));
    assert!(
        !format!("{traces:?}").contains("Bearer"),
        "a token is not shown"
    );
}

#[test]
fn defaults_are_those_of_the_standard() {
    let config = good(&[URL]);
    let expected = BatchSettings {
        queue: 2048,
        batch: 512,
        delay: Duration::from_secs(5),
    };
    assert_eq!(config.span_batches, expected);
    assert_eq!(config.metric_interval, Duration::from_secs(60));
    assert_eq!(config.traces.unwrap().timeout, Duration::from_secs(10));
    assert!(config.follows_trace_context && config.sampler.is_parent_based);
    assert_eq!(config.sampler.root, RootSampler::Always);
}

#[test]
fn samplers_are_read_with_their_argument() {
    use RootSampler::{Always, Never, Ratio};
    for (name, argument, is_parent_based, root) in [
        ("always_on", None, false, Always),
        ("always_off", None, false, Never),
        ("traceidratio", Some("0.25"), false, Ratio(0.25)),
        ("traceidratio", None, false, Ratio(1.0)),
        ("parentbased_always_on", None, true, Always),
        ("parentbased_always_off", None, true, Never),
        ("parentbased_traceidratio", Some("1e-2"), true, Ratio(0.01)),
        ("parentbased_traceidratio", Some("0"), true, Ratio(0.0)),
    ] {
        let mut variables = vec![URL, ("OTEL_TRACES_SAMPLER", name)];
        variables.extend(argument.map(|argument| ("OTEL_TRACES_SAMPLER_ARG", argument)));
        let expected = Sampler {
            is_parent_based,
            root,
        };
        assert_eq!(good(&variables).sampler, expected, "{name}");
    }
}

#[test]
fn the_resource_has_what_the_variables_name() {
    let config = good(&[
        URL,
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "k8s.pod.name=customs-0,team=a%2Cb, service.name=other",
        ),
        ("OTEL_SERVICE_NAME", "customs-east"),
    ]);
    let expected = [
        ("k8s.pod.name", "customs-0"),
        ("team", "a,b"),
        ("service.name", "customs-east"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(config.resource, expected);
}

#[test]
fn propagators_that_are_not_read_are_refused() {
    for (text, follows) in [
        ("tracecontext", true),
        ("tracecontext,baggage", true),
        ("baggage", false),
        ("none", false),
    ] {
        let config = good(&[URL, ("OTEL_PROPAGATORS", text)]);
        assert_eq!(config.follows_trace_context, follows, "{text}");
    }
}

#[test]
fn a_value_that_cannot_be_followed_is_an_error_that_says_what_to_write() {
    for (variables, expected) in [
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")][..],
            "invalid OTEL_EXPORTER_OTLP_ENDPOINT `collector:4317`: expected the URL",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c")],
            "expected the URL",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://")],
            "expected the URL",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "x y")],
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        ),
        (
            &[("OTEL_TRACES_EXPORTER", "otlp")],
            "there is no endpoint: set OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            &[URL, ("OTEL_TRACES_EXPORTER", "zipkin")],
            "expected `otlp`, `none`",
        ),
        (
            &[URL, ("OTEL_METRICS_EXPORTER", "prometheus")],
            "OTEL_METRICS_EXPORTER",
        ),
        (
            &[URL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            "expected `grpc`: customs sends",
        ),
        (
            &[URL, ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")],
            "expected `gzip`, `none`",
        ),
        (
            &[URL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
            "expected milliseconds",
        ),
        (
            &[URL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "0")],
            "expected milliseconds",
        ),
        (
            &[URL, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca")],
            "the endpoint is without TLS",
        ),
        (
            &[TLS, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k")],
            "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        ),
        (
            &[TLS, ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c")],
            "set OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ),
        (
            &[URL, ("OTEL_TRACES_SAMPLER", "jaeger_remote")],
            "OTEL_TRACES_SAMPLER `jaeger_remote`",
        ),
        (
            &[URL, ("OTEL_TRACES_SAMPLER_ARG", "0.5")],
            "takes no argument",
        ),
        (
            &[
                URL,
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "1%"),
            ],
            "expected a part from 0 to 1",
        ),
        (
            &[
                URL,
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
            ],
            "expected a part from 0 to 1",
        ),
        (&[URL, ("OTEL_PROPAGATORS", "b3")], "`b3` is not read"),
        (
            &[URL, ("OTEL_BSP_MAX_QUEUE_SIZE", "0")],
            "expected a number from 1",
        ),
        (
            &[URL, ("OTEL_BSP_MAX_QUEUE_SIZE", "100000000000000000000")],
            "expected a number",
        ),
        (
            &[URL, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096")],
            "at most as large as the queue, 2048",
        ),
        (
            &[URL, ("OTEL_METRIC_EXPORT_INTERVAL", "1m")],
            "expected milliseconds",
        ),
        (
            &[URL, ("OTEL_RESOURCE_ATTRIBUTES", "team")],
            "expected `NAME=VALUE",
        ),
        (
            &[URL, ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz")],
            "expected `NAME=VALUE",
        ),
        (
            &[URL, ("OTEL_SDK_DISABLED", "yes")],
            "expected `true` or `false`",
        ),
        // What is disabled must be right too: somebody will enable it.
        (
            &[
                URL,
                ("OTEL_SDK_DISABLED", "true"),
                ("OTEL_PROPAGATORS", "x"),
            ],
            "`x` is not read",
        ),
    ] {
        let problem = read(variables).expect_err(expected).to_string();
        assert!(problem.contains(expected), "{variables:?}: {problem}");
        assert_eq!(problem.lines().count(), 1, "said once: {problem}");
    }
}

#[test]
fn no_message_shows_the_value_of_a_header() {
    for text in [
        "authorization",
        "a b=secret",
        "x=sec\u{7}ret",
        "x=secret%2",
        "=secret",
    ] {
        let problem = read(&[URL, ("OTEL_EXPORTER_OTLP_HEADERS", text)]).unwrap_err();
        let text = problem.to_string();
        assert!(
            text.starts_with("invalid OTEL_EXPORTER_OTLP_HEADERS: header 1 cannot"),
            "{text}"
        );
        assert!(!format!("{text}{problem:?}").contains("secret"), "{text}");
    }
}

#[test]
fn every_variable_that_is_listed_is_read() {
    // A value that no variable allows, in each of them.
    for name in known_names() {
        assert!(is_known(&name), "{name}");
        let is_free = ["OTEL_SERVICE_NAME"].contains(&name.as_str());
        let is_file = name.ends_with("CERTIFICATE") || name.ends_with("_KEY");
        let endpoint = if is_file { URL } else { TLS };
        let variables = [endpoint, (name.as_str(), "\u{7}?")];
        assert_eq!(read(&variables).is_err(), !is_free, "{name}");
    }
    for name in [
        "OTEL_EXPORTER_OTLP_X_ENDPOINT",
        "OTEL_EXPORTER_OTLP__ENDPOINT",
        "OTEL_X",
        "",
    ] {
        assert!(!is_known(name), "{name}");
    }
}
