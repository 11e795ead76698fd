//! The OpenFlow language: values, their wire form and their text form. Never sees a frame.

pub mod action;
pub mod bpdu;
pub mod check;
pub mod error;
pub mod field;
pub mod key;
pub mod message;
pub mod session;
pub mod text;
pub mod types;
pub mod usable;
pub mod wire;
