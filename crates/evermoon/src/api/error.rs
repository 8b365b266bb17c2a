//! What can go wrong, for people ([`Display`](fmt::Display)) and for programs ([`Error::code`]).
//!
//! Errors are `Send`, `Sync` and cheap to clone, so they go through `?` into anything. One that began as an error of the host's
//! keeps that identity through Lua code: it comes back as itself.

use super::handle::ErrorSlot;
use super::lua::Lua;
use super::value::Value;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of an operation on an engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between an embedder and an engine.
///
/// ```
/// use evermoon::{Error, Lua};
/// let lua = Lua::new();
/// let error = lua.load("local t = nil\nreturn t.x").set_name("@main.lua").exec().unwrap_err();
/// assert_eq!(error.code(), "runtime");
/// assert!(error.to_string().starts_with("main.lua:2: attempt to index a nil value"));
/// let error = lua.load("x = = 1").exec().unwrap_err();
/// assert!(matches!(error, Error::Syntax { .. }));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// Lua code raised an error that nothing caught.
    Runtime(RuntimeError),
    /// A chunk does not compile, or is a binary chunk that fails its checks.
    Syntax {
        /// The message, with chunk name and line.
        message: String,
        /// The chunk ends too early: more input could complete it (what a REPL asks).
        incomplete: bool,
    },
    /// The memory limit was reached.
    Memory {
        /// What is known about it.
        message: String,
    },
    /// The fuel ran out in a call that cannot be continued. See [`Run`](super::Run) for one that can.
    Fuel {
        /// Where it ran out.
        message: String,
    },
    /// Lua code wants to end the process (`os.exit`): it has stopped, and nothing caught it. What that means is the host's matter.
    Exit {
        /// The exit code.
        code: i32,
        /// To close the engine first ([`Lua::close`]).
        close: bool,
    },
    /// A value could not be converted to the type that was asked for.
    FromLua {
        /// Name of the Lua type.
        from: String,
        /// Name of the wanted type.
        to: String,
        /// Why, if there is more to say.
        message: Option<String>,
    },
    /// A host value could not be converted to Lua.
    IntoLua {
        /// Name of the host's type.
        from: String,
        /// Why.
        message: String,
    },
    /// An argument of a host function is not what it should be.
    BadArgument {
        /// Its position, from 1.
        position: usize,
        /// What is wrong with it.
        cause: Arc<Error>,
    },
    /// An error of the host's, raised by a host function.
    Host {
        /// The error itself.
        error: Arc<dyn StdError + Send + Sync>,
        /// Where Lua was when it was raised, if it came through Lua code.
        traceback: Option<String>,
    },
    /// A userdata does not hold the type that was asked for.
    UserDataType {
        /// The wanted type.
        wanted: String,
    },
    /// A userdata is borrowed in a way that excludes this use.
    UserDataBorrowed,
    /// A function made by `create_function_mut` was called while it was running.
    Recursive,
    /// A value of one engine was given to another.
    Foreign,
    /// The world cannot be stored, loaded or put back.
    World {
        /// What happened, where, what to do.
        message: String,
    },
    /// The engine is gone.
    Closed,
    /// The engine cannot do this now.
    Busy {
        /// What it is doing, and what to do about it.
        message: String,
    },
    /// A bug of the engine's: it has panicked and refuses to go on.
    Poisoned,
}

/// An error that Lua code raised.
#[derive(Clone)]
pub struct RuntimeError {
    /// The message: the error value if that is a string, or what its `__tostring` says.
    pub message: String,
    /// The calls that were in progress, as `debug.traceback` shows them.
    pub traceback: Option<String>,
    pub(crate) value: Option<Arc<ErrorSlot>>,
}

impl Error {
    /// A Lua error with this message; where a host function returns it, Lua sees it as a string with the caller's position.
    pub fn runtime(message: impl fmt::Display) -> Error {
        Error::Runtime(RuntimeError {
            message: message.to_string(),
            traceback: None,
            value: None,
        })
    }

    /// Wraps an error of the host's, to be raised by a host function and to come back as itself.
    ///
    /// ```
    /// use evermoon::{Error, Lua};
    /// let lua = Lua::new();
    /// let f = lua.create_function(|_, path: String| std::fs::read_to_string(path).map_err(Error::host)).unwrap();
    /// let error = f.call::<String>("/no/such/file").unwrap_err();
    /// assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::NotFound);
    /// ```
    pub fn host(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::Host {
            error: error.into().into(),
            traceback: None,
        }
    }

    /// mlua's name of [`Error::host`].
    pub fn external(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::host(error)
    }

    /// A conversion error.
    pub fn from_lua(
        from: impl Into<String>,
        to: impl Into<String>,
        message: Option<String>,
    ) -> Error {
        Error::FromLua {
            from: from.into(),
            to: to.into(),
            message,
        }
    }

