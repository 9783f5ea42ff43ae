//! What the path tree learns, and that nothing that comes in can make it grow or forget.

use std::collections::{HashMap, HashSet};

use scorer_sdk::route::{Limits, OTHER_TEXT, PathConfig, PathTree, TemplateId, TemplateSet};

/// SplitMix64 (Steele, Lea, Flood 2014): enough for test inputs, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

fn tree(limits: Limits) -> PathTree {
    let config = PathConfig {
        limits,
        ..PathConfig::default()
    };
    PathTree::new(config, 42)
}

fn resolved(tree: &mut PathTree, path: &str) -> String {
    let id = tree.resolve(path);
    tree.text(id).to_owned()
}

/// A word that no rule takes for an id.
fn word(random: &mut Random) -> String {
    const SYLLABLES: &[&str] = &["ba", "ke", "lo", "mi", "nu", "ra", "se", "to"];
    (0..7).map(|_| random.pick(SYLLABLES)).collect()
}

/// Rubbish, values, names and near misses, joined at random.
fn random_path(random: &mut Random) -> String {
    const PIECES: &[&str] = &[
        "/",
        "/",
        "/",
        "/",
        "//",
        "api",
        "v1",
        "items",
        "7",
        "-1",
        "deadbee5",
        "2026-11-23",
        "a@b.org",
        "%40",
        "%2F",
        "{int}",
        "{x}",
        "{",
        "**",
        "*",
        "ü",
        "日本",
        "\u{0}",
        " ",
        ";.",
        "?",
        "#",
        "?a=/b",
        "{other}",
        "123e4567-e89b-12d3-a456-426614174000",
    ];
    let mut path = String::new();
    if random.below(10) > 0 {
        path.push('/');
    }
    for _ in 0..random.below(24) {
        match random.below(12) {
            0 => path.push_str(&format!("w{}", random.below(200))),
            1 => path.push_str(&format!("{:x}z", random.next())),
            2 if random.below(20) == 0 => path.push_str(&"long".repeat(random.below(200))),
            _ => path.push_str(random.pick(PIECES)),
        }
    }
    path
}

