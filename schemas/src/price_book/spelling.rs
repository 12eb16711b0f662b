//! How one model can be spelled: what was sent comes in, the spellings to look for go out, most exact first. No guessing:
//! wrappers (ARN, resource path, provider and region prefix) are taken off, and as a last step a date or version suffix.

/// A spelling to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    pub text: String,
    /// A date or version was dropped to get it.
    pub suffix_dropped: bool,
}

/// Everything that a model's text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spellings {
    pub all: Vec<Spelling>,
    /// Where it runs, as far as the text says: `us` in `us.anthropic.…`, the region of an ARN; the first is the one that prices.
    pub regions: Vec<String>,
}

/// Words before a model id that say where it runs.
const REGION_PREFIXES: [&str; 10] = ["us", "eu", "apac", "ap", "au", "jp", "ca", "global", "us-gov", "regional"];

/// The spellings of a model, in the order to look for them; all in lower case. `is_provider` knows the book's providers.
pub(super) fn spellings(model: &str, is_provider: &dyn Fn(&str) -> bool) -> Spellings {
    let mut regions = Vec::new();
    let mut forms = vec![model.trim().to_lowercase()];
    // Each pass takes one wrapper off the form before it; the text gets shorter, so this ends.
    while let Some(inner) = forms.last().and_then(|form| unwrap(form, is_provider, &mut regions)) {
        forms.push(inner);
    }
    let mut all: Vec<Spelling> = Vec::new();
    let push = |text: String, suffix_dropped: bool, all: &mut Vec<Spelling>| {
        if !text.is_empty() && all.iter().all(|known| known.text != text) {
            all.push(Spelling { text, suffix_dropped });
        }
    };
    for form in &forms {
        push(form.clone(), false, &mut all);
    }
    for form in &forms {
        let mut form = form.as_str();
        while let Some(stem) = without_suffix(form) {
            push(stem.to_owned(), true, &mut all);
            form = stem;
        }
    }
    Spellings { all, regions }
}

/// Takes one wrapper off; `None` when there is none.
fn unwrap(form: &str, is_provider: &dyn Fn(&str) -> bool, regions: &mut Vec<String>) -> Option<String> {
    if let Some(arn) = form.strip_prefix("arn:") {
        let mut fields = arn.splitn(5, ':');
        let region = fields.nth(2).unwrap_or_default();
        let resource = fields.nth(1)?;
        if !region.is_empty() {
            regions.push(region.to_owned());
        }
        return resource.split_once('/').map(|(_, id)| id.to_owned());
    }
    // `ft:gpt-4o-2024-08-06:organisation:name:id`: whose it is and what it was called changes no price.
    if let Some(tuned) = form.strip_prefix("ft:") {
        return tuned.split_once(':').filter(|(base, _)| !base.is_empty()).map(|(base, _)| format!("ft:{base}"));
    }
    if let Some((head, rest)) = form.split_once('/') {
        if head == "projects" || head == "publishers" || head == "locations" {
            let mut parts = form.split('/');
            if let Some(at) = parts.clone().position(|part| part == "locations")
                && let Some(location) = parts.nth(at + 1)
            {
                regions.push(location.to_owned());
            }
            return form.rsplit_once("/models/").map(|(_, id)| id.to_owned());
        }
        if head == "models" || head == "accounts" && !rest.is_empty() || is_provider(head) {
            return Some(rest.to_owned());
        }
        // LiteLLM's keys for the zones of Azure's data (`azure/eu/gpt-4o`, `azure/global-standard/…`).
        if let Some(zone) = ["eu", "us", "global", "global-standard"].into_iter().find(|zone| *zone == head) {
            regions.push(zone.trim_end_matches("-standard").to_owned());
            return Some(rest.to_owned());
        }
    }
    let (head, rest) = form.split_once('.')?;
    if REGION_PREFIXES.contains(&head) && rest.contains('.') {
        if head != "regional" {
            // An inference profile prices before the region that it is called from.
            regions.insert(0, head.to_owned());
        }
        return Some(rest.to_owned());
    }
    None
}

