//! A hub to publish to and to read from by hand or from a script:
//!
//! ```text
//! cargo run --example hub -- 8100
//! HF_TOKEN=hf_0123456789canary HF_ENDPOINT=http://127.0.0.1:8100 convogen compile-upload -c upload.yaml
//! ```
//!
//! It prints its address and runs until it is stopped; what it was sent is gone then.

mod hub;

use crate::hub::HubServer;

#[expect(clippy::print_stdout, reason = "the address is this program's result")]
fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    println!("http://{}", HubServer::start_at(port).address());
    loop {
        std::thread::park();
    }
}
