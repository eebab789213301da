//! Parses the output of strace.

use std::collections::HashMap;

/// A call that has returned.
#[derive(Debug)]
pub(crate) struct Call {
    /// Time of the call in microseconds since 1970. If strace printed another thread's call in between, the time of
    /// the return.
    pub(crate) at: i64,
    pub(crate) name: String,
    /// Arguments as strace prints them: strings and paths in hexadecimal.
    pub(crate) arguments: Vec<String>,
    /// Return value. None if the call failed or did not return.
    pub(crate) result: Option<i64>,
}

/// The options of strace that [`calls`] requires. They record every call that concerns files or descriptors, so that
/// no call is missed because it was forgotten here.
pub(crate) const OPTIONS: [&str; 8] = [
    "--seccomp-bpf",
    "--decode-fds=path",
    "--strings-in-hex=all",
    "--absolute-timestamps=format:unix,precision:us",
    "--string-limit=16777216",
    "--signal=none",
    "--trace=%file,%desc",
    "--abbrev=none",
];

/// Parses a trace.
///
/// # Panics
/// When a line is not in strace's format.
pub(crate) fn calls(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (process, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no process: {line}"));
        let (at, rest) = rest.trim_start().split_once(' ').unwrap_or_else(|| panic!("no time: {line}"));
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(first) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(process, first.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, second)) => {
                begun.remove(process).unwrap_or_else(|| panic!("never begun: {line}")) + second
            }
            None => rest.to_owned(),
        };
        calls.push(call(microseconds(at), &whole));
    }
    calls
}

fn microseconds(at: &str) -> i64 {
    at.replace('.', "").parse().unwrap_or_else(|_| panic!("{at} is not a time"))
}

fn call(at: i64, text: &str) -> Call {
    let parts = text.rsplit_once("= ").and_then(|(call, result)| {
        let (name, arguments) = call.trim_end().strip_suffix(')')?.split_once('(')?;
        Some((name, arguments, result))
    });
    let (name, arguments, result) =
        parts.unwrap_or_else(|| panic!("no call: {}", &text[..text.len().min(300)]));
    let number = result.split(['<', ' ']).next().unwrap_or_default();
    let result = match number.strip_prefix("0x") {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16).ok(),
        None => number.parse().ok(),
    };
    let result = result.filter(|result| *result >= 0);
    Call { at, name: name.to_owned(), arguments: split(arguments), result }
}

/// Splits at commas outside brackets. Strings are hexadecimal, so they contain no commas or brackets.
fn split(arguments: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_u32, 0);
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(arguments[from..at].trim().to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[from..].trim().to_owned());
    parts
}

/// The bytes of `"\x41\x42"`.
///
/// # Panics
/// When strace has truncated the string.
pub(crate) fn bytes(argument: &str) -> Vec<u8> {
    let text = argument.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    hexadecimal(text.unwrap_or_else(|| panic!("truncated string: {}", &argument[..argument.len().min(80)])))
}

/// The path in `"\x2f\x61"`, or None for an argument that is not a string.
pub(crate) fn string(argument: &str) -> Option<String> {
    argument.starts_with('"').then(|| String::from_utf8_lossy(&bytes(argument)).into_owned())
}

/// Number and path in `9<\x2f\x61>`, and whether the file was deleted; `AT_FDCWD` is -100.
pub(crate) fn descriptor(argument: &str) -> Option<(i64, String, bool)> {
    let (number, rest) = argument.split_once('<')?;
    let number = if number == "AT_FDCWD" { -100 } else { number.parse().ok()? };
    let (path, rest) = rest.rsplit_once('>')?;
    Some((number, String::from_utf8_lossy(&hexadecimal(path)).into_owned(), rest == "(deleted)"))
}

/// The concatenated strings of `[{iov_base="\x41", iov_len=1}, …]`.
pub(crate) fn gathered(argument: &str) -> Vec<u8> {
    let strings = argument.split("iov_base=").skip(1);
    strings.flat_map(|part| bytes(part.split_once(", iov_len").map_or(part, |(string, _)| string))).collect()
}

fn hexadecimal(text: &str) -> Vec<u8> {
    let digits = text.replace("\\x", "");
    hex::decode(&digits).unwrap_or_else(|_| panic!("not hexadecimal: {}", &text[..text.len().min(80)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_another_thread_interrupts_is_one() {
        let trace = "7 1.000001 fsync(3<\\x2f\\x61> <unfinished ...>\n8 1.000002 write(4<\\x2f\\x62>, \"\\x2c\\x29\", 2) = 2\n\
                     7 1.000003 <... fsync resumed>) = 0\n7 1.000004 +++ exited with 0 +++\n";
        let calls = calls(trace);
        assert_eq!(calls.len(), 2);
        assert_eq!((calls[0].name.as_str(), calls[0].result), ("write", Some(2)));
        assert_eq!(bytes(&calls[0].arguments[1]), b",)");
        assert_eq!((calls[1].name.as_str(), calls[1].at, calls[1].result), ("fsync", 1_000_003, Some(0)));
        assert_eq!(descriptor(&calls[1].arguments[0]), Some((3, "/a".to_owned(), false)));
    }

    #[test]
    fn failures_padding_and_gathered_strings_are_read() {
        let trace = "7 1.000001 open(\"\\x61\", O_RDWR)   = -1 ENOENT (No such file or directory)\n\
                     7 1.000002 writev(3<\\x2f\\x61>(deleted), [{iov_base=\"\\x61\", iov_len=1}, {iov_base=\"\\x62\", iov_len=1}], 2) = 2\n";
        let calls = calls(trace);
        assert_eq!(calls[0].result, None);
        assert_eq!(gathered(&calls[1].arguments[1]), b"ab");
        assert!(descriptor(&calls[1].arguments[0]).is_some_and(|(_, _, deleted)| deleted));
    }
}
