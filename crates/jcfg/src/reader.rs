//! Typed reading of a document: defaults, ranges, and a problem for all that is wrong or unknown.
//!
//! A [`Section`] remembers every key that was asked for; when it is dropped, the keys of the file that nobody
//! asked for become warnings with the nearest known name. A getter never fails: it reports the problem and
//! returns the default, so that one pass lists everything.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::ast::{Document, Group, Place, Setting, text_is_true};
use crate::nearest::nearest;
use crate::problem::{Kind, Problem, Severity};

/// Reads one document and collects its problems.
#[derive(Debug)]
pub struct Reader<'d> {
    document: &'d Document,
    problems: RefCell<Vec<Problem>>,
    asked: RefCell<Vec<String>>,
}

impl<'d> Reader<'d> {
    /// A reader of `document`, whose notices become its first problems.
    pub fn new(document: &'d Document) -> Self {
        let notices = document.notices.iter();
        let problems = notices
            .map(|(place, notice)| Problem::at(place, Severity::Warning, Kind::Advice, notice.to_string()))
            .collect();
        Self { document, problems: RefCell::new(problems), asked: RefCell::default() }
    }

    /// The top-level group `name` (letter case ignored); an empty section if the file has none.
    pub fn section(&self, name: &str) -> Section<'_> {
        self.asked.borrow_mut().push(name.to_owned());
        let group = self.document.root.get(name).and_then(|setting| self.group_of(setting));
        Section { reader: self, group, path: name.to_owned(), known: Vec::new() }
    }

    /// The top-level groups not asked for so far, in order: rooms, mountpoints. They count as asked for. Names that
    /// differ in letter case only are different groups here.
    pub fn other_sections(&self) -> Vec<(&'d Setting, Section<'_>)> {
        let found: Vec<&'d Setting> = self.unasked().collect();
        let names = found.iter().map(|setting| setting.name().to_owned());
        self.asked.borrow_mut().extend(names);
        let section = |setting: &'d Setting| {
            let group = self.group_of(setting);
            Section { reader: self, group, path: setting.name().to_owned(), known: Vec::new() }
        };
        found.into_iter().map(|setting| (setting, section(setting))).collect()
    }

    fn group_of(&self, setting: &'d Setting) -> Option<&'d Group> {
        let group = setting.value.as_group();
        if group.is_none() {
            let message = format!("`{}` must be a group {{ }}", setting.name());
            self.push(&setting.place, Severity::Error, Kind::BadValue, message);
        }
        group
    }

    /// Adds a problem of the caller's own.
    pub fn push(&self, place: &Place, severity: Severity, kind: Kind, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem::at(place, severity, kind, message));
    }

    /// All problems, those of unknown sections included, in the order of the file.
    pub fn finish(self) -> Vec<Problem> {
        let unknown: Vec<Problem> = self
            .unasked()
            .map(|setting| {
                let known = self.asked.borrow();
                let what = if setting.value.as_group().is_some() { "section" } else { "setting" };
                unknown(setting, what, setting.name(), &known)
            })
            .collect();
        let mut problems = self.problems.into_inner();
        problems.extend(unknown);
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    fn unasked(&self) -> impl Iterator<Item = &'d Setting> {
        let asked = self.asked.borrow().clone();
        self.document.root.settings().filter(move |setting| !is_known(&asked, setting.name()))
    }
}

fn is_known(known: &[String], name: &str) -> bool {
    known.iter().any(|key| key.eq_ignore_ascii_case(name))
}

fn unknown(setting: &Setting, what: &str, path: &str, known: &[String]) -> Problem {
    let hint = match nearest(setting.name(), known.iter().map(String::as_str)) {
        Some(name) => format!(", did you mean `{name}`?"),
        None => String::new(),
    };
    Problem::at(&setting.place, Severity::Warning, Kind::Unknown, format!("unknown {what} `{path}`{hint}"))
}

/// One group being read.
#[derive(Debug)]
pub struct Section<'r> {
    reader: &'r Reader<'r>,
    group: Option<&'r Group>,
    path: String,
    known: Vec<String>,
}

