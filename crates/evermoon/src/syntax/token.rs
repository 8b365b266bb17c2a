//! The kinds of tokens, how a message shows each, and how a reserved word is told from a name.
//!
//! Everything comes from one table: a token, and its text in the source (or, in angle brackets, what stands for it).

macro_rules! tokens {
    ($($name:ident $text:literal)*) => {
        /// The kind of a token. Reserved words come first.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Token { $($name),* }

        const TEXTS: &[&str] = &[$($text),*];
        const ALL: &[Token] = &[$(Token::$name),*];
    };
}

tokens! {
    And "and"
    Break "break"
    Do "do"
    Else "else"
    Elseif "elseif"
    End "end"
    False "false"
    For "for"
    Function "function"
    Goto "goto"
    If "if"
    In "in"
    Local "local"
    Nil "nil"
    Not "not"
    Or "or"
    Repeat "repeat"
    Return "return"
    Then "then"
    True "true"
    Until "until"
    While "while"
    IDiv "//"
    Concat ".."
    Dots "..."
    Eq "=="
    Ge ">="
    Le "<="
    Ne "~="
    Shl "<<"
    Shr ">>"
    DoubleColon "::"
    Plus "+"
    Minus "-"
    Star "*"
    Slash "/"
    Percent "%"
    Caret "^"
    Hash "#"
    Ampersand "&"
    Tilde "~"
    Pipe "|"
    Less "<"
    Greater ">"
    Assign "="
    LeftParen "("
    RightParen ")"
    LeftBrace "{"
    RightBrace "}"
    LeftBracket "["
    RightBracket "]"
    Semicolon ";"
    Colon ":"
    Comma ","
    Dot "."
    Eos "<eof>"
    Float "<number>"
    Int "<integer>"
    Name "<name>"
    String "<string>"
    // A byte that starts no token; the lexer keeps which.
    Other "<other>"
}

/// How many kinds there are, for tables indexed by kind.
pub const TOKEN_COUNT: usize = ALL.len();

const RESERVED_COUNT: usize = Token::While as usize + 1;

impl Token {
    /// The token's text, or what stands for it: `then`, `<name>`.
    pub const fn text(self) -> &'static str {
        TEXTS[self as usize]
    }

    /// How messages show this kind: `'then'`, `<name>`.
    pub fn shown(self) -> String {
        match self {
            Token::Eos | Token::Float | Token::Int | Token::Name | Token::String | Token::Other => {
                self.text().to_owned()
            }
            _ => format!("'{}'", self.text()),
        }
    }
}

/// The reserved word whose bytes, least significant first and filled up with zeros, are `word`. All reserved words fit.
#[inline]
pub fn reserved(word: u64) -> Option<Token> {
    let (candidate, token) = RESERVED.slots[slot_of(word, RESERVED.multiplier)];
    (candidate == word).then_some(token)
}

/// A hash table of the reserved words without collisions, found while compiling this file.
struct Reserved {
    multiplier: u64,
    /// An empty slot has [`NO_WORD`].
    slots: [(u64, Token); 64],
}

/// Spells no name.
const NO_WORD: u64 = u64::MAX;

static RESERVED: Reserved = find_reserved();

const fn slot_of(word: u64, multiplier: u64) -> usize {
    (word.wrapping_mul(multiplier) >> 58) as usize
}

const fn find_reserved() -> Reserved {
    let mut multiplier: u64 = 0x9e37_79b9_7f4a_7c15;
    loop {
        let mut slots = [(NO_WORD, Token::Other); 64];
        let mut i = 0;
        while i < RESERVED_COUNT {
            let word = word_of(TEXTS[i].as_bytes());
            let slot = slot_of(word, multiplier);
            if slots[slot].0 != NO_WORD {
                break;
            }
            slots[slot] = (word, ALL[i]);
            i += 1;
        }
        if i == RESERVED_COUNT {
            return Reserved { multiplier, slots };
        }
        multiplier = multiplier
            .wrapping_mul(0xd134_2543_de82_ef95)
            .wrapping_add(2);
    }
}

const fn word_of(text: &[u8]) -> u64 {
    let mut word = 0;
    let mut i = text.len();
    while i > 0 {
        i -= 1;
        word = word << 8 | text[i] as u64;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_word_is_found_and_nothing_else() {
        for (i, text) in TEXTS.iter().enumerate() {
            let found = (text.len() <= 8).then(|| reserved(word_of(text.as_bytes())));
            let expected = (i < RESERVED_COUNT).then_some(ALL[i]);
            assert_eq!(found.flatten(), expected, "{text}");
        }
        for name in ["x", "en", "endx", "functio", "and_", "goto2", ""] {
            assert_eq!(reserved(word_of(name.as_bytes())), None, "{name}");
        }
    }
}
