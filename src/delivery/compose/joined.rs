//! What later submissions of a person add to the lead: in its create while it waits, as comments
//! when it is there.

use std::collections::HashSet;

use super::{COMMENT, COMMENT_MAX, Composer, FormFields, Voice, with_marker};
use crate::caresoft::{cut, plain_clock};
use crate::config::Marker;
use crate::lead::Lead;
use crate::store::{Joined, Work};

impl Composer {
    /// The text of a comment for a submission that joined a lead; `None` when it adds nothing to
    /// what was said.
    pub fn comment(&self, work: &Work, said: &[Joined]) -> Option<String> {
        let mut known = Known::default();
        said.iter().for_each(|said| known.learn(&said.lead));
        let voice = Voice::of_work(work);
        let text = self.addition(&voice, &known)?;
        Some(match self.marker {
            Marker::Comment => with_marker(&text, work.lease.id),
            Marker::Subject | Marker::None => cut(&text, COMMENT_MAX),
        })
    }

    /// A create's comment with what has joined the lead.
    pub(super) fn with_joined(&self, comment: String, lead: &Lead, joined: &[Joined]) -> String {
        if joined.is_empty() {
            return comment;
        }
        let mut known = Known::default();
        known.learn(lead);
        let mut whole = comment;
        for one in joined {
            let voice = Voice::of_joined(one);
            if let Some(text) = self.addition(&voice, &known) {
                whole = format!("{whole}\n\n{text}").trim_start().to_owned();
            }
            known.learn(&one.lead);
        }
        whole
    }

    /// Where and when it was said, what of the person is new, and all that was said.
    fn addition(&self, voice: &Voice<'_>, known: &Known) -> Option<String> {
        let lead = voice.lead;
        if !known.misses(lead) {
            return None;
        }
        let phone = lead.phone.as_ref().map(|phone| self.sent_phone(phone));
        let mut lines = vec![format!("[{}] {}", voice.source, plain_clock(voice.received_at))];
        for (name, value) in [("name", &lead.name), ("phone", &phone), ("email", &lead.email)] {
            let value = value.as_deref().filter(|value| !known.persons.contains(*value));
            let is_known = name == "phone" && known.has_phone(lead);
            lines.extend(value.filter(|_| !is_known).map(|value| format!("{name}: {value}")));
        }
        let settings = self.settings.get(voice.source).unwrap_or(&self.fallback);
        let values = Self::values(voice, phone.as_deref(), &FormFields::new(lead));
        let template = settings.comment.as_deref().unwrap_or(COMMENT);
        lines.extend(self.render(template, &values).map(|text| text.trim().to_owned()));
        Some(lines.join("\n"))
    }
}

/// What was said of a person before.
#[derive(Default)]
struct Known {
    messages: HashSet<String>,
    answers: HashSet<(String, String)>,
    attributions: Vec<crate::lead::Attribution>,
    /// Names, phones and e-mail addresses.
    persons: HashSet<String>,
}

impl Known {
    fn learn(&mut self, lead: &Lead) {
        self.messages.extend(lead.message.clone());
        let answers = lead.answers.iter();
        self.answers.extend(answers.map(|answer| (answer.label.clone(), answer.value.clone())));
        if !self.attributions.contains(&lead.attribution) {
            self.attributions.push(lead.attribution.clone());
        }
        self.persons.extend(lead.name.clone());
        self.persons.extend(lead.phone.as_ref().map(|phone| phone.e164().to_owned()));
        self.persons.extend(lead.email.clone());
    }

    /// Whether a lead says anything that was not said.
    fn misses(&self, lead: &Lead) -> bool {
        let persons = [lead.name.as_deref(), lead.email.as_deref()];
        let nothing = crate::lead::Attribution::default();
        lead.message.as_ref().is_some_and(|message| !self.messages.contains(message))
            || lead
                .answers
                .iter()
                .any(|answer| !self.answers.contains(&(answer.label.clone(), answer.value.clone())))
            || (lead.attribution != nothing && !self.attributions.contains(&lead.attribution))
            || persons.into_iter().flatten().any(|person| !self.persons.contains(person))
            || (lead.phone.is_some() && !self.has_phone(lead))
    }

    fn has_phone(&self, lead: &Lead) -> bool {
        lead.phone.as_ref().is_none_or(|phone| self.persons.contains(phone.e164()))
    }
}