#[test]
fn paths_become_templates() {
    let long = format!("/a/{}/b", "l".repeat(65));
    let at_limit = format!("/a/{}/b", "l".repeat(64));
    let twelve = "/s".repeat(12);
    let thirteen = "/s".repeat(13);
    let hundred = "/s".repeat(100);
    let tail = format!("{twelve}/**");
    let table = [
        ("/", "/"),
        ("/api/items/7", "/api/items/{int}"),
        ("/api/items/7/", "/api/items/{int}/"),
        ("/api/items/7?page=2", "/api/items/{int}"),
        ("/api/items/7#part", "/api/items/{int}"),
        ("/api/items/7?at=/x#/y", "/api/items/{int}"),
        ("/api//items", "/api/items"),
        ("//api///items//7", "/api/items/{int}"),
        ("/api/items//", "/api/items/"),
        ("//", "/"),
        ("/days/2026-11-23/9f86d081", "/days/{date}/{hex}"),
        ("/users/ann@example.org", "/users/{email}"),
        ("/a%2Fb/%20", "/{x}/%20"),
        ("/projects/acme%2fshop/issues", "/projects/{x}/issues"),
        ("/%61pi/%69tems/%37?%2F", "/api/items/{int}"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/100%/%zz/%6", "/100%/%zz/%6"),
        ("/orders/01JD3V7ZK8W5QXNRT4M2YBHC9G", "/orders/{id}"),
        (
            "/customers/cus_9s6XKzkNRiz8i3/cards",
            "/customers/{id}/cards",
        ),
        (
            "/packages/3f/b2/0c53d0e48f5d5d9f1a3e6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8/name-1.0.tar.gz",
            "/packages/{hex}/{hex}/{hex}/{file}",
        ),
        (
            "/objects/ad/53d0e48f5d5d9f1a3e6b7c8d9e0f1a2b3c4d5e",
            "/objects/{hex}/{hex}",
        ),
        (
            "/blobs/ad/ad53d0e48f5d5d9f1a3e6b7c8d9e0f1a2b3c4d5e",
            "/blobs/{hex}/{hex}",
        ),
        ("/ad/507f1f77bcf86cd799439011", "/ad/{hex}"),
        ("/de/7", "/de/{int}"),
        ("/be/ef", "/be/ef"),
        ("/straße/東京", "/straße/東京"),
        ("/pkg.Service/Method", "/pkg.Service/Method"),
        (&long, "/a/{x}/b"),
        (&at_limit, &at_limit),
        (&twelve, &twelve),
        (&thirteen, &tail),
        (&hundred, &tail),
        ("*", "*"),
        ("host:443", "host:443"),
        ("not/a/path", "not/a/path"),
        ("not/a/path?q", "not/a/path"),
        ("7", "{int}"),
        ("", ""),
        ("?", ""),
    ];
    let mut tree = tree(Limits::default());
    for (path, expected) in table {
        assert_eq!(resolved(&mut tree, path), expected, "path {path:?}");
    }
    assert_eq!((tree.overflowed(), tree.collapses()), (0, 0));
}

#[test]
fn a_template_that_was_written_with_an_escape_matches_it() {
    let config = PathConfig {
        templates: TemplateSet::parse(["/%7Eann/{page}", "/~bob"]).unwrap(),
        ..PathConfig::default()
    };
    let mut tree = PathTree::new(config, 1);
    assert_eq!(resolved(&mut tree, "/%7Eann/7"), "/%7Eann/{page}");
    assert_eq!(resolved(&mut tree, "/%7ebob"), "/~bob");
}

#[test]
fn a_path_without_a_slash_is_another_template_than_the_one_with_it() {
    let mut tree = tree(Limits::default());
    assert_ne!(tree.resolve("items"), tree.resolve("/items"));
}

/// Limits under which few paths are enough to see a collapse.
fn narrow() -> Limits {
    Limits {
        max_children: 16,
        ..Limits::default()
    }
}

#[test]
fn many_values_seen_once_collapse_and_busy_siblings_stay() {
    let mut tree = tree(narrow());
    for _ in 0..8 {
        tree.resolve("/users/me/orders");
    }
    for _ in 0..7 {
        tree.resolve("/users/almost/orders");
    }
    for user in 0..14 {
        tree.resolve(&format!("/users/name-{user}/orders"));
    }
    assert_eq!((tree.collapses(), tree.nodes()), (0, 1 + 16 * 2));
    // The 17th child.
    assert_eq!(
        resolved(&mut tree, "/users/one-more/orders"),
        "/users/{x}/orders"
    );
    assert_eq!((tree.collapses(), tree.nodes()), (1, 1 + 2 * 2));
    for (path, expected) in [
        ("/users/me/orders", "/users/me/orders"),
        ("/users/almost/orders", "/users/{x}/orders"),
        ("/users/name-3/orders", "/users/{x}/orders"),
        ("/users/7/orders", "/users/{int}/orders"),
        ("/users", "/users"),
    ] {
        assert_eq!(resolved(&mut tree, path), expected, "path {path:?}");
    }
}

#[test]
fn busy_tenants_collapse_and_what_is_below_them_stays_apart() {
    for prefix in ["", "/api/v1"] {
        let mut tree = tree(Limits::default());
        for path in ["/login", "/static/app.js", "/health/ready/all"] {
            (0..8).for_each(|_| {
                tree.resolve(&format!("{prefix}{path}"));
            });
        }
        for round in 0..20 {
            for tenant in 0..40 {
                for path in ["orders/1", "users/ann", "users/7/cards", "reports"] {
                    tree.resolve(&format!("{prefix}/tenant-{tenant}z/{path}?{round}"));
                }
            }
        }
        for (path, expected) in [
            ("/tenant-3z/orders/2", "/{x}/orders/{int}"),
            ("/tenant-99z/users/8/cards", "/{x}/users/{int}/cards"),
            ("/tenant-99z/users/ann", "/{x}/users/ann"),
            ("/tenant-99z/reports", "/{x}/reports"),
            ("/login", "/login"),
            ("/static/app.js", "/static/app.js"),
        ] {
            let path = format!("{prefix}{path}");
            assert_eq!(resolved(&mut tree, &path), format!("{prefix}{expected}"));
        }
    }
}

#[test]
fn resources_that_are_alike_are_no_tenants() {
    let mut tree = tree(Limits::default());
    for _ in 0..10 {
        for resource in 0..60 {
            for path in ["", "/7", "/7/edit", "/new", "/search"] {
                tree.resolve(&format!("/resource-of-kind-{resource}z{path}"));
            }
        }
    }
    assert_eq!(tree.collapses(), 0);
    let path = "/resource-of-kind-59z/7/edit";
    assert_eq!(
        resolved(&mut tree, path),
        "/resource-of-kind-59z/{int}/edit"
    );
}

#[test]
fn ids_that_no_rule_knows_are_ids_where_others_are() {
    let mut tree = tree(narrow());
    tree.resolve("/orders/01JD3V7ZK8W5QXNRT4M2YBHC9G/lines");
    for name in 0..20 {
        tree.resolve(&format!("/orders/of-{name}z/lines"));
    }
    assert_eq!(tree.collapses(), 1);
    for segment in ["never-seen", "01JD3V80F2A6PEKSG7D9XQ1TVW"] {
        let path = format!("/orders/{segment}/lines");
        assert_eq!(resolved(&mut tree, &path), "/orders/{id}/lines");
    }
    // And the other way round: one template, whatever the rules know.
    for name in 0..20 {
        tree.resolve(&format!("/users/of-{name}z"));
    }
    for segment in ["never-seen", "01JD3V80F2A6PEKSG7D9XQ1TVW"] {
        assert_eq!(
            resolved(&mut tree, &format!("/users/{segment}")),
            "/users/{x}"
        );
    }
}

#[test]
fn an_identifier_stands_until_its_template_falls_away() {
    let mut tree = tree(narrow());
    let (kept, goes) = (tree.resolve("/users/me"), tree.resolve("/users/ann"));
    (0..8).for_each(|_| {
        tree.resolve("/users/me");
    });
    assert!(tree.stands(kept) && tree.stands(goes) && tree.stands(TemplateId::OTHER));
    for name in 0..20 {
        tree.resolve(&format!("/users/of-{name}z"));
    }
    assert!(tree.stands(kept) && !tree.stands(goes));
}

#[test]
fn children_seen_more_than_once_are_kept_up_to_the_hard_stop() {
    let mut tree = tree(narrow());
    for child in 0..63 {
        for _ in 0..9 {
            tree.resolve(&format!("/rpc/Method{child}z"));
        }
    }
    assert_eq!((tree.collapses(), tree.nodes()), (0, 64));
    // The 64th is 4 × 16: those seen often still stay.
    assert_eq!(resolved(&mut tree, "/rpc/Method63z"), "/rpc/{x}");
    assert_eq!((tree.collapses(), tree.nodes()), (1, 65));
    assert_eq!(resolved(&mut tree, "/rpc/Method5z"), "/rpc/Method5z");
}

#[test]
fn names_that_a_flood_took_in_the_first_seconds_come_back() {
    let mut tree = tree(Limits::default());
    let mut random = Random(11);
    let real = ["/api/products", "/api/orders", "/api/items/7", "/login"];
    for _ in 0..5 {
        real.iter().for_each(|path| {
            tree.resolve(path);
        });
        for _ in 0..500 {
            let path = [(); 4].map(|()| word(&mut random)).join("/");
            tree.resolve(&format!("/{path}"));
        }
    }
    assert_eq!(resolved(&mut tree, "/api/products"), "/{x}/{x}");
    let nodes = tree.nodes();
    // Now the flood is a tenth of the traffic.
    for step in 0..2_000 {
        if step % 10 == 0 {
            tree.resolve(&format!("/{}/{}", word(&mut random), word(&mut random)));
        }
        tree.resolve(real[step % real.len()]);
    }
    for (path, expected) in [
        ("/api/products", "/api/products"),
        ("/api/orders", "/api/orders"),
        ("/api/items/7", "/api/items/{int}"),
        ("/login", "/login"),
        ("/kebalomi/nurase", "/{x}/{x}"),
    ] {
        assert_eq!(resolved(&mut tree, path), expected, "path {path:?}");
    }
    assert!(tree.nodes() < nodes + 20, "{} nodes", tree.nodes());
}

#[test]
fn of_many_users_that_are_alike_none_comes_back_and_no_tenant_does() {
    let mut tree = tree(Limits::default());
    for step in 0..60_000 {
        tree.resolve(&format!("/users/of-{}z", step * 7 % 500));
    }
    assert_eq!(resolved(&mut tree, "/users/of-7z"), "/users/{x}");
    let mut tree = self::tree(Limits::default());
    for round in 0..2_000 {
        for tenant in 0..40 {
            tree.resolve(&format!("/tenant-{tenant}z/orders/{round}"));
        }
        // After the collapse two of them have most of the traffic.
        (0..20).for_each(|_| {
            tree.resolve("/tenant-1z/orders/1");
        });
    }
    assert_eq!(
        resolved(&mut tree, "/tenant-1z/orders/1"),
        "/{x}/orders/{int}"
    );
}

#[test]
fn a_scanner_neither_wrecks_real_routes_nor_grows_the_tree() {
    let real = [
        "/",
        "/login",
        "/api/items",
        "/api/items/new",
        "/api/carts/mine/lines",
        "/assets/app.js",
    ];
    let mut tree = tree(Limits::default());
    let mut ids = HashMap::new();
    for path in real {
        for _ in 0..10 {
            ids.insert(path, tree.resolve(path));
        }
    }
    tree.resolve("/api/items/7");
    let mut random = Random(7);
    let mut most = 0;
    for probe in 0..200_000 {
        let path = match probe % 4 {
            0 => format!("/{}.php", word(&mut random)),
            1 => format!("/api/{}/{}", word(&mut random), word(&mut random)),
            2 => format!("/api/items/{}", word(&mut random)),
            _ => {
                format!("{}/{}", random.pick(&real), word(&mut random))
                    + &format!("/{}", word(&mut random)).repeat(random.below(20))
            }
        };
        tree.resolve(&path);
        most = most.max(tree.nodes());
        if probe % 1000 == 0 {
            for path in real {
                let id = tree.resolve(path);
                assert_eq!((id, tree.text(id)), (ids[path], path));
            }
        }
    }
    assert_eq!(resolved(&mut tree, "/api/items/8"), "/api/items/{int}");
    assert_eq!(resolved(&mut tree, "/never-seen.php"), "/{x}");
    assert_eq!(tree.overflowed(), 0);
    assert!(most < Limits::default().max_nodes / 2, "{most} nodes");
}

#[test]
fn a_full_tree_counts_what_it_cannot_hold_and_keeps_what_it_knows() {
    let mut tree = tree(Limits {
        max_nodes: 10,
        ..Limits::default()
    });
    for path in ["/a/b/c", "/a/b/d", "/e/f/g"] {
        assert_eq!(resolved(&mut tree, path), path);
    }
    assert_eq!(tree.nodes(), 7);
    // Four nodes do not fit into three, and no half of them is kept.
    assert_eq!(tree.resolve("/h/i/j/k"), TemplateId::OTHER);
    assert_eq!(tree.text(TemplateId::OTHER), OTHER_TEXT);
    assert_eq!((tree.nodes(), tree.overflowed()), (7, 1));
    assert_eq!(resolved(&mut tree, "/h/i/j"), "/h/i/j");
    assert_eq!(resolved(&mut tree, "/l"), OTHER_TEXT);
    // A prefix that is known needs no room.
    assert_eq!(resolved(&mut tree, "/h/i"), "/h/i");
    assert_eq!(resolved(&mut tree, "/a/b/c"), "/a/b/c");
    assert_eq!((tree.nodes(), tree.overflowed()), (10, 2));
}

#[test]
fn a_collapse_makes_room_in_a_full_tree() {
    let mut tree = tree(Limits {
        max_nodes: 17,
        ..narrow()
    });
    for name in 0..16 {
        tree.resolve(&format!("/users/name-{name}"));
    }
    assert_eq!(tree.nodes(), 17);
    assert_eq!(resolved(&mut tree, "/users/one-more"), "/users/{x}");
    assert_eq!((tree.nodes(), tree.overflowed()), (2, 0));
}

#[test]
fn an_identifier_never_stands_for_two_texts() {
    // Sixteen nodes collapse one after the other, so that slots are used again; at most
    // 4 + 16 + 16 (`{x}`) + 4 nodes stand at once.
    let limits = Limits {
        max_nodes: 40,
        max_depth: 3,
        max_children: 4,
    };
    let mut tree = tree(limits);
    let mut texts: HashMap<TemplateId, String> = HashMap::new();
    for parent in 0..16 {
        for leaf in 0..20 {
            let id = tree.resolve(&format!("/n{}/m{}/l{leaf}", parent / 4, parent % 4));
            let text = tree.text(id).to_owned();
            assert_eq!(*texts.entry(id).or_insert_with(|| text.clone()), text);
        }
    }
    assert_eq!((tree.collapses(), tree.overflowed()), (16, 0));
    assert!(texts.len() > limits.max_nodes, "no slot was used again");
    for (id, then) in &texts {
        let now = if then.ends_with("/{x}") {
            then
        } else {
            OTHER_TEXT
        };
        assert_eq!(tree.text(*id), now);
    }
}

#[test]
fn whatever_comes_in_the_tree_stays_within_its_limits() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let limits = Limits {
            max_nodes: random.below(300),
            max_depth: 1 + random.below(16),
            max_children: 1 + random.below(20),
        };
        let templates = TemplateSet::parse(["/api/{version}/items/*", "/"]).unwrap();
        let pinned = templates.len();
        let mut tree = PathTree::new(PathConfig { templates, limits }, seed);
        let mut seen = HashSet::new();
        for _ in 0..20_000 {
            let id = tree.resolve(&random_path(&mut random));
            seen.insert(id);
            assert!(tree.nodes() <= limits.max_nodes);
            // No text grows beyond its segments, the tail and their slashes.
            assert!(tree.text(id).len() <= limits.max_depth * 65 + 3);
        }
        let standing = seen
            .iter()
            .filter(|&&id| tree.text(id) != OTHER_TEXT)
            .count();
        assert!(standing <= limits.max_nodes + pinned);
    }
}

