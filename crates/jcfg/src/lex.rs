//! Tokens of libconfig text: white space, comments, names, numbers, text pieces.
//!
//! Every function either takes its whole token or leaves the input where it was and says so.

use winnow::Parser;
use winnow::combinator::{alt, opt, peek, preceded};
use winnow::error::EmptyError;
use winnow::stream::{LocatingSlice, Location, Stream};
use winnow::token::{any, literal, one_of, take_till, take_until, take_while};

use crate::ast::{Comment, CommentStyle, Integer, Radix, Value};
use crate::error::Fault;

pub(crate) type Input<'i> = LocatingSlice<&'i str>;
type Lex<T> = Result<T, EmptyError>;

/// A fault with the byte offset it stands at.
#[derive(Debug)]
pub(crate) struct At {
    pub(crate) offset: usize,
    pub(crate) fault: Fault,
}

/// Comments and line ends between two tokens.
#[derive(Debug, PartialEq)]
pub(crate) enum Gap {
    Newline,
    Comment(Comment),
}

pub(crate) fn offset(i: &Input<'_>) -> usize {
    i.current_token_start()
}

pub(crate) fn peek_char(i: &Input<'_>) -> Option<char> {
    i.peek_token()
}

/// Takes `c` if it is next.
pub(crate) fn take_char(i: &mut Input<'_>, c: char) -> bool {
    run(i, c).is_some()
}

fn run<'i, T>(i: &mut Input<'i>, mut parser: impl Parser<Input<'i>, T, EmptyError>) -> Option<T> {
    let start = i.checkpoint();
    let taken = parser.parse_next(i).ok();
    if taken.is_none() {
        i.reset(&start);
    }
    taken
}

/// The next line end or comment behind blanks, or `None` in front of a token or the end.
pub(crate) fn gap(i: &mut Input<'_>) -> Result<Option<Gap>, At> {
    let _ = run(i, take_while(0.., (' ', '\t', '\r', '\x0b', '\x0c')));
    if take_char(i, '\n') {
        return Ok(Some(Gap::Newline));
    }
    comment(i).map(|found| found.map(Gap::Comment))
}

fn comment(i: &mut Input<'_>) -> Result<Option<Comment>, At> {
    let rest_of_line = |style| move |text: &str| Comment::new(style, text);
    let hash = preceded('#', take_till(0.., '\n')).map(rest_of_line(CommentStyle::Hash));
    let slashes = preceded("//", take_till(0.., '\n')).map(rest_of_line(CommentStyle::Slashes));
    if let Some(found) = run(i, alt((hash, slashes))) {
        return Ok(Some(found));
    }
    let start = offset(i);
    if run(i, literal("/*")).is_none() {
        return Ok(None);
    }
    match run(i, (take_until(0.., "*/"), "*/")) {
        Some((text, _)) => Ok(Some(Comment::new(CommentStyle::Block, text))),
        None => Err(At { offset: start, fault: Fault::OpenComment }),
    }
}

const NAME_START: (std::ops::RangeInclusive<char>, std::ops::RangeInclusive<char>, char) =
    ('A'..='Z', 'a'..='z', '*');

fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*')
}

/// `[A-Za-z*][-A-Za-z0-9_*]*`. `true` and `false` are values, never names.
pub(crate) fn name<'i>(i: &mut Input<'i>) -> Option<&'i str> {
    let start = i.checkpoint();
    let word = run(i, (one_of(NAME_START), take_while(0.., is_name_part)).take())?;
    if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        i.reset(&start);
        return None;
    }
    Some(word)
}

pub(crate) fn is_name(text: &str) -> bool {
    let mut i = Input::new(text);
    name(&mut i).is_some() && peek_char(&i).is_none()
}

/// `true` or `false` in any letter case.
pub(crate) fn boolean(i: &mut Input<'_>) -> Option<bool> {
    let start = i.checkpoint();
    let word = run(i, (one_of(NAME_START), take_while(0.., is_name_part)).take())?;
    if word.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    if word.eq_ignore_ascii_case("false") {
        return Some(false);
    }
    i.reset(&start);
    None
}

/// A number of any form; `Some(Err)` when it does not fit.
pub(crate) fn number(i: &mut Input<'_>) -> Option<Result<Value, Fault>> {
    if let Some(text) = run(i, float_text.take()) {
        return Some(match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            _ => Err(Fault::NumberOutOfRange(text.to_owned())),
        });
    }
    if let Some((radix, digits, long)) =
        run(i, alt((prefixed(Radix::Hex), prefixed(Radix::Binary), prefixed(Radix::Octal))))
    {
        let base = match radix {
            Radix::Hex => 16,
            Radix::Binary => 2,
            Radix::Octal => 8,
            Radix::Decimal => 10,
        };
        return Some(integer(i64::from_str_radix(digits, base), digits, radix, long));
    }
    let decimal = ((opt(one_of(['+', '-'])), take_while(1.., '0'..='9')).take(), long_suffix);
    let (digits, long) = run(i, decimal)?;
    Some(integer(digits.parse(), digits, Radix::Decimal, long))
}

