//! Path templates: configured ones are refused or work, and learned ones stay within their bounds.

use crate::input::Input;
use scorer_sdk::route::{
    Limits, MAX_SEGMENT_BYTES, MAX_TEMPLATE_BYTES, MAX_TEMPLATES, PathConfig, PathTree, TemplateSet,
};

/// Longest text of a template, in bytes: 16 segments, and what stands for further ones.
const LONGEST: usize = 16 * (1 + MAX_SEGMENT_BYTES) + "/**".len();

/// The bytes are the number of templates, the templates, and paths.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let number = usize::from(input.byte() % 8);
    let texts: Vec<&str> = (0..number).map(|_| input.text()).collect();
    let templates = match TemplateSet::parse(texts.iter().copied()) {
        Ok(templates) => templates,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error that says nothing");
            TemplateSet::default()
        }
    };
    assert!(templates.len() <= MAX_TEMPLATES);
    for text in &texts {
        assert!(templates.is_empty() || text.len() <= MAX_TEMPLATE_BYTES);
    }
    let limits = Limits {
        max_nodes: usize::from(input.byte()),
        max_depth: usize::from(input.byte()),
        max_children: usize::from(input.byte()),
    };
    let config = PathConfig { templates, limits };
    let mut tree = PathTree::new(config.clone(), 1);
    let mut twin = PathTree::new(config, 1);
    while !input.is_empty() {
        let path = input.text();
        let id = tree.resolve(path);
        let text = tree.text(id);
        assert!(text.len() <= LONGEST, "{} bytes", text.len());
        assert!(tree.nodes() <= limits.max_nodes, "{} nodes", tree.nodes());
        assert_eq!(twin.resolve(path), id, "equal paths, other trees");
        assert_eq!(twin.text(id), tree.text(id));
    }
}
