//! The operator's command as an operator runs it: the built binary, files, stdin, exit codes.

mod join;