fn integer(
    value: Result<i64, std::num::ParseIntError>,
    digits: &str,
    radix: Radix,
    long: bool,
) -> Result<Value, Fault> {
    match value {
        Ok(value) => Ok(Value::Integer(Integer { value, radix, long })),
        Err(_) => Err(Fault::NumberOutOfRange(digits.to_owned())),
    }
}

/// Digits around a point with an optional exponent, or digits with an exponent.
fn float_text(i: &mut Input<'_>) -> Lex<()> {
    let digits = |least: usize| take_while(least.., '0'..='9');
    let exponent = || (one_of(['e', 'E']), opt(one_of(['+', '-'])), digits(1)).void();
    let whole_first = (digits(1), '.', digits(0), opt(exponent())).void();
    let point_first = ('.', digits(1), opt(exponent())).void();
    let no_point = (digits(1), exponent()).void();
    (opt(one_of(['+', '-'])), alt((whole_first, point_first, no_point))).void().parse_next(i)
}

fn prefixed<'i>(radix: Radix) -> impl Parser<Input<'i>, (Radix, &'i str, bool), EmptyError> {
    move |i: &mut Input<'i>| {
        let letters = match radix {
            Radix::Hex => ['x', 'X', 'x', 'X'],
            Radix::Binary => ['b', 'B', 'b', 'B'],
            _ => ['o', 'O', 'q', 'Q'],
        };
        let digit = move |c: char| match radix {
            Radix::Hex => c.is_ascii_hexdigit(),
            Radix::Binary => matches!(c, '0' | '1'),
            _ => matches!(c, '0'..='7'),
        };
        let (_, _, digits, long) =
            ('0', one_of(letters), take_while(1.., digit), long_suffix).parse_next(i)?;
        Ok((radix, digits, long))
    }
}

fn long_suffix(i: &mut Input<'_>) -> Lex<bool> {
    opt(alt(("LL", "L"))).map(|suffix| suffix.is_some()).parse_next(i)
}

/// One quoted piece of a text: its bytes after the escapes. The caller joins adjacent pieces.
pub(crate) fn text_piece(i: &mut Input<'_>) -> Result<Option<Vec<u8>>, At> {
    let start = offset(i);
    if !take_char(i, '"') {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    loop {
        if let Some(plain) = run(i, take_till(1.., ['"', '\\'])) {
            bytes.extend_from_slice(plain.as_bytes());
        }
        if take_char(i, '"') {
            return Ok(Some(bytes));
        }
        match run(i, escape) {
            Some(byte) => bytes.push(byte),
            // libconfig keeps the backslash of an escape it does not know.
            None if take_char(i, '\\') => bytes.push(b'\\'),
            None => return Err(At { offset: start, fault: Fault::OpenText }),
        }
    }
}

fn escape(i: &mut Input<'_>) -> Lex<u8> {
    let simple = any.verify_map(|c| {
        Some(match c {
            '"' => b'"',
            '\\' => b'\\',
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            'f' => 0x0c,
            'a' => 0x07,
            'b' => 0x08,
            'v' => 0x0b,
            _ => return None,
        })
    });
    let hex = preceded(one_of(['x', 'X']), take_while(2..=2, |c: char| c.is_ascii_hexdigit()))
        .verify_map(|digits: &str| u8::from_str_radix(digits, 16).ok());
    preceded('\\', alt((simple, hex))).parse_next(i)
}

/// An absolute path without quotes, up to white space, a control character or a mark of the grammar.
pub(crate) fn bare_path<'i>(i: &mut Input<'i>) -> Option<&'i str> {
    let end = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, ';' | ',' | ')' | ']' | '}' | '#' | '"' | '\\')
    };
    run(i, ('/', take_till(1.., end)).take())
}

/// Whether `@include` is next; takes it.
pub(crate) fn include_mark(i: &mut Input<'_>) -> bool {
    run(i, "@include").is_some()
}

/// What stands next, shortened for a message.
pub(crate) fn next_words(i: &mut Input<'_>) -> String {
    let ahead = run(i, peek(take_till(0.., ['\n', '\r']))).unwrap_or("");
    match peek_char(i) {
        None => "the end of the file".to_owned(),
        Some('\n' | '\r') => "the end of the line".to_owned(),
        Some(_) => {
            let mut shown: String = ahead.chars().take(SHOWN).collect();
            shown.truncate(shown.trim_end().len());
            format!("`{shown}`")
        }
    }
}

/// A word for [`Fault::BareWord`], if letters come next.
pub(crate) fn bare_word(i: &mut Input<'_>) -> Option<String> {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '*');
    let text = run(i, peek((one_of(char::is_alphabetic), take_while(0.., word)).take()))?;
    Some(text.chars().take(SHOWN).collect())
}

/// Most characters of the text that a message repeats.
const SHOWN: usize = 24;
