//! What all telemetry of this process says about its origin.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use uuid::Uuid;

/// The name of the instrumentation: customs itself.
pub(crate) const SCOPE: &str = "customs";

/// Returns the resource: the service, its version and this process; then what the variables name,
/// which counts before that.
pub(crate) fn resource(version: &str, named: &[(String, String)]) -> Resource {
    let own = [
        ("service.name", SCOPE.to_owned()),
        ("service.version", version.to_owned()),
        ("service.instance.id", Uuid::new_v4().to_string()),
        ("telemetry.sdk.name", "opentelemetry".to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
    ];
    let own = own.map(|(name, value)| KeyValue::new(name, value));
    let named = named
        .iter()
        .map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    // The SDK's own detectors would read the variables again, and skip what they cannot read.
    Resource::builder_empty()
        .with_attributes(own)
        .with_attributes(named)
        .build()
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::*;

    #[test]
    fn what_the_variables_name_counts_first() {
        let named = [
            ("service.name".to_owned(), "customs-east".to_owned()),
            ("k8s.pod.name".to_owned(), "customs-0".to_owned()),
        ];
        let resource = resource("1.2.3", &named);
        let value = |name| {
            let value = resource.get(&Key::from_static_str(name));
            value.map(|value| value.to_string())
        };
        assert_eq!(value("service.name").as_deref(), Some("customs-east"));
        assert_eq!(value("service.version").as_deref(), Some("1.2.3"));
        assert_eq!(value("k8s.pod.name").as_deref(), Some("customs-0"));
        assert!(value("service.instance.id").is_some_and(|id| id.len() == 36));
    }
}
