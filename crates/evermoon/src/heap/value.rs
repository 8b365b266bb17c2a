//! A Lua value: 16 bytes, an 8-byte payload and a 4-byte tag, in that order on every platform.
//!
//! ```text
//! offset 0: payload, u64: i64, f64 bits, an object's address, a native's number; 0 for nil and booleans
//! offset 8: tag, u32
//! offset 12: four bytes that belong to whoever holds the value (a table entry keeps its key's tag there)
//! ```
//! Values are copied as those two fields, never as a 16-byte block: a wide load behind two narrow stores stalls
//! (`shared/interpreter-notes.md`, "Value layout"). Because bytes 12..16 may be somebody else's, a value must be stored with
//! [`Value::store`] where it lies inside a table entry.
//!
//! A value that refers to an object does not keep it alive; who may hold one for how long is said in `heap/mod.rs`.

use super::object::{Gc, Header};
use super::string::Str;
use super::table::Table;
use super::{
    coroutine::Coroutine, function::LuaClosure, function::NativeClosure, userdata::Userdata,
};

/// Value tags. Falsy values are exactly those with a tag of at most [`tag::FALSE`].
pub mod tag {
    pub const NIL: u32 = 0;
    pub const FALSE: u32 = 1;
    pub const TRUE: u32 = 2;
    pub const INT: u32 = 3;
    pub const FLOAT: u32 = 4;
    /// An opaque 64-bit number of the host's.
    pub const LIGHT: u32 = 5;
    /// A native function without upvalues: its number in the engine's list.
    pub const NATIVE: u32 = 6;
    /// The key of an entry whose key object may be gone. Never a value that Lua sees.
    pub const DEAD: u32 = 7;
    /// Set in the tag of every collectable kind.
    pub const COLLECTABLE: u32 = 16;
    pub const STR: u32 = 16;
    pub const LONG_STR: u32 = 17;
    pub const TABLE: u32 = 18;
    pub const LUA_CLOSURE: u32 = 19;
    pub const NATIVE_CLOSURE: u32 = 20;
    pub const USERDATA: u32 = 21;
    pub const COROUTINE: u32 = 22;
    /// Objects that are never values.
    pub const PROTO: u32 = 23;
    pub const UPVALUE: u32 = 24;
}

/// A Lua value. See the head of this file.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Value {
    pub bits: u64,
    pub tag: u32,
}

const _: () =
    assert!(size_of::<Value>() == 16 && align_of::<Value>() == 8 || cfg!(target_arch = "x86"));

/// The basic types of the manual's section 2.1, as `type` names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Type {
    Nil = 0,
    Boolean = 1,
    LightUserdata = 2,
    Number = 3,
    String = 4,
    Table = 5,
    Function = 6,
    Userdata = 7,
    Thread = 8,
}

/// How many basic types there are.
pub const TYPE_COUNT: usize = 9;

impl Type {
    /// All of them, in order.
    pub const ALL: [Type; TYPE_COUNT] = [
        Type::Nil,
        Type::Boolean,
        Type::LightUserdata,
        Type::Number,
        Type::String,
        Type::Table,
        Type::Function,
        Type::Userdata,
        Type::Thread,
    ];

    /// The name that `type` returns.
    pub fn name(self) -> &'static str {
        match self {
            Type::Nil => "nil",
            Type::Boolean => "boolean",
            Type::LightUserdata | Type::Userdata => "userdata",
            Type::Number => "number",
            Type::String => "string",
            Type::Table => "table",
            Type::Function => "function",
            Type::Thread => "thread",
        }
    }
}

impl Value {
    pub const NIL: Value = Value {
        bits: 0,
        tag: tag::NIL,
    };
    pub const FALSE: Value = Value {
        bits: 0,
        tag: tag::FALSE,
    };
    pub const TRUE: Value = Value {
        bits: 0,
        tag: tag::TRUE,
    };

