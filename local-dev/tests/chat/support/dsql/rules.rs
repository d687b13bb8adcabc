//! What Aurora DSQL takes of SQL, as its user guide says in November 2026: what it lacks is refused.

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    /// What changes the catalogue, privileges included.
    Ddl,
    Begin,
    Commit,
    Rollback,
    /// Sets a parameter of the session.
    Set,
    /// `AWS IAM GRANT` or `REVOKE`, which PostgreSQL doesn't know.
    Iam,
}

/// The parameters that a session may set.
const PARAMETERS: [&str; 8] = [
    "application_name",
    "client_encoding",
    "datestyle",
    "extra_float_digits",
    "intervalstyle",
    "search_path",
    "timezone",
    "transaction",
];

/// Whether a parameter may be set, be it when the connection is opened.
pub fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
}

/// The statements of a query.
pub fn statements(sql: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut quote = None;
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '-') if characters.peek() == Some(&'-') => {
                while characters.next().is_some_and(|skipped| skipped != '\n') {}
                continue;
            }
            (None, ';') => {
                statements.push(String::new());
                continue;
            }
            _ => {}
        }
        statements.last_mut().expect("there is one").push(character);
    }
    statements.retain(|statement| !statement.trim().is_empty());
    statements
}

/// What one statement does.
///
/// # Errors
/// What it asks for that DSQL lacks.
pub fn kind_of(statement: &str) -> Result<Kind, String> {
    let words = words(statement);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |word: &str| words.contains(&word);
    for lacking in ["serial", "bigserial", "smallserial", "partition", "inherits", "unlogged"] {
        if has(lacking) && words.first() == Some(&"create") {
            return lacks(lacking);
        }
    }
    if let Some(word) = words.iter().find(|word| word.contains("advisory") || **word == "pg_notify")
    {
        return lacks(word);
    }
    match words[..] {
        ["select" | "values" | "show" | "explain" | "analyze", ..] => {
            if has("share") && !has("key") { lacks("for share") } else { Ok(Kind::Read) }
        }
        ["with", ..] if has("insert") || has("update") || has("delete") => Ok(Kind::Write),
        ["insert" | "update" | "delete", ..] => Ok(Kind::Write),
        ["begin" | "start", ..] if has("isolation") && !has("repeatable") => {
            lacks("that isolation level")
        }
        ["begin" | "start", ..] => Ok(Kind::Begin),
        ["commit" | "end", ..] => Ok(Kind::Commit),
        ["rollback", "to", ..] => lacks("rollback to savepoint"),
        ["rollback" | "abort", ..] => Ok(Kind::Rollback),
        ["set", "local" | "session", name, ..] | ["set", name, ..] if is_parameter(name) => {
            Ok(Kind::Set)
        }
        ["set", name, ..] => lacks(&format!("set {name}")),
        ["aws", "iam", "grant" | "revoke", ..] => Ok(Kind::Iam),
        ["create", ref rest @ ..] => create(rest, &words),
        [
            "alter" | "drop",
            what @ ("trigger" | "extension" | "database" | "system" | "default"),
            ..,
        ] => lacks(what),
        ["alter", "table", ..] if has("attach") || has("detach") => lacks("partition"),
        ["alter" | "drop" | "grant" | "revoke" | "comment", ..] => Ok(Kind::Ddl),
        ["with", ..] | [] => Ok(Kind::Read),
        [first, ..] => lacks(first),
    }
}

fn create(rest: &[&str], words: &[&str]) -> Result<Kind, String> {
    let rest = match rest {
        ["or", "replace", rest @ ..] | ["unique", rest @ ..] | rest => rest,
    };
    match rest {
        ["index", next, ..] if *next != "async" => lacks("create index without async"),
        ["sequence", ..] if !words.contains(&"cache") => lacks("a sequence without cache"),
        ["table", ..] if words.contains(&"identity") && !words.contains(&"cache") => {
            lacks("an identity column without cache")
        }
        ["table", ..] if makes_of_query(words) => lacks("create table as"),
        ["function", ..] if !words.windows(2).any(|pair| pair == ["language", "sql"]) => {
            lacks("a function that is not in SQL")
        }
        [
            "index" | "table" | "view" | "role" | "schema" | "domain" | "sequence" | "function",
            ..,
        ] => Ok(Kind::Ddl),
        [what, ..] => lacks(&format!("create {what}")),
        [] => lacks("create"),
    }
}

/// Whether a table is to be made of what a query yields. `as` alone has other uses: `generated always as (…)`, `cast (… as …)`.
fn makes_of_query(words: &[&str]) -> bool {
    let queries = ["select", "with", "values", "table", "execute"];
    words.windows(2).any(|pair| pair[0] == "as" && queries.contains(&pair[1]))
}

fn lacks<T>(what: &str) -> Result<T, String> {
    Err(format!("{what} is not supported"))
}

/// Words in lower case, without what stands in quotes.
fn words(statement: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut quote = None;
    for character in statement.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => continue,
            (None, '\'' | '"') => quote = Some(character),
            _ => {}
        }
        plain.push(character.to_ascii_lowercase());
    }
    plain
        .split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
