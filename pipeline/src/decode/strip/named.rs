//! The places of an item that a configured mapping reads, and what each may hold. A mapping and an item in, nodes of the item out.

use spendstream_schemas::config::MappingConfig;
use spendstream_schemas::dimension::Text;

use super::super::json::Node;
use super::Under;
use super::known::{self, Places};

/// What the mapping knows an item by and what it reads, as far as it is there.
pub(super) fn nodes<'n>(mapping: &MappingConfig, item: &'n Node<'n>, out: &mut Places<'n>) {
    let told = mapping.when.keys().map(|path| (path, Under::Name));
    let fields = || mapping.fields.iter().filter(|(_, path)| !path.starts_with('='));
    let read = fields().map(|(field, path)| (path, under(field)));
    out.extend(told.chain(read).filter_map(|(path, under)| Some((item.path(path)?, under))));
    let usage = fields().find(|(field, _)| *field == "usage").and_then(|(_, path)| item.path(path));
    if let Some(usage) = usage {
        known::nested(usage, out);
    }
}

/// A field that names things keeps a name; a label of one's own a word, for several may be anything; a count figures.
fn under(field: &str) -> Under {
    let text = Text::ALL.into_iter().find(|text| !field.is_empty() && text.event_name() == field);
    match (text, field) {
        (Some(text), _) if text != Text::Status => Under::Read(text),
        (None, "tenant") => Under::Read(Text::Organization),
        (Some(_), _) | (None, "time" | "cache_hit" | "reported_cost.currency") => Under::Name,
        (None, "usage") => Under::Body,
        (None, field) if field.starts_with("tags.") => Under::Word,
        (None, _) => Under::Figures,
    }
}
