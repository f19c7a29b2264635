//! Posts over kept-alive connections: as fast as answers come, or at an even pace.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the gateway's source asks for.
pub const TOKEN: &str = "a-token-of-the-benchmark";

pub struct Load {
    pub address: SocketAddr,
    pub connections: usize,
    /// Posts a second over all connections; `None`: each connection posts when it is answered.
    pub rate: Option<f64>,
    pub length: Duration,
}

#[derive(Default)]
pub struct Figures {
    pub answered: u64,
    pub elapsed: Duration,
    latencies_us: Vec<u32>,
}

impl Figures {
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// Milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let place = (self.latencies_us.len() as f64 * share) as usize;
        let latency = self.latencies_us.get(place.min(self.latencies_us.len().saturating_sub(1)));
        latency.map_or(0.0, |latency| f64::from(*latency) / 1000.0)
    }
}

impl Load {
    /// Every post is another person: `people` counts them over all runs.
    pub fn run(&self, people: &mut u32) -> Figures {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let begin = *people;
        let (figures, used) = runtime.block_on(self.drive(begin));
        *people = begin + used;
        figures
    }

    async fn drive(&self, begin: u32) -> (Figures, u32) {
        let started = Instant::now();
        let deadline = started + self.length;
        let next = std::rc::Rc::new(std::cell::Cell::new(begin));
        let local = tokio::task::LocalSet::new();
        let clients: Vec<_> = (0..self.connections)
            .map(|place| {
                let next = std::rc::Rc::clone(&next);
                let pace =
                    self.rate.map(|rate| Duration::from_secs_f64(self.connections as f64 / rate));
                // Paced connections take turns instead of posting all at once.
                let first = started
                    + pace.unwrap_or_default().mul_f64(place as f64 / self.connections as f64);
                local.spawn_local(client(
                    self.address,
                    next,
                    pace.map(|pace| (first, pace)),
                    deadline,
                ))
            })
            .collect();
        let mut figures = Figures::default();
        local
            .run_until(async {
                for client in clients {
                    figures.latencies_us.extend(client.await.expect("a client"));
                }
            })
            .await;
        figures.elapsed = started.elapsed();
        figures.answered = figures.latencies_us.len() as u64;
        figures.latencies_us.sort_unstable();
        (figures, next.get() - begin)
    }
}

async fn client(
    address: SocketAddr,
    next: std::rc::Rc<std::cell::Cell<u32>>,
    pace: Option<(Instant, Duration)>,
    deadline: Instant,
) -> Vec<u32> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut latencies = Vec::new();
    let mut due = pace.map(|(first, _)| first);
    let mut answer = vec![0_u8; 4096];
    while Instant::now() < deadline {
        if let (Some(at), Some((_, between))) = (&mut due, pace) {
            tokio::time::sleep_until((*at).into()).await;
            *at += between;
        }
        let person = next.get();
        next.set(person + 1);
        // From when the post was due: a stall counts for everyone who had to wait behind it.
        let began =
            due.zip(pace).map_or_else(Instant::now, |(next_due, (_, between))| next_due - between);
        stream.write_all(request(person).as_bytes()).await.expect("a request sent");
        read_answer(&mut stream, &mut answer).await;
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    latencies
}

/// Reads one whole answer and insists that it is a 202.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("an answer");
        assert!(read > 0, "the server closed the connection");
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled]).expect("ASCII");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.expect("a length") {
            assert!(head.starts_with("HTTP/1.1 202"), "{text}");
            return;
        }
    }
}

/// A 600-byte JSON body of one person, with the head before it.
fn request(person: u32) -> String {
    let body = format!(
        r#"{{"ho_ten":"Nguyễn Văn Thử {person}","so_dien_thoai":"09{person:08}","email":"thu.{person}@example.vn","noi_dung":"Tôi muốn được tư vấn về căn hộ hai phòng ngủ, xin gọi lại sau 18 giờ.","thanh_pho":"Huế","san_pham":"Căn hộ 2PN","page_url":"https://shop.example.vn/du-an/can-ho?utm_source=facebook&utm_medium=cpc&utm_campaign=tet-2027&utm_content=video-1&fbclid=IwAR0abcdefghijklmnopqrstuvwxyz0123456789","referrer":"https://l.facebook.com/","utm_term":"can ho","consent":"Đồng ý nhận tin","filler":"0123456789012345678901234567890123456789012345678901234567890123456"}}"#
    );
    format!(
        "POST /in/website HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Leadgate-Token: {TOKEN}\r\nIdempotency-Key: evt-{person}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
