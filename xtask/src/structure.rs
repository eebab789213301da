//! Dependencies between source files: which file uses which, and that there are no cycles.
//!
//! They are read from the `use` lines and paths of each crate, without tests. A `mod.rs` that only re-exports a name
//! is skipped: the user of the name depends on the file that defines it. Two rules are checked: there is no cycle
//! between files or between the folders of one level, and docs/architecture.md names exactly the existing modules of
//! runner and exporter.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

use crate::{
    sh::{Context, Result},
    workspace,
};

/// The crates to check.
const CRATES: [&str; 6] = ["shared", "runner", "exporter", "tests", "xtask", "xtask/manual"];

/// A module's path from the crate root; empty for the root.
type ModulePath = Vec<String>;

/// Which module uses which.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// A step of `cargo xtask test`.
pub(crate) fn check() -> Result<()> {
    let mut faults = Vec::new();
    let mut arrows_in_all = 0;
    for name in CRATES {
        let house = House::read(name)?;
        let arrows = house.arrows();
        arrows_in_all += arrows.values().map(BTreeSet::len).sum::<usize>();
        faults
            .extend(circles(&arrows).into_iter().map(|circle| format!("{name}: files in a cycle: {circle}")));
        for (level, arrows) in levels(&arrows) {
            let place = if level.is_empty() { name.to_owned() } else { format!("{name}, in {level}") };
            faults.extend(
                circles(&arrows).into_iter().map(|circle| format!("{place}: modules in a cycle: {circle}")),
            );
        }
    }
    let page = std::fs::read_to_string(workspace::root().join("docs/architecture.md"))
        .context("docs/architecture.md")?;
    for (name, heading) in [("runner", "## The runner"), ("exporter", "## The exporter")] {
        faults.extend(differences(name, &modules_named(&page, heading), &House::read(name)?.top()));
    }
    for fault in &faults {
        println!("{fault}");
    }
    println!("{arrows_in_all} dependencies between files checked");
    if faults.is_empty() { Ok(()) } else { Err(format!("{} structure errors, shown above", faults.len())) }
}

/// The modules of a crate.
struct House {
    rooms: BTreeMap<ModulePath, Room>,
}

/// The names and paths in one file.
#[derive(Default)]
struct Room {
    /// Names that it re-exports, with their source paths.
    handed_on: BTreeMap<String, Vec<String>>,
    /// Names that it imports, with their source paths.
    imported: BTreeMap<String, Vec<String>>,
    /// Every path in its code.
    written: BTreeSet<Vec<String>>,
    /// Its test modules.
    for_tests: BTreeSet<String>,
}

impl House {
    fn read(name: &str) -> Result<Self> {
        let source = workspace::root().join(name).join("src");
        let mut rooms = BTreeMap::new();
        for file in workspace::files()? {
            let Ok(inside) = workspace::root().join(&file).strip_prefix(&source).map(Path::to_owned) else {
                continue;
            };
            let Some(path) = module_path(&inside) else { continue };
            let text = std::fs::read_to_string(workspace::root().join(&file)).context(file.display())?;
            rooms.insert(path, Room::of(&text).context(file.display())?);
        }
        Ok(Self::without_tests(rooms))
    }

    fn without_tests(mut rooms: BTreeMap<ModulePath, Room>) -> Self {
        let tests: Vec<ModulePath> = rooms
            .iter()
            .flat_map(|(path, room)| {
                room.for_tests.iter().map(move |name| path.iter().cloned().chain([name.clone()]).collect())
            })
            .collect();
        rooms.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        Self { rooms }
    }

    /// The top-level modules.
    fn top(&self) -> BTreeSet<String> {
        self.rooms.keys().filter_map(|path| path.first()).filter(|name| *name != "main").cloned().collect()
    }

    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (from, room) in &self.rooms {
            let used = room.written.iter().filter_map(|written| self.defined_in(from, written, 0));
            let others: BTreeSet<String> = used.filter(|to| to != from).map(|to| to.join("/")).collect();
            arrows.insert(from.join("/"), others);
        }
        // The crate root declares its modules and may use them, so it is not part of a cycle.
        arrows.remove("");
        arrows
    }

    /// The module that defines a path used in the module `from`.
    fn defined_in(&self, from: &ModulePath, written: &[String], depth: usize) -> Option<ModulePath> {
        let (first, mut rest) = written.split_first()?;
        let mut at = match first.as_str() {
            "crate" => ModulePath::new(),
            "self" => from.clone(),
            "super" => from.split_last()?.1.to_vec(),
            name => {
                if let Some(child) = self.child(from, name) {
                    child
                } else {
                    let room = self.rooms.get(from)?;
                    let source = room.imported.get(name).or_else(|| room.handed_on.get(name))?;
                    return self.followed(from, source, rest, depth);
                }
            }
        };
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at.pop();
            } else if let Some(child) = self.child(&at, name) {
                at = child;
            } else if let Some(source) = self.rooms.get(&at).and_then(|room| room.handed_on.get(name)) {
                return self.followed(&at, source, after, depth);
            } else {
                return self.rooms.contains_key(&at).then_some(at);
            }
            rest = after;
        }
        // A module alone is only a name; the path of the used item follows it.
        None
    }

    fn followed(
        &self,
        from: &ModulePath,
        source: &[String],
        rest: &[String],
        depth: usize,
    ) -> Option<ModulePath> {
        let whole: Vec<String> = source.iter().chain(rest).cloned().collect();
        // Names that refer to each other do not compile, but a name may be imported from another crate under the same
        // name.
        if depth > 16 || whole.first() == source.last() && source.len() == 1 {
            return None;
        }
        self.defined_in(from, &whole, depth + 1)
    }

    fn child(&self, of: &ModulePath, name: &str) -> Option<ModulePath> {
        let path: ModulePath = of.iter().cloned().chain([name.to_owned()]).collect();
        self.rooms.contains_key(&path).then_some(path)
    }
}

