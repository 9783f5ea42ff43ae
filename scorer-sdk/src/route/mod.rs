//! Routes: which exchanges are comparable. A route is a bounded key: destination, method, template.

mod bytes;
mod collapses;
mod id;
pub mod key;
mod path_tree;
mod returning;
mod segment;
mod template;

pub use collapses::Collapses;
pub use key::RouteKey;
pub use path_tree::{KEEP_SEEN, Limits, OTHER_TEXT, PathConfig, PathTree, TemplateId};
pub use segment::{MAX_SEGMENT_BYTES, Segment, classify};
pub use template::{
    MAX_TEMPLATE_BYTES, MAX_TEMPLATE_SEGMENTS, MAX_TEMPLATES, Template, TemplateError, TemplateSet,
};
