//! The library's pure cores against the reference implementation: thousands of generated cases are given to both, and
//! any difference is shown. Needs `lua5.4` on the path; where there is none, these tests pass without looking.
//!
//! The cases come from fixed seeds, so that a failure repeats.

use evermoon::heap::number::{self, Num};
use evermoon::stdlib::cformat;
use evermoon::stdlib::packfmt::{self, Blame, Kind, Options, PackError};
use evermoon::stdlib::pattern::{self, Capture, Matcher, PatternError};
use evermoon::stdlib::xoshiro::Xoshiro;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a program in `lua5.4` and returns its output's lines, or nothing if it is not installed.
fn lua(program: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut child = match Command::new("lua5.4")
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(_) => {
            eprintln!("lua5.4 is not installed: nothing compared");
            return None;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    let program = program.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&program));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(
        output.status.success(),
        "the reference rejects the test's program"
    );
    let mut lines: Vec<_> = output
        .stdout
        .split(|&c| c == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines.pop();
    Some(lines)
}

/// One case a line: what to ask the reference, and what we say.
struct Cases {
    program: Vec<u8>,
    ours: Vec<(String, Vec<u8>)>,
}

impl Cases {
    fn new(prelude: &str) -> Cases {
        Cases {
            program: prelude.as_bytes().to_vec(),
            ours: Vec::new(),
        }
    }

    /// `expression` is printed by the reference through `show`.
    fn add(&mut self, expression: String, ours: Vec<u8>) {
        self.program
            .extend_from_slice(format!("show({expression})\n").as_bytes());
        self.ours.push((expression, ours));
    }

    fn compare(self) {
        let Some(theirs) = lua(&self.program) else {
            return;
        };
        assert_eq!(theirs.len(), self.ours.len());
        let mut wrong = 0;
        for ((what, ours), theirs) in self.ours.iter().zip(&theirs) {
            if ours != theirs {
                wrong += 1;
                if wrong <= 20 {
                    eprintln!(
                        "{what}\n  ours:   {}\n  theirs: {}",
                        ours.escape_ascii(),
                        theirs.escape_ascii()
                    );
                }
            }
        }
        assert_eq!(wrong, 0, "of {} cases", self.ours.len());
    }
}

/// A string as a Lua literal of decimal escapes.
fn literal(s: &[u8]) -> String {
    let mut out = String::from("\"");
    for b in s {
        out.push_str(&format!("\\{b:03}"));
    }
    out.push('"');
    out
}

/// A float as a Lua expression that gives its exact bits.
fn exact(f: f64) -> String {
    format!("string.unpack('d',string.pack('j',{}))", f.to_bits() as i64)
}

/// Prints what it is given; a NaN has no sign with us.
const SHOW: &str =
    "local function show(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end
  io.write((table.concat(t, ' '):gsub('%-nan', 'nan'):gsub('\\n', '\\\\n')), '\\n') end\n";

/// Floats of every kind: few digits, many digits, near powers of ten, random bits, halves.
fn some_float(rng: &mut Xoshiro) -> f64 {
    let r = rng.next_u64();
    let n = (r >> 8) as f64;
    let f = match r % 10 {
        0 => f64::from_bits(rng.next_u64()),
        1 => (r >> 40) as f64 / 8.0,
        2 => (r >> 44) as f64 / 1000.0,
        3 => n / 2f64.powi((r % 90) as i32),
        4 => {
            10f64.powi((r >> 8) as i32 % 40 - 20)
                * (1.0 + (rng.next_u64() as i64 % 9 - 4) as f64 * f64::EPSILON)
        }
        5 => (r >> 30) as f64 + 0.5,
        6 => ((r >> 20) as f64 + 0.5) / 10f64.powi((r % 20) as i32),
        7 => n * 2f64.powi((r >> 50) as i32 % 1000 - 100),
        8 => ((r >> 54) as f64) / 16.0,
        _ => rng.next_u64() as f64 / u64::MAX as f64,
    };
    if rng.next_u64() & 3 == 0 { -f } else { f }
}

#[test]
fn numbers_to_text() {
    let mut rng = Xoshiro::seed(1, 2);
    let mut cases = Cases::new(SHOW);
    let mut ask = |f: f64| {
        let mut ours = Vec::new();
        number::push_float(&mut ours, f);
        cases.add(format!("({})", exact(f)), ours);
    };
    for f in [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        1e14,
        1e15,
        99999999999999.0,
        99999999999999.5,
        1e-4,
        1e-5,
        9.99999999999995e-5,
    ] {
        ask(f);
    }
    for f in [
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        2f64.powi(53),
    ] {
        ask(f);
    }
    for _ in 0..20_000 {
        ask(some_float(&mut rng));
    }
    for e in -330..310 {
        let f: f64 = format!("1e{e}").parse().unwrap();
        ask(f);
        ask(f64::from_bits(f.to_bits().saturating_sub(1)));
        ask(f64::from_bits(f.to_bits() + 1));
        ask(f * 9.999999999999949);
        ask(f * 9.99999999999995);
    }
    cases.compare();
}

