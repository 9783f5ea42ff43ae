//! The proxy's callbacks: the SDK's traits over [`Worker`].

use crate::host::proxy_host::ProxyHost;
use crate::host::{Host, properties};
use crate::report::series;
use crate::stream::life::Stream;
use crate::sync::inquiry::Reply;
use crate::worker::Worker;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use scorer_sdk::Plan;
use scorer_sdk::signal::Signal;
use scorer_sdk::telemetry::CONFIG_BROKEN;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

thread_local! {
    /// The last config of each plugin that compiled: a VM outlives its configs, and a bad one must
    /// leave the one before it working.
    static LAST_GOOD: RefCell<BTreeMap<String, Arc<Plan>>> = const { RefCell::new(BTreeMap::new()) };
    /// The series that were made in this VM, under any config: the proxy keeps them as long.
    static SERIES: series::Shared = series::Shared::default();
}

type Shared = Rc<RefCell<Worker<ProxyHost>>>;

/// Makes the signals of a user's own that a module has beside the built-in ones.
pub type OwnSignals = fn() -> Vec<Box<dyn Signal>>;

/// One config in one worker.
pub struct Root {
    context_id: u32,
    own: OwnSignals,
    worker: Option<Shared>,
}

impl Root {
    /// A root without a config yet, with the built-in signals.
    #[must_use]
    pub fn new(context_id: u32) -> Self {
        Self::with_signals(context_id, Vec::new)
    }

    /// A root with further signals.
    #[must_use]
    pub fn with_signals(context_id: u32, own: OwnSignals) -> Self {
        ProxyHost.start_logging();
        Self {
            context_id,
            own,
            worker: None,
        }
    }

    /// The plan of `config`; of the last good config when it does not compile; none when there was
    /// none, and then traffic passes as if the filter were not there.
    fn plan(&self, plugin: &str, config: &[u8]) -> Option<Arc<Plan>> {
        let compiled = core::str::from_utf8(config)
            .map_err(|error| format!("config .: {error}; make it UTF-8"))
            .and_then(|text| {
                Plan::with_signals(text, (self.own)()).map_err(|error| error.to_string())
            });
        let broken = ProxyHost.define_metric(CONFIG_BROKEN.kind, CONFIG_BROKEN.name);
        ProxyHost.set_metric(broken, u64::from(compiled.is_err()));
        match compiled {
            Ok(plan) => {
                let plan = Arc::new(plan);
                LAST_GOOD.with(|last| {
                    last.borrow_mut()
                        .insert(plugin.to_owned(), Arc::clone(&plan));
                });
                Some(plan)
            }
            Err(problem) => {
                let last = LAST_GOOD.with(|last| last.borrow().get(plugin).cloned());
                let consequence = match last {
                    Some(_) => "the config before it stays in force",
                    None => "traffic passes unwatched until it is repaired",
                };
                log::error!("serin: {problem} ({consequence})");
                last
            }
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, size: usize, _: usize) {
        // Without headers nobody answered.
        let reply = match headers {
            0 => Reply {
                token,
                ..Reply::default()
            },
            _ => ProxyHost.answer(token, size),
        };
        if let Some(worker) = &self.worker
            && let Ok(mut worker) = worker.try_borrow_mut()
        {
            worker.hear(&reply);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let config = ProxyHost.configuration(size);
        let plugin = ProxyHost
            .property(properties::PLUGIN_NAME)
            .and_then(|name| String::from_utf8(name).ok())
            .unwrap_or_default();
        if let Some(plan) = self.plan(&plugin, &config) {
            ProxyHost.set_tick_period(plan.tick);
            let series = SERIES.with(Rc::clone);
            let mut worker = Worker::new(ProxyHost, plan, &plugin, self.context_id, series);
            worker.announce();
            if let Some(old) = self.worker.replace(Rc::new(RefCell::new(worker))) {
                old.borrow_mut().close();
            }
        }
        // Never false: the proxy would refuse to start, or answer in the application's place.
        true
    }

    fn on_tick(&mut self) {
        if let Some(worker) = &self.worker {
            worker.borrow_mut().tick();
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match &self.worker {
            Some(worker) => Box::new(Watched {
                worker: Rc::clone(worker),
                stream: Stream::new(context_id),
            }),
            None => Box::new(Unwatched),
        })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            worker.borrow_mut().close();
        }
    }
}

/// One request under a config.
struct Watched {
    worker: Shared,
    stream: Stream,
}

impl Context for Watched {}

impl HttpContext for Watched {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let mut worker = self.worker.borrow_mut();
        action(worker.on_request(&mut self.stream, end_of_stream))
    }

    fn on_http_request_body(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.worker
            .borrow_mut()
            .on_request_body(&mut self.stream, end_of_stream);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.stream.passed(0, end_of_stream);
        action(self.worker.borrow_mut().on_response(&mut self.stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.stream.passed(size, end_of_stream);
        self.worker
            .borrow_mut()
            .on_response_body(&mut self.stream, size);
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.stream.passed(0, true);
        self.worker
            .borrow_mut()
            .on_response_trailers(&mut self.stream);
        Action::Continue
    }

    fn on_log(&mut self) {
        self.worker.borrow_mut().on_log(&mut self.stream);
    }
}

fn action(go_on: bool) -> Action {
    if go_on {
        Action::Continue
    } else {
        Action::Pause
    }
}

/// One request without a config.
struct Unwatched;

impl Context for Unwatched {}

impl HttpContext for Unwatched {}
