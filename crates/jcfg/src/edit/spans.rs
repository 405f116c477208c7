//! Where the settings of a text stand, by byte. The text has been parsed: what is odd here ends the scan.

use std::ops::Range;

use winnow::stream::Stream;

use crate::ast::CommentStyle;
use crate::lex::{self, Gap, Input};

/// Settings of one group, or of the top of a file. Includes are left out.
#[derive(Debug, Default)]
pub(super) struct Pieces<'t> {
    pub(super) all: Vec<Piece<'t>>,
}

impl<'t> Pieces<'t> {
    pub(super) fn find(&self, name: &str) -> Option<&Piece<'t>> {
        self.all.iter().find(|piece| piece.name == name)
    }
}

/// One setting.
#[derive(Debug)]
pub(super) struct Piece<'t> {
    pub(super) name: &'t str,
    /// From its name to the mark behind its value, if there is one.
    pub(super) at: Range<usize>,
    pub(super) value: Range<usize>,
    /// There is a `;` or `,` behind it.
    pub(super) separated: bool,
    /// What it holds, if it is a group.
    pub(super) inner: Option<Pieces<'t>>,
}

/// All of a text.
pub(super) fn scan(text: &str) -> Option<Pieces<'_>> {
    let mut input = Input::new(text);
    let found = pieces(&mut input)?;
    lex::peek_char(&input).is_none().then_some(found)
}

/// The end of the line of `at`, its line end included, if only blanks stand there (`comments`: or comments that end on
/// this line).
pub(super) fn line_end(text: &str, at: usize, comments: bool) -> Option<usize> {
    let mut input = Input::new(text.get(at..)?);
    loop {
        match lex::gap(&mut input).ok()? {
            Some(Gap::Newline) => return Some(at + lex::offset(&input)),
            Some(Gap::Comment(comment)) if comments => {
                if comment.style() == CommentStyle::Block && comment.text().contains('\n') {
                    return None;
                }
            }
            Some(Gap::Comment(_)) => return None,
            None => return lex::peek_char(&input).is_none().then_some(text.len()),
        }
    }
}

fn skip(i: &mut Input<'_>) -> Option<()> {
    while lex::gap(i).ok()?.is_some() {}
    Some(())
}

/// Bounded in depth because the text has been parsed.
fn pieces<'t>(i: &mut Input<'t>) -> Option<Pieces<'t>> {
    let mut found = Pieces::default();
    loop {
        skip(i)?;
        let start = lex::offset(i);
        if lex::include_mark(i) {
            skip(i)?;
            lex::text_piece(i).ok()??;
            continue;
        }
        let Some(name) = lex::name(i) else { return Some(found) };
        skip(i)?;
        if !lex::take_char(i, '=') && !lex::take_char(i, ':') {
            return None;
        }
        skip(i)?;
        let value_start = lex::offset(i);
        let inner = value(i)?;
        let value = value_start..lex::offset(i);
        let separated = separator(i, &[';', ','])?;
        found.all.push(Piece { name, at: start..lex::offset(i), value, separated, inner });
    }
}

fn separator(i: &mut Input<'_>, marks: &[char]) -> Option<bool> {
    let before = i.checkpoint();
    skip(i)?;
    let found = marks.iter().any(|&mark| lex::take_char(i, mark));
    if !found {
        i.reset(&before);
    }
    Some(found)
}

/// Takes a value; the pieces, if it is a group.
fn value<'t>(i: &mut Input<'t>) -> Option<Option<Pieces<'t>>> {
    match lex::peek_char(i)? {
        '{' => {
            lex::take_char(i, '{');
            let inner = pieces(i)?;
            return lex::take_char(i, '}').then_some(Some(inner));
        }
        '(' => list(i, '(', ')')?,
        '[' => list(i, '[', ']')?,
        '"' => text(i)?,
        '/' => drop(lex::bare_path(i)?),
        _ if lex::boolean(i).is_some() => {}
        _ => drop(lex::number(i)?.ok()?),
    }
    Some(None)
}

fn list(i: &mut Input<'_>, open: char, close: char) -> Option<()> {
    lex::take_char(i, open);
    loop {
        skip(i)?;
        if lex::take_char(i, close) {
            return Some(());
        }
        value(i)?;
        separator(i, &[','])?;
    }
}

fn text(i: &mut Input<'_>) -> Option<()> {
    while lex::text_piece(i).ok()?.is_some() {
        let end = i.checkpoint();
        skip(i)?;
        if lex::peek_char(i) != Some('"') {
            i.reset(&end);
            break;
        }
    }
    Some(())
}
