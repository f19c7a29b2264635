//! How a platform makes sure that an address is ours before it posts there.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::digest::{Algorithm, Encoding};
use super::heard::Heard;
use super::reply::Reply;
use super::template::Piece;
use super::verify::Secrets;
use crate::lead::Malformed;

/// The handshakes of a platform.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    #[serde(default)]
    echo_query: Option<EchoQuery>,
    #[serde(default)]
    hmac_challenge: Option<HmacChallenge>,
    #[serde(default)]
    unsigned_probe: Option<UnsignedProbe>,
}

/// A GET with a text to be echoed, if the token in it is the one that the operator chose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoQuery {
    /// What the query must hold.
    #[serde(default)]
    require: BTreeMap<String, String>,
    /// The query's parameter that is the token.
    token: String,
    /// The token's name among the secrets.
    secret: String,
    respond: Reply,
    refuse: Reply,
}

/// A GET with a text to be signed: `{challenge}` and `{digest}` in the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct HmacChallenge {
    /// The query's parameter that is the text.
    challenge: String,
    #[serde(default)]
    alg: Algorithm,
    /// The name of the key.
    secret: String,
    #[serde(default)]
    encoding: Encoding,
    respond: Reply,
    refuse: Reply,
}

/// A POST of a fixed body, unsigned: is anybody there?
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsignedProbe {
    body: Json,
    respond: Reply,
}

/// A text of the file that is JSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Json(Value);

impl TryFrom<String> for Json {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        serde_json::from_str(&text).map(Self).map_err(|_| Malformed("the body is no JSON"))
    }
}

/// A challenge is an id or a number; a longer one is refused.
const CHALLENGE_MAX: usize = 256;

