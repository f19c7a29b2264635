//! Each way of signing, by vectors of platforms and by ones of our own.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

fn passes(
    verify: &str,
    headers: &[(&str, &str)],
    body: &str,
    secret: &str,
    now: Timestamp,
) -> bool {
    let verify: Verify = toml::from_str(verify).unwrap();
    let header =
        |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let heard =
        Heard::new("POST", "https://www.example.com/webhook_uri", "", &header, body.as_bytes());
    let secrets = Secrets::from([(
        "secret".to_owned(),
        vec!["another".to_owned().into(), secret.to_owned().into()],
    )]);
    verify.passes(&heard, &secrets, now, None).unwrap()
}

/// The vectors that HubSpot's own client is tested with.
#[test]
fn hubspots_three_ways_verify() {
    const SECRET: &str = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";
    const BODY: &str = "{'example_field':'example_value'}";
    let third = "[[hmac]]\nsecret = 'secret'\nheader = 'v3'\nencoding = 'base64'\n\
                 message = '{method}{url}{raw_body}{header:time}'\n\
                 timestamp = { from = '{header:time}', unit = 'ms', tolerance = '5m' }";
    let headers =
        [("v3", "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="), ("time", "1700000300000")];
    let then = Timestamp::from_millis(1_700_000_300_000);
    assert!(passes(third, &headers, BODY, SECRET, then));
    assert!(passes(third, &headers, BODY, SECRET, then.plus(Duration::from_secs(300))));
    assert!(!passes(third, &headers, BODY, SECRET, then.plus(Duration::from_secs(301))));
    assert!(!passes(third, &headers, BODY, SECRET, then.minus(Duration::from_secs(301))));
    assert!(!passes(third, &headers[..1], BODY, SECRET, then), "no time is no time");

    for (message, hash) in [
        (
            "{secret:secret}{raw_body}",
            "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750",
        ),
        (
            "{secret:secret}{method}{url}{raw_body}",
            "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
        ),
    ] {
        let way = format!("[[hash]]\nsecret = 'secret'\nheader = 'v'\nmessage = '{message}'");
        assert!(passes(&way, &[("v", hash)], BODY, SECRET, NOW));
        assert!(!passes(&way, &[("v", hash)], BODY, "x", NOW));
    }
}

#[test]
fn any_of_several_signatures_and_of_several_ways_will_do() {
    let ways = "[[hmac]]\nsecret = 'secret'\nheader = 'a'\nmessage = '{raw_body}'\n\
                prefix = 'v1,'\nseveral = ' '\n\
                [[equals]]\nsecret = 'secret'\nany = ['{body:key}', '{body:Key}']";
    let right = format!("v1,{}", Encoding::Hex.write(&Algorithm::Sha256.mac(b"s", b"{}")));
    let upper = right.to_uppercase().replace("V1,", "v1,");
    for (expected, header) in [
        (true, right.clone()),
        (true, upper),
        (true, format!("v2,00 v1,zz v1,00 {right}")),
        (false, right.replace("v1,", "v1a,")),
        (false, "v1,".to_owned()),
        (false, String::new()),
    ] {
        assert_eq!(passes(ways, &[("a", &header)], "{}", "s", NOW), expected, "{header}");
    }
    assert!(passes(ways, &[], r#"{"Key":"s"}"#, "s", NOW));
    for body in [r#"{"key":"t"}"#, r#"{"key":""}"#, "{}", "s", r#"{"key":["s"]}"#] {
        assert!(!passes(ways, &[], body, "s", NOW), "{body}");
    }
    assert!(!passes(ways, &[], r#"{"key":""}"#, "", NOW), "an empty secret verifies nothing");
    let empty_key = Encoding::Hex.write(&Algorithm::Sha256.mac(b"", b"{}"));
    let way = "[[hmac]]\nsecret = 'secret'\nkey = 'whsec'\nheader = 'a'\nmessage = '{raw_body}'";
    assert!(!passes(way, &[("a", &empty_key)], "{}", "whsec_", NOW), "nor does an empty key");
}

#[test]
fn a_web_signature_must_be_of_this_body_and_of_its_algorithm() {
    let way = "[[jws_body_hash]]\nsecret = 'secret'\nheader = 'j'\nhash_claim = 'sha256'\n\
               claims = { iss = 'netlify' }";
    let sign = |header: &str, claims: &str, key: &[u8]| {
        let signed = [header, claims].map(|part| Encoding::Base64Url.write(part.as_bytes()));
        let signed = signed.join(".");
        let mac = Algorithm::Sha256.mac(key, signed.as_bytes());
        format!("{signed}.{}", Encoding::Base64Url.write(&mac))
    };
    let hash = Encoding::Hex.write(&Algorithm::Sha256.hash(b"body"));
    let claims = |iss: &str| format!(r#"{{"iss":"{iss}","sha256":"{hash}"}}"#);
    let right = sign(r#"{"alg":"HS256"}"#, &claims("netlify"), b"s");
    assert!(passes(way, &[("j", &right)], "body", "s", NOW));
    assert!(!passes(way, &[("j", &right)], "bodY", "s", NOW));
    for wrong in [
        sign(r#"{"alg":"none"}"#, &claims("netlify"), b"s"),
        sign(r#"{"alg":"HS256"}"#, &claims("other"), b"s"),
        sign(r#"{"alg":"HS256"}"#, &claims("netlify"), b"t"),
        right.rsplit_once('.').unwrap().0.to_owned(),
        "a.b".to_owned(),
    ] {
        assert!(!passes(way, &[("j", &wrong)], "body", "s", NOW), "{wrong}");
    }
}

#[test]
fn nothing_is_checked_where_no_secret_is_configured() {
    let verify: Verify =
        toml::from_str("[[equals]]\nsecret = 'secret'\nany = ['{body:key}']").unwrap();
    let heard = Heard::new("POST", "", "", &|_| None, b"{}");
    assert_eq!(verify.passes(&heard, &Secrets::new(), NOW, None), None);
}
