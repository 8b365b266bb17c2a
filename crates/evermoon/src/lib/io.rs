//! The input and output library (manual 6.8), over whatever streams the host gives.
//!
//! A file is a userdata that holds a [`File`]: the host's stream, and what has been read ahead of the program. Reading is buffered here, since
//! the formats of `read` look ahead; writing is buffered by the host, which knows what the stream is. Where the host has no standard
//! output or error, these go through `Host::print` and `Host::report`, so that a sandboxed program can use `io.write` too.
//!
//! Nothing here calls Lua, and the host's streams block. Files belong to the process: a world cannot save them.

use crate::heap::number;
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::userdata::Userdata;
use crate::heap::value::{Value, tag};
use crate::vm::host::{Buffering, Ended, HostError, HostResult, Stream, Whence};
use crate::vm::meta::num_value;
use crate::vm::{Act, NativeFn, NativeResult, Request, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("close", close),
    ("flush", flush),
    ("input", input),
    ("lines", lines),
    ("open", open_file),
    ("output", output),
    ("popen", popen),
    ("read", read),
    ("tmpfile", tmpfile),
    ("type", type_),
    ("write", write),
];

/// What a sandbox may have, since it goes where `print` goes.
const OUTPUT_FUNCTIONS: &[(&str, NativeFn)] = &[("write", write)];

const OUTPUT_METHODS: &[(&str, NativeFn)] = &[
    ("flush", file_flush),
    ("setvbuf", file_setvbuf),
    ("write", file_write),
];

const METHODS: &[(&str, NativeFn)] = &[
    ("close", file_close),
    ("flush", file_flush),
    ("lines", file_lines),
    ("read", file_read),
    ("seek", file_seek),
    ("setvbuf", file_setvbuf),
    ("write", file_write),
];

const METAMETHODS: &[(&str, NativeFn)] = &[
    ("__gc", file_gc),
    ("__close", file_gc),
    ("__tostring", file_tostring),
];

/// Registry keys, the first as in the reference.
const METATABLE: &str = "FILE*";
const INPUT: &str = "_IO_input";
const OUTPUT: &str = "_IO_output";
const LINES: &str = "_IO_lines";

/// Formats that `lines` can remember (the reference's `MAXARGLINE`).
const LINES_FORMATS_MAX: usize = 250;
/// Bytes that are asked of a stream at a time.
const CHUNK: usize = 8192;
/// Longest numeral that `read("n")` accepts (the reference's `L_MAXLENNUM`).
const NUMERAL_MAX: usize = 200;

/// Opens all of it.
pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    let library = open_with(vm, FUNCTIONS, METHODS)?;
    let registry = vm.registry;
    let iterator = vm.register("io", "lines iterator", next_line);
    vm.raw_set_name(registry, LINES, iterator)?;
    let stdin = standard_file(vm, 0)?;
    vm.set_permanent("io.stdin", stdin);
    vm.raw_set_name(library, "stdin", stdin)?;
    vm.raw_set_name(registry, INPUT, stdin)
}

/// Opens only `io.write`, `io.stdout` and `io.stderr`, which write where `print` and warnings go: then the rest of this file need not be in the binary.
pub fn open_output(vm: &mut Vm) -> Result<(), Throw> {
    open_with(vm, OUTPUT_FUNCTIONS, OUTPUT_METHODS).map(|_| ())
}

