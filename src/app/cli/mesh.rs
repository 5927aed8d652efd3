//! The flags of `customs mesh`, and the names that they take.
//!
//! The rule: a name that Kubernetes or Istio would refuse, or would take for something else, is
//! refused here, so that what is printed can be applied as it is.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::operators::duration;

/// The systems that `mesh` writes configuration for.
#[derive(Debug, Subcommand)]
pub enum MeshCommand {
    /// Print the provider and the CUSTOM policy of Istio
    ///
    /// With --host, the command prints the route of a host through the gateway too.
    Istio(IstioArgs),
    /// Print the CUSTOM policy for a Gateway that Istio runs
    ///
    /// The Gateway is one of the Kubernetes Gateway API.
    GatewayApi(GatewayApiArgs),
    /// Print the filters and the cluster of an Envoy
    ///
    /// They are for an Envoy without a control plane.
    Envoy(EnvoyArgs),
    /// Print the SecurityPolicy of Envoy Gateway
    ///
    /// The policy makes a Gateway of Envoy Gateway ask customs.
    EnvoyGateway(EnvoyGatewayArgs),
}

/// How a gateway asks customs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Provider")]
pub struct ProviderArgs {
    /// The host of customs' Service
    #[arg(long, value_name = "HOST", default_value = "customs.customs-system.svc.cluster.local", value_parser = host)]
    pub(crate) service: String,
    /// The port of customs' Service
    #[arg(long, value_name = "N", default_value_t = 9191, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// How long the gateway waits for an answer
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = timeout)]
    pub(crate) timeout: Duration,
    /// Let requests pass if customs does not answer, for a trial
    #[arg(long)]
    pub(crate) fail_open: bool,
}

/// The flags of `mesh istio`.
#[derive(Debug, Args)]
pub struct IstioArgs {
    /// The provider's name
    #[arg(long, value_name = "NAME", default_value = "customs", value_parser = provider_name)]
    pub(crate) provider_name: String,
    /// The namespace of the egress gateway
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system", value_parser = label_name)]
    pub(crate) gateway_namespace: String,
    /// A label that the gateway's pods have, and no others in the namespace
    #[arg(long, value_name = "KEY=VALUE", default_value = "istio=egressgateway", value_parser = label)]
    pub(crate) gateway_label: (String, String),
    /// The name of the gateway's Service
    #[arg(long, value_name = "NAME", default_value = "istio-egressgateway", value_parser = label_name)]
    pub(crate) gateway_service: String,
    /// Print the route of this host through the gateway too
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) host: Option<String>,
    /// How applications reach the host by https
    #[arg(long, value_name = "HOW", default_value = "wrapped", requires = "host")]
    pub(crate) https: HttpsWay,
    #[command(flatten)]
    pub(crate) provider: ProviderArgs,
}

/// How a host is reached by https through the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HttpsWay {
    /// Applications use https; the sidecar wraps it in the mesh's mutual TLS. customs sees the host
    Wrapped,
    /// Applications use http; the gateway uses https. customs sees the host, path and headers
    Originated,
}

/// The flags of `mesh gateway-api`.
#[derive(Debug, Args)]
pub struct GatewayApiArgs {
    /// The provider's name; `mesh istio` prints its entry
    #[arg(long, value_name = "NAME", default_value = "customs", value_parser = provider_name)]
    pub(crate) provider_name: String,
    /// The namespace of the Gateway
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system", value_parser = label_name)]
    pub(crate) gateway_namespace: String,
    /// The name of the Gateway
    #[arg(long, value_name = "NAME", default_value = "egress", value_parser = label_name)]
    pub(crate) gateway: String,
    /// The namespace of customs, whose network policy admits the gateway
    #[arg(long, value_name = "NAMESPACE", default_value = "customs-system", value_parser = label_name)]
    pub(crate) customs_namespace: String,
}

/// The flags of `mesh envoy`.
#[derive(Debug, Args)]
pub struct EnvoyArgs {
    #[command(flatten)]
    pub(crate) provider: ProviderArgs,
}

/// The flags of `mesh envoy-gateway`.
#[derive(Debug, Args)]
pub struct EnvoyGatewayArgs {
    /// The name of customs' Service
    #[arg(long, value_name = "NAME", default_value = "customs", value_parser = label_name)]
    pub(crate) service_name: String,
    /// The namespace of customs' Service
    #[arg(long, value_name = "NAMESPACE", default_value = "customs-system", value_parser = label_name)]
    pub(crate) customs_namespace: String,
    /// The port of customs' Service
    #[arg(long, value_name = "N", default_value_t = 9191, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// How long the gateway waits for an answer
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = timeout)]
    pub(crate) timeout: Duration,
    /// Let requests pass if customs does not answer, for a trial
    #[arg(long)]
    pub(crate) fail_open: bool,
    /// The namespace of the Gateway
    #[arg(long, value_name = "NAMESPACE", default_value = "envoy-gateway-system", value_parser = label_name)]
    pub(crate) gateway_namespace: String,
    /// The name of the Gateway
    #[arg(long, value_name = "NAME", default_value = "egress", value_parser = label_name)]
    pub(crate) gateway: String,
}

