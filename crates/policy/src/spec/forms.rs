//! The forms of texts: what a value of a field looks like, for the JSON Schema and the reference.
//!
//! A form accepts at least what the reader of its field accepts; a test holds each to its reader.
//! The reader decides, and says more precisely what is wrong.

/// A form of texts.
#[derive(Clone, Copy, Debug)]
pub struct TextForm {
    /// Its name in the reference.
    pub name: &'static str,
    /// What it looks like, in a sentence.
    pub about: &'static str,
    /// What every text of the form matches as a whole, in the syntax that regular expressions of
    /// ECMAScript and of Rust share. Empty if every text fits.
    pub pattern: &'static str,
    /// What no text of the form matches.
    pub never: Option<&'static str>,
    /// The length of the longest, if there is a limit.
    pub longest: Option<u32>,
    /// What an editor says about another text.
    pub expected: &'static str,
    /// Texts of the form.
    pub examples: &'static [&'static str],
}

impl TextForm {
    /// The form without limits, for others to begin with.
    pub const PLAIN: TextForm = TextForm {
        name: "",
        about: "",
        pattern: "",
        never: None,
        longest: None,
        expected: "",
        examples: &[],
    };
}

/// A label of a name in DNS, as Kubernetes writes it.
macro_rules! label {
    () => {
        "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    };
}

/// Labels of any length, joined by dots.
macro_rules! subdomain {
    () => {
        "[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
    };
}

/// A port from 1 to 65535 without leading zeros.
macro_rules! port {
    () => {
        "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}

/// Nothing, or a port of a host.
macro_rules! host_port {
    () => {
        concat!("(:(\\*|", port!(), "))?")
    };
}

/// A destination in an EgressPolicy.
pub const HOST: TextForm = TextForm {
    name: "host",
    about: "A name, `*.suffix`, an address or a range, each with an optional `:port` or `:*`; or \
            `**` for anywhere. Names are in lower case, and an international name is an A-label \
            (`xn--`). An IPv6 address with a port has brackets.",
    pattern: concat!(
        "^(\\*\\*",
        "|(\\*\\.)?[a-z0-9_-]{1,63}(\\.[a-z0-9_-]{1,63})*",
        host_port!(),
        "|[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]+",
        host_port!(),
        "|[0-9a-f.]*:[0-9a-f.]*:[0-9a-f.:]*(/[0-9]+)?",
        "|\\[[0-9a-f.:]+(/[0-9]+)?\\]",
        host_port!(),
        ")$"
    ),
    expected: "Expected a host in lower case: a name, `*.suffix`, an address or a range, each with \
               an optional `:port`; or `**`. A URL, a path and a user do not belong here.",
    examples: &[
        "api.example.com",
        "*.example.com:8443",
        "192.0.2.0/24",
        "[2001:db8::1]:443",
        "**",
    ],
    ..TextForm::PLAIN
};

/// A method in an EgressPolicy.
pub const METHOD: TextForm = TextForm {
    name: "method",
    about: "A method of HTTP, in upper case.",
    pattern: "^[A-Z_-]+$",
    expected: "Expected a method in upper case, such as GET.",
    examples: &["GET", "VERSION-CONTROL"],
    ..TextForm::PLAIN
};

/// A path in an EgressPolicy.
pub const PATH: TextForm = TextForm {
    name: "path",
    about: "An exact path, `/prefix*`, or a template, in which `{*}` is one segment and `{**}` any \
            run of characters. It has no query.",
    pattern: concat!(
        "^/([^?#*{}]*\\*?",
        "|(\\{\\*\\}|\\{\\*\\*\\}|[^?#*{}/]+)(/(\\{\\*\\}|\\{\\*\\*\\}|[^?#*{}/]+))*)$"
    ),
    expected: "Expected a path that begins with `/`: exact, `/prefix*`, or a template with `{*}` \
               and `{**}` as whole segments. It has no query.",
    examples: &["/v1/pay", "/v1/*", "/v1/{*}/keys"],
    ..TextForm::PLAIN
};

/// The name of an entry or a guard.
pub const ENTRY_NAME: TextForm = TextForm {
    name: "entry name",
    about: "Letters, digits, `-`, `_` and `.`, at most 63 characters.",
    pattern: "^[A-Za-z0-9._-]{1,63}$",
    expected: "Expected letters, digits, `-`, `_` and `.`, at most 63 characters.",
    examples: &["payment-providers"],
    ..TextForm::PLAIN
};

/// The name of an object.
pub const OBJECT_NAME: TextForm = TextForm {
    name: "object name",
    about: "A name as Kubernetes accepts it: lower-case letters, digits and inner `-`, in parts \
            joined by dots, at most 253 characters.",
    pattern: concat!("^", subdomain!(), "$"),
    longest: Some(253),
    expected: "Expected a name in lower case, with letters, digits and inner `-` and `.`.",
    examples: &["egress", "search-apis"],
    ..TextForm::PLAIN
};

/// The name of a namespace.
pub const NAMESPACE: TextForm = TextForm {
    name: "namespace",
    about: "A name of at most 63 lower-case letters, digits and inner `-`.",
    pattern: concat!("^", label!(), "$"),
    expected: "Expected at most 63 lower-case letters, digits and inner `-`.",
    examples: &["demo-frontend"],
    ..TextForm::PLAIN
};

/// Namespaces in the subjects of an EgressPolicy.
pub const NAMESPACE_PATTERN: TextForm = TextForm {
    name: "namespace pattern",
    about: "A namespace, a prefix such as `shop-*` (the prefix and at least one more character), \
            or `**` for every namespace.",
    pattern: concat!("^(\\*\\*|", label!(), "|[a-z0-9][a-z0-9-]{0,61}\\*)$"),
    expected: "Expected a namespace in lower case, `prefix-*`, or `**` for every namespace.",
    examples: &["shop", "shop-*", "**"],
    ..TextForm::PLAIN
};

/// Service accounts in the subjects of an EgressPolicy.
pub const ACCOUNT: TextForm = TextForm {
    name: "account",
    about: "A service account, or `NAMESPACE/ACCOUNT`; without `*`.",
    pattern: concat!("^(", label!(), "/)?", subdomain!(), "$"),
    longest: Some(317),
    expected: "Expected `account` or `namespace/account` in lower case, without `*`.",
    examples: &["sleep", "shop/cart"],
    ..TextForm::PLAIN
};

/// A trust domain.
pub const TRUST_DOMAIN: TextForm = TextForm {
    name: "trust domain",
    about: "Lower-case letters, digits, `.`, `-` and `_`, at most 255 characters; without \
            `spiffe://`.",
    pattern: "^[a-z0-9._-]+$",
    longest: Some(255),
    expected: "Expected a trust domain in lower case, without `spiffe://` and `*`.",
    examples: &["cluster.local"],
    ..TextForm::PLAIN
};

/// A time.
pub const TIME: TextForm = TextForm {
    name: "time",
    about: "A time of RFC 3339, with an offset.",
    pattern: concat!(
        "^[+-]?[0-9]{4,6}-?[0-9]{2}-?[0-9]{2}[Tt ].*",
        "([Zz]|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]+)?)?)?)(\\[[^\\]]*\\])*$"
    ),
    expected: "Expected a time with an offset, such as 2026-12-31T00:00:00Z.",
    examples: &["2026-12-31T00:00:00Z", "2026-12-31T09:30:00+01:00"],
    ..TextForm::PLAIN
};

/// A host in an AuthorizationPolicy.
pub const ISTIO_HOST: TextForm = TextForm {
    name: "Istio host",
    about: "A host as Istio writes it: exact, `*.suffix`, `prefix*` or `*`. A range belongs in an \
            EgressPolicy.",
    pattern: "^[^/@]*$",
    never: Some("\\*\\*"),
    expected: "Expected a host: exact, `*.suffix`, `prefix*` or `*`. A URL, a path and a range do \
               not belong here.",
    examples: &["www.example.com", "*.example.com", "*"],
    ..TextForm::PLAIN
};

/// A port in an AuthorizationPolicy.
pub const ISTIO_PORT: TextForm = TextForm {
    name: "listener port",
    about: "A port from 0 to 65535, as a text in quotes.",
    pattern: concat!("^0*(0|", port!(), ")$"),
    expected: "Expected a number from 0 to 65535 in quotes.",
    examples: &["443"],
    ..TextForm::PLAIN
};

/// A path in an AuthorizationPolicy.
pub const ISTIO_PATH: TextForm = TextForm {
    name: "Istio path",
    about: "A path as Istio writes it: exact, `/prefix*`, `*suffix`, or a template, in which `{*}` \
            is one segment and `{**}` any run of characters.",
    pattern: concat!(
        "^([^{}]*",
        "|/(\\{\\*\\}|\\{\\*\\*\\}|[^?#*{}/]+)(/(\\{\\*\\}|\\{\\*\\*\\}|[^?#*{}/]+))*)$"
    ),
    expected: "Expected a path: exact, `/prefix*`, `*suffix`, or a template with `{*}` and `{**}` \
               as whole segments.",
    examples: &["/v1/pay", "/v1/*", "*.json", "/v1/{*}/keys"],
    ..TextForm::PLAIN
};

/// An address or a range in an AuthorizationPolicy.
pub const IP_BLOCK: TextForm = TextForm {
    name: "IP block",
    about: "An IP address or a range (CIDR).",
    pattern: "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$",
    expected: "Expected an address or a range, such as 192.0.2.0/24.",
    examples: &["192.0.2.1", "192.0.2.0/24", "2001:db8::/32"],
    ..TextForm::PLAIN
};

/// An address in a test case.
pub const IP_ADDRESS: TextForm = TextForm {
    name: "IP address",
    about: "An IPv4 or IPv6 address.",
    pattern: "^[0-9A-Fa-f.:]+$",
    expected: "Expected an IP address, such as 192.0.2.1.",
    examples: &["192.0.2.1", "2001:db8::1"],
    ..TextForm::PLAIN
};

/// A principal in an AuthorizationPolicy.
pub const PRINCIPAL: TextForm = TextForm {
    name: "principal",
    about: "`TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`, without `spiffe://`; a `*` at one end \
            is a wildcard.",
    never: Some("^spiffe://"),
    expected: "Expected `TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`, without `spiffe://`.",
    examples: &["cluster.local/ns/shop/sa/cart", "cluster.local/ns/shop/*"],
    ..TextForm::PLAIN
};

/// A service account in an AuthorizationPolicy.
pub const ISTIO_ACCOUNT: TextForm = TextForm {
    name: "Istio account",
    about: "`ns/sa`, or `sa` in the policy's namespace; without `*`, at most 320 characters.",
    pattern: "^[^*/]+(/[^*/]+)?$",
    longest: Some(320),
    expected: "Expected `account` or `namespace/account`, without `*`.",
    examples: &["cart", "shop/cart"],
    ..TextForm::PLAIN
};

/// A trust domain in an AuthorizationPolicy.
pub const ISTIO_TRUST_DOMAIN: TextForm = TextForm {
    name: "Istio trust domain",
    about: "A trust domain, with at most one `*`, at one end.",
    pattern: "^(\\*?[^*/]*|[^*/]*\\*)$",
    expected: "Expected a trust domain with at most one `*`, at one end, and no `/`.",
    examples: &["cluster.local", "*.example"],
    ..TextForm::PLAIN
};

/// A key of `when`.
pub const CONDITION_KEY: TextForm = TextForm {
    name: "condition key",
    about: "`source.principal`, `source.namespace`, `source.serviceAccount`, `source.trustDomain`, \
            `source.ip`, `remote.ip`, `destination.ip`, `destination.port`, `connection.sni` or \
            `request.headers[NAME]`.",
    pattern: concat!(
        "^(source\\.(principal|namespace|serviceAccount|trustDomain|ip)|remote\\.ip",
        "|destination\\.(ip|port)|connection\\.sni|request\\.headers\\[[^\\[\\]]+\\])$"
    ),
    expected: "Expected a key such as source.namespace, source.ip, connection.sni or \
               request.headers[NAME].",
    examples: &["source.ip", "request.headers[x-team]"],
    ..TextForm::PLAIN
};

/// A caller in a test case.
pub const CALLER: TextForm = TextForm {
    name: "caller",
    about: "`NAMESPACE/ACCOUNT`, a whole SPIFFE id (`spiffe://...`), or `unauthenticated`.",
    pattern: concat!(
        "^(unauthenticated$|spiffe://|",
        label!(),
        "/",
        subdomain!(),
        "$)"
    ),
    expected: "Expected `namespace/account`, a whole `spiffe://` id, or `unauthenticated`.",
    examples: &[
        "demo-frontend/sleep",
        "spiffe://cluster.local/ns/shop/sa/cart",
        "unauthenticated",
    ],
    ..TextForm::PLAIN
};

/// A destination in a test case.
pub const DESTINATION_URL: TextForm = TextForm {
    name: "destination",
    about: "`http://HOST[:PORT]/PATH` or `https://...`, `tcp://SNI:PORT`, or `tcp://:PORT` for a \
            connection without SNI. On TCP the port is the gateway's.",
    pattern: "^(https?|tcp)://",
    expected: "Expected `http://HOST[:PORT]/PATH`, `tcp://SNI:PORT`, or `tcp://:PORT`.",
    examples: &["http://www.example.com/", "tcp://db.example:5432"],
    ..TextForm::PLAIN
};

/// Every form of a policy.
pub const ALL: [&TextForm; 21] = [
    &HOST,
    &METHOD,
    &PATH,
    &ENTRY_NAME,
    &OBJECT_NAME,
    &NAMESPACE,
    &NAMESPACE_PATTERN,
    &ACCOUNT,
    &TRUST_DOMAIN,
    &TIME,
    &ISTIO_HOST,
    &ISTIO_PORT,
    &ISTIO_PATH,
    &IP_BLOCK,
    &IP_ADDRESS,
    &PRINCIPAL,
    &ISTIO_ACCOUNT,
    &ISTIO_TRUST_DOMAIN,
    &CONDITION_KEY,
    &CALLER,
    &DESTINATION_URL,
];

#[cfg(test)]
mod tests;