impl Room {
    fn of(text: &str) -> Result<Self> {
        let file = syn::parse_file(text).map_err(|error| error.to_string())?;
        let mut room = Self::default();
        room.visit_file(&file);
        Ok(room)
    }
}

impl<'ast> Visit<'ast> for Room {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_for_tests(&module.attrs) {
            self.for_tests.insert(module.ident.to_string());
        } else {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        if !is_for_tests(&block.attrs) {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if is_for_tests(&item.attrs) {
            return;
        }
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        let hands_on = !matches!(item.vis, syn::Visibility::Inherited);
        for (name, path) in leaves {
            if hands_on {
                self.handed_on.insert(name, path);
            } else {
                self.written.insert(path.clone());
                self.imported.insert(name, path);
            }
        }
    }

    /// Most macros take expressions. Macros with their own syntax are not parsed.
    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let arguments = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        for expression in called.parse_body_with(arguments).into_iter().flatten() {
            Room::visit_expr(self, &expression);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if written.len() > 1 && path.leading_colon.is_none() {
            self.written.insert(written);
        }
        visit::visit_path(self, path);
    }
}

/// The paths of a `use` tree, each with its local name.
fn flatten(tree: &syn::UseTree, above: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let with = |last: &syn::Ident, above: &[String]| -> Vec<String> {
        above.iter().cloned().chain([last.to_string()]).collect()
    };
    match tree {
        syn::UseTree::Path(path) => {
            above.push(path.ident.to_string());
            flatten(&path.tree, above, leaves);
            above.pop();
        }
        syn::UseTree::Name(name) if name.ident == "self" => {
            leaves.push((above.last().cloned().unwrap_or_default(), above.clone()));
        }
        syn::UseTree::Name(name) => leaves.push((name.ident.to_string(), with(&name.ident, above))),
        syn::UseTree::Rename(rename) => {
            leaves.push((rename.rename.to_string(), with(&rename.ident, above)));
        }
        syn::UseTree::Glob(_) => {
            leaves.push(("*".to_owned(), above.iter().cloned().chain(["*".to_owned()]).collect()))
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, above, leaves);
            }
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

/// `a/mod.rs` and `a.rs` are the module `a`; `lib.rs` and `main.rs` are the crate root.
fn module_path(file: &Path) -> Option<ModulePath> {
    let mut path: ModulePath =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if file.extension()? != "rs" || path.first().is_some_and(|part| part == "bin") {
        return None;
    }
    let last = path.last()?.as_str();
    if last == "mod" || path.len() == 1 && (last == "lib" || last == "main") {
        path.pop();
    }
    Some(path)
}

/// For each folder, the dependencies between its entries, where each file or folder counts as one.
fn levels(arrows: &Arrows) -> BTreeMap<String, Arrows> {
    let mut levels: BTreeMap<String, Arrows> = BTreeMap::new();
    for (from, to) in arrows.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to))) {
        let from: Vec<&str> = from.split('/').collect();
        let to: Vec<&str> = to.split('/').collect();
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        // A folder's `mod.rs` and its other files are not separate entries of one level.
        if let (Some(from_part), Some(to_part)) = (from.get(shared), to.get(shared)) {
            let level = levels.entry(from[..shared].join("/")).or_default();
            level.entry((*from_part).to_owned()).or_default().insert((*to_part).to_owned());
        }
    }
    levels
}

/// The cycles of a graph, each once in its shortest form, as `a -> b -> a`.
fn circles(arrows: &Arrows) -> Vec<String> {
    let mut found = Vec::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for start in arrows.keys() {
        if told.contains(start.as_str()) {
            continue;
        }
        if let Some(way) = way_back(arrows, start) {
            told.extend(way.iter().copied());
            found.push(way.join(" -> "));
        }
    }
    found
}

