//! How values cross: slots of 16 bytes in the module's memory.
//!
//! ```text
//! offset 0   u64/i64/f64, or for strings: u32 address, u32 length
//! offset 8   u32 kind
//! offset 12  u32 detail: for a handle, the kind of what it holds
//! ```
//! Towards the engine a string is copied out of the range it names. Towards the host a string's range lies in the engine's heap: it is
//! good until the next call into that engine.

use crate::engine::Engine;
use evermoon::heap::OutOfMemory;
use evermoon::heap::value::{Type, Value, tag};
use evermoon::vm::{Handle, Throw};

pub const NO_HANDLE: &str = "the handle was freed, or belongs to another engine";

/// Kinds of a slot.
pub mod kind {
    pub const NIL: u32 = 0;
    pub const FALSE: u32 = 1;
    pub const TRUE: u32 = 2;
    pub const INT: u32 = 3;
    pub const FLOAT: u32 = 4;
    /// Payload: address and length.
    pub const STRING: u32 = 5;
    /// Payload: a handle (`u32`, never 0). Detail: the kind of the object.
    pub const HANDLE: u32 = 6;
    /// Payload: the number of a host object.
    pub const HOST_OBJECT: u32 = 7;
    /// Payload: any 64 bits (a light userdata).
    pub const LIGHT: u32 = 8;
    /// Payload: the number of a host function. The same number gives the same Lua function while Lua refers to it.
    pub const HOST_FUNCTION: u32 = 9;
}

/// What a handle holds (`detail`).
pub mod holds {
    pub const TABLE: u32 = 1;
    pub const FUNCTION: u32 = 2;
    pub const THREAD: u32 = 3;
    pub const USERDATA: u32 = 4;
}

/// A value in transit.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Slot {
    pub payload: u64,
    pub kind: u32,
    pub detail: u32,
}

impl Slot {
    /// The bytes that a string's slot names.
    pub fn text(&self) -> Result<&'static [u8], Refusal> {
        crate::abi::range(self.payload as u32, (self.payload >> 32) as u32)
            .ok_or(Refusal::Misuse("a string's range lies outside the memory"))
    }
}

/// What a host-object userdata carries.
pub struct HostObject(pub u32);

/// Why a slot is not a value.
pub enum Refusal {
    /// The host did something that it may not.
    Misuse(&'static str),
    /// The heap cap does not allow it.
    Memory,
    /// Records are wanted; it is to be done again then.
    Fault,
    /// The engine has raised an error, and knows of which kind.
    Raised,
}

impl From<Throw> for Refusal {
    fn from(_: Throw) -> Self {
        Refusal::Raised
    }
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Self {
        Refusal::Memory
    }
}

/// Bits of a handle's number that are its slot + 1; the low bits of its generation are above.
const SLOT_BITS: u32 = 24;

/// A handle's number for the host; 0 when the numbers are used up.
pub fn pack(handle: Handle) -> u32 {
    let slot = handle.slot + 1;
    if slot >> SLOT_BITS != 0 {
        0
    } else {
        handle.generation << SLOT_BITS | slot
    }
}

impl Engine {
    /// The engine's handle behind a host's number.
    pub fn unpack(&self, number: u32) -> Option<Handle> {
        let slot = (number & ((1 << SLOT_BITS) - 1)).checked_sub(1)?;
        let generation = self.vm.handle_generation(slot)?;
        (generation & 0xff == number >> SLOT_BITS).then_some(Handle { slot, generation })
    }

    /// The value behind a host's number.
    #[inline]
    pub fn held(&self, number: u32) -> Result<Value, Refusal> {
        self.unpack(number)
            .and_then(|h| self.vm.held(h))
            .ok_or(Refusal::Misuse(NO_HANDLE))
    }

    /// A fresh handle for the host.
    pub fn handle(&mut self, v: Value) -> Result<u32, Refusal> {
        let handle = self.vm.hold(v);
        match pack(handle) {
            0 => {
                self.vm.release(handle);
                Err(Refusal::Misuse("there are 16777215 handles already"))
            }
            number => Ok(number),
        }
    }

    /// A value for the host. Objects get a fresh handle, which the host owns.
    pub fn outward(&mut self, v: Value) -> Slot {
        let slot = |payload, kind| Slot {
            payload,
            kind,
            detail: 0,
        };
        match v.tag {
            tag::NIL => slot(0, kind::NIL),
            tag::FALSE => slot(0, kind::FALSE),
            tag::TRUE => slot(0, kind::TRUE),
            tag::INT => slot(v.bits, kind::INT),
            tag::FLOAT => slot(v.bits, kind::FLOAT),
            tag::LIGHT => slot(v.bits, kind::LIGHT),
            _ => {
                if let Some(s) = v.as_str() {
                    let bytes = s.as_bytes();
                    return slot(
                        bytes.as_ptr() as usize as u64 | (bytes.len() as u64) << 32,
                        kind::STRING,
                    );
                }
                if let Some(u) = v.as_userdata()
                    && let Some(object) =
                        u.data.as_ref().and_then(|d| d.downcast_ref::<HostObject>())
                {
                    return slot(object.0 as u64, kind::HOST_OBJECT);
                }
                if let Some(number) = self.vm.host_function_key(v).and_then(|n| n.as_int()) {
                    return slot(number as u64, kind::HOST_FUNCTION);
                }
                let detail = match v.type_of() {
                    Type::Table => holds::TABLE,
                    Type::Function => holds::FUNCTION,
                    Type::Thread => holds::THREAD,
                    _ => holds::USERDATA,
                };
                Slot {
                    // 0 when there are no more: a handle that holds nothing.
                    payload: self.handle(v).unwrap_or(0) as u64,
                    kind: kind::HANDLE,
                    detail,
                }
            }
        }
    }

    /// A host's value.
    #[inline]
    pub fn inward(&mut self, slot: Slot) -> Result<Value, Refusal> {
        Ok(match slot.kind {
            kind::NIL => Value::NIL,
            kind::FALSE => Value::FALSE,
            kind::TRUE => Value::TRUE,
            kind::INT => Value::int(slot.payload as i64),
            kind::FLOAT => Value::float(f64::from_bits(slot.payload)),
            kind::LIGHT => Value::light(slot.payload),
            kind::STRING => self.vm.new_string(slot.text()?)?,
            kind::HANDLE => self.held(slot.payload as u32)?,
            kind::HOST_OBJECT => self.host_object(slot.payload as u32)?,
            kind::HOST_FUNCTION => self.host_function(slot.payload as u32)?,
            _ => return Err(Refusal::Misuse("a slot has an unknown kind")),
        })
    }
}
