//! `POST /auth/register`: adds a user.
//!
//! ```text
//! → {"username":"alice","password":"correct horse"}
//! ← 201 {"message":"Registration successful"} · 409 taken · 422 invalid
//! ```

use lambda_http::{Body, Request, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    Error, Result,
    account::{Password, Username},
    clock::Clock,
    http::{JsonObject, json_response},
    lambda::HttpFunction,
    password::Hasher,
    settings::{SettingError, Settings},
    store::Store,
};

/// The function and what it needs.
pub struct Register {
    store: Store,
    hasher: Hasher,
    clock: Clock,
}

#[derive(Serialize)]
struct Registered {
    message: &'static str,
}

impl HttpFunction for Register {
    const NAME: &str = "register";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self { store: settings.store(), hasher: settings.hasher()?, clock: settings.clock() })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>> {
        let mut body = JsonObject::read(&request)?;
        let username = body.field("username", Username::parse);
        let password = body.field("password", Password::parse);
        let (Some(username), Some(password)) = (username, password) else {
            return Err(body.refusal());
        };
        // Before the hash, which takes its time: whether the name is free, and whether the database is there.
        if self.store.password_hash(&username).await?.is_some() {
            return Err(Error::UsernameTaken(username.as_str().to_owned()));
        }
        let hash = self.hasher.hash(&password).await?;
        self.store.insert_user(&username, &hash, self.clock.now()).await?;
        let answer = Registered { message: "Registration successful" };
        Ok(json_response(StatusCode::CREATED, &answer))
    }
}
