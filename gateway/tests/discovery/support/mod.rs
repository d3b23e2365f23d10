pub mod directory;
pub mod follow;
pub mod name_server;
