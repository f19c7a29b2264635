//! Accepting: what waits while a call is under way goes with the next one, so that many requests
//! share a round trip, a script and an fsync.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::record::{self, Hash};
use super::script::{ADMIT, DELETE};
use super::{Inner, millis};
use crate::lead::{DestinationId, Identity, SourceId, SubmissionId, Timestamp};
use crate::store::identity::named;
use crate::store::payload::Vault;
use crate::store::{Admission, Content, Idempotency, LOOK_AFTER, StoreError, Verdict};

/// How many calls may wait for their turn. At 20,000 a second that is a fifth of a second.
pub(super) const WAITING_MAX: usize = 4096;

/// How many calls share a script: one is some tens of µs of Redis's time, and nobody else is served
/// meanwhile.
const GATHERED_MAX: usize = 128;

/// Scripts under way at once. While it is one, what comes meanwhile gathers, and shares the next.
const UNDER_WAY: usize = 1;

/// An admission as the script takes it, with everything done that needs no Redis.
pub(super) struct Entry {
    id: SubmissionId,
    kind: &'static str,
    source: SourceId,
    destination: DestinationId,
    received_at: Timestamp,
    identities: Vec<u8>,
    delivery: Option<Hash>,
    idempotency: Option<Idempotency>,
    external: Option<Hash>,
    payload_bytes: usize,
    deletion: Option<Deletion>,
    /// What of its record is known before the script decides the rest.
    fields: Fields,
}

/// What is to be erased: the external id, and the delivery that it would be known by.
struct Deletion {
    external: Hash,
    delivery: Hash,
}

/// Fields of a MessagePack map, end to end.
#[derive(Default)]
struct Fields {
    count: usize,
    packed: Vec<u8>,
}

impl Fields {
    fn add(&mut self, name: u8, value: impl FnOnce(&mut Vec<u8>)) {
        self.count += 1;
        self.packed.extend([0xa1, name]); // a text of one character
        value(&mut self.packed);
    }

    /// A field of bytes; none where there are none.
    fn bytes(&mut self, name: u8, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.add(name, |packed| {
            match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
                (Ok(short @ ..32), _) => packed.push(0xa0 | short),
                (Ok(short), _) => packed.extend([0xd9, short]),
                (_, Ok(long)) => {
                    packed.push(0xda);
                    packed.extend(long.to_be_bytes());
                }
                _ => {
                    packed.push(0xdb);
                    packed.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
                }
            }
            packed.extend(bytes);
        });
    }

    fn moment(&mut self, name: u8, at: Timestamp) {
        self.add(name, |packed| {
            packed.push(0xd3); // a signed number of 8 bytes
            packed.extend(at.as_millis().to_be_bytes());
        });
    }
}

/// A call that waits for its turn.
pub(super) struct Waiting {
    entries: Vec<Entry>,
    answer: oneshot::Sender<Result<Vec<Verdict>, StoreError>>,
}

impl Waiting {
    /// A call, and where its answer comes.
    pub(super) fn new(
        entries: Vec<Entry>,
    ) -> (Self, oneshot::Receiver<Result<Vec<Verdict>, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { entries, answer }, answered)
    }
}

