use super::*;

async fn requester(bench: &Bench, fields: Value) -> u64 {
    let (status, answer) = bench.create(fields).await;
    assert_eq!(status, 200, "{answer}");
    answer["lead"]["requester_id"].as_u64().unwrap()
}

#[tokio::test]
async fn a_person_is_known_by_phone_or_email_and_keeps_the_first_name() {
    let bench = Bench::roomy(Options::default());
    let first = requester(&bench, json!({"username": "Thử A", "email": "thu@example.vn"})).await;
    assert_eq!(requester(&bench, json!({"username": "Thử B"})).await, first);
    let by_email = json!({"phone": null, "email": "THU@example.vn"});
    assert_eq!(requester(&bench, by_email).await, first);
    let by_id = json!({"phone": null, "requester_id": first});
    assert_eq!(requester(&bench, by_id).await, first);
    let contact = bench.client.contact_by_phone("0900000027").await.result.unwrap().unwrap();
    assert_eq!((contact.id, contact.username.as_deref()), (first, Some("Thử A")));
    assert_eq!(bench.client.contact_by_phone("0900000099").await.result.unwrap(), None);
    // By default phones are compared as they came: a careless client makes two persons.
    assert_ne!(requester(&bench, json!({"phone": "+84900000027"})).await, first);
}

#[tokio::test]
async fn how_phones_are_compared_is_a_knob() {
    for (phones, same) in
        [(PhoneMatch::AsGiven, false), (PhoneMatch::Digits, false), (PhoneMatch::Vietnam, true)]
    {
        let bench = Bench::roomy(Options { phones, ..Options::default() });
        let first = requester(&bench, json!({})).await;
        let second = requester(&bench, json!({"phone": "+84 900 000 027"})).await;
        assert_eq!(first == second, same, "{phones:?}");
    }
}

#[tokio::test]
async fn a_phone_and_an_email_of_two_persons() {
    for (conflict, expected) in [
        (Conflict::PhoneWins, Some("phone")),
        (Conflict::EmailWins, Some("email")),
        (Conflict::Refuse, None),
    ] {
        let bench = Bench::roomy(Options { conflict, ..Options::default() });
        let phone = requester(&bench, json!({})).await;
        let email = requester(&bench, json!({"phone": null, "email": "thu@example.vn"})).await;
        let (status, answer) = bench.create(json!({"email": "thu@example.vn"})).await;
        let owner = answer["lead"]["requester_id"].as_u64();
        let wanted = expected.map(|who| if who == "phone" { phone } else { email });
        assert_eq!((status == 200, owner), (wanted.is_some(), wanted), "{conflict:?}");
    }
}

#[tokio::test]
async fn contacts_are_made_shown_and_changed() {
    let bench = Bench::roomy(Options::default());
    let given = json!({"contact": {"username": "Thử", "phone_no": "0900000027", "email": "thu@example.vn"}});
    let (status, made) = bench.json("POST", "contacts", &given).await;
    assert_eq!((status, &made["code"]), (200, &json!("ok")));
    let id = made["contact"]["id"].as_u64().unwrap();
    for (taken, words) in [
        (json!({"contact": {"phone_no": "0900000027"}}), "phone_no already exist"),
        (json!({"contact": {"email": "thu@example.vn"}}), "email already exist"),
    ] {
        let (status, answer) = bench.json("POST", "contacts", &taken).await;
        assert_eq!((status, &answer["message"]), (400, &json!(words)));
        assert_eq!(answer["extra_data"]["duplicate_id"], id);
    }
    let path = format!("contacts/{id}");
    let change = json!({"contact": {"phone_no2": "0900000028", "username": "Thử Hai"}});
    assert_eq!(bench.json("PUT", &path, &change).await.1["contact"]["username"], "Thử Hai");
    // Any of the three phones finds the person.
    let found = bench.client.contact_by_phone("0900000028").await.result.unwrap().unwrap();
    assert_eq!((found.id, found.phone_no.as_deref()), (id, Some("0900000027")));
    assert_eq!(bench.get(&path).await["contact"]["phone_no2"], "0900000028");
    assert_eq!(bench.get("contacts?count=1").await["numFound"], 1);
    let (status, missing) = bench.json("GET", "contacts/5", &Value::Null).await;
    assert_eq!((status, &missing["message"]), (400, &json!("Not found user")));
    assert_eq!(bench.json("PUT", "contacts/5", &change).await.0, 400);
    assert_eq!(bench.json("POST", "contacts", &json!([])).await.0, 400);
}
