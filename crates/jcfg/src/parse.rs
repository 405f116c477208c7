//! The grammar: recursive descent over the tokens of `lex`, nesting bounded by [`MAX_NESTING`].
//!
//! A mistake that leaves the structure readable (a duplicate, a number out of range, a mixed array, a missing
//! include) is noted and parsing goes on, so that one run shows all of them; a syntax error ends the document.

use std::collections::HashMap;
use std::sync::Arc;

use winnow::stream::Stream;

use crate::ast::{
    Comment, CommentStyle, Document, Entry, Group, Include, Item, List, Place, Setting, Trivia, Value,
};
use crate::error::{Error, Fault, Notice};
use crate::lex::{self, At, Gap, Input};
use crate::{
    MAX_BYTES, MAX_ERRORS, MAX_INCLUDE_DEPTH, MAX_INCLUDED_FILES, MAX_NAME_BYTES, MAX_NESTING, MAX_VALUES,
};

/// An `@include` to be resolved by the caller.
#[derive(Debug)]
pub struct IncludeRequest<'r> {
    /// The text between the quotes: a path, perhaps with wildcards (see [`crate::matches_glob`]).
    pub pattern: &'r str,
    /// Where the directive stands; relative paths are meant relative to `place.file`'s folder.
    pub place: &'r Place,
}

/// A file that a caller gives for an `@include`.
#[derive(Debug, Clone)]
pub struct IncludedFile {
    /// Its name for messages and for the places of its settings.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Result of a parse: the document, or every error found (at least one, in order of discovery).
pub type Parsed = Result<Document, Vec<Error>>;

/// Parses `text` as the file `name`. `resolve` is asked for the files of each `@include`, in the order they
/// are to be read; its error text is reported at the directive.
pub fn parse(
    name: &str,
    text: &str,
    resolve: &mut dyn FnMut(&IncludeRequest<'_>) -> Result<Vec<IncludedFile>, String>,
) -> Parsed {
    let file: Arc<str> = name.into();
    let mut run = Run { resolve, errors: Vec::new(), notices: Vec::new(), bytes: 0, files: 0, values: 0 };
    let mut names = Names::default();
    match run.file(&file, text, 0, &mut names) {
        Ok((entries, closing)) if run.errors.is_empty() => {
            let root = Group { opening: Vec::new(), entries, closing };
            Ok(Document { file, root, notices: run.notices, written: HashMap::new() })
        }
        Ok(_) => Err(run.errors),
        Err(last) => {
            run.errors.push(last);
            Err(run.errors)
        }
    }
}

/// [`parse`] for a text that may not include anything.
pub fn parse_without_includes(name: &str, text: &str) -> Parsed {
    parse(name, text, &mut |_| Err("files cannot be included here".to_owned()))
}

type Entries = (Vec<Entry>, Vec<Trivia>);
/// Names of one group in lower case, with their spelling and place.
type Names = HashMap<String, (String, Place)>;

/// One document being parsed.
struct Run<'r> {
    resolve: &'r mut dyn FnMut(&IncludeRequest<'_>) -> Result<Vec<IncludedFile>, String>,
    errors: Vec<Error>,
    notices: Vec<(Place, Notice)>,
    bytes: usize,
    files: usize,
    values: usize,
}

/// One file of it: turns byte offsets into places.
struct Source<'s> {
    file: Arc<str>,
    text: &'s str,
    lines: Vec<usize>,
    /// Files above this one.
    includes: usize,
}

