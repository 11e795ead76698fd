//! Configures the switch through its database: the commands, options, output and exit codes of the stock `ovs-vsctl`, and errors
//! that say what would be right. `run` is one run from arguments to exit; `commands` is the table of what can be typed.

mod argument;
mod call;
mod commands;
mod draft;
mod error;
mod help;
mod lookup;
mod options;
mod output;
mod run;
mod suggest;
mod symbols;
mod topology;
mod value;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    match run::run(&args, std::env::var("OVS_CTL_TIMEOUT").ok().as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                eprintln!("vsctl: {text}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}
