use super::*;
use portunus_api::json;
use proptest::prelude::*;

fn text_of(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err().to_string()
}

#[test]
fn objects_and_arrays_are_read() {
    let text = b" {\"a\" : [1, -2, 2.5, 1e3, true, false, null, \"x\\u00e9\\ud83d\\ude00\\n\"], \"\":{}}\r\n";
    let expected = json!({"a": [1, -2, 2.5, 1000.0, true, false, null, "x\u{e9}\u{1f600}\n"], "": {}});
    assert_eq!(parse(text).unwrap(), expected);
}

#[test]
fn of_equal_keys_the_last_counts() {
    assert_eq!(parse(br#"{"a":1,"b":2,"a":3}"#).unwrap(), json!({"a": 3, "b": 2}));
}

#[test]
fn integers_are_exact_and_have_64_bits_with_a_sign() {
    let value = parse(b"[9223372036854775807,-9223372036854775808,9007199254740993,-0]").unwrap();
    assert_eq!(value, json!([i64::MAX, i64::MIN, 9_007_199_254_740_993_i64, 0]));
}

#[test]
fn faults_are_named_with_their_place() {
    for (text, line, column, expected) in [
        (&b""[..], 1, 0, "'[' or '{' expected near end of file"),
        (b" \n ", 2, 1, "'[' or '{' expected near end of file"),
        (b"5", 1, 1, "'[' or '{' expected near '5'"),
        (b"\"x\"", 1, 3, "'[' or '{' expected near '\"x\"'"),
        (b"{", 1, 1, "string or '}' expected near end of file"),
        (b"{\"janus\" 1}", 1, 10, "':' expected near '1'"),
        (b"{\"a\":\"\xc3\xa9\",5}", 1, 10, "string or '}' expected near '5'"),
        (b"{\"x\"\n :1 2}", 2, 5, "'}' expected near '2'"),
        (b"{\"a\":1", 1, 6, "'}' expected near end of file"),
        (b"[1 2]", 1, 4, "']' expected near '2'"),
        (b"[1,]", 1, 4, "unexpected token near ']'"),
        (b"[tru]", 1, 4, "invalid token near 'tru'"),
        (b"[01]", 1, 2, "invalid token near '0'"),
        (b"[1.]", 1, 2, "invalid token near '1'"),
        (b"[-]", 1, 2, "invalid token near '-'"),
        (b"[+1]", 1, 2, "invalid token near '+'"),
        (b"{} {}", 1, 4, "end of file expected near '{'"),
        (b"{} x", 1, 4, "end of file expected near 'x'"),
        (b"[9223372036854775808]", 1, 20, "too big integer near '9223372036854775808'"),
        (b"[-9223372036854775809]", 1, 21, "too big negative integer near '-9223372036854775809'"),
        (b"[1e400]", 1, 6, "real number overflow near '1e400'"),
        (b"[\"\\u0000\"]", 1, 9, "\\u0000 is not allowed near '\"\\u0000\"'"),
        (b"[\"\\ud800\"]", 1, 9, "invalid Unicode '\\uD800' near '\"\\ud800\"'"),
        (b"[\"\\ud800\\u0041\"]", 1, 15, "invalid Unicode '\\uD800' near '\"\\ud800\\u0041\"'"),
        (b"[\"\\udc00\"]", 1, 9, "invalid Unicode '\\uDC00' near '\"\\udc00\"'"),
        (b"[\"\\x\"]", 1, 5, "invalid escape near '\"\\x\"'"),
        (b"[\"\\u00g0\"]", 1, 9, "invalid escape near '\"\\u00g0\"'"),
        (b"[\"\x01\"]", 1, 3, "control character 0x1 near '\"\x01'"),
        (b"[\"abc", 1, 5, "premature end of input near '\"abc'"),
        (b"[\x00]", 1, 2, "invalid token near '\x00'"),
        (b"[\"\xff\"]", 1, 2, "unable to decode byte 0xff"),
        (b"[\"\xed\xa0\x80\"]", 1, 2, "unable to decode byte 0xed"),
        (b"\xef\xbb\xbf{}", 1, 1, "'[' or '{' expected near '\u{feff}'"),
    ] {
        let fault = parse(text).unwrap_err();
        let found = (fault.line, fault.column, fault.text.as_str());
        assert_eq!(found, (line, column, expected), "for {:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(parse(nest(MAX_DEPTH).as_bytes()).is_ok());
    let deep = text_of(nest(MAX_DEPTH + 1).as_bytes());
    assert!(deep.starts_with("on line 1: maximum parsing depth reached"), "{deep}");
    assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn values_are_counted() {
    let many = |n: usize| format!("[{}1]", "1,".repeat(n - 2));
    assert!(parse(many(MAX_VALUES).as_bytes()).is_ok());
    assert_eq!(text_of(many(MAX_VALUES + 1).as_bytes()), "on line 1: too many values");
}

#[test]
fn several_texts_in_one_message() {
    assert_eq!(parse_all(b"").unwrap(), Vec::<Value>::new());
    assert_eq!(parse_all(b" \r\n\t").unwrap(), Vec::<Value>::new());
    assert_eq!(parse_all(b"{\"a\":1}{} \n[]").unwrap(), vec![json!({"a": 1}), json!({}), json!([])]);
    let fault = parse_all(b"{\"a\":1}\n{\"b\" 2}").unwrap_err();
    assert_eq!((fault.line, fault.column), (1, 6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_all(&bytes);
    }

    #[test]
    fn what_is_accepted_serde_json_reads_alike(text in "[\\[\\]{}:,\" \\\\a-fu0-9.eE+-]{0,40}") {
        if let Ok(value) = parse(text.as_bytes()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn text_survives_a_round_trip(text in any::<String>(), number in any::<i64>()) {
        prop_assume!(!text.contains('\0'));
        let value = json!({ "k": text, "n": [number] });
        for format in [crate::JsonFormat::Indented, crate::JsonFormat::Plain, crate::JsonFormat::Compact] {
            prop_assert_eq!(&parse(format.write(&value).as_bytes()).unwrap(), &value);
        }
    }
}
