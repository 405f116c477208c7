//! Requests that two readers could understand differently are refused, or are the last of their connection.

use crate::support::*;

/// Sends `bytes` and returns the status of every answer until the connection ends.
async fn statuses(server: &Server, bytes: &str) -> Vec<u16> {
    let mut http = Http::connect(server.http()).await;
    http.send(bytes).await;
    let mut seen = Vec::new();
    while let Some(answer) = http.answer(false).await {
        seen.push(answer.status);
    }
    seen
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let server = serve(|_| {}).await;
    let hidden = "GET /janus/info HTTP/1.1\r\nHost: x\r\n\r\n";
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Content-Length : 4\r\n",
        " Content-Length: 4\r\n",
        "X: y\r\n Content-Length: 4\r\n",
        "X: y\rContent-Length: 4\r\n",
        "X\0: y\r\n",
    ] {
        let request = format!("POST /janus HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n{hidden}");
        let seen = statuses(&server, &request).await;
        assert!(seen == [400] || seen.is_empty(), "{headers:?}: {seen:?}");
    }
    assert_eq!(server.mailboxes.counters().http_requests.get(), 2, "only the first two were seen at all");
}

#[tokio::test]
async fn nothing_is_read_behind_a_chunked_body() {
    let server = serve(|_| {}).await;
    let request = "POST /janus HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n\
                   GET /janus/info HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(statuses(&server, request).await, [200]);
}

#[tokio::test]
async fn broken_chunks_get_no_answer() {
    let server = serve(|_| {}).await;
    for chunks in
        ["g\r\n{}\r\n0\r\n\r\n", "2{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "ffffffffffffffffff\r\n{}"]
    {
        let request =
            format!("POST /janus HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(statuses(&server, &request).await, Vec::<u16>::new(), "{chunks:?}");
    }
    assert_eq!(server.get("/janus/info").await.unwrap().status, 200);
}