#[test]
fn text_to_integers_in_a_base() {
    let mut rng = Xoshiro::seed(17, 18);
    let mut cases = Cases::new(SHOW);
    for _ in 0..5000 {
        let base = 2 + rng.next_u64() as u32 % 35;
        let n = rng.next_u64() % 16;
        let s: Vec<u8> = (0..n)
            .map(|_| b"0101017aAfFzZ9 -+\t."[(rng.next_u64() % 19) as usize])
            .collect();
        let ours = number::parse_in_base(&s, base).map_or("nil".to_string(), |n| n.to_string());
        cases.add(
            format!("tonumber({}, {base})", literal(&s)),
            ours.into_bytes(),
        );
    }
    cases.compare();
}

#[test]
fn text_to_numbers() {
    let mut rng = Xoshiro::seed(3, 4);
    let mut cases = Cases::new(&format!(
        "{SHOW}local function bits(s) local n = tonumber(s)
         return math.type(n), n and (math.type(n) == 'integer' and n or string.format('%a', n)) end\n"
    ));
    let mut ask = |s: &[u8]| {
        let mut ours = Vec::new();
        match number::parse_number(s) {
            None => ours.extend_from_slice(b"nil nil"),
            Some(Num::Int(i)) => ours.extend_from_slice(format!("integer {i}").as_bytes()),
            Some(Num::Float(f)) => {
                ours.extend_from_slice(b"float ");
                cformat::push_float(
                    &mut ours,
                    &cformat::Spec {
                        conversion: b'a',
                        ..Default::default()
                    },
                    f,
                );
            }
        }
        cases.add(format!("bits({})", literal(s)), ours);
    };
    for s in [
        "",
        " ",
        "0",
        "-0",
        "+0",
        "- 1",
        "--1",
        "+-1",
        "1 2",
        " 12 ",
        "\t\n\u{b}\u{c}\r7\u{b}",
        "0x",
        "0x ",
        "0xg",
        "0x1p",
        "0x1p+",
        "0x.p1",
        "0x.1",
        "0x1.",
        "0x1.8p1",
        "0X1.8P-1",
        "-0x10",
        "0xffffffffffffffffff",
        "0x8000000000000000",
        "-0x8000000000000000",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "1e",
        "1e+",
        "1e5",
        "1E-5",
        ".",
        ".e1",
        ".5",
        "5.",
        "5.e1",
        "inf",
        "nan",
        "-inf",
        "infinity",
        "NaN",
        "0x1p-1074",
        "0x1p-1075",
        "0x1.8p-1075",
        "0x1.00000000000008p0",
        "0x1.000000000000080000000000000000001p0",
        "0x1.fffffffffffff8p1023",
        "0x1p1024",
        "0x1p99999999999999999999",
        "0x0p99999999999999999999",
        "0x0.0000000000000000000000000000000001p140",
        "1e400",
        "1e-400",
        "1_000",
        "1f",
        "1l",
        "0b1",
        "1\0",
        "\0",
        "0x1P1 ",
        "1e1 x",
        "00012",
        "0x00012",
        "1..",
        "1.5.2",
        "0x1.2.3",
        "e1",
        "0xep1",
        "0xe+1",
        "1e+-1",
        "0x-1",
        "2.2250738585072011e-308",
        "179769313486231580793728971405301e277",
        "2.4703282292062328e-324",
        "0x3.fffffffffffff8p-1024",
    ] {
        ask(s.as_bytes());
    }
    for _ in 0..4000 {
        ask(format!("{:?}", some_float(&mut rng)).as_bytes());
        ask(format!(
            "{:.*}",
            (rng.next_u64() % 30) as usize,
            some_float(&mut rng)
        )
        .as_bytes());
        let (a, b) = (rng.next_u64(), rng.next_u64());
        let (shift, e) = (rng.next_u64() % 64, rng.next_u64() as i64 % 1200);
        ask(format!("0x{:x}.{:x}p{e}", a >> shift, b >> (shift ^ 7)).as_bytes());
        ask(format!("-0x{:x}p{}", a >> shift, e % 12 - 1074 - 30).as_bytes());
        // Noise from the alphabet of numerals.
        let n = rng.next_u64() % 9;
        let noise: Vec<u8> = (0..n)
            .map(|_| b"0011239.eExXpP+- aF"[(rng.next_u64() % 19) as usize])
            .collect();
        ask(&noise);
    }
    cases.compare();
}