/// Does the hashing, the packing and the sealing.
pub(super) fn prepare(vault: &Vault, admission: &Admission) -> Entry {
    let Admission {
        id,
        source,
        destination,
        received_at,
        trace_id,
        external_id,
        idempotency,
        content,
    } = admission;
    let key = vault.key();
    let hashed =
        |identities: &[Identity]| Hash::end_to_end(key.identities(destination, identities));
    let mut external_id = external_id.as_deref();
    let mut deletion = None;
    let (kind, identities, lead, raw, reason) = match content {
        Content::Lead { lead, identities } => ("L", hashed(identities), Some(lead), Vec::new(), ""),
        Content::Test { lead } => ("T", hashed(&named(lead)), Some(lead), Vec::new(), ""),
        Content::Quarantined { reason, lead, raw } => {
            let identities = lead.as_ref().map(named).unwrap_or_default();
            let raw = vault.close_body(raw);
            ("Q", hashed(&identities), lead.as_ref(), raw, reason.as_str())
        }
        Content::Notice { notice } => ("N", Vec::new(), None, vault.close_body(notice), ""),
        Content::Deletion => {
            // Nothing of whoever is to be erased is kept.
            let id = external_id.take().unwrap_or_default();
            let (external, delivery) = (key.external_id(id), key.delivery(source, id));
            deletion =
                Some(Deletion { external: Hash::cut(external), delivery: Hash::cut(delivery) });
            ("D", Vec::new(), None, Vec::new(), "")
        }
    };
    let external = external_id.map(|id| Hash::cut(key.external_id(id)));
    let digest = lead.map(|lead| Hash::cut(key.content(lead)));
    let payload = match (external_id, lead) {
        (None, None) => Vec::new(), // nothing to keep
        (external_id, lead) => vault.close_parts(external_id, lead),
    };
    let mut fields = Fields::default();
    fields.bytes(b'o', source.as_str().as_bytes());
    fields.moment(b'r', *received_at);
    fields.bytes(b'i', &identities);
    fields.bytes(b'x', Hash::or_empty(&external));
    fields.bytes(b'g', Hash::or_empty(&digest));
    fields.bytes(b'z', &payload);
    fields.bytes(b'n', &raw);
    fields.bytes(b'y', reason.as_bytes());
    fields.bytes(b'A', trace_id.as_ref().map_or(&[], |trace| trace.as_bytes()));
    Entry {
        id: *id,
        kind,
        source: source.clone(),
        destination: destination.clone(),
        received_at: *received_at,
        identities,
        delivery: idempotency.as_ref().map(|known| Hash::cut(key.delivery(source, &known.key))),
        idempotency: idempotency.clone(),
        external,
        // Of a notice, what its platform said waits as well.
        payload_bytes: payload.len() + raw.len(),
        deletion,
        fields,
    }
}

/// Admits what waits until nobody can call any more.
pub(super) async fn run(inner: Arc<Inner>, mut calls: mpsc::Receiver<Waiting>) {
    let slots = Arc::new(Semaphore::new(UNDER_WAY));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let mut gathered = Vec::new();
        if calls.recv_many(&mut gathered, GATHERED_MAX).await == 0 {
            break;
        }
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            work_off(&inner, gathered).await;
            drop(slot);
        });
    }
    let _ = slots.acquire_many(UNDER_WAY as u32).await; // what is under way is waited for
}

/// Where an entry's verdict goes: which call, and which of its entries.
type Place = (usize, usize);

async fn work_off(inner: &Inner, gathered: Vec<Waiting>) {
    let mut lanes: BTreeMap<DestinationId, Vec<(Place, Entry)>> = BTreeMap::new();
    let mut answers = Vec::with_capacity(gathered.len());
    for (call, Waiting { entries, answer }) in gathered.into_iter().enumerate() {
        answers.push((answer, Ok(vec![Verdict::Accepted; entries.len()])));
        for (position, entry) in entries.into_iter().enumerate() {
            let lane = lanes.entry(entry.destination.clone()).or_default();
            lane.push(((call, position), entry));
        }
    }
    for (lane, entries) in lanes {
        let (places, entries): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        match admit(inner, &lane, entries, None).await {
            Ok(verdicts) => {
                for ((call, position), verdict) in places.into_iter().zip(verdicts) {
                    if let Ok(told) = &mut answers[call].1 {
                        told[position] = verdict;
                    }
                }
            }
            Err(error) => {
                for (call, _) in places {
                    answers[call].1 = Err(error.clone());
                }
            }
        }
    }
    for (answer, told) in answers {
        let _ = answer.send(told); // a caller that went away has no use for it
    }
}