    #[inline]
    pub const fn int(i: i64) -> Value {
        Value {
            bits: i as u64,
            tag: tag::INT,
        }
    }
    #[inline]
    pub const fn float(f: f64) -> Value {
        Value {
            bits: f.to_bits(),
            tag: tag::FLOAT,
        }
    }
    #[inline]
    pub const fn bool(b: bool) -> Value {
        Value {
            bits: 0,
            tag: if b { tag::TRUE } else { tag::FALSE },
        }
    }
    pub const fn native(number: u32) -> Value {
        Value {
            bits: number as u64,
            tag: tag::NATIVE,
        }
    }
    pub const fn light(bits: u64) -> Value {
        Value {
            bits,
            tag: tag::LIGHT,
        }
    }

    #[inline]
    pub(crate) fn object<T>(tag: u32, object: Gc<T>) -> Value {
        Value {
            bits: object.address() as u64,
            tag,
        }
    }
    #[inline]
    pub fn string(s: Gc<Str>) -> Value {
        let tag = if s.is_short() {
            tag::STR
        } else {
            tag::LONG_STR
        };
        Value::object(tag, s)
    }
    #[inline]
    pub fn table(t: Gc<Table>) -> Value {
        Value::object(tag::TABLE, t)
    }
    #[inline]
    pub fn lua_closure(c: Gc<LuaClosure>) -> Value {
        Value::object(tag::LUA_CLOSURE, c)
    }
    pub fn native_closure(c: Gc<NativeClosure>) -> Value {
        Value::object(tag::NATIVE_CLOSURE, c)
    }
    pub fn coroutine(c: Gc<Coroutine>) -> Value {
        Value::object(tag::COROUTINE, c)
    }
    pub fn userdata(u: Gc<Userdata>) -> Value {
        Value::object(tag::USERDATA, u)
    }

    #[inline]
    pub fn is_nil(self) -> bool {
        self.tag == tag::NIL
    }
    /// Neither nil nor false.
    #[inline]
    pub fn is_truthy(self) -> bool {
        self.tag > tag::FALSE
    }
    #[inline]
    pub fn is_int(self) -> bool {
        self.tag == tag::INT
    }
    #[inline]
    pub fn is_float(self) -> bool {
        self.tag == tag::FLOAT
    }
    #[inline]
    pub fn is_number(self) -> bool {
        self.tag == tag::INT || self.tag == tag::FLOAT
    }
    #[inline]
    pub fn is_string(self) -> bool {
        self.tag == tag::STR || self.tag == tag::LONG_STR
    }
    #[inline]
    pub fn is_table(self) -> bool {
        self.tag == tag::TABLE
    }
    pub fn is_function(self) -> bool {
        matches!(
            self.tag,
            tag::NATIVE | tag::LUA_CLOSURE | tag::NATIVE_CLOSURE
        )
    }
    #[inline]
    pub fn is_collectable(self) -> bool {
        self.tag & tag::COLLECTABLE != 0
    }

    /// The payload as an integer, whatever the tag.
    #[inline]
    pub fn raw_int(self) -> i64 {
        self.bits as i64
    }
    /// The payload as a float, whatever the tag.
    #[inline]
    pub fn raw_float(self) -> f64 {
        f64::from_bits(self.bits)
    }

