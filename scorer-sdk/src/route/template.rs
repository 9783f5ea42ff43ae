//! Path templates that the owner configures, such as `/api/v1/items/{id}/*`.
//!
//! A template is a list of segments: a literal matches itself, `{name}` matches any one segment
//! that is not empty, and a final `*` matches one or more segments, whatever they are (also the
//! empty one of a trailing slash: `/static/*` matches `/static/`, not `/static`). Where several
//! templates match, the leftmost difference decides: literal before parameter before `*`.

use std::fmt;

use super::segment::{MAX_SEGMENTS, Segments};

/// Longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 512;
/// Most segments of a template, the final `*` included.
pub const MAX_TEMPLATE_SEGMENTS: usize = MAX_SEGMENTS;
/// Most templates in one set.
pub const MAX_TEMPLATES: usize = 512;

/// Why a template or a set of them was refused; the message names the repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// The template does not start with a slash.
    NoLeadingSlash {
        /// The template as given.
        template: String,
    },
    /// The template has more than [`MAX_TEMPLATE_BYTES`] bytes.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The template has more than [`MAX_TEMPLATE_SEGMENTS`] segments.
    TooManySegments {
        /// The template as given.
        template: String,
        /// How many it has.
        segments: usize,
    },
    /// A `*` that is not alone in the last segment.
    MisplacedStar {
        /// The template as given.
        template: String,
        /// The segment at fault.
        segment: String,
    },
    /// A brace that is not part of a well-formed `{name}` segment.
    BadParameter {
        /// The template as given.
        template: String,
        /// The segment at fault.
        segment: String,
    },
    /// A `?` or `#`: queries and fragments are cut off before matching, so it could never match.
    QueryOrFragment {
        /// The template as given.
        template: String,
    },
    /// Two templates that match exactly the same paths.
    Duplicate {
        /// The one that came first.
        first: String,
        /// The one that says the same.
        second: String,
    },
    /// More than [`MAX_TEMPLATES`] templates.
    TooManyTemplates {
        /// How many were given.
        templates: usize,
    },
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeadingSlash { template } => write!(
                f,
                "path template `{template}` must start with `/`: write `/{template}`"
            ),
            Self::TooLong { bytes } => write!(
                f,
                "path template has {bytes} bytes, at most {MAX_TEMPLATE_BYTES} are allowed: \
                 end it earlier with `/*`"
            ),
            Self::TooManySegments { template, segments } => write!(
                f,
                "path template `{template}` has {segments} segments, at most \
                 {MAX_TEMPLATE_SEGMENTS} are allowed: end it earlier with `/*`"
            ),
            Self::MisplacedStar { template, segment } => write!(
                f,
                "path template `{template}`: `*` in `{segment}` must be the whole last segment; \
                 use `{{name}}` to match one segment elsewhere"
            ),
            Self::BadParameter { template, segment } => write!(
                f,
                "path template `{template}`: write the parameter in `{segment}` as a whole \
                 segment `{{name}}`, the name made of letters, digits, `_` and `-`"
            ),
            Self::QueryOrFragment { template } => write!(
                f,
                "path template `{template}` must match the path alone: remove everything from \
                 the `?` or `#` on"
            ),
            Self::Duplicate { first, second } => write!(
                f,
                "path templates `{first}` and `{second}` match the same paths: remove one"
            ),
            Self::TooManyTemplates { templates } => write!(
                f,
                "{templates} path templates, at most {MAX_TEMPLATES} are allowed: merge some \
                 with `{{name}}` or `*`"
            ),
        }
    }
}

impl std::error::Error for TemplateError {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    Parameter,
    Rest,
}

/// One parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    pieces: Vec<Piece>,
}

impl Template {
    /// Parses a template of the form described at the top of this module.
    ///
    /// # Errors
    ///
    /// Every variant of [`TemplateError`] but `Duplicate` and `TooManyTemplates`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong { bytes: text.len() });
        }
        let template = || text.to_owned();
        let Some(path) = text.strip_prefix('/') else {
            return Err(TemplateError::NoLeadingSlash {
                template: template(),
            });
        };
        if path.contains(['?', '#']) {
            return Err(TemplateError::QueryOrFragment {
                template: template(),
            });
        }
        let segments = path.split('/').count();
        if segments > MAX_TEMPLATE_SEGMENTS {
            return Err(TemplateError::TooManySegments {
                template: template(),
                segments,
            });
        }
        let pieces = path
            .split('/')
            .enumerate()
            .map(|(at, segment)| {
                if segment == "*" && at + 1 == segments {
                    Ok(Piece::Rest)
                } else if segment.contains('*') {
                    Err(TemplateError::MisplacedStar {
                        template: template(),
                        segment: segment.to_owned(),
                    })
                } else if !segment.contains(['{', '}']) {
                    Ok(Piece::Literal(segment.into()))
                } else if is_parameter(segment) {
                    Ok(Piece::Parameter)
                } else {
                    Err(TemplateError::BadParameter {
                        template: template(),
                        segment: segment.to_owned(),
                    })
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.into(),
            pieces,
        })
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn is_parameter(segment: &str) -> bool {
    segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        })
}

