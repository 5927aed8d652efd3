//! The answer of `/rules`.

use super::*;

#[tokio::test]
async fn the_hits_of_rules_are_json_and_an_unknown_query_is_refused() {
    let server = serving(report()).await;
    for path in ["/rules", "/rules?unused"] {
        let (code, head, body) = get(&server, path).await;
        assert_eq!(code, 200, "{path}");
        assert!(head.contains("content-type: application/json"));
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({
            "revision": "none", "total": 0, "unused": 0, "truncated": false, "rules": [],
        });
        assert_eq!(value, expected);
    }
    for query in ["unsued", "unused&x", "hits=0"] {
        let (code, _, body) = get(&server, &format!("/rules?{query}")).await;
        assert_eq!(code, 400, "{query}");
        assert!(body.contains("/rules?unused"), "{body}");
    }
}