impl<'s> Source<'s> {
    fn new(file: &Arc<str>, text: &'s str, includes: usize) -> Self {
        let ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { file: file.clone(), text, lines, includes }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|&start| start <= offset);
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: self.file.clone(), line: count(line), column: count(column + 1) }
    }

    fn error(&self, offset: usize, fault: Fault) -> Error {
        Error { place: self.place(offset), fault }
    }

    fn unexpected(&self, i: &mut Input<'_>, wanted: &'static str) -> Error {
        let found = lex::next_words(i);
        self.error(lex::offset(i), Fault::Unexpected { wanted, found })
    }

    fn at(&self, at: At) -> Error {
        self.error(at.offset, at.fault)
    }

    /// Empty lines and comments before the next token. `at_start`: no line end comes before the first line.
    fn leading(&self, i: &mut Input<'_>, at_start: bool) -> Result<Vec<Trivia>, Error> {
        let mut found = Vec::new();
        let mut newlines = usize::from(at_start);
        while let Some(gap) = lex::gap(i).map_err(|at| self.at(at))? {
            match gap {
                Gap::Newline => newlines += 1,
                Gap::Comment(comment) => {
                    if newlines >= 2 {
                        found.push(Trivia::Blank);
                    }
                    found.push(Trivia::Comment(comment));
                    newlines = 0;
                }
            }
        }
        if newlines >= 2 {
            found.push(Trivia::Blank);
        }
        Ok(found)
    }

    /// Comments between the last token and the end of its line.
    fn trailing(&self, i: &mut Input<'_>) -> Result<Vec<Comment>, Error> {
        let mut found = Vec::new();
        loop {
            let before = i.checkpoint();
            match lex::gap(i).map_err(|at| self.at(at))? {
                Some(Gap::Comment(comment)) => found.push(comment),
                Some(Gap::Newline) => {
                    i.reset(&before);
                    return Ok(found);
                }
                None => return Ok(found),
            }
        }
    }

    /// Comments inside a setting. They are kept before it: its printed form is one line.
    fn inner(&self, i: &mut Input<'_>, kept: &mut Vec<Trivia>) -> Result<(), Error> {
        while let Some(gap) = lex::gap(i).map_err(|at| self.at(at))? {
            if let Gap::Comment(comment) = gap {
                kept.push(Trivia::Comment(comment));
            }
        }
        Ok(())
    }

    /// The optional mark behind a value, one of `marks`, and the comments around it.
    fn separator(
        &self,
        i: &mut Input<'_>,
        marks: &[char],
        leading: &mut Vec<Trivia>,
        trailing: &mut Vec<Comment>,
    ) -> Result<bool, Error> {
        let before = i.checkpoint();
        let mut between = Vec::new();
        self.inner(i, &mut between)?;
        if !marks.iter().any(|&mark| lex::take_char(i, mark)) {
            i.reset(&before);
            return Ok(false);
        }
        leading.append(&mut between);
        let more = self.trailing(i)?;
        // A line comment ends its line, so it can only be the last one behind a setting.
        if !more.is_empty() && trailing.last().is_some_and(|last| last.style() != CommentStyle::Block) {
            leading.extend(trailing.drain(..).map(Trivia::Comment));
        }
        trailing.extend(more);
        Ok(true)
    }
}

