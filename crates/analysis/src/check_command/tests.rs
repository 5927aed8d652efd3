//! Commands of odd requests.

use super::*;

#[test]
fn a_command_says_every_attribute_or_reads_the_whole_request() {
    let settings = Settings::default();
    let plain = SampleRequest::http("spiffe://cluster.local/ns/shop/sa/web", "a.example");
    let http = |change: fn(&mut SampleHttp)| {
        let mut request = plain.clone();
        if let SampleTarget::Http(http) = &mut request.target {
            change(http);
        }
        request
    };
    for (request, expected) in [
        (
            plain.clone(),
            "customs check --from shop/web --to http://a.example/",
        ),
        (
            SampleRequest::tcp("", "a.example"),
            "customs check --from unauthenticated --to tcp://a.example",
        ),
        (
            SampleRequest::tcp("", ""),
            "customs check --from unauthenticated --to tcp://",
        ),
        (
            SampleRequest {
                listener_port: Some(8443),
                source_address: Some([192, 0, 2, 1].into()),
                session_sni: Some(String::new()),
                ..plain.clone()
            },
            "customs check --from shop/web --to http://a.example/ --listener-port 8443 --source-ip 192.0.2.1 --sni ''",
        ),
        (
            http(|http| {
                (http.method, http.path) = ("POST".into(), "/a b'c?d".into());
                http.headers.push(("x-team".into(), "a, b".into()));
            }),
            r"customs check --from shop/web --to 'http://a.example/a b'\''c?d' --method POST --header 'x-team: a, b'",
        ),
        (
            http(|http| (http.method, http.path) = ("CONNECT".into(), String::new())),
            "customs check --from shop/web --to http://a.example --method CONNECT",
        ),
        (
            http(|http| http.method.clear()),
            r#"printf %s '{"attributes":{"destination":{"address":{"pipe":{"path":"@"}}},"request":{"http":{"host":"a.example","path":"/"}},"source":{"principal":"spiffe://cluster.local/ns/shop/sa/web"}}}' | customs check --request -"#,
        ),
        (
            http(|http| http.authority = "a/b".into()),
            r#"printf %s '{"attributes":{"destination":{"address":{"pipe":{"path":"@"}}},"request":{"http":{"host":"a/b","method":"GET","path":"/"}},"source":{"principal":"spiffe://cluster.local/ns/shop/sa/web"}}}' | customs check --request -"#,
        ),
        (
            SampleRequest {
                destination_address: Some([192, 0, 2, 9].into()),
                listener_port: Some(8080),
                ..SampleRequest::tcp("", "a.example")
            },
            r#"printf %s '{"attributes":{"destination":{"address":{"socketAddress":{"address":"192.0.2.9","portValue":8080}},"service":"a.example"}}}' | customs check --request -"#,
        ),
        (
            SampleRequest::of("", SampleTarget::Nothing),
            r#"printf %s '{"attributes":{}}' | customs check --request -"#,
        ),
    ] {
        assert_eq!(request.command_line(&settings), expected);
    }
}
