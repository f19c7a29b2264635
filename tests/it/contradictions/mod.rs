//! Where CareSoft's pages contradict themselves or leave a gap, and what is done about it: one test
//! for each, numbered in the order of the vendor's page.

mod account;
mod answer;
mod catalog;
mod create;
mod record;
mod update;
