//! Random documents.

use portunus_jcfg::{
    Comment, CommentStyle, Document, Entry, Group, Integer, Item, List, Place, Radix, Setting, Trivia, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn comment() -> impl Strategy<Value = Comment> {
    let style = prop_oneof![Just(CommentStyle::Hash), Just(CommentStyle::Slashes), Just(CommentStyle::Block)];
    (style, "[ -~\n\u{e4}]{0,12}").prop_map(|(style, text)| Comment::new(style, &text))
}

/// Comments behind a value: only the last may run to the end of the line.
fn trailing() -> impl Strategy<Value = Vec<Comment>> {
    prop_oneof![3 => Just(vec![]), 1 => vec(comment(), 1..3)].prop_map(|mut comments| {
        let last = comments.len().saturating_sub(1);
        for comment in comments.iter_mut().take(last) {
            *comment = Comment::new(CommentStyle::Block, comment.text());
        }
        comments
    })
}

fn leading() -> impl Strategy<Value = Vec<Trivia>> {
    let one = prop_oneof![Just(Trivia::Blank), comment().prop_map(Trivia::Comment)];
    let some = vec(one, 1..4).prop_map(|mut trivia| {
        trivia.dedup_by(|a, b| matches!((a, b), (Trivia::Blank, Trivia::Blank)));
        trivia
    });
    prop_oneof![3 => Just(vec![]), 1 => some]
}

fn scalar() -> impl Strategy<Value = Value> {
    let radix = prop_oneof![Just(Radix::Decimal), Just(Radix::Hex), Just(Radix::Binary), Just(Radix::Octal)];
    let integer = (any::<i64>(), radix, any::<bool>()).prop_map(|(value, radix, long)| {
        let radix = if value < 0 { Radix::Decimal } else { radix };
        Value::Integer(Integer { value, radix, long })
    });
    let float = any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::Float);
    let text = any::<String>().prop_map(|text| Value::Text(text.replace('\0', "")));
    prop_oneof![integer, float, text, any::<bool>().prop_map(Value::Bool)]
}

fn array() -> impl Strategy<Value = Value> {
    vec((scalar(), leading(), trailing()), 0..4).prop_flat_map(|parts| {
        let kind = parts.first().map_or("text", |(value, ..)| value.kind());
        let items = parts.into_iter().filter(|(value, ..)| value.kind() == kind).map(item).collect();
        list_of(items).prop_map(Value::Array)
    })
}

fn item((value, leading, trailing): (Value, Vec<Trivia>, Vec<Comment>)) -> Item {
    Item { value, place: Place::of("made"), leading, trailing }
}

fn list_of(items: Vec<Item>) -> impl Strategy<Value = List> {
    (trailing(), leading(), any::<bool>()).prop_map(move |(opening, closing, multiline)| {
        let mut list = List { opening, items: items.clone(), closing, multiline };
        list.settle();
        list
    })
}

pub fn group_of(value: impl Strategy<Value = Value>, opening: bool) -> impl Strategy<Value = Group> {
    let setting = ("[A-Za-z*][-A-Za-z0-9_*]{0,8}", value, leading(), trailing());
    (vec(setting, 0..5), trailing(), leading()).prop_map(move |(settings, comments, closing)| {
        let mut group = Group { opening: vec![], entries: vec![], closing };
        if opening {
            group.opening = comments;
        }
        for (name, value, leading, trailing) in settings {
            let Ok(mut setting) = Setting::new(&name, value, Place::of("made")) else { continue };
            (setting.leading, setting.trailing) = (leading, trailing);
            if group.get(&name).is_none() {
                group.entries.push(Entry::Setting(setting));
            }
        }
        group
    })
}

pub fn value() -> impl Strategy<Value = Value> {
    prop_oneof![3 => scalar(), 1 => array()].prop_recursive(4, 24, 4, |inner| {
        let list = vec((inner.clone(), leading(), trailing()), 0..4)
            .prop_flat_map(|parts| list_of(parts.into_iter().map(item).collect()))
            .prop_map(Value::List);
        prop_oneof![list, group_of(inner, true).prop_map(Value::Group)]
    })
}

pub fn document() -> impl Strategy<Value = Document> {
    group_of(value(), false).prop_map(|root| Document { root, ..Document::empty("made") })
}
