//! Source bytes to tokens, one at a time, with one token of lookahead.
//!
//! Invariant: `start..end` is the current token's place in the source, and `line` is the line on which the last token
//! scanned *ends*. That, and not where it starts, is what messages and the code's line numbers go by, as in the reference.
//!
//! Speed lives here: names, strings without escapes and short decimal integers are taken from the source as they are,
//! with no allocation. An error is the rare case and pays for itself: the text to show is put together when it happens.

use super::message::{SyntaxError, quote};
use super::numeral::{Number, hex_value, is_space, parse_number};
use super::symbols::{Symbols, leading_word};
use super::token::{Token, reserved};
use super::tree::Symbol;

/// Why parsing stopped. Boxed, so that results stay small.
pub type Failure = Box<SyntaxError>;

#[derive(Clone, Copy)]
struct Lexeme {
    token: Token,
    start: usize,
    end: usize,
    payload: u64,
}

/// What a long bracket is.
#[derive(Clone, Copy, PartialEq)]
enum Long {
    String,
    Comment,
}

/// The lexer; the current token is the last that [`Lexer::advance`] read.
pub struct Lexer<'s> {
    source: &'s [u8],
    /// Where scanning goes on.
    at: usize,
    current: Lexeme,
    ahead: Option<Lexeme>,
    /// Line at `at`.
    pub line: u32,
    /// Line on which the token before the current one ended.
    pub last_line: u32,
    pub symbols: Symbols,
    /// Contents of a string that is not in the source as it is; empty between tokens.
    buffer: Vec<u8>,
}

// What a byte can be part of.
const NAME_START: u8 = 1;
const NAME: u8 = 2;
/// Part of a numeral as the reference reads them: greedily, so that `3x` is a malformed number and not two tokens.
const NUMERAL: u8 = 4;
/// Ends the run of bytes that a quoted string takes as they are.
const STRING_STOP: u8 = 8;
const NEWLINE: u8 = 16;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        if byte.is_ascii_alphabetic() || byte == b'_' {
            table[i] |= NAME_START | NAME;
        }
        if byte.is_ascii_digit() {
            table[i] |= NAME;
        }
        if byte.is_ascii_hexdigit() || byte == b'.' {
            table[i] |= NUMERAL;
        }
        if matches!(byte, b'"' | b'\'' | b'\\' | b'\n' | b'\r') {
            table[i] |= STRING_STOP;
        }
        if matches!(byte, b'\n' | b'\r') {
            table[i] |= NEWLINE;
        }
        i += 1;
    }
    table
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

