//! The words of an export: who provides and bills, what a meter is called, in which unit it is counted. Pure tables.

use spendstream_schemas::meter::Token;

/// How a provider is named, and what it sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    pub id: &'static str,
    pub name: &'static str,
    pub service: &'static str,
}

const fn provider(id: &'static str, name: &'static str, service: &'static str) -> Provider {
    Provider { id, name, service }
}

/// Those whose own name is not their id in the price book.
const PROVIDERS: [Provider; 16] = [
    provider("anthropic", "Anthropic", "Claude API"),
    provider("aws_bedrock", "AWS", "Amazon Bedrock"),
    provider("azure", "Microsoft", "Azure OpenAI Service"),
    provider("azure_openai", "Microsoft", "Azure OpenAI Service"),
    provider("cohere", "Cohere", "Cohere API"),
    provider("deepseek", "DeepSeek", "DeepSeek API"),
    provider("fireworks", "Fireworks AI", "Fireworks AI API"),
    provider("google", "Google", "Gemini API"),
    provider("google_vertex", "Google Cloud", "Vertex AI"),
    provider("groq", "Groq", "Groq API"),
    provider("mistral", "Mistral AI", "Mistral AI API"),
    provider("openai", "OpenAI", "OpenAI API"),
    provider("openrouter", "OpenRouter", "OpenRouter API"),
    provider("perplexity", "Perplexity", "Perplexity API"),
    provider("together", "Together AI", "Together AI API"),
    provider("xai", "xAI", "xAI API"),
];

/// The name of a provider and of its service, by its id or by what was sent.
#[must_use]
pub fn provider_names(id: &str) -> (String, String) {
    match PROVIDERS.iter().find(|known| known.id == id) {
        Some(known) => (known.name.to_owned(), known.service.to_owned()),
        None => (id.to_owned(), format!("{id} API")),
    }
}

/// The `ServiceSubcategory` of all: a service has one, whatever its operations are.
pub const SUBCATEGORY: &str = "Generative AI";

/// What a meter counts, and how many of it a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `ConsumedUnit`.
    pub consumed: &'static str,
    /// `PricingUnit`.
    pub pricing: &'static str,
    /// How many of the first are one of the second.
    pub per: i128,
}

const fn single(unit: &'static str) -> Unit {
    Unit { consumed: unit, pricing: unit, per: 1 }
}

const TOKENS: Unit = Unit { consumed: "Tokens", pricing: "1000000 Tokens", per: 1_000_000 };

/// The unit of a meter; `Units` where its name does not tell.
#[must_use]
pub fn unit(meter: &str) -> Unit {
    if Token::from_name(meter).is_some() {
        return TOKENS;
    }
    let ends = |end: &str| meter.ends_with(end);
    match meter {
        "request" | "requests" => single("Requests"),
        "query" | "queries" => single("Queries"),
        "citation" => single("Citations"),
        "text_message" => single("Messages"),
        "cache_storage_token_hour" => Unit { consumed: "Token-Hours", pricing: "Token-Hours", per: 1 },
        "characters" | "chars" => single("Characters"),
        _ if meter.starts_with("web_search") || meter.contains("search") || ends("grounding") => single("Searches"),
        _ if ends("second") || ends("seconds") => single("Seconds"),
        _ if ends("hour") || ends("hours") => single("Hours"),
        _ if ends("char") => single("Characters"),
        _ if ends("page") || ends("pages") => single("Pages"),
        _ if ends("pixel") => single("Pixels"),
        _ if ends("_each") || ends("images") => single("Images"),
        _ if ends("session") => single("Sessions"),
        _ => single("Units"),
    }
}

/// A meter as people read it: `cache_write_1h` is `Cache write 1h tokens`.
#[must_use]
pub fn meter_title(meter: &str) -> String {
    let text = match meter {
        "audio_in" => "audio input".to_owned(),
        "image_in" => "image input".to_owned(),
        "video_in" => "video input".to_owned(),
        "audio_out" => "audio output".to_owned(),
        "image_out" => "image output".to_owned(),
        "video_out" => "video output".to_owned(),
        other => other.replace('_', " "),
    };
    let text = if Token::from_name(meter).is_some() { format!("{text} tokens") } else { text };
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The same in ASCII, which is all that FOCUS texts may have: other characters as in JSON (`Z\u00fcrich`). `x_` columns keep them.
#[must_use]
pub fn ascii(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut units = [0_u16; 2];
    let mut out = String::with_capacity(text.len() * 2);
    for letter in text.chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            out.extend(letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{ascii, meter_title, provider_names, unit};

    #[test]
    fn names_are_those_of_the_trade() {
        assert_eq!(provider_names("aws_bedrock"), ("AWS".to_owned(), "Amazon Bedrock".to_owned()));
        assert_eq!(provider_names("mine"), ("mine".to_owned(), "mine API".to_owned()));
        assert_eq!(meter_title("cache_write_1h"), "Cache write 1h tokens");
        assert_eq!(meter_title("web_search"), "Web search");
        assert_eq!(ascii("Z\u{fc}rich \u{1f600}"), "Z\\u00fcrich \\ud83d\\ude00");
    }

    #[test]
    fn units_follow_the_name() {
        for (meter, consumed, per) in [
            ("cache_read_audio", "Tokens", 1_000_000),
            ("web_search_high", "Searches", 1),
            ("file_search", "Searches", 1),
            ("audio_second", "Seconds", 1),
            ("code_execution_hour", "Hours", 1),
            ("image_out_each", "Images", 1),
            ("document_page", "Pages", 1),
            ("my_own", "Units", 1),
        ] {
            assert_eq!((unit(meter).consumed, unit(meter).per), (consumed, per), "{meter}");
        }
    }
}
