//! `store.secret` is rotated: by the real binary, restarted with another list each time.

use leadgate::sandbox::Options;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{Backing, CareSoft, http_client, id_of, over_every_store, toml_of};
use crate::served::{Served, leadgate};

over_every_store!(a_person_stays_known_while_the_secret_is_rotated);

async fn a_person_stays_known_while_the_secret_is_rotated(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let folder = TempDir::new().unwrap();
    let configuration = |secret: &str| {
        let store = format!("{}\nsecret = {secret}", store.toml(folder.path()));
        toml_of(&store, caresoft.address, "")
    };
    let http = http_client();
    let post = async |served: &Served, message: &str| {
        let person = json!({"phone": "0900000001", "message": message});
        id_of(http.post(served.endpoint("website")).json(&person).send().await.unwrap()).await
    };
    let (old, new) = (r#""the old one, long enough""#, r#""the new one, long enough""#);

    let served = Served::start(folder.path(), &configuration(old)).await;
    let first = post(&served, "một").await;
    served.settled(&first, "created").await;
    served.terminate().await;
    for (message, list) in [("hai", [old, new]), ("ba", [new, old])] {
        let list = format!("[{}, {}]", list[0], list[1]);
        let served = Served::start(folder.path(), &configuration(&list)).await;
        let again = post(&served, message).await;
        let record = served.settled(&again, "merged").await;
        assert_eq!(record["duplicate_of"], json!(first), "{list}");
        let before = served.record(&first).await.unwrap();
        assert_eq!(
            (&before["lead"]["message"], &before["unreadable"]),
            (&json!("một"), &Value::Null)
        );
        served.terminate().await;
    }
    let served = Served::start(folder.path(), &configuration(&format!("[{new}]"))).await;
    let before = served.record(&first).await.unwrap();
    assert_eq!((&before["lead"], &before["unreadable"]), (&Value::Null, &json!(true)));
    let last = post(&served, "bốn").await;
    let record = served.settled(&last, "merged").await;
    assert_eq!(record["duplicate_of"], json!(first), "what cannot be read is recognised");
    let forgotten = served.admin_post("/api/forget", json!({"phone": "0900000001"})).await;
    let forgotten: Value = forgotten.unwrap().json().await.unwrap();
    assert_eq!(forgotten["erased"], 4);
    served.terminate().await;
    assert_eq!(caresoft.leads_of("0900000001").len(), 1);

    std::fs::write(folder.path().join("leadgate.toml"), configuration(r#""somebody else's one""#))
        .unwrap();
    let mut command = leadgate(folder.path());
    command.args(["serve", "--config", "leadgate.toml"]);
    let Err((status, told)) = Served::try_spawn(command).await else { panic!("it started") };
    assert!(!status.success() && told.contains("store.secret"), "{told}");
    assert!(!told.contains("somebody else"), "{told}");
}
