//! `ofctl` drives an OpenFlow switch from the command line, with the commands, options and texts of
//! `ovs-ofctl`. It reads text, speaks OpenFlow on one socket, prints text; it never links the datapath.

mod color;
mod command;
mod connection;
mod control;
mod failure;
mod json;
mod lenient;
mod lint;
mod manual;
mod options;
mod stamp;
mod target;
mod transmit;
mod unixctl;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match options::Options::try_parse_from(options::words(std::env::args())) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            if error.kind() == clap::error::ErrorKind::DisplayHelp {
                print!("\n{}", command::list());
            }
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    if let Some(text) = manual::text(&options) {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    match command::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure::Failure::Status(status)) => ExitCode::from(status),
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::FAILURE
        }
    }
}
