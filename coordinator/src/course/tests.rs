//! Claims about whole histories.
