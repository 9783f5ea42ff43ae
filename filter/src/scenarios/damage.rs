//! Shared data that somebody has damaged: what cannot be read costs itself alone, and a worker is
//! never blind for good.

use super::{BAD, GOOD, Proxy};
use crate::host::Host;
use crate::sync::mailbox::Keys;
use scorer_sdk::wire::codec::Writer;

/// The slots of the mailbox that hold something.
fn slots(proxy: &Proxy) -> Vec<String> {
    let world = proxy.host.0.borrow();
    let is_slot = |key: &&String| key.contains("/delta/");
    world.shared.keys().filter(is_slot).cloned().collect()
}

/// Changes the bytes under `key`.
fn damage(proxy: &Proxy, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut world = proxy.host.0.borrow_mut();
    change(&mut world.shared.get_mut(key).unwrap().0);
}

fn damaged(proxy: &Proxy) -> u64 {
    let name = "table=.=damaged;.;serin_overflow_total";
    proxy.host.metric_value(name).unwrap_or(0)
}

fn warnings(proxy: &Proxy, words: &str) -> usize {
    let log = proxy.host.log();
    log.iter()
        .filter(|line| line.0 == log::Level::Warn && line.1.contains(words))
        .count()
}

#[test]
fn a_worker_whose_slot_was_damaged_until_it_was_full_writes_it_again() {
    let mut proxy = Proxy::new("observe", 3);
    proxy.traffic(5, 60, GOOD);
    for _ in 0..15 {
        proxy.traffic(1, 60, GOOD);
        for slot in slots(&proxy) {
            damage(&proxy, &slot, |bytes| bytes.truncate(bytes.len() / 2));
        }
    }
    assert!(damaged(&proxy) > 0);
    assert!(warnings(&proxy, "could not be read") == 1);
    // Nothing more is damaged: all of it is handed in again, once.
    (0..30).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), 20 * 60);
    proxy.traffic(20, 60, BAD);
    assert_eq!(proxy.verdict(), Some(3));
}

#[test]
fn a_route_that_cannot_be_read_is_counted_and_everything_else_is_merged() {
    let mut proxy = Proxy::new("observe", 2);
    proxy.traffic(5, 60, GOOD);
    (0..3).for_each(|_| proxy.tick());
    let before = proxy.merged();
    assert_eq!(before, 5 * 60);
    // One exchange on a path of its own among those of this tick.
    for worker in 0..2 {
        proxy.request(&[]);
        proxy.host.0.borrow_mut().request[1].1 = b"/broken".to_vec();
        proxy.respond(GOOD[0]);
        let mut stream = crate::stream::life::Stream::new(1);
        assert!(proxy.workers[worker].on_request(&mut stream, true));
        assert!(proxy.workers[worker].on_response(&mut stream));
        proxy.workers[worker].on_log(&mut stream);
    }
    proxy.traffic(1, 60, GOOD);
    let mut changed = 0;
    for slot in slots(&proxy) {
        damage(&proxy, &slot, |bytes| {
            let place = bytes.windows(7).position(|path| path == b"/broken");
            if let Some(place) = place {
                bytes[place] = 0xff;
                changed += 1;
            }
        });
    }
    // Its own was merged by the leader before it could be damaged.
    assert_eq!(changed, 2);
    (0..12).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), before + 60 + 2 - 1);
    assert_eq!(damaged(&proxy), 1);
    assert_eq!(warnings(&proxy, "could not be read"), 1);
    proxy.traffic(20, 60, BAD);
    assert_eq!(proxy.verdict(), Some(3));
    assert_eq!(warnings(&proxy, "could not be read"), 1);
}

/// The key of the fake plugin's comparers.
fn key(name: &str) -> String {
    format!(
        "{}{name}",
        Keys::new("test/comparer").lease().trim_end_matches("lease")
    )
}

/// Writes over a value, as any plugin of the proxy can.
fn forge(proxy: &Proxy, name: &str, write: impl FnOnce(&mut Writer)) {
    let mut writer = Writer::new();
    write(&mut writer);
    assert!(
        proxy
            .host
            .swap_shared(&key(name), &writer.into_bytes(), None)
    );
}

#[test]
fn no_number_in_shared_data_blinds_a_worker_for_good() {
    type Forged = (&'static str, fn(&mut Writer));
    let forged: [Forged; 5] = [
        // Every slot is somebody's who is not there.
        ("workers", |writer| {
            writer.length(256);
            (1..=256).for_each(|owner| writer.u64(owner));
        }),
        ("workers", |writer| writer.length(usize::MAX)),
        ("lease", |writer| (0..3).for_each(|_| writer.u64(u64::MAX))),
        ("verdict", |writer| {
            (0..9).for_each(|_| writer.u64(u64::MAX))
        }),
        ("state", |writer| (0..9).for_each(|_| writer.u64(u64::MAX))),
    ];
    for (name, write) in forged {
        let mut proxy = Proxy::new("observe", 3);
        proxy.traffic(5, 60, GOOD);
        forge(&proxy, name, write);
        // As long as it may take until those that are not there are gone.
        proxy.traffic(70, 6, GOOD);
        let before = proxy.merged();
        proxy.traffic(20, 60, BAD);
        (0..3).for_each(|_| proxy.tick());
        assert!(proxy.merged() >= before + 20 * 60, "{name}");
        assert_eq!(proxy.verdict(), Some(3), "{name}");
    }
}

#[test]
fn a_worker_of_which_too_much_counts_as_merged_goes_on_under_another_name() {
    for in_slot in [true, false] {
        let mut proxy = Proxy::new("observe", 2);
        proxy.traffic(5, 60, GOOD);
        if in_slot {
            // The first delta's number stands behind the owner, the time and the length.
            for slot in slots(&proxy) {
                damage(&proxy, &slot, |bytes| bytes[20..28].fill(0xff));
            }
        } else {
            // The acknowledged numbers stand behind the writer, its number and the length.
            damage(&proxy, &key("state"), |bytes| bytes[0..16].fill(7));
            damage(&proxy, &key("state"), |bytes| bytes[28..36].fill(0xff));
            damage(&proxy, &key("state"), |bytes| bytes[44..52].fill(0xff));
        }
        proxy.traffic(5, 60, GOOD);
        let before = proxy.merged();
        proxy.traffic(20, 60, BAD);
        (0..3).for_each(|_| proxy.tick());
        assert!(proxy.merged() >= before + 20 * 60, "{in_slot}");
        assert_eq!(proxy.verdict(), Some(3), "{in_slot}");
    }
}

#[test]
fn counts_that_nobody_merges_while_requests_pass_are_told() {
    let late = |proxy: &Proxy| {
        let name = "role=.=comparer;.;serin_unmerged_ticks_total";
        proxy.host.metric_value(name).unwrap_or(0)
    };
    let mut proxy = Proxy::new("observe", 2);
    proxy.traffic(30, 60, GOOD);
    assert_eq!(late(&proxy), 0);
    // Somebody claims to lead and does not.
    for _ in 0..30 {
        let now = proxy.host.now().as_millis() as u64;
        forge(&proxy, "lease", |writer| {
            [1, now + 3_000, now]
                .iter()
                .for_each(|number| writer.u64(*number));
        });
        proxy.traffic(1, 60, GOOD);
    }
    // From the eleventh second on, for each of both workers.
    assert!((30..=44).contains(&late(&proxy)), "{}", late(&proxy));
    let told = late(&proxy);
    proxy.traffic(20, 60, BAD);
    assert!(late(&proxy) <= told + 12);
    (0..10).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), 80 * 60);
    assert_eq!(proxy.verdict(), Some(3));
}
