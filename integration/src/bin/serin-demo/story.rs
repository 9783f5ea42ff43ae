//! The story: two healthy versions, a change, a verdict, and what follows from it.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use console::Style;
use scorer_sdk::judge::verdict::Verdict;
use serin_integration::envoy::workspace;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::Regression;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::args::{Args, Mode, Story};
use crate::filter::{self, Announcement, Announcements, Opinion};
use crate::scene::{MODULE, Scene};
use crate::screen::Screen;
use crate::style::verdict_style;
use crate::summary::{Aftermath, Found, Outcome};
use crate::table::View;
use crate::window::{Steering, Window};

/// Time with steering.
const AFTERMATH: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(100);
/// Users do not wait longer for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The factor of bad shared change.
const SLOWDOWN: f64 = 3.0;
/// Finished requests between two looks at them; some seconds at the highest rate.
const CHANNEL: usize = 16_384;

/// Plays the story to its end.
///
/// # Errors
/// When Envoy or the module is missing (with the repair), or Envoy fails.
pub(crate) async fn play(args: &Args, screen: &mut Screen) -> Result<Outcome> {
    let module = workspace().join(MODULE);
    ensure!(
        module.is_file(),
        "no filter at {}; run `make wasm`",
        module.display()
    );
    let mut stage = Stage::set(args, screen).await?;
    stage.healthy_versions().await?;
    // A verdict by now is a false alarm: there is nothing further to tell.
    if stage.sighting.is_none() {
        stage.change().await?;
        stage.aftermath().await?;
    }
    Ok(stage.end().await)
}

/// Everything that runs, and what was noted about it.
struct Stage<'a> {
    args: &'a Args,
    screen: &'a mut Screen,
    scene: Scene,
    load: Load,
    window: Window,
    announcements: Announcements,
    opinion: Opinion,
    steering: Steering,
    /// When the canary changed, and how many requests it had received by then.
    change: Option<(Instant, u64)>,
    /// The same by the clock.
    onset: Option<SystemTime>,
    sighting: Option<Sighting>,
    false_alarm: bool,
    last_said: Option<Announcement>,
    /// What the filter said last of a change against the past.
    drift: Option<String>,
}

impl<'a> Stage<'a> {
    async fn set(args: &'a Args, screen: &'a mut Screen) -> Result<Self> {
        let plain = Style::new();
        screen.event(Scene::opening(args), &plain);
        let scene = Scene::start(args).await?;
        let (tell, told) = mpsc::channel(CHANNEL);
        let mut options = LoadOptions::new(scene.address(), f64::from(args.rate()))
            .timeout(PATIENCE)
            .seed(args.seed)
            .tell(tell);
        if args.story.follows_users() {
            options = options.follow_links();
        }
        let load = Load::start(options)?;
        let text = format!(
            "users send {} requests/s; v2, the canary, gets {}% of them; the filter is in mode {}",
            args.rate(),
            args.share,
            args.mode.name()
        );
        screen.event(&text, &plain);
        screen.legend();
        Ok(Self {
            args,
            screen,
            scene,
            load,
            window: Window::new(told),
            announcements: Announcements::default(),
            opinion: Opinion::default(),
            steering: Steering::default(),
            change: None,
            onset: None,
            sighting: None,
            false_alarm: false,
            last_said: None,
            drift: None,
        })
    }

    /// Both versions healthy, until the filter says so.
    async fn healthy_versions(&mut self) -> Result<()> {
        let (shortest, longest) = self.args.story.healthy_time();
        let phase = "two healthy versions: the filter learns";
        let of_past = self.args.story == Story::SharedChange;
        self.watch(phase, longest, |opinion, elapsed| {
            let learned = opinion.verdict == Verdict::Healthy && elapsed >= shortest;
            opinion.verdict == Verdict::Anomalous || learned && (opinion.knows_past || !of_past)
        })
        .await
    }

    /// The change, and what comes of it until the verdict or the limit.
    async fn change(&mut self) -> Result<()> {
        let now = Instant::now();
        self.window.canary_changed(now);
        self.change = Some((now, self.scene.v2().received()));
        self.onset = Some(SystemTime::now());
        let limit = self.args.limit();
        match self.args.story {
            Story::Fault(Regression::None) => self.surge(limit).await,
            Story::Fault(regression) => {
                self.announce_change();
                self.scene.v2().set_regression(regression);
                let phase = "the regression is on: the evidence grows";
                self.watch_for_verdict(phase, limit).await
            }
            Story::SharedChange => {
                self.announce_change();
                self.scene.v1().set_slowdown(SLOWDOWN);
                self.scene.v2().set_slowdown(SLOWDOWN);
                let phase = "both versions are slow: the filter should not blame v2";
                self.watch_for_verdict(phase, limit).await
            }
        }
    }

    fn announce_change(&mut self) {
        let text = format!("──▶ from now on {}", self.args.story.change());
        self.screen.event(&text, &change_style());
    }

    async fn watch_for_verdict(&mut self, phase: &str, longest: Duration) -> Result<()> {
        self.watch(phase, longest, |opinion, _| {
            opinion.verdict == Verdict::Anomalous
        })
        .await
    }

