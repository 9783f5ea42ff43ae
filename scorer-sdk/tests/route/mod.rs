//! How paths become routes.

mod path_tree;
mod segment;
mod template;