#[test]
fn limits_beyond_what_is_possible_are_moved_into_range() {
    for extreme in [0, usize::MAX] {
        let mut tree = tree(Limits {
            max_nodes: extreme,
            max_depth: extreme,
            max_children: extreme,
        });
        let mut random = Random(5);
        for _ in 0..20_000 {
            tree.resolve(&random_path(&mut random));
            assert!(tree.nodes() <= 32_768);
        }
        assert_eq!(tree.nodes() == 0, extreme == 0);
    }
}

#[test]
fn the_same_path_has_the_same_template_while_nothing_collapses_or_comes_back() {
    for seed in 0..10 {
        let mut random = Random(100 + seed);
        let mut tree = tree(Limits::default());
        let mut known: HashMap<String, (TemplateId, u64)> = HashMap::new();
        let mut repeats = 0;
        for _ in 0..20_000 {
            let path = if random.below(2) == 0 {
                format!("/w{}/{}", random.below(30), random.pick(&["a", "7", "ü"]))
            } else {
                random_path(&mut random)
            };
            let id = tree.resolve(&path);
            let changes = tree.collapses() + tree.returned();
            if id == TemplateId::OTHER {
                continue;
            }
            if let Some((before, when)) = known.insert(path, (id, changes))
                && when == changes
            {
                assert_eq!(before, id);
                repeats += 1;
            }
        }
        assert!(repeats > 100, "only {repeats} repeats");
    }
}

