//! Variables that cannot be followed stop the start, and say what to write.

use customs_test_support::server::Plan;

use crate::POLICY;

fn plan(variables: &[(&str, &str)]) -> Plan {
    let plan = Plan::with("--audit file:out/audit.jsonl").file("policies/a.yaml", POLICY);
    let each = variables.iter();
    each.fold(plan, |plan, (name, value)| plan.environment(name, value))
}

#[test]
fn a_wrong_variable_is_an_error_at_the_start() {
    let url = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
    let https = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4317");
    for (variables, expected) in [
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317")][..],
            "invalid OTEL_EXPORTER_OTLP_ENDPOINT `127.0.0.1:4317`: expected the URL",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPONT", "http://127.0.0.1:4317")],
            "did you mean `OTEL_EXPORTER_OTLP_ENDPOINT`?",
        ),
        (
            &[url, ("OTEL_TRACES_SAMPLER", "sometimes")],
            "OTEL_TRACES_SAMPLER `sometimes`",
        ),
        (
            &[url, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            "expected `grpc`",
        ),
        (
            &[https, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "none.pem")],
            "cannot use TLS for traces",
        ),
    ] {
        let ended = plan(variables).fails();
        assert_eq!(ended.code, Some(2), "{variables:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(expected),
            "{expected}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_variable_of_another_program_is_ignored_with_a_warning() {
    let mut server = plan(&[("OTEL_POD_IP", "10.1.2.3"), ("OTEL_SERVICE_NAME", "x")]).start();
    let ended = server.stop();
    let warning = "unknown variable in the environment is ignored";
    let lines: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains(warning))
        .collect();
    assert_eq!(lines.len(), 1, "{}", ended.stderr);
    assert!(lines[0].contains("OTEL_POD_IP"), "{lines:?}");
}