impl<'r> Section<'r> {
    /// The setting `key`, if the file has it. Counts as asked for, as in all getters.
    pub fn get(&mut self, key: &str) -> Option<&'r Setting> {
        if !is_known(&self.known, key) {
            self.known.push(key.to_owned());
        }
        self.group?.get(key)
    }

    /// Whether the file has this section.
    pub fn is_present(&self) -> bool {
        self.group.is_some()
    }

    /// The scalar `key` as text, as Janus keeps it.
    pub fn get_text(&mut self, key: &str) -> Option<String> {
        let setting = self.get(key)?;
        let text = setting.value.as_text();
        if text.is_none() {
            self.bad(setting, format!("must be a single value (found: {})", setting.value.kind()));
        }
        text
    }

    /// As [`Section::get_text`], an empty text counting as absent.
    pub fn get_filled(&mut self, key: &str) -> Option<String> {
        self.get_text(key).filter(|text| !text.trim().is_empty())
    }

    /// Janus' truth of `key`: `yes`, `true` and `1` are true and all else is false; words that look neither
    /// true nor false are warned about.
    pub fn get_bool(&mut self, key: &str, default: bool) -> bool {
        let Some(text) = self.get_text(key) else { return default };
        let flag = text_is_true(text.trim());
        let plain_no = ["no", "false", "0", ""].iter().any(|word| text.trim().eq_ignore_ascii_case(word));
        if !flag && !plain_no {
            let shown = self.written(key).unwrap_or(&text);
            let message = format!("`{shown}` counts as false: only true, yes and 1 are true");
            self.report(key, Severity::Warning, Kind::BadValue, message);
        }
        flag
    }

    /// A whole number within `range`.
    pub fn get_int<T>(&mut self, key: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i128>,
    {
        self.get_with(key, |text| {
            let number = text.trim().parse::<i128>().ok().and_then(|number| T::try_from(number).ok());
            number.filter(|number| range.contains(number)).ok_or_else(|| {
                format!("must be a whole number from {} to {}, not `{text}`", range.start(), range.end())
            })
        })
        .unwrap_or(default)
    }

    /// A path; an empty text counts as absent.
    pub fn get_path(&mut self, key: &str) -> Option<PathBuf> {
        self.get_filled(key).map(PathBuf::from)
    }

    /// One of `choices`, by its name (letter case ignored).
    pub fn get_enum<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], default: T) -> T {
        self.get_with(key, |text| {
            let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
            found.map(|&(_, choice)| choice).ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|&(name, _)| name).collect();
                format!("must be one of {}, not `{text}`", names.join(", "))
            })
        })
        .unwrap_or(default)
    }

    /// Texts of a list or an array, or the parts of a text between its commas, trimmed, empty ones left out.
    pub fn get_list(&mut self, key: &str) -> Option<Vec<String>> {
        let setting = self.get(key)?;
        let Some(items) = setting.value.as_items() else {
            let text = self.get_text(key)?;
            return Some(parts(text.split(',')));
        };
        let texts: Vec<Option<String>> = items.iter().map(|item| item.value.as_text()).collect();
        if texts.iter().any(Option::is_none) {
            self.bad(setting, "must be a list of single values".to_owned());
        }
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        Some(parts(texts.iter().map(String::as_str)))
    }

    /// `key` through `parse`, whose error text becomes a bad value; an empty text counts as absent. Where the text came
    /// out of a variable, `parse` is asked for its error text with what the file says.
    pub fn get_with<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.get_filled(key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.refuse(key, message, |written| parse(written).err());
                None
            }
        }
    }

    /// What the file says where the value of `key` came out of a variable: messages repeat this, not the value.
    pub fn written(&mut self, key: &str) -> Option<&'r str> {
        let setting = self.get(key)?;
        self.reader.document.written.get(&setting.place).map(String::as_str)
    }

    /// A bad value: `message` may repeat it, unless it came out of a variable.
    fn refuse(&mut self, key: &str, message: String, again: impl FnOnce(&str) -> Option<String>) {
        let message = match self.written(key) {
            None => message,
            Some(written) => {
                again(written).unwrap_or_else(|| format!("cannot take what stands for `{written}`"))
            }
        };
        self.report(key, Severity::Error, Kind::BadValue, message);
    }

    /// [`Section::get_list`] with every text through `parse`; texts it refuses are reported and left out.
    pub fn get_list_with<T>(
        &mut self,
        key: &str,
        mut parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let texts = self.get_list(key)?;
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match parse(&text) {
                Ok(value) => values.push(value),
                Err(message) => self.refuse(key, message, |written| parse(written).err()),
            }
        }
        Some(values)
    }

    /// The groups in the list `key`, each as a section; empty if the file has none.
    pub fn children(&mut self, key: &str) -> Vec<Section<'r>> {
        let Some(setting) = self.get(key) else { return Vec::new() };
        let items = setting.value.as_items().unwrap_or_default();
        if items.is_empty() || items.iter().any(|item| item.value.as_group().is_none()) {
            self.bad(setting, "must be a list of groups: ( { ... }, { ... } )".to_owned());
        }
        let groups = items.iter().filter_map(|item| item.value.as_group()).enumerate();
        let path = |at: usize| format!("{}.{key}[{at}]", self.path);
        groups
            .map(|(at, group)| Section {
                reader: self.reader,
                group: Some(group),
                path: path(at),
                known: Vec::new(),
            })
            .collect()
    }

    /// Adds a problem about `key`, at its place (or at the file, if it has none there).
    pub fn report(&mut self, key: &str, severity: Severity, kind: Kind, message: impl Display) {
        let message = format!("`{}.{key}` {message}", self.path);
        let place = match self.get(key) {
            Some(setting) => setting.place.clone(),
            None => Place::of(&self.reader.document.file),
        };
        self.reader.push(&place, severity, kind, message);
    }

    /// Takes every key of the section as asked for: for files that are looked at only in part.
    pub fn accept_rest(&mut self) {
        let Some(group) = self.group else { return };
        self.known.extend(group.settings().map(|setting| setting.name().to_owned()));
    }

    fn bad(&self, setting: &Setting, message: String) {
        let message = format!("`{}.{}` {message}", self.path, setting.name());
        self.reader.push(&setting.place, Severity::Error, Kind::BadValue, message);
    }
}

fn parts<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<String> {
    texts.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let Some(group) = self.group else { return };
        for setting in group.settings().filter(|setting| !is_known(&self.known, setting.name())) {
            let path = format!("{}.{}", self.path, setting.name());
            self.reader.problems.borrow_mut().push(unknown(setting, "setting", &path, &self.known));
        }
    }
}
