//! The standby host is turned to only where that cannot make a second lead.

use leadgate::config::Config;
use leadgate::sandbox::{Fault, FaultKind, Host, Options, Route};
use serde_json::json;

use crate::gateway::{
    self, Backing, CareSoft, Gateway, eventually, free_listener, over_every_store,
};

over_every_store!(
    a_primary_that_cannot_be_reached_is_stood_in_for,
    a_create_that_the_primary_may_have_taken_is_not_given_to_the_standby,
);

fn stands_by(standby: &gateway::Host, config: &mut Config) {
    let main = config.destinations.values_mut().next().expect("a destination");
    main.fallback_url = Some(format!("http://{}", standby.address).parse().expect("a URL"));
}

async fn a_primary_that_cannot_be_reached_is_stood_in_for(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let standby = gateway::Host::standby(&caresoft.sandbox, free_listener());
    let gateway = Gateway::over_with(&store, &caresoft, "", |config| {
        stands_by(&standby, config);
        let main = config.destinations.values_mut().next().expect("a destination");
        main.base_url = "http://127.0.0.1:9".parse().expect("a URL"); // nothing listens there
    })
    .await;
    for number in 1..=6 {
        let id = gateway.submit(json!({"phone": format!("090000000{number}")})).await;
        let record = gateway.settled(&id, &["created"]).await;
        assert_eq!(record["history"].as_array().unwrap().len(), 2, "at the first attempt");
    }
    assert_eq!(caresoft.sandbox.leads().len(), 6);
    assert!(caresoft.sandbox.log().iter().all(|entry| entry.host == Host::Standby));
    gateway.stop().await;
}

async fn a_create_that_the_primary_may_have_taken_is_not_given_to_the_standby(store: Backing) {
    let caresoft = CareSoft::start(Options::default());
    let standby = gateway::Host::standby(&caresoft.sandbox, free_listener());
    caresoft.sandbox.inject(Fault::once(Route::CreateLead, FaultKind::CommitNoAnswer));
    let gateway =
        Gateway::over_with(&store, &caresoft, "", |config| stands_by(&standby, config)).await;
    let id = gateway.submit(json!({"phone": "0900000001"})).await;
    eventually("its answer is lost", || async {
        (gateway.record(&id).await["state"] == "unknown").then_some(())
    })
    .await;
    gateway.stop().await; // every task had its chance to send
    assert_eq!(caresoft.leads_of("0900000001").len(), 1);
    let creates = caresoft.sandbox.log().into_iter();
    assert_eq!(creates.filter(|entry| entry.route == Route::CreateLead).count(), 1);
}