    /// The same load, three times as much, and the same again.
    async fn surge(&mut self, limit: Duration) -> Result<()> {
        let rate = f64::from(self.args.rate());
        for (factor, phase) in [
            (
                1.0,
                "nothing is wrong with v2: the filter should stay quiet",
            ),
            (3.0, "three times the load: the filter should stay quiet"),
            (1.0, "the load is as before: the filter should stay quiet"),
        ] {
            if self.sighting.is_some() {
                break;
            }
            let text = format!(
                "──▶ {:.0} requests/s; both versions are healthy",
                rate * factor
            );
            self.screen.event(&text, &change_style());
            self.load.set_rate(rate * factor);
            self.watch_for_verdict(phase, limit / 3).await?;
        }
        Ok(())
    }

    /// What the verdict leads to.
    async fn aftermath(&mut self) -> Result<()> {
        if self.sighting.is_none() {
            return Ok(());
        }
        let phase = match self.args.mode {
            Mode::Steer => "the filter steers: every request goes to v1",
            Mode::Observe => "the filter only observes: v2 still gets its share",
        };
        self.watch(phase, AFTERMATH, |_, _| false).await
    }

    async fn end(mut self) -> Outcome {
        self.screen.clear();
        let log = self.scene.front().log_path();
        let served = self.scene.v2().served();
        let last = served.values().filter_map(|counts| counts.last).max();
        let received = self.scene.v2().received();
        let aftermath = self.sighting.as_ref().map(|sighting| Aftermath {
            canary_requests: received.saturating_sub(sighting.received),
            lasted: last.map_or(Duration::ZERO, |last| {
                last.saturating_duration_since(sighting.moment.into_std())
            }),
        });
        // What is under way may still be lost.
        self.load.stop().await;
        self.window.update(Instant::now());
        let why = self
            .last_said
            .filter(|said| said.verdict == self.opinion.verdict && said.verdict >= Verdict::Suspect)
            .map(|said| said.why);
        Outcome {
            explanation: why.unwrap_or_else(|| self.opinion.explanation()),
            opinion: self.opinion,
            onset: self.onset,
            found: self.sighting.and_then(|sighting| sighting.found),
            false_alarm: self.false_alarm,
            aftermath,
            drift: self.drift,
            losses: self.window.losses(),
            log,
        }
    }

    /// Looks on until `done`, at most for `longest`; shows it, and notes the verdict.
    async fn watch(
        &mut self,
        phase: &str,
        longest: Duration,
        done: impl Fn(&Opinion, Duration) -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.look().await?;
            let elapsed = begun.elapsed();
            if done(&self.opinion, elapsed) || elapsed >= longest {
                return Ok(());
            }
            let view = self.view(format!("{phase} ({} s)", elapsed.as_secs()));
            self.screen.show(&view);
            sleep(POLL).await;
        }
    }

    /// Takes in what has happened since the last look.
    async fn look(&mut self) -> Result<()> {
        let front = self.scene.front();
        self.opinion = Opinion::read(front)
            .await
            .with_context(|| format!("Envoy has gone; see {}", front.log_path().display()))?;
        let now = Instant::now();
        self.window.update(now);
        let (received, steered) = self.scene.received_and_steered(&self.opinion);
        self.steering.update(now, received, steered);
        if self.opinion.verdict == Verdict::Anomalous && self.sighting.is_none() {
            self.note_verdict(now);
        }
        let log = self.scene.front().log_text();
        self.tell_drift(filter::drift(&log));
        for said in self.announcements.new_ones(&log) {
            self.tell(said);
        }
        Ok(())
    }

    /// Shows what the filter says of a change against the past, when that is new.
    fn tell_drift(&mut self, drift: Option<&str>) {
        if drift == self.drift.as_deref() {
            return;
        }
        self.drift = drift.map(str::to_owned);
        if let Some(drift) = drift {
            self.screen
                .event(&format!("filter: drift: {drift}"), &Style::new());
        }
    }

    /// Shows what is new in an announcement.
    fn tell(&mut self, mut said: Announcement) {
        let last = self.last_said.as_ref();
        match last.filter(|last| last.verdict == said.verdict) {
            // Told again for what else has changed; the reason is that of the verdict's moment.
            Some(last) => said.why.clone_from(&last.why),
            // The phase tells that.
            None if said.verdict == Verdict::Learning => {}
            None => {
                let text = format!("filter: v2 is {}: {}", said.verdict, said.why);
                self.screen.event(&text, &verdict_style(said.verdict));
            }
        }
        if let Some(differs) = &said.differs
            && last.is_none_or(|last| last.differs != said.differs)
        {
            let text = format!("filter: v2 behaves differently: {differs}");
            self.screen.event(&text, &Style::new());
        }
        self.last_said = Some(said);
    }

    fn note_verdict(&mut self, moment: Instant) {
        let received = self.scene.v2().received();
        let broken = self.args.story.is_of_canary();
        let found = self
            .change
            .filter(|_| broken)
            .map(|(change, before)| Found {
                candidate_requests: received.saturating_sub(before),
                seconds: moment.duration_since(change).as_secs_f64(),
            });
        self.false_alarm = found.is_none();
        self.sighting = Some(Sighting {
            moment,
            received,
            found,
        });
        self.window.verdict_fell(moment);
    }

    fn view(&self, phase: String) -> View {
        View {
            stable: self.window.row("v1"),
            canary: self.window.row("v2"),
            unanswered: self.window.unanswered(),
            opinion: self.opinion.clone(),
            steered: self.steering.share(),
            losses: self.window.losses(),
            phase,
        }
    }
}

/// The moment of the verdict.
struct Sighting {
    moment: Instant,
    /// Requests that the canary had received by then.
    received: u64,
    found: Option<Found>,
}

/// The style of lines that say what is done to the shop.
fn change_style() -> Style {
    Style::new().magenta().bold()
}
