//! The OpenFlow language: values, their wire form and their text form. Never sees a frame.

pub mod field;
pub mod key;
