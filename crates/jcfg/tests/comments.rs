//! A file rewritten keeps its comments.

mod common;

use common::{fixtures, ok, parse_file, parse_text};
use portunus_jcfg::{Comment, CommentStyle, Place, Trivia, Value};

#[test]
fn a_rewritten_file_keeps_comments_and_empty_lines() {
    let tidy = "\
# head

general: { # behind the brace
  /* block */
  // above a
  a = 1; # behind a

  list = (
    \"x\", // behind x
    # above y
    \"y\"
    # before the bracket
  );
  # before the brace
};

# tail
";
    assert_eq!(ok(tidy).print(), tidy);
}

#[test]
fn a_changed_value_leaves_its_surroundings_alone() {
    let mut document = ok("g: {\n  # why\n  a = 1; # how\n  # next\n  b = 2;\n};\n");
    document.set("G", "A", "new".into(), Place::of("code")).expect("set");
    document.set("g", "c", Value::Bool(true), Place::of("code")).expect("set");
    document.set("h", "d", 4_i64.into(), Place::of("code")).expect("set");
    let wanted = "g: {\n  # why\n  a = \"new\"; # how\n  # next\n  b = 2;\n  c = true;\n};\n\
                  h: {\n  d = 4;\n};\n";
    assert_eq!(document.print(), wanted);
}

#[test]
fn a_removed_setting_takes_its_comments_along() {
    let mut document = ok("# of a\na = 1;\n# of b\nb = 2;\n");
    assert!(document.root.remove("A").is_some());
    assert!(document.root.remove("A").is_none());
    assert_eq!(document.print(), "# of b\nb = 2;\n");
}

#[test]
fn comments_inside_a_setting_move_above_it() {
    let document = ok("a /* one */ = // two\n 1 # three\n /* four */ ; # five\n");
    assert_eq!(document.print(), "/* one */\n// two\n/* four */\n# three\na = 1; # five\n");
    let joined = ok("a = \"x\" # one\n  \"y\" # two\n");
    assert_eq!(joined.print(), "# one\na = \"xy\"; # two\n");
}

#[test]
fn a_comment_made_by_hand_cannot_break_the_file() {
    let mut document = ok("a = 1");
    let setting = document.root.get_mut("a").expect("a");
    setting.leading.push(Trivia::Comment(Comment::new(CommentStyle::Hash, " two\nlines")));
    setting.trailing.push(Comment::new(CommentStyle::Slashes, " ends */ here"));
    setting.trailing.push(Comment::new(CommentStyle::Block, " a */ b "));
    let printed = document.print();
    assert_eq!(printed, "# two lines\na = 1; /* ends * / here*/ /* a * / b */\n");
    assert_eq!(ok(&printed).print(), printed);
}

#[test]
fn the_fixture_survives_a_rewrite() {
    let document = parse_file(&fixtures(), "constructs.jcfg").expect("parses");
    let printed = document.print();
    let again = parse_text(&fixtures(), "again", &printed).expect("parses again");
    assert_eq!(again, document);
    assert_eq!(again.print(), printed);
    let read = common::read(&fixtures().join("constructs.jcfg"));
    for comment in ["a comment behind the brace", "of two lines", "between the pieces", "after the last"] {
        assert!(read.contains(comment) && printed.contains(comment), "{comment}");
    }
}
