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
fn faults_are_named_with_their_line() {
    for (text, expected) in [
        (&b""[..], "on line 1: '[' or '{' expected near end of file"),
        (b"5", "on line 1: '[' or '{' expected near '5'"),
        (b"\"x\"", "on line 1: '[' or '{' expected near '\"x\"'"),
        (b"{", "on line 1: string or '}' expected near end of file"),
        (b"{\n\n\"a\" 1}", "on line 3: ':' expected near '1}'"),
        (b"{\"a\":1", "on line 1: '}' expected near end of file"),
        (b"[1 2]", "on line 1: ']' expected near '2]'"),
        (b"[1,]", "on line 1: unexpected token near ']'"),
        (b"[tru]", "on line 1: invalid token near 'tru]'"),
        (b"[01]", "on line 1: invalid token near '01]'"),
        (b"[1.]", "on line 1: invalid token near '1.]'"),
        (b"[-]", "on line 1: invalid token near '-]'"),
        (b"[+1]", "on line 1: invalid token near '+1]'"),
        (b"{} {}", "on line 1: end of file expected near '{}'"),
        (b"[9223372036854775808]", "on line 1: too big integer near '922337203685'"),
        (b"[-9223372036854775809]", "on line 1: too big negative integer near '-92233720368'"),
        (b"[1e400]", "on line 1: real number overflow near '1e400]'"),
        (b"[\"\\u0000\"]", "on line 1: \\u0000 is not allowed near '\"\\u0000\"]'"),
        (b"[\"\\ud800\"]", "on line 1: invalid Unicode '\\uD800' near '\"\\ud800\"]'"),
        (b"[\"\\udc00\"]", "on line 1: invalid Unicode '\\uDC00' near '\"\\udc00\"]'"),
        (b"[\"\\x\"]", "on line 1: invalid escape near '\"\\x\"]'"),
        (b"[\"a\nb\"]", "on line 1: unexpected newline near '\"a'"),
        (b"[\"\x01\"]", "on line 1: control character 0x1 near '\"'"),
        (b"[\"abc", "on line 1: premature end of input near '\"abc'"),
        (b"[\x00]", "on line 1: invalid token near ''"),
        (b"[\"\xff\"]", "on line 1: unable to decode byte 0xff"),
        (b"[\"\xed\xa0\x80\"]", "on line 1: unable to decode byte 0xed"),
        (b"\xef\xbb\xbf{}", "on line 1: '[' or '{' expected near '\u{feff}{}'"),
    ] {
        assert_eq!(text_of(text), expected, "for {:?}", String::from_utf8_lossy(text));
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
    assert_eq!((fault.line, fault.column), (1, 5));
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