fn open_with(
    vm: &mut Vm,
    functions: &[(&'static str, NativeFn)],
    methods_offered: &[(&'static str, NativeFn)],
) -> Result<Gc<Table>, Throw> {
    let library = vm.new_table()?;
    vm.register_library("io", library, functions)?;
    let methods = vm.new_table()?;
    vm.register_library("file", methods, methods_offered)?;
    let metatable = vm.new_table()?;
    vm.register_library("file", metatable, METAMETHODS)?;
    vm.raw_set_name(metatable, "__index", Value::table(methods))?;
    let name = vm.new_string(METATABLE.as_bytes())?;
    vm.raw_set_name(metatable, "__name", name)?;
    let registry = vm.registry;
    vm.raw_set_name(registry, METATABLE, Value::table(metatable))?;
    // A world stores the standard streams by name, and finds those of its next host.
    let stdout = standard_file(vm, 1)?;
    vm.set_permanent("io.stdout", stdout);
    vm.raw_set_name(library, "stdout", stdout)?;
    vm.raw_set_name(registry, OUTPUT, stdout)?;
    let stderr = standard_file(vm, 2)?;
    vm.set_permanent("io.stderr", stderr);
    vm.raw_set_name(library, "stderr", stderr)?;
    super::publish(vm, "io", library)?;
    Ok(library)
}

fn standard_file(vm: &mut Vm, number: u8) -> Result<Value, Throw> {
    let stream = vm.host.standard(number);
    let mut file = File::new(stream.unwrap_or_else(|_| Box::new(NoStream)));
    file.standard = Some(number);
    new_file(vm, file)
}

/// How a world stores files: as closed ones. What a file was open for is gone with its process.
pub fn codec() -> crate::persist::Codec {
    crate::persist::Codec {
        name: "io.file",
        encode: |data| data.is::<File>().then(Vec::new),
        decode: |_| {
            Ok(Box::new(File {
                stream: None,
                standard: None,
                buffer: Vec::new(),
                at: 0,
            }))
        },
    }
}

// ---- files ----

/// A stream and the bytes read ahead of the program.
struct File {
    /// `None` once closed.
    stream: Option<Box<dyn Stream>>,
    /// The number of a standard stream, which cannot be closed.
    standard: Option<u8>,
    /// Read from the stream but not by the program: `buffer[at..]`.
    buffer: Vec<u8>,
    at: usize,
}

/// A standard stream that the host does not have.
struct NoStream;

impl Stream for NoStream {
    fn read(&mut self, _buffer: &mut [u8]) -> HostResult<usize> {
        Err(HostError::unsupported())
    }
    fn write(&mut self, _bytes: &[u8]) -> HostResult<()> {
        Err(HostError::unsupported())
    }
    fn flush(&mut self) -> HostResult<()> {
        Ok(())
    }
    fn seek(&mut self, _whence: Whence, _offset: i64) -> HostResult<u64> {
        Err(HostError::unsupported())
    }
    fn close(&mut self) -> HostResult<Option<Ended>> {
        Ok(None)
    }
    fn is_absent(&self) -> bool {
        true
    }
}

/// Why reading stopped.
enum ReadError {
    Host(HostError),
    /// More bytes than a string may have.
    TooLong,
}

impl From<HostError> for ReadError {
    fn from(e: HostError) -> Self {
        ReadError::Host(e)
    }
}

type Read<T> = Result<T, ReadError>;

impl File {
    fn new(stream: Box<dyn Stream>) -> File {
        File {
            stream: Some(stream),
            standard: None,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// Makes at least one byte available; false at the end.
    fn fill(&mut self) -> Read<bool> {
        if self.at < self.buffer.len() {
            return Ok(true);
        }
        self.at = 0;
        self.buffer.clear();
        let Some(stream) = &mut self.stream else {
            return Ok(false);
        };
        self.buffer.resize(CHUNK, 0);
        let read = stream.read(&mut self.buffer);
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        read?;
        Ok(!self.buffer.is_empty())
    }

    fn ahead(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn peek(&mut self) -> Read<Option<u8>> {
        Ok(if self.fill()? {
            self.buffer.get(self.at).copied()
        } else {
            None
        })
    }

    /// Appends up to `count` bytes to `out`.
    fn take(&mut self, count: u64, out: &mut Vec<u8>, limit: usize) -> Read<()> {
        let mut left = count;
        while left > 0 && self.fill()? {
            let n = left.min(self.ahead().len() as u64) as usize;
            out.extend_from_slice(&self.buffer[self.at..self.at + n]);
            self.at += n;
            left -= n as u64;
            if out.len() > limit {
                return Err(ReadError::TooLong);
            }
        }
        Ok(())
    }

    /// Appends the bytes up to the end of the line, that included; true if there was one.
    fn take_line(&mut self, out: &mut Vec<u8>, limit: usize) -> Read<bool> {
        while self.fill()? {
            let found = self.ahead().iter().position(|&c| c == b'\n');
            let n = found.map_or(self.ahead().len(), |n| n + 1);
            out.extend_from_slice(&self.buffer[self.at..self.at + n]);
            self.at += n;
            if found.is_some() {
                return Ok(true);
            }
            if out.len() > limit {
                return Err(ReadError::TooLong);
            }
        }
        Ok(false)
    }

    /// Reads what looks like a numeral, whether it is one or not; `None` when it is too long.
    fn take_numeral(&mut self) -> Read<Option<Vec<u8>>> {
        while self
            .peek()?
            .is_some_and(|c| c.is_ascii_whitespace() || c == 0x0b)
        {
            self.at += 1;
        }
        let mut numeral = Numeral {
            file: self,
            text: Vec::new(),
            overflow: false,
        };
        let mut hex = false;
        let mut digits = 0;
        numeral.accept(b"+-")?;
        if numeral.accept(b"0")? {
            if numeral.accept(b"xX")? {
                hex = true;
            } else {
                digits = 1;
            }
        }
        digits += numeral.digits(hex)?;
        if numeral.accept(b".")? {
            digits += numeral.digits(hex)?;
        }
        if digits > 0 && numeral.accept(if hex { b"pP" } else { b"eE" })? {
            numeral.accept(b"+-")?;
            numeral.digits(false)?;
        }
        Ok(if numeral.overflow {
            None
        } else {
            Some(numeral.text)
        })
    }

    /// Forgets what was read ahead, after putting the stream where the program thinks it is.
    fn unread(&mut self) -> HostResult<()> {
        let ahead = self.ahead().len() as i64;
        if ahead > 0
            && let Some(stream) = &mut self.stream
        {
            stream.seek(Whence::Current, -ahead)?;
        }
        self.at = 0;
        self.buffer.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> HostResult<()> {
        if self.at < self.buffer.len() {
            self.unread()?;
        }
        match &mut self.stream {
            Some(stream) => stream.write(bytes),
            None => Ok(()),
        }
    }
}

/// A numeral being read.
struct Numeral<'a> {
    file: &'a mut File,
    text: Vec<u8>,
    overflow: bool,
}

impl Numeral<'_> {
    /// Takes the next byte if it is one of these.
    fn accept(&mut self, set: &[u8]) -> Read<bool> {
        self.accept_if(|c| set.contains(&c))
    }

    fn accept_if(&mut self, wanted: impl Fn(u8) -> bool) -> Read<bool> {
        let Some(c) = self.file.peek()?.filter(|&c| wanted(c)) else {
            return Ok(false);
        };
        if self.text.len() >= NUMERAL_MAX {
            self.overflow = true;
            return Ok(false);
        }
        self.text.push(c);
        self.file.at += 1;
        Ok(true)
    }

    fn digits(&mut self, hex: bool) -> Read<u32> {
        let mut count = 0;
        while self.accept_if(|c| {
            if hex {
                c.is_ascii_hexdigit()
            } else {
                c.is_ascii_digit()
            }
        })? {
            count += 1;
        }
        Ok(count)
    }
}

/// A file's userdata.
fn new_file(vm: &mut Vm, file: File) -> Result<Value, Throw> {
    let registry = vm.registry;
    let metatable = vm.raw_get_name(registry, METATABLE)?.as_table();
    let mut object = vm.heap.userdata(Some(Box::new(file)))?;
    object.set_metatable(metatable);
    vm.heap.mark_for_finalization(object.header());
    Ok(Value::userdata(object))
}

/// The file in a userdata, whether open or not.
fn file_in(object: &mut Gc<Userdata>) -> Option<&mut File> {
    object.data.as_mut()?.downcast_mut()
}

fn as_file(v: Value) -> Option<Gc<Userdata>> {
    v.as_userdata()
        .filter(|u| u.data.as_ref().is_some_and(|d| d.is::<File>()))
}

/// Argument `i` as a file, open or closed.
fn check_file(vm: &mut Vm, i: usize) -> Result<Gc<Userdata>, Throw> {
    match as_file(vm.arg(i)) {
        Some(object) => Ok(object),
        None => Err(vm.arg_type_error(i, METATABLE)),
    }
}

/// Argument `i` as an open file.
fn check_open(vm: &mut Vm, i: usize) -> Result<Gc<Userdata>, Throw> {
    let object = check_file(vm, i)?;
    if is_closed(object) {
        return Err(vm.fail("attempt to use a closed file"));
    }
    Ok(object)
}

fn is_closed(mut object: Gc<Userdata>) -> bool {
    file_in(&mut object).is_none_or(|f| f.stream.is_none())
}

/// The default input or output.
fn default_value(vm: &mut Vm, key: &str) -> Result<Value, Throw> {
    let registry = vm.registry;
    vm.raw_get_name(registry, key)
}

/// The default input or output, which must be open.
fn default_file(vm: &mut Vm, key: &str) -> Result<Gc<Userdata>, Throw> {
    match as_file(default_value(vm, key)?) {
        Some(object) if !is_closed(object) => Ok(object),
        _ => {
            let name = key.trim_start_matches("_IO_");
            Err(vm.fail(&format!("default {name} file is closed")))
        }
    }
}

/// Pushes `nil`, a message and its number, as `luaL_fileresult`; `name` goes before the message.
pub(super) fn failure(vm: &mut Vm, e: &HostError, name: Option<&[u8]>) -> NativeResult {
    let mut text = Vec::new();
    if let Some(name) = name {
        text.extend_from_slice(name);
        text.extend_from_slice(b": ");
    }
    text.extend_from_slice(e.message.as_bytes());
    let text = vm.new_string(&text)?;
    for v in [Value::NIL, text, Value::int(e.code as i64)] {
        vm.push(v);
    }
    Ok(Act::returning(3))
}

/// `true`, or the failure.
pub(super) fn outcome(vm: &mut Vm, result: HostResult<()>, name: Option<&[u8]>) -> NativeResult {
    match result {
        Ok(()) => vm.ret(Value::TRUE),
        Err(e) => failure(vm, &e, name),
    }
}

/// How a process ended, as `luaL_execresult`.
pub(super) fn process_result(vm: &mut Vm, ended: Ended) -> NativeResult {
    let (how, number) = match ended {
        Ended::Exit(code) => ("exit", code),
        Ended::Signal(signal) => ("signal", signal),
    };
    let how = vm.new_string(how.as_bytes())?;
    let good = if ended == Ended::Exit(0) {
        Value::TRUE
    } else {
        Value::NIL
    };
    for v in [good, how, Value::int(number as i64)] {
        vm.push(v);
    }
    Ok(Act::returning(3))
}

/// A host's stream as a file, or the failure.
fn opened(vm: &mut Vm, stream: HostResult<Box<dyn Stream>>, name: Option<&[u8]>) -> NativeResult {
    match stream {
        Ok(stream) => {
            let file = new_file(vm, File::new(stream))?;
            vm.ret(file)
        }
        Err(e) => failure(vm, &e, name),
    }
}

/// Opens a file that must open: for `input`, `output`, `lines`.
fn must_open(vm: &mut Vm, name: &[u8], mode: &str) -> Result<Value, Throw> {
    match vm.host.open(name, mode) {
        Ok(stream) => new_file(vm, File::new(stream)),
        Err(e) => {
            let text = [
                b"cannot open file '",
                name,
                b"' (",
                e.message.as_bytes(),
                b")",
            ]
            .concat();
            Err(vm.fail_bytes(&text))
        }
    }
}

// ---- opening and closing ----

/// `io.open (filename [, mode])`
fn open_file(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?.as_bytes();
    let mode = vm.opt_str(1)?.map_or(&b"r"[..], |s| s.as_bytes());
    match checked_mode(mode) {
        Some(mode) => {
            let stream = vm.host.open(name, mode);
            opened(vm, stream, Some(name))
        }
        None => Err(vm.arg_error(1, "invalid mode")),
    }
}

/// One of `r w a`, perhaps `+`, perhaps `b`.
fn checked_mode(mode: &[u8]) -> Option<&str> {
    let (first, rest) = mode.split_first()?;
    let rest = rest.strip_prefix(b"+").unwrap_or(rest);
    if b"rwa".contains(first) && rest.iter().all(|&c| c == b'b') {
        std::str::from_utf8(mode).ok()
    } else {
        None
    }
}

/// `io.popen (prog [, mode])`
fn popen(vm: &mut Vm) -> NativeResult {
    let command = vm.check_str(0)?.as_bytes();
    let mode = match vm.opt_str(1)?.map_or(&b"r"[..], |s| s.as_bytes()) {
        b"r" => "r",
        b"w" => "w",
        _ => return Err(vm.arg_error(1, "invalid mode")),
    };
    let stream = vm.host.popen(command, mode);
    opened(vm, stream, Some(command))
}

/// `io.tmpfile ()`
fn tmpfile(vm: &mut Vm) -> NativeResult {
    let stream = vm.host.tmpfile();
    opened(vm, stream, None)
}

/// `io.close ([file])`
fn close(vm: &mut Vm) -> NativeResult {
    let object = if vm.has_arg(0) {
        check_open(vm, 0)?
    } else {
        let v = default_value(vm, OUTPUT)?;
        vm.push(v);
        check_open(vm, 0)?
    };
    close_object(vm, object)
}

/// `file:close ()`
fn file_close(vm: &mut Vm) -> NativeResult {
    let object = check_open(vm, 0)?;
    close_object(vm, object)
}

fn close_object(vm: &mut Vm, mut object: Gc<Userdata>) -> NativeResult {
    let Some(file) = file_in(&mut object) else {
        return vm.ret_none();
    };
    if file.standard.is_some() {
        return vm.ret_fail("cannot close standard file");
    }
    file.buffer = Vec::new();
    file.at = 0;
    let Some(mut stream) = file.stream.take() else {
        return vm.ret_none();
    };
    match stream.close() {
        Ok(None) => vm.ret(Value::TRUE),
        Ok(Some(ended)) => process_result(vm, ended),
        Err(e) => failure(vm, &e, None),
    }
}

/// `__gc` and `__close`
fn file_gc(vm: &mut Vm) -> NativeResult {
    let object = check_file(vm, 0)?;
    if !is_closed(object) {
        close_object(vm, object)?;
    }
    vm.ret_none()
}

/// `__tostring`
fn file_tostring(vm: &mut Vm) -> NativeResult {
    let object = check_file(vm, 0)?;
    if is_closed(object) {
        return vm.ret_bytes(b"file (closed)");
    }
    let id = vm.heap.printed_id(Value::userdata(object));
    let text = format!("file (0x{id:08x})");
    vm.ret_bytes(text.as_bytes())
}

/// `io.type (obj)`
fn type_(vm: &mut Vm) -> NativeResult {
    let v = vm.check_any(0)?;
    match as_file(v) {
        Some(object) if is_closed(object) => vm.ret_bytes(b"closed file"),
        Some(_) => vm.ret_bytes(b"file"),
        None => vm.ret(Value::NIL),
    }
}

/// `io.input ([file])`
fn input(vm: &mut Vm) -> NativeResult {
    set_default(vm, INPUT, "r")
}

/// `io.output ([file])`
fn output(vm: &mut Vm) -> NativeResult {
    set_default(vm, OUTPUT, "w")
}

fn set_default(vm: &mut Vm, key: &str, mode: &str) -> NativeResult {
    let v = vm.arg(0);
    if !v.is_nil() {
        let file = if v.is_string() || v.is_number() {
            let name = vm.check_str(0)?.as_bytes();
            must_open(vm, name, mode)?
        } else {
            Value::userdata(check_open(vm, 0)?)
        };
        let registry = vm.registry;
        vm.raw_set_name(registry, key, file)?;
    }
    let file = default_value(vm, key)?;
    vm.ret(file)
}

// ---- reading ----

/// `io.read (···)`
fn read(vm: &mut Vm) -> NativeResult {
    let object = default_file(vm, INPUT)?;
    let formats = vm.slots();
    read_formats(vm, object, 0, formats)
}

/// `file:read (···)`
fn file_read(vm: &mut Vm) -> NativeResult {
    let object = check_open(vm, 0)?;
    let formats = vm.slots() - 1;
    read_formats(vm, object, 1, formats)
}

/// Reads by the formats in `count` slots from `first` on, and returns the results: up to the first that failed, which is nil.
fn read_formats(vm: &mut Vm, mut object: Gc<Userdata>, first: usize, count: usize) -> NativeResult {
    let Some(file) = file_in(&mut object) else {
        return vm.ret_none();
    };
    vm.ensure_stack(count + 4)?;
    let mut results = 0;
    let read = if count == 0 {
        results = 1;
        read_line(vm, file, true)?
    } else {
        let mut read = Ok(true);
        for i in first..first + count {
            read = read_format(vm, file, i)?;
            results += 1;
            if !matches!(read, Ok(true)) {
                break;
            }
        }
        read
    };
    match read {
        Ok(true) => {}
        Ok(false) => {
            vm.pop();
            vm.push(Value::NIL);
        }
        Err(e) => return failure(vm, &e, None),
    }
    Ok(Act::returning(results))
}

/// Pushes what format `i` reads; false when there was nothing to read. The inner error is the stream's.
fn read_format(vm: &mut Vm, file: &mut File, i: usize) -> Result<HostResult<bool>, Throw> {
    let format = vm.arg(i);
    if format.is_number() {
        return match vm.check_int(i)? {
            0 => {
                let there = file.peek().map(|c| c.is_some());
                let empty = vm.new_string(b"")?;
                finish(vm, there, empty)
            }
            n => read_bytes(vm, file, n as u64, false),
        };
    }
    let name = vm.check_str(i)?.as_bytes();
    match name.strip_prefix(b"*").unwrap_or(name).first() {
        Some(b'n') => read_number(vm, file),
        Some(b'l') => read_line(vm, file, true),
        Some(b'L') => read_line(vm, file, false),
        Some(b'a') => read_bytes(vm, file, u64::MAX, true),
        _ => Err(vm.arg_error(i, "invalid format")),
    }
}

/// Pushes the value read, or sorts out why there is none.
fn finish(vm: &mut Vm, read: Read<bool>, v: Value) -> Result<HostResult<bool>, Throw> {
    match read {
        Ok(done) => {
            vm.push(v);
            Ok(Ok(done))
        }
        Err(ReadError::Host(e)) => Ok(Err(e)),
        Err(ReadError::TooLong) => Err(vm.fail("resulting string too large")),
    }
}

/// Bytes that a string may have now.
fn room(vm: &Vm) -> usize {
    vm.limits.string_max.min(vm.heap.room())
}

fn read_bytes(
    vm: &mut Vm,
    file: &mut File,
    count: u64,
    empty_too: bool,
) -> Result<HostResult<bool>, Throw> {
    let mut out = Vec::new();
    let read = file
        .take(count, &mut out, room(vm))
        .map(|()| empty_too || !out.is_empty());
    vm.charge(out.len() as u64 / 256);
    let text = vm.new_string(&out)?;
    finish(vm, read, text)
}

fn read_line(vm: &mut Vm, file: &mut File, chop: bool) -> Result<HostResult<bool>, Throw> {
    // Nearly always the whole line is in the buffer.
    if let Some(n) = file.ahead().iter().position(|&c| c == b'\n') {
        let from = file.at;
        file.at += n + 1;
        let text = vm.new_string(&file.buffer[from..from + n + usize::from(!chop)])?;
        vm.push(text);
        return Ok(Ok(true));
    }
    let mut out = Vec::new();
    let mut read = file.take_line(&mut out, room(vm));
    if let Ok(ended) = &mut read {
        if *ended && chop {
            out.pop();
        }
        *ended |= !out.is_empty();
    }
    vm.charge(out.len() as u64 / 256);
    let text = vm.new_string(&out)?;
    finish(vm, read, text)
}

fn read_number(vm: &mut Vm, file: &mut File) -> Result<HostResult<bool>, Throw> {
    let numeral = file.take_numeral();
    let (v, read) = match numeral {
        Ok(text) => {
            let n = text.and_then(|text| number::parse_number(&text));
            (n.map_or(Value::NIL, num_value), Ok(n.is_some()))
        }
        Err(e) => (Value::NIL, Err(e)),
    };
    finish(vm, read, v)
}

/// `io.lines ([filename, ···])`
fn lines(vm: &mut Vm) -> NativeResult {
    if !vm.has_arg(0) {
        vm.push(Value::NIL);
    }
    if vm.arg(0).is_nil() {
        let v = default_value(vm, INPUT)?;
        vm.set_slot(0, v);
        check_open(vm, 0)?;
        return make_lines(vm, false);
    }
    let name = vm.check_str(0)?.as_bytes();
    let file = must_open(vm, name, "r")?;
    vm.set_slot(0, file);
    make_lines(vm, true)
}

/// `file:lines (···)`
fn file_lines(vm: &mut Vm) -> NativeResult {
    check_open(vm, 0)?;
    make_lines(vm, false)
}

/// Returns an iterator over the file in slot 0 with the formats behind it: a closure of file, whether to close it, formats.
fn make_lines(vm: &mut Vm, closing: bool) -> NativeResult {
    let count = vm.slots() - 1;
    if count > LINES_FORMATS_MAX {
        return Err(vm.arg_error(LINES_FORMATS_MAX + 1, "too many arguments"));
    }
    let registry = vm.registry;
    let iterator = vm.raw_get_name(registry, LINES)?;
    let file = vm.arg(0);
    let mut upvals = vec![file, Value::bool(closing)];
    upvals.extend((1..=count).map(|i| vm.arg(i)));
    let closure = vm.heap.native_closure(iterator.bits as u32, &upvals)?;
    vm.push(Value::native_closure(closure));
    if !closing {
        return Ok(Act::returning(1));
    }
    // The loop closes the file too when it is left early (manual 3.3.5).
    for v in [Value::NIL, Value::NIL, file] {
        vm.push(v);
    }
    Ok(Act::returning(4))
}

/// The iterator that `lines` returns.
fn next_line(vm: &mut Vm) -> NativeResult {
    let file = vm.upval(0);
    let Some(object) = as_file(file).filter(|&u| !is_closed(u)) else {
        return Err(vm.fail("file is already closed"));
    };
    let formats = vm
        .callee()
        .map_or(0, |c| c.upvals().len())
        .saturating_sub(2);
    vm.set_slots(1)?;
    vm.ensure_stack(formats + 4)?;
    for i in 0..formats {
        let format = vm.upval(2 + i);
        vm.push(format);
    }
    let Request::Return(count) = read_formats(vm, object, 1, formats)?.request() else {
        return vm.ret_none();
    };
    let results = vm.slots() - count as usize;
    if vm.arg(results).is_truthy() {
        return Ok(Act::returning(count));
    }
    if count > 1 {
        // nil and a message: a for loop would take it for the end.
        if let Some(message) = vm.arg(results + 1).as_str() {
            return Err(vm.fail_bytes(message.as_bytes()));
        }
    }
    if vm.upval(1).is_truthy() {
        close_object(vm, object)?;
    }
    vm.ret_none()
}

// ---- writing ----

/// `io.write (···)`
fn write(vm: &mut Vm) -> NativeResult {
    let object = default_file(vm, OUTPUT)?;
    write_args(vm, object, 0)
}

/// `file:write (···)`
fn file_write(vm: &mut Vm) -> NativeResult {
    let object = check_open(vm, 0)?;
    write_args(vm, object, 1)
}

fn write_args(vm: &mut Vm, mut object: Gc<Userdata>, first: usize) -> NativeResult {
    let file = Value::userdata(object);
    let Some(target) = file_in(&mut object) else {
        return vm.ret_none();
    };
    let mut done = Ok(());
    for i in first..vm.slots() {
        let v = vm.arg(i);
        let mut buffer = [0; number::NUM_BUF];
        let text: &[u8] = match v.tag {
            tag::INT => number::int_text(v.raw_int(), &mut buffer),
            tag::FLOAT => {
                // As C's "%.14g", which does not mark a whole number as a float.
                let text = number::float_text(v.raw_float(), &mut buffer);
                text.strip_suffix(b".0").unwrap_or(text)
            }
            _ => vm.check_str(i)?.as_bytes(),
        };
        if done.is_ok() {
            vm.charge(text.len() as u64 / 256);
            done = write_text(vm, target, text);
        }
    }
    match done {
        Ok(()) => vm.ret(file),
        Err(e) => failure(vm, &e, None),
    }
}

fn write_text(vm: &mut Vm, file: &mut File, text: &[u8]) -> HostResult<()> {
    match file.standard {
        Some(number) if file.stream.as_ref().is_some_and(|s| s.is_absent()) => {
            match number {
                1 => vm.print(text),
                2 => vm.host.report(text),
                _ => return Err(HostError::unsupported()),
            }
            Ok(())
        }
        _ => file.write(text),
    }
}

/// `io.flush ()`
fn flush(vm: &mut Vm) -> NativeResult {
    let object = default_file(vm, OUTPUT)?;
    flush_object(vm, object)
}

/// `file:flush ()`
fn file_flush(vm: &mut Vm) -> NativeResult {
    let object = check_open(vm, 0)?;
    flush_object(vm, object)
}

fn flush_object(vm: &mut Vm, mut object: Gc<Userdata>) -> NativeResult {
    let flushed = file_in(&mut object)
        .and_then(|f| f.stream.as_mut())
        .map_or(Ok(()), |s| s.flush());
    outcome(vm, flushed, None)
}

/// `file:setvbuf (mode [, size])`
fn file_setvbuf(vm: &mut Vm) -> NativeResult {
    let mut object = check_open(vm, 0)?;
    let mode = vm.check_option(1, None, &["no", "full", "line"])?;
    let size = vm.opt_int(2, CHUNK as i64)?.clamp(0, 1 << 24) as usize;
    let mode = match mode {
        0 => Buffering::None,
        1 => Buffering::Full(size),
        _ => Buffering::Line(size),
    };
    let done = file_in(&mut object)
        .and_then(|f| f.stream.as_mut())
        .map_or(Ok(()), |s| s.set_buffering(mode));
    outcome(vm, done, None)
}

/// `file:seek ([whence [, offset]])`
fn file_seek(vm: &mut Vm) -> NativeResult {
    let mut object = check_open(vm, 0)?;
    let whence = [Whence::Start, Whence::Current, Whence::End]
        [vm.check_option(1, Some("cur"), &["set", "cur", "end"])?];
    let offset = vm.opt_int(2, 0)?;
    let Some(file) = file_in(&mut object) else {
        return vm.ret_none();
    };
    let sought = file.unread().and_then(|()| match &mut file.stream {
        Some(stream) => stream.seek(whence, offset),
        None => Err(HostError::unsupported()),
    });
    match sought {
        Ok(position) => vm.ret(Value::int(position as i64)),
        Err(e) => failure(vm, &e, None),
    }
}
