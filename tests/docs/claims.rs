//! Claims on the pages that need no cluster: commands are run or say why not, links lead somewhere, reasons are all told, and every page is
//! reached.

mod links;
mod played;
mod reasons;
