//! Configured path templates: what is accepted, what is refused with which repair, what matches.

use scorer_sdk::route::{
    Limits, MAX_TEMPLATE_BYTES, MAX_TEMPLATE_SEGMENTS, MAX_TEMPLATES, OTHER_TEXT, PathConfig,
    PathTree, Template, TemplateSet,
};

/// A tree that learns nothing: what no template matches is `{other}`.
fn only(templates: &[&str]) -> PathTree {
    let config = PathConfig {
        templates: TemplateSet::parse(templates.iter().copied()).unwrap(),
        limits: Limits {
            max_nodes: 0,
            ..Limits::default()
        },
    };
    PathTree::new(config, 1)
}

fn resolved(tree: &mut PathTree, path: &str) -> String {
    let id = tree.resolve(path);
    tree.text(id).to_owned()
}

#[test]
fn the_most_specific_template_wins() {
    let mut tree = only(&[
        "/",
        "/api/{version}/items/{id}",
        "/api/v1/items/{id}",
        "/api/v1/items/new",
        "/api/v1/{kind}/{id}/detail",
        "/api/v2/*",
        "/static/*",
        "/static/{name}",
        "/slash/",
    ]);
    let table = [
        ("/", "/"),
        ("/?q=1", "/"),
        ("/api/v1/items/7", "/api/v1/items/{id}"),
        ("/api/v1/items/7?x=/a/b", "/api/v1/items/{id}"),
        ("/api/v1/items/7#top", "/api/v1/items/{id}"),
        ("/api/v1/items/new", "/api/v1/items/new"),
        ("/api/v3/items/7", "/api/{version}/items/{id}"),
        // The literal branch `items` leads nowhere here: the parameter is tried after it.
        ("/api/v1/items/7/detail", "/api/v1/{kind}/{id}/detail"),
        // Of two that match, the leftmost literal decides.
        ("/api/v2/items/7", "/api/v2/*"),
        ("/api/v2/a/b/c/d", "/api/v2/*"),
        ("/api/v2/", "/api/v2/*"),
        ("/api/v2", OTHER_TEXT),
        ("/static/app.js", "/static/{name}"),
        ("/static/js/app.js", "/static/*"),
        ("/static/", "/static/*"),
        ("/slash/", "/slash/"),
        ("/slash", OTHER_TEXT),
        ("/api/v1/items/", OTHER_TEXT),
        ("//", "/"),
        ("api/v2/x", OTHER_TEXT),
        ("", OTHER_TEXT),
    ];
    for (path, expected) in table {
        assert_eq!(resolved(&mut tree, path), expected, "path {path:?}");
    }
}

#[test]
fn a_star_reaches_paths_of_any_depth_and_length() {
    let mut tree = only(&["/a/*"]);
    let deep = format!("/a{}", "/b".repeat(1000));
    let long = format!("/a/{}", "b".repeat(100_000));
    for path in [deep, long] {
        assert_eq!(resolved(&mut tree, &path), "/a/*");
    }
}

#[test]
fn a_template_with_all_segments_does_not_match_a_deeper_path() {
    let text = "/a".repeat(MAX_TEMPLATE_SEGMENTS);
    let mut tree = only(&[text.as_str()]);
    assert_eq!(resolved(&mut tree, &text), text);
    assert_eq!(resolved(&mut tree, &format!("{text}/a")), OTHER_TEXT);
}

#[test]
fn configured_templates_come_before_learned_ones_and_cost_no_nodes() {
    let config = PathConfig {
        templates: TemplateSet::parse(["/items/{sku}"]).unwrap(),
        ..PathConfig::default()
    };
    let mut tree = PathTree::new(config, 1);
    for item in 0..100 {
        assert_eq!(
            resolved(&mut tree, &format!("/items/sku-{item}")),
            "/items/{sku}"
        );
    }
    assert_eq!(tree.nodes(), 0);
    assert_eq!(resolved(&mut tree, "/items/7/parts"), "/items/{int}/parts");
}

#[test]
fn a_refused_template_says_the_repair() {
    let long = format!("/{}", "a".repeat(MAX_TEMPLATE_BYTES));
    let deep = "/a".repeat(MAX_TEMPLATE_SEGMENTS + 1);
    let table = [
        ("", "must start with `/`"),
        ("api/items", "write `/api/items`"),
        ("*", "must start with `/`"),
        (&long, "at most 512"),
        (&deep, "at most 16"),
        ("/a/*/b", "must be the whole last segment"),
        ("/a/*.js", "must be the whole last segment"),
        ("/a/**", "must be the whole last segment"),
        ("/a/{}", "whole segment `{name}`"),
        ("/a/{b", "whole segment `{name}`"),
        ("/a/b}", "whole segment `{name}`"),
        ("/a/item-{id}", "whole segment `{name}`"),
        ("/a/{a}{b}", "whole segment `{name}`"),
        ("/a/{a b}", "whole segment `{name}`"),
        ("/a?b=c", "remove everything from the `?`"),
        ("/a#b", "remove everything from the `?` or `#`"),
    ];
    for (text, repair) in table {
        let message = Template::parse(text).unwrap_err().to_string();
        assert!(message.contains(repair), "{text:?}: {message}");
    }
}

#[test]
fn limits_are_inclusive() {
    assert!(Template::parse(&format!("/{}", "a".repeat(MAX_TEMPLATE_BYTES - 1))).is_ok());
    assert!(Template::parse(&"/a".repeat(MAX_TEMPLATE_SEGMENTS)).is_ok());
    let texts = |count: usize| (0..count).map(|n| format!("/t{n}")).collect::<Vec<_>>();
    let parse = |texts: &[String]| TemplateSet::parse(texts.iter().map(String::as_str));
    assert_eq!(parse(&texts(MAX_TEMPLATES)).unwrap().len(), MAX_TEMPLATES);
    let message = parse(&texts(MAX_TEMPLATES + 1)).unwrap_err().to_string();
    assert!(message.contains("at most 512"), "{message}");
}

#[test]
fn two_templates_that_match_the_same_paths_are_refused() {
    for (first, second) in [
        ("/a/{id}", "/a/{name}"),
        ("/a/*", "/a/*"),
        ("/a/{id}/*", "/a/{name}/*"),
        ("/", "/"),
    ] {
        let message = TemplateSet::parse([first, "/other", second])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(first) && message.contains(second) && message.contains("remove one"),
            "{message}"
        );
    }
    assert!(TemplateSet::parse(["/a/{id}", "/a/*", "/a/b", "/a", "/a/"]).is_ok());
}
