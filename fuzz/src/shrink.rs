//! Makes a program smaller while it still shows what it was found for: by lines, by blocks (as the indentation says), and
//! by what stands in parentheses.

/// The smallest that was found. `shows` says whether a program still shows it; it is asked at most `tries` times. What the
/// program begins with, `prelude`, stays.
pub fn shrink(
    source: &str,
    prelude: &str,
    tries: usize,
    mut shows: impl FnMut(&str) -> bool,
) -> String {
    let Some(body) = source.strip_prefix(prelude) else {
        return source.to_owned();
    };
    let mut best = body.to_owned();
    let mut shows = |body: &str| shows(&format!("{prelude}{body}"));
    let mut left = tries;
    loop {
        let before = best.len();
        lines(&mut best, &mut left, &mut shows);
        unwrap_blocks(&mut best, &mut left, &mut shows);
        groups(&mut best, &mut left, &mut shows);
        if best.len() >= before || left == 0 {
            return format!("{prelude}{best}");
        }
    }
}

fn attempt(
    best: &mut String,
    candidate: String,
    left: &mut usize,
    shows: &mut impl FnMut(&str) -> bool,
) -> bool {
    if *left == 0 || candidate.len() >= best.len() {
        return false;
    }
    *left -= 1;
    let good = shows(&candidate);
    if good {
        *best = candidate;
    }
    good
}

/// Takes runs of lines away, long ones first.
fn lines(best: &mut String, left: &mut usize, shows: &mut impl FnMut(&str) -> bool) {
    let mut size = best.lines().count() / 2;
    while size > 0 {
        let mut at = 0;
        loop {
            let all: Vec<&str> = best.lines().collect();
            if at >= all.len() || *left == 0 {
                break;
            }
            let end = (at + size).min(all.len());
            let candidate = [&all[..at], &all[end..]].concat().join("\n");
            if !attempt(best, candidate, left, shows) {
                at += size.div_ceil(2);
            }
        }
        size /= 2;
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Takes a block's first and last line away, or the whole of it.
fn unwrap_blocks(best: &mut String, left: &mut usize, shows: &mut impl FnMut(&str) -> bool) {
    let mut at = 0;
    loop {
        let all: Vec<&str> = best.lines().collect();
        if at >= all.len() || *left == 0 {
            return;
        }
        let depth = indent(all[at]);
        let last = (at + 1..all.len()).find(|&i| indent(all[i]) <= depth);
        if let Some(last) = last.filter(|&last| last > at + 1) {
            let whole = [&all[..at], &all[last + 1..]].concat().join("\n");
            let inside = [&all[..at], &all[at + 1..last], &all[last + 1..]]
                .concat()
                .join("\n");
            if attempt(best, whole, left, shows) || attempt(best, inside, left, shows) {
                continue;
            }
        }
        at += 1;
    }
}

/// Replaces what stands in brackets by something small, or by its own contents or arguments.
fn groups(best: &mut String, left: &mut usize, shows: &mut impl FnMut(&str) -> bool) {
    let mut at = 0;
    while let Some(start) = best[at..].find(['(', '{']).map(|i| i + at) {
        if *left == 0 {
            return;
        }
        at = start + 1;
        let Some(end) = closing(best, start) else {
            continue;
        };
        let (before, inside, after) = (&best[..start], &best[start + 1..end], &best[end + 1..]);
        let mut candidates = vec![
            format!("{before}{after}"),
            format!("{before}(){after}"),
            format!("{before}1{after}"),
            format!("{before}nil{after}"),
            format!("{before}{inside}{after}"),
        ];
        for (from, to) in arguments(inside) {
            let cut = format!("{}{}", &inside[..from], &inside[to..]);
            let (open, close) = (&best[start..=start], &best[end..=end]);
            candidates.push(format!("{before}{open}{cut}{close}{after}"));
            candidates.push(format!(
                "{before}{open}{}{close}{after}",
                inside[from..to].trim_matches([',', ' '])
            ));
        }
        if candidates
            .into_iter()
            .any(|candidate| attempt(best, candidate, left, shows))
        {
            at = start.saturating_sub(1);
            while !best.is_char_boundary(at) {
                at -= 1;
            }
        }
    }
}

/// Where the bracket at `start` is closed. Strings are not understood: a wrong answer makes a program that fails to show.
fn closing(text: &str, start: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'{' => depth += 1,
            b')' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

/// The ranges of the parts between commas, or between binary operators' blanks, each with the separator before it.
fn arguments(inside: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut depth, mut from) = (0, 0);
    for (i, byte) in inside.bytes().enumerate() {
        match byte {
            b'(' | b'{' => depth += 1,
            b')' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.push((from, i));
                from = i;
            }
            _ => {}
        }
    }
    if from > 0 {
        found.push((from, inside.len()));
    }
    found
}
