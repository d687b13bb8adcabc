//! Reads what a SAM template says of APIs and functions.