impl<'s> Lexer<'s> {
    /// A lexer before the first token.
    pub fn new(source: &'s [u8]) -> Lexer<'s> {
        Lexer {
            source,
            at: 0,
            current: Lexeme {
                token: Token::Eos,
                start: 0,
                end: 0,
                payload: 0,
            },
            ahead: None,
            line: 1,
            last_line: 1,
            symbols: Symbols::new(source),
            buffer: Vec::new(),
        }
    }

    /// The current token's kind.
    #[inline]
    pub fn token(&self) -> Token {
        self.current.token
    }

    /// The current token's symbol, if it is a name or a string.
    #[inline]
    pub fn symbol(&self) -> Symbol {
        Symbol(self.current.payload as u32)
    }

    /// The current token's value, if it is an integer.
    #[inline]
    pub fn int(&self) -> i64 {
        self.current.payload as i64
    }

    /// The current token's value, if it is a float.
    #[inline]
    pub fn float(&self) -> f64 {
        f64::from_bits(self.current.payload)
    }

    /// Goes on to the next token.
    #[inline]
    pub fn advance(&mut self) -> Result<(), Failure> {
        self.last_line = self.line;
        if let Some(ahead) = self.ahead.take() {
            self.current = ahead;
            return Ok(());
        }
        self.scan()
    }

    /// Whether the token after the current one is `=`.
    pub fn assign_follows(&mut self) -> Result<bool, Failure> {
        // The usual cases are decided without scanning the token twice.
        let mut at = self.at;
        while self.source.get(at) == Some(&b' ') {
            at += 1;
        }
        match self.source.get(at) {
            Some(b'=') => return Ok(self.source.get(at + 1) != Some(&b'=')),
            Some(b',' | b'}' | b'.' | b'(' | b'"') => return Ok(false),
            _ => {}
        }
        let current = self.current;
        self.scan()?;
        let ahead = std::mem::replace(&mut self.current, current);
        self.ahead = Some(ahead);
        Ok(ahead.token == Token::Assign)
    }

    /// An error that shows the current token.
    #[cold]
    pub fn error_here(&self, message: impl AsRef<[u8]>) -> Failure {
        // In the reference a zero byte is the token 0, which stands for none.
        if self.token() == Token::Other && self.source[self.current.start] == 0 {
            return self.error(message);
        }
        Box::new(SyntaxError::near(self.line, message, &self.shown()))
    }

    /// An error that shows no token.
    #[cold]
    pub fn error(&self, message: impl AsRef<[u8]>) -> Failure {
        Box::new(SyntaxError::new(self.line, message))
    }

    /// The current token as messages show it: names and numerals as they were written, strings with their escapes done.
    fn shown(&self) -> Vec<u8> {
        let Lexeme {
            token,
            start,
            end,
            payload,
        } = self.current;
        match token {
            Token::Name | Token::Int | Token::Float => quote(&self.source[start..end]),
            Token::String => {
                let delimiter = match self.source[start] {
                    b'[' => self.brackets(start) + 2,
                    _ => 1,
                };
                let contents = self.symbols.get(payload as u32);
                quote(
                    &[
                        &self.source[start..start + delimiter],
                        contents,
                        &self.source[end - delimiter..end],
                    ]
                    .concat(),
                )
            }
            Token::Other => match self.source[start] {
                byte @ b' '..=b'~' => quote(&[byte]),
                byte => format!("'<\\{byte}>'").into_bytes(),
            },
            _ => token.shown().into_bytes(),
        }
    }

    /// Reads the token at `at` into `current`.
    fn scan(&mut self) -> Result<(), Failure> {
        loop {
            let start = self.at;
            let Some(&byte) = self.source.get(start) else {
                return self.accept(Token::Eos, start, 0);
            };
            let next = self.source.get(start + 1).copied().unwrap_or(0);
            let (token, len) = match byte {
                b'\n' | b'\r' => {
                    self.newline();
                    continue;
                }
                b' ' | b'\t' | 0x0b | 0x0c => {
                    let rest = &self.source[start + 1..];
                    self.at += 1 + rest
                        .iter()
                        .take_while(|&&b| b == b' ' || b == b'\t')
                        .count();
                    continue;
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => return self.name(start),
                b'0'..=b'9' => return self.numeral(start, start),
                b'"' | b'\'' => return self.string(start, byte),
                b'-' if next == b'-' => {
                    self.comment(start)?;
                    continue;
                }
                b'[' if next == b'[' || next == b'=' => return self.long_bracket(start),
                b'.' if next == b'.' => match self.source.get(start + 2) {
                    Some(b'.') => (Token::Dots, 3),
                    _ => (Token::Concat, 2),
                },
                b'.' if next.is_ascii_digit() => return self.numeral(start, start + 1),
                b'=' if next == b'=' => (Token::Eq, 2),
                b'~' if next == b'=' => (Token::Ne, 2),
                b'<' if next == b'=' => (Token::Le, 2),
                b'>' if next == b'=' => (Token::Ge, 2),
                b'<' if next == b'<' => (Token::Shl, 2),
                b'>' if next == b'>' => (Token::Shr, 2),
                b'/' if next == b'/' => (Token::IDiv, 2),
                b':' if next == b':' => (Token::DoubleColon, 2),
                b'+' => (Token::Plus, 1),
                b'-' => (Token::Minus, 1),
                b'*' => (Token::Star, 1),
                b'/' => (Token::Slash, 1),
                b'%' => (Token::Percent, 1),
                b'^' => (Token::Caret, 1),
                b'#' => (Token::Hash, 1),
                b'&' => (Token::Ampersand, 1),
                b'~' => (Token::Tilde, 1),
                b'|' => (Token::Pipe, 1),
                b'<' => (Token::Less, 1),
                b'>' => (Token::Greater, 1),
                b'=' => (Token::Assign, 1),
                b'(' => (Token::LeftParen, 1),
                b')' => (Token::RightParen, 1),
                b'{' => (Token::LeftBrace, 1),
                b'}' => (Token::RightBrace, 1),
                b'[' => (Token::LeftBracket, 1),
                b']' => (Token::RightBracket, 1),
                b';' => (Token::Semicolon, 1),
                b':' => (Token::Colon, 1),
                b',' => (Token::Comma, 1),
                b'.' => (Token::Dot, 1),
                _ => (Token::Other, 1),
            };
            self.at = start + len;
            return self.accept(token, start, 0);
        }
    }

    /// Makes `start..at` the current token.
    #[inline]
    fn accept(&mut self, token: Token, start: usize, payload: u64) -> Result<(), Failure> {
        self.current = Lexeme {
            token,
            start,
            end: self.at,
            payload,
        };
        Ok(())
    }

    /// Passes a line break: LF, CR, CR LF or LF CR.
    #[inline]
    fn newline(&mut self) {
        let first = self.source[self.at];
        self.at += 1;
        if let Some(&second) = self.source.get(self.at)
            && is(second, NEWLINE)
            && second != first
        {
            self.at += 1;
        }
        self.line += 1;
    }

    #[inline]
    fn name(&mut self, start: usize) -> Result<(), Failure> {
        let rest = &self.source[start..];
        let len = rest
            .iter()
            .position(|&b| !is(b, NAME))
            .unwrap_or(rest.len());
        self.at = start + len;
        let word = leading_word(rest, len);
        if len <= 8
            && let Some(token) = reserved(word)
        {
            return self.accept(token, start, 0);
        }
        let symbol = self.symbols.intern(&rest[..len], word);
        self.accept(Token::Name, start, u64::from(symbol.0))
    }

    /// A numeral: `start` is where it begins, `digits` its first digit (after the point in `.5`).
    fn numeral(&mut self, start: usize, digits: usize) -> Result<(), Failure> {
        let mut at = digits;
        if start == digits {
            // At most 18 digits cannot overflow.
            let mut value = 0;
            while let Some(&byte) = self.source.get(at)
                && byte.is_ascii_digit()
                && at - start < 18
            {
                value = value * 10 + u64::from(byte - b'0');
                at += 1;
            }
            if self.source.get(at).is_none_or(|&b| !is(b, NUMERAL | NAME)) {
                self.at = at;
                return self.accept(Token::Int, start, value);
            }
            at = digits;
        }
        let hexadecimal = matches!(self.source[digits..], [b'0', b'x' | b'X', ..]);
        let exponent_mark = if hexadecimal {
            at += 2;
            b'p'
        } else {
            b'e'
        };
        while let Some(&byte) = self.source.get(at) {
            if byte | 0x20 == exponent_mark {
                at += 1;
                if matches!(self.source.get(at), Some(b'+' | b'-')) {
                    at += 1;
                }
            } else if is(byte, NUMERAL) {
                at += 1;
            } else {
                // A letter that touches the numeral is shown as part of what is malformed.
                if is(byte, NAME) {
                    at += 1;
                }
                break;
            }
        }
        self.at = at;
        let text = &self.source[start..at];
        match parse_number(text) {
            Some(Number::Int(value)) => self.accept(Token::Int, start, value as u64),
            Some(Number::Float(value)) => self.accept(Token::Float, start, value.to_bits()),
            None => Err(self.error_near("malformed number", text)),
        }
    }

    #[cold]
    fn error_near(&self, message: &str, text: &[u8]) -> Failure {
        Box::new(SyntaxError::near(self.line, message, &quote(text)))
    }

    fn comment(&mut self, start: usize) -> Result<(), Failure> {
        self.at = start + 2;
        if self.source.get(self.at) == Some(&b'[') {
            let level = self.brackets(self.at);
            if self.source.get(self.at + 1 + level) == Some(&b'[') {
                return self.long_body(self.at, level, Long::Comment).map(|_| ());
            }
        }
        let rest = &self.source[self.at..];
        self.at += rest
            .iter()
            .position(|&b| is(b, NEWLINE))
            .unwrap_or(rest.len());
        Ok(())
    }

    /// How many `=` follow the bracket at `at`.
    fn brackets(&self, at: usize) -> usize {
        self.source[at + 1..]
            .iter()
            .take_while(|&&b| b == b'=')
            .count()
    }

    fn long_bracket(&mut self, start: usize) -> Result<(), Failure> {
        let level = self.brackets(start);
        if self.source.get(start + 1 + level) != Some(&b'[') {
            return Err(self.error_near(
                "invalid long string delimiter",
                &self.source[start..start + 1 + level],
            ));
        }
        let contents = self.long_body(start, level, Long::String)?;
        let symbol = if self.buffer.is_empty() {
            self.symbols.intern(
                &self.source[contents.clone()],
                leading_word(&self.source[contents.start..], contents.len()),
            )
        } else {
            self.buffer.extend_from_slice(&self.source[contents]);
            self.intern_buffer()
        };
        self.accept(Token::String, start, u64::from(symbol.0))
    }

    /// Passes a long bracket that opens at `start`. Its contents are those of `buffer`, if there are line breaks to be
    /// normalised, and then the range returned.
    fn long_body(
        &mut self,
        start: usize,
        level: usize,
        what: Long,
    ) -> Result<std::ops::Range<usize>, Failure> {
        let first_line = self.line;
        self.at = start + level + 2;
        if self.source.get(self.at).is_some_and(|&b| is(b, NEWLINE)) {
            self.newline();
        }
        let mut plain = self.at;
        loop {
            let rest = &self.source[self.at..];
            let Some(run) = rest.iter().position(|&b| b == b']' || is(b, NEWLINE)) else {
                self.at = self.source.len();
                let what = match what {
                    Long::String => "string",
                    Long::Comment => "comment",
                };
                let message = format!("unfinished long {what} (starting at line {first_line})");
                return Err(Box::new(SyntaxError::near(self.line, message, b"<eof>")));
            };
            self.at += run;
            let at = self.at;
            if self.source[at] == b']' {
                let closing = self.brackets(at);
                if closing == level && self.source.get(at + 1 + level) == Some(&b']') {
                    self.at = at + level + 2;
                    return Ok(plain..at);
                }
                self.at = at + 1 + closing;
                continue;
            }
            self.newline();
            // A plain LF stays as it is; any other break becomes one.
            if self.source[at..self.at] != *b"\n" && what == Long::String {
                self.buffer.extend_from_slice(&self.source[plain..at]);
                self.buffer.push(b'\n');
                plain = self.at;
            }
        }
    }

    fn intern_buffer(&mut self) -> Symbol {
        let word = leading_word(&self.buffer, self.buffer.len());
        let symbol = self.symbols.intern(&self.buffer, word);
        self.buffer.clear();
        symbol
    }

    #[inline]
    fn string(&mut self, start: usize, quote: u8) -> Result<(), Failure> {
        let rest = &self.source[start + 1..];
        let len = rest
            .iter()
            .position(|&b| is(b, STRING_STOP))
            .unwrap_or(rest.len());
        if rest.get(len) == Some(&quote) {
            self.at = start + len + 2;
            let symbol = self.symbols.intern(&rest[..len], leading_word(rest, len));
            return self.accept(Token::String, start, u64::from(symbol.0));
        }
        self.string_with_escapes(start, quote)
    }

    fn string_with_escapes(&mut self, start: usize, quote: u8) -> Result<(), Failure> {
        self.at = start + 1;
        loop {
            let rest = &self.source[self.at..];
            let run = rest
                .iter()
                .position(|&b| is(b, STRING_STOP))
                .unwrap_or(rest.len());
            self.buffer.extend_from_slice(&rest[..run]);
            self.at += run;
            match self.source.get(self.at) {
                None => {
                    return Err(Box::new(SyntaxError::near(
                        self.line,
                        "unfinished string",
                        b"<eof>",
                    )));
                }
                Some(b'\n' | b'\r') => {
                    let shown = [&[quote], &self.buffer[..]].concat();
                    return Err(self.error_near("unfinished string", &shown));
                }
                Some(b'\\') => self.escape(quote)?,
                Some(&byte) => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                    self.buffer.push(byte);
                }
            }
        }
        let symbol = self.intern_buffer();
        self.accept(Token::String, start, u64::from(symbol.0))
    }

    /// One escape sequence, whose backslash is at `at`.
    fn escape(&mut self, quote: u8) -> Result<(), Failure> {
        let backslash = self.at;
        let Some(&byte) = self.source.get(backslash + 1) else {
            self.at = backslash + 1;
            return Ok(());
        };
        let value = match byte {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'"' | b'\'' => byte,
            b'\n' | b'\r' => {
                self.at = backslash + 1;
                self.newline();
                self.buffer.push(b'\n');
                return Ok(());
            }
            b'z' => {
                self.at = backslash + 2;
                while let Some(&blank) = self.source.get(self.at)
                    && is_space(blank)
                {
                    if is(blank, NEWLINE) {
                        self.newline();
                    } else {
                        self.at += 1;
                    }
                }
                return Ok(());
            }
            b'x' => {
                let high = self.hex_digit(backslash, backslash + 2, quote)?;
                let low = self.hex_digit(backslash, backslash + 3, quote)?;
                self.at = backslash + 4;
                self.buffer.push(high << 4 | low);
                return Ok(());
            }
            b'u' => return self.utf8_escape(backslash, quote),
            b'0'..=b'9' => {
                let digits = &self.source[backslash + 1..];
                let len = digits
                    .iter()
                    .take(3)
                    .take_while(|b| b.is_ascii_digit())
                    .count();
                let value = digits[..len]
                    .iter()
                    .fold(0, |v, &b| v * 10 + u32::from(b - b'0'));
                let Ok(value) = u8::try_from(value) else {
                    return Err(self.bad_escape(
                        "decimal escape too large",
                        backslash,
                        backslash + 1 + len,
                        quote,
                    ));
                };
                self.at = backslash + 1 + len;
                self.buffer.push(value);
                return Ok(());
            }
            _ => {
                return Err(self.bad_escape(
                    "invalid escape sequence",
                    backslash,
                    backslash + 1,
                    quote,
                ));
            }
        };
        self.at = backslash + 2;
        self.buffer.push(value);
        Ok(())
    }

    fn hex_digit(&self, backslash: usize, at: usize, quote: u8) -> Result<u8, Failure> {
        let digit = self.source.get(at).and_then(|&b| hex_value(b));
        digit.ok_or_else(|| self.bad_escape("hexadecimal digit expected", backslash, at, quote))
    }

    /// `\u{XXX}`: any value up to 2^31, in the original UTF-8 of up to six bytes.
    fn utf8_escape(&mut self, backslash: usize, quote: u8) -> Result<(), Failure> {
        let mut at = backslash + 2;
        if self.source.get(at) != Some(&b'{') {
            return Err(self.bad_escape("missing '{'", backslash, at, quote));
        }
        at += 1;
        let mut value = u32::from(self.hex_digit(backslash, at, quote)?);
        at += 1;
        while let Some(digit) = self.source.get(at).and_then(|&b| hex_value(b)) {
            if value > 0x7fff_ffff >> 4 {
                return Err(self.bad_escape("UTF-8 value too large", backslash, at, quote));
            }
            value = value << 4 | u32::from(digit);
            at += 1;
        }
        if self.source.get(at) != Some(&b'}') {
            return Err(self.bad_escape("missing '}'", backslash, at, quote));
        }
        self.at = at + 1;
        push_utf8(&mut self.buffer, value);
        Ok(())
    }

    /// An error that shows the string so far and the escape up to and with the byte at `offending`.
    #[cold]
    fn bad_escape(&self, message: &str, backslash: usize, offending: usize, quote: u8) -> Failure {
        let end = (offending + 1).min(self.source.len());
        self.error_near(
            message,
            &[&[quote], &self.buffer[..], &self.source[backslash..end]].concat(),
        )
    }
}

/// Appends a value below 2^31 as UTF-8, in the form that still had sequences of five and six bytes.
pub fn push_utf8(bytes: &mut Vec<u8>, value: u32) {
    if value < 0x80 {
        bytes.push(value as u8);
        return;
    }
    // `tails` bytes of six bits each follow the first byte, which has room for 6 - tails bits.
    let tails = (1..5)
        .find(|tails| value >> (6 * tails) < 0x40 >> tails)
        .unwrap_or(5);
    let lead_mark = !(0x7fu8 >> tails);
    bytes.push(lead_mark | (value >> (6 * tails)) as u8);
    for i in (0..tails).rev() {
        bytes.push(0x80 | (value >> (6 * i) & 0x3f) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token of a source: its kind, its text as messages show it, and the line it ends on.
    fn tokens(source: &[u8]) -> Vec<(Token, String, u32)> {
        let mut lexer = Lexer::new(source);
        let mut all = Vec::new();
        loop {
            lexer.advance().unwrap();
            if lexer.token() == Token::Eos {
                return all;
            }
            all.push((
                lexer.token(),
                String::from_utf8_lossy(&lexer.shown()).into_owned(),
                lexer.line,
            ));
        }
    }

    fn string(source: &[u8]) -> Vec<u8> {
        let mut lexer = Lexer::new(source);
        lexer.advance().unwrap();
        assert_eq!(lexer.token(), Token::String);
        let value = lexer.symbols.get(lexer.symbol().0).to_vec();
        lexer.advance().unwrap();
        assert_eq!(
            lexer.token(),
            Token::Eos,
            "{}",
            String::from_utf8_lossy(source)
        );
        value
    }

    #[test]
    fn operators_are_read_greedily() {
        let text = "+ - * / % ^ # & ~ | << >> // == ~= <= >= < > = ( ) { } [ ] :: ; : , . .. ...";
        let kinds: Vec<_> = tokens(text.as_bytes())
            .into_iter()
            .map(|(t, _, _)| t.text())
            .collect();
        assert_eq!(kinds.join(" "), text);
        let kinds: Vec<_> = tokens(b"a....b<<=x///y:::z")
            .into_iter()
            .map(|(t, ..)| t.text())
            .collect();
        assert_eq!(
            kinds.join(" "),
            "<name> ... . <name> << = <name> // / <name> :: : <name>"
        );
    }

    #[test]
    fn line_breaks_of_all_kinds() {
        let lines: Vec<_> = tokens(b"a\nb\rc\r\nd\n\re\n\nf\r\rg")
            .into_iter()
            .map(|t| t.2)
            .collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 7, 9]);
        let lines: Vec<_> = tokens(b"'a\\\r\nb' --[==[\n]=]\n]==] c")
            .into_iter()
            .map(|t| t.2)
            .collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn strings() {
        for (source, value) in [
            (&br#""""#[..], &b""[..]),
            (b"'a\"b'", b"a\"b"),
            (b"\"it's\"", b"it's"),
            (br#"'\a\b\f\n\r\t\v\\\"\''"#, b"\x07\x08\x0c\n\r\t\x0b\\\"'"),
            (br"'\0\65\0666\x41\xfF\255'", b"\0A\x426A\xff\xff"),
            (b"'a\\\nb\\\r\nc\\\n\rd\\\re'", b"a\nb\nc\nd\ne"),
            (b"'a\\z  \n \r\n\t b\\z'", b"ab"),
            (b"[[]]", b""),
            (b"[[\n]]", b""),
            (b"[[\r\n\na]]", b"\na"),
            (b"[==[a]]b]=]c]==]", b"a]]b]=]c"),
            (b"[[a\r\nb\n\rc\rd\n]]", b"a\nb\nc\nd\n"),
            (b"[=[]]=]", b"]"),
            (b"[=[]==]=]", b"]=="),
            (
                br"'\u{0}\u{7f}\u{80}\u{7FF}\u{800}'",
                b"\0\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80",
            ),
            (
                br"'\u{ffff}\u{10000}\u{1fffff}'",
                b"\xef\xbf\xbf\xf0\x90\x80\x80\xf7\xbf\xbf\xbf",
            ),
            (
                br"'\u{200000}\u{3ffffff}'",
                b"\xf8\x88\x80\x80\x80\xfb\xbf\xbf\xbf\xbf",
            ),
            (
                br"'\u{4000000}\u{0000007fffffff}'",
                b"\xfc\x84\x80\x80\x80\x80\xfd\xbf\xbf\xbf\xbf\xbf",
            ),
        ] {
            assert_eq!(string(source), value, "{}", String::from_utf8_lossy(source));
        }
    }

    #[test]
    fn lookahead_does_not_lose_a_token() {
        let mut lexer = Lexer::new(b"a --[[ long ]] = b c == d");
        lexer.advance().unwrap();
        assert!(lexer.assign_follows().unwrap());
        assert_eq!(lexer.shown(), b"'a'");
        let mut seen = Vec::new();
        while lexer.token() != Token::Eos {
            seen.push(lexer.token().text());
            lexer.advance().unwrap();
        }
        assert_eq!(seen.join(" "), "<name> = <name> <name> == <name>");
    }
}