#[test]
fn arithmetic_and_comparison() {
    let mut rng = Xoshiro::seed(5, 6);
    let mut cases = Cases::new(SHOW);
    let ints = [
        0,
        1,
        -1,
        2,
        -2,
        3,
        7,
        -7,
        62,
        63,
        64,
        65,
        -63,
        -64,
        -65,
        i64::MAX,
        i64::MAX - 1,
        i64::MIN,
        i64::MIN + 1,
        1 << 53,
        (1 << 53) + 1,
    ];
    let floats = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.0,
        -1.0,
        2.0,
        3.5,
        -3.5,
        1e300,
        -1e300,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        9007199254740992.0,
        9007199254740993.0,
        9223372036854775807.0,
        -9223372036854775808.0,
        9223372036854774784.0,
        -9223372036854777856.0,
        5e-324,
        -5e-324,
        1e-200,
    ];
    let int = |i: i64| {
        if i == i64::MIN {
            "math.mininteger".to_string()
        } else {
            format!("({i})")
        }
    };
    let opt = |n: Option<i64>| n.map_or("nil".to_string(), |n| n.to_string());
    let text = |f: f64| {
        let mut out = Vec::new();
        number::push_float(&mut out, f);
        String::from_utf8(out).unwrap()
    };
    let mut int_pair = |a: i64, b: i64| {
        let (x, y) = (int(a), int(b));
        let ours = format!(
            "{} {} {} {}",
            opt(number::int_idiv(a, b)),
            opt(number::int_mod(a, b)),
            number::shl(a, b),
            number::shr(a, b)
        );
        let (x, y) = (&x, &y);
        let guard = format!("{y} ~= 0 and");
        cases.add(
            format!("{guard} {x} // ({y} == 0 and 1 or {y}) or nil, {guard} {x} % ({y} == 0 and 1 or {y}) or nil, {x} << {y}, {x} >> {y}"),
            ours.into_bytes(),
        );
    };
    for a in ints {
        for b in ints {
            int_pair(a, b);
        }
    }
    for _ in 0..3000 {
        let (a, b) = (rng.next_u64(), rng.next_u64());
        int_pair((a as i64) >> (b & 63), (b as i64) >> (a & 63));
    }
    let mut float_pair = |a: f64, b: f64| {
        let (x, y) = (exact(a), exact(b));
        let ours = format!(
            "{} {}",
            text(number::float_idiv(a, b)),
            text(number::float_mod(a, b))
        );
        cases.add(format!("({x}) // ({y}), ({x}) % ({y})"), ours.into_bytes());
    };
    for a in floats {
        for b in floats {
            float_pair(a, b);
        }
    }
    for _ in 0..3000 {
        let (a, b) = (some_float(&mut rng), some_float(&mut rng));
        float_pair(a, b);
        float_pair(a.trunc(), b.trunc());
    }
    let mut mixed = |i: i64, f: f64| {
        let ours = format!(
            "{} {} {} {} {} {} {} {}",
            number::eq_int_float(i, f),
            number::lt_int_float(i, f),
            number::le_int_float(i, f),
            number::lt_float_int(f, i),
            number::le_float_int(f, i),
            opt(number::float_to_int(f)),
            match number::floor(f) {
                Num::Int(i) => i.to_string(),
                Num::Float(f) => text(f),
            },
            match number::ceil(f) {
                Num::Int(i) => i.to_string(),
                Num::Float(f) => text(f),
            },
        );
        let (i, f) = (int(i), exact(f));
        cases.add(
            format!("(function(i, f) return i == f, i < f, i <= f, f < i, f <= i, math.tointeger(f), math.floor(f), math.ceil(f) end)({i}, ({f}))"),
            ours.into_bytes(),
        );
    };
    for i in ints {
        for f in floats {
            mixed(i, f);
        }
        mixed(i, i as f64);
        mixed(i, f64::from_bits((i as f64).to_bits() + 1));
        mixed(i, f64::from_bits((i as f64).to_bits().saturating_sub(1)));
    }
    for _ in 0..3000 {
        let r = rng.next_u64();
        let i = r as i64 >> (r & 63);
        mixed(i, i as f64 + (rng.next_u64() % 5) as f64 / 4.0 - 0.5);
    }
    let mut loops = |a: i64, b: Num, step: i64| {
        if step == 0 {
            return;
        }
        let limit = match b {
            Num::Int(i) => int(i),
            Num::Float(f) => format!("({})", exact(f)),
        };
        // Count as the reference does, but not for long.
        let ours = match number::for_loop_count(a, b, step) {
            None => "0".to_string(),
            Some(n) => n.saturating_add(1).min(5).to_string(),
        };
        cases.add(
            format!("(function() local n = 0 for _ = {}, {limit}, {} do n = n + 1 if n == 5 then break end end return n end)()", int(a), int(step)),
            ours.into_bytes(),
        );
    };
    for a in ints {
        for b in ints {
            for step in [1, -1, 3, i64::MAX, i64::MIN, b] {
                loops(a, Num::Int(b), step);
            }
        }
        for f in floats {
            for step in [1, -1, 2, i64::MIN] {
                loops(a, Num::Float(f), step);
            }
        }
    }
    cases.compare();
}

