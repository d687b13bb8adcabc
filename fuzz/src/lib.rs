//! What fuzz targets share: requests written as text, and the chat's functions on a database of their own.

mod chat;
mod request;

pub use chat::Chat;
pub use request::Request;
