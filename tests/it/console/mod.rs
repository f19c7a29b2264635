//! The console as a program meets it: who may look, what a form must carry, what a page may hold.

mod access;
mod language;
mod operator;
mod person;
mod sources;
mod trouble;
mod unreadable;

/// Every page that somebody who has signed in can go to.
const PAGES: [&str; 5] = ["/", "/leads", "/trouble", "/sources", "/attribution"];