#[test]
fn powers() {
    // Not bit for bit: the C library's function is its own. Within two units in the last place, and exact where a
    // power is representable.
    for e in -1074..1024 {
        let power = number::pow(2.0, e as f64);
        let exact = if e >= -1022 {
            f64::from_bits(((e + 1023) as u64) << 52)
        } else {
            f64::from_bits(1 << (e + 1074))
        };
        assert_eq!(power, exact, "2^{e}");
    }
    for e in 0..23 {
        assert_eq!(
            number::pow(10.0, e as f64),
            format!("1e{e}").parse::<f64>().unwrap(),
            "10^{e}"
        );
    }
    let mut cases = Cases::new(
        "local function show(x, y, ours) local theirs = x ^ y
         local near = theirs == ours or (theirs ~= theirs and ours ~= ours) or math.abs(theirs - ours) <= 3e-16 * math.abs(theirs)
         io.write(near and 'near' or string.format('far: %.17g and %.17g', ours, theirs), '\\n') end\n",
    );
    let mut rng = Xoshiro::seed(7, 8);
    let mut ask = |a: f64, b: f64| {
        cases.add(
            format!(
                "({}), ({}), ({})",
                exact(a),
                exact(b),
                exact(number::pow(a, b))
            ),
            b"near".to_vec(),
        );
    };
    let special = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.0,
        -1.0,
        2.0,
        -2.0,
        3.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1e300,
    ];
    for a in special {
        for b in special {
            ask(a, b);
        }
    }
    for _ in 0..2000 {
        let (a, b) = (some_float(&mut rng), some_float(&mut rng));
        ask(a, 2.0);
        ask(a, 0.5);
        ask(a.abs() % 100.0, b % 50.0);
    }
    cases.compare();
}

