//! Which rows are a model's, by every name that finds it. Sorted rows, aliases and the catalogue come in, an index goes out.

use std::collections::HashMap;
use std::ops::Range;

use super::catalog::Catalog;
use super::row::PriceRow;

/// Provider → model or alias in lower case → its rows.
pub(super) type Models = HashMap<String, HashMap<String, Range<usize>>>;

/// Finds the stretch of rows of every model.
pub(super) fn index(rows: &[PriceRow], catalog: &mut Catalog, errors: &mut Vec<String>) -> Models {
    let mut models = Models::new();
    let mut start = 0;
    for group in rows.chunk_by(|a, b| a.provider == b.provider && a.model == b.model) {
        let Some(first) = group.first() else { continue };
        let range = start..start + group.len();
        start = range.end;
        if let Some(other) = group.iter().find(|row| row.currency != first.currency) {
            let (line, currency) = (other.line, &other.currency);
            errors.push(format!(
                "prices.csv:{line}: {}/{} is in {currency} here and in {} in line {}; a model has one currency",
                first.provider, first.model, first.currency, first.line
            ));
        }
        catalog.add(&first.provider);
        let known = models.entry(first.provider.to_string()).or_default().insert(first.model.to_lowercase(), range);
        if known.is_some() {
            errors.push(format!(
                "prices.csv:{}: {}/{} differs from another model only in upper and lower case",
                first.line, first.provider, first.model
            ));
        }
    }
    models
}

/// Adds `aliases.csv` (`provider,alias,model`); a model of its own name wins over an alias.
pub(super) fn add_aliases(text: &str, catalog: &Catalog, models: &mut Models, errors: &mut Vec<String>) {
    for (position, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = position + 1;
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        match fields[..] {
            ["provider", "alias", "model"] if position == 0 => {}
            [provider, alias, model] => {
                let known = catalog.provider(provider).and_then(|id| models.get_mut(id));
                match known.and_then(|models| models.get(&model.to_lowercase()).cloned().map(|range| (models, range))) {
                    Some((models, range)) => {
                        models.entry(alias.to_lowercase()).or_insert(range);
                    }
                    None => errors.push(format!(
                        "aliases.csv:{number}: {provider}/{model} has no price, so '{alias}' cannot stand for it"
                    )),
                }
            }
            _ => errors.push(format!("aliases.csv:{number}: expected provider,alias,model")),
        }
    }
}

/// Where ids read `vendor.model`, the bare model finds them too, if only one vendor has it.
pub(super) fn add_vendor_names(catalog: &Catalog, models: &mut Models) {
    for (id, _) in catalog.providers.iter().filter(|(_, provider)| provider.vendor_dot) {
        let Some(models) = models.get_mut(id) else { continue };
        let mut bare: HashMap<String, Option<Range<usize>>> = HashMap::new();
        for (name, range) in models.iter() {
            if let Some((_, model)) = name.split_once('.') {
                bare.entry(model.to_owned())
                    .and_modify(|known| *known = known.take().filter(|known| known == range))
                    .or_insert_with(|| Some(range.clone()));
            }
        }
        for (name, range) in bare {
            if let Some(range) = range {
                models.entry(name).or_insert(range);
            }
        }
    }
}
