//! The engine as a Rust developer embeds it, in mlua's words: [`Lua`], [`Value`], [`Table`], [`Function`], [`UserData`], conversions; and
//! what mlua lacks: fuel, memory limits, runs that stop with an [`Event`] and go on later.
//!
//! Everything here is safe: no address of the engine's gets out, and a value of another engine is an error ([`Error::Foreign`]). Reading order:
//! `lua.rs` (the engine and the door to the VM), `handle.rs` (references), `drive.rs` (running), `run.rs` (events), then the values.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod chunk;
mod convert;
mod drive;
mod error;
mod function;
mod handle;
mod lua;
mod operations;
mod run;
mod table;
mod thread;
mod userdata;
mod value;
mod world;

pub use chunk::{Chunk, ChunkMode};
pub use convert::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti, Variadic};
pub use error::{Error, IntoError, Result, ResultExt, RuntimeError};
pub use function::Function;
pub use lua::{Builder, Interrupter, Lua, OpenModule, StdLib};
pub use run::{Event, HostCall, Run};
pub use table::{Pairs, Sequence, Table};
pub use thread::{Thread, ThreadStatus};
pub use userdata::{AnyUserData, UserData, UserDataFields, UserDataMethods};
pub use value::{LightUserData, LuaString, MultiValue, Value};
pub use world::Pending;

/// Everything that embedding code usually names, mlua's way: `use evermoon::prelude::*`.
pub mod prelude {
    pub use super::{
        AnyUserData as LuaAnyUserData, Chunk as LuaChunk, Error as LuaError, Event as LuaEvent,
        FromLua, FromLuaMulti, Function as LuaFunction, IntoLua, IntoLuaMulti, Lua, LuaString,
        MultiValue as LuaMultiValue, Result as LuaResult, ResultExt as LuaResultExt, Run as LuaRun,
        StdLib as LuaStdLib, Table as LuaTable, Thread as LuaThread, UserData as LuaUserData,
        UserDataFields as LuaUserDataFields, UserDataMethods as LuaUserDataMethods,
        Value as LuaValue, Variadic as LuaVariadic,
    };
}