    /// The kind as a stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Runtime(_) => "runtime",
            Error::Syntax { .. } => "syntax",
            Error::Memory { .. } => "memory",
            Error::Fuel { .. } => "fuel",
            Error::Exit { .. } => "exit",
            Error::FromLua { .. } => "from_lua",
            Error::IntoLua { .. } => "into_lua",
            Error::BadArgument { .. } => "bad_argument",
            Error::Host { .. } => "host",
            Error::UserDataType { .. } => "userdata_type",
            Error::UserDataBorrowed => "userdata_borrowed",
            Error::Recursive => "recursive",
            Error::Foreign => "foreign",
            Error::World { .. } => "world",
            Error::Closed => "closed",
            Error::Busy { .. } => "busy",
            Error::Poisoned => "poisoned",
        }
    }

    /// The calls that were in progress when Lua code failed.
    pub fn traceback(&self) -> Option<&str> {
        match self {
            Error::Runtime(e) => e.traceback.as_deref(),
            Error::Host { traceback, .. } => traceback.as_deref(),
            _ => None,
        }
    }

    /// The error value of a Lua error, which may be any value. Without it: nil, or the message.
    ///
    /// ```
    /// use evermoon::{Lua, Table};
    /// let lua = Lua::new();
    /// let error = lua.load("error { code = 42 }").exec().unwrap_err();
    /// let table: Table = error.value(&lua).unwrap().try_into().unwrap();
    /// assert_eq!(table.get::<i64>("code").unwrap(), 42);
    /// ```
    pub fn value(&self, lua: &Lua) -> Result<Value> {
        match self {
            Error::Runtime(e) => match &e.value {
                Some(slot) => lua.error_value(slot),
                None => Ok(Value::string(&e.message)),
            },
            other => Ok(Value::Error(Box::new(other.clone()))),
        }
    }

    /// The host's error, if this is one of that type.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match self {
            Error::Host { error, .. } => error.downcast_ref(),
            _ => None,
        }
    }

    /// A chunk that ends too early: more input could complete it.
    pub fn is_incomplete(&self) -> bool {
        matches!(
            self,
            Error::Syntax {
                incomplete: true,
                ..
            }
        )
    }

    /// Says that the error is about argument `position` (from 1), unless something is said already.
    pub(crate) fn at_argument(self, position: usize) -> Error {
        match self {
            e @ (Error::FromLua { .. } | Error::UserDataType { .. }) => Error::BadArgument {
                position,
                cause: Arc::new(e),
            },
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Runtime(e) => f.write_str(&e.message)?,
            Error::Syntax { message, .. }
            | Error::Memory { message }
            | Error::Fuel { message }
            | Error::World { message }
            | Error::Busy { message } => f.write_str(message)?,
            Error::Exit { code, .. } => write!(f, "the program has ended with exit code {code}")?,
            Error::FromLua { from, to, message } => {
                write!(f, "{to} expected, got {from}")?;
                if let Some(message) = message {
                    write!(f, " ({message})")?;
                }
            }
            Error::IntoLua { from, message } => {
                write!(f, "cannot convert {from} to Lua: {message}")?
            }
            Error::BadArgument { position, cause } => {
                write!(f, "bad argument #{position} ({cause})")?
            }
            Error::Host { error, .. } => error.fmt(f)?,
            Error::UserDataType { wanted } => write!(f, "{wanted} expected, got another userdata")?,
            Error::UserDataBorrowed => f.write_str("userdata is in use")?,
            Error::Recursive => f.write_str("host function called while it was running")?,
            Error::Foreign => f.write_str("value belongs to another engine")?,
            Error::Closed => f.write_str("the engine of this value is gone")?,
            Error::Poisoned => {
                f.write_str("the engine has panicked (a bug of Evermoon's) and cannot go on")?
            }
        }
        // `{:#}` shows everything that is known.
        if f.alternate()
            && let Some(traceback) = self.traceback()
        {
            write!(f, "\n{traceback}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self:#}", self.code())
    }
}

impl fmt::Debug for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Host { error, .. } => Some(&**error),
            Error::BadArgument { cause, .. } => Some(&**cause),
            _ => None,
        }
    }
}

/// Any error as one that host functions return (mlua's `ExternalError`).
pub trait IntoError {
    /// See [`Error::host`].
    fn into_lua_err(self) -> Error;
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> IntoError for E {
    fn into_lua_err(self) -> Error {
        Error::host(self)
    }
}

/// The same for results (mlua's `ExternalResult`).
pub trait ResultExt<T> {
    /// See [`Error::host`].
    fn into_lua_err(self) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> ResultExt<T> for Result<T, E> {
    fn into_lua_err(self) -> Result<T> {
        self.map_err(Error::host)
    }
}
