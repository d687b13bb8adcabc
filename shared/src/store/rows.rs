//! Many rows of a query.
//!
//! Over SQLite they come as one row, a text of JSON: each row on its own would be handed over from the connection's thread to
//! whoever waits for it, which costs several times what reading it does.

use serde::de::DeserializeOwned;
use sqlx::{Database, QueryBuilder};

/// Follows a bound limit. Without it, SQLite would plan the query anew each time, in case that the plan depends on the limit.
pub(super) const NOT_A_CONSTANT: &str = " + 0";

/// Reads many rows, as each database does it best.
pub(super) trait Rows {
    type Database: Database;

    /// Begins a query whose rows will have these columns.
    fn query(&self, columns: &str) -> QueryBuilder<Self::Database>;

    /// The rows of a query that was begun by [`Rows::query`], in its order if it has a limit. A struct has its fields in the
    /// order of the columns.
    async fn fetch<T: Row>(&mut self, query: QueryBuilder<Self::Database>) -> sqlx::Result<Vec<T>>;
}

/// What a row can be read as.
#[cfg(feature = "postgres")]
pub(super) trait Row:
    DeserializeOwned + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin
{
}

#[cfg(feature = "postgres")]
impl<T> Row for T where
    T: DeserializeOwned + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin
{
}

/// What a row can be read as.
#[cfg(not(feature = "postgres"))]
pub(super) trait Row: DeserializeOwned {}

#[cfg(not(feature = "postgres"))]
impl<T: DeserializeOwned> Row for T {}

#[cfg(feature = "postgres")]
impl Rows for sqlx::PgConnection {
    type Database = sqlx::Postgres;

    fn query(&self, _columns: &str) -> QueryBuilder<sqlx::Postgres> {
        QueryBuilder::default()
    }

    async fn fetch<T: Row>(
        &mut self,
        mut query: QueryBuilder<sqlx::Postgres>,
    ) -> sqlx::Result<Vec<T>> {
        query.build_query_as().fetch_all(self).await
    }
}

#[cfg(feature = "sqlite")]
impl Rows for sqlx::SqliteConnection {
    type Database = sqlx::Sqlite;

    fn query(&self, columns: &str) -> QueryBuilder<sqlx::Sqlite> {
        QueryBuilder::new(format!("select json_group_array(json_array({columns})) from ("))
    }

    async fn fetch<T: Row>(
        &mut self,
        mut query: QueryBuilder<sqlx::Sqlite>,
    ) -> sqlx::Result<Vec<T>> {
        let rows: String = query.push(")").build_query_scalar().fetch_one(self).await?;
        serde_json::from_str(&rows).map_err(|error| sqlx::Error::Decode(error.into()))
    }
}
