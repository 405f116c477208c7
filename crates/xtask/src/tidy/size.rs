//! Files and functions that outgrew one idea.

use super::Breach;
use super::masked::{Masked, is_name};

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;

pub(super) fn file_length(path: &str, text: &str) -> Option<Breach> {
    let lines = text.lines().count();
    (lines > FILE_LINES)
        .then(|| Breach::new(path, lines, format!("{lines} lines in one file, the limit is {FILE_LINES}")))
}

pub(super) fn function_lengths(path: &str, code: &Masked) -> Vec<Breach> {
    code.find_all("fn")
        .filter_map(|at| {
            let (name, end) = function(code, at)?;
            let (first, last) = (code.line(at), code.line(end));
            let lines = last - first + 1;
            let what = || format!("fn {name} has {lines} lines, the limit is {FUNCTION_LINES}");
            (lines > FUNCTION_LINES).then(|| Breach::new(path, first, what()))
        })
        .collect()
}

/// Name and closing brace of the function whose `fn` stands at `at`; none for types and declarations without a body.
fn function(code: &Masked, at: usize) -> Option<(String, usize)> {
    let bytes = code.as_bytes();
    let rest = bytes.get(at + 3..)?;
    let name: Vec<u8> = rest.iter().copied().take_while(|byte| is_name(*byte) || *byte == b'#').collect();
    if name.is_empty() {
        return None;
    }
    let mut depth = 0_i32;
    for (offset, byte) in rest.iter().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => {
                let end = code.closing(at + 3 + offset)?;
                return Some((String::from_utf8_lossy(&name).into_owned(), end));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        let body = "    step();\n".repeat(lines - 2);
        format!("trait T {{\n    fn declared(x: [u8; 2]);\n}}\n\nfn long(f: fn(u8)) -> u8 {{\n{body}}}\n")
    }

    #[test]
    fn a_function_over_the_limit_is_a_breach() {
        let short = Masked::new(&function_of(FUNCTION_LINES));
        assert_eq!(function_lengths("a.rs", &short), []);
        let long = Masked::new(&function_of(FUNCTION_LINES + 1));
        let found = function_lengths("a.rs", &long);
        assert_eq!(found, [Breach::new("a.rs", 5, "fn long has 71 lines, the limit is 70")]);
    }

    #[test]
    fn braces_in_literals_do_not_count() {
        let body = "    f(\"{\", '{', \"}\");\n".repeat(10);
        let code = Masked::new(&format!("fn a() {{\n{body}}}\nfn b() {{}}\n"));
        assert_eq!(function(&code, 0).unwrap().0, "a");
        assert_eq!(code.line(function(&code, 0).unwrap().1), 12);
    }

    #[test]
    fn a_file_over_the_limit_is_a_breach() {
        assert_eq!(file_length("a.rs", &"\n".repeat(FILE_LINES)), None);
        assert!(file_length("a.rs", &"\n".repeat(FILE_LINES + 1)).is_some());
    }
}