#[test]
fn format_conversions() {
    let mut rng = Xoshiro::seed(9, 10);
    let mut cases = Cases::new(
        "local function show(f, x) local ok, s = pcall(string.format, f, x)
         io.write((s:gsub('%-nan', 'nan'):gsub('%-NAN', 'NAN'):gsub('\\n', '\\\\n')), '\\n') end\n",
    );
    for round in 0..24_000 {
        let mut format = String::from("%");
        let r = rng.next_u64();
        let conversion = b"diuoxXcsaAeEfgG"[(r % 15) as usize];
        for (i, flag) in "-+ #0".chars().enumerate() {
            if r >> (8 + i) & 1 == 1 && !(r >> 13).is_multiple_of(3) {
                format.push(flag);
            }
        }
        if r >> 20 & 1 == 1 {
            format.push_str(&((r >> 21) % 40).to_string());
        }
        if r >> 30 & 1 == 1 {
            format.push('.');
            if r >> 31 & 7 != 0 {
                let most = if r >> 34 & 3 == 0 { 99 } else { 21 };
                format.push_str(&((r >> 36) % most).to_string());
            }
        }
        format.push(conversion as char);
        let f = match round % 50 {
            0 => 0.0,
            1 => -0.0,
            2 => f64::INFINITY,
            3 => f64::NEG_INFINITY,
            4 => f64::MAX,
            5 => 5e-324,
            6 => f64::from_bits(rng.next_u64() >> 12), // not normal
            7 => 1e308,
            8 => 0.5,
            9 => 2.5,
            10 => 1.5,
            _ => some_float(&mut rng),
        };
        if f.is_nan() {
            continue; // its sign takes part in the width over there
        }
        let i = match round % 20 {
            0 => 0,
            1 => i64::MIN,
            2 => i64::MAX,
            _ => rng.next_u64() as i64 >> (rng.next_u64() & 63),
        };
        let s = &b"hello, world"[..(i & 7) as usize];
        let mut ours = Vec::new();
        let argument;
        let raw = cformat::RawSpec::scan(format.as_bytes(), 0);
        match raw.and_then(|raw| raw.check()) {
            Err(e) => {
                argument = if conversion == b's' {
                    literal(s)
                } else {
                    "1".to_string()
                };
                ours = e.message();
            }
            Ok(spec) => match conversion {
                b'd' | b'i' => {
                    cformat::push_int(&mut ours, &spec, i);
                    argument = if i == i64::MIN {
                        "math.mininteger".to_string()
                    } else {
                        i.to_string()
                    };
                }
                b'u' | b'o' | b'x' | b'X' => {
                    cformat::push_uint(&mut ours, &spec, i);
                    argument = if i == i64::MIN {
                        "math.mininteger".to_string()
                    } else {
                        i.to_string()
                    };
                }
                b'c' => {
                    let c = 33 + (i as u64 % 90) as i64;
                    cformat::push_char(&mut ours, &spec, c);
                    argument = c.to_string();
                }
                b's' => {
                    cformat::push_str(&mut ours, &spec, s);
                    argument = literal(s);
                }
                _ => {
                    cformat::push_float(&mut ours, &spec, f);
                    argument = format!("({})", exact(f));
                }
            },
        }
        cases.add(format!("{}, {argument}", literal(format.as_bytes())), ours);
    }
    // Bad ones.
    for format in [
        "%0123d",
        "%10000d",
        "%.123d",
        "%+s",
        "%#d",
        "%F",
        "%y",
        "%",
        "%-",
        "%....d",
        "%..d",
        "%5.5c",
        "%5q",
        "%#i",
        "%5.p",
        "%010c",
        "%ll",
        "%1",
        "%0000000000000000000000d",
        "%00000000000000000000d",
        "%000000000000000000000d",
        "%100d",
        "%1.100d",
        "%0.s",
        "%.",
        "%L",
        "%5.5.5d",
        "%\u{7f}",
        "%-10q",
        "%+u",
        "%#u",
        "%+x",
        "% x",
        "%0s",
        "%0c",
        "%++++d",
        "%-+-+d",
        "%00005d",
        "%5-d",
        "%.-5d",
        "%-05.3d",
    ] {
        if let Err(e) = cformat::RawSpec::scan(format.as_bytes(), 0).and_then(|raw| raw.check()) {
            cases.add(format!("{}, 1", literal(format.as_bytes())), e.message());
        }
    }
    cases.compare();
}

#[test]
fn quoted() {
    let mut rng = Xoshiro::seed(11, 12);
    let mut cases = Cases::new(
        "local function show(x) io.write((string.format('%q', x):gsub('\\n', '\\\\n')), '\\n') end\n",
    );
    for _ in 0..2000 {
        let n = rng.next_u64() % 12;
        let s: Vec<u8> = (0..n)
            .map(|_| {
                let r = rng.next_u64();
                if r & 1 == 0 {
                    b"\n\r\0\"\\019\x7f\x1fa\xff\n"[(r >> 8) as usize % 13]
                } else {
                    (r >> 8) as u8
                }
            })
            .collect();
        let mut ours = Vec::new();
        cformat::push_quoted_str(&mut ours, &s);
        let shown = ours
            .iter()
            .flat_map(|&c| if c == b'\n' { b"\\n".to_vec() } else { vec![c] })
            .collect();
        cases.add(literal(&s), shown);
        let f = some_float(&mut rng);
        let mut ours = Vec::new();
        cformat::push_quoted_float(&mut ours, f);
        cases.add(format!("({})", exact(f)), ours);
    }
    for f in [
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        0.0,
        -0.0,
        1.0,
        -0.5,
    ] {
        let mut ours = Vec::new();
        cformat::push_quoted_float(&mut ours, f);
        cases.add(format!("({})", exact(f)), ours);
    }
    for i in [0, 1, -1, i64::MAX, i64::MIN, i64::MIN + 1] {
        let mut ours = Vec::new();
        cformat::push_quoted_int(&mut ours, i);
        cases.add(
            if i == i64::MIN {
                "math.mininteger".to_string()
            } else {
                i.to_string()
            },
            ours,
        );
    }
    cases.compare();
}

/// `string.find(src, pat)`, its values joined by spaces, errors by their message.
fn our_find(src: &[u8], pat: &[u8]) -> Vec<u8> {
    let (anchored, body) = pattern::split_anchor(pat);
    let mut m = Matcher::new(src, body, anchored, i64::MAX);
    let found = m.find(0, None);
    let mut out = Vec::new();
    let mut show = || -> Result<(), PatternError> {
        let Some((start, end)) = found? else {
            out.extend_from_slice(b"nil");
            return Ok(());
        };
        out.extend_from_slice(format!("{} {end}", start + 1).as_bytes());
        for i in 0..m.capture_count() {
            out.push(b' ');
            match m.capture(i, start, end)? {
                Capture::Text { start, end } => out.extend_from_slice(&src[start..end]),
                Capture::Position(i) => number::push_int(&mut out, i as i64 + 1),
            }
        }
        Ok(())
    };
    match show() {
        Ok(()) => out,
        Err(e) => e.to_string().into_bytes(),
    }
}