/// Drops one version from the end: `@20240620`, `@latest`, `-v1:0`, `:0`, `-20250929`, `-2024-08-06`, `-001`, `-latest`.
fn without_suffix(text: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((stem, suffix)) = text.rsplit_once('@')
        && (digits(suffix) || suffix == "latest" || suffix == "default")
    {
        return Some(stem);
    }
    // Behind `ft:` a colon ends the name of an organisation or of a tuned model.
    if let Some((stem, suffix)) = text.rsplit_once(':')
        && !stem.starts_with("ft:")
        && digits(suffix)
        && suffix.len() <= 2
    {
        return Some(stem);
    }
    if let Some(stem) = text.strip_suffix("-latest") {
        return Some(stem);
    }
    let (stem, last) = text.rsplit_once('-')?;
    if digits(last) && (last.len() == 8 && last.starts_with("20") || last.len() == 3) {
        return Some(stem);
    }
    // `-v1` only behind a date: `titan-embed-text-v1` and `-v2` are different models.
    if last.len() == 2 && last.starts_with('v') && digits(&last[1..]) && stem.ends_with(|c: char| c.is_ascii_digit()) {
        return Some(stem);
    }
    let (stem, month) = stem.rsplit_once('-')?;
    let (stem, year) = stem.rsplit_once('-')?;
    let date = [year, month, last];
    (date.iter().all(|part| digits(part)) && date.map(str::len) == [4, 2, 2]).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::spellings;

    fn check(model: &str, expected: &[&str], regions: &[&str]) {
        let found = spellings(model, &|head| matches!(head, "openai" | "anthropic" | "bedrock"));
        let texts: Vec<_> =
            found.all.iter().map(|s| if s.suffix_dropped { format!("~{}", s.text) } else { s.text.clone() }).collect();
        assert_eq!(texts, expected, "{model}");
        assert_eq!(found.regions, regions, "{model}");
    }

    #[test]
    fn wrappers_come_off_first_and_suffixes_last() {
        check("gpt-4o", &["gpt-4o"], &[]);
        check("GPT-4o-2024-08-06", &["gpt-4o-2024-08-06", "~gpt-4o"], &[]);
        check("openai/gpt-4o", &["openai/gpt-4o", "gpt-4o"], &[]);
        check(
            "models/gemini-2.5-pro-001",
            &["models/gemini-2.5-pro-001", "gemini-2.5-pro-001", "~models/gemini-2.5-pro", "~gemini-2.5-pro"],
            &[],
        );
        check("claude-3-5-sonnet@20240620", &["claude-3-5-sonnet@20240620", "~claude-3-5-sonnet"], &[]);
        check("claude-3-opus-latest", &["claude-3-opus-latest", "~claude-3-opus"], &[]);
        check("amazon.titan-embed-text-v1", &["amazon.titan-embed-text-v1"], &[]);
        check("us.meta.llama4:0", &["us.meta.llama4:0", "meta.llama4:0", "~us.meta.llama4", "~meta.llama4"], &["us"]);
        check("gemini-2.5-pro", &["gemini-2.5-pro"], &[]);
        check("eu/gpt-4o", &["eu/gpt-4o", "gpt-4o"], &["eu"]);
        check(
            "openai/global-standard/gpt-4o",
            &["openai/global-standard/gpt-4o", "global-standard/gpt-4o", "gpt-4o"],
            &["global"],
        );
        check("ft:gpt-4o:acme::7", &["ft:gpt-4o:acme::7", "ft:gpt-4o"], &[]);
        check(
            "openai/ft:gpt-4o-2024-08-06:acme:support bot:7:ckpt-step-80",
            &[
                "openai/ft:gpt-4o-2024-08-06:acme:support bot:7:ckpt-step-80",
                "ft:gpt-4o-2024-08-06:acme:support bot:7:ckpt-step-80",
                "ft:gpt-4o-2024-08-06",
                "~ft:gpt-4o",
            ],
            &[],
        );
        check("llama-3.3-70b:free", &["llama-3.3-70b:free"], &[]);
    }

    #[test]
    fn an_arn_says_where_it_runs() {
        let arn =
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let found = spellings(arn, &|_| false);
        assert_eq!(found.regions, ["us", "us-east-1"]);
        let texts: Vec<_> = found.all.iter().map(|s| s.text.as_str()).collect();
        assert!(texts.contains(&"anthropic.claude-sonnet-4-5-20250929-v1:0"), "{texts:?}");
        assert_eq!(texts.last(), Some(&"anthropic.claude-sonnet-4-5"));
        let path = "projects/p/locations/europe-west4/publishers/google/models/gemini-2.5-flash";
        assert_eq!(spellings(path, &|_| false).regions, ["europe-west4"]);
        assert_eq!(spellings(path, &|_| false).all[1].text, "gemini-2.5-flash");
    }
}