#[test]
fn a_learned_template_fed_back_as_a_path_is_itself() {
    for seed in 0..10 {
        let mut random = Random(200 + seed);
        let mut tree = tree(Limits::default());
        for _ in 0..5_000 {
            let id = tree.resolve(&random_path(&mut random));
            if id != TemplateId::OTHER {
                let text = tree.text(id).to_owned();
                assert_eq!(tree.resolve(&text), id, "template {text:?}");
            }
        }
    }
}

#[test]
fn equal_seeds_and_paths_give_equal_trees_and_the_seed_changes_no_text() {
    let mut random = Random(9);
    let paths: Vec<String> = (0..20_000).map(|_| random_path(&mut random)).collect();
    let run = |seed| {
        let mut tree = PathTree::new(PathConfig::default(), seed);
        paths
            .iter()
            .map(|path| {
                let id = tree.resolve(path);
                (id, tree.text(id).to_owned())
            })
            .collect::<Vec<_>>()
    };
    assert!(run(1) == run(1));
    assert!(run(1) == run(2));
}

#[test]
fn a_tree_that_follows_another_names_the_same_paths_the_same_way() {
    let mut random = Random(11);
    let mut busy = tree(Limits::default());
    for _ in 0..20 {
        busy.resolve("/users/me/orders");
    }
    for _ in 0..200 {
        busy.resolve(&format!("/users/{}/orders", word(&mut random)));
        busy.resolve(&format!("/tags/{}", word(&mut random)));
    }
    let told = busy.where_collapsed();
    let mut fresh = tree(Limits::default());
    // It has seen a few names by itself.
    fresh.resolve("/users/somebody/orders");
    fresh.follow(&told);
    for path in [
        "/users/me/orders",
        "/users/somebody/orders",
        "/users/else/orders",
        "/users/42/orders",
        "/tags/new",
        "/about",
    ] {
        assert_eq!(
            resolved(&mut fresh, path),
            resolved(&mut busy, path),
            "{path}"
        );
    }
    assert_eq!(
        resolved(&mut fresh, "/users/else/orders"),
        "/users/{x}/orders"
    );
    // What both know is the same, and nothing new comes of telling it again.
    let mut both = fresh.where_collapsed();
    assert!(!both.merge(&told) || both == fresh.where_collapsed());
    fresh.follow(&both);
    assert_eq!(fresh.where_collapsed(), both);
}

#[test]
fn a_tree_that_follows_anything_stays_within_its_bounds() {
    let mut random = Random(12);
    let mut others = scorer_sdk::route::Collapses::default();
    for _ in 0..30 {
        let mut other = tree(Limits::default());
        let prefix = word(&mut random);
        for _ in 0..300 {
            other.resolve(&format!("/{prefix}/{}/x", word(&mut random)));
        }
        others.merge(&other.where_collapsed());
    }
    let limits = Limits {
        max_nodes: 64,
        max_depth: 4,
        max_children: 4,
    };
    let mut small = tree(limits);
    small.follow(&others);
    for _ in 0..1_000 {
        small.resolve(&random_path(&mut random));
        assert!(small.nodes() <= 64);
    }
}
