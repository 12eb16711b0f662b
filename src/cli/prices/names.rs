//! Names that are near one which the book does not have. In: the book and a name. Out: a half sentence for an error. Pure.

use spendstream_schemas::price_book::PriceBook;

/// Likeness from which a name may be what was meant.
const LIKE: f64 = 0.85;
/// Names that are shown.
const SHOWN: usize = 3;

/// Why nothing is listed.
pub fn why_none(book: &PriceBook, provider: Option<&str>, model: Option<&str>) -> String {
    let id = provider.map(|name| book.provider_id(name).ok_or(name));
    match (id, model) {
        (Some(Err(unknown)), _) => format!("no provider is called '{unknown}'; {}", providers(book, unknown)),
        (Some(Ok(id)), Some(model)) => {
            format!("no model of {id} matches '{model}' with a price at that moment; {}", models(book, Some(id), model))
        }
        (None, Some(model)) => {
            format!("no model matches '{model}' with a price at that moment; {}", models(book, None, model))
        }
        (Some(Ok(id)), None) => format!("{id} has no price at that moment; another date is --at"),
        (None, None) => "the book has no price at that moment; another date is --at".to_owned(),
    }
}

/// Providers with prices whose id is close to a name.
pub fn providers(book: &PriceBook, name: &str) -> String {
    let mut ids: Vec<&str> = book.rows().iter().map(|row| &*row.provider).collect();
    ids.dedup();
    let wanted = name.to_lowercase();
    near(ids.into_iter().map(|id| (strsim::jaro_winkler(id, &wanted), id.to_owned())).collect())
}

/// Models whose names are close to one that was not found, those of the provider first.
pub fn models(book: &PriceBook, provider: Option<&str>, model: &str) -> String {
    let provider = provider.and_then(|name| book.provider_id(name));
    let wanted = model.to_lowercase().replace('*', "");
    let mut names: Vec<(&str, &str)> = book.rows().iter().map(|row| (&*row.provider, &*row.model)).collect();
    names.dedup();
    let likeness = |(of, own): (&str, &str)| {
        let bonus = if Some(of) == provider { 0.1 } else { 0.0 };
        (strsim::jaro_winkler(&own.to_lowercase(), &wanted) + bonus, format!("{of}/{own}"))
    };
    near(names.into_iter().map(likeness).collect())
}

fn near(mut names: Vec<(f64, String)>) -> String {
    names.retain(|(likeness, _)| *likeness > LIKE);
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    match &names[..] {
        [] => "see `spendstream prices list`".to_owned(),
        near => {
            let near: Vec<_> = near.iter().take(SHOWN).map(|(_, name)| name.as_str()).collect();
            format!("similar: {}", near.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::book;
    use super::{models, why_none};

    #[test]
    fn a_wrong_name_gets_near_ones() {
        let book = book("openai,gpt-5-mini,input,1,1000000,USD,,,,,,,,\ngroq,llama,input,1,1000000,USD,,,,,,,,", "");
        assert_eq!(models(&book, Some("openai"), "gpt5-mini"), "similar: openai/gpt-5-mini");
        assert_eq!(models(&book, Some("groq"), "zzz"), "see `spendstream prices list`");
        for (provider, model, expected) in [
            (Some("openia"), None, "no provider is called 'openia'; similar: openai"),
            (Some("nonsense"), Some("x"), "no provider is called 'nonsense'; see `spendstream prices list`"),
            (
                Some("OpenAI"),
                Some("gpt5-mini*"),
                "no model of openai matches 'gpt5-mini*' with a price at that moment; similar: openai/gpt-5-mini",
            ),
            (None, Some("lama"), "no model matches 'lama' with a price at that moment; similar: groq/llama"),
            (Some("groq"), None, "groq has no price at that moment; another date is --at"),
        ] {
            assert_eq!(why_none(&book, provider, model), expected);
        }
    }
}