/// A text that is not a name of its kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ParseNameError {
    /// Not a DNS label.
    #[error(
        "expected up to 63 lower-case letters, digits and `-`, beginning and ending with one of the first two"
    )]
    Label,
    /// Not a name for a provider.
    #[error(
        "expected up to 63 lower-case letters, digits and `-`: Istio denies every request of a \
         provider with another name"
    )]
    Provider,
    /// Not a host.
    #[error("expected a host with a dot, in lower case, without a port, such as `www.example.com`")]
    Host,
    /// Not a label of Kubernetes.
    #[error("expected KEY=VALUE, such as `istio=egressgateway`")]
    KeyValue,
    /// Not a time to wait for an answer.
    #[error("expected a time from 10ms to 5s: every request waits as long while customs hangs")]
    Timeout,
}

fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    text.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

fn label_name(text: &str) -> Result<String, ParseNameError> {
    is_label(text)
        .then(|| text.to_owned())
        .ok_or(ParseNameError::Label)
}

fn provider_name(text: &str) -> Result<String, ParseNameError> {
    label_name(text).map_err(|_| ParseNameError::Provider)
}

fn host(text: &str) -> Result<String, ParseNameError> {
    let labels: Vec<&str> = text.split('.').collect();
    let is_name = labels.len() > 1 && text.len() <= 253 && labels.iter().all(|part| is_label(part));
    // The last label of a name is not a number; that of an address is.
    let is_address = labels
        .last()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    (is_name && !is_address)
        .then(|| text.to_owned())
        .ok_or(ParseNameError::Host)
}

fn label(text: &str) -> Result<(String, String), ParseNameError> {
    let wrong = ParseNameError::KeyValue;
    let Some((key, value)) = text.split_once('=') else {
        return Err(wrong);
    };
    let is_word = |text: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        text.len() <= 63
            && ends(text.chars().next())
            && ends(text.chars().last())
            && text.chars().all(inner)
    };
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_prefix = prefix.is_none_or(|prefix| prefix.split('.').all(is_label));
    match is_prefix && is_word(name) && is_word(value) {
        true => Ok((key.to_owned(), value.to_owned())),
        false => Err(wrong),
    }
}

fn timeout(text: &str) -> Result<Duration, ParseNameError> {
    let time = duration(text).map_err(|_| ParseNameError::Timeout)?;
    let range = Duration::from_millis(10)..=Duration::from_secs(5);
    range
        .contains(&time)
        .then_some(time)
        .ok_or(ParseNameError::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_and_istio_take() {
        let long = "a".repeat(64);
        for (text, is_good) in [
            ("customs", true),
            ("a", true),
            ("customs-2", true),
            ("Customs", false),
            ("-a", false),
            ("a-", false),
            ("a.b", false),
            ("a_b", false),
            ("", false),
            ("a: b", false),
            (long.as_str(), false),
        ] {
            assert_eq!(label_name(text).is_ok(), is_good, "{text}");
            assert_eq!(provider_name(text).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn a_host_is_one_name_and_nothing_beside_it() {
        for (text, is_good) in [
            ("www.aliyun.com", true),
            ("a.b", true),
            ("localhost", false),
            ("www.aliyun.com.", false),
            ("www.aliyun.com:443", false),
            ("*.aliyun.com", false),
            ("WWW.aliyun.com", false),
            ("10.0.0.1", false),
            ("https://www.aliyun.com", false),
            ("a.b\nc: d", false),
        ] {
            assert_eq!(host(text).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn a_label_is_a_key_and_a_value() {
        for (text, is_good) in [
            ("istio=egressgateway", true),
            ("gateway.networking.k8s.io/gateway-name=egress", true),
            ("app=A_b.c", true),
            ("istio", false),
            ("istio=", false),
            ("=x", false),
            ("a/b/c=d", false),
            ("a=b: c", false),
            ("a=b\n", false),
        ] {
            assert_eq!(label(text).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn a_timeout_is_short_and_not_none() {
        for (text, is_good) in [
            ("500ms", true),
            ("10ms", true),
            ("5s", true),
            ("9ms", false),
            ("6s", false),
            ("0", false),
            ("600", false),
        ] {
            assert_eq!(timeout(text).is_ok(), is_good, "{text}");
        }
    }
}
