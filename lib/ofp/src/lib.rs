//! The OpenFlow language: values, wire and text.
