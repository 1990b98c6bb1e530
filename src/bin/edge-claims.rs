//! The command-line tool; see `edge_claims::cli`.

fn main() -> std::process::ExitCode {
    edge_claims::cli::main(std::env::args_os())
}