impl Run<'_> {
    fn file(
        &mut self,
        file: &Arc<str>,
        text: &str,
        includes: usize,
        names: &mut Names,
    ) -> Result<Entries, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source = Source::new(file, text, includes);
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > MAX_BYTES {
            return Err(source.error(0, Fault::TooLong));
        }
        let mut input = Input::new(text);
        let entries = self.entries(&source, &mut input, 0, names, true)?;
        match lex::peek_char(&input) {
            None => Ok(entries),
            Some(_) => Err(source.unexpected(&mut input, "a setting (`name = value`)")),
        }
    }

    /// Settings up to something that is none: a closing bracket or the end.
    fn entries(
        &mut self,
        source: &Source<'_>,
        i: &mut Input<'_>,
        depth: usize,
        names: &mut Names,
        at_start: bool,
    ) -> Result<Entries, Error> {
        let mut entries = Vec::new();
        let mut at_start = at_start;
        loop {
            let leading = source.leading(i, at_start)?;
            at_start = false;
            let start = lex::offset(i);
            if lex::include_mark(i) {
                let place = source.place(start);
                entries.push(Entry::Include(self.include(source, i, place, leading, names)?));
            } else if let Some(name) = lex::name(i) {
                let setting = self.setting(source, i, depth, (name, start), leading)?;
                if self.is_new(&setting, names)? {
                    entries.push(Entry::Setting(setting));
                }
            } else {
                return Ok((entries, leading));
            }
        }
    }

    fn setting(
        &mut self,
        source: &Source<'_>,
        i: &mut Input<'_>,
        depth: usize,
        (name, start): (&str, usize),
        mut leading: Vec<Trivia>,
    ) -> Result<Setting, Error> {
        self.count(source, start)?;
        if name.len() > MAX_NAME_BYTES {
            return Err(source.error(start, Fault::LongName));
        }
        source.inner(i, &mut leading)?;
        if !lex::take_char(i, '=') && !lex::take_char(i, ':') {
            return Err(source.unexpected(i, "`=` or `:` behind the name"));
        }
        source.inner(i, &mut leading)?;
        let value = self.value(source, i, depth, &mut leading)?;
        let mut trailing = source.trailing(i)?;
        source.separator(i, &[';', ','], &mut leading, &mut trailing)?;
        let mut setting = Setting::new(name, value, source.place(start))?;
        (setting.leading, setting.trailing) = (leading, trailing);
        Ok(setting)
    }

    fn value(
        &mut self,
        source: &Source<'_>,
        i: &mut Input<'_>,
        depth: usize,
        inner: &mut Vec<Trivia>,
    ) -> Result<Value, Error> {
        let start = lex::offset(i);
        match lex::peek_char(i) {
            Some('{') => self.group(source, i, depth + 1).map(Value::Group),
            Some('(') => self.list(source, i, depth + 1, ('(', ')')).map(Value::List),
            Some('[') => {
                let array = self.list(source, i, depth + 1, ('[', ']'))?;
                self.check_array(&array)?;
                Ok(Value::Array(array))
            }
            Some('"') => self.text(source, i, inner),
            Some('/') => match lex::bare_path(i) {
                Some(path) => {
                    self.notices.push((source.place(start), Notice::UnquotedPath(path.to_owned())));
                    Ok(Value::from(path))
                }
                None => Err(source.unexpected(i, VALUE)),
            },
            _ => self.scalar(source, i, start),
        }
    }

    fn scalar(&mut self, source: &Source<'_>, i: &mut Input<'_>, start: usize) -> Result<Value, Error> {
        if let Some(flag) = lex::boolean(i) {
            return Ok(Value::Bool(flag));
        }
        match lex::number(i) {
            Some(Ok(number)) => return Ok(number),
            Some(Err(fault)) => {
                self.note(source.error(start, fault))?;
                return Ok(Value::from(0_i64));
            }
            None => {}
        }
        if lex::include_mark(i) {
            return Err(source.error(start, Fault::MisplacedInclude));
        }
        match lex::bare_word(i) {
            Some(word) => Err(source.error(start, Fault::BareWord(word))),
            None => Err(source.unexpected(i, VALUE)),
        }
    }

    /// One text of all adjacent pieces.
    fn text(
        &mut self,
        source: &Source<'_>,
        i: &mut Input<'_>,
        inner: &mut Vec<Trivia>,
    ) -> Result<Value, Error> {
        let start = lex::offset(i);
        let mut bytes = Vec::new();
        while let Some(piece) = lex::text_piece(i).map_err(|at| source.at(at))? {
            bytes.extend(piece);
            let end = i.checkpoint();
            let mut between = Vec::new();
            source.inner(i, &mut between)?;
            if lex::peek_char(i) == Some('"') {
                inner.append(&mut between);
            } else {
                i.reset(&end);
                break;
            }
        }
        match String::from_utf8(bytes) {
            // Janus hands texts to C functions that stop at a NUL.
            Ok(text) if !text.contains('\0') => Ok(Value::Text(text)),
            _ => {
                self.note(source.error(start, Fault::BadText))?;
                Ok(Value::from(""))
            }
        }
    }

    fn group(&mut self, source: &Source<'_>, i: &mut Input<'_>, depth: usize) -> Result<Group, Error> {
        let start = lex::offset(i);
        if depth > MAX_NESTING {
            return Err(source.error(start, Fault::TooDeep));
        }
        lex::take_char(i, '{');
        let opening = source.trailing(i)?;
        let mut names = Names::default();
        let (entries, closing) = self.entries(source, i, depth, &mut names, false)?;
        if lex::take_char(i, '}') {
            return Ok(Group { opening, entries, closing });
        }
        match lex::peek_char(i) {
            None => Err(source.error(start, Fault::OpenBracket('{'))),
            Some(_) => Err(source.unexpected(i, "a setting (`name = value`) or `}`")),
        }
    }

    fn list(
        &mut self,
        source: &Source<'_>,
        i: &mut Input<'_>,
        depth: usize,
        (open, close): (char, char),
    ) -> Result<List, Error> {
        let start = lex::offset(i);
        if depth > MAX_NESTING {
            return Err(source.error(start, Fault::TooDeep));
        }
        lex::take_char(i, open);
        let mut list = List { opening: source.trailing(i)?, ..List::default() };
        let mut after_item = false;
        loop {
            list.multiline |= line_ends_before_token(i);
            let mut leading = source.leading(i, false)?;
            if lex::take_char(i, close) {
                list.closing = leading;
                list.settle();
                return Ok(list);
            }
            let item_start = lex::offset(i);
            if lex::peek_char(i).is_none() {
                return Err(source.error(start, Fault::OpenBracket(open)));
            }
            if after_item {
                let wanted = if open == '(' { "`,` or `)`" } else { "`,` or `]`" };
                return Err(source.unexpected(i, wanted));
            }
            self.count(source, item_start)?;
            let value = self.value(source, i, depth, &mut leading)?;
            let mut trailing = source.trailing(i)?;
            after_item = !source.separator(i, &[','], &mut leading, &mut trailing)?;
            list.items.push(Item { value, place: source.place(item_start), leading, trailing });
        }
    }

    fn check_array(&mut self, array: &List) -> Result<(), Error> {
        let mut first = None;
        for item in &array.items {
            let kind = item.value.kind();
            let fault = match (&item.value, *first.get_or_insert(kind)) {
                (Value::Group(_) | Value::List(_) | Value::Array(_), _) => Fault::NestedArray,
                (_, wanted) if wanted != kind => Fault::MixedArray(kind, wanted),
                _ => continue,
            };
            self.note(Error { place: item.place.clone(), fault })?;
        }
        Ok(())
    }

    fn include(
        &mut self,
        source: &Source<'_>,
        i: &mut Input<'_>,
        place: Place,
        mut leading: Vec<Trivia>,
        names: &mut Names,
    ) -> Result<Include, Error> {
        source.inner(i, &mut leading)?;
        let bytes = lex::text_piece(i).map_err(|at| source.at(at))?;
        let Some(pattern) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Err(source.unexpected(i, "a file name in double quotes"));
        };
        let trailing = source.trailing(i)?;
        if source.includes >= MAX_INCLUDE_DEPTH {
            return Err(Error { place, fault: Fault::IncludeDepth });
        }
        let mut entries = Vec::new();
        match (self.resolve)(&IncludeRequest { pattern: &pattern, place: &place }) {
            Ok(files) => {
                for file in files {
                    self.files += 1;
                    if self.files > MAX_INCLUDED_FILES {
                        return Err(Error { place, fault: Fault::TooManyFiles });
                    }
                    let name: Arc<str> = file.name.as_str().into();
                    let (more, _) = self.file(&name, &file.text, source.includes + 1, names)?;
                    entries.extend(more);
                }
            }
            Err(reason) => {
                let fault = Fault::Include { pattern: pattern.clone(), reason };
                self.note(Error { place: place.clone(), fault })?;
            }
        }
        Ok(Include { pattern, place, leading, trailing, entries })
    }

    /// Enters the name of `setting`; false for a duplicate, which is noted and dropped.
    fn is_new(&mut self, setting: &Setting, names: &mut Names) -> Result<bool, Error> {
        let name = setting.name().to_owned();
        let Some((spelling, first)) = names.get(&name.to_ascii_lowercase()) else {
            names.insert(name.to_ascii_lowercase(), (name, setting.place.clone()));
            return Ok(true);
        };
        if *spelling == name {
            let fault = Fault::Duplicate { name, first: first.clone() };
            self.note(Error { place: setting.place.clone(), fault })?;
            return Ok(false);
        }
        self.notices.push((setting.place.clone(), Notice::CaseTwin { name, first: first.clone() }));
        Ok(true)
    }

    /// Keeps an error that parsing can go on behind, unless there are too many of them.
    fn note(&mut self, error: Error) -> Result<(), Error> {
        if self.errors.len() + 1 >= MAX_ERRORS {
            return Err(error);
        }
        self.errors.push(error);
        Ok(())
    }

    fn count(&mut self, source: &Source<'_>, offset: usize) -> Result<(), Error> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(source.error(offset, Fault::TooManyValues));
        }
        Ok(())
    }
}

const VALUE: &str = "a value (text in double quotes, number, true, false, `{`, `(` or `[`)";

/// Whether the next token stands on a later line.
fn line_ends_before_token(i: &mut Input<'_>) -> bool {
    let before = i.checkpoint();
    let mut found = false;
    while let Ok(Some(gap)) = lex::gap(i) {
        found |= gap == Gap::Newline;
    }
    i.reset(&before);
    found
}
