pub mod checks;
pub mod endpoints;
pub mod server;
