//! Filters of a few instructions that ask the proxy for exactly what they are told: nothing of an SDK,
//! no allocator and no parsing is in what they cost.

use anyhow::{Result, bail};
use serin_pack::KEEP;
use walrus::{
    ConstExpr, DataKind, FunctionBuilder, FunctionId, InstrSeqBuilder, MemoryId, Module,
    ModuleConfig, ValType,
};

/// Bytes of a page of memory.
const PAGE: u32 = 65_536;
/// Where the host's answers go: the second page, anew for each of them.
const ANSWERS_AT: u32 = PAGE;
/// Where the host writes the address and the length of an answer.
const OUT_ADDRESS: i32 = 16;
const OUT_LENGTH: i32 = 20;
/// Where the host writes the time.
const OUT_TIME: i32 = 24;
/// Where names and paths begin.
const TEXTS_AT: u32 = 1_024;

/// A header map, by the ABI's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Map {
    /// Of the request.
    Request = 0,
    /// Of the response.
    Response = 2,
}

/// One host call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A whole header map.
    Pairs(Map),
    /// One header by its name.
    Value(Map, &'static str),
    /// Remove the headers with this name.
    Remove(Map, &'static str),
    /// A property, its path with dots.
    Property(&'static str),
    /// The time.
    Clock,
}

/// What is asked at each callback, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    /// At the request's headers.
    pub(crate) request: Vec<Ask>,
    /// At the response's headers.
    pub(crate) response: Vec<Ask>,
    /// At the log.
    pub(crate) log: Vec<Ask>,
}

/// The module that asks this. It exports what Serin exports.
///
/// # Errors
/// When Serin exports a callback that is not known here.
pub(crate) fn module(asks: &Asks) -> Result<Vec<u8>> {
    let mut module = Module::with_config(ModuleConfig::new());
    let memory = module.memories.add_local(false, false, 2, Some(2), None);
    let mut writer = Writer {
        module,
        memory,
        end: TEXTS_AT,
    };
    for name in KEEP {
        if *name == "memory" {
            writer.module.exports.add(name, memory);
            continue;
        }
        let Some((parameters, answer)) = signature(name) else {
            bail!("serin-bench knows no callback `{name}`: add it to raw_filter.rs");
        };
        let asked: &[Ask] = match *name {
            "proxy_on_request_headers" => &asks.request,
            "proxy_on_response_headers" => &asks.response,
            "proxy_on_log" => &asks.log,
            _ => &[],
        };
        let callback = writer.callback(parameters, answer, asked);
        writer.module.exports.add(name, callback);
    }
    Ok(writer.module.emit_wasm())
}

/// How many numbers an export takes and what it always answers, if anything.
fn signature(name: &str) -> Option<(usize, Option<i32>)> {
    /// On with the request, and with the response.
    const CONTINUE: Option<i32> = Some(0);
    Some(match name {
        "_initialize" | "proxy_abi_version_0_2_1" => (0, None),
        "malloc" => (1, i32::try_from(ANSWERS_AT).ok()),
        "proxy_on_vm_start" | "proxy_on_configure" => (2, Some(1)),
        "proxy_on_context_create" => (2, None),
        "proxy_on_tick" | "proxy_on_log" | "proxy_on_delete" => (1, None),
        "proxy_on_request_headers"
        | "proxy_on_request_body"
        | "proxy_on_response_headers"
        | "proxy_on_response_body" => (3, CONTINUE),
        "proxy_on_response_trailers" => (2, CONTINUE),
        "proxy_on_http_call_response" => (5, None),
        _ => return None,
    })
}

struct Writer {
    module: Module,
    memory: MemoryId,
    /// Where the next text may begin.
    end: u32,
}

impl Writer {
    fn callback(&mut self, parameters: usize, answer: Option<i32>, asks: &[Ask]) -> FunctionId {
        let calls: Vec<Call> = asks.iter().map(|ask| self.call(ask)).collect();
        let types = vec![ValType::I32; parameters];
        let results: Vec<ValType> = answer.iter().map(|_| ValType::I32).collect();
        let mut function = FunctionBuilder::new(&mut self.module.types, &types, &results);
        let mut body = function.func_body();
        for call in &calls {
            call.write(&mut body);
        }
        if let Some(answer) = answer {
            body.i32_const(answer);
        }
        let arguments = types
            .iter()
            .map(|kind| self.module.locals.add(*kind))
            .collect();
        function.finish(arguments, &mut self.module.funcs)
    }

    fn call(&mut self, ask: &Ask) -> Call {
        let answer = [OUT_ADDRESS, OUT_LENGTH];
        let named = |map: Map, [at, length]: [i32; 2]| vec![map as i32, at, length];
        let (name, arguments) = match ask {
            Ask::Pairs(map) => (
                "proxy_get_header_map_pairs",
                [vec![*map as i32], answer.to_vec()].concat(),
            ),
            Ask::Value(map, header) => (
                "proxy_get_header_map_value",
                [named(*map, self.text(header)), answer.to_vec()].concat(),
            ),
            Ask::Remove(map, header) => (
                "proxy_remove_header_map_value",
                named(*map, self.text(header)),
            ),
            Ask::Property(path) => (
                "proxy_get_property",
                [self.text(&path.replace('.', "\0")), answer].concat(),
            ),
            Ask::Clock => ("proxy_get_current_time_nanoseconds", vec![OUT_TIME]),
        };
        Call {
            function: self.import(name, arguments.len()),
            arguments,
        }
    }

    fn import(&mut self, name: &str, parameters: usize) -> FunctionId {
        let known = self.module.imports.get_func("env", name);
        if let Ok(function) = known {
            return function;
        }
        let types = vec![ValType::I32; parameters];
        let signature = self.module.types.add(&types, &[ValType::I32]);
        self.module.add_import_func("env", name, signature).0
    }

    /// Puts a text into memory: its address and length.
    fn text(&mut self, text: &str) -> [i32; 2] {
        let at = self.end.cast_signed();
        let offset = ConstExpr::Value(walrus::ir::Value::I32(at));
        let kind = DataKind::Active {
            memory: self.memory,
            offset,
        };
        self.module.data.add(kind, text.as_bytes().to_vec());
        let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
        self.end = self.end.saturating_add(length.cast_unsigned());
        [at, length]
    }
}

/// A call with its arguments.
struct Call {
    function: FunctionId,
    arguments: Vec<i32>,
}

impl Call {
    fn write(&self, body: &mut InstrSeqBuilder) {
        for argument in &self.arguments {
            body.i32_const(*argument);
        }
        body.call(self.function).drop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_imports_what_it_asks_for_and_exports_what_serin_exports() {
        let asks = Asks {
            request: vec![Ask::Pairs(Map::Request), Ask::Clock, Ask::Clock],
            log: vec![Ask::Property("xds.cluster_name")],
            ..Asks::default()
        };
        let bytes = module(&asks).unwrap();
        let module = Module::from_buffer(&bytes).unwrap();
        let imports: Vec<_> = module.imports.iter().map(|one| one.name.as_str()).collect();
        let mut exports: Vec<_> = module.exports.iter().map(|one| one.name.as_str()).collect();
        let mut kept = KEEP.to_vec();
        exports.sort_unstable();
        kept.sort_unstable();
        assert_eq!(exports, kept);
        assert_eq!(
            imports,
            [
                "proxy_get_header_map_pairs",
                "proxy_get_current_time_nanoseconds",
                "proxy_get_property"
            ]
        );
        let path = b"xds\0cluster_name";
        assert!(bytes.windows(path.len()).any(|bytes| bytes == path));
    }
}
