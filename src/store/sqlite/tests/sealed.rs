//! With a secret, what is stored of persons can be read by nobody else; and the store does all that
//! it does without one.

use super::*;
use crate::lead::{RawBody, State};
use crate::store::conformance::{self, at, email, form, phone};
use crate::store::payload::Vault;
use crate::store::{Content, Match};

conformance!(open);

async fn open() -> Bed {
    let folder = Folder::new();
    let store = folder.try_open(&options_with_secret()).unwrap();
    Bed::new(Arc::new(store), folder)
}

/// Invariant 9, at rest. The store is alive: what was written last is in its log.
#[tokio::test]
async fn a_dump_shows_no_person() {
    let folder = Folder::new();
    let store = folder.try_open(&options_with_secret()).unwrap();
    let person = form().phone(11).email("thu.nguyen").external_id("leadgen-4711");
    let dying = person.clone().says("Tôi muốn hỏi về căn hộ").delivery("evt-1");
    let dying = dying.accepted(&store).await;
    let heir = person.clone().says("xin gọi lại sau 18 giờ").merged(&store, dying).await;
    let odd = odd(person.admission());
    let odd_id = odd.id;
    store.admit(vec![odd]).await.unwrap();
    for number in 20..60 {
        form().phone(number).email(&format!("thu.nguyen{number}")).accepted(&store).await;
    }
    let corrected = person.clone().phone(12).says("số mới").correction();
    store.replay(odd_id, at(1), Some(corrected)).await.unwrap();

    let words = [
        "900000011",
        "0900 000",
        "+849",
        "thu.nguyen",
        "example.vn",
        "Nguyễn",
        "Văn Thử",
        "muốn",
        "căn hộ",
        "gọi lại",
        "giờ",
        "số mới",
        "so_dien_thoai",
        "Lê Thị",
        "text/csv",
        "leadgen",
        "4711",
        "evt-1",
    ];
    for name in ["leads.db", "leads.db-wal", "leads.db-shm"] {
        let file = folder.bytes(name);
        assert!(!file.is_empty(), "{name}");
        for word in words {
            let shown = file.windows(word.len()).any(|bytes| bytes == word.as_bytes());
            assert!(!shown, "{name} shows {word}");
        }
    }
    // Nor is it only compressed: without the secret nothing opens.
    let closed = closed(&store).await;
    assert!(closed.len() > 40);
    let strangers = [Vault::from_random(&[7; 32]), Vault::from_secret(&"another secret".into())];
    for stored in &closed {
        assert!(strangers.iter().all(|stranger| stranger.open(stored).is_err()));
        assert!(strangers.iter().all(|stranger| stranger.open_body(stored).is_err()));
    }

    // And whoever has it misses nothing.
    let search = async |matching: Match| {
        let query = Query { matching: vec![matching], ..Query::default() };
        conformance::listed(&store, query).await
    };
    assert_eq!(search(Match::Identity(phone(11))).await, [odd_id, heir, dying]);
    assert_eq!(search(Match::Identity(email("thu.nguyen"))).await, [odd_id, heir, dying]);
    assert_eq!(search(Match::Identity(phone(12))).await, [odd_id]);
    let external = Match::ExternalId("leadgen-4711".into());
    assert_eq!(search(external).await, [odd_id, heir, dying]);
    conformance::kill(&store, dying, at(2)).await;
    let promoted = conformance::record(&store, heir).await;
    assert_eq!(promoted.state, State::Pending);
    assert_eq!(promoted.external_id.as_deref(), Some("leadgen-4711"));
    let lead = promoted.lead.unwrap();
    assert_eq!(lead.message.as_deref(), Some("xin gọi lại sau 18 giờ"));
    let mended = conformance::record(&store, odd_id).await;
    assert_eq!(mended.external_id.as_deref(), Some("leadgen-4711"), "a correction keeps it");
    assert_eq!(mended.lead.unwrap().message.as_deref(), Some("số mới"));
}

/// One that no lead could be made of: its person is in the body.
fn odd(mut admission: Admission) -> Admission {
    let bytes = "ho_ten;so_dien_thoai\nLê Thị Thử;0900 000 011".into();
    admission.content = Content::Quarantined {
        reason: "no phone and no e-mail".into(),
        lead: None,
        raw: RawBody { content_type: "text/csv".into(), bytes },
    };
    admission
}

/// Everything closed that the store holds.
async fn closed(store: &Sqlite) -> Vec<Vec<u8>> {
    let sql = "SELECT payload FROM records WHERE payload IS NOT NULL
               UNION ALL SELECT raw FROM records WHERE raw IS NOT NULL";
    let closed = store.read(move |db| {
        let mut select = db.prepare(sql)?;
        let rows = select.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    closed.await.unwrap()
}

#[tokio::test]
async fn a_body_can_be_read_again() {
    let folder = Folder::new();
    let store = folder.try_open(&options_with_secret()).unwrap();
    let odd = odd(form().admission());
    let Content::Quarantined { raw, .. } = odd.content.clone() else { panic!("it is odd") };
    store.admit(vec![odd]).await.unwrap();
    let stored = closed(&store).await.pop().unwrap();
    assert_eq!(store.settings.vault.open_body(&stored), Ok(raw));
}
