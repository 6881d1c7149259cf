//! `peerage monitor`: what happens, as it happens, to whoever listens.
//!
//! Each listener has a thread that waits for it; the speaker never does. Events come over a bounded queue,
//! whose end a listener that is too slow reaches. Routes are compared with the last look a few times a
//! second: [`Rib::bests`](peerage_core::rib::Rib::bests) is a number for each prefix and decodes nothing, so
//! only what has changed is copied in full, some prefixes under each lock.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    time::{Duration, Instant},
};

use ipnet::IpNet;
use peerage_config::LogLevel;
use peerage_core::wire::Family;
use serde_json::json;

use super::{count, log::Log, news::News};
use crate::{cli::Format, node::Node};

/// Listeners at a time.
const LISTENERS: usize = 8;
/// Events that wait for a listener.
const WAITING: usize = 4096;
/// Time between two looks, at least.
const TICK: Duration = Duration::from_millis(250);
/// Looking takes one part in so many of the time.
const SHARE: u32 = 20;
/// How long a listener may take nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// Routes that are copied under one lock.
const BATCH: usize = 256;

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    queues: Mutex<Vec<SyncSender<Arc<News>>>>,
}

impl Listeners {
    /// Tells everyone, waiting for nobody.
    pub(crate) fn tell(&self, news: News) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if !queues.is_empty() {
            let news = Arc::new(news);
            // Whose queue is full finds it closed at its end.
            queues.retain(|queue| queue.try_send(Arc::clone(&news)).is_ok());
        }
    }

    /// Tells everyone why there will be no more, and lets them go.
    pub(crate) fn end(&self, text: &str) {
        self.tell(News::end(text));
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// One more; `None`: there are enough.
    fn join(&self) -> Option<Receiver<Arc<News>>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() >= LISTENERS {
            return None;
        }
        let (queue, news) = sync_channel(WAITING);
        queues.push(queue);
        Some(news)
    }
}

/// Somebody who listens.
pub(crate) struct Listener {
    node: Node,
    name: String,
    log: Arc<Log>,
    format: Format,
    news: Receiver<Arc<News>>,
}

impl Listener {
    /// Listens from now on; `None`: enough others do.
    pub(crate) fn join(
        listeners: &Listeners,
        node: Node,
        name: String,
        log: Arc<Log>,
        format: Format,
    ) -> Option<Self> {
        // One that is gone is noticed only when there is something to tell it.
        let news = listeners.join().or_else(|| {
            listeners.tell(News::new(
                LogLevel::Debug,
                "listeners are counted".into(),
                json!({ "event": "count" }),
            ));
            listeners.join()
        })?;
        Some(Self { node, name, log, format, news })
    }

    /// Writes until one side has enough.
    pub(crate) fn serve(self, stream: &UnixStream) -> io::Result<()> {
        let result = self.follow(stream);
        if let Err(error) = &result
            && matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        {
            self.log.say(LogLevel::Warn, "monitor: a reader took nothing for 5 s and was dropped");
        }
        result
    }

    fn follow(&self, mut stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut tables = [Table::new(Family::IPV4_UNICAST), Table::new(Family::IPV6_UNICAST)];
        for table in &mut tables {
            table.look(&self.node);
        }
        self.write(stream, &self.start())?;
        let mut next = Instant::now() + TICK;
        loop {
            loop {
                match self.news.try_recv() {
                    Ok(news) => {
                        self.write(stream, &[(*news).clone()])?;
                        if news.last {
                            return Ok(());
                        }
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.drop_slow(stream),
                }
            }
            if Instant::now() >= next {
                let begin = Instant::now();
                let changed: Vec<Vec<IpNet>> =
                    tables.iter_mut().map(|table| table.look(&self.node)).collect();
                next = Instant::now() + TICK.max(begin.elapsed() * SHARE);
                for prefixes in changed.iter().flat_map(|changed| changed.chunks(BATCH)) {
                    self.write(stream, &self.routes(prefixes))?;
                }
            }
            match stream.read(&mut [0; 64]) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                // It is gone, or has said what nobody asked for.
                Ok(_) => return Ok(()),
            }
        }
    }

    /// The end of one that reads too slowly to be told everything.
    fn drop_slow(&self, stream: &UnixStream) -> io::Result<()> {
        self.log.say(LogLevel::Warn, "monitor: a reader is too slow and was dropped");
        let text = "dropped: too slow, events were lost";
        self.write(stream, &[News::new(LogLevel::Warn, text.into(), json!({ "event": "dropped" }))])
    }

