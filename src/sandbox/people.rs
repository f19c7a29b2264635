//! Persons: found by any of three phones and two e-mail addresses, made when nobody is found.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_json::{Value, json};

use super::options::{Conflict, Options, PhoneMatch};
use crate::caresoft::plain_clock;
use crate::lead::Timestamp;

/// A person.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Person {
    pub id: u64,
    pub username: Option<String>,
    pub phones: [Option<String>; 3],
    pub emails: [Option<String>; 2],
    pub created_at: String,
    pub updated_at: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({}, …)", self.id)
    }
}

/// What a request says of a person.
#[derive(Clone, Default)]
pub(super) struct Described {
    pub username: Option<String>,
    pub phones: [Option<String>; 3],
    pub emails: [Option<String>; 2],
}

/// Everybody. The indexes hold the first person of each phone and address.
#[derive(Default)]
pub(super) struct People {
    by_id: BTreeMap<u64, Person>,
    by_phone: HashMap<String, u64>,
    by_email: HashMap<String, u64>,
    next_id: u64,
}

const FIRST_ID: u64 = 63_215_969;

impl People {
    pub(super) fn get(&self, id: u64) -> Option<&Person> {
        self.by_id.get(&id)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Person> {
        self.by_id.values().rev()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn by_phone(&self, phone: &str, options: &Options) -> Option<u64> {
        self.by_phone.get(&phone_key(phone, options.phones)).copied()
    }

    pub(super) fn by_email(&self, email: &str) -> Option<u64> {
        self.by_email.get(&email_key(email)).copied()
    }

    /// The person of a lead: known by phone or e-mail (the username is then ignored), or new.
    pub(super) fn find_or_make(
        &mut self,
        described: Described,
        now: Timestamp,
        options: &Options,
    ) -> Result<u64, &'static str> {
        let phone = described.phones.iter().flatten().find_map(|p| self.by_phone(p, options));
        let email = described.emails.iter().flatten().find_map(|e| self.by_email(e));
        match (phone, email) {
            (Some(phone), Some(email)) if phone != email => match options.conflict {
                Conflict::PhoneWins => Ok(phone),
                Conflict::EmailWins => Ok(email),
                Conflict::Refuse => Err("phone and email belong to two contacts"),
            },
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => Ok(self.make(described, now, options)),
        }
    }

    pub(super) fn make(&mut self, described: Described, now: Timestamp, options: &Options) -> u64 {
        let id = FIRST_ID + self.next_id;
        self.next_id += 1;
        if self.by_id.len() >= options.leads_max
            && let Some((_, oldest)) = self.by_id.pop_first()
        {
            self.unindex(&oldest, options);
        }
        let now = plain_clock(now);
        let person = Person {
            id,
            username: described.username,
            phones: described.phones,
            emails: described.emails,
            created_at: now.clone(),
            updated_at: now,
        };
        self.index(&person, options);
        self.by_id.insert(id, person);
        id
    }

    /// Writes what `described` says over what is known; what it does not say stays.
    pub(super) fn change(
        &mut self,
        id: u64,
        described: Described,
        now: Timestamp,
        options: &Options,
    ) -> Option<&Person> {
        let old = self.by_id.get(&id)?.clone();
        self.unindex(&old, options);
        let mut person = old;
        person.username = described.username.or(person.username);
        for (slot, given) in person.phones.iter_mut().zip(described.phones) {
            *slot = given.or(slot.take());
        }
        for (slot, given) in person.emails.iter_mut().zip(described.emails) {
            *slot = given.or(slot.take());
        }
        person.updated_at = plain_clock(now);
        self.index(&person, options);
        self.by_id.insert(id, person);
        self.by_id.get(&id)
    }

    fn index(&mut self, person: &Person, options: &Options) {
        for phone in person.phones.iter().flatten() {
            self.by_phone.entry(phone_key(phone, options.phones)).or_insert(person.id);
        }
        for email in person.emails.iter().flatten() {
            self.by_email.entry(email_key(email)).or_insert(person.id);
        }
    }

    fn unindex(&mut self, person: &Person, options: &Options) {
        for phone in person.phones.iter().flatten() {
            let key = phone_key(phone, options.phones);
            if self.by_phone.get(&key) == Some(&person.id) {
                self.by_phone.remove(&key);
            }
        }
        for email in person.emails.iter().flatten() {
            let key = email_key(email);
            if self.by_email.get(&key) == Some(&person.id) {
                self.by_email.remove(&key);
            }
        }
    }
}

impl Person {
    /// As `contactsByPhone` and `GET contacts/{id}` show one.
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "username": self.username,
            "email": self.emails[0], "email2": self.emails[1],
            "phone_no": self.phones[0], "phone_no2": self.phones[1], "phone_no3": self.phones[2],
            "organization_id": null,
            "created_at": self.created_at, "updated_at": self.updated_at,
            "custom_fields": [],
        })
    }

    /// As the list of contacts shows one.
    pub(super) fn shown_in_list(&self) -> Value {
        json!({
            "id": self.id, "username": self.username, "phone_no": self.phones[0],
            "email": self.emails[0], "created_at": self.created_at,
        })
    }
}

fn phone_key(phone: &str, how: PhoneMatch) -> String {
    let digits = || -> String { phone.chars().filter(char::is_ascii_digit).collect() };
    match how {
        PhoneMatch::AsGiven => phone.to_owned(),
        PhoneMatch::Digits => format!("{}{}", if phone.contains('+') { "+" } else { "" }, digits()),
        PhoneMatch::Vietnam => {
            let digits = digits();
            let national = digits.strip_prefix("0084").or_else(|| digits.strip_prefix("84"));
            national.map_or(digits.clone(), |rest| format!("0{}", rest.trim_start_matches('0')))
        }
    }
}

fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_compared_as_the_knob_says() {
        let same = |how| {
            ["+84 900 000 027", "0084900000027", "84900000027", "0900.000.027"]
                .map(|phone| phone_key(phone, how))
        };
        assert_eq!(same(PhoneMatch::Vietnam), ["0900000027"; 4].map(String::from));
        assert_eq!(same(PhoneMatch::Digits)[3], "0900000027");
        assert_eq!(same(PhoneMatch::Digits)[0], "+84900000027");
        assert_eq!(same(PhoneMatch::AsGiven)[3], "0900.000.027");
    }
}
