//! Makes the wasm module that ships from the one that cargo builds.
//!
//! The proxy-wasm SDK exports every callback of the ABI, and a host calls every callback that is
//! exported: body chunks, trailers, connection data, whether the filter listens or not. Each such
//! call costs some 100 ns per request. Taking away the exports that the filter does not use, and
//! then all that only they reached, is therefore worth more than any tuning inside of the module.

use anyhow::{Context, Result, bail};
use walrus::{ImportKind, Module, ModuleConfig};

/// What stays exported: the ABI version that the host looks for, the start, memory and allocator,
/// and the callbacks that Serin answers.
///
/// A callback that the filter begins to implement has to be added here, else it is never called.
/// `proxy_on_done` is left out on purpose: it asks whether a context may go, a host takes its
/// absence for yes, and what Serin has to hand in at its end it hands in at `proxy_on_delete`.
pub const KEEP: &[&str] = &[
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "malloc",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_log",
    "proxy_on_http_call_response",
    "proxy_on_delete",
];

/// Whether functions keep their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// For a profiler: V8 shows them.
    Kept,
    /// As it ships.
    Dropped,
}

/// Returns `wasm` with only the exports in `keep` and what these reach, and without custom
/// sections (producers, debug information; `names` unless they are kept). The same input gives the
/// same bytes.
///
/// # Errors
///
/// If `wasm` is not a valid module, if it lacks an export of `keep`, or if what is left imports
/// anything but the functions `env.proxy_*`, which is all that a proxy-wasm host offers.
pub fn pack(wasm: &[u8], keep: &[&str], names: Names) -> Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config
        .generate_name_section(names == Names::Kept)
        .generate_producers_section(false);
    let mut module = Module::from_buffer_with_config(wasm, &config)
        .context("the input is not a valid wasm module")?;

    keep_exports(&mut module, keep)?;
    let sections: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for section in sections {
        module.customs.delete(section);
    }
    walrus::passes::gc::run(&mut module);
    check_imports(&module)?;
    Ok(module.emit_wasm())
}

fn keep_exports(module: &mut Module, keep: &[&str]) -> Result<()> {
    for name in keep {
        if !module.exports.iter().any(|export| export.name == *name) {
            bail!(
                "the module does not export `{name}`: does the SDK name it otherwise now, or does \
                 the filter lack `proxy_wasm::main!`?"
            );
        }
    }
    let unused: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !keep.contains(&export.name.as_str()))
        .map(|export| export.id())
        .collect();
    for export in unused {
        module.exports.delete(export);
    }
    Ok(())
}

fn check_imports(module: &Module) -> Result<()> {
    for import in module.imports.iter() {
        let offered = import.module == "env"
            && import.name.starts_with("proxy_")
            && matches!(import.kind, ImportKind::Function(_));
        if !offered {
            bail!(
                "the module imports `{}.{}`, which no proxy-wasm host offers: some dependency \
                 reaches for the system (clock, randomness, files)",
                import.module,
                import.name
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use walrus::{FunctionBuilder, RawCustomSection};

    /// A module that exports each of `callbacks`; each calls an import of its own,
    /// `<module>.proxy_for_<callback>`.
    fn module_with(module_name: &str, callbacks: &[&str]) -> Vec<u8> {
        let mut module = Module::with_config(ModuleConfig::new());
        let signature = module.types.add(&[], &[]);
        for callback in callbacks {
            let name = format!("proxy_for_{callback}");
            let (host_call, _) = module.add_import_func(module_name, &name, signature);
            let mut body = FunctionBuilder::new(&mut module.types, &[], &[]);
            body.func_body().call(host_call);
            let function = body.finish(vec![], &mut module.funcs);
            module.funcs.get_mut(function).name = Some((*callback).to_string());
            module.exports.add(callback, function);
        }
        module.customs.add(RawCustomSection {
            name: "target_features".to_string(),
            data: vec![0],
        });
        module.emit_wasm()
    }

    fn exports(wasm: &[u8]) -> Vec<String> {
        let module = Module::from_buffer(wasm).unwrap();
        module
            .exports
            .iter()
            .map(|export| export.name.clone())
            .collect()
    }

    #[test]
    fn only_kept_exports_and_what_they_reach_remain() {
        let built = module_with("env", &["on_log", "on_body"]);
        assert_eq!(exports(&built), ["on_log", "on_body"]);

        let packed = pack(&built, &["on_log"], Names::Dropped).unwrap();

        assert_eq!(exports(&packed), ["on_log"]);
        let module = Module::from_buffer(&packed).unwrap();
        let imports: Vec<_> = module.imports.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(imports, ["proxy_for_on_log"]);
        assert!(packed.len() < built.len());
    }

    #[test]
    fn names_and_custom_sections_are_dropped() {
        let built = module_with("env", &["on_log"]);
        let section = b"target_features";
        let has_section = |wasm: &[u8]| wasm.windows(section.len()).any(|w| w == section);
        let names = |wasm: &[u8]| {
            let module = Module::from_buffer(wasm).unwrap();
            module
                .funcs
                .iter()
                .filter(|function| function.name.is_some())
                .count()
        };
        assert!(has_section(&built));
        assert_eq!(names(&built), 1);

        let packed = pack(&built, &["on_log"], Names::Dropped).unwrap();

        assert!(!has_section(&packed));
        assert_eq!(names(&packed), 0);

        let named = pack(&built, &["on_log"], Names::Kept).unwrap();
        assert!(!has_section(&named));
        assert_eq!(names(&named), 1);
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_and_a_second_pass_changes_nothing() {
        let built = module_with("env", &["on_log", "on_tick", "on_body", "on_done"]);
        let keep = ["on_log", "on_tick"];
        let packed = pack(&built, &keep, Names::Dropped).unwrap();
        assert_eq!(pack(&built, &keep, Names::Dropped).unwrap(), packed);
        assert_eq!(pack(&packed, &keep, Names::Dropped).unwrap(), packed);
    }

    #[test]
    fn a_missing_export_is_named() {
        let built = module_with("env", &["on_log"]);
        let error = pack(&built, &["on_log", "on_tick"], Names::Dropped).unwrap_err();
        assert!(error.to_string().contains("`on_tick`"), "{error}");
    }

    #[test]
    fn an_import_that_no_host_offers_is_refused_where_it_is_still_reached() {
        let built = module_with("wasi_snapshot_preview1", &["on_log"]);
        let error = pack(&built, &["on_log"], Names::Dropped).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("wasi_snapshot_preview1.proxy_for_on_log"),
            "{error}"
        );
        assert!(pack(&built, &[], Names::Dropped).is_ok());
    }

    #[test]
    fn bytes_that_are_no_module_are_an_error() {
        assert!(pack(b"", KEEP, Names::Dropped).is_err());
        assert!(pack(b"\0asm\x01\0\0\0\xff", KEEP, Names::Dropped).is_err());
    }
}
