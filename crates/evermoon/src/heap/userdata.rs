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

impl Userdata {
    /// Sets the metatable. The caller passes the barrier.
    pub fn set_metatable(&mut self, metatable: Option<Gc<Table>>) {
        if let Some(mut mt) = metatable {
            mt.header.flags |= super::table::flags::METATABLE;
        }
        self.metatable = metatable;
    }
}
