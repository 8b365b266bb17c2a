//! Loading chunks.

use super::convert::{FromLuaMulti, IntoLuaMulti};
use super::error::{Error, Result};
use super::function::Function;
use super::lua::Lua;
use super::table::Table;
use super::value::MultiValue;
use crate::heap::value::Value as Raw;
use crate::stdlib::load::{self, Mode};

/// Which kinds of chunk are welcome (mlua's words).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkMode {
    /// Source text.
    Text,
    /// A binary chunk, made by [`Function::dump`] or `string.dump`. It is verified before it runs.
    Binary,
}

/// A chunk that is going to be loaded; see [`Lua::load`].
pub struct Chunk<'a> {
    lua: &'a Lua,
    source: Vec<u8>,
    name: Option<Vec<u8>>,
    environment: Option<Table>,
    mode: Mode<'static>,
}

impl Lua {
    /// Prepares a chunk: source text, or a binary chunk.
    ///
    /// ```
    /// use evermoon::Lua;
    /// let lua = Lua::new();
    /// assert_eq!(lua.load("1 + 1").eval::<i64>().unwrap(), 2);
    /// lua.load("x = ...").set_name("@setup.lua").call::<()>("from Rust").unwrap();
    /// assert_eq!(lua.load("x").eval::<String>().unwrap(), "from Rust");
    /// ```
    pub fn load(&self, source: impl AsRef<[u8]>) -> Chunk<'_> {
        Chunk {
            lua: self,
            source: source.as_ref().to_vec(),
            name: None,
            environment: None,
            mode: Mode::ANY,
        }
    }

    /// Checks whether source text compiles, and runs nothing.
    pub fn check(&self, source: impl AsRef<[u8]>, name: &str) -> Result<()> {
        self.load(source).set_name(name).into_function().map(|_| ())
    }
}

impl<'a> Chunk<'a> {
    /// Its name in messages, as `load` takes it: `@file.lua` is a file, `=name` is shown as it is, anything else is taken for the
    /// source itself.
    pub fn set_name(mut self, name: impl AsRef<[u8]>) -> Self {
        self.name = Some(name.as_ref().to_vec());
        self
    }
    /// The table of its global variables, instead of the engine's.
    pub fn set_environment(mut self, environment: Table) -> Self {
        self.environment = Some(environment);
        self
    }
    /// Accepts only this kind.
    pub fn set_mode(mut self, mode: ChunkMode) -> Self {
        self.mode = Mode(if mode == ChunkMode::Text { b"t" } else { b"b" });
        self
    }

    /// Compiles it to a function.
    pub fn into_function(self) -> Result<Function> {
        self.compile(&self.source)
    }

    fn compile(&self, source: &[u8]) -> Result<Function> {
        let lua = self.lua;
        let name = self.name.as_deref().unwrap_or(&self.source);
        lua.with(|vm| {
            let environment = match &self.environment {
                Some(table) => table.raw(lua, vm)?,
                None => vm.globals,
            };
            match load::load(vm, source, name, self.mode, Raw::table(environment))? {
                Ok(function) => Ok(Function(lua.hold(vm, function))),
                Err(message) => {
                    let message = String::from_utf8_lossy(&message).into_owned();
                    let incomplete = message.ends_with("near <eof>");
                    Err(Error::Syntax {
                        message,
                        incomplete,
                    }
                    .into())
                }
            }
        })
    }

    /// Runs it and drops its results.
    pub fn exec(self) -> Result<()> {
        self.call(())
    }

    /// Runs it as an expression if it is one, else as a chunk, and gives its results.
    pub fn eval<R: FromLuaMulti>(self) -> Result<R> {
        if self.source.first() != Some(&0x1b) {
            let expression = [b"return ".as_slice(), &self.source].concat();
            if let Ok(function) = self.compile(&expression) {
                return function.call(());
            }
        }
        self.into_function()?.call(())
    }

    /// Runs it with arguments (its `...`).
    pub fn call<R: FromLuaMulti>(self, args: impl IntoLuaMulti) -> Result<R> {
        self.into_function()?.call(args)
    }

    /// Runs it, waiting for asynchronous host functions.
    pub async fn call_async<R: FromLuaMulti>(self, args: impl IntoLuaMulti) -> Result<R> {
        self.into_function()?.call_async(args).await
    }

    /// [`Chunk::call_async`] without arguments and results.
    pub async fn exec_async(self) -> Result<()> {
        self.call_async::<MultiValue>(()).await.map(|_| ())
    }
}