    pub fn as_int(self) -> Option<i64> {
        if self.is_int() {
            Some(self.raw_int())
        } else {
            None
        }
    }
    pub fn as_float(self) -> Option<f64> {
        if self.is_float() {
            Some(self.raw_float())
        } else {
            None
        }
    }
    #[inline]
    pub fn as_table(self) -> Option<Gc<Table>> {
        if self.tag == tag::TABLE {
            Some(Gc::from_bits(self.bits))
        } else {
            None
        }
    }
    #[inline]
    pub fn as_str(self) -> Option<Gc<Str>> {
        if self.is_string() {
            Some(Gc::from_bits(self.bits))
        } else {
            None
        }
    }
    pub fn as_lua_closure(self) -> Option<Gc<LuaClosure>> {
        if self.tag == tag::LUA_CLOSURE {
            Some(Gc::from_bits(self.bits))
        } else {
            None
        }
    }
    pub fn as_native_closure(self) -> Option<Gc<NativeClosure>> {
        if self.tag == tag::NATIVE_CLOSURE {
            Some(Gc::from_bits(self.bits))
        } else {
            None
        }
    }
    pub fn as_coroutine(self) -> Option<Gc<Coroutine>> {
        if self.tag == tag::COROUTINE {
            Some(Gc::from_bits(self.bits))
        } else {
            None
        }
    }
    pub fn as_userdata(self) -> Option<Gc<Userdata>> {
        if self.tag == tag::USERDATA {
            Some(Gc::from_bits(self.bits))
        } else {
            None
        }
    }
    /// The object behind a collectable value.
    #[inline]
    pub fn as_object(self) -> Option<Gc<Header>> {
        if self.is_collectable() {
            Some(Gc::from_bits(self.bits))
        } else {
            None
        }
    }

    /// The basic type.
    pub fn type_of(self) -> Type {
        match self.tag {
            tag::NIL => Type::Nil,
            tag::FALSE | tag::TRUE => Type::Boolean,
            tag::INT | tag::FLOAT => Type::Number,
            tag::LIGHT => Type::LightUserdata,
            tag::NATIVE | tag::LUA_CLOSURE | tag::NATIVE_CLOSURE => Type::Function,
            tag::STR | tag::LONG_STR => Type::String,
            tag::TABLE => Type::Table,
            tag::USERDATA => Type::Userdata,
            tag::COROUTINE => Type::Thread,
            _ => Type::Nil,
        }
    }

    /// Primitive equality (manual 3.4.4, `rawequal`): numbers by mathematical value, strings by content, objects by identity.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn raw_equals(self, other: Value) -> bool {
        if self.tag == other.tag {
            match self.tag {
                tag::FLOAT => self.raw_float() == other.raw_float(),
                tag::LONG_STR => {
                    self.bits == other.bits
                        || match (self.as_str(), other.as_str()) {
                            (Some(a), Some(b)) => a.bytes() == b.bytes(),
                            _ => false,
                        }
                }
                _ => self.bits == other.bits,
            }
        } else if self.tag == tag::INT && other.tag == tag::FLOAT {
            int_equals_float(self.raw_int(), other.raw_float())
        } else if self.tag == tag::FLOAT && other.tag == tag::INT {
            int_equals_float(other.raw_int(), self.raw_float())
        } else {
            false
        }
    }

    /// Stores the value's two fields and nothing else.
    ///
    /// # Safety
    /// `slot` must be valid for writes of a value.
    #[inline]
    #[allow(unsafe_code)]
    pub(crate) unsafe fn store(self, slot: *mut Value) {
        // SAFETY: the caller's promise; the four bytes behind the tag are not touched.
        unsafe {
            (&raw mut (*slot).bits).write(self.bits);
            (&raw mut (*slot).tag).write(self.tag);
        }
    }

    /// Loads the value's two fields and nothing else.
    ///
    /// # Safety
    /// `slot` must hold a value.
    #[inline]
    #[allow(unsafe_code)]
    pub(crate) unsafe fn load(slot: *const Value) -> Value {
        // SAFETY: the caller's promise.
        unsafe {
            Value {
                bits: (&raw const (*slot).bits).read(),
                tag: (&raw const (*slot).tag).read(),
            }
        }
    }
}

/// Mathematical equality of an integer and a float.
pub fn int_equals_float(i: i64, f: f64) -> bool {
    // An integral float in range converts exactly; anything else cannot be equal.
    (-9223372036854775808.0..9223372036854775808.0).contains(&f)
        && f == libm::trunc(f)
        && f as i64 == i
}
