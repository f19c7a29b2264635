//! What a custom field's value becomes on the way out: the options of drop-down lists may be
//! written by name, and CareSoft takes them by id.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::caresoft::{Chosen, CustomFieldDefinition, OptionNames, is_id};
use crate::config::LeadSettings;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// `values` or `default`: for a drop-down list it is an option's id or name.
    Configured,
    /// The form or a template: any text.
    Given,
}

/// What is known of the custom fields that a lane's settings name.
#[derive(Debug, Default)]
pub(super) struct FieldNames {
    /// The fields that some setting names.
    wanted: BTreeSet<u64>,
    /// Whether some configured value is no plain number.
    has_names: bool,
    learned: RwLock<Option<Arc<HashMap<u64, Learned>>>>,
    /// Fields that were told of as left out.
    told: Mutex<BTreeSet<u64>>,
}

/// A field as CareSoft defines it.
#[derive(Debug)]
enum Learned {
    /// It takes any text.
    Free,
    /// It takes the id of an option.
    DropDown(OptionNames),
}

impl FieldNames {
    /// Nothing learned yet.
    pub fn of<'s>(settings: impl IntoIterator<Item = &'s LeadSettings>) -> Self {
        let mut names = Self::default();
        for field in settings.into_iter().flat_map(|one| one.custom_fields.iter().flatten()) {
            names.wanted.insert(field.id);
            let mut configured = field.values.values().chain(&field.default);
            names.has_names |= configured.any(|value| !is_id(value.trim()));
        }
        names
    }

    /// Whether some configured value can only be understood with CareSoft's list of fields.
    pub const fn has_names(&self) -> bool {
        self.has_names
    }

    /// Takes the list in, in place of what was known before.
    pub fn learn(&self, fields: &[CustomFieldDefinition]) {
        let wanted = fields.iter().filter(|field| self.wanted.contains(&field.id));
        let learned = wanted.map(|field| {
            let options = field.is_drop_down().then(|| OptionNames::of(field));
            (field.id, options.map_or(Learned::Free, Learned::DropDown))
        });
        let learned = Arc::new(learned.collect());
        *self.learned.write().unwrap_or_else(PoisonError::into_inner) = Some(learned);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes over what `before` has learned, if it was asked for as much. Whether it was.
    pub fn learn_from(&self, before: &Self) -> bool {
        let is_enough = self.wanted.is_subset(&before.wanted);
        if is_enough {
            let learned = before.learned.read().unwrap_or_else(PoisonError::into_inner).clone();
            *self.learned.write().unwrap_or_else(PoisonError::into_inner) = learned;
        }
        is_enough
    }

    /// What is sent for a value; `None`: nothing is, since nobody knows which option is meant.
    pub fn value(&self, field: u64, value: String, origin: Origin) -> Option<String> {
        if is_id(value.trim()) {
            return Some(value);
        }
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner).clone();
        let chosen = match learned.as_ref().and_then(|learned| learned.get(&field)) {
            Some(Learned::Free) => return Some(value),
            Some(Learned::DropDown(options)) => options.choose(&value),
            None => Chosen::Nothing,
        };
        match (chosen, origin) {
            (Chosen::Option(id), _) => Some(id.to_string()),
            // What a visitor wrote goes as it came: CareSoft may know better.
            (Chosen::Several | Chosen::Nothing, Origin::Given) => Some(value),
            (Chosen::Several | Chosen::Nothing, Origin::Configured) => {
                self.tell(field, learned.is_some());
                None
            }
        }
    }

    /// Once for each field and each list that was learned.
    fn tell(&self, field_id: u64, has_learned: bool) {
        let is_new = self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(field_id);
        if is_new && has_learned {
            tracing::warn!(
                field_id,
                "a custom field is left out: CareSoft has no such option; see leadgate check --live"
            );
        } else if is_new {
            tracing::warn!(
                field_id,
                "a custom field is left out until CareSoft's list of options is known"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::config::{CustomField, FieldValue};

    /// What is logged, as text.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_left_out_is_told_once_and_by_its_id_alone() {
        let field = CustomField {
            id: 6_068,
            value: FieldValue::From("loai".into()),
            values: [("mua".to_owned(), "Bí mật".to_owned())].into(),
            default: None,
        };
        let settings = LeadSettings { custom_fields: Some(vec![field]), ..LeadSettings::default() };
        let names = FieldNames::of([&settings]);
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..3 {
                assert_eq!(names.value(6_068, "Bí mật".into(), Origin::Configured), None);
            }
            names.learn(&[]);
            for _ in 0..3 {
                assert_eq!(names.value(6_068, "Bí mật".into(), Origin::Configured), None);
            }
        });
        let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(told.lines().count(), 2, "before and after the list: {told}");
        assert_eq!(told.matches("6068").count(), 2, "{told}");
        assert!(!told.contains("mật"), "{told}");
    }
}
