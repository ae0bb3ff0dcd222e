//! Generates the messages and the service from `proto/gateway.proto`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["gateway.proto"], ["proto"])?;
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(files)?;
    Ok(())
}