/// `string.gsub(src, pat, with)`: the string only.
fn our_gsub(src: &[u8], pat: &[u8], with: &[u8]) -> Result<Vec<u8>, PatternError> {
    let (anchored, body) = pattern::split_anchor(pat);
    let mut m = Matcher::new(src, body, anchored, i64::MAX);
    let (mut out, mut at, mut last) = (Vec::new(), 0, None);
    while let Some((start, end)) = m.find(at, last)? {
        out.extend_from_slice(&src[at..start]);
        m.push_replacement(&mut out, with, start, end, usize::MAX)?;
        at = end;
        last = Some(end);
        if anchored {
            break;
        }
    }
    out.extend_from_slice(&src[at..]);
    Ok(out)
}

#[test]
fn patterns() {
    let mut rng = Xoshiro::seed(13, 14);
    let mut cases = Cases::new(
        "local function show(f, ...)
           local t = table.pack(pcall(f, ...))
           if f == string.gsub and t[1] then t.n = 2 end
           for i = 1, t.n do t[i] = tostring(t[i]) end
           io.write((table.concat(t, ' ', 2, t.n):gsub('\\n', '\\\\n')), '\\n') end\n",
    );
    let items: &[&str] = &[
        "a", "b", "c", ".", "%a", "%d", "%w", "%s", "%W", "%A", "[ab]", "[^a]", "[a-c]", "[%d_]",
        "[^%s]", "[b-]", "[]a]", "%.", "%-", "1", " ", "x", "%p", "%x", "%u", "%l", "%c", "%g",
        "%%", "%z", "-", "=",
    ];
    let suffixes = ["", "", "", "*", "+", "-", "?"];
    let odd: &[&str] = &[
        "%b()", "%bab", "%f[%w]", "%f[^a]", "()", "%1", "%2", "$", "^", "(", ")", "%0", "[", "[a",
        "%", "%f", "%b", "]", "[^", "[%", "[a-",
    ];
    for _ in 0..30_000 {
        let mut pick = |n: usize| (rng.next_u64() >> 20) as usize % n;
        let mut pat = String::new();
        if pick(8) == 0 {
            pat.push('^');
        }
        let mut open = 0;
        for _ in 0..pick(7) {
            match pick(24) {
                0 | 1 => {
                    pat.push('(');
                    open += 1;
                }
                2 | 3 if open > 0 => {
                    pat.push(')');
                    open -= 1;
                }
                4 | 5 => pat.push_str(odd[pick(odd.len())]),
                _ => {
                    pat.push_str(items[pick(items.len())]);
                    pat.push_str(suffixes[pick(suffixes.len())]);
                }
            }
        }
        for _ in 0..open {
            pat.push(')');
        }
        if pick(10) == 0 {
            pat.push('$');
        }
        let alphabet = if pick(2) == 0 {
            &b"aab"[..]
        } else {
            &b"abcx1 .-_()%=\0Z\xe9"[..]
        };
        let n = if pick(20) == 0 { 100 } else { 16 };
        let src: Vec<u8> = (0..pick(n))
            .map(|_| alphabet[pick(alphabet.len())])
            .collect();
        let (s, p) = (literal(&src), literal(pat.as_bytes()));
        if pattern::has_specials(pat.as_bytes()) {
            cases.add(
                format!("string.find, {s}, {p}"),
                our_find(&src, pat.as_bytes()),
            );
        } else {
            let found = pattern::find_plain(&src, pat.as_bytes(), 0);
            let ours = found.map_or("nil".to_string(), |i| {
                format!("{} {}", i + 1, i + pat.len())
            });
            cases.add(format!("string.find, {s}, {p}"), ours.into_bytes());
        }
        let with = ["<%0>", "%1", "-", "", "%1%2", "%%%1"][pick(6)];
        let ours = our_gsub(&src, pat.as_bytes(), with.as_bytes())
            .unwrap_or_else(|e| e.to_string().into_bytes());
        cases.add(
            format!("string.gsub, {s}, {p}, {}", literal(with.as_bytes())),
            ours,
        );
    }
    // Every class on every byte.
    let all: Vec<u8> = (0..=255).collect();
    for letter in 33..127u8 {
        if letter.is_ascii_digit() {
            continue;
        }
        for pat in [
            vec![b'%', letter],
            vec![b'[', b'%', letter, b']'],
            vec![b'[', b'^', b'%', letter, b'x', b']'],
        ] {
            let ours = our_gsub(&all, &pat, b"").unwrap_or_else(|e| e.to_string().into_bytes());
            let shown = ours
                .iter()
                .flat_map(|&c| if c == b'\n' { b"\\n".to_vec() } else { vec![c] })
                .collect();
            cases.add(
                format!("string.gsub, {}, {}, ''", literal(&all), literal(&pat)),
                shown,
            );
        }
    }
    cases.compare();
}