/// Where one prefix of the templates leads.
#[derive(Clone, Debug, Default)]
struct Branch {
    /// Sorted by length, then text.
    literals: Vec<(Box<str>, usize)>,
    parameter: Option<usize>,
    /// Template that ends in `*` here.
    rest: Option<usize>,
    /// Template that ends here.
    end: Option<usize>,
}

/// The configured templates, compiled for matching. Empty by default.
#[derive(Clone, Debug, Default)]
pub struct TemplateSet {
    templates: Vec<Template>,
    /// The first is the root; none where there are no templates.
    branches: Vec<Branch>,
}

impl TemplateSet {
    /// Compiles templates; their order does not matter.
    ///
    /// # Errors
    ///
    /// [`TemplateError::TooManyTemplates`], or [`TemplateError::Duplicate`] where two match the
    /// same paths (`/a/{id}` and `/a/{name}`).
    pub fn new(templates: Vec<Template>) -> Result<Self, TemplateError> {
        if templates.len() > MAX_TEMPLATES {
            return Err(TemplateError::TooManyTemplates {
                templates: templates.len(),
            });
        }
        let mut set = Self::default();
        for template in templates {
            if let Some(first) = set.insert(&template).and_then(|at| set.templates.get(at)) {
                return Err(TemplateError::Duplicate {
                    first: first.text.to_string(),
                    second: template.text.to_string(),
                });
            }
            set.templates.push(template);
        }
        Ok(set)
    }

    /// Parses and compiles templates given as text.
    ///
    /// # Errors
    ///
    /// Those of [`Template::parse`] and [`TemplateSet::new`].
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, TemplateError> {
        let templates = texts
            .into_iter()
            .map(Template::parse)
            .collect::<Result<_, _>>()?;
        Self::new(templates)
    }

    /// How many templates there are.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether there is no template at all.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// The template at this index, as it was written.
    pub(super) fn text(&self, at: usize) -> Option<&str> {
        self.templates.get(at).map(Template::text)
    }

    /// Index of the template that matches, if one does.
    #[inline]
    pub(super) fn find(&self, path: &Segments<'_>) -> Option<usize> {
        if path.bare {
            return None;
        }
        self.find_from(self.branches.first()?, path.as_slice(), path.more)
    }

    /// Backtracks; no branch is visited twice for one path, since each has one way to it.
    #[inline]
    fn find_from(&self, branch: &Branch, path: &[&str], more: bool) -> Option<usize> {
        let Some((segment, tail)) = path.split_first() else {
            return if more { None } else { branch.end };
        };
        branch
            .literal(segment)
            .and_then(|next| self.find_from(self.branches.get(next)?, tail, more))
            .or_else(|| {
                let next = branch.parameter.filter(|_| !segment.is_empty())?;
                self.find_from(self.branches.get(next)?, tail, more)
            })
            .or(branch.rest)
    }

    /// Adds a template at the next index, or gives back the index of one that says the same.
    fn insert(&mut self, template: &Template) -> Option<usize> {
        let index = self.templates.len();
        if self.branches.is_empty() {
            self.branches.push(Branch::default());
        }
        let mut at = 0;
        for piece in &template.pieces {
            let next = self.branches.len();
            let branch = self.branches.get_mut(at)?;
            at = match piece {
                Piece::Rest => {
                    return match branch.rest {
                        None => {
                            branch.rest = Some(index);
                            None
                        }
                        taken => taken,
                    };
                }
                Piece::Parameter => *branch.parameter.get_or_insert(next),
                Piece::Literal(text) => match branch.search(text) {
                    Ok(known) => branch.literals.get(known)?.1,
                    Err(gap) => {
                        branch.literals.insert(gap, (text.clone(), next));
                        next
                    }
                },
            };
            if at == next {
                self.branches.push(Branch::default());
            }
        }
        let branch = self.branches.get_mut(at)?;
        match branch.end {
            None => {
                branch.end = Some(index);
                None
            }
            taken => taken,
        }
    }
}

impl Branch {
    fn search(&self, text: &str) -> Result<usize, usize> {
        self.literals.binary_search_by(|(literal, _)| {
            let by_length = literal.len().cmp(&text.len());
            by_length.then_with(|| (**literal).cmp(text))
        })
    }

    #[inline]
    fn literal(&self, text: &str) -> Option<usize> {
        let at = self.search(text).ok()?;
        self.literals.get(at).map(|(_, next)| *next)
    }
}
