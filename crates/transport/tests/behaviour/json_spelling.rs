//! The `json` setting, over both transports.

use crate::support::*;
use portunus_transport::JsonFormat;

#[tokio::test]
async fn answers_are_spelt_as_the_setting_says() {
    for (format, pong, error) in [
        (
            JsonFormat::Indented,
            "{\n   \"janus\": \"success\",\n   \"transaction\": \"t\"\n}",
            "{\n   \"janus\": \"error\",\n   \"error\": {\n      \"code\": 454,\n",
        ),
        (
            JsonFormat::Plain,
            r#"{"janus": "success", "transaction": "t"}"#,
            r#"{"janus": "error", "error": {"code": 454, "reason": "#,
        ),
        (
            JsonFormat::Compact,
            r#"{"janus":"success","transaction":"t"}"#,
            r#"{"janus":"error","error":{"code":454,"reason":"#,
        ),
    ] {
        let server = serve(|s| format_of(s, format)).await;
        let create = r#"{"janus":"create","transaction":"t"}"#;
        assert_eq!(server.post("/janus", create).await.unwrap().body, pong);
        assert!(server.post("/janus", "{").await.unwrap().body.starts_with(error));
        let mut ws = Ws::connect(server.ws()).await;
        ws.text(create).await;
        assert_eq!(ws.next_text().await.unwrap(), pong);
        ws.text("{").await;
        assert!(ws.next_text().await.unwrap().starts_with(error));
    }
}