/// Admits to a lane. With `forgettings`, nothing is admitted when that is not the number of the lane's
/// last forgetting any more.
pub(super) async fn admit(
    inner: &Inner,
    lane: &DestinationId,
    entries: Vec<Entry>,
    forgettings: Option<u64>,
) -> Result<Vec<Verdict>, StoreError> {
    inner.know(lane).await?;
    let count = entries.len();
    let remembered = inner.options.idempotency_window;
    let mut call = ADMIT
        .call(lane)
        .arg(inner.me.as_str())
        .arg(millis(inner.dedup.window()))
        .arg(inner.pending_bytes_max())
        .arg(inner.comments())
        .arg(forgettings.map(|number| number.to_string()).unwrap_or_default());
    let mut deletions = Vec::new();
    for entry in entries {
        if let Some(deletion) = entry.deletion {
            deletions.push((entry.id, entry.source.clone(), entry.received_at, deletion));
        }
        call.push(entry.id.as_bytes());
        call.push(entry.kind);
        call.push(entry.source.as_str());
        call.push(entry.received_at.as_millis());
        call.push(entry.identities);
        call.push(Hash::or_empty(&entry.delivery));
        let until = |known: &Idempotency| known.until(entry.received_at, remembered);
        let until = entry.idempotency.as_ref().map_or(entry.received_at, until);
        call.push(until.as_millis());
        call.push(Hash::or_empty(&entry.external));
        call.push(entry.payload_bytes);
        call.push(entry.fields.count);
        call.push(entry.fields.packed);
    }
    let verdicts = match call.send(&inner.link).await? {
        Value::Array(verdicts) => verdicts,
        // The pending weigh too much already, or somebody is being forgotten.
        _ => return Err(StoreError::Busy),
    };
    let is_work = |verdict: &Value| match verdict {
        Value::BulkString(bytes) => matches!(bytes.first(), Some(b'A' | b'C')),
        _ => false,
    };
    let has_work = verdicts.iter().any(is_work);
    let verdicts: Vec<_> = verdicts.into_iter().map(verdict).collect::<Result<_, _>>()?;
    if verdicts.len() != count {
        return Err(StoreError::Corrupt("an answer to admissions".into()));
    }
    if has_work {
        inner.wake();
    }
    for (id, source, received_at, deletion) in deletions {
        // Also where its source sent before it was given another destination.
        for lane in inner.everywhere().await? {
            delete(inner, &lane, id, &source, received_at, &deletion).await?;
        }
    }
    Ok(verdicts)
}

/// Erases what a deletion is of. Done also when the deletion itself was known: whoever heard of it
/// before may have died in between.
async fn delete(
    inner: &Inner,
    lane: &DestinationId,
    id: SubmissionId,
    source: &SourceId,
    received_at: Timestamp,
    deletion: &Deletion,
) -> Result<(), StoreError> {
    let call = DELETE
        .call(lane)
        .arg(inner.me.as_str())
        .arg(received_at.as_millis())
        .arg(source.as_str())
        .arg(deletion.external.as_bytes())
        .arg(deletion.delivery.as_bytes())
        .arg(id.as_bytes())
        .arg(millis(inner.options.idempotency_window))
        .arg(millis(inner.dedup.window()))
        .arg(inner.comments())
        .arg(received_at.plus(LOOK_AFTER).as_millis());
    call.send(&inner.link).await?;
    Ok(())
}

fn verdict(value: Value) -> Result<Verdict, StoreError> {
    let unreadable = || StoreError::Corrupt("a verdict".into());
    let Value::BulkString(bytes) = value else { return Err(unreadable()) };
    let (letter, id) = bytes.split_first().ok_or_else(unreadable)?;
    let id = || record::id(id).ok_or_else(unreadable);
    Ok(match letter {
        b'A' => Verdict::Accepted,
        b'M' | b'C' => Verdict::Merged { into: id()? },
        b'R' => Verdict::Repeated { id: id()? },
        b'Q' => Verdict::Quarantined,
        b'T' => Verdict::Test,
        b'D' => Verdict::Deleted,
        _ => return Err(unreadable()),
    })
}