/// `string.pack(format, n, n, ...)` for as many as it takes, or the message; strings are `text`.
fn our_pack(format: &[u8], numbers: &[i64], text: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut options = Options::new(format);
    let mut out = Vec::new();
    let mut next = 0;
    let mut total = 0;
    while let Some(item) = options.next(total)? {
        total += item.align + item.size;
        out.resize(out.len() + item.align, packfmt::PADDING);
        let n = numbers[next % numbers.len()];
        next += item.has_value() as usize;
        match item.kind {
            Kind::Int => {
                packfmt::check_int(n, item.size)?;
                packfmt::push_int(&mut out, n, item.size, item.little, true);
            }
            Kind::Uint => {
                packfmt::check_uint(n, item.size)?;
                packfmt::push_int(&mut out, n, item.size, item.little, false);
            }
            Kind::Float => packfmt::push_single(&mut out, n as f64, item.little),
            Kind::Double => packfmt::push_double(&mut out, n as f64, item.little),
            Kind::Chars => {
                if text.len() > item.size {
                    return Err(PackError::StringTooLong);
                }
                out.extend_from_slice(text);
                out.resize(out.len() + item.size - text.len(), packfmt::PADDING);
            }
            Kind::Counted => {
                packfmt::check_length(text.len(), item.size)?;
                packfmt::push_int(&mut out, text.len() as i64, item.size, item.little, false);
                out.extend_from_slice(text);
                total += text.len();
            }
            Kind::Zero => {
                out.extend_from_slice(text);
                out.push(0);
                total += text.len() + 1;
            }
            Kind::Padding => out.push(packfmt::PADDING),
            Kind::Nothing => {}
        }
    }
    Ok(out)
}

/// What `string.unpack(format, data)` gives, shown one behind the other.
fn our_unpack(format: &[u8], data: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut options = Options::new(format);
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(item) = options.next(at)? {
        if item.align + item.size > data.len() - at {
            return Err(PackError::DataTooShort);
        }
        at += item.align;
        let bytes = &data[at..at + item.size];
        at += item.size;
        match item.kind {
            Kind::Int | Kind::Uint => number::push_int(
                &mut out,
                packfmt::read_int(bytes, item.little, item.kind == Kind::Int)?,
            ),
            Kind::Float | Kind::Double => {
                number::push_float(&mut out, packfmt::read_float(bytes, item.little))
            }
            Kind::Chars => out.extend_from_slice(bytes),
            Kind::Counted => {
                let len = packfmt::read_int(bytes, item.little, false)? as u64;
                if len > (data.len() - at) as u64 {
                    return Err(PackError::DataTooShort);
                }
                out.extend_from_slice(&data[at..at + len as usize]);
                at += len as usize;
            }
            Kind::Zero => {
                let len = pattern::position(&data[at..], 0).ok_or(PackError::UnfinishedString)?;
                out.extend_from_slice(&data[at..at + len]);
                at += len + 1;
            }
            Kind::Padding | Kind::Nothing => continue,
        }
        out.push(b',');
    }
    number::push_int(&mut out, at as i64 + 1);
    Ok(out)
}

