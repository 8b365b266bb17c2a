//! The embedding interface from outside: what a host may do, and what happens when it does it wrongly.

mod calls;
mod errors;
mod handles;
mod runs;
mod userdata;