impl Handshake {
    /// The names of the secrets that it needs.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let echo = self.echo_query.iter().map(|echo| echo.secret.as_str());
        echo.chain(self.hmac_challenge.iter().map(|challenge| challenge.secret.as_str()))
    }

    /// The answers that it may give.
    pub(super) fn replies(&self) -> impl Iterator<Item = &Reply> {
        let echo = self.echo_query.iter().flat_map(|echo| [&echo.respond, &echo.refuse]);
        let signed = self.hmac_challenge.iter().flat_map(|one| [&one.respond, &one.refuse]);
        echo.chain(signed).chain(self.unsigned_probe.iter().map(|probe| &probe.respond))
    }

    /// The answer to a GET; `None` when the platform makes no such handshake.
    pub fn get(&self, heard: &Heard<'_>, secrets: &Secrets) -> Option<Answer<'_>> {
        let echo = self.echo_query.as_ref().map(|echo| echo.answer(heard, secrets));
        let signed = || self.hmac_challenge.as_ref().map(|one| one.answer(heard, secrets));
        echo.or_else(signed)
    }

    /// The answer to a POST that only asks whether anybody is there; `None` for any other.
    pub fn post(&self, heard: &Heard<'_>) -> Option<Answer<'_>> {
        let probe = self.unsigned_probe.as_ref()?;
        // A probe is a few bytes; nothing longer is parsed for it.
        let is_short = heard.body.len() <= CHALLENGE_MAX;
        (is_short && heard.json() == Some(&probe.body.0)).then(|| Answer::plain(&probe.respond))
    }
}

impl EchoQuery {
    fn answer(&self, heard: &Heard<'_>, secrets: &Secrets) -> Answer<'_> {
        let is_asked =
            self.require.iter().all(|(name, value)| heard.query(name) == Some(value.as_str()));
        let token = heard.query(&self.token).unwrap_or_default();
        let secrets = secrets.get(&self.secret).into_iter().flatten();
        let is_known = secrets.fold(false, |found, secret| {
            let is_it: bool = secret.expose_secret().as_bytes().ct_eq(token.as_bytes()).into();
            found | (is_it && !token.is_empty())
        });
        let answer = (is_asked && is_known)
            .then(|| self.respond.fill(|piece| short(heard.piece(piece)?)))
            .flatten();
        answer.map_or(Answer::plain(&self.refuse), |body| Answer { reply: &self.respond, body })
    }
}

impl HmacChallenge {
    fn answer(&self, heard: &Heard<'_>, secrets: &Secrets) -> Answer<'_> {
        let asked = heard.query(&self.challenge).filter(|text| is_challenge(text));
        let key = secrets.get(&self.secret).and_then(|secrets| secrets.first());
        let answer = asked.zip(key).and_then(|(challenge, key)| {
            let signed = self.alg.mac(key.expose_secret().as_bytes(), challenge.as_bytes());
            let digest = self.encoding.write(&signed);
            self.respond.fill(|piece| match piece {
                Piece::Challenge => Some(challenge.as_bytes().to_vec().into()),
                Piece::Digest => Some(digest.clone().into_bytes().into()),
                _ => None,
            })
        });
        answer.map_or(Answer::plain(&self.refuse), |body| Answer { reply: &self.respond, body })
    }
}

/// The same key signs posts: who could have any text signed could make a post of it. An id has none
/// of the characters that JSON, or what platforms put before it, cannot do without.
fn is_challenge(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain && (1..=CHALLENGE_MAX).contains(&text.len())
}

fn short(value: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    (value.len() <= CHALLENGE_MAX).then_some(value)
}

/// An answer, its body filled in.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Its status and content type.
    pub reply: &'a Reply,
    /// Its body.
    pub body: Vec<u8>,
}

impl<'a> Answer<'a> {
    /// An answer whose body has no values in it.
    pub fn plain(reply: &'a Reply) -> Self {
        Self { reply, body: reply.fill(|_| None).unwrap_or_default() }
    }

    /// Whether it turns the asker away.
    pub fn is_refusal(&self) -> bool {
        self.reply.status >= 400
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: &str = "[echo_query]\nrequire = { 'hub.mode' = 'subscribe' }\ntoken = 'hub.verify_token'\n\
                        secret = 'verify_token'\nrespond = { status = 200, body = '{query:hub.challenge}' }\n\
                        refuse = { status = 403 }";
    const SIGNED: &str = "[hmac_challenge]\nchallenge = 'challengeCode'\nsecret = 'client_secret'\n\
        respond = { status = 200, content_type = 'application/json', \
        body = '{{\"challengeCode\":\"{challenge}\",\"challengeResponse\":\"{digest}\"}' }\n\
        refuse = { status = 403 }";

    fn answer(handshake: &str, query: &str, secrets: &[(&str, &str)]) -> (u16, String) {
        let handshake: Handshake = toml::from_str(handshake).unwrap();
        let secrets = secrets.iter();
        let secrets: Secrets = secrets
            .map(|(name, secret)| ((*name).to_owned(), vec![(*secret).to_owned().into()]))
            .collect();
        let heard = Heard::new("GET", "", query, &|_| None, &[]);
        let answer = handshake.get(&heard, &secrets).unwrap();
        (answer.reply.status, String::from_utf8(answer.body).unwrap())
    }

    #[test]
    fn the_challenge_is_echoed_to_who_knows_the_token() {
        let secrets = [("verify_token", "meatyhamhock")];
        let query = |token: &str| {
            format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}")
        };
        assert_eq!(answer(ECHO, &query("meatyhamhock"), &secrets), (200, "1158201444".to_owned()));
        assert_eq!(answer(ECHO, &query("other"), &secrets), (403, String::new()));
        assert_eq!(answer(ECHO, &query(""), &[("verify_token", "")]), (403, String::new()));
        assert_eq!(answer(ECHO, &query("meatyhamhock"), &[]), (403, String::new()));
        let other = query("meatyhamhock").replace("subscribe", "other");
        assert_eq!(answer(ECHO, &other, &secrets), (403, String::new()));
        let long =
            format!("{}{}", query("meatyhamhock"), "1").replace("1158201444", &"1".repeat(257));
        assert_eq!(answer(ECHO, &long, &secrets), (403, String::new()));
    }

    /// As LinkedIn asks every two hours.
    #[test]
    fn a_challenge_is_signed_and_nothing_else_is() {
        let secrets = [("client_secret", "li_client_secret_test")];
        let code = "890e4665-4dfe-4ab1-b689-ed553bceeed0";
        let (status, body) = answer(SIGNED, &format!("challengeCode={code}"), &secrets);
        let expected = format!(
            r#"{{"challengeCode":"{code}","challengeResponse":"c8afbd96ab687f215fa5a2abaeeea35a5441404446a79ac8064c8327f738eb61"}}"#
        );
        assert_eq!((status, body), (200, expected));
        let long = format!("challengeCode={}", "a".repeat(257));
        let body = "challengeCode=hmacsha256%3D%7B%22type%22%3A%22LEAD_ACTION%22%7D";
        for query in
            ["", "challengeCode=", "challengeCode=a%22", "challengeCode=a%20b", body, &long]
        {
            assert_eq!(answer(SIGNED, query, &secrets), (403, String::new()), "{query}");
        }
    }
}
