//! `musher-sim run` plays nights, `musher-sim bench` measures.

use std::process::ExitCode;

fn main() -> ExitCode {
    for seed in 1..=50 {
        match musher_sim::night::play(seed, musher_sim::variant::Variant::Sound) {
            Ok(c) => println!("{seed}\n{c}"),
            Err(f) => { println!("{f}"); return ExitCode::FAILURE }
        }
    }
    ExitCode::SUCCESS
}
