//! The one table that the benchmark prints: a row a figure, beside what it is compared with and what was wanted.

/// Prints the table's head.
pub fn head() {
    println!("| what | ours | beside it | wanted | kept |");
    println!("|---|---:|---:|---:|---|");
}

/// A figure of its own.
pub fn note(what: &str, ours: &str, beside: &str) {
    println!("| {what} | {ours} | {beside} | | |");
}

/// A figure with a bound.
pub fn row(what: &str, ours: &str, beside: &str, wanted: &str, kept: bool) {
    let kept = if kept { "yes" } else { "**no**" };
    println!("| {what} | {ours} | {beside} | {wanted} | {kept} |");
}

/// Bytes with thousands parted, as a person reads them.
pub fn bytes(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + " B"
}