#[test]
fn packed() {
    let mut rng = Xoshiro::seed(15, 16);
    let mut cases = Cases::new(
        "local function hex(s) return (s:gsub('.', function(c) return string.format('%02x', c:byte()) end)) end
         local function report(ok, s, ...)
           if not ok then s = s:gsub('^bad argument #(%d+) to %S+ %((.*)%)$', function(n, m) return (n == '1' and 'format: ' or 'arg: ') .. m end)
           else s = s:gsub('%-nan', 'nan') end
           io.write(hex(s), '\\n') end
         local function show(what, format, ...)
           if what == 'pack' then
             local values, numbers, text = {}, {...}, select(-1, ...)
             numbers[#numbers] = nil
             -- which arguments are strings: by trying
             local n = 0
             for o in format:gsub('!%d*', ''):gsub('X%a%d*', ''):gmatch('%a') do
               if not o:find('[xX]') then
                 values[n + 1] = o:find('[csz]') and text or numbers[n % #numbers + 1]
                 n = n + 1
               end
             end
             report(pcall(string.pack, format, table.unpack(values, 1, n)))
           elseif what == 'size' then
             local ok, n = pcall(string.packsize, format)
             report(ok, tostring(n))
           else
             local t = table.pack(pcall(string.unpack, format, (...)))
             for i = 2, t.n do t[i] = tostring(t[i]) end
             report(t[1], table.concat(t, ',', 2, t.n))
           end end\n",
    );
    fn hex(result: Result<Vec<u8>, PackError>) -> Vec<u8> {
        let bytes = result.unwrap_or_else(|e| {
            let before: &[u8] = match e.blame() {
                Blame::Nobody => b"",
                Blame::Format => b"format: ",
                Blame::Value | Blame::Data => b"arg: ",
            };
            [before, &e.message()].concat()
        });
        bytes
            .iter()
            .flat_map(|b| format!("{b:02x}").into_bytes())
            .collect()
    }
    for _ in 0..12_000 {
        let mut pick = |n: usize| (rng.next_u64() >> 20) as usize % n;
        let mut format = String::new();
        for _ in 0..1 + pick(6) {
            let sized = |letter: &str, n: usize| {
                if n < 18 {
                    format!("{letter}{n}")
                } else {
                    letter.to_string()
                }
            };
            match pick(14) {
                0 | 1 => format.push_str(&sized("i", 1 + pick(20))),
                2 | 3 => format.push_str(&sized("I", 1 + pick(20))),
                4 => format.push_str(&sized("s", 1 + pick(20))),
                5 => format.push_str(&sized("!", 1 << pick(6))),
                6 => format.push_str(&format!("c{}", pick(9))),
                7 => format.push_str(&format!(
                    "X{}",
                    ["b", "i4", "d", "s3", "i16", "j", "z", "x"][pick(8)]
                )),
                8 => format.push(['<', '>', '='][pick(3)]),
                _ => format.push(
                    [
                        'b', 'B', 'h', 'H', 'l', 'L', 'j', 'J', 'T', 'f', 'd', 'n', 'z', 'x', ' ',
                    ][pick(15)],
                ),
            }
        }
        let text = &b"hello"[..pick(6)];
        let numbers: Vec<i64> = (0..4)
            .map(|_| {
                let r = rng.next_u64();
                (r as i64 >> (r & 63)).max(-(1 << 62)) // no minimum, which has no decimal literal
            })
            .collect();
        let f = literal(format.as_bytes());
        let values = numbers
            .iter()
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let packed = our_pack(format.as_bytes(), &numbers, text);
        let data = match &packed {
            Ok(bytes) if rng.next_u64() & 3 != 0 => bytes.clone(),
            _ => (0..rng.next_u64() % 40)
                .map(|_| {
                    if rng.next_u64() & 1 == 0 {
                        0
                    } else {
                        rng.next_u64() as u8
                    }
                })
                .collect(),
        };
        cases.add(
            format!("'pack', {f}, {values}, {}", literal(text)),
            hex(packed),
        );
        cases.add(
            format!("'unpack', {f}, {}", literal(&data)),
            hex(our_unpack(format.as_bytes(), &data)),
        );
        cases.add(
            format!("'size', {f}"),
            hex(packfmt::packed_size(format.as_bytes()).map(|n| n.to_string().into_bytes())),
        );
    }
    cases.compare();
}

/// The lexer's room knows no other, so it reads numerals by itself. The two must not drift apart.
#[test]
fn the_lexer_reads_the_same_numbers() {
    use evermoon::syntax::numeral::{self, Number};
    let mut rng = Xoshiro::seed(19, 20);
    for _ in 0..200_000 {
        let n = rng.next_u64() % 14;
        let s: Vec<u8> = (0..n)
            .map(|_| b"00112399....eExXpP+- aFf8"[(rng.next_u64() % 25) as usize])
            .collect();
        let s = match rng.next_u64() & 3 {
            0 => [b"0x", &s[..]].concat(),
            1 => format!("{:e}", some_float(&mut rng)).into_bytes(),
            _ => s,
        };
        let (ours, theirs) = (number::parse_number(&s), numeral::parse_number(&s));
        let same = match (ours, theirs) {
            (None, None) => true,
            (Some(Num::Int(a)), Some(Number::Int(b))) => a == b,
            (Some(Num::Float(a)), Some(Number::Float(b))) => a.to_bits() == b.to_bits(),
            _ => false,
        };
        assert!(
            same,
            "'{}': {ours:?}, but to the lexer {theirs:?}",
            s.escape_ascii()
        );
    }
}