    fn write(&self, mut stream: &UnixStream, news: &[News]) -> io::Result<()> {
        let lines: String = news.iter().map(|news| news.line(self.format)).collect();
        stream.write_all(lines.as_bytes())
    }

    /// What there is when somebody begins to listen.
    fn start(&self) -> Vec<News> {
        let (neighbors, routes) = self.node.with(|speaker, _| {
            let rib = speaker.rib();
            let routes = rib.len(Family::IPV4_UNICAST) + rib.len(Family::IPV6_UNICAST);
            (speaker.neighbors(), routes)
        });
        let text = format!(
            "{}: {}, {}",
            self.name,
            count(neighbors.len(), "neighbor"),
            count(routes, "prefix route")
        );
        let json = json!({
            "event": "start", "router": self.name, "neighbors": neighbors.len(), "prefixes": routes,
        });
        let mut news = vec![News::new(LogLevel::Info, text, json)];
        news.extend(neighbors.iter().map(|status| {
            let asn = status.session.as_ref().map(|session| session.remote_as.0);
            let json = json!({
                "event": "neighbor",
                "neighbor": status.key.to_string(),
                "state": status.state.to_string(),
                "as": asn,
            });
            News::new(LogLevel::Info, format!("neighbor {}: is {}", status.key, status.state), json)
        }));
        news
    }

    /// The best routes of these prefixes as they are now.
    fn routes(&self, prefixes: &[IpNet]) -> Vec<News> {
        let routes: Vec<_> = self.node.with(|speaker, _| {
            prefixes.iter().map(|&prefix| (prefix, speaker.rib().route(prefix))).collect()
        });
        routes
            .iter()
            .map(|(prefix, route)| News::route(*prefix, route.as_ref().and_then(|route| route.best())))
            .collect()
    }
}

/// The best paths of a family at the last look.
#[derive(Debug)]
struct Table {
    family: Family,
    version: Option<u64>,
    bests: HashMap<IpNet, u64>,
}

impl Table {
    fn new(family: Family) -> Self {
        Self { family, version: None, bests: HashMap::new() }
    }

    /// Prefixes whose best path is another one since the last look, in order.
    fn look(&mut self, node: &Node) -> Vec<IpNet> {
        let (version, bests) = node.with(|speaker, _| {
            let version = speaker.rib().version(self.family);
            (version, (self.version != Some(version)).then(|| speaker.rib().bests(self.family)))
        });
        self.version = Some(version);
        bests.map(|bests| self.compare(bests)).unwrap_or_default()
    }

    fn compare(&mut self, bests: Vec<(IpNet, u64)>) -> Vec<IpNet> {
        let mut before = std::mem::take(&mut self.bests);
        let mut changed: Vec<IpNet> = bests
            .iter()
            .filter(|(prefix, best)| before.remove(prefix) != Some(*best))
            .map(|(prefix, _)| *prefix)
            .collect();
        changed.extend(before.into_keys());
        changed.sort_unstable();
        self.bests = bests.into_iter().collect();
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_between_two_looks() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let (a, b, c) = (net("10.1.0.0/16"), net("10.2.0.0/16"), net("10.3.0.0/16"));
        let mut table = Table::new(Family::IPV4_UNICAST);
        assert_eq!(table.compare(vec![(b, 1), (a, 1)]), [a, b]);
        assert_eq!(table.compare(vec![(a, 1), (b, 1)]), []);
        assert_eq!(table.compare(vec![(c, 1), (b, 2)]), [a, b, c]);
        assert_eq!(table.compare(vec![]), [b, c]);
    }

    #[test]
    fn a_full_queue_closes_and_others_go_on() {
        let listeners = Listeners::default();
        let (slow, fast) = (listeners.join().unwrap(), listeners.join().unwrap());
        let news = || News::new(LogLevel::Info, String::new(), json!({}));
        for _ in 0..WAITING + 1 {
            listeners.tell(news());
            assert!(fast.try_recv().is_ok());
        }
        assert_eq!(slow.try_iter().count(), WAITING);
        assert!(matches!(slow.try_recv(), Err(TryRecvError::Disconnected)));
        listeners.tell(news());
        assert!(fast.try_recv().is_ok());
    }

    #[test]
    fn listeners_are_bounded() {
        let listeners = Listeners::default();
        let all: Vec<_> = std::iter::from_fn(|| listeners.join()).collect();
        assert_eq!(all.len(), LISTENERS);
        drop(all);
        assert!(listeners.join().is_none());
        listeners.tell(News::new(LogLevel::Debug, String::new(), json!({})));
        assert!(listeners.join().is_some());
    }
}
