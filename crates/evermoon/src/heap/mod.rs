//! Values and memory. In this branch only the numbers.
pub mod number;
