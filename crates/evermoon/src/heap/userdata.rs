//! Full userdata: an object of the host's, with a metatable and user values.

use super::object::{Gc, Header};
use super::table::Table;
use super::value::Value;
use std::any::Any;

/// A userdata object.
#[repr(C)]
pub struct Userdata {
    pub header: Header,
    pub metatable: Option<Gc<Table>>,
    /// The host's object; `None` after it was taken or dropped.
    pub data: Option<Box<dyn Any>>,
    pub user_values: Vec<Value>,
}