/// The shortest path from a node back to itself.
fn way_back<'a>(arrows: &'a Arrows, start: &'a str) -> Option<Vec<&'a str>> {
    let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(at) = next.pop_front() {
        for to in arrows.get(at).into_iter().flatten().map(String::as_str) {
            if to == start {
                let mut way = vec![start, at];
                let mut back = at;
                while back != start {
                    back = reached_from.get(back)?;
                    way.push(back);
                }
                way.reverse();
                return Some(way);
            }
            if !reached_from.contains_key(to) {
                reached_from.insert(to, at);
                next.push_back(to);
            }
        }
    }
    None
}

/// The names in the first column of the tables under a heading.
fn modules_named(page: &str, heading: &str) -> BTreeSet<String> {
    let below = page.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let rows = below.take_while(|line| !line.starts_with("## ")).filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(" |").next());
    names.flat_map(|names| names.split(", ").map(|name| name.trim_matches('`').to_owned())).collect()
}

fn differences(name: &str, page: &BTreeSet<String>, source: &BTreeSet<String>) -> Vec<String> {
    let missing = source
        .difference(page)
        .map(|module| format!("docs/architecture.md does not name the module {module} of {name}"));
    let gone = page
        .difference(source)
        .map(|module| format!("docs/architecture.md names the module {module}, which {name} does not have"));
    missing.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(files: &[(&str, &str)]) -> House {
        let rooms =
            files.iter().map(|(file, text)| (module_path(Path::new(file)).unwrap(), Room::of(text).unwrap()));
        House::without_tests(rooms.collect())
    }

    fn file_circles(files: &[(&str, &str)]) -> Vec<String> {
        circles(&house(files).arrows())
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle_however_it_is_written() {
        let a = ("a.rs", "use crate::b::B; pub struct A;");
        for b in [
            "use crate::a::A;",
            "use super::a::A as Other;",
            "use super::a; fn f(_: a::A) {}",
            "fn f() -> crate::a::A { todo!() }",
            "use crate::{a::{self, A}};",
            "use crate::a::*;",
            "use crate::a; fn f() { println!(\"{}\", a::NAME) }",
        ] {
            assert_eq!(file_circles(&[a, ("b.rs", b)]), ["a -> b -> a"], "{b}");
        }
        assert!(file_circles(&[a, ("b.rs", "pub struct B;")]).is_empty());
    }

    #[test]
    fn a_name_that_is_handed_on_belongs_to_the_file_that_defines_it() {
        let files = [
            ("room/mod.rs", "mod door; mod wall; pub use door::Door; pub use wall::Wall;"),
            ("room/door.rs", "use super::Wall; pub struct Door;"),
            ("room/wall.rs", "pub struct Wall;"),
            ("guest.rs", "use crate::room::Door;"),
        ];
        let arrows = house(&files).arrows();
        assert_eq!(arrows["room/door"], BTreeSet::from(["room/wall".to_owned()]));
        assert_eq!(arrows["guest"], BTreeSet::from(["room/door".to_owned()]));
        assert!(circles(&arrows).is_empty());
    }

    #[test]
    fn what_a_folder_defines_itself_and_takes_from_its_files_is_a_circle() {
        let files = [
            ("room/mod.rs", "mod door; use door::Door; pub struct Plan(Door);"),
            ("room/door.rs", "use super::Plan; pub struct Door;"),
        ];
        assert_eq!(file_circles(&files), ["room -> room/door -> room"]);
    }

    #[test]
    fn folders_may_be_in_a_circle_where_their_files_are_not() {
        let files = [
            ("a/one.rs", "use crate::b::two::Two; pub struct One;"),
            ("a/three.rs", "pub struct Three;"),
            ("b/two.rs", "use crate::a::three::Three; pub struct Two;"),
            ("a/mod.rs", "pub mod one; pub mod three;"),
            ("b/mod.rs", "pub mod two;"),
        ];
        let arrows = house(&files).arrows();
        assert!(circles(&arrows).is_empty());
        assert_eq!(circles(&levels(&arrows)[""]), ["a -> b -> a"]);
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let files = [
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
            ("c/mod.rs", "#[cfg(test)] mod checks;"),
            ("c/checks.rs", "use super::super::a::A;"),
        ];
        let house = house(&files);
        assert!(circles(&house.arrows()).is_empty());
        assert!(!house.arrows().contains_key("c/checks"));
    }

    #[test]
    fn the_page_and_the_source_are_compared_in_both_directions() {
        let page = "## The runner\n| module | owns |\n|---|---|\n| `a`, `b` | x |\n| `c` | y |\n## The exporter\n| `d` | z |\n";
        let named = modules_named(page, "## The runner");
        let source = ["a", "c", "e"].map(str::to_owned).into();
        assert_eq!(
            differences("runner", &named, &source),
            [
                "docs/architecture.md does not name the module e of runner",
                "docs/architecture.md names the module b, which runner does not have",
            ]
        );
    }
}
